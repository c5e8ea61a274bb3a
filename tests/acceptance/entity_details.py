"""A42.10 on: what the Durable Task protocol says of entities, clause by clause.

What is tested elsewhere: a request id that nobody gave, what exists when, answers by
request id, who may call while it is locked, pages and purges (entities.py); the retry's
delay and the order of batches (tests/orchestration/engine_entity_test.cc); that
`entityParameters` are set (A20.6).
"""

import uuid

from entities import (
    call_entity, entity, entity_message, lock, names, tell, unlock)
from harness import equal, expect, wait_until
from orchestrations import on_both_stores
from sidecar import (
    Turn, complete, continue_as_new, fail, failure, kind_of, now, refused)

A, B = "@tally@a", "@tally@b"
SOON_S = 0.5


def signal_entity(id, target, operation, request="s", **more):
    return entity_message(id, entityOperationSignaled=dict(
        requestId=request, operation=operation, targetInstanceId=target, **more))


def send_signal(target, operation, **more):
    return dict(sendSignal=dict(instanceId=target, name=operation, **more))


def start_orchestration(name, id="", **more):
    return dict(startNewOrchestration=dict(name=name, instanceId=id, **more))


def state(sidecar, id):
    found = entity(sidecar, id)
    return found and found.serializedState.value


def by_kind(worker, count):
    """So many items that come in any order: {"Batch": [...], "Turn": [...]}"""
    found = {}
    for item in worker.take(count):
        found.setdefault(type(item).__name__, []).append(item)
    return found


def hold(sidecar, worker, id="p-1", section="c-1", *entities):
    """The turn of an orchestration that has the locks."""
    sidecar.start("p", id=id)
    worker.turn().complete(lock(1, section, *(entities or [A])))
    held = worker.turn()
    equal(held.event("entityLockGranted")["criticalSectionId"], section)
    return held


# ---- Identity and state (2.16.1) --------------------------------------------

@on_both_stores("A42.10 an entity's name is lower-case wherever an id comes in, its key as it is")
def _(server, sidecar):
    mixed, id = "@TalLy@K@y", "@tally@K@y"
    with sidecar.worker(filters=dict(orchestrations=[dict(name="p")],
                                     entities=[dict(name="TALLY")])) as worker:
        tell(sidecar, mixed, "add")
        batch = worker.batch()
        equal(batch.id, id, "of a signal, for a filter in upper case")
        batch.complete(None, state="1", actions=[send_signal("@TALLY@K@y", "again")])
        batch = worker.batch()
        equal((batch.id, names(batch)), (id, ["again"]), "of a signal by an entity")
        batch.complete(None, state="2")
        equal(state(sidecar, mixed), "2", "of GetEntity")
        [found] = sidecar.call("QueryEntities", query=dict(
            instanceIdStartsWith="@TALLY@K")).entities
        equal(found.instanceId, id, "of QueryEntities")
        equal(len(sidecar.call("QueryEntities", query=dict(
            instanceIdStartsWith="@tally@k")).entities), 0, "with another key")

        sidecar.start("p", id="p-1")
        worker.turn().complete(lock(1, "c-1", mixed))
        worker.turn().complete(call_entity(2, mixed, "mine"))
        equal(entity(sidecar, id).lockedBy.value, "p-1")
        batch = worker.batch()
        equal(batch.id, id, "of a call")
        batch.complete(None, state="3")
        worker.turn().complete(unlock(3, "c-1", mixed), signal_entity(4, mixed, "theirs"),
                               complete(5))
        batch = worker.batch()
        equal((batch.id, names(batch)), (id, ["theirs"]), "of an unlock and a signal")
        batch.complete(None, state="4")
        equal(sidecar.purge(mixed), 1, "of a purge")


@on_both_stores("A42.11 one that has no state, no queue and no lock leaves nothing behind")
def _(server, sidecar):
    def transient():
        return [e.instanceId for e in sidecar.call(
            "QueryEntities", query=dict(includeTransient=True)).entities]
    with sidecar.worker() as worker:
        tell(sidecar, A, "add")
        batch = worker.batch()
        equal(transient(), [A], "while it has a queue")
        batch.complete(None)
        wait_until(lambda: transient() == [], "nothing is left of it")
        held = hold(sidecar, worker)
        equal(transient(), [A], "while it is locked")
        equal(entity(sidecar, A), None, "a lock is no state")
        held.complete(unlock(2, "c-1", A), complete(3))
        wait_until(lambda: transient() == [], "nothing is left of it")


# ---- What comes in (2.16.2) -------------------------------------------------

@on_both_stores("A42.12 a signal keeps its request id; what an entity sends gets a UUID")
def _(server, sidecar):
    with sidecar.worker() as worker:
        tell(sidecar, A, "add", "1", requestId="mine")
        batch = worker.batch()
        [(kind, fields)] = batch.operations
        equal((kind, fields["requestId"]), ("entityOperationSignaled", "mine"))
        batch.complete(None, state="1", actions=[send_signal(B, "add", input="2")])
        [(kind, fields)] = worker.batch().operations
        equal((kind, fields["operation"], fields["input"]),
              ("entityOperationSignaled", "add", "2"))
        uuid.UUID(fields["requestId"])


@on_both_stores("A42.13 signals and calls for later come when they are due, and hold nothing up")
def _(server, sidecar):
    due = now(SOON_S)
    with sidecar.worker() as worker:
        sidecar.start("p", id="p-1")
        worker.turn().complete(
            call_entity(1, A, "called late", scheduledTime=due),
            signal_entity(2, A, "told late", scheduledTime=due),
            signal_entity(3, A, "at once"))
        batch = worker.batch()
        equal(names(batch), ["at once"])
        batch.complete(None, state="1", actions=[
            send_signal(A, "from itself, late", scheduledTime=due)])
        late = []
        while len(late) < 3:
            batch = worker.batch()
            expect(now() >= due, "early")
            late += names(batch)
            batch.complete(*(None for _ in batch.operations), state="2")
        equal(late, ["called late", "told late", "from itself, late"])
        equal(worker.turn().new, ["OS", "entityOperationCompleted"])


@on_both_stores("A42.14 an entity id that is none, or too long, fails who named it, by name")
def _(server, sidecar):
    long = "@c@" + "x" * 98
    for what, wanted in (
            (call_entity(1, long, "add"), "101"),
            (signal_entity(1, "tally", "add"), "@name@key"),
            (lock(1, "c-1", A, long), "101"),
            (lock(1, "c-1"), "1 to 100 entities"),
            (lock(1, "c-1", *(f"@c@{n}" for n in range(10_000))), "1 to 100 entities")):
        with sidecar.worker() as worker:
            id = sidecar.start("p")
            worker.turn().complete(what)
            ended = sidecar.wait_for_completion(id)
            equal(ended["orchestrationStatus"], "FAILED")
            said = ended["failureDetails"]["errorMessage"]
            expect(wanted in said, f"{wanted!r} is not in {said!r}")
            worker.quiet()


# ---- Batches (2.16.3, 2.16.4) -----------------------------------------------

@on_both_stores("A42.15 one batch at a time, with one execution id while its entity lives, "
                "in order and of 500 operations at most")
def _(server, sidecar):
    with sidecar.worker() as worker:
        tell(sidecar, A, "first")
        first = worker.batch()
        for n in range(510):
            tell(sidecar, A, str(n))
        worker.quiet()
        expect(first.execution, "no execution id")
        first.complete(None, state="x")
        seen = []
        while len(seen) < 510:
            batch = worker.batch()
            equal(batch.execution, first.execution, "execution id")
            equal(batch.state, "x")
            expect(len(names(batch)) <= 500, f"{len(names(batch))} operations")
            seen += names(batch)
            batch.complete(*(None for _ in batch.operations), state="x")
        equal(seen, [str(n) for n in range(510)])


@on_both_stores("A42.16 a batch that failed as a whole has changed nothing, and comes again")
def _(server, sidecar):
    with sidecar.worker() as worker:
        tell(sidecar, A, "add")
        worker.batch().complete(None, state="1")
        tell(sidecar, A, "add")
        tell(sidecar, A, "add")
        for more in (dict(failureDetails=failure("Broken", "no room")),
                     dict(requiresState=True)):
            batch = worker.batch()
            batch.complete(None, state="lost", actions=[send_signal(B, "lost")], **more)
            equal(state(sidecar, A), "1", f"after {more}")
        done = 0
        while done < 2:
            batch = worker.batch()
            equal((batch.id, batch.state), (A, str(done + 1)), "it is the same as before")
            done += len(names(batch))
            batch.complete(*(None for _ in batch.operations), state=str(done + 1))
        worker.quiet()


@on_both_stores("A42.17 operations without a result stay at the head; results of none are dropped")
def _(server, sidecar):
    with sidecar.worker() as worker:
        tell(sidecar, A, "first")
        first = worker.batch()
        for name in "abc":
            tell(sidecar, A, name)
        first.complete("1", "of nothing", "of nothing either", state="1")
        batch = worker.batch()
        tell(sidecar, A, "d")
        equal(names(batch), ["a", "b", "c"])
        batch.complete("2", state="2")
        batch = worker.batch()
        equal((batch.state, names(batch)), ("2", ["b", "c", "d"]))
        batch.complete("3", "4", "5", state="5")
        equal(state(sidecar, A), "5")
        worker.quiet()


@on_both_stores("A42.18 an answer without a result changes nothing: its batch comes again, later, "
                "and in the end its first operation fails", "--max-deliveries=3")
def _(server, sidecar):
    with sidecar.worker() as worker:
        tell(sidecar, A, "add")
        worker.batch().complete(None, state="1")
        sidecar.start("p", id="p-1")
        worker.turn().complete(call_entity(1, A, "get", "r-1"))
        for _ in range(3):
            batch = worker.batch()
            equal((batch.state, names(batch)), ("1", ["get"]))
            batch.complete(state="lost", actions=[send_signal(B, "lost")])
        failed = worker.turn().event("entityOperationFailed")
        equal(failed["failureDetails"]["errorType"], "DeliveryLimit")
        equal(state(sidecar, A), "1")
        worker.quiet()


@on_both_stores("A42.19 an operation of a signal that fails tells nobody; its batch is done")
def _(server, sidecar):
    with sidecar.worker() as worker:
        tell(sidecar, A, "breaks")
        worker.batch().complete(failure("Bad", "it broke"), state="kept")
        equal(state(sidecar, A), "kept")
        worker.quiet()


@on_both_stores("A42.20 what a batch does to others is done in order; a start of what is active "
                "is ignored, and one without an id gets one")
def _(server, sidecar):
    with sidecar.worker(filters=dict(entities=[dict(name="tally")])) as worker:
        sidecar.start("child", "first", id="c-1")
        tell(sidecar, A, "all")
        worker.batch().complete(None, state="1", actions=[
            send_signal(B, "one"), start_orchestration("child", "c-1", input="second"),
            start_orchestration("child", "c-2", input="in", version="1.5"),
            start_orchestration("child"), send_signal(B, "two")])
        batch = worker.batch()
        seen = names(batch)
        batch.complete(*(None for _ in seen), state="1")
        if len(seen) == 1:
            seen += names(worker.batch())
        equal(seen, ["one", "two"])
        wait_until(lambda: len(sidecar.query()) == 3, "all are started")
        children = {child["instanceId"]: sidecar.get(child["instanceId"])
                    for child in sidecar.query()}
        equal(children.pop("c-1")["input"], "first")
        second = children.pop("c-2")
        equal((second["name"], second["input"], second["version"]), ("child", "in", "1.5"))
        [(id, nameless)] = children.items()
        expect(id and not id.startswith("@"), f"id {id!r}")
        equal(nameless["name"], "child")


@on_both_stores("A42.21 an answer comes after its worker's stream was closed, and once")
def _(server, sidecar):
    with sidecar.worker() as worker:
        tell(sidecar, A, "add")
        batch = worker.batch()
    with sidecar.worker() as worker:
        again = worker.batch()
        again.complete(None, state="1")
        refused("NOT_FOUND", batch.complete, None, state="late")
        equal(state(sidecar, A), "1")
        worker.quiet()


# ---- Locks (2.16.5) ---------------------------------------------------------

@on_both_stores("A42.22 only calls of the holder pass a lock; all else keeps its place")
def _(server, sidecar):
    with sidecar.worker() as worker:
        held = hold(sidecar, worker, "p-1", "c-1", A, B)
        sidecar.start("q", id="q-1")
        worker.turn().complete(call_entity(1, A, "of another"))
        tell(sidecar, A, "signal")
        held.complete(signal_entity(2, A, "of the holder"), call_entity(3, A, "mine"))
        batch = worker.batch()
        equal(names(batch), ["mine"])
        batch.complete(None, state="1")
        worker.turn().complete(unlock(4, "another", A), unlock(5, "c-1", "@tally@else"))
        worker.quiet()
        equal(entity(sidecar, A).lockedBy.value, "p-1", "unlocks of other sections count not")
        sidecar.raise_event("p-1", "go")
        worker.turn().complete(unlock(6, "c-1", A))
        equal(names(worker.batch()), ["of another", "signal", "of the holder"])


@on_both_stores("A42.23 a lock waits for what came before it, and never goes to a worker")
def _(server, sidecar):
    with sidecar.worker() as worker:
        tell(sidecar, A, "before")
        batch = worker.batch()
        tell(sidecar, A, "before, too")
        sidecar.start("p", id="p-1")
        worker.turn().complete(lock(1, "c-1", A))
        wait_until(lambda: sidecar.call("QueryEntities", query=dict(
            includeTransient=True)).entities[0].backlogQueueSize == 3, "the lock waits")
        tell(sidecar, A, "after")
        batch.complete(None, state="1")
        batch = worker.batch()
        equal(names(batch), ["before, too"])
        batch.complete(None, state="1")
        held = worker.turn()
        equal(held.new, ["OS", "entityLockGranted"])
        worker.quiet()
        held.complete(complete(2))
        equal(names(worker.batch()), ["after"])


@on_both_stores("A42.24 an entity that a set names twice is locked once")
def _(server, sidecar):
    with sidecar.worker() as worker:
        held = hold(sidecar, worker, "p-1", "c-1", A, A, B, A, "@TALLY@b")
        tell(sidecar, A, "next")
        held.complete(unlock(2, "c-1", A), unlock(3, "c-1", B), complete(4))
        equal(names(worker.batch()), ["next"])


ENDS = {
    "completes": lambda sidecar, held: held.complete(complete(9)),
    "fails": lambda sidecar, held: held.complete(fail(9, "Bad", "it broke")),
    "continues as new": lambda sidecar, held: held.complete(continue_as_new(9)),
}


@on_both_stores("A42.25 a holder that ends in its turn has no locks, and asks for none")
def _(server, sidecar):
    for how, end in ENDS.items():
        with sidecar.worker() as worker:
            id = f"p-{how}"
            held = hold(sidecar, worker, id, f"c-{how}", A, B)
            tell(sidecar, B, how)
            sidecar.start("q", id=f"q-{how}")
            worker.turn().complete(lock(1, f"d-{how}", A))
            end(sidecar, held)
            wanted = 3 if how == "continues as new" else 2
            items = by_kind(worker, wanted)
            [batch] = items["Batch"]
            equal(names(batch), [how])
            batch.complete(None)
            turns = {turn.id: turn for turn in items["Turn"]}
            equal(turns[f"q-{how}"].new, ["OS", "entityLockGranted"], how)
            for turn in turns.values():
                turn.complete(complete(2))


@on_both_stores("A42.26 nor has one that is terminated, or replaced while it runs")
def _(server, sidecar):
    def terminate(id):
        sidecar.terminate(id)

    def replace(id):
        sidecar.start("elsewhere", id=id, replaceable=["RUNNING", "TERMINATED"])
    for end in (terminate, replace):
        with sidecar.worker(filters=dict(
                orchestrations=[dict(name="p")], entities=[dict(name="tally")])) as worker:
            id = f"p-{end.__name__}"
            hold(sidecar, worker, id, f"c-{id}", A, B).complete()
            tell(sidecar, B, id)
            equal(sidecar.purge(id), 0, "a holder is not purged while it runs")
            worker.quiet()
            end(id)
            item = worker.next()
            while isinstance(item, Turn):  # Its worker is told of the end.
                item.complete(complete(9, status="TERMINATED"))
                item = worker.next()
            equal((item.id, names(item)), (B, [id]))
            item.complete(None)
            equal(entity(sidecar, A), None)


# ---- Calls of clients (2.16.6) ----------------------------------------------

@on_both_stores("A42.27 lists by time: from inclusive, to exclusive; and there is nothing to clean")
def _(server, sidecar):
    with sidecar.worker() as worker:
        times = []
        for key in "ab":
            tell(sidecar, f"@tally@{key}", "add")
            worker.batch().complete(None, state="1")
            times.append(entity(
                sidecar, f"@tally@{key}").lastModifiedTime.ToNanoseconds())
            wait_until(lambda: now() > times[-1] + 2_000_000, "time passes")

        def ids(**query):
            return [e.instanceId for e in sidecar.call("QueryEntities", query=query).entities]
        equal(ids(lastModifiedFrom=times[0]), [A, B], "from")
        equal(ids(lastModifiedFrom=times[1]), [B], "from")
        equal(ids(lastModifiedTo=times[1]), [A], "to")
        equal(ids(lastModifiedFrom=times[0], lastModifiedTo=times[0]), [], "of no time")
        answer = sidecar.call("CleanEntityStorage", removeEmptyEntities=True,
                              releaseOrphanedLocks=True)
        equal((answer.emptyEntitiesRemoved, answer.orphanedLocksReleased,
               answer.HasField("continuationToken")), (0, 0, False))


# ---- The checklist of surprises (6.6, 6.10) ---------------------------------

@on_both_stores("A42.28 actions on entities may have any numbers, in any order, and the same one")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("p", id="p-1")
        worker.turn().complete(signal_entity(7, A, "one"), call_entity(0, A, "two"),
                               signal_entity(7, A, "three"), signal_entity(3, A, "four"))
        seen = []
        while len(seen) < 4:
            batch = worker.batch()
            seen += names(batch)
            batch.complete(*(None for _ in batch.operations), state="1")
        equal(seen, ["one", "two", "three", "four"])
        turn = worker.turn()
        equal([kind_of(event) for event in turn.request.pastEvents][2:], [
            "entityOperationSignaled", "entityOperationCalled", "entityOperationSignaled",
            "entityOperationSignaled"])
        turn.complete(complete(1))


@on_both_stores("A42.29 a turn that continues as new still sends what it has for entities; their "
                "answers are for the execution that asked")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("p", id="p-1")
        worker.turn().complete(signal_entity(1, A, "told"), call_entity(2, A, "asked"),
                               continue_as_new(3, "again"))
        items = by_kind(worker, 2)
        [batch], [turn] = items["Batch"], items["Turn"]
        equal(names(batch), ["told", "asked"])
        batch.complete(None, "late", state="1")
        equal(turn.new, ["OS", "executionStarted"])
        turn.complete()
        worker.quiet()
