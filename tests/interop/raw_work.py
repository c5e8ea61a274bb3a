"""A27: work over the raw protocol, dealt to workers of every bad habit.

Seeded worlds: LEASEHOLD_SEED is the first seed, LEASEHOLD_SEEDS the number of them. The
seed rolls what is asked and done; who is first is up to the machine.
"""

import contextlib
import itertools
import json
import os
import queue
import random
import signal
import threading
import time

import grpc

import harness
import sidecar as protocol
from harness import Server, check, equal, expect, temporary_folder
from sidecar import Sidecar, brief, complete, create_timer, now, schedule_task
from work_trace import Piece, Trace, violations

ORCHESTRATORS = ("alpha", "Beta", "GAMMA")
ACTIVITIES = ("pack", "Send", "BILL")
VERSIONS = (None, "1.0", "2.0")
INSTANCES, ROVERS, KILLS = 40, 6, 3
LIFE_S = (0.1, 1.5)  # How long a worker's stream is.
UP_S = (0.8, 2.0)  # How long a server lives.
BY_THE_WAY = ("UNAVAILABLE", "CANCELLED")  # The server was killed.


def seeds(count=5):
    first = int(os.environ.get("LEASEHOLD_SEED", 1))
    return range(first, first + int(os.environ.get("LEASEHOLD_SEEDS", count)))


# ---- What is to be done -----------------------------------------------------

def random_plan(dice):
    """Stages, one after the other; what is in a stage is done at once."""
    def step():
        if dice.random() < 0.15:
            return ["timer", dice.uniform(0, 0.3)]
        return ["task", dice.choice(ACTIVITIES), dice.choice(VERSIONS)]
    return [[step() for _ in range(dice.randint(1, 5))] for _ in range(dice.randint(1, 4))]


def events_of(turn):
    return [*turn.request.pastEvents, *turn.request.newEvents]


def start_of(turn):
    [started] = [event.executionStarted for event in events_of(turn)
                 if event.HasField("executionStarted")]
    return started


def next_actions(turn):
    """What the plan, which is the input, says after these events."""
    events = events_of(turn)
    done = {brief(event).split()[-1] for event in events
            if protocol.kind_of(event) in ("taskCompleted", "timerFired")}
    begun = {str(event.eventId) for event in events
             if protocol.kind_of(event) in ("taskScheduled", "timerCreated")}
    ids = itertools.count(1)
    for stage in json.loads(start_of(turn).input.value):
        steps = [(next(ids), *step) for step in stage]
        if all(str(id) in done for id, *_ in steps):
            continue
        return [create_timer(id, now(about[0])) if kind == "timer"
                else schedule_task(id, about[0], version=about[1])
                for id, kind, *about in steps if str(id) not in begun]
    return [complete(next(ids), json.dumps(len(done)))]


def echo_of(action):
    kinds = {"scheduleTask": "taskScheduled", "createTimer": "timerCreated",
             "completeOrchestration": "executionCompleted"}
    return f"{kinds[protocol.kind_of(action)]} {action.id}"


# ---- Workers ----------------------------------------------------------------

def in_some_case(dice, name):
    return dice.choice((name, name.lower(), name.upper(), name.swapcase()))


def random_request(dice):
    def some(names):
        return [dict(name=in_some_case(dice, name),
                     versions=dice.choice(([], [""], ["1.0"], ["", "2.0"], ["1.0", "2.0"])))
                for name in names if dice.random() < 0.6]
    filters = None
    if dice.random() < 0.75:
        filters = dict(orchestrations=some(ORCHESTRATORS), activities=some(ACTIVITIES))
    return dict(turns=dice.choice((0, 1, 2, 5)), activities=dice.choice((0, 1, 2, 5)),
                filters=filters)


class World:
    """One data directory, its servers, and all who work on them."""

    def __init__(self, folder, seed):
        self.folder, self.dice = folder, random.Random(seed)
        self.seed, self.trace, self.numbers = seed, Trace(), itertools.count()
        self.versions = {}  # By instance.
        self.over, self.problems = threading.Event(), []

    def piece(self, item):
        version = self.versions[item.id]
        if isinstance(item, protocol.Turn):
            return Piece("turn", item.id, start_of(item).name, version, item.token)
        return Piece("activity", item.id, item.name, item.request.version.value or version,
                     item.token)

    @contextlib.contextmanager
    def stream(self, sidecar, **request):
        """A worker that is watched, and its number."""
        number = f"stream {next(self.numbers)}"
        worker = sidecar.worker(
            on_item=lambda item: self.trace.got(number, self.piece(item)), **request)
        self.trace.opened(number, worker.request)
        with worker:
            yield number, worker
            self.trace.closed(number)

    def answer(self, number, item):
        """As it should be; whether the server took it is up to what happened to it."""
        if isinstance(item, protocol.Turn):
            actions = next_actions(item)
            answer, events = actions, [echo_of(action) for action in actions]
        else:
            answer, events = [json.dumps(item.token)], [
                f"taskCompleted {item.task_id} {json.dumps(item.token)}"]
        self.trace.gave(number, item.token)
        with self.forgiving("NOT_FOUND"):
            item.complete(*answer)
            # A late result for one that has finished is taken, and dropped.
            if isinstance(item, protocol.Turn) or not self.has_finished(item.id):
                self.trace.acknowledged(item.id, events)

    def has_finished(self, id):
        return self.client.status(id) == "COMPLETED"

    @contextlib.contextmanager
    def forgiving(self, *codes):
        try:
            yield
        except grpc.RpcError as error:
            if error.code().name not in (*codes, *BY_THE_WAY):
                self.problems.append(f"{error.code().name}: {error.details()}")

    def random_request(self, dice):
        return random_request(dice)

    def settle(self):
        """Once all orchestrations have ended, and a worker is there that takes all."""

    def rove(self, number):
        """One stream after the other, until all is over."""
        dice = random.Random(f"{self.seed} {number}")
        while not self.over.is_set():
            sidecar = Sidecar(self.address, impatient=True)
            held = self.live(dice, sidecar)
            for stream, item in held:
                if dice.random() < 0.5:
                    item.sidecar = self.client  # Too late, and over another connection.
                    self.answer(stream, item)
            sidecar.channel.close()

    def live(self, dice, sidecar):
        """A stream from its start to its end; what was still held then."""
        held = []
        end = time.monotonic() + dice.uniform(*LIFE_S)
        pause = dice.choice((0, 0, 0.01, 0.05))
        with self.stream(sidecar, **self.random_request(dice)) as (number, worker):
            while (left := end - time.monotonic()) > 0:
                try:
                    item = worker.items.get(timeout=left)
                except queue.Empty:
                    break
                if item is None:  # The server is gone.
                    self.over.wait(0.05)
                    break
                self.over.wait(pause)
                fate = dice.random()
                if fate < 0.08:
                    held.append((number, item))
                elif fate < 0.14:
                    self.trace.gave(number, item.token)
                    with self.forgiving():
                        item.abandon()
                else:
                    self.answer(number, item)
            if dice.random() < 0.3:  # Gone without a word.
                self.trace.closed(number)
                sidecar.channel.close()
        return held

    def serve(self, stack, listen):
        return stack.enter_context(Server(
            f"--data={self.folder}", "--max-deliveries=1000000", listen=listen))

    def start(self, id):
        """Acknowledged, whatever happens to the server."""
        plan, version = random_plan(self.dice), self.dice.choice(VERSIONS)
        name = self.dice.choice(ORCHESTRATORS)
        self.versions[id] = version or ""

        def heard():
            with self.forgiving("ALREADY_EXISTS"):
                self.client.start(name, json.dumps(plan), id, version=version)
            with self.forgiving():
                return self.client.get(id) is not None
        harness.wait_until(heard, f"the start of {id}")
        self.trace.started(id)

    def run(self, ids):
        """Its violations."""
        with contextlib.ExitStack() as stack:
            server = self.serve(stack, ("127.0.0.1:0",))
            stack.callback(self.over.set)
            self.address = server.address
            self.client = Sidecar(self.address, impatient=True)
            rovers = [threading.Thread(target=self.guarded, args=(self.rove, n))
                      for n in range(ROVERS)]
            starter = threading.Thread(target=self.guarded, args=(self.start_all, ids))
            for thread in (*rovers, starter):
                thread.start()
            for _ in range(KILLS):
                time.sleep(self.dice.uniform(*UP_S))
                self.trace.killed()
                server.end(signal.SIGKILL)
                server = self.serve(stack, (self.address,))
            time.sleep(self.dice.uniform(*UP_S))
            starter.join()
            self.over.set()
            for thread in rovers:
                thread.join()
            return self.problems or violations(self.trace.records, self.finish(ids))

    def start_all(self, ids):
        dice = random.Random(f"{self.seed} starts")
        for id in ids:
            self.start(id)
            time.sleep(dice.uniform(0, 0.15))

    def guarded(self, body, *args):
        try:
            body(*args)
        except Exception as error:  # Of a thread, which nobody hears otherwise.
            self.problems.append(f"{type(error).__name__}: {error}")

    def finish(self, ids):
        """A worker that takes all brings all to its end. The histories by instance."""
        sidecar = Sidecar(self.address, impatient=True)
        with self.stream(sidecar) as (number, worker):
            def work():
                while item := worker.items.get():
                    self.answer(number, item)
            threading.Thread(target=work, daemon=True).start()
            states = {id: self.client.wait_for_completion(id) for id in ids}
            self.settle()
        return {id: (state["orchestrationStatus"], self.history(id))
                for id, state in states.items() if state}

    def history(self, id):
        """Its events in brief; a result is told with its task."""
        return [f"{brief(event)} {event.taskCompleted.result.value}"
                if event.HasField("taskCompleted") else brief(event)
                for event in self.client.history(id)]


# ---- The checker, tried on traces of our own --------------------------------

TURN = Piece("turn", "a-1", "alpha", "1.0", "t-1")
TASK = Piece("activity", "a-1", "pack", "", "t-2")
ASKS = dict(maxConcurrentOrchestrationWorkItems=1, maxConcurrentActivityWorkItems=1,
            workItemFilters=dict(
                orchestrations=[dict(name="ALPHA", versions=["", "1.0"])],
                activities=[dict(name="Pack", versions=[""]),
                            dict(name="send", versions=[])]))
GOOD = [("opened", "x", ASKS), ("opened", "y", {}), ("started", "a-1"), ("got", "x", TURN),
        ("gave", "x", "t-1"), ("acknowledged", "a-1", ("taskScheduled 1",)),
        ("got", "x", TASK), ("closed", "x"), ("got", "y", TASK), ("gave", "y", "t-2"),
        ("acknowledged", "a-1", ("taskCompleted 1 5",)), ("got", "y", TURN), ("killed",),
        ("opened", "z", {}), ("got", "z", TURN), ("gave", "z", "t-1"),
        ("acknowledged", "a-1", ("executionCompleted 2",))]
STORY = ["OS", "executionStarted", "taskScheduled 1", "OS", "taskCompleted 1 5",
         "executionCompleted 2"]


def piece(of, **changes):
    return Piece(**{**vars(of), **changes})


def with_records(after, *records):
    return [*GOOD[:after], *records, *GOOD[after:]]


def planted():
    """(what must be said of it, records, status, events)"""
    for other in (piece(TURN, name="beta"), piece(TURN, version="2.0"),
                  piece(TASK, name="bill"), piece(TASK, version="1.0")):
        yield ("did not ask", with_records(2, ("got", "x", other),
                                           ("gave", "x", other.token)), "COMPLETED", STORY)
    nothing = dict(workItemFilters=dict(orchestrations=[], activities=[]))
    yield ("did not ask", with_records(0, ("opened", "w", nothing), ("got", "w", TASK)),
           "COMPLETED", STORY)
    yield ("its limit is 1", with_records(7, ("got", "x", piece(TASK, token="t-3"))),
           "COMPLETED", STORY)
    yield ("its limit is 1", with_records(4, ("got", "x", piece(TURN, instance="a-2",
                                                                token="t-3"))),
           "COMPLETED", STORY)
    yield ("is out", with_records(4, ("got", "y", piece(TURN, token="t-3")),
                                  ("gave", "y", "t-3")), "COMPLETED", STORY)
    yield "is RUNNING", GOOD, "RUNNING", STORY
    yield "2 times", GOOD, "COMPLETED", [*STORY, "taskCompleted 1 5"]
    yield "0 times", GOOD, "COMPLETED", STORY[3:]
    yield "acknowledged 2 times", with_records(11, GOOD[10]), "COMPLETED", STORY


@check("A27.1 the checker finds each violation that is planted, and none where none is")
def _():
    equal(violations(GOOD, {"a-1": ("COMPLETED", STORY)}), [])
    equal(violations(GOOD, {}) != [], True, "of one that is lost, something is said")
    for words, records, status, events in planted():
        found = violations(records, {"a-1": (status, events)})
        expect(len(found) == 1 and words in found[0], f"wanted {words!r}, found {found}")


@check("A27.2 whatever workers and servers do: what nobody asked for is not sent, limits "
       "hold, a turn is out once, and nothing acknowledged is lost or doubled")
def _():
    for seed in seeds():
        with temporary_folder() as folder:
            world = World(folder, seed)
            try:
                found = world.run([f"a-{n}" for n in range(INSTANCES)])
            except Exception as error:  # Whatever it is, the seed has to be told.
                found = [f"{type(error).__name__}: {error}"]
        records = [record[0] for record in world.trace.records]
        expect(not found, f"LEASEHOLD_SEED={seed}: " + "\n".join(found[:10]))
        print(f"      seed {seed}: {records.count('opened')} streams, "
              f"{records.count('got')} pieces of work, "
              f"{records.count('acknowledged')} answers acknowledged")


@check("A27.3 what is only ever given back is never failed: another worker may take it")
def _():
    with Server("--store=memory", "--max-deliveries=2") as server:
        sidecar = Sidecar(server)
        with sidecar.worker() as worker:
            id = sidecar.start("alpha", version="2.0")

            def after_four_times():
                for _ in range(4):
                    harness.wait_until(lambda: worker.items.qsize() or sidecar.get(id).get(
                        "failureDetails"), "the next time")
                    equal(sidecar.get(id).get("failureDetails"), None, "failure")
                    worker.next().abandon()
                return worker.next()
            after_four_times().complete(schedule_task(1, "pack"))
            after_four_times().complete("1")
            worker.turn().complete(complete(2, "2"))
        equal(sidecar.wait_for_completion(id)["orchestrationStatus"], "COMPLETED")
