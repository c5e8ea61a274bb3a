"""A31: fairness and flow: nobody holds up anybody else, nothing grows without a bound.

Spoken raw (tests/interop/sidecar.py). What is counted are turns and items, not time: a
slow machine changes nothing. At the end, work that kills whoever takes it.

Elsewhere: pings A21.1, 2; how much one stream has A21.3, 4; filters A21.5, 6, 8; shares
A21.7; order of starts A21.9; a worker that is lost A21.10, gives back A21.14, or reads
nothing at all A21.26; SIGTERM A21.20.
"""

import collections
import contextlib
import pathlib
import queue
import random
import signal
import threading
import time

from harness import (Server, check, contains, equal, expect, measured_server,
                     temporary_folder, wait_until)
from orchestrations import on_both_stores
from sidecar import (Activity, Sidecar, Turn, complete, continue_as_new, create_child,
                     refused, schedule_task)
from work import activities_only, context, start_with_activities, turns_only

MANY = 10_000
UNAVAILABLE = {"UNAVAILABLE"}


class Calls:
    """Calls that are under way, so many at once; each has to succeed."""

    def __init__(self, sidecar, most=200):
        self.sidecar, self.most, self.open = sidecar, most, collections.deque()

    def begin(self, method, **fields):
        self.open.append(self.sidecar.begin(method, **fields))
        while len(self.open) > self.most:
            self.open.popleft().result()

    def complete(self, item, *actions, result=None):
        if isinstance(item, Turn):
            self.begin("CompleteOrchestratorTask", instanceId=item.id, actions=actions,
                       completionToken=item.token)
        else:
            self.begin("CompleteActivityTask", instanceId=item.id, taskId=item.task_id,
                       completionToken=item.token, result=result)

    def join(self):
        while self.open:
            self.open.popleft().result()


def ended(sidecar):
    """How many have."""
    return len(sidecar.query(runtimeStatus=["COMPLETED"], maxInstanceCount=1000))


# ---- Workers side by side ---------------------------------------------------

@on_both_stores("A31.1 a slow worker with one slot beside a fast one: the fast one does all "
                "but what the slow one holds")
def _(server, sidecar):
    start_with_activities(sidecar, "a-1", *["act"] * 200)
    with sidecar.worker(activities=1, filters=activities_only("act")) as slow:
        held = slow.activity()
        with sidecar.worker(activities=10, filters=activities_only("act")) as fast:
            for _ in range(199):
                fast.activity().complete()
            fast.quiet(0.1), slow.quiet(0.1)
        held.complete()
    with sidecar.worker() as worker:
        done = 0
        while done < 200:
            turn = worker.turn()
            done += len(turn.new) - 1
            turn.complete(*([complete(200)] if done == 200 else []))


def serve(worker, limits, slow, calls, wrong):
    """Answers until the stream ends; a slow one has all that it may before it does."""
    held = {Turn: [], Activity: []}
    while True:
        try:
            item = worker.items.get(timeout=0.02)
        except queue.Empty:
            item = worker  # Nothing more for now.
        if item is None:
            return
        if item is not worker:
            held[type(item)].append(item)
        for kind, items in held.items():
            if len(items) > limits[kind]:
                wrong.append(f"{len(items)} of {kind.__name__}, wanted {limits[kind]}")
            while items and (item is worker or not slow or len(items) == limits[kind]):
                answer(items.pop(0), calls)


def answer(item, calls):
    """Of an orchestration with two activities that ends when both are done."""
    if isinstance(item, Activity):
        return calls.complete(item)
    done = sum(e.startswith("taskCompleted") for e in item.past + item.new)
    calls.complete(item, *(
        [complete(3)] if done == 2 else [] if done
        else [schedule_task(1, "x"), schedule_task(2, "y")]))


@on_both_stores("A31.2 workers of different filters, limits and speeds: each has what it asked "
                "for and never more than that, and all of it is done")
def _(server, sidecar):
    wrong, threads = [], []
    with contextlib.ExitStack() as stack:
        for slow, turns, activities, filters in (
                (False, 1, 1, turns_only("a")), (True, 3, 1, turns_only("a", "b")),
                (False, 1, 2, activities_only("x")),
                (True, 1, 5, activities_only("x", "y")), (True, 2, 2, None)):
            client = Sidecar(server)
            threads.append(threading.Thread(target=serve, args=(
                stack.enter_context(client.worker(turns=turns, activities=activities,
                                                  filters=filters)),
                {Turn: turns, Activity: activities}, slow, Calls(client, 0), wrong)))
            threads[-1].start()
        for i in range(150):
            sidecar.start("ab"[i % 2], id=f"a-{i}")
        wait_until(lambda: ended(sidecar) == 150, "all to end")
    for thread in threads:
        thread.join()
    equal(wrong, [], "what they had too much of")


@on_both_stores("A31.3 a stream that is not read holds up neither others nor its own "
                "connection, whatever is stuck in it")
def _(server, sidecar):
    mute = sidecar.call("GetWorkItems", None)
    mute.initial_metadata()  # It is open; no message of it is ever read.
    with sidecar.worker() as worker:
        calls = Calls(sidecar)
        for i in range(300):
            calls.begin("StartInstance", name="big", instanceId=f"a-{i}", input="x" * 65536)
        for _ in range(200):  # The other 100 are the most that the mute one has.
            calls.complete(worker.turn(), complete(1))
        calls.join()
        mute.cancel()
        while ended(sidecar) < 300:
            calls.complete(worker.turn(), complete(1))
            if worker.items.empty():
                calls.join()


# ---- Much of one thing ------------------------------------------------------

@on_both_stores("A31.4 endless continue-as-new loops let a lone ping through: with one slot each "
                "has one turn more at the most")
def _(server, sidecar):
    for slots, most in ((1, 2), (3, 500), (0, 500)):
        loops = {sidecar.start("endless", id=f"loop-{slots}-{i}") for i in range(5)}
        with sidecar.worker(turns=slots) as worker:
            for _ in range(25):
                worker.turn().complete(continue_as_new(1))
            held = worker.turn()
            sidecar.start("ping", id=f"ping-{slots}")
            turns = collections.Counter()
            while held.id in loops:
                turns[held.id] += 1
                held.complete(continue_as_new(1))
                held = worker.turn()
            equal(held.id, f"ping-{slots}", "whose turn")
            expect(all(count <= most for count in turns.values()),
                   f"before the ping with {slots} slots: {turns}")
            held.complete(complete(1))
            for id in loops:
                sidecar.terminate(id)
            left = set(loops)
            while left:
                turn = worker.turn()
                if "executionTerminated" in turn.new:
                    left.remove(turn.id)
                    turn.complete(complete(1, status="TERMINATED"))
                else:
                    turn.complete(continue_as_new(1))


def memory_kib(server):
    """What the server has of the machine's memory."""
    status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def turn_among(worker, activities):
    """The next turn; activities that come before it are put aside."""
    item = worker.next()
    while not isinstance(item, Turn):
        activities.append(item)
        item = worker.next()
    return item


def results_of(turn):
    return [event.taskCompleted.taskScheduledId for event in turn.request.newEvents
            if event.HasField("taskCompleted")]


@check(f"A31.5 a fan-out of {MANY:,} activities in one turn: all results, drained many a turn, "
       "in bounded memory; it lets a ping through")
def _():
    with temporary_folder() as folder, measured_server(f"--data={folder}") as server:
        sidecar = Sidecar(server)
        calls, activities, before = Calls(sidecar), [], memory_kib(server)
        with sidecar.worker(turns=1, activities=1000) as worker:
            sidecar.start("fan", id="fan")
            worker.turn().complete(*[schedule_task(i, "act") for i in range(MANY)])
            calls.complete(worker.activity())
            turn = turn_among(worker, activities)
            results, turns = results_of(turn), 2
            # A turn is out: what is done now comes with the next one, all of it.
            for _ in range(MANY // 2):
                calls.complete(activities.pop() if activities else worker.activity())
            calls.join()
            sidecar.start("ping", id="ping")
            turn.complete()
            ping = turn_among(worker, activities)
            equal(ping.id, "ping", "who has the first turn")
            ping.complete(complete(1))
            while len(results) < MANY:
                item = activities.pop() if activities else worker.next()
                if isinstance(item, Activity):
                    calls.complete(item)
                    continue
                turns += 1
                results += results_of(item)
                expect(len(results) > MANY // 2, f"only {len(results)} results so far")
                item.complete(*([complete(MANY)] if len(results) == MANY else []))
            calls.join()
        equal(sorted(results), list(range(MANY)), "results")
        expect(turns <= MANY // 20, f"{turns} turns")
        equal(sidecar.status("fan"), "COMPLETED", "status")
        grown = memory_kib(server) - before
        expect(grown <= 128 << 10, f"{grown} KiB more memory")


@check(f"A31.6 {MANY:,} open orchestrations that wait for an event: a bounded amount of memory "
       "each, and all end when their events come")
def _():
    with temporary_folder() as folder, measured_server(f"--data={folder}") as server:
        sidecar = Sidecar(server)
        calls, before = Calls(sidecar), memory_kib(server)
        with sidecar.worker(turns=200) as worker:
            def all_turns(method, *actions, **fields):
                """This call for each of them, and the turn that comes of it."""
                for i in range(MANY):
                    calls.begin(method, instanceId=f"a-{i}", name="wait", **fields)
                    while not worker.items.empty():
                        turned.append(worker.turn())
                        calls.complete(turned[-1], *actions)
                while len(turned) % MANY:
                    turned.append(worker.turn())
                    calls.complete(turned[-1], *actions)
                calls.join()
            turned = []
            all_turns("StartInstance")
            worker.quiet(0.1)
            grown = memory_kib(server) - before
            all_turns("RaiseEvent", complete(1))
        equal(len(turned), 2 * MANY, "turns")
        equal(ended(sidecar), MANY, "how many have ended")
        expect(grown <= 16 * MANY, f"{grown} KiB for {MANY} of them")


# ---- Order ------------------------------------------------------------------

@on_both_stores("A31.7 work goes out as it became ready: activities in the order of their "
                "actions, turns in that of their events")
def _(server, sidecar):
    start_with_activities(sidecar, "fan", *["act"] * 50)
    with sidecar.worker(activities=1, filters=activities_only("act")) as worker:
        for i in range(50):
            activity = worker.activity()
            equal(activity.task_id, i, "activity")
            activity.complete()
    ids = [f"a-{i:02}" for i in range(30)]
    with sidecar.worker(turns=1, filters=turns_only("wait")) as worker:
        for id in ids:
            sidecar.start("wait", id=id)
            worker.turn().complete()
    random.Random(1).shuffle(ids)
    for id in ids:
        sidecar.raise_event(id, "go")
    with sidecar.worker(turns=1, filters=turns_only("wait")) as worker:
        for id in ids:
            turn = worker.turn()
            equal(turn.id, id, "turn")
            turn.complete(complete(1))


@on_both_stores("A31.8 the order holds within a stream, however many slots it has")
def _(server, sidecar):
    for round in range(10):
        ids = [sidecar.start("hello", id=f"{round}-{i:02}") for i in range(20)]
        with sidecar.worker(turns=20) as worker:
            turns = worker.take(20)
            equal([turn.id for turn in turns], ids, "turns")
            for turn in turns:
                turn.complete(complete(1))


@on_both_stores("A31.9 what a lost worker had goes first, in its order")
def _(server, sidecar):
    ids = [sidecar.start("hello", id=f"a-{i}") for i in range(10)]
    with sidecar.worker(turns=5) as worker:
        equal({turn.id for turn in worker.take(5)}, set(ids[:5]), "what is lost")
    for id in ids[:5]:
        wait_until(lambda: not (context(server, id) or (0, {}))[1], "the loss to be noticed")
    with sidecar.worker(turns=1) as worker:
        for id in ids:
            turn = worker.turn()
            equal(turn.id, id, "turn")
            turn.complete(complete(1))


@on_both_stores("A31.10 names that nobody serves hold nothing up, and are served, the oldest "
                "first, as soon as a worker comes")
def _(server, sidecar):
    start_with_activities(sidecar, "fan", *["unwanted"] * 100)
    ids = [sidecar.start("unwanted", id=f"u-{i}") for i in range(100)]
    with sidecar.worker(turns=1, activities=1, filters={
            **turns_only("wanted"), **activities_only("wanted")}) as worker:
        sidecar.start("wanted", id="w-1")
        worker.turn().complete(schedule_task(1, "wanted"))
        worker.activity().complete()
        worker.turn().complete(complete(2))
        with sidecar.worker(turns=1, activities=1, filters={
                **turns_only("unwanted"), **activities_only("unwanted")}) as other:
            turns, tasks = [], []
            while len(turns) + len(tasks) < 200:
                item = other.next()
                (turns if isinstance(item, Turn) else tasks).append(
                    item.id if isinstance(item, Turn) else item.task_id)
                item.complete(*([complete(1)] if isinstance(item, Turn) else []))
        equal((turns, tasks), (ids, list(range(100))), "turns and tasks")
        worker.quiet(0.1)


# ---- Ends and silence -------------------------------------------------------

@check("A31.11 SIGTERM: each stream, wait and call under way ends with UNAVAILABLE, never with "
       "CANCELLED; what was acknowledged is there afterwards")
def _():
    with temporary_folder() as folder:
        with Server(f"--data={folder}") as server, contextlib.ExitStack() as stack:
            sidecar, client = Sidecar(server), Sidecar(server)
            silent = [stack.enter_context(sidecar.worker(filters={})) for _ in range(20)]
            mute = sidecar.call("GetWorkItems", None, workItemFilters={})
            mute.initial_metadata()
            with sidecar.worker(filters=turns_only("held")) as busy:
                sidecar.start("held", id="held")
                busy.turn()
                waits = [sidecar.begin(f"WaitForInstance{until}", timeout,
                                       instanceId="held")
                         for until in ("Start", "Completion") for timeout in (None, 60)
                         for _ in range(20)]
                wait_until(lambda: all(worker.pings for worker in silent), "the streams")
                time.sleep(0.2)
                starts = [client.begin("StartInstance", name="x", instanceId=f"a-{i}")
                          for i in range(300)]
                server.send_signal(signal.SIGTERM)
                starts += [client.begin("StartInstance", name="x", instanceId=f"b-{i}")
                           for i in range(300)]
                equal({worker.ended() for worker in [busy, *silent]}, UNAVAILABLE,
                      "codes of streams")
                refused("UNAVAILABLE", list, mute)  # Read at last.
                equal({wait.exception().code().name for wait in waits}, UNAVAILABLE,
                      "codes of waits")
                failed = {call.exception().code().name for call in starts
                          if call.exception()}
                expect(failed <= UNAVAILABLE, f"codes of starts: {failed}")
            equal(server.wait(), 0, "exit code")
        told = {call.result().instanceId for call in starts if not call.exception()}
        with Server(f"--data={folder}") as successor:
            there = {state["instanceId"] for state in Sidecar(successor).query(
                maxInstanceCount=1000)}
            expect(told <= there, f"lost: {told - there}")


@check("A31.12 many silent streams are pinged, each of them, and so is one whose work is out "
       "for long")
def _():
    with Server() as server, contextlib.ExitStack() as stack:
        sidecar = Sidecar(server)
        workers = [stack.enter_context(sidecar.worker()) for _ in range(30)]
        sidecar.start("long", id="a-1")
        wait_until(lambda: all(worker.pings for worker in workers), "the first pings")
        pings, start = [worker.pings for worker in workers], time.monotonic()
        wait_until(lambda: all(worker.pings > before
                               for worker, before in zip(workers, pings)), "another each")
        expect(time.monotonic() - start <= 31, "came too late")
        turn = next(worker for worker in workers if not worker.items.empty()).turn()
        turn.complete(complete(1))
        equal(sidecar.status("a-1"), "COMPLETED", "status")


# ---- Work that kills who takes it -------------------------------------------

def lose(sidecar, times, **options):
    """Takes what comes first and is gone, so many times; how long each one waited."""
    waits, start = [], time.monotonic()
    for _ in range(times):
        with sidecar.worker(**options) as worker:
            worker.take(1)
            waits.append(time.monotonic() - start)
            start = time.monotonic()
    return waits


def expect_delivery_limit(details, number):
    equal(details["errorType"], "DeliveryLimit", f"type of {details}")
    contains(details["errorMessage"], str(number))


@on_both_stores("A31.13 an activity that was lost --max-deliveries times has failed",
                "--max-deliveries=3")
def _(server, sidecar):
    with sidecar.worker(filters=turns_only("hello")) as worker:
        sidecar.start("hello", id="a-1")
        worker.turn().complete(schedule_task(1, "deadly"))
        lose(sidecar, 3, filters=activities_only("deadly"))
        turn = worker.turn()
        equal(turn.new, ["OS", "taskFailed 1"], "events")
        expect_delivery_limit(turn.event("taskFailed 1")["failureDetails"], 3)
        turn.complete(complete(2))
    equal(sidecar.status("a-1"), "COMPLETED", "status")


@on_both_stores("A31.14 a turn that was lost --max-deliveries times fails its orchestration, "
                "and its parent's task", "--max-deliveries=3")
def _(server, sidecar):
    with sidecar.worker(filters=turns_only("top")) as worker:
        sidecar.start("top", id="top")
        worker.turn().complete(create_child(1, "deadly", child="child"))
        lose(sidecar, 3, filters=turns_only("deadly"))
        turn = worker.turn()
        expect_delivery_limit(
            turn.event("subOrchestrationInstanceFailed 1")["failureDetails"], 3)
    state = sidecar.get("child")
    equal(state["orchestrationStatus"], "FAILED", "status")
    expect_delivery_limit(state["failureDetails"], 3)


@on_both_stores("A31.15 what was lost goes out at once; after two losses in a row it waits "
                "0.2 s, doubled each time")
def _(server, sidecar):
    sidecar.start("deadly", id="a-1")
    waits = lose(sidecar, 4)
    for wait, least in zip(waits[2:], (0.2, 0.4)):
        expect(wait >= least, f"waited {waits} s")
    with sidecar.worker() as worker:
        worker.turn().complete(complete(1))


@on_both_stores("A31.16 what a turn was lost for is forgotten once it is done",
                "--max-deliveries=3")
def _(server, sidecar):
    sidecar.start("unlucky", id="a-1")
    for _ in range(3):
        lose(sidecar, 2)
        with sidecar.worker() as worker:
            worker.turn().complete()
        sidecar.raise_event("a-1", "x")
    equal(sidecar.status("a-1"), "RUNNING", "status")


def lose_together(sidecar, name, count):
    """So many that a worker had when it was lost, twice: they are under suspicion."""
    ids = [sidecar.start(name, id=f"{name}-{i}") for i in range(count)]
    for _ in range(2):
        with sidecar.worker(filters=turns_only(name)) as worker:
            equal({turn.id for turn in worker.take(count)}, set(ids), "what is lost")
    return ids


@on_both_stores("A31.17 what is under suspicion does not go out together, however long nobody "
                "was there; it holds up nothing else")
def _(server, sidecar):
    lose_together(sidecar, "deadly", 3)
    time.sleep(0.5)  # By now all of them may go.
    with sidecar.worker() as worker:
        for i in range(3):
            turn = worker.turn()
            sidecar.start("hello", id=f"a-{i}")
            other = worker.turn()
            equal(other.id, f"a-{i}", "who has a turn meanwhile")
            worker.quiet()
            other.complete(complete(1))
            turn.complete(complete(1))


@on_both_stores("A31.18 what was lost together fails one by one: whoever is lost with another "
                "one is not to blame", "--max-deliveries=3")
def _(server, sidecar):
    ids = lose_together(sidecar, "deadly", 3)
    for count in (1, 2, 3):
        lose(sidecar, 1)

        def failed():
            return sum(sidecar.status(id) == "FAILED" for id in ids)
        wait_until(lambda: failed() >= count, f"{count} to fail")
        equal(failed(), count, "how many have failed")


@on_both_stores("A31.19 one deadly item ends alone: what was lost along with it is done",
                "--max-deliveries=3")
def _(server, sidecar):
    ids = {sidecar.start("hello", id=id) for id in ("a-0", "a-1", "deadly", "a-2")}

    def open_ids():
        return ids - {state["instanceId"] for state in sidecar.query(
            runtimeStatus=["COMPLETED", "FAILED"])}

    def serve():
        """Does what comes, until the deadly one does."""
        with sidecar.worker() as worker:
            while open_ids():
                sidecar.start("hello")  # There is always something to take.
                turn = worker.turn()
                if turn.id == "deadly":
                    return False
                turn.complete(complete(1))
        return True
    wait_until(serve, "their ends")
    equal({id for id in ids if sidecar.status(id) == "FAILED"}, {"deadly"}, "what failed")
    expect_delivery_limit(sidecar.get("deadly")["failureDetails"], 3)
