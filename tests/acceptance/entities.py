"""A42: entities, over the Durable Task protocol, by hand.

SDKs: A18.10, A26.13. What the engine does in which order has tests of its own
(tests/orchestration/engine_entity_test.cc, engine_lock_test.cc).
"""

import signal
import uuid

from harness import Server, check, contains, equal, expect, temporary_folder, wait_until
from orchestrations import on_both_stores
from sidecar import Sidecar, action, complete, failure, now, refused

TALLY = "@tally@a"


def entity_message(id, **which):
    return action(id, sendEntityMessage=which)


def call_entity(id, target, operation, request="r", **more):
    return entity_message(id, entityOperationCalled=dict(
        requestId=request, operation=operation, targetInstanceId=target, **more))


def lock(id, section, *entities):
    return entity_message(id, entityLockRequested=dict(
        criticalSectionId=section, lockSet=entities))


def unlock(id, section, target):
    return entity_message(id, entityUnlockSent=dict(
        criticalSectionId=section, targetInstanceId=target))


def tell(sidecar, id, name, input=None, **more):
    sidecar.call("SignalEntity", instanceId=id, name=name, input=input, **more)


def entity(sidecar, id, state=True):
    answer = sidecar.call("GetEntity", instanceId=id, includeState=state)
    return answer.entity if answer.exists else None


def names(batch):
    return [fields["operation"] for _, fields in batch.operations]


@on_both_stores("A42.1 a signal's request id is a UUID, and its entity's name lower-case")
def _(server, sidecar):
    with sidecar.worker() as worker:
        tell(sidecar, "@Tally@A", "add", "1")
        batch = worker.batch()
        equal(batch.id, "@tally@A")
        equal(batch.state, None, "state")
        [(kind, fields)] = batch.operations
        equal((kind, fields["operation"], fields["input"]),
              ("entityOperationSignaled", "add", "1"))
        uuid.UUID(fields["requestId"])
        expect(batch.request.operationRequests[0].HasField("timestamp"), "timestamp")
        batch.complete("1", state="1")
        found = entity(sidecar, "@tally@A")
        equal(found.serializedState.value, "1")
        expect(0 < found.lastModifiedTime.ToNanoseconds() <= now() + 1e9, "modified")
        expect(not entity(sidecar, "@tally@A", False).HasField("serializedState"),
               "a state that was not asked for")


@on_both_stores("A42.2 an entity exists once it has a state, and until it has none")
def _(server, sidecar):
    with sidecar.worker() as worker:
        equal(entity(sidecar, TALLY), None)
        tell(sidecar, TALLY, "add")
        batch = worker.batch()
        equal(entity(sidecar, TALLY), None, "before its first operation has ended")
        batch.complete(None, state="")
        expect(entity(sidecar, TALLY), "an empty state is a state")
        tell(sidecar, TALLY, "delete")
        worker.batch().complete(None)
        equal(entity(sidecar, TALLY), None, "after its deletion")


@on_both_stores("A42.3 an id of 101 characters, and one that is no entity's, are refused")
def _(server, sidecar):
    contains(refused("INVALID_ARGUMENT", tell, sidecar, "@c@" + "x" * 98, "add"), "length")
    contains(refused("INVALID_ARGUMENT", tell, sidecar, "counter", "add"), "@name@key")


@on_both_stores("A42.4 a call is answered by its request id, in the execution that called")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("p", id="p-1")
        turn = worker.turn()
        turn.complete(call_entity(1, TALLY, "get", "r-1"),
                      call_entity(2, TALLY, "fail", "r-2"))
        batch = worker.batch()
        equal([(f["parentInstanceId"], f["parentExecutionId"]) for _, f in batch.operations],
              [("p-1", turn.execution)] * 2)
        batch.complete("7", failure("Bad", "it broke"), state="7")
        last = worker.turn()
        equal(last.new, ["OS", "entityOperationCompleted", "entityOperationFailed"])
        answered = last.event("entityOperationCompleted")
        equal((answered["requestId"], answered["output"]), ("r-1", "7"))
        failed = last.event("entityOperationFailed")
        equal((failed["requestId"], failed["failureDetails"]["errorMessage"]),
              ("r-2", "it broke"))
        last.complete(complete(3))


@on_both_stores("A42.5 answers that come too late, and work that is given back")
def _(server, sidecar):
    with sidecar.worker() as worker:
        tell(sidecar, TALLY, "add")
        first = worker.batch()
        first.abandon()
        again = worker.batch()
        refused("NOT_FOUND", first.complete, None, state="late")
        again.complete(None, state="1")
        refused("NOT_FOUND", again.complete, None, state="twice")
        again.abandon()  # Nothing happens.
        equal(entity(sidecar, TALLY).serializedState.value, "1")


@on_both_stores("A42.6 a lock is one holder's; others come after it, in order")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("p", id="p-1")
        worker.turn().complete(lock(1, "c-1", TALLY, "@tally@b"))
        held = worker.turn()
        equal(held.event("entityLockGranted")["criticalSectionId"], "c-1")
        tell(sidecar, TALLY, "theirs")
        held.complete(call_entity(2, TALLY, "mine"))
        batch = worker.batch()
        equal(names(batch), ["mine"])
        batch.complete("1", state="1")
        found = entity(sidecar, TALLY)
        equal((found.lockedBy.value, found.backlogQueueSize), ("p-1", 1))
        worker.turn().complete(unlock(3, "c-1", TALLY), unlock(4, "c-1", "@tally@b"),
                               complete(5))
        equal(names(worker.batch()), ["theirs"])


@on_both_stores("A42.7 lists: only those with a state, in pages; at the end no token")
def _(server, sidecar):
    with sidecar.worker() as worker:
        for key in "cabd":
            tell(sidecar, f"@tally@{key}", "add")
            worker.batch().complete(None, state=key)
        tell(sidecar, "@tally@z", "add", scheduledTime=now(3600))
        found, token, pages = [], None, 0
        while True:
            pages += 1
            page = sidecar.call("QueryEntities", query=dict(
                instanceIdStartsWith="@Tally@", includeState=True, pageSize=2,
                continuationToken=token))
            found += [(e.instanceId, e.serializedState.value) for e in page.entities]
            if not page.HasField("continuationToken"):
                break
            token = page.continuationToken.value
            expect(token not in ("", "0"), f"token {token!r}")
        equal(found, [(f"@tally@{key}", key) for key in "abcd"])
        equal(pages, 2, "pages: one that is just full is the last one")
        page = sidecar.call("QueryEntities", query=dict(includeTransient=True))
        equal(len(page.entities), 5, "with those without a state")


@on_both_stores("A42.8 a purge of its id takes the state")
def _(server, sidecar):
    with sidecar.worker() as worker:
        tell(sidecar, TALLY, "add")
        worker.batch().complete(None, state="1")
        equal(sidecar.purge(TALLY), 1)
        equal(sidecar.purge(TALLY), 0)
        equal(entity(sidecar, TALLY), None)


@check("A42.9 a server that is killed has all messages, locks and states afterwards")
def _():
    with temporary_folder() as folder:
        with Server(f"--data={folder}") as server:
            sidecar = Sidecar(server)
            with sidecar.worker() as worker:
                tell(sidecar, TALLY, "add")
                worker.batch().complete(None, state="1")
                sidecar.start("p", id="p-1")
                worker.turn().complete(lock(1, "c-1", TALLY))
                worker.turn()
                tell(sidecar, TALLY, "later")
                tell(sidecar, "@tally@b", "add")
                worker.batch()
                server.end(signal.SIGKILL)
        with Server(f"--data={folder}") as server:
            sidecar = Sidecar(server)
            found = entity(sidecar, TALLY)
            equal((found.serializedState.value, found.lockedBy.value, found.backlogQueueSize),
                  ("1", "p-1", 1))
            with sidecar.worker() as worker:
                items = {type(item).__name__: item for item in (worker.next(), worker.next())}
                equal(names(items["Batch"]), ["add"])
                items["Turn"].complete(complete(2))
                batch = worker.batch()
                equal((batch.id, batch.state, names(batch)), (TALLY, "1", ["later"]))
