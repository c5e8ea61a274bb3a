"""A42.30 on: workers and clients that are broken or hostile, at the doors of entities.

Each is told clearly, or gets a right answer; others see nothing of it.
"""

from doors import HALF_EMOJI, LATIN_1, MIB, Raw, field
from entities import call_entity, entity, lock, names, tell
from entity_details import A, B, hold, send_signal, start_orchestration, state
from harness import contains, equal, expect, wait_until
from orchestrations import on_both_stores
from sidecar import Turn, complete, refused, schedule_task

KIB = 1 << 10


def healthy(sidecar, worker):
    """Another entity has its signal served; nothing else comes."""
    tell(sidecar, "@other@one", "add")
    batch = worker.batch()
    equal((batch.id, names(batch)), ("@other@one", ["add"]))
    batch.complete(None)


@on_both_stores("A42.30 ids that are not UTF-8, or hold a NUL, are refused at each call, by field")
def _(server, sidecar):
    with Raw(server) as raw:
        for method, request in (
                ("SignalEntity", lambda id: field(1, id) + field(2, b"add")),
                ("GetEntity", lambda id: field(1, id)),
                ("PurgeInstances", lambda id: field(1, id))):
            for bad in (b"@c@" + LATIN_1, b"@c@" + HALF_EMOJI):
                contains(refused("INVALID_ARGUMENT", raw.sidecar, method, request(bad)),
                         "instanceId: is not valid UTF-8")
            contains(refused("INVALID_ARGUMENT", raw.sidecar, method, request(b"@c@a\0b")),
                     "control character U+0000")
        contains(refused("INVALID_ARGUMENT", raw.sidecar, "SignalEntity",
                         field(1, b"@c@a") + field(2, LATIN_1)), "is not valid UTF-8")
        raw.sidecar("QueryEntities", b"")  # Says nothing, asks for all.
    for none in ("", "@", "@c", "@@key"):
        refused("INVALID_ARGUMENT", tell, sidecar, none, "add")
    with sidecar.worker() as worker:
        healthy(sidecar, worker)


@on_both_stores("A42.31 tokens of other work, of none and of nobody complete no batch")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("p", id="p-1")
        worker.turn().complete(schedule_task(1, "t"))
        activity = worker.activity()
        tell(sidecar, A, "add")
        batch = worker.batch()
        contains(refused("INVALID_ARGUMENT", sidecar.call, "CompleteEntityTask",
                         results=[dict(success={})]), "completionToken is empty")
        for token in ("x", "0" * 33, batch.token + "0", batch.token[:-1],
                      activity.token):
            refused("NOT_FOUND", sidecar.call, "CompleteEntityTask", completionToken=token,
                    entityState="stolen", results=[dict(success=dict(result="1"))])
            sidecar.call("AbandonTaskEntityWorkItem", completionToken=token)
        refused("NOT_FOUND", sidecar.call, "CompleteActivityTask", instanceId=A, taskId=1,
                completionToken=batch.token, result="stolen")
        refused("NOT_FOUND", sidecar.call, "CompleteOrchestratorTask", instanceId=A,
                completionToken=batch.token, actions=[complete(1, "stolen")])
        batch.complete("1", state="mine")
        activity.complete("7")
        equal(worker.turn().event("taskCompleted 1")["result"], "7")
        equal(state(sidecar, A), "mine")


@on_both_stores("A42.32 a state or a result that is too large fails what made it, and the state "
                "stays", f"--max-payload={64 * KIB}")
def _(server, sidecar):
    most = "x" * (64 * KIB)
    with sidecar.worker() as worker:
        tell(sidecar, A, "add")
        worker.batch().complete(None, state=most)
        equal(state(sidecar, A), most)
        sidecar.start("p", id="p-1")
        worker.turn().complete(call_entity(1, A, "grow", "r-1"), call_entity(2, A, "get", "r-2"))
        batch = worker.batch()
        equal((batch.state, names(batch)), (most, ["grow", "get"]))
        batch.complete("1", "2", state=most + "x", actions=[send_signal(B, "lost")])
        turn = worker.turn()
        equal(turn.new, ["OS", "entityOperationFailed", "entityOperationFailed"])
        told = turn.event("entityOperationFailed")["failureDetails"]
        equal(told["errorType"], "PayloadTooLarge")
        contains(told["errorMessage"], "state")
        equal(state(sidecar, A), most)
        turn.complete(call_entity(3, A, "get", "r-3"), call_entity(4, A, "get", "r-4"))
        worker.batch().complete(most + "x", "4", state="small")
        turn = worker.turn()
        equal(turn.new, ["OS", "entityOperationFailed", "entityOperationCompleted"])
        equal(state(sidecar, A), "small", "a large result harms its call alone")
        turn.complete(complete(5))
        refused("RESOURCE_EXHAUSTED", tell, sidecar, A, "add", most + "x")
        healthy(sidecar, worker)


@on_both_stores("A42.33 large states are listed in pages that any client can read")
def _(server, sidecar):
    with sidecar.worker() as worker:
        for n in range(12):
            tell(sidecar, f"@large@{n:02}", "add")
            worker.batch().complete(None, state="x" * (MIB // 2))
    found, token = [], None
    while True:
        page = sidecar.call("QueryEntities", query=dict(
            includeState=True, continuationToken=token))
        expect(page.ByteSize() < 4 * MIB, f"a page of {page.ByteSize()} bytes")
        found += [one.instanceId for one in page.entities]
        if not page.HasField("continuationToken"):
            break
        token = page.continuationToken.value
    equal(found, [f"@large@{n:02}" for n in range(12)])
    contains(refused("INVALID_ARGUMENT", sidecar.call, "QueryEntities", query=dict(
        continuationToken="made up")), "continuationToken")


@on_both_stores("A42.34 actions that cannot be done make an answer count for nothing; others of "
                "the worker go on", "--max-deliveries=2")
def _(server, sidecar):
    for actions, why in (
            ([send_signal("nobody", "add")], "@name@key"),
            ([send_signal("@c@" + "x" * 98, "add")], "101"),
            ([start_orchestration("child", "@c@a")], "@"),
            ([start_orchestration("n" * 2000)], "2000"),
            ([{}], "says nothing to do")):
        with sidecar.worker() as worker:
            sidecar.start("p")
            worker.turn().complete(call_entity(1, A, "act"))
            for _ in range(2):
                batch = worker.batch()
                contains(refused("INVALID_ARGUMENT", batch.complete, None, state="lost",
                                 actions=actions), why)
            turn = worker.turn()
            equal(turn.event("entityOperationFailed")["failureDetails"]["errorType"],
                  "DeliveryLimit")
            turn.complete(complete(2))
            equal(entity(sidecar, A), None)
            healthy(sidecar, worker)


@on_both_stores("A42.35 two that ask for the same locks in opposite orders both get them")
def _(server, sidecar):
    hundred = [f"@tally@{n:02}" for n in range(100)]
    with sidecar.worker() as worker:
        for round in range(5):
            ids = [sidecar.start("p", id=f"p-{round}-{n}") for n in range(2)]
            turns = {turn.id: turn for turn in worker.take(2)}
            turns[ids[0]].complete(lock(1, f"c-{round}", *hundred))
            turns[ids[1]].complete(lock(1, f"d-{round}", *reversed(hundred)))
            for _ in ids:
                turn = worker.turn()
                equal(turn.new, ["OS", "entityLockGranted"])
                turn.complete(complete(2))


@on_both_stores("A42.36 a section's id that another uses is no key to its locks")
def _(server, sidecar):
    with sidecar.worker() as worker:
        held = hold(sidecar, worker, "p-1", "c-1", A)
        sidecar.start("q", id="q-1")
        worker.turn().complete(lock(1, "c-1", A), call_entity(2, A, "stolen"))
        worker.quiet()
        equal(entity(sidecar, A), None)
        held.complete(call_entity(2, A, "mine"))
        batch = worker.batch()
        equal(names(batch), ["mine"])
        batch.complete(None, state="1")
        equal(entity(sidecar, A).lockedBy.value, "p-1")
        worker.turn().complete(complete(3))
        turn = worker.next()
        equal((type(turn), turn.id, turn.new), (Turn, "q-1", ["OS", "entityLockGranted"]))


@on_both_stores("A42.37 one that waits for an entity may be terminated and purged: the answer is "
                "dropped, the operation counts, the lock that it waits for goes on")
def _(server, sidecar):
    with sidecar.worker() as worker:
        held = hold(sidecar, worker, "p-1", "c-1", B)
        sidecar.start("q", id="q-1")
        worker.turn().complete(call_entity(1, A, "add"), lock(2, "d-1", B, A))
        batch = worker.batch()
        sidecar.terminate("q-1")
        worker.turn().complete(complete(9, status="TERMINATED"))
        equal(sidecar.wait_for_completion("q-1")["orchestrationStatus"], "TERMINATED")
        equal(sidecar.purge("q-1"), 1)
        batch.complete("1", state="1")
        equal(state(sidecar, A), "1")
        sidecar.start("q", id="q-1")  # Is told nothing of what was before it.
        turn = worker.turn()
        equal(turn.new, ["OS", "executionStarted"])
        turn.complete(complete(1))
        held.complete(complete(2))
        worker.quiet()
        wait_until(lambda: not any(one.HasField("lockedBy") for one in sidecar.call(
            "QueryEntities", query=dict(includeTransient=True)).entities), "no lock is left")
        healthy(sidecar, worker)


@on_both_stores("A42.38 events, terminates and children of orchestrators do not reach entities")
def _(server, sidecar):
    with sidecar.worker() as worker:
        tell(sidecar, A, "add")
        worker.batch().complete(None, state="1")
        refused("INVALID_ARGUMENT", sidecar.start, "p", id=A)
        for call in (lambda: sidecar.raise_event(A, "go"), lambda: sidecar.terminate(A),
                     lambda: sidecar.suspend(A)):
            try:
                call()
            except Exception as error:
                expect(error.code().name in ("NOT_FOUND", "INVALID_ARGUMENT"), repr(error))
        equal(sidecar.get(A), None)
        equal(state(sidecar, A), "1")
        healthy(sidecar, worker)


@on_both_stores("A42.39 a batch that is out while its entity is purged answers nobody twice")
def _(server, sidecar):
    with sidecar.worker() as worker:
        tell(sidecar, A, "add")
        worker.batch().complete(None, state="1")
        sidecar.start("p", id="p-1")
        worker.turn().complete(call_entity(1, A, "get", "r-1"))
        batch = worker.batch()
        equal(batch.state, "1")
        equal(sidecar.purge(A), 1)
        again = worker.batch()
        equal((again.state, names(again)), (None, ["get"]))
        refused("NOT_FOUND", batch.complete, "1", state="1")
        again.complete("none", state=None)
        turn = worker.turn()
        equal(turn.event("entityOperationCompleted")["output"], "none")
        turn.complete(complete(2))
        worker.quiet()
        equal(entity(sidecar, A), None)


@on_both_stores("A42.40 a batch that a worker ignores, as Go's does, goes to another one once it had "
                "it for too long", "--turn-timeout-on-worker=3s")
def _(server, sidecar):
    with sidecar.worker() as ignorant:
        tell(sidecar, A, "add")
        ignored = ignorant.batch()
        with sidecar.worker(filters=dict(orchestrations=[], activities=[],
                                         entities=[dict(name="tally")])) as worker:
            sidecar.start("p", id="p-1")
            ignorant.turn().complete(call_entity(1, B, "get"))  # It knows these well.
            seen = {}

            def work_until(id):
                while id not in seen:
                    batch = worker.batch()
                    seen[batch.id] = names(batch)
                    batch.complete("1", state="1")

            work_until(B)
            turn = ignorant.next()  # Answered at once: turns time out as batches do.
            equal(turn.new, ["OS", "entityOperationCompleted"])
            turn.complete(complete(2))
            work_until(A)
            equal(seen, {A: ["add"], B: ["get"]})
            refused("NOT_FOUND", ignored.complete, "1", state="late")
            equal(state(sidecar, A), "1")
