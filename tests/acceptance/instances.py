"""A11: leasehold.v1.Instances, contexts seen and handled from outside."""

import datetime

import harness
from grpc_calls import (ECHO, INSTANCES, OpenCall, await_pins, call, fails, get,
                        listed, pins, seconds)
from harness import Server, check, contains, equal, expect, grpcurl, wait_until

# Those that neither create nor pin, with what they need besides an ID.
READS = {"Get": {}, "SetIdleTimeout": {"idle_timeout": "30s"}, "Release": {}}


def create(server, instance_id=None, **fields):
    if instance_id is not None:
        fields["instance_id"] = instance_id
    return call(server, INSTANCES + "Create", fields).message


def await_event(watch, event, instance_id):
    """The first event of that kind and ID, once it is there."""
    return watch.await_message(
        lambda m: m["event"] == event
        and m["instance"]["instance_id"] == instance_id,
        f"{event} of {instance_id}")


def events(watch, instance_id):
    """But for changes of pins, which may be told with the event before."""
    return [m["event"] for m in watch.messages
            if m.get("instance", {}).get("instance_id") == instance_id
            and m["event"] != "PINS_CHANGED"]


def snapshot(watch):
    """The IDs of the first snapshot, once it is complete."""
    watch.await_message(lambda m: m["event"] == "SNAPSHOT_DONE", "SNAPSHOT_DONE")
    kinds = [m["event"] for m in watch.messages]
    count = kinds.index("SNAPSHOT_DONE")
    equal(kinds[:count], ["SNAPSHOT"] * count, "events of the snapshot")
    return {m["instance"]["instance_id"]: m["instance"]
            for m in watch.messages[:count]}


@check("A11.1 reflection lists Instances and describes its eight calls")
def _():
    with Server() as server:
        contains(grpcurl(server.address, "list").out, "leasehold.v1.Instances")
        contains(grpcurl(server.address, "describe", "leasehold.v1.Instances").out,
                 "rpc Create (", "rpc Get (", "rpc List (", "rpc Watch (",
                 "rpc KeepAlive (", "rpc Hold (", "rpc SetIdleTimeout (",
                 "rpc Release (")


@check("A11.2 Create makes a context and tells all of it: it is idle, its lease runs")
def _():
    with Server() as server:
        answer = call(server, INSTANCES + "Create", {"instance_id": "room-1"})
        equal(answer.message["created"], True, "created")
        instance = answer.message["instance"]
        equal((instance["instance_id"], instance["state"], instance["idle_timeout"],
               pins(instance)), ("room-1", "IDLE", "20s", {}), "instance")
        expect(0 < seconds(instance["lease_remaining"]) <= 20, f"{instance}")
        equal(answer.headers, {
            "instance-id": "room-1", "instance-generation": instance["generation"],
            "instance-created": "true", "instance-idle-timeout-ms": "20000"},
            "response headers")
        echo = call(server, ECHO + "Echo", headers=["instance-id: room-1"]).message
        equal((echo["generation"], echo["sequence"]), (instance["generation"], "1"),
              "the echo that meets it")


@check("A11.3 Create of a context that is there renews its lease and changes nothing")
def _():
    with Server() as server:
        first = create(server, "room-1", idle_timeout="60s")["instance"]
        wait_until(lambda: seconds(get(server, "room-1")["lease_remaining"]) < 59.5,
                   "the lease to run for a while")
        answer = call(server, INSTANCES + "Create",
                      {"instance_id": "room-1", "idle_timeout": "5s"})
        again = answer.message["instance"]
        expect("created" not in answer.message, f"made another: {answer}")
        equal(answer.headers, {"instance-generation": first["generation"]},
              "response headers")
        equal((again["generation"], again["idle_timeout"]),
              (first["generation"], "60s"), "the context")
        expect(seconds(again["lease_remaining"]) > 59.5, f"not renewed: {again}")


@check("A11.4 Create without an ID makes a UUID, a new one each time")
def _():
    with Server() as server:
        made = [create(server) for _ in range(3)]
        ids = [m["instance"]["instance_id"] for m in made]
        equal([m["created"] for m in made], [True] * 3, "created")
        expect(all(map(harness.UUID.fullmatch, ids)), f"no UUIDs: {ids}")
        equal(set(listed(server)), set(ids), "contexts")


@check("A11.5 the idle timeout is the field's, else the header's, else the server's; "
       "the server has bounds")
def _():
    with Server("--idle-timeout=40s", "--min-idle-timeout=30s",
                "--max-idle-timeout=50s") as server:
        for i, (fields, headers, wanted) in enumerate((
                ({"idle_timeout": "41.5s"}, [], "41.500s"),
                ({"idle_timeout": "41s"}, ["instance-idle-timeout: 42s"], "41s"),
                ({}, ["instance-idle-timeout: 42s"], "42s"),
                ({}, [], "40s"),
                ({"idle_timeout": "1s"}, [], "30s"),
                ({"idle_timeout": "0s"}, [], "30s"),
                ({"idle_timeout": "9999s"}, [], "50s"),
                ({"idle_timeout": "9000000000s"}, [], "50s"))):
            for method in ("Create", "Hold"):
                fields["instance_id"] = f"{method}-{i}"
                with OpenCall(server, INSTANCES + method, fields, headers) as made:
                    (answer,) = made.await_messages(1)
                equal(answer["instance"]["idle_timeout"], wanted,
                      f"idle timeout of {fields} {headers}")


@check("A11.6 a bad idle timeout is INVALID_ARGUMENT in each call that takes one, and "
       "nothing is made")
def _():
    with Server() as server:
        for method in ("Create", "Hold", "SetIdleTimeout"):
            for bad in ("-1s", "-0.5s", "-9000000000s"):
                fails(server, "INVALID_ARGUMENT", INSTANCES + method,
                      {"instance_id": "room-1", "idle_timeout": bad},
                      names=("idle_timeout", "zero or more"))
        for method in ("Create", "Hold"):
            fails(server, "INVALID_ARGUMENT", INSTANCES + method,
                  {"instance_id": "room-1"}, ["instance-idle-timeout: soon"],
                  names=("instance-idle-timeout",))
        fails(server, "INVALID_ARGUMENT", INSTANCES + "SetIdleTimeout",
              {"instance_id": "room-1"}, names=("idle_timeout", "required"))
        equal(listed(server), {}, "contexts")


@check("A11.7 an ID comes in the field or the header, in both only if they agree")
def _():
    with Server() as server:
        for method in ("Create", *READS):
            fields = READS.get(method, {})
            create(server, "room-1")
            for request, headers in (
                    ({"instance_id": "room-1"}, []),
                    ({}, ["instance-id: room-1"]),
                    ({}, ["instance-id-bin: cm9vbS0x"]),
                    ({"instance_id": "room-1"}, ["instance-id: room-1"])):
                create(server, "room-1")
                answer = call(server, INSTANCES + method, {**request, **fields},
                              headers)
                instance = answer.message.get("instance", answer.message)
                equal(instance["instance_id"], "room-1", f"ID of {method}")
        for method in ("Create", "Hold", "KeepAlive", *READS):
            fails(server, "INVALID_ARGUMENT", INSTANCES + method,
                  {"instance_id": "a", **READS.get(method, {})}, ["instance-id: b"],
                  names=("instance_id", '"a"', '"b"'))
        for method in ("KeepAlive", *READS):
            fails(server, "INVALID_ARGUMENT", INSTANCES + method,
                  READS.get(method, {}) or [{}], names=("instance_id", "instance-id"))


@check("A11.8 an ID that breaks the rules is INVALID_ARGUMENT in each call, with the rule")
def _():
    with Server() as server:
        for method in ("Create", "Hold", "KeepAlive", *READS):
            fields = READS.get(method, {})
            fails(server, "INVALID_ARGUMENT", INSTANCES + method,
                  {"instance_id": "x" * 1025, **fields},
                  names=("instance_id", "1025", "1024"))
            fails(server, "INVALID_ARGUMENT", INSTANCES + method,
                  {"instance_id": "a\u0007b", **fields}, names=("instance_id",))
            fails(server, "INVALID_ARGUMENT", INSTANCES + method,
                  fields or [{}], ["instance-id: a,b"], names=("instance-id",))
        equal(listed(server), {}, "contexts")
        create(server, "東京 " + "x" * 1017)
        equal(len(listed(server)), 1, "contexts")


@check("A11.9 Create and Hold heed instance-expect: ALREADY_EXISTS, NOT_FOUND")
def _():
    with Server() as server:
        for method in ("Create", "Hold"):
            fails(server, "NOT_FOUND", INSTANCES + method,
                  {"instance_id": "room-1"}, ["instance-expect: existing"],
                  names=("room-1",))
        equal(listed(server), {}, "contexts")
        create(server, "room-1")
        for method in ("Create", "Hold"):
            fails(server, "ALREADY_EXISTS", INSTANCES + method,
                  {"instance_id": "room-1"}, ["instance-expect: new"],
                  names=("room-1",))


@check("A11.10 Get tells state, lease, pins, extensions, and when it was made and used")
def _():
    with Server() as server:
        before = datetime.datetime.now(datetime.timezone.utc)
        call(server, ECHO + "Echo", headers=["instance-id: room-1"])
        idle = get(server, "room-1")
        equal((idle["state"], pins(idle)), ("IDLE", {}), f"{idle}")
        expect(0 < seconds(idle["lease_remaining"]) <= 20, f"{idle}")
        expect(any("Echo" in e for e in idle["extensions"]), f"{idle}")
        # Python reads microseconds, and no Z.
        created, used = (datetime.datetime.fromisoformat(
            idle[name].rstrip("Z")[:26] + "+00:00")
            for name in ("create_time", "last_use_time"))
        after = datetime.datetime.now(datetime.timezone.utc)
        expect(before <= created <= used <= after,
               f"made {created}, used {used}, between {before} and {after}")
        with OpenCall(server, ECHO + "Join", {}, ["instance-id: room-1"]) as join:
            join.await_messages(1)
            busy = get(server, "room-1")
        equal((busy["state"], pins(busy)), ("BUSY", {"join": 1}), f"{busy}")
        expect("lease_remaining" not in busy, f"a lease while busy: {busy}")


@check("A11.11 what is read is neither created, pinned nor renewed")
def _():
    with Server("--idle-timeout=500ms") as server, \
            OpenCall(server, INSTANCES + "Watch", {}) as watch:
        snapshot(watch)
        create(server, "room-1")
        await_event(watch, "IDLE", "room-1")

        def gone():  # Asks as fast as it can.
            for method, request in (("Get", {"instance_id": "room-1"}),
                                    ("List", {}),
                                    ("Release", {"instance_id": "room-2"})):
                answer = call(server, INSTANCES + method, request)
                expect(answer.code in ("OK", "NOT_FOUND"), f"{answer}")
            return "CLOSED" in events(watch, "room-1")
        wait_until(gone, "the lease to end while it is read")
        closed = await_event(watch, "CLOSED", "room-1")
        equal(closed["reason"], "idle", "reason")
        equal(events(watch, "room-1").count("BUSY"), 0, "pins of reads")
        equal(events(watch, "room-2"), [], "what a read has made")


@check("A11.12 an unknown ID is NOT_FOUND in each call that does not create")
def _():
    with Server() as server:
        for method, fields in READS.items():
            fails(server, "NOT_FOUND", INSTANCES + method,
                  {"instance_id": "room-1", **fields}, names=('"room-1"',))
        fails(server, "NOT_FOUND", INSTANCES + "Release",
              {"instance_id": "room-1", "force": True}, names=('"room-1"',))
        equal(listed(server), {}, "contexts")


@check("A11.13 List tells each context once, page by page")
def _():
    with Server() as server:
        connection = server.connect()
        ids = [f"room-{i}" for i in range(230)]
        for i in ids:
            connection.echo(i)
        for size, most in ((0, 100), (7, 7), (1000, 1000), (100000, 1000)):
            found, token, pages = [], "", 0
            while True:
                page = call(server, INSTANCES + "List",
                            {"page_size": size, "page_token": token}).message
                instances = page.get("instances", [])
                expect(len(instances) <= most, f"a page of {len(instances)}")
                found += [i["instance_id"] for i in instances]
                pages += 1
                token = page.get("next_page_token", "")
                if not token:
                    break
            equal(sorted(found), sorted(ids), f"contexts with page size {size}")


@check("A11.14 List: prefix and state choose, alone and together")
def _():
    with Server() as server:
        for i in ("room-1", "room-2", "hall-1", "hall-2"):
            create(server, i)
        with OpenCall(server, INSTANCES + "Hold", {"instance_id": "room-2"}) as one, \
                OpenCall(server, INSTANCES + "Hold", {"instance_id": "hall-2"}) as two:
            for hold in (one, two):
                hold.await_messages(1)
            for request, wanted in (
                    ({"id_prefix": "room-"}, {"room-1", "room-2"}),
                    ({"state": "BUSY"}, {"room-2", "hall-2"}),
                    ({"state": "IDLE"}, {"room-1", "hall-1"}),
                    ({"state": "CLOSING"}, set()),
                    ({"state": "BUSY", "id_prefix": "hall"}, {"hall-2"}),
                    ({"id_prefix": "none"}, set())):
                found = call(server, INSTANCES + "List", request).message
                equal({i["instance_id"] for i in found.get("instances", [])},
                      wanted, f"contexts of {request}")


@check("A11.15 List: a token of nobody's, a size or state that is none: INVALID_ARGUMENT")
def _():
    with Server() as server:
        for token in ("x", "999999", "1.2.3", "-1", "0.x", "0."):
            fails(server, "INVALID_ARGUMENT", INSTANCES + "List",
                  {"page_token": token}, names=("page_token", f'"{token}"'))
        fails(server, "INVALID_ARGUMENT", INSTANCES + "List", {"page_size": -1},
              names=("page_size", "-1"))
        fails(server, "INVALID_ARGUMENT", INSTANCES + "List", {"state": 99},
              names=("state", "99"))


@check("A11.16 Watch tells what is there, then that this was all")
def _():
    with Server() as server:
        with OpenCall(server, INSTANCES + "Watch", {}) as watch:
            equal(snapshot(watch), {}, "snapshot of an empty server")
        made = {i: create(server, i)["instance"] for i in ("room-1", "room-2")}
        with OpenCall(server, INSTANCES + "Hold", {"instance_id": "room-2"}) as hold:
            hold.await_messages(1)
            with OpenCall(server, INSTANCES + "Watch", {}) as watch:
                seen = snapshot(watch)
        equal({i: (s["generation"], s["state"], pins(s)) for i, s in seen.items()},
              {"room-1": (made["room-1"]["generation"], "IDLE", {}),
               "room-2": (made["room-2"]["generation"], "BUSY", {"hold": 1})},
              "snapshot")


@check("A11.17 Watch tells a life in order: created, idle, busy, idle, closing, closed, "
       "why")
def _():
    with Server("--idle-timeout=1s") as server, \
            OpenCall(server, INSTANCES + "Watch", {}) as watch:
        snapshot(watch)
        with OpenCall(server, INSTANCES + "Hold", {"instance_id": "room-1"}) as hold:
            (held,) = hold.await_messages(1)
            await_event(watch, "CREATED", "room-1")
        # Gone: now its lease runs, and ends.
        await_event(watch, "CLOSED", "room-1")
        life = [m for m in watch.messages
                if m.get("instance", {}).get("instance_id") == "room-1"
                and m["event"] != "PINS_CHANGED"]
        equal([m["event"] for m in life], ["CREATED", "IDLE", "CLOSING", "CLOSED"],
              "events")
        equal({m["instance"]["generation"] for m in life},
              {held["instance"]["generation"]}, "generations")
        equal([m["instance"]["state"] for m in life],
              ["BUSY", "IDLE", "CLOSING", "CLOSING"], "states")
        equal([m.get("reason") for m in life], [None, None, "idle", "idle"],
              "reasons")
        equal(life[1]["instance"]["lease_remaining"], "1s", "lease of the idle one")


@check("A11.18 Watch tells the use of an idle context, a renewal and a release")
def _():
    with Server("--idle-timeout=60s") as server:
        create(server, "room-1")
        with OpenCall(server, INSTANCES + "Watch", {}) as watch:
            snapshot(watch)
            with OpenCall(server, INSTANCES + "Hold",
                          {"instance_id": "room-1"}) as hold:
                hold.await_messages(1)
                await_event(watch, "BUSY", "room-1")
            await_event(watch, "IDLE", "room-1")
            call(server, INSTANCES + "KeepAlive", [{"instance_id": "room-1"}])
            renewed = await_event(watch, "RENEWED", "room-1")["instance"]
            equal(renewed["lease_remaining"], "60s", f"lease of {renewed}")
            call(server, INSTANCES + "Release", {"instance_id": "room-1"})
            closed = await_event(watch, "CLOSED", "room-1")
            equal(closed["reason"], "released", "reason")
            equal(events(watch, "room-1"),
                  ["SNAPSHOT", "BUSY", "IDLE", "RENEWED", "CLOSING", "CLOSED"],
                  "events")


@check("A11.19 Watch: each event tells the context as it is: state, pins, when it was "
       "made; no lease while busy")
def _():
    with Server("--idle-timeout=60s") as server, \
            OpenCall(server, INSTANCES + "Watch", {}) as watch:
        snapshot(watch)
        with OpenCall(server, INSTANCES + "Hold", {"instance_id": "room-1"}) as hold:
            hold.await_messages(1)
            call(server, INSTANCES + "KeepAlive", [{"instance_id": "room-1"}])
            renewed = await_event(watch, "RENEWED", "room-1")["instance"]
        await_event(watch, "IDLE", "room-1")
        call(server, INSTANCES + "Release", {"instance_id": "room-1"})
        await_event(watch, "CLOSED", "room-1")
        for message in watch.messages:
            if "instance" in message:
                instance = message["instance"]
                expect(instance.get("state"), f"no state: {message}")
                expect("create_time" in instance, f"no create_time: {message}")
        equal(renewed["state"], "BUSY", f"state of what is renewed: {renewed}")
        expect("lease_remaining" not in renewed, f"a lease while busy: {renewed}")


@check("A11.20 Watch: a prefix chooses, in the snapshot and after it")
def _():
    with Server() as server:
        create(server, "room-1")
        create(server, "hall-1")
        with OpenCall(server, INSTANCES + "Watch", {"id_prefix": "room-"}) as watch:
            equal(set(snapshot(watch)), {"room-1"}, "snapshot")
            create(server, "hall-2")
            create(server, "room-2")
            await_event(watch, "CREATED", "room-2")
            equal({m["instance"]["instance_id"] for m in watch.messages
                   if "instance" in m}, {"room-1", "room-2"}, "IDs")


@check("A11.21 KeepAlive renews lease after lease on one stream, and tells what remains")
def _():
    with Server("--idle-timeout=60s") as server:
        for i in ("room-1", "room-2"):
            create(server, i)
        wait_until(lambda: seconds(get(server, "room-2")["lease_remaining"]) < 59.5,
                   "the lease to run for a while")
        with OpenCall(server, INSTANCES + "KeepAlive", None) as keep:
            for count, i in enumerate(("room-1", "room-2", "room-1"), 1):
                keep.send({"instance_id": i})
                answer = keep.await_messages(count)[-1]
                equal((answer["instance_id"], answer["found"]), (i, True), "answer")
                equal(answer["generation"], get(server, i)["generation"],
                      "generation")
                expect(59.5 < seconds(answer["lease_remaining"]) <= 60, f"{answer}")
            expect(seconds(get(server, "room-2")["lease_remaining"]) > 59,
                   "the lease was not renewed")
            equal(pins(get(server, "room-2")), {}, "pins of KeepAlive")
            keep.finish()
            equal(keep.status(), ("OK", ""), "how it ends")


@check("A11.22 KeepAlive of an unknown ID says so and goes on; a bad one ends it")
def _():
    with Server() as server:
        create(server, "room-1")
        with OpenCall(server, INSTANCES + "KeepAlive", None) as keep:
            keep.send({"instance_id": "room-2"}, {"instance_id": "room-1"})
            unknown, known = keep.await_messages(2)
            equal(unknown, {"instance_id": "room-2"}, "answer for the unknown")
            equal((known["instance_id"], known["found"]), ("room-1", True), "answer")
            keep.send({"instance_id": "x" * 1025})
            code, message = keep.status()
            equal(code, "INVALID_ARGUMENT", message)
        equal(set(listed(server)), {"room-1"}, "contexts")


@check("A11.23 a context is renewed by KeepAlive for as long as it comes, and no longer")
def _():
    with Server("--idle-timeout=2s") as server, \
            OpenCall(server, INSTANCES + "Watch", {}) as watch:
        snapshot(watch)
        generation = create(server, "room-1")["instance"]["generation"]
        with OpenCall(server, INSTANCES + "KeepAlive", None) as keep:
            count = 0
            create(server, "room-2")  # Its lease ends; twice.
            for _ in range(2):
                def renewed():
                    nonlocal count
                    count += 1
                    keep.send({"instance_id": "room-1"})
                    keep.await_messages(count)
                    return "CLOSED" in events(watch, "room-2")
                wait_until(renewed, "another lease to end")
                create(server, "room-2")
            answers = keep.await_messages(count)
        equal({a.get("generation") for a in answers}, {generation}, "generations")
        equal(await_event(watch, "CLOSED", "room-1")["reason"], "idle", "reason")


@check("A11.24 Hold answers once, at once, and keeps the context for as long as it is "
       "open")
def _():
    with Server("--idle-timeout=300ms") as server, \
            OpenCall(server, INSTANCES + "Watch", {}) as watch:
        snapshot(watch)
        with OpenCall(server, INSTANCES + "Hold", {"instance_id": "room-1"}) as hold:
            (held,) = hold.await_messages(1)
            equal(held["created"], True, "created")
            equal((held["instance"]["state"], pins(held["instance"])),
                  ("BUSY", {"hold": 1}), f"{held}")
            equal(hold.headers()["instance-created"], "true", "response header")
            for i in range(3):  # The leases of others end.
                create(server, f"other-{i}")
                await_event(watch, "CLOSED", f"other-{i}")
            equal(pins(get(server, "room-1")), {"hold": 1}, "pins")
            equal(len(hold.messages), 1, "answers")
        equal(await_event(watch, "CLOSED", "room-1")["reason"], "idle", "reason")


@check("A11.25 several Holds count; the lease begins when the last one is gone")
def _():
    with Server("--idle-timeout=60s") as server:
        hold = (server, INSTANCES + "Hold", {"instance_id": "room-1"})
        with OpenCall(*hold) as first:
            first.await_messages(1)
            with OpenCall(*hold) as second:
                (held,) = second.await_messages(1)
                expect("created" not in held, f"{held}")
                await_pins(server, "room-1", {"hold": 2})
            instance = await_pins(server, "room-1", {"hold": 1})
            equal(instance["state"], "BUSY", "state")
        instance = await_pins(server, "room-1", {})
        equal(instance["state"], "IDLE", "state")
        expect(59 < seconds(instance["lease_remaining"]) <= 60, f"{instance}")


@check("A11.26 Hold without an ID makes a UUID")
def _():
    with Server() as server:
        with OpenCall(server, INSTANCES + "Hold", {}) as hold:
            (held,) = hold.await_messages(1)
            made = held["instance"]["instance_id"]
            expect(harness.UUID.fullmatch(made), f"no UUID: {held}")
            equal(hold.headers()["instance-id"], made, "response header")


@check("A11.27 SetIdleTimeout holds at once: a shorter one ends the lease soon")
def _():
    with Server("--idle-timeout=1h") as server, \
            OpenCall(server, INSTANCES + "Watch", {}) as watch:
        snapshot(watch)
        create(server, "room-1")
        longer = call(server, INSTANCES + "SetIdleTimeout",
                      {"instance_id": "room-1", "idle_timeout": "7200s"}).message
        equal(longer["idle_timeout"], "7200s", "idle timeout")
        expect(3600 < seconds(longer["lease_remaining"]) <= 7200, f"{longer}")
        shorter = call(server, INSTANCES + "SetIdleTimeout",
                       {"instance_id": "room-1", "idle_timeout": "2s"}).message
        equal(shorter["idle_timeout"], "2s", "idle timeout")
        expect(seconds(shorter["lease_remaining"]) <= 2, f"{shorter}")
        equal(await_event(watch, "CLOSED", "room-1")["reason"], "idle", "reason")


@check("A11.28 SetIdleTimeout keeps to the server's bounds, and stays when it is used")
def _():
    with Server("--min-idle-timeout=10s", "--max-idle-timeout=30s") as server:
        create(server, "room-1")
        for wanted, got in (("1s", "10s"), ("9999s", "30s"), ("15s", "15s")):
            answer = call(server, INSTANCES + "SetIdleTimeout",
                          {"instance_id": "room-1", "idle_timeout": wanted}).message
            equal(answer["idle_timeout"], got, f"idle timeout after {wanted}")
        call(server, ECHO + "Echo", headers=["instance-id: room-1"])
        create(server, "room-1", idle_timeout="25s")
        equal(get(server, "room-1")["idle_timeout"], "15s", "idle timeout")


@check("A11.29 SetIdleTimeout of a busy context holds for its next lease")
def _():
    with Server("--idle-timeout=1h") as server, \
            OpenCall(server, INSTANCES + "Watch", {}) as watch:
        snapshot(watch)
        with OpenCall(server, INSTANCES + "Hold", {"instance_id": "room-1"}) as hold:
            hold.await_messages(1)
            answer = call(server, INSTANCES + "SetIdleTimeout",
                          {"instance_id": "room-1", "idle_timeout": "1s"}).message
            equal((answer["state"], answer["idle_timeout"]), ("BUSY", "1s"),
                  f"{answer}")
        equal(await_event(watch, "CLOSED", "room-1")["reason"], "idle", "reason")


@check("A11.30 Release closes an idle context, and answers when it is gone with what it "
       "was")
def _():
    with Server() as server:
        made = create(server, "room-1")["instance"]
        was = call(server, INSTANCES + "Release",
                   {"instance_id": "room-1"}).message["instance"]
        equal((was["generation"], was["state"]), (made["generation"], "IDLE"),
              "what it was")
        fails(server, "NOT_FOUND", INSTANCES + "Get", {"instance_id": "room-1"})
        again = create(server, "room-1")
        equal(again["created"], True, "created")
        expect(int(again["instance"]["generation"]) > int(made["generation"]),
               f"generation of {again} after {made}")


@check("A11.31 Release of a busy context is FAILED_PRECONDITION and changes nothing")
def _():
    with Server() as server:
        with OpenCall(server, INSTANCES + "Hold", {"instance_id": "room-1"}) as hold:
            (held,) = hold.await_messages(1)
            fails(server, "FAILED_PRECONDITION", INSTANCES + "Release",
                  {"instance_id": "room-1"}, names=('"room-1"', "busy", "force"))
            now = get(server, "room-1")
            equal((now["state"], now["generation"]),
                  ("BUSY", held["instance"]["generation"]), f"{now}")
            expect(not hold.ended(), f"the Hold was ended: {hold.err}")


@check("A11.32 Release by force ends each stream that keeps it busy with ABORTED")
def _():
    with Server() as server:
        named = ["instance-id: room-1"]
        for method, kind, requests in ((INSTANCES + "Hold", "hold", {}),
                                       (ECHO + "Join", "join", {}),
                                       (ECHO + "EchoStream", "echo-stream", None)):
            with OpenCall(server, method, requests, named) as stream, \
                    OpenCall(server, method, requests, named) as other:
                before = await_pins(server, "room-1", {kind: 2})
                was = call(server, INSTANCES + "Release",
                           {"instance_id": "room-1", "force": True}).message
                equal(pins(was["instance"]), {kind: 2}, "pins of what it was")
                fails(server, "NOT_FOUND", INSTANCES + "Get",
                      {"instance_id": "room-1"})
                for each in (stream, other):
                    code, message = each.status()
                    equal(code, "ABORTED", f"how {method} ends: {message}")
                    contains(message, "released by force")
            answer = call(server, ECHO + "Echo", headers=named).message
            expect(int(answer["generation"]) > int(before["generation"]), "generation")
            call(server, INSTANCES + "Release", {"instance_id": "room-1"})


@check("A11.33 Release by force of an idle context is as without")
def _():
    with Server() as server:
        create(server, "room-1")
        call(server, INSTANCES + "Release",
             {"instance_id": "room-1", "force": True}).message
        equal(listed(server), {}, "contexts")


@check("A11.34 Watch tells what holds a busy context as it comes and goes, and calls "
       "beside it hardly ever")
def _():
    with Server() as server, OpenCall(server, INSTANCES + "Watch", {}) as watch:
        snapshot(watch)

        def told(wanted):
            watch.await_message(
                lambda m: m.get("instance", {}).get("instance_id") == "room-1"
                and pins(m["instance"]) == wanted, f"pins {wanted}")

        with OpenCall(server, INSTANCES + "Hold", {"instance_id": "room-1"}) as hold:
            hold.await_messages(1)
            told({"hold": 1})
            with OpenCall(server, ECHO + "Join", {}, ["instance-id: room-1"]) as join:
                join.await_messages(1)
                told({"hold": 1, "join": 1})
                connection = server.connect()
                for _ in range(1000):
                    equal(connection.echo("room-1").code, "OK", "code")
            count = len(watch.messages)
            with OpenCall(server, INSTANCES + "Hold",
                          {"instance_id": "room-1"}) as second:
                second.await_messages(1)
                told({"hold": 2})
        await_event(watch, "IDLE", "room-1")
        expect(count < 200, f"{count} events of 1,000 calls")
