"""A19: orchestrations over the Durable Task protocol, as a client meets them.

Start, get and wait; the rest of what a client may ask is in orchestration_management.py.
Spoken raw (tests/interop/sidecar.py), each check with both stores.
"""

import threading
import time

import grpc

import sidecar as protocol
from harness import Failed, Server, check, contains, equal, expect, temporary_folder
from sidecar import Sidecar, complete, continue_as_new, fail, now, refused

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
        expect("scheduledStartTimestamp" not in state, f"zero is not a time: {state}")


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

@on_both_stores("A19.14 one that does not exist: exists=false, from Get and at once from both "
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
            expect(not any(wait.done() for wait in waits), "continue-as-new is not an end")
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
