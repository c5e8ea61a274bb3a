"""A11: leasehold.v1.Instances, contexts seen and handled from outside.

Create, Get and List; the streams and the rest of a context's life are in instance_life.py.
"""

import datetime

import harness
from grpc_calls import (ECHO, INSTANCES, OpenCall, call, fails, get, listed, pins,
                        seconds)
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


@check("A11.15 List: a foreign token, an invalid size or state: INVALID_ARGUMENT")
def _():
    with Server() as server:
        for token in ("x", "999999", "1.2.3", "-1", "0.x", "0."):
            fails(server, "INVALID_ARGUMENT", INSTANCES + "List",
                  {"page_token": token}, names=("page_token", f'"{token}"'))
        fails(server, "INVALID_ARGUMENT", INSTANCES + "List", {"page_size": -1},
              names=("page_size", "-1"))
        fails(server, "INVALID_ARGUMENT", INSTANCES + "List", {"state": 99},
              names=("state", "99"))
