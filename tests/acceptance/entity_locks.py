"""A42: locks of entities that end by themselves; workers that send entities events.

With times by the microsecond: tests/orchestration/engine_lock_time_test.cc.
"""

import json

from entities import TALLY, call_entity, lock, names, unlock
from exchange import logged
from harness import Server, check, contains, equal, expect, leasehold
from orchestrations import on_both_stores
from sidecar import Sidecar, action, complete, failure


@check("A42.51 a lock that is held for too long goes to the next in line")
def _():
    with Server("--store=memory", "--entity-lock-timeout=300ms") as server:
        sidecar = Sidecar(server)
        with sidecar.worker() as worker:
            sidecar.start("p", id="p-1")
            worker.turn().complete(lock(1, "c-1", TALLY, "@tally@b"))
            late = worker.turn()
            sidecar.start("p", id="p-2")
            worker.turn().complete(lock(1, "c-2", TALLY, "@tally@b"))
            held = worker.turn()
            equal((held.id, held.event("entityLockGranted")["criticalSectionId"]),
                  ("p-2", "c-2"))
            logged(server, "lock_expired", f"instance_id={TALLY}", "p-1")
            late.complete(unlock(2, "c-1", TALLY), call_entity(3, TALLY, "late"))
            held.complete(complete(2))
            equal(names(worker.batch()), ["late"])


def event(number, name, **data):
    return action(number, sendEvent=dict(instance=dict(instanceId=TALLY), name=name,
                                     data=json.dumps(data)))


@on_both_stores("A42.52 events with JSON to an entity are its messages, and so are its answers")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("p", id="p-1")
        worker.turn().complete(event(1, "op", op=None, id="c-1", pos=0, lockset=[
            dict(name="tally", key="a"), dict(name="tally", key="b")]))
        held = worker.turn()
        raised = held.event("eventRaised c-1")
        equal((raised["name"], json.loads(raised["input"])),
              ("c-1", {"result": "Lock Acquisition Completed"}))
        held.complete(event(2, "op", op="get", id="r-1", input="1"),
                      event(3, "op", op="fail", id="r-2"))
        batch = worker.batch()
        equal([(f["operation"], f["parentInstanceId"]) for _, f in batch.operations],
              [("get", "p-1"), ("fail", "p-1")])
        batch.complete('"7"', failure("Bad", "it broke"), state="7")
        last = worker.turn()
        equal(last.new, ["OS", "eventRaised r-1", "eventRaised r-2"])
        answers = {e.eventRaised.name: json.loads(e.eventRaised.input.value)
                   for e in last.request.newEvents if e.HasField("eventRaised")}
        equal(answers["r-1"], {"result": '"7"'})
        equal(answers["r-2"]["failureDetails"]["ErrorMessage"], "it broke")
        last.complete(event(4, "op", op="add", id="r-3", signal=True),
                      event(5, "release", id="c-1"), complete(6))
        equal(names(worker.batch()), ["add"])


@on_both_stores("A42.53 an event to an entity that is no message fails its orchestration")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("p", id="p-1")
        worker.turn().complete(action(1, sendEvent=dict(
            instance=dict(instanceId=TALLY), name="op", data="{")))
        ended = sidecar.wait_for_completion("p-1")
        contains(ended["failureDetails"]["errorMessage"], "action 1", "no JSON object")


@on_both_stores("A42.54 `leasehold entity limit-lock` ends a lock, renews it, or takes its limit "
                "away")
def _(server, sidecar):
    def limit(*args, output="json"):
        return leasehold(f"--address={server.address}", f"--output={output}", "entity",
                         "limit-lock", *args)

    def held():
        shown = leasehold(f"--address={server.address}", "--output=json", "entity", "get", TALLY)
        return json.loads(shown.out).get("lock") if shown.code == 0 else None

    result = limit(TALLY, "5s")
    equal(result.code, 3, "of one that is not locked")
    contains(result.err, "NOT_FOUND", TALLY, "is not locked")
    with sidecar.worker() as worker:
        for n in (1, 2):
            sidecar.start("p", id=f"p-{n}")
            worker.turn().complete(lock(1, f"c-{n}", TALLY))
            if n == 1:
                first = worker.turn()
        equal((held()["holder"], "expire_time" in held()), ("p-1", False), "lock")
        equal(limit(TALLY, "1h", output="table").out, f"The lock of {TALLY} ends in 1h.\n")
        expect("expire_time" in held(), "it has a limit")
        equal(limit(TALLY, "none").code, 0)
        expect("expire_time" not in held(), "it has no limit")
        result = limit(TALLY, "0", "--section=c-2")
        equal(result.code, 3, "of a section that waits")
        contains(result.err, "NOT_FOUND")
        equal(held()["section_id"], "c-1", "section")
        equal(json.loads(limit(TALLY, "0", "--section=c-1").out),
              {"instance_id": TALLY, "done": "limit-lock"}, "what it says")
        second = worker.turn()
        equal((second.id, second.event("entityLockGranted")["criticalSectionId"]),
              ("p-2", "c-2"), "next in line")
        first.complete(complete(2))
        second.complete(complete(2))
