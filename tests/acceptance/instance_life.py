"""A11, from A11.16: the life of a context, as `leasehold.v1.Instances` shows and changes it.

Watch, KeepAlive and Hold, SetIdleTimeout, Release.
"""

import harness
from grpc_calls import (ECHO, INSTANCES, OpenCall, await_pins, call, fails, get,
                        listed, pins, seconds)
from harness import Server, check, contains, equal, expect, wait_until
from instances import await_event, create, events, snapshot


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


@check("A11.33 Release by force of an idle context is the same as without force")
def _():
    with Server() as server:
        create(server, "room-1")
        call(server, INSTANCES + "Release",
             {"instance_id": "room-1", "force": True}).message
        equal(listed(server), {}, "contexts")


@check("A11.34 Watch reports what holds a busy context as it comes and goes, and rarely the "
       "calls beside it")
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
