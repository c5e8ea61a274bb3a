"""A19: orchestrations over the Durable Task protocol, as a client meets them.

Spoken raw (tests/interop/sidecar.py), each check with both stores.
"""

import threading
import time

import grpc

import sidecar as protocol
from harness import Failed, Server, check, contains, equal, expect, temporary_folder
from harness import wait_until
from sidecar import (Sidecar, complete, continue_as_new, create_child, create_timer,
                     fail, now, refused)

NOBODY = "nobody"  # An orchestrator's name that no worker is there for.


def on_both_stores(numbered_sentence, *flags):
    """A check whose body gets a server with either store, and a client of it."""
    def register(body):
        def on_both():
            with temporary_folder() as folder:
                for store in ("--store=memory", f"--data={folder}"):
                    try:
                        with Server(store, *flags) as server:
                            body(server, Sidecar(server))
                            expect(server.process.poll() is None,
                                   f"the server ended: {server.err[-3:]}")
                    except Failed as error:
                        error.args = (f"{store}: {error}",)
                        raise
        on_both.__module__ = body.__module__
        return check(numbered_sentence)(on_both)
    return register


def run_to_end(sidecar, id, result=None, name="quick", **more):
    """Starts it and completes it in one turn, by a worker of its own."""
    with sidecar.worker(filters={"orchestrations": [{"name": name}]}) as worker:
        sidecar.start(name, id=id, **more)
        worker.turn().complete(complete(1, result))
    return sidecar.wait_for_completion(id)


# ---- Start ------------------------------------------------------------------

@on_both_stores("A19.1 Hello answers, without any state")
def _(server, sidecar):
    equal(protocol.plain(sidecar.call("Hello")), {}, "answer")


@on_both_stores("A19.2 a start without an id gets one, a different one each time")
def _(server, sidecar):
    ids = {sidecar.start(NOBODY) for _ in range(50)}
    equal(len(ids), 50, "different ids")
    for id in ids:
        expect(id and len(id) <= 100, f"id {id!r}")
        equal(sidecar.get(id)["instanceId"], id, "instanceId")


@on_both_stores("A19.3 a start is seen at once as PENDING, with all that it was given")
def _(server, sidecar):
    before = now()
    sidecar.start(NOBODY, '{"a": 1}', id="a-1", version="2.0",
                  tags={"team": "blue", "": "x"})
    state = sidecar.get("a-1")
    created = state.pop("createdTimestamp")
    expect(before - 1e9 <= created <= now(), f"created at {created}")
    updated = state.pop("lastUpdatedTimestamp")
    expect(created <= updated <= created + 1e6, f"updated at {updated}, not {created}")
    expect(len(state["executionId"]) == 32
           and not set(state.pop("executionId")) - set("0123456789abcdef"),
           "the execution id is 32 hex digits")
    equal(state, {
        "instanceId": "a-1", "name": NOBODY, "version": "2.0", "input": '{"a": 1}',
        "orchestrationStatus": "PENDING", "tags": {"team": "blue", "": "x"}}, "state")


@on_both_stores("A19.4 an id of 100 characters is taken; one of 101 is refused, with its "
                "length")
def _(server, sidecar):
    for id in ("x" * 100, "ä" * 100, "€" * 100):
        equal(sidecar.start(NOBODY, id=id), id, "id")
        equal(sidecar.get(id)["instanceId"], id, "id of its state")
    for id in ("x" * 101, "ä" * 101, "x" * 5000):
        contains(refused("INVALID_ARGUMENT", sidecar.start, NOBODY, id=id), "length")


@on_both_stores("A19.5 ids that are entities', or have control characters, and an empty "
                "name are refused")
def _(server, sidecar):
    contains(refused("INVALID_ARGUMENT", sidecar.start, NOBODY, id="@counter@a"), "@")
    contains(refused("INVALID_ARGUMENT", sidecar.start, NOBODY, id="@"), "@")
    for id in ("a\nb", "a\0b", "\x7f", "\x85", "a\tb"):
        refused("INVALID_ARGUMENT", sidecar.start, NOBODY, id=id)
        for call in (sidecar.get, sidecar.raise_event, sidecar.terminate):
            refused("INVALID_ARGUMENT", call, id, *(
                ["e"] if call == sidecar.raise_event else []))
    contains(refused("INVALID_ARGUMENT", sidecar.start, "", id="a-1"), "name")
    equal(sidecar.query(), [], "orchestrations")
    for id in ("a@b", "a b", "ü/€?#%", "A-1", "a-1"):
        equal(sidecar.start(NOBODY, id=id), id, "id")
    equal(len(sidecar.query()), 5, "orchestrations: upper and lower case are two")


@on_both_stores("A19.6 a scheduled start of zero, or of the past, means at once")
def _(server, sidecar):
    with sidecar.worker() as worker:
        for id, at in (("zero", 0), ("past", now(-60)), ("none", None)):
            sidecar.start("quick", id=id, start_at=at)
            turn = worker.turn()
            equal(turn.id, id, "who has a turn")
            turn.complete(complete(1))
        state = sidecar.wait_for_completion("zero")
        expect("scheduledStartTimestamp" not in state, f"zero is no time: {state}")


@on_both_stores("A19.7 a start in the future stays PENDING until then, and says when")
def _(server, sidecar):
    at = now(3)
    with sidecar.worker() as worker:
        sidecar.start("quick", id="a-1", start_at=at)
        worker.quiet(0.3)
        state = sidecar.get("a-1")
        equal((state["orchestrationStatus"], state["scheduledStartTimestamp"]),
              ("PENDING", at), "status and time")
        turn = worker.turn()
        expect(now() >= at, "came before its time")
        equal(turn.event("executionStarted")["scheduledStartTimestamp"], at, "its time")
        turn.complete(complete(1))


@on_both_stores("A19.8 a terminate does not wait for a scheduled start")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("quick", id="a-1", start_at=now(3600))
        sidecar.terminate("a-1", '"no more"')
        turn = worker.turn()
        equal(turn.new, ["OS", "executionStarted", "executionTerminated"], "events")
        turn.complete(complete(1, '"no more"', "TERMINATED"))
        state = sidecar.wait_for_completion("a-1")
        equal((state["orchestrationStatus"], state["output"]),
              ("TERMINATED", '"no more"'), "end")


# ---- The same id again ------------------------------------------------------

ACTIVE = ("PENDING", "RUNNING", "SUSPENDED")
ENDED = ("COMPLETED", "FAILED", "TERMINATED")


def bring_to(sidecar, id, status):
    """One of that id and status."""
    if status == "PENDING":
        return sidecar.start("old", id=id, start_at=now(3600))
    sidecar.start("old", id=id)
    if status == "SUSPENDED":
        sidecar.suspend(id)
    with sidecar.worker(filters={"orchestrations": [{"name": "old"}]}) as worker:
        if status in ("RUNNING", "SUSPENDED"):
            worker.turn().complete()
        elif status == "FAILED":
            worker.turn().complete(fail(1, "Sad", "so sad"))
        else:
            worker.turn().complete(complete(1, '"old"', status))
    equal(sidecar.status(id), status, "status")


def start_over(sidecar, status, replaceable):
    """Whether one of that status is replaced."""
    id = f"{status}-{replaceable}"[:100]
    bring_to(sidecar, id, status)
    execution = sidecar.get(id)["executionId"]
    try:
        sidecar.start(NOBODY, id=id, replaceable=replaceable)
    except grpc.RpcError as error:
        equal(error.code().name, "ALREADY_EXISTS", f"code of {error.details()!r}")
        contains(error.details(), "orchestration instance already exists", id,
                 status.capitalize())
        equal(sidecar.get(id)["executionId"], execution, "execution")
        return False
    state = sidecar.get(id)
    expect(state["executionId"] != execution, "the execution id is that of the old one")
    equal((state["name"], state["orchestrationStatus"], state.get("output")),
          (NOBODY, "PENDING", None), "the new one")
    expect(not any(e.HasField("executionCompleted") for e in sidecar.history(id)),
           "the old history is there")
    return True


@on_both_stores("A19.9 without a policy one that has ended is replaced, and no other")
def _(server, sidecar):
    for status in ACTIVE + ENDED:
        equal(start_over(sidecar, status, None), status in ENDED, f"replaces {status}")


@on_both_stores("A19.10 a list of statuses says which are replaced; an empty one: none")
def _(server, sidecar):
    for status in ACTIVE + ENDED:
        equal(start_over(sidecar, status, []), False, f"replaces {status}, given []")
        for replaceable in (["COMPLETED"], ["FAILED", "TERMINATED"],
                            ["RUNNING", "TERMINATED"], list(ACTIVE + ENDED)):
            equal(start_over(sidecar, status, replaceable), status in replaceable,
                  f"replaces {status}, given {replaceable}")


@on_both_stores("A19.11 a policy that replaces what runs but not what was terminated is "
                "refused")
def _(server, sidecar):
    for status in ACTIVE:
        for more in ([], ["COMPLETED", "FAILED"]):
            equal(refused("INVALID_ARGUMENT", sidecar.start, NOBODY,
                          replaceable=[status, *more]),
                  "Invalid reusable statuses: cannot exclude 'Terminated' while also "
                  "allowing reuse of running instances", "text")
    equal(sidecar.query(), [], "orchestrations")


@on_both_stores("A19.12 what is replaced while a worker has it runs on nowhere: its turn and "
                "its activity are unknown")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("old", id="a-1")
        worker.turn().complete(protocol.schedule_task(1, "slow"))
        activity = worker.activity()
        sidecar.raise_event("a-1", "e")
        turn = worker.turn()
        sidecar.start("new", id="a-1", replaceable=["RUNNING", "TERMINATED"])
        fresh = worker.turn()
        equal(fresh.new, ["OS", "executionStarted"], "events")
        for call in (turn.complete, activity.complete):
            refused("NOT_FOUND", call)
        fresh.complete(complete(1, '"new"'))
        equal(sidecar.wait_for_completion("a-1")["output"], '"new"', "output")


@on_both_stores("A19.13 of many starts of one id at once exactly one creates it, however "
                "soon it ends")
def _(server, sidecar):
    rivals = [Sidecar(server) for _ in range(4)]
    stop = threading.Event()

    def work(worker):
        while not stop.is_set():
            worker.turn().complete(complete(1))
    with sidecar.worker() as worker:
        thread = threading.Thread(target=work, args=(worker,))
        thread.start()
        try:
            for i in range(300):
                calls = [rival.begin("StartInstance", instanceId=f"race-{i}",
                                     name="quick", orchestrationIdReusePolicy={})
                         for rival in rivals]
                failed = [c.exception() for c in calls]
                equal(sorted(e.code().name if e else "OK" for e in failed),
                      ["ALREADY_EXISTS"] * 3 + ["OK"], f"codes of race {i}")
        finally:
            stop.set()
            sidecar.start("quick")  # The worker's last turn.
            thread.join()


# ---- Get and wait -----------------------------------------------------------

@on_both_stores("A19.14 one that is not there: exists=false, from Get and at once from both "
                "waits")
def _(server, sidecar):
    for call in (sidecar.get, sidecar.wait_for_start, sidecar.wait_for_completion):
        equal(call("nobody-knows"), None, "state")
    equal(sidecar.get("x" * 1024), None, "state for a long id")


@on_both_stores("A19.15 getInputsAndOutputs=false leaves payloads out, from Get and both "
                "waits")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("quick", '"in"', id="a-1")
        waits = [sidecar.begin(f"WaitForInstance{what}", instanceId="a-1")
                 for what in ("Start", "Completion")]
        time.sleep(0.1)
        worker.turn().complete(complete(1, '"out"'), custom_status='"cs"')
        sidecar.start("quick", id="a-2")
        worker.turn().complete(fail(1, "Sad", "so sad"))
    states = [protocol.plain(wait.result().orchestrationState) for wait in waits]
    states += [call(id, payloads=False) for id in ("a-1", "a-2") for call in (
        sidecar.get, sidecar.wait_for_start, sidecar.wait_for_completion)]
    for state in states:
        for name in ("input", "output", "customStatus", "failureDetails"):
            expect(name not in state, f"{name} in {state}")
    whole = sidecar.get("a-1")
    equal((whole["input"], whole["output"], whole["customStatus"]),
          ('"in"', '"out"', '"cs"'), "payloads")
    equal(sidecar.get("a-2")["failureDetails"]["errorMessage"], "so sad", "failure")


@on_both_stores("A19.16 WaitForInstanceStart answers when the first turn is committed, not "
                "when it goes out")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("slow", id="a-1")
        wait = sidecar.begin("WaitForInstanceStart", instanceId="a-1")
        turn = worker.turn()
        time.sleep(0.2)
        expect(not wait.done(), "answered before the first turn was over")
        equal(sidecar.status("a-1"), "PENDING", "status")
        turn.complete()
        state = protocol.plain(wait.result().orchestrationState)
        equal(state["orchestrationStatus"], "RUNNING", "status")
        equal(sidecar.wait_for_start("a-1")["orchestrationStatus"], "RUNNING", "status")


@on_both_stores("A19.17 WaitForInstanceCompletion answers at each of the three ends, not at "
                "continue-as-new; ended ones at once")
def _(server, sidecar):
    with sidecar.worker() as worker:
        for id, end, status in (
                ("done", complete(1), "COMPLETED"),
                ("sad", fail(1, "Sad", "so sad"), "FAILED"),
                ("stopped", complete(1, '"x"', "TERMINATED"), "TERMINATED")):
            sidecar.start("slow", id=id)
            waits = [sidecar.begin("WaitForInstanceCompletion", instanceId=id)
                     for _ in range(10)]
            worker.turn().complete(continue_as_new(1))
            turn = worker.turn()
            expect(not any(wait.done() for wait in waits), "continue-as-new is no end")
            equal(sidecar.status(id), "RUNNING", "status")
            turn.complete(end)
            for wait in waits:
                state = protocol.plain(wait.result().orchestrationState)
                equal(state["orchestrationStatus"], status, "status")
            equal(sidecar.wait_for_completion(id)["orchestrationStatus"], status,
                  "status, asked afterwards")
            expect(state["completedTimestamp"] >= state["createdTimestamp"], f"{state}")


@on_both_stores("A19.18 a wait with a deadline ends then; those that one client has left "
                "behind refuse nobody's")
def _(server, sidecar):
    sidecar.start(NOBODY, id="a-1")
    refused("DEADLINE_EXCEEDED", sidecar.wait_for_completion, "a-1", timeout=0.2)
    refused("DEADLINE_EXCEEDED", sidecar.wait_for_start, "a-1", timeout=0.2)
    waits = [sidecar.begin("WaitForInstanceCompletion", instanceId="a-1")
             for _ in range(1100)]
    refused("DEADLINE_EXCEEDED", Sidecar(server).wait_for_completion, "a-1", timeout=0.5)
    refused("DEADLINE_EXCEEDED", sidecar.wait_for_start, "a-1", timeout=0.5)
    equal([wait for wait in waits if wait.done()], [], "waits that have ended")
    for wait in waits[:500]:
        wait.cancel()
    del waits[:500]
    more = [sidecar.begin("WaitForInstanceStart", 0.5, instanceId="a-1")
            for _ in range(400)]
    equal({wait.exception().code().name for wait in more}, {"DEADLINE_EXCEEDED"},
          "codes of those with a deadline")
    more = [sidecar.begin("WaitForInstanceStart", instanceId="a-1") for _ in range(400)]
    with sidecar.worker() as worker:
        worker.turn().complete(complete(1, '"out"'))
    for wait in waits + more:
        expect(wait.result().exists, "a wait that is answered")


# ---- Commands ---------------------------------------------------------------

COMMANDS = ("RaiseEvent", "SuspendInstance", "ResumeInstance", "TerminateInstance")


@on_both_stores("A19.19 a command for one that is not there is NOT_FOUND and names it; for "
                "one that has ended, OK without effect")
def _(server, sidecar):
    run_to_end(sidecar, "ended", '"out"')
    before = sidecar.get("ended"), len(sidecar.history("ended"))
    with sidecar.worker() as worker:
        for method in COMMANDS:
            contains(refused("NOT_FOUND", sidecar.call, method, instanceId="missing"),
                     "missing")
            sidecar.call(method, instanceId="ended")
        worker.quiet()
    equal((sidecar.get("ended"), len(sidecar.history("ended"))), before, "state, events")


@on_both_stores("A19.20 events come in their order, with their payloads, also those that "
                "came before anybody waited")
def _(server, sidecar):
    sidecar.start("listener", id="a-1")
    sidecar.raise_event("a-1", "x", '"1"')
    sidecar.raise_event("a-1", "y")
    with sidecar.worker() as worker:
        turn = worker.turn()
        equal(turn.new, ["OS", "executionStarted", "eventRaised x", "eventRaised y"],
              "events")
        equal(turn.event("eventRaised x"), {"name": "x", "input": '"1"'}, "x")
        equal(turn.event("eventRaised y"), {"name": "y"}, "y")
        sidecar.raise_event("a-1", "x", "")
        turn.complete()
        turn = worker.turn()
        equal(turn.new, ["OS", "eventRaised x"], "events that came during the turn")
        equal(turn.event("eventRaised x"), {"name": "x", "input": ""}, "x")
        turn.complete(complete(1))


@on_both_stores("A19.21 suspended: nothing is sent until the resume, then all of it in order")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("listener", id="a-1")
        due = now(2)
        worker.turn().complete(create_timer(1, due))
        sidecar.suspend("a-1", '"why"')
        turn = worker.turn()
        equal(turn.event("executionSuspended"), {"input": '"why"'}, "reason")
        turn.complete()
        equal(sidecar.status("a-1"), "SUSPENDED", "status")
        sidecar.suspend("a-1")
        sidecar.raise_event("a-1", "x")
        time.sleep(max(0, due - now()) / 1e9 + 0.2)
        worker.quiet()
        equal(sidecar.status("a-1"), "SUSPENDED", "status")
        sidecar.resume("a-1")
        turn = worker.turn()
        equal(turn.new, ["OS", "eventRaised x", "timerFired 1", "executionResumed"],
              "events")
        turn.complete()
        equal(sidecar.status("a-1"), "RUNNING", "status")


@on_both_stores("A19.22 a suspended one can be terminated")
def _(server, sidecar):
    sidecar.start("listener", id="a-1")
    sidecar.suspend("a-1")
    with sidecar.worker() as worker:
        worker.turn().complete()
        sidecar.terminate("a-1", '"enough"')
        turn = worker.turn()
        equal(turn.new, ["OS", "executionTerminated"], "events")
        equal(turn.event("executionTerminated"), {"input": '"enough"'}, "terminate")
        turn.complete(complete(1, '"enough"', "TERMINATED"))
        state = sidecar.wait_for_completion("a-1")
        equal((state["orchestrationStatus"], state["output"]),
              ("TERMINATED", '"enough"'), "end")


@on_both_stores("A19.23 a recursive terminate reaches children, theirs, and those of the same "
                "turn; without it none")
def _(server, sidecar):
    with sidecar.worker() as worker:
        for recursive in (True, False):
            top, child, late = (f"{what}-{recursive}" for what in
                                ("top", "child", "late"))
            sidecar.start("top", id=top)
            worker.turn().complete(create_child(1, "child", child=child))
            worker.turn().complete(create_child(1, "grandchild", child=child + "/g"))
            worker.turn().complete()
            sidecar.terminate(top, '"all"', recursive=recursive)
            turn = worker.turn()
            equal(turn.event("executionTerminated").get("recurse", False), recursive,
                  "recurse")
            turn.complete(create_child(2, "late", child=late),
                          complete(3, '"all"', "TERMINATED"))
            ended = {}
            while len(ended) < (3 if recursive else 1):
                turn = worker.turn()
                new = [e for e in turn.new if e != "OS"]
                ended[turn.id] = new
                if "executionTerminated" in new:
                    turn.complete(complete(9, '"all"', "TERMINATED"))
                else:
                    turn.complete()
            worker.quiet()
            statuses = [sidecar.status(id) for id in (top, child, child + "/g", late)]
            equal(statuses, ["TERMINATED"] * 4 if recursive else
                  ["TERMINATED"] + ["RUNNING"] * 3, f"statuses, recursive={recursive}")


# ---- Purge ------------------------------------------------------------------

@on_both_stores("A19.24 purge of one, and of a batch: ended ones go, others are passed over; "
                "their ids are free")
def _(server, sidecar):
    for i in range(4):
        run_to_end(sidecar, f"a-{i}", '"out"')
    sidecar.start(NOBODY, id="active")
    equal(sidecar.purge("missing"), 0, "count of a missing one")
    equal(sidecar.purge("active"), 0, "count of an active one")
    equal(sidecar.purge("a-0"), 1, "count")
    equal(sidecar.purge("a-0"), 0, "count, again")
    equal(sidecar.purge("a-1", "missing", "active", "a-2", "a-1"), 2, "of a batch")
    answer = sidecar.call("PurgeInstances", instanceId="missing")
    equal(protocol.plain(answer), {"isComplete": True}, "answer")
    equal({state["instanceId"] for state in sidecar.query()}, {"a-3", "active"}, "left")
    for id in ("a-0", "a-1", "a-2"):
        equal(sidecar.get(id), None, "state")
        refused("NOT_FOUND", sidecar.history, id)
        refused("NOT_FOUND", sidecar.raise_event, id, "x")
    equal(sidecar.start(NOBODY, id="a-0", replaceable=[]), "a-0", "the id, free again")
    equal(sidecar.history("a-0"), [], "its history")


@on_both_stores("A19.25 purge by filter: status and time, only what has ended")
def _(server, sidecar):
    with sidecar.worker() as worker:
        for i in range(3):
            sidecar.start("quick", id=f"done-{i}")
            worker.turn().complete(complete(1))
        middle = now()
        time.sleep(0.01)
        for i in range(2):
            sidecar.start("quick", id=f"sad-{i}")
            worker.turn().complete(fail(1, "Sad", "so sad"))
    sidecar.start(NOBODY, id="active")

    def left():
        return sorted(state["instanceId"] for state in sidecar.query())
    equal(sidecar.purge(filter=dict(runtimeStatus=["RUNNING", "PENDING"])), 0, "active")
    equal(sidecar.purge(filter=dict(runtimeStatus=["FAILED"], createdTimeTo=middle)), 0,
          "failed, before any failed")
    equal(sidecar.purge(filter=dict(runtimeStatus=["FAILED"])), 2, "failed")
    equal(left(), ["active", "done-0", "done-1", "done-2"], "left")
    equal(sidecar.purge(filter=dict(createdTimeFrom=middle)), 0, "since then")
    equal(sidecar.purge(filter=dict(createdTimeTo=middle)), 3, "until then")
    equal(left(), ["active"], "left")
    run_to_end(sidecar, "last")
    equal(sidecar.purge(filter={}), 1, "with an empty filter")
    equal(left(), ["active"], "left")


@on_both_stores("A19.26 a purge by filter takes more than a page, and stops at its timeout")
def _(server, sidecar):
    with sidecar.worker(turns=50) as worker:
        calls = [sidecar.begin("StartInstance", name="quick", instanceId=f"a-{i}")
                 for i in range(250)]
        for _ in calls:
            worker.turn().complete(complete(1))
    answer = sidecar.call("PurgeInstances", purgeInstanceFilter=dict(timeout=1))
    expect(not answer.isComplete.value, "complete after a nanosecond")
    equal(answer.deletedInstanceCount + sidecar.purge(filter={}), 250, "count")
    equal(sidecar.query(), [], "left")


@on_both_stores("A19.27 a recursive purge takes ended descendants along, and counts them")
def _(server, sidecar):
    for recursive in (False, True):
        with sidecar.worker() as worker:
            sidecar.start("top", id="top")
            worker.turn().complete(create_child(1, "child", child="child"))
            worker.turn().complete(create_child(1, "grandchild", child="grandchild"))
            worker.turn().complete(complete(1))
            worker.turn().complete(complete(2))
            worker.turn().complete(complete(2))
        equal(sidecar.wait_for_completion("top")["orchestrationStatus"], "COMPLETED",
              "status")
        equal(sidecar.purge("top", recursive=recursive), 3 if recursive else 1, "count")
        equal(len(sidecar.query()), 0 if recursive else 2, "left")
        sidecar.purge("child", "grandchild")


@on_both_stores("A19.28 a wait for one whose id is purged and unknown ends with exists=false",
                "--allow-hub-wipe")
def _(server, sidecar):
    sidecar.start(NOBODY, id="a-1")
    waits = [sidecar.begin(f"WaitForInstance{what}", 10, instanceId="a-1")
             for what in ("Start", "Completion")]
    time.sleep(0.2)
    sidecar.call("DeleteTaskHub")
    for wait in waits:
        expect(wait.exception() is None, f"a wait ended so: {wait.exception()}")
        equal(wait.result().exists, False, "exists")


# ---- Query and list ---------------------------------------------------------

@on_both_stores("A19.29 a query finds by status, time and prefix, all of them together")
def _(server, sidecar):
    run_to_end(sidecar, "red-1", '"out"')
    run_to_end(sidecar, "blue-1")
    middle = now()
    time.sleep(0.01)
    sidecar.start(NOBODY, '"in"', id="red-2")
    sidecar.start(NOBODY, id="redder")

    def found(**query):
        return sorted(state["instanceId"] for state in sidecar.query(**query))
    equal(found(), ["blue-1", "red-1", "red-2", "redder"], "all")
    equal(found(instanceIdPrefix=""), found(), "with an empty prefix")
    equal(found(instanceIdPrefix="red-"), ["red-1", "red-2"], "by prefix")
    equal(found(instanceIdPrefix="%"), [], "a prefix is no pattern")
    equal(found(runtimeStatus=["COMPLETED"]), ["blue-1", "red-1"], "by status")
    equal(found(runtimeStatus=["PENDING", "FAILED"]), ["red-2", "redder"], "by two")
    equal(found(createdTimeFrom=middle), ["red-2", "redder"], "since")
    equal(found(createdTimeTo=middle), ["blue-1", "red-1"], "until")
    created = sidecar.get("red-2")["createdTimestamp"]
    equal(found(createdTimeFrom=created, createdTimeTo=created), ["red-2"],
          "both ends count")
    equal(found(runtimeStatus=["PENDING"], instanceIdPrefix="red-",
                createdTimeFrom=middle), ["red-2"], "all filters")
    state = sidecar.query(instanceIdPrefix="red-1")[0]
    expect("output" not in state, "payloads that nobody asked for")
    state, = sidecar.query(instanceIdPrefix="red-1", fetchInputsAndOutputs=True)
    equal(state["output"], '"out"', "output")
    equal(state, sidecar.get("red-1"), "the state as Get has it")
    state, = sidecar.query(instanceIdPrefix="red-2", fetchInputsAndOutputs=True)
    equal(state["input"], '"in"', "input of a pending one")


@on_both_stores("A19.30 pages: each orchestration once, a token that is never 0, none at the "
                "end")
def _(server, sidecar):
    ids = {sidecar.start(NOBODY, id=f"a-{i:02}") for i in range(25)}
    for size in (1, 7, 25, 26):
        found, tokens = [], []
        page, token = sidecar.query_page(maxInstanceCount=size)
        while token is not None:
            expect(token not in ("", "0") and token not in tokens, f"token {token!r}")
            expect(len(page) <= size, f"{len(page)} on a page of {size}")
            tokens.append(token)
            found += page
            page, token = sidecar.query_page(maxInstanceCount=size,
                                             continuationToken=token)
        found += page
        equal(sorted(s["instanceId"] for s in found), sorted(ids), f"pages of {size}")
    page, token = sidecar.query_page(maxInstanceCount=2**31 - 1)
    equal((len(page), token), (25, None), "a page of the most")
    page, token = sidecar.query_page(maxInstanceCount=0, continuationToken="")
    equal((len(page), token), (25, None), "a page of the default")


@on_both_stores("A19.31 pages skip and repeat nothing that stays, whatever comes and goes "
                "between them")
def _(server, sidecar):
    for i in range(20):
        run_to_end(sidecar, f"a-{i:02}")
    found, token = sidecar.query_page(maxInstanceCount=5)
    gone = [f"a-{i:02}" for i in range(0, 20, 3)]
    sidecar.purge(*gone)
    sidecar.start(NOBODY, id="a-00")
    while token is not None:
        page, token = sidecar.query_page(maxInstanceCount=5, continuationToken=token)
        found += page
    ids = [state["instanceId"] for state in found]
    stayed = [f"a-{i:02}" for i in range(20) if i % 3]
    equal([id for id in ids if id in stayed], stayed, "those that stayed")


@on_both_stores("A19.32 a token that is none of ours is INVALID_ARGUMENT and is quoted")
def _(server, sidecar):
    run_to_end(sidecar, "a-1")
    for token in ("garbage", "1x", "-", "1:2:3", "9" * 40, "\n"):
        if token != "1:2:3":
            contains(refused("INVALID_ARGUMENT", sidecar.query_page,
                             continuationToken=token), "token")
        contains(refused("INVALID_ARGUMENT", sidecar.call, "ListInstanceIds",
                         lastInstanceKey=token), "token")
    contains(refused("INVALID_ARGUMENT", sidecar.query_page, continuationToken="abc"),
             '"abc"')


@on_both_stores("A19.33 ListInstanceIds: ended ones only, in the order of their ends, by "
                "pages, filtered")
def _(server, sidecar):
    with sidecar.worker() as worker:
        order = [f"a-{i}" for i in (3, 1, 4, 0, 2)]
        turns = {}
        for i in range(5):
            sidecar.start("quick", id=f"a-{i}")
            turns[f"a-{i}"] = worker.turn()
        for id in order:
            turns[id].complete(complete(1) if id != "a-4" else fail(1, "Sad", "so sad"))
            time.sleep(0.002)
    sidecar.start(NOBODY, id="active")
    for size in (0, 1, 2, 5, 1000):
        equal(sidecar.list_ids(pageSize=size), order, f"pages of {size}")
    equal(sidecar.list_ids(runtimeStatus=["FAILED"]), ["a-4"], "failed")
    equal(sidecar.list_ids(runtimeStatus=["PENDING"]), [], "pending")
    ends = {id: sidecar.get(id)["completedTimestamp"] for id in order}
    equal(sidecar.list_ids(completedTimeFrom=ends["a-4"]), order[2:],
          "from: that one counts")
    equal(sidecar.list_ids(completedTimeTo=ends["a-4"]), order[:2],
          "to: that one does not")
    page = protocol.plain(sidecar.call("ListInstanceIds", pageSize=6))
    expect("lastInstanceKey" not in page, f"a key at the end: {page}")


# ---- Hubs, history, restart, what is not there ------------------------------

@on_both_stores("A19.34 a task hub may be created; it is wiped only with --allow-hub-wipe")
def _(server, sidecar):
    sidecar.start(NOBODY, id="a-1")
    sidecar.call("CreateTaskHub")
    for method, fields in (("CreateTaskHub", dict(recreateIfExists=True)),
                           ("DeleteTaskHub", {})):
        contains(refused("FAILED_PRECONDITION", sidecar.call, method, **fields),
                 "--allow-hub-wipe")
    equal(sidecar.status("a-1"), "PENDING", "status")


@on_both_stores("A19.35 with --allow-hub-wipe nothing is left of what was there, nor of its "
                "work", "--allow-hub-wipe")
def _(server, sidecar):
    for method, fields in (("CreateTaskHub", dict(recreateIfExists=True)),
                           ("DeleteTaskHub", {})):
        run_to_end(sidecar, "ended")
        with sidecar.worker() as worker:
            sidecar.start("slow", id="a-1")
            worker.turn().complete(protocol.schedule_task(1, "slow"),
                                   create_timer(2, now(0.3)))
            activity = worker.activity()
            sidecar.raise_event("a-1", "x")
            turn = worker.turn()
            sidecar.call(method, **fields)
            equal(sidecar.query(), [], "orchestrations")
            for call in (turn.complete, activity.complete):
                refused("NOT_FOUND", call)
            worker.quiet(0.5)
            sidecar.start("slow", id="a-1", replaceable=[])
            equal(worker.turn().new, ["OS", "executionStarted"], "events of a new one")
        sidecar.call("DeleteTaskHub")


@on_both_stores("A19.36 history: none before the first turn, NOT_FOUND for an unknown one or "
                "another execution")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("quick", id="a-1")
        equal(sidecar.history("a-1"), [], "history")
        worker.turn().complete(complete(1))
    execution = sidecar.get("a-1")["executionId"]
    for options in ({}, {"executionId": execution}, {"executionId": ""}):
        equal([protocol.brief(e) for e in sidecar.history("a-1", **options)],
              ["OS", "executionStarted", "executionCompleted 1"], "history")
    refused("NOT_FOUND", sidecar.history, "a-1", executionId="0" * 32)
    refused("NOT_FOUND", sidecar.history, "missing")


@on_both_stores("A19.37 restart: in place once it has ended, or under a new id")
def _(server, sidecar):
    def restart(id, new_id):
        return sidecar.call("RestartInstance", instanceId=id,
                            restartWithNewInstanceId=new_id).instanceId
    refused("NOT_FOUND", restart, "missing", False)
    sidecar.start("quick", '"in"', id="a-1", version="3", tags={"a": "b"})
    contains(refused("FAILED_PRECONDITION", restart, "a-1", False), "a-1", "Pending")
    with sidecar.worker() as worker:
        first = worker.turn()
        copy = restart("a-1", True)
        expect(copy != "a-1", "the new id is the old one")
        second = worker.turn()
        equal(second.id, copy, "whose turn")
        for turn in (first, second):
            turn.complete(complete(1, '"out"'))
        equal(restart("a-1", False), "a-1", "id")
        third = worker.turn()
        for turn in (second, third):
            started = turn.event("executionStarted")
            equal((started["name"], started["version"], started["input"],
                   started["tags"], "parentInstance" in started),
                  ("quick", "3", '"in"', {"a": "b"}, False), "as it was started")
        equal(third.past, [], "past")
        expect(third.execution != first.execution, "the execution id is the old one")
        equal(sidecar.status("a-1"), "PENDING", "status")


@on_both_stores("A19.38 what this server has not is UNIMPLEMENTED at once, also what is not "
                "in the contract")
def _(server, sidecar):
    sidecar.start(NOBODY, id="a-1")
    for method, fields in (
            ("SignalEntity", dict(instanceId="@c@a", name="add")),
            ("GetEntity", dict(instanceId="@c@a")), ("QueryEntities", {}),
            ("CleanEntityStorage", {}), ("CompleteEntityTask", {}),
            ("AbandonTaskEntityWorkItem", {})):
        contains(refused("UNIMPLEMENTED", sidecar.call, method, _timeout=5, **fields),
                 "not supported")
    for path in ("/TaskHubSidecarService/Nonsense", "/TaskHubSidecarService/",
                 "/durabletask.TaskHubSidecarService/Hello"):
        equal(server.connect().call(data=b"\0\0\0\0\0", path=path).code,
              "UNIMPLEMENTED", f"code of {path}")


@on_both_stores("A19.39 a state is of one moment: an end comes with its output, and input is "
                "never missing, whatever happens meanwhile")
def _(server, sidecar):
    reader, stop, seen, torn = Sidecar(server), threading.Event(), set(), []

    def look(state):
        seen.add(state["orchestrationStatus"])
        wanted = ('"in"', '"out"' if state["orchestrationStatus"] == "COMPLETED" else None)
        if (state.get("input"), state.get("output")) != wanted:
            torn.append(state)

    def read():
        while not stop.is_set():
            for state in reader.query(fetchInputsAndOutputs=True):
                look(state)
            for id in ids:
                look(reader.get(id) or {"orchestrationStatus": None, "input": '"in"'})
    ids = [f"a-{i}" for i in range(10)]
    thread = threading.Thread(target=read)
    thread.start()
    try:
        with sidecar.worker() as worker:
            for _ in range(60):
                calls = [sidecar.begin("StartInstance", name="quick", instanceId=id,
                                       input='"in"') for id in ids]
                turns = [worker.turn() for _ in ids]
                calls += [sidecar.begin(
                    "CompleteOrchestratorTask", completionToken=turn.token,
                    actions=[complete(1, '"out"')]) for turn in turns]
                for call in calls:
                    call.result()
                sidecar.purge(*ids)
    finally:
        stop.set()
        thread.join()
    expect(not torn, f"{len(torn)} states of no moment, such as {torn[:1]}")
    expect({"PENDING", "COMPLETED"} <= seen, f"saw only {seen}")
