"""A21: work of orchestrations: who gets it, when, and who has it back.

Workers and clients that are broken are in broken_workers.py.
Spoken raw (tests/interop/sidecar.py), each check with both stores.
"""

import contextlib
import signal
import time

from grpc_calls import INSTANCES, call, pins
from harness import Server, check, equal, expect, temporary_folder, wait_until
from orchestrations import on_both_stores
from sidecar import (Activity, Sidecar, Turn, complete, create_timer, now, refused,
                     schedule_task)

# From the end of a worker's stream until others have its work. What is promised is
# 100 ms, of a machine that has nothing else to do.
AT_ONCE_S = 0.1
BUSY_MACHINE = 10


def turns_only(*names):
    return {"orchestrations": [{"name": name} for name in names]}


def activities_only(*names):
    return {"activities": [{"name": name} for name in names]}


BUSY = {"orchestrations": [{"name": "busy"}], "activities": [{"name": "act"}]}


def start_with_activities(sidecar, id, *names):
    """One that waits for these activities; no worker for all work is there yet."""
    name = f"starter-{time.monotonic_ns()}"
    with sidecar.worker(filters=turns_only(name)) as worker:
        sidecar.start(name, id=id)
        worker.turn().complete(*[schedule_task(i, name)
                                 for i, name in enumerate(names)])


# ---- Streams ----------------------------------------------------------------

@on_both_stores("A21.1 a ping comes as soon as the stream is open")
def _(server, sidecar):
    with sidecar.worker() as worker:
        wait_until(lambda: worker.pings == 1, "a ping")
        worker.quiet()
        equal(worker.pings, 1, "pings")


@check("A21.2 a silent stream is pinged every 30 s at least")
def _():
    with Server("--store=memory") as server, Sidecar(server).worker() as worker:
        wait_until(lambda: worker.pings >= 1, "a ping")
        start = time.monotonic()
        wait_until(lambda: worker.pings >= 2, "another one")
        expect(time.monotonic() - start <= 30, "came too late")


@on_both_stores("A21.3 a stream has as many items of each kind as it asked for, and the next "
                "one as soon as one is done")
def _(server, sidecar):
    with sidecar.worker(turns=3, activities=2) as worker:
        for _ in range(10):
            sidecar.start("busy")
        turns = [worker.turn() for _ in range(3)]
        worker.quiet()
        for left in range(7, 0, -1):
            turns.pop(0).complete()
            turns.append(worker.turn())
            if left in (7, 1):
                worker.quiet(0.2)
        for turn in turns:
            turn.complete()
        worker.quiet()
    start_with_activities(sidecar, "a-1", *["act"] * 5)
    with sidecar.worker(turns=3, activities=2) as worker:
        activities = [worker.activity() for _ in range(2)]
        worker.quiet()
        for _ in range(3):
            activities.pop(0).complete()
            got = [worker.next() for _ in range(2)]
            activities += [item for item in got if isinstance(item, Activity)]
            turn = next(item for item in got if isinstance(item, Turn))
            turn.complete()


@on_both_stores("A21.4 a stream that states no limit has one: 100 turns and 100 activities")
def _(server, sidecar):
    start_with_activities(sidecar, "a-1", *["act"] * 150)
    for _ in range(150):
        sidecar.start("busy")
    with sidecar.worker() as worker:
        items = worker.take(200)
        worker.quiet()
        equal((sum(isinstance(item, Turn) for item in items),
               sum(isinstance(item, Activity) for item in items)), (100, 100), "items")


@on_both_stores("A21.5 filters choose by name, whatever its case; an empty list is none of that "
                "kind")
def _(server, sidecar):
    with contextlib.ExitStack() as stack:
        def worker(**filters):
            return stack.enter_context(sidecar.worker(filters=filters))
        nothing = worker()
        a = worker(orchestrations=[{"name": "ALPHA"}])
        b = worker(orchestrations=[{"name": "beta"}, {"name": "gamma"}],
                   activities=[{"name": "Act"}])
        for name in ("Alpha", "Beta", "Gamma", "Delta", "Alph", "Alphabet"):
            sidecar.start(name, id=name)
        equal(a.turn().id, "Alpha", "turn")
        got = {turn.id: turn for turn in (b.turn(), b.turn())}
        equal(set(got), {"Beta", "Gamma"}, "turns")
        got["Beta"].complete(schedule_task(1, "aCT"), schedule_task(2, "other"))
        equal(b.activity().name, "aCT", "activity")
        for one in (nothing, a, b):
            one.quiet(0.2)
        everything = stack.enter_context(sidecar.worker())
        equal({item.id for item in everything.take(4)},
              {"Delta", "Alph", "Alphabet", "Beta"}, "what is left")


@on_both_stores("A21.6 filters choose by version; an empty one is none; an activity without "
                "one has its orchestration's")
def _(server, sidecar):
    with contextlib.ExitStack() as stack:
        def worker(*versions):
            return stack.enter_context(sidecar.worker(filters=dict(
                orchestrations=[dict(name="o", versions=versions)],
                activities=[dict(name="act", versions=versions)])))
        one, two, none = worker("1"), worker("2", "3"), worker("")
        workers = {"1": one, "3": two, None: none, "": none}
        for version, who in workers.items():
            sidecar.start("o", id=f"v{version}", version=version)
            turn = who.turn()
            equal(turn.id, f"v{version}", "turn")
            turn.complete(schedule_task(1, "act"), schedule_task(2, "act", version="2"))
            if who is two:
                equal({two.activity().task_id, two.activity().task_id}, {1, 2}, "ids")
            else:
                equal((who.activity().task_id, two.activity().task_id), (1, 2), "ids")
        sidecar.start("o", id="v4", version="4")
        for who in (one, two, none):
            who.quiet(0.2)
        equal(worker().turn().id, "v4", "for one that takes any version")


@on_both_stores("A21.7 two workers have equal shares; one without a free slot delays nothing")
def _(server, sidecar):
    with sidecar.worker(turns=20) as one, sidecar.worker(turns=20) as two, \
            sidecar.worker(turns=1) as small:
        for _ in range(21):
            sidecar.start("busy")
        for worker, count in ((one, 10), (two, 10), (small, 1)):
            items = worker.take(count)
            worker.quiet(0.2)
            equal(len(items), count, "share")


@on_both_stores("A21.8 a name that no worker wants waits without an end, and delays nothing")
def _(server, sidecar):
    with sidecar.worker(filters=turns_only("wanted")) as worker:
        for _ in range(300):
            sidecar.begin("StartInstance", name="unwanted")
        for i in range(20):
            sidecar.start("wanted", id=f"w-{i}")
            turn = worker.turn()
            equal(turn.id, f"w-{i}", "turn")
            turn.complete(complete(1))


@on_both_stores("A21.9 what waited longest goes first")
def _(server, sidecar):
    ids = [sidecar.start("busy", id=f"a-{i:02}") for i in range(30)]
    with sidecar.worker(turns=1) as worker:
        for id in ids:
            turn = worker.turn()
            equal(turn.id, id, "turn")
            turn.complete()


# ---- Workers that go --------------------------------------------------------

@on_both_stores("A21.10 what a worker had goes to others at once when its stream ends, in its "
                "order, with new tokens")
def _(server, sidecar):
    waits = []
    for _ in range(5):
        other = Sidecar(server)
        with sidecar.worker(filters=BUSY) as rest, other.worker(filters=BUSY) as worker:
            wait_until(lambda: rest.pings and worker.pings, "both streams")
            start_with_activities(sidecar, "", "act", "act")
            sidecar.start("busy"), sidecar.start("busy")
            mine, others = worker.take(2), rest.take(2)
            rest.quiet(0.1)
            start = time.monotonic()
            worker.stream.cancel()
            got = rest.take(2)
            waits.append(time.monotonic() - start)
            equal(sorted((i.id, type(i)) for i in got),
                  sorted((i.id, type(i)) for i in mine), "items")
            for item in got:
                expect(item.token not in [i.token for i in mine], "an old token")
                item.complete()
            for item in mine:
                refused("NOT_FOUND", item.complete)
            for item in others:
                item.complete()
    expect(min(waits) <= AT_ONCE_S and max(waits) <= AT_ONCE_S * BUSY_MACHINE,
           f"took {waits} s")


@on_both_stores("A21.11 a worker may finish what it has after its stream has ended, unless it "
                "was handed out again")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("busy", id="a-1")
        turn = worker.turn()
    time.sleep(0.1)
    turn.complete(schedule_task(1, "act"), custom_status='"late"')
    equal(sidecar.get("a-1")["customStatus"], '"late"', "custom status")
    with sidecar.worker() as worker:
        activity = worker.activity()
    time.sleep(0.1)
    activity.complete('"late"')
    with sidecar.worker() as worker:
        turn = worker.turn()
        equal(turn.event("taskCompleted 1")["result"], '"late"', "result")
    with sidecar.worker() as worker:
        again = worker.turn()
        equal((again.past, again.new[1:]), (turn.past, turn.new[1:]), "the same turn")
        refused("NOT_FOUND", turn.complete, complete(2, '"old"'))
        again.complete(complete(2, '"new"'))
    equal(sidecar.get("a-1")["output"], '"new"', "output")


@on_both_stores("A21.12 the second completion of an item is NOT_FOUND, also a moment after the "
                "first; nothing is done twice")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("busy", id="a-1")
        turn = worker.turn()
        calls = [sidecar.begin(
            "CompleteOrchestratorTask", instanceId="a-1", completionToken=turn.token,
            actions=[schedule_task(1, "act")]) for _ in range(5)]
        equal(sorted(c.exception().code().name if c.exception() else "OK"
                     for c in calls), ["NOT_FOUND"] * 4 + ["OK"], "codes")
        activity = worker.activity()
        calls = [sidecar.begin(
            "CompleteActivityTask", instanceId="a-1", taskId=1,
            completionToken=activity.token) for _ in range(5)]
        equal(sorted(c.exception().code().name if c.exception() else "OK"
                     for c in calls), ["NOT_FOUND"] * 4 + ["OK"], "codes")
        turn = worker.turn()
        equal(turn.new, ["OS", "taskCompleted 1"], "events")
        turn.complete(complete(2))
        activity.complete()  # Nobody wants it any more.
        for token in (turn.token, "never-given"):
            refused("NOT_FOUND", turn.complete, token=token)
        worker.quiet()


@on_both_stores("A21.13 an item may be completed without its token, as Go does")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("busy", id="a-1")
        worker.turn().complete(schedule_task(0, "zero"), schedule_task(1, "one"), token="")
        activities = {a.name: a for a in (worker.activity(), worker.activity())}
        activities["one"].complete('"one"', token="")
        turn = worker.turn()
        equal(turn.event("taskCompleted 1")["result"], '"one"', "result")
        turn.complete(token="")
        activities["zero"].complete('"zero"', token="")
        turn = worker.turn()
        equal(turn.event("taskCompleted 0")["result"], '"zero"', "result")
        turn.complete(complete(2), token="")
        # Dropped: workers without tokens take an error for a broken connection.
        for item in (turn, activities["one"]):
            item.complete(token="")
        sidecar.start("unwanted", id="a-2", start_at=now(3600))
        sidecar.call("CompleteOrchestratorTask", instanceId="a-2",
                     actions=[complete(1)])
        sidecar.call("CompleteActivityTask", instanceId="a-2")
        equal(sidecar.status("a-2"), "PENDING", "status")


@on_both_stores("A21.14 abandoned work comes again, a while later and to another worker first; "
                "an unknown token is OK")
def _(server, sidecar):
    for method in ("AbandonTaskOrchestratorWorkItem", "AbandonTaskActivityWorkItem"):
        sidecar.call(method, completionToken="never-given")
        sidecar.call(method)
    for kind in (Turn, Activity):
        with contextlib.ExitStack() as stack:
            one, two = (stack.enter_context(sidecar.worker(
                filters=turns_only("busy") if kind is Turn else activities_only("busy")))
                for _ in range(2))
            if kind is Turn:
                sidecar.start("busy")
            else:
                start_with_activities(sidecar, "", "busy")
            wait_until(lambda: not (one.items.empty() and two.items.empty()), "work")
            first, second = (two, one) if one.items.empty() else (one, two)
            item = first.next()
            gaps = []
            for _ in range(3):
                start = time.monotonic()
                item.abandon()
                again = second.next()
                gaps.append(time.monotonic() - start)
                equal((type(again), again.id), (kind, item.id), "item")
                expect(again.token != item.token, "the token is the old one")
                refused("NOT_FOUND", item.complete)
                item.abandon()  # Of one that is out again, under another token.
                item, first, second = again, second, first
            expect(0.15 <= gaps[0] <= gaps[2], f"came again after {gaps} s")
            item.complete()


@on_both_stores("A21.15 abandoned work may still be completed while it waits")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("busy", id="a-1")
        turn = worker.turn()
        turn.abandon()
        turn.complete(complete(1, '"after all"'))
        equal(sidecar.get("a-1")["output"], '"after all"', "output")
        worker.quiet(0.7)


# ---- Contexts ---------------------------------------------------------------

def context(server, id):
    """(generation, pins) of an orchestration's context, or None."""
    answer = call(server, INSTANCES + "Get", {"instance_id": id})
    if answer.code == "NOT_FOUND":
        return None
    return answer.message["generation"], pins(answer.message)


@on_both_stores("A21.16 work that is out pins the context; parked it is released when its lease "
                "ends, and thaws with nothing lost", "--idle-timeout=300ms")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("busy", '"in"', id="a-1", tags={"a": "b"})
        turn = worker.turn()
        time.sleep(0.6)
        generation, held = context(server, "a-1")
        equal(list(held), ["work-item"], "pins")
        turn.complete(schedule_task(1, "act"), create_timer(2, now(5)),
                      custom_status='"cs"')
        activity = worker.activity()
        time.sleep(0.6)
        equal(list(context(server, "a-1")[1]), ["work-item"], "pins of an activity")
        activity.complete('"r"')
        worker.turn().complete()
        wait_until(lambda: context(server, "a-1") is None, "the release")
        before = sidecar.get("a-1")
        equal((before["customStatus"], before["input"]), ('"cs"', '"in"'), "state")
        turn = worker.turn()
        equal(turn.past, ["OS", "executionStarted", "taskScheduled 1", "timerCreated 2",
                          "OS", "taskCompleted 1"], "past")
        equal(turn.new, ["OS", "timerFired 2"], "events")
        thawed, held = context(server, "a-1")
        expect(int(thawed) > int(generation), "the generation is that of before")
        equal(list(held), ["work-item"], "pins")
        turn.complete(complete(3, '"out"'))
        state = sidecar.get("a-1")
        equal((state["output"], state["tags"], state["customStatus"]),
              ('"out"', {"a": "b"}, '"cs"'), "state")
        wait_until(lambda: context(server, "a-1") is None, "the release")


@on_both_stores("A21.17 a parked one, released, takes events, suspends and terminates",
                "--idle-timeout=50ms")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("busy", id="a-1")
        worker.turn().complete()

        def released():
            wait_until(lambda: context(server, "a-1") is None, "the release")
        released()
        sidecar.raise_event("a-1", "x", '"1"')
        turn = worker.turn()
        equal(turn.event("eventRaised x")["input"], '"1"', "input")
        turn.complete()
        released()
        sidecar.suspend("a-1")
        worker.turn().complete()
        released()
        equal(sidecar.status("a-1"), "SUSPENDED", "status")
        sidecar.terminate("a-1")
        turn = worker.turn()
        equal(turn.past[2:], ["OS", "eventRaised x", "OS", "executionSuspended"], "past")
        turn.complete(complete(1, status="TERMINATED"))


@on_both_stores("A21.18 a forced release takes work from its worker; it goes out again")
def _(server, sidecar):
    start_with_activities(sidecar, "a-1", "act")
    with sidecar.worker() as worker:
        activity = worker.activity()
        sidecar.raise_event("a-1", "x")
        turn = worker.turn()
        call(server, INSTANCES + "Release", {"instance_id": "a-1", "force": True}).message
        items = {type(item): item for item in worker.take(2)}
        equal(items[Turn].new, ["OS", "eventRaised x"], "events")
        for old in (turn, activity):
            refused("NOT_FOUND", old.complete)
        items[Activity].complete('"r"')
        items[Turn].complete()
        turn = worker.turn()
        equal(turn.event("taskCompleted 0")["result"], '"r"', "result")
        turn.complete(complete(1))
        equal(sidecar.wait_for_completion("a-1")["orchestrationStatus"], "COMPLETED",
              "status")


@on_both_stores("A21.19 an Echo of the same id shares the context with an orchestration")
def _(server, sidecar):
    with sidecar.worker() as worker:
        answer = server.connect().echo("a-1")
        sidecar.start("busy", id="a-1")
        turn = worker.turn()
        equal(str(answer.generation), context(server, "a-1")[0], "generation")
        equal(server.connect().echo("a-1").sequence, 2, "sequence")
        turn.complete(complete(1))
        equal(server.connect().echo("a-1").generation, answer.generation, "generation")


# ---- Ending -----------------------------------------------------------------

@on_both_stores("A21.20 SIGTERM ends streams of work and waits with UNAVAILABLE, and the server "
                "with 0")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("busy", id="a-1")
        worker.turn()
        wait = sidecar.begin("WaitForInstanceCompletion", instanceId="a-1")
        time.sleep(0.2)
        server.send_signal(signal.SIGTERM)
        equal(worker.ended(), "UNAVAILABLE", "code of the stream")
        equal(wait.exception().code().name, "UNAVAILABLE", "code of the wait")
        equal(server.wait(), 0, "exit code")
    server.process.poll = lambda: None  # That it ended is right.


@check("A21.21 a server that ends and one that follows: all goes on where it was")
def _():
    with temporary_folder() as folder:
        with Server(f"--data={folder}") as server:
            sidecar = Sidecar(server)
            with sidecar.worker() as worker:
                sidecar.start("busy", '"in"', id="a-1")
                worker.turn().complete(schedule_task(1, "act"), create_timer(2, now(1)),
                                       custom_status='"cs"')
                worker.activity()
                sidecar.raise_event("a-1", "x")
                worker.turn()
                sidecar.start("busy", id="later", start_at=now(1))
                sidecar.suspend("later")
            equal(server.end(), 0, "exit code")
        with Server(f"--data={folder}") as server:
            sidecar = Sidecar(server)
            with sidecar.worker() as worker:
                # On a slow machine all of it may be due by now.
                turns, activities = {"a-1": [], "later": []}, 0
                while len(turns["a-1"]) < 3 or len(turns["later"]) < 2 or not activities:
                    item = worker.take(1)[0]
                    if isinstance(item, Activity):
                        activities += 1
                        item.complete('"r"')
                        continue
                    if item.id == "a-1" and not turns["a-1"]:
                        equal((item.past, item.new[:2]), (
                            ["OS", "executionStarted", "taskScheduled 1", "timerCreated 2"],
                            ["OS", "eventRaised x"]), "events")
                    turns[item.id] += item.new[1:]
                    item.complete()
                equal(sorted(turns["a-1"][1:]), ["taskCompleted 1", "timerFired 2"], "events")
                equal(turns["later"], ["executionStarted", "executionSuspended"], "later")
                equal(activities, 1, "activities")
                equal(sidecar.get("a-1")["customStatus"], '"cs"', "custom status")
