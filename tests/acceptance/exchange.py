"""A36: the exchange of work: workers that do not know it, that hang, that ignore it;
what the status and the log say of that.

Spoken raw (tests/interop/sidecar.py).
"""

import json
import signal
import subprocess
import sys
import time

import harness
from harness import (Server, check, contains, equal, expect, leasehold, temporary_folder,
                     wait_until)
from orchestrations import on_both_stores
from sidecar import (Sidecar, complete, create_child, create_timer, fail, now,
                     schedule_task)


def not_found(kind, name):
    """What .NET's worker says of a name that it has not registered."""
    return f"{kind}TaskNotFound", f"No {kind.lower()} task named '{name}' was found."


def disown(item):
    """The item is answered as by a worker that has nothing of that name."""
    if hasattr(item, "name"):
        return item.fail(*not_found("Activity", item.name))
    started = next(e for e in [*item.request.pastEvents, *item.request.newEvents]
                   if e.WhichOneof("eventType") == "executionStarted")
    item.complete(fail(-1, *not_found("Orchestrator", started.executionStarted.name)))


def status(server, id):
    """What `leasehold orchestration status` says of it."""
    shown = leasehold("orchestration", "status", id, f"--address={server.address}",
                      "--output=json")
    equal(shown.code, 0, f"exit code of {shown}")
    return json.loads(shown.out)


def logged(server, event, *parts):
    """Waits for a line of the log about this event with all these parts."""
    def lines():
        return [line for line in server.err
                if f" {event} " in line and all(part in line for part in parts)]
    wait_until(lines, f"a line {event} with {parts} in {server.err[-5:]}")
    return lines()


def connected(server, count):
    """Waits until so many workers are known, beside the built-in one."""
    wait_until(lambda: sum(" worker_connected " in line and "peer=built-in" not in line
                           for line in server.err) >= count, f"{count} workers")


def only(*names):
    return {"orchestrations": [{"name": name} for name in names], "activities": []}


# ---- Strangers --------------------------------------------------------------

@on_both_stores("A36.1 a worker that knows nothing harms nobody's orchestrations")
def _(server, sidecar):
    stranger = sidecar.worker(on_item=disown)
    mine = Sidecar(server).worker()
    counter = sidecar.start("Counter", "0")
    with mine, stranger:
        ids = [sidecar.start("mine") for _ in range(5)]
        for _ in ids:
            mine.turn().complete(schedule_task(1, "step"))
        for _ in ids:
            mine.activity().complete('"done"')
        for _ in ids:
            mine.turn().complete(complete(2, '"done"'))
        for id in ids:
            equal(sidecar.wait_for_completion(id)["orchestrationStatus"], "COMPLETED",
                  "status")
        sidecar.raise_event(counter, "operation", '{"add": 3}')
        sidecar.raise_event(counter, "operation", '"end"')
        # The worker that has the turn says that it is another's; then the built-in worker
        # has it.
        disown(mine.turn())
        state = sidecar.wait_for_completion(counter)
    equal((state["orchestrationStatus"], state["output"]), ("COMPLETED", "3"), "Counter")
    logged(server, "work_not_known", "name=Counter", "worker=", "peer=")


@on_both_stores("A36.2 what every worker disowns waits, and status and log say so; a worker "
                "that connects and knows it gets it")
def _(server, sidecar):
    with sidecar.worker() as one, Sidecar(server).worker() as two:
        connected(server, 2)
        sidecar.start("unheard-of", id="a-1")
        first, second = (one, two)
        wait_until(lambda: not one.items.empty() or not two.items.empty(), "the turn")
        if one.items.empty():
            first, second = two, one
        disown(first.turn())
        disown(second.turn())
        said = 'no connected worker takes the orchestrator \\"unheard-of\\"'
        [line] = logged(server, "work_unwanted", "instance_id=a-1")
        contains(line, said)
        shown = status(server, "a-1")
        equal(shown["status"], "PENDING", "status")
        contains(shown["waiting_for"], said.replace("\\", ""), "do not know the name: 2")
        text = leasehold("orchestration", "status", "a-1",
                         f"--address={server.address}").out
        contains(text, "Why  ", "every connected worker that could take the orchestrator ",
                 "has said that it does not know it (2 workers)")
        one.quiet()
        two.quiet()
        with Sidecar(server).worker(filters=only("unheard-of")) as knows:
            turn = knows.turn()
            expect("waiting_for" not in status(server, "a-1"), "it waits for nothing")
            turn.complete(schedule_task(1, "unknown-step"))
            for worker in (one, two):
                wait_until(lambda: not one.items.empty() or not two.items.empty(),
                           "the activity")
                disown((two if one.items.empty() else one).activity())
        contains(status(server, "a-1")["waiting_for"],
                 'no connected worker takes the activity "unknown-step"')


@on_both_stores("A36.3 --unknown-work=fail: what every worker disowns has failed",
                "--unknown-work=fail")
def _(server, sidecar):
    with sidecar.worker() as worker:
        for _ in range(2):  # The second one is asked about as the first one was.
            id = sidecar.start("unheard-of")
            disown(worker.turn())
            state = sidecar.wait_for_completion(id)
            equal(state["orchestrationStatus"], "FAILED", "status")
            equal(state["failureDetails"]["errorType"], "OrchestratorTaskNotFound", "type")
        sidecar.start("known")
        worker.turn().complete(schedule_task(1, "unheard-of"))
        disown(worker.activity())
        equal(worker.turn().new, ["OS", "taskFailed 1"], "events")
    logged(server, "failed_by_limit", "--unknown-work=fail")


@on_both_stores("A36.4 failures that are the user's own fail")
def _(server, sidecar):
    with sidecar.worker() as worker:
        for error in (("app.OrchestratorNotRegisteredError", "A 'mine' orchestrator was "
                       "not registered."),
                      not_found("Activity", "mine"), not_found("Orchestrator", "child"),
                      ("ValueError", "it says: orchestrator named 'mine' is not "
                       "registered")):
            id = sidecar.start("mine", id=f"a-{len(error[1])}")
            worker.turn().complete(fail(1, *error))
            equal(sidecar.wait_for_completion(id)["orchestrationStatus"], "FAILED",
                  f"status after {error}")


# ---- What the log says ------------------------------------------------------

@on_both_stores("A36.5 the log says who came and went, with which work, and what was lost, "
                "given back, refused and failed", "--max-deliveries=2", "--max-payload=1000")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("first", id="a-1")
        turn = worker.turn()
        turn.complete(schedule_task(7, "resize"))
        activity = worker.activity()
        activity.abandon()
        [line] = logged(server, "work_given_back", "instance_id=a-1", "name=resize",
                        "task_id=7", "peer=")
        worker.activity()
    logged(server, "worker_gone", "count=1", "peer=")
    logged(server, "work_lost", "instance_id=a-1", "name=resize", "task_id=7", "count=1",
           "stream ended")
    with Sidecar(server).worker() as worker:
        worker.activity()
    logged(server, "work_lost", "name=resize", "count=2")
    logged(server, "failed_by_limit", "name=resize", "--max-deliveries")
    with Sidecar(server).worker() as worker:
        turn = worker.turn()
        turn.complete(complete(8, '"' + "x" * 1000 + '"'))
        logged(server, "failed_by_limit", "instance_id=a-1", "name=first",
               "--max-payload")


# ---- Workers that hang ------------------------------------------------------

# A worker in a process of its own, that can be stopped. It says what it is handed, and
# with which code its answer was refused.
WORKER = """
import sys
import grpc
from sidecar import Sidecar, complete

with Sidecar(sys.argv[1]).worker() as worker:
    while (item := worker.next(None)) is not None:
        name = getattr(item, "name", "turn")
        print(name, item.id, flush=True)
        try:
            item.complete(complete(99, '"late"') if name == "turn" else '"late"')
        except grpc.RpcError as error:
            print("refused", name, item.id, error.code().name, flush=True)
"""


class WorkerProcess(harness.Program):
    def __init__(self, server):
        super().__init__(sys.executable, "-B", "-c", WORKER, server.address,
                         env={"PYTHONPATH": ":".join(path for path in sys.path if path)})

    def stop(self):
        self.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.send_signal(signal.SIGCONT)


@on_both_stores("A36.6 what a stopped worker has goes to another one, and so does new work; log "
                "and status say so; once it goes on, its answers are too late",
                "--turn-timeout-on-worker=1s")
def _(server, sidecar):
    with WorkerProcess(server) as stopped:
        connected(server, 1)
        stopped.stop()
        ids = [sidecar.start("mine", id=f"a-{i}") for i in range(2)]
        for id in ids:
            logged(server, "work_timed_out", f"instance_id={id}", "count=1", "worker=",
                   "--turn-timeout-on-worker")
        logged(server, "worker_silent", "worker=", "peer=", "has answered nothing since")
        said = set()

        def both_said():
            for id in ids:
                text = status(server, id).get("waiting_for", "")
                said.update(part for part in (
                    ", which does not answer",
                    'no connected worker that takes the orchestrator "mine" answers')
                    if part in text)
            return len(said) == 2
        wait_until(both_said, "both reasons to wait")
        with Sidecar(server).worker() as other:
            for _ in ids:
                other.turn().complete(complete(1, '"done"'))
            for id in ids:
                equal(sidecar.wait_for_completion(id)["output"], '"done"', "output")
            more = [sidecar.start("mine") for _ in range(10)]
            equal({other.turn().id for _ in more}, set(more), "whose turns it has")
            expect(not any(" worker_answers " in line for line in server.err),
                   f"nobody answers again yet: {server.err[-5:]}")
            stopped.go_on()
            stopped.await_line("out", "refused turn a-0 NOT_FOUND")
            stopped.await_line("out", "refused turn a-1 NOT_FOUND")
            logged(server, "worker_answers", "worker=", "peer=")
            logged(server, "answer_refused", "not out")
        for id in ids:
            equal(sidecar.get(id)["output"], '"done"', "output")


@on_both_stores("A36.7 --activity-timeout: an activity of a stopped worker goes to another one; "
                "without it, it has all the time", "--activity-timeout=500ms")
def _(server, sidecar):
    with sidecar.worker(filters=only("mine")) as turns, WorkerProcess(server) as stopped:
        connected(server, 2)
        stopped.stop()
        sidecar.start("mine", id="a-1")
        turns.turn().complete(schedule_task(1, "step"))
        logged(server, "work_timed_out", "instance_id=a-1", "name=step", "task_id=1",
               "--activity-timeout")
        contains(wait_until(lambda: status(server, "a-1").get("waiting_for"),
                            "a reason to wait"), "does not answer")
        with Sidecar(server).worker() as other:
            other.activity().complete('"done"')
            turn = turns.turn()
            equal(turn.new, ["OS", "taskCompleted 1"], "events")
            stopped.go_on()
            stopped.await_line("out", "refused step a-1 NOT_FOUND")
            turn.complete(complete(2, '"done"'))
        equal(sidecar.wait_for_completion("a-1")["output"], '"done"', "output")


# ---- Ends without a worker --------------------------------------------------

def terminate(server, *args):
    return leasehold("orchestration", "terminate", *args, f"--address={server.address}")


@on_both_stores("A36.8 terminate --force ends what a stopped worker has, with its "
                "sub-orchestrations; its answers are too late", "--turn-timeout-on-worker=0")
def _(server, sidecar):
    with WorkerProcess(server) as stopped, sidecar.worker(filters=only("parent")) as parent:
        connected(server, 2)
        stopped.stop()
        sidecar.start("parent", id="p")
        parent.turn().complete(create_child(1, "child", child="c"),
                               schedule_task(2, "step"))
        sidecar.start("mine", id="other")
        shown = terminate(server, "p", "--force", "--recursive", '--result="over"')
        equal((shown.code, shown.out), (0, "Terminated p; it has ended.\n"), "what it says")
        for id in ("p", "c"):
            state = sidecar.get(id)
            equal((state["orchestrationStatus"], state["output"]),
                  ("TERMINATED", '"over"'), f"end of {id}")
            logged(server, "ended_by_server", f"instance_id={id}", "by force")
        equal(sidecar.status("other"), "PENDING", "status of the other one")
        stopped.go_on()
        stopped.await_line("out", "refused turn c NOT_FOUND")
        equal(sidecar.wait_for_completion("other")["output"], '"late"', "its output")
        equal(sidecar.get("c")["output"], '"over"', "output of c")
        parent.quiet()


@on_both_stores("A36.9 terminate --force needs no worker; it says what is not there, or has "
                "ended")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("mine", id="ran")
        worker.turn().complete(create_timer(1, now(3600)))
        sidecar.start("mine", id="ended")
        worker.turn().complete(complete(1))
        sidecar.wait_for_completion("ended")
    sidecar.start("mine", id="pending", start_at=now(3600))
    for id in ("ran", "pending"):
        equal(terminate(server, id, "--force").code, 0, f"exit code for {id}")
        equal(sidecar.status(id), "TERMINATED", f"status of {id}")
    for id, code in (("none", "NOT_FOUND"), ("ended", "FAILED_PRECONDITION"),
                     ("ran", "FAILED_PRECONDITION")):
        shown = terminate(server, id, "--force")
        equal(shown.code, harness.EXIT_CODES.get(code, 1), f"exit code for {id}")
        contains(shown.err, code, f'"{id}"')


@on_both_stores("A36.10 the server carries out a terminate that no connected worker would: "
                "there is no worker, none takes it, or the last one disconnects")
def _(server, sidecar):
    sidecar.start("mine", id="nobody")
    sidecar.terminate("nobody", '"over"')
    state = sidecar.wait_for_completion("nobody")
    equal((state["orchestrationStatus"], state["output"]), ("TERMINATED", '"over"'), "end")
    logged(server, "ended_by_server", "instance_id=nobody", "no connected worker")
    with sidecar.worker(filters=only("other")):
        connected(server, 1)
        sidecar.start("mine", id="unwanted")
        equal(terminate(server, "unwanted").code, 0, "exit code")
        equal(sidecar.wait_for_completion("unwanted")["orchestrationStatus"],
              "TERMINATED", "status")
    with Sidecar(server).worker() as worker:
        connected(server, 2)
        sidecar.start("mine", id="left")
        worker.turn().complete(create_child(1, "mine", child="child"))
        worker.turn().complete(create_timer(1, now(3600)))
        sidecar.terminate("left", recursive=True)
        turn = worker.turn()
        equal(turn.new, ["OS", "executionTerminated"], "events")
        equal(sidecar.status("left"), "RUNNING", "status while a worker has it")
    for id in ("left", "child"):
        equal(sidecar.wait_for_completion(id)["orchestrationStatus"], "TERMINATED",
              f"status of {id}")
