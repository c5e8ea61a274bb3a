"""A30: what surprises whoever implements the Durable Task protocol.

The surprises themselves, each in a few lines: those that every SDK's author met once. The
rest is in durable_task_details.py. That of entities, request ids that must be GUIDs,
is in entities.py.

Elsewhere:  the codes, each with its words: INVALID_ARGUMENT A19.4, 5, 11; ALREADY_EXISTS
A19.9, 10; NOT_FOUND A19.19, 36, 37, A21.12; FAILED_PRECONDITION A19.37; UNIMPLEMENTED
A19.38; DEADLINE_EXCEEDED and calls that were cancelled A19.18; RESOURCE_EXHAUSTED A19.18,
A20.28, 32; UNAVAILABLE A21.20, A22.8, which also sees that a commit that failed puts its
work back.  Start: A19.2 to A19.13. Get and waits: A19.14 to A19.18, 28. Commands: A19.19
to A19.23. Query and list: A19.29 to A19.33. Purge: A19.24 to A19.28. Restart: A19.37.
"""

import grpc

import sidecar as protocol
from harness import Server, check, contains, equal, expect, wait_until
from orchestrations import NOBODY, bring_to, on_both_stores, run_to_end
from raw_http2 import frame
from sidecar import (Sidecar, action, complete, continue_as_new, create_child,
                     create_timer, fail, now, schedule_task, send_event)
from turns import brief, expect_strictly_rising
from work import activities_only, turns_only

MIB = 1 << 20


def clock(turn):
    """What time it is for the orchestrator, in nanoseconds."""
    equal(turn.new[0], "OS", "first new event")
    return turn.request.newEvents[0].timestamp.ToNanoseconds()


def legacy_policy(do, *statuses):
    """As old Go clients send it: what to do is a number, in a field that has gone."""
    policy = protocol.fill(protocol.MESSAGES["OrchestrationIdReusePolicy"](),
                           replaceableStatus=statuses)
    return type(policy).FromString(policy.SerializeToString() + bytes([2 << 3, do]))


IGNORE, TERMINATE = 1, 2


def start_as_go(sidecar, id, *policy):
    return sidecar.call("StartInstance", name="new", instanceId=id,
                        orchestrationIdReusePolicy=legacy_policy(*policy)).instanceId


def restart(sidecar, id, new_id=False):
    return sidecar.call("RestartInstance", instanceId=id,
                        restartWithNewInstanceId=new_id).instanceId


def rewind(sidecar, id, reason=None):
    sidecar.call("RewindInstance", instanceId=id, reason=reason)


def answer_rewind(turn, execution):
    """As SDKs do: the history without what failed, as another execution."""
    events = [*turn.request.pastEvents, *turn.request.newEvents]
    rewound = events[-1].executionRewound
    failed = {e.taskFailed.taskScheduledId for e in events if e.HasField("taskFailed")}
    kept = []
    for event in events:
        kind = protocol.kind_of(event)
        if kind in ("taskFailed", "subOrchestrationInstanceFailed", "executionCompleted"):
            continue
        if kind == "taskScheduled" and event.eventId in failed:
            continue
        if kind == "executionStarted":
            started = event.executionStarted
            started.orchestrationInstance.executionId.value = execution
            if rewound.HasField("parentExecutionId"):
                started.parentInstance.orchestrationInstance.executionId.CopyFrom(
                    rewound.parentExecutionId)
        kept.append(event)
    turn.complete(action(-1, rewindOrchestration=dict(newHistory=kept)))


# ---- The surprises ----------------------------------------------------------

@on_both_stores("A30.1 the service has no package: its path is /TaskHubSidecarService/…")
def _(server, sidecar):
    for service, code in (("TaskHubSidecarService", "OK"),
                          ("durabletask.TaskHubSidecarService", "UNIMPLEMENTED"),
                          ("leasehold.v1.TaskHubSidecarService", "UNIMPLEMENTED")):
        answer = server.connect().call(data=frame(b""), path=f"/{service}/Hello")
        equal(answer.code, code, f"code of {service}")


@on_both_stores("A30.2 OrchestratorStarted leads each turn and is its clock: strictly rising, "
                "not before the timer that fired, over continue-as-new and restart")
def _(server, sidecar):
    times = []
    with sidecar.worker() as worker:
        sidecar.start("clock", id="a-1")
        turn = worker.turn()
        times.append(clock(turn))
        at = now(0.2) // 1_000_000 * 1_000_000 + 999_999
        turn.complete(create_timer(1, at))
        turn = worker.turn()
        equal(turn.new, ["OS", "timerFired 1"], "events")
        expect(clock(turn) >= at, f"{clock(turn)} is before the timer's {at}")
        times.append(clock(turn))
        turn.complete(continue_as_new(2))
        turn = worker.turn()
        times.append(clock(turn))
        turn.complete(complete(1))
        restart(sidecar, "a-1")
        turn = worker.turn()
        times.append(clock(turn))
        turn.complete(complete(1))
    expect_strictly_rising(times)
    equal(sidecar.history("a-1")[0].timestamp.ToNanoseconds(), times[-1],
          "the clock of the turn, as it was written down")


@on_both_stores("A30.3 no OrchestratorCompleted ends a turn; ExecutionCompleted has the "
                "action's id")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("hello", id="a-1")
        worker.turn().complete()
        sidecar.raise_event("a-1", "x")
        worker.turn().complete(complete(7))
    equal(brief(sidecar, "a-1"), ["OS", "executionStarted", "OS", "eventRaised x",
                                  "executionCompleted 7"], "history")


@on_both_stores("A30.4 PENDING until the first turn commits: not when it goes out, not when "
                "its worker is lost")
def _(server, sidecar):
    sidecar.start("hello", id="a-1")
    with sidecar.worker() as worker:
        worker.turn()
        equal(sidecar.status("a-1"), "PENDING", "status while the turn is out")
    with sidecar.worker() as worker:
        turn = worker.turn()
        equal(sidecar.status("a-1"), "PENDING", "status while it is out again")
        turn.complete()
        equal(sidecar.status("a-1"), "RUNNING", "status")


@on_both_stores("A30.5 as JavaScript does: a start time of zero, an empty input, and a wait "
                "that nobody ever ends")
def _(server, sidecar):
    sidecar.call("Hello")  # It never comes back if this one fails.
    with sidecar.worker() as worker:
        sidecar.start("hello", "", id="a-1", start_at=0)
        started = worker.turn().event("executionStarted")
        equal((started["input"], "scheduledStartTimestamp" in started), ("", False),
              "input, start time")
        equal(sidecar.get("a-1").get("scheduledStartTimestamp"), None, "time of the state")
        sidecar.start(NOBODY, id="a-2")
        gone = Sidecar(server)
        gone.begin("WaitForInstanceCompletion", None, instanceId="a-2")
        gone.channel.close()
        wait = sidecar.begin("WaitForInstanceCompletion", None, instanceId="a-2")
        worker.turn().complete(complete(1))
        equal(wait.result().exists, True, "exists")


@on_both_stores("A30.6 action ids may be 0, come in any order, and repeat, even that of the "
                "completion")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("listener", id="other")
        worker.turn().complete()
        sidecar.start("hello", id="a-1")
        worker.turn().complete(send_event(9, "other", "x"), send_event(0, "other", "y"),
                               send_event(9, "other", "z"), complete(0, '"out"'))
        equal(worker.turn().new,
              ["OS", "eventRaised x", "eventRaised y", "eventRaised z"], "events")
    equal(brief(sidecar, "a-1"), ["OS", "executionStarted", "eventSent 9", "eventSent 0",
                                  "eventSent 9", "executionCompleted 0"], "history")
    equal(sidecar.get("a-1")["output"], '"out"', "output")


@on_both_stores("A30.7 there is no empty continuation token: at the end it is unset")
def _(server, sidecar):
    for count in range(4):
        for size in (1, 2, 3):
            for method, name, fields in (
                    ("QueryInstances", "continuationToken",
                     lambda token: dict(query=dict(maxInstanceCount=size,
                                                   continuationToken=token))),
                    ("ListInstanceIds", "lastInstanceKey",
                     lambda token: dict(pageSize=size, lastInstanceKey=token))):
                answer, pages = sidecar.call(method, **fields(None)), 1
                while answer.HasField(name):
                    token = getattr(answer, name).value
                    expect(token not in ("", "0"), f"{name} is {token!r}")
                    answer, pages = sidecar.call(method, **fields(token)), pages + 1
                expect(pages <= count // size + 1, f"{pages} pages of {size} for {count}")
        run_to_end(sidecar, f"a-{count}")


@on_both_stores("A30.8 a start without a policy replaces one that has ended")
def _(server, sidecar):
    for status in ("COMPLETED", "FAILED", "TERMINATED"):
        bring_to(sidecar, status, status)
        equal(sidecar.start(NOBODY, id=status), status, "id")
        equal(sidecar.status(status), "PENDING", "status")


@on_both_stores("A30.9 as Go does: no completion token, and a policy of its own")
def _(server, sidecar):
    with sidecar.worker() as worker:
        equal(start_as_go(sidecar, "a-1", IGNORE, "PENDING"), "a-1", "id")
        equal(start_as_go(sidecar, "a-1", IGNORE, "PENDING"), "a-1", "id, again")
        worker.turn().complete(schedule_task(0, "act"), token="")
        worker.activity().complete('"r"', token="")
        turn = worker.turn()
        equal(turn.event("taskCompleted 0")["result"], '"r"', "result")
        turn.complete(complete(1), token="")
    equal(sidecar.status("a-1"), "COMPLETED", "status")


@on_both_stores("A30.10 continue-as-new delivers the events and children of its batch, and "
                "drops the activities and timers")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("listener", id="other")
        worker.turn().complete()
        sidecar.start("eternal", id="a-1")
        worker.turn().complete(
            schedule_task(1, "dropped"), create_timer(2, now(-1)),
            send_event(3, "other", "x"), create_child(4, "child", child="child"),
            continue_as_new(5))
        turns = {turn.id: turn.new for turn in (worker.turn() for _ in range(3))}
        equal(turns, {"other": ["OS", "eventRaised x"], "child": ["OS", "executionStarted"],
                      "a-1": ["OS", "executionStarted"]}, "new events")
        worker.quiet()


@on_both_stores("A30.11 as .NET does: an event carried over continue-as-new is one sent to "
                "oneself")
def _(server, sidecar):
    sidecar.start("eternal", id="a-1")
    sidecar.raise_event("a-1", "kept", '"1"')
    with sidecar.worker() as worker:
        first = worker.turn()
        first.complete(send_event(1, "a-1", "kept", '"1"'), continue_as_new(2))
        second = worker.turn()
        expect(second.execution != first.execution, "the execution id is the old one")
        equal(second.new, ["OS", "executionStarted", "eventRaised kept"], "events")
        equal(second.event("eventRaised kept"), {"name": "kept", "input": '"1"'}, "event")


@on_both_stores("A30.12 continue-as-new, restart and rewind are new executions: a result for "
                "the old one harms nobody")
def _(server, sidecar):
    executions, late = [], []
    with sidecar.worker() as worker:
        def begin():
            """An activity of this execution is out when it is over."""
            turn = worker.turn()
            equal(turn.new, ["OS", "executionStarted"], "events")
            executions.append(turn.execution)
            turn.complete(schedule_task(1, "slow"))
            late.append(worker.activity())
            sidecar.raise_event("a-1", "go")
            return worker.turn()
        sidecar.start("hello", id="a-1")
        begin().complete(continue_as_new(2))
        begin().complete(complete(2))
        restart(sidecar, "a-1")
        begin().complete(fail(2, "Sad", "so sad"))
        rewind(sidecar, "a-1")
        answer_rewind(worker.turn(), "f" * 32)
        turn = worker.turn()
        executions.append(turn.execution)
        equal(sidecar.get("a-1")["executionId"], "f" * 32, "execution after the rewind")
        for activity in late[:2]:
            try:
                activity.complete('"old"')
            except grpc.RpcError as error:
                equal(error.code().name, "NOT_FOUND", "code of a late result")
        turn.complete(complete(3))
    equal(len(set(executions)), 4, "executions")
    expect(not any(e.HasField("taskCompleted") for e in sidecar.history("a-1")),
           f"an old result: {brief(sidecar, 'a-1')}")


@on_both_stores("A30.13 a completion may come after its stream was closed")
def _(server, sidecar):
    sidecar.start("hello", id="a-1")
    with sidecar.worker() as worker:
        turn = worker.turn()
    turn.complete(complete(1, '"late"'))
    equal(sidecar.get("a-1")["output"], '"late"', "output")


@check("A30.14 the server ends streams with UNAVAILABLE, not OK")
def _():
    with Server() as server, Sidecar(server).worker() as worker:
        wait_until(lambda: worker.pings, "the stream")
        equal(server.end(), 0, "exit code")
        equal(worker.ended(), "UNAVAILABLE", "code")


@on_both_stores("A30.15 a turn of more than 4 MiB, which some SDKs cannot take, fails after "
                "--max-deliveries; others go on meanwhile", "--max-deliveries=4")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("hello", id="big")
        worker.turn().complete()
    for _ in range(5):
        sidecar.raise_event("big", "x", "x" * MIB)
    small, endings = Sidecar(server, receive_limit=4 * MIB), []
    with sidecar.worker(filters=turns_only("other")) as other:
        for _ in range(4):
            with small.worker(filters=turns_only("hello")) as worker:
                equal(worker.next(), None, "what it could take")
                endings.append(worker.code)
            sidecar.start("other")
            other.turn().complete(complete(1))
    equal(endings, ["RESOURCE_EXHAUSTED"] * 4, "how its streams ended")
    state = sidecar.wait_for_completion("big")
    equal((state["orchestrationStatus"], state["failureDetails"]["errorType"]),
          ("FAILED", "DeliveryLimit"), "end")
    contains(state["failureDetails"]["errorMessage"], "4")


@on_both_stores("A30.16 an activity without a version is matched by its orchestration's")
def _(server, sidecar):
    def of_version(version):
        return sidecar.worker(filters={"activities": [
            dict(name="act", versions=[version])]})
    with sidecar.worker(filters=turns_only("hello")) as worker:
        sidecar.start("hello", version="2")
        worker.turn().complete(schedule_task(1, "act"))
    with of_version("1") as one, of_version("") as none, of_version("2") as two:
        equal(two.activity().task_id, 1, "task")
        one.quiet(0.1), none.quiet(0.1)


@on_both_stores("A30.17 an empty list of filters is nothing of that kind, no filters are "
                "everything")
def _(server, sidecar):
    sidecar.start("hello")
    with sidecar.worker(filters={}) as nothing, \
            sidecar.worker(filters=activities_only("act")) as activities, \
            sidecar.worker() as everything:
        everything.turn().complete(schedule_task(1, "act"), schedule_task(2, "other"))
        nothing.quiet(0.1)
        got = {}
        for item in (everything.activity(), (activities if activities.items.qsize()
                                             else everything).activity()):
            got[item.task_id] = item
        equal(set(got), {1, 2}, "tasks")


@on_both_stores("A30.18 a purge of one that is missing or runs is a count of 0")
def _(server, sidecar):
    sidecar.start(NOBODY, id="active")
    for id in ("missing", "active"):
        answer = sidecar.call("PurgeInstances", instanceId=id)
        equal(protocol.plain(answer), {"isComplete": True}, f"answer for {id}")
    equal(sidecar.status("active"), "PENDING", "status")


@on_both_stores("A30.19 a rewind sends the history with its ExecutionCompleted; the answer "
                "replaces all of it")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("hello", '"in"', id="a-1")
        worker.turn().complete(schedule_task(1, "good"))
        worker.activity().complete('"1"')
        worker.turn().complete(schedule_task(2, "bad"))
        worker.activity().fail("Sad", "so sad")
        worker.turn().complete(fail(3, "Sad", "so sad"))
        history = brief(sidecar, "a-1")
        rewind(sidecar, "a-1", '"again"')
        turn = worker.turn()
        equal((turn.past, turn.past[-1]), (history, "executionCompleted 3"), "past")
        equal(turn.new, ["OS", "executionRewound"], "new")
        equal(turn.event("executionRewound")["reason"], '"again"', "reason")
        state = sidecar.get("a-1")
        equal((state["orchestrationStatus"],
               {"output", "failureDetails", "completedTimestamp"} & set(state)),
              ("RUNNING", set()), "state")
        answer_rewind(turn, "e" * 32)
        turn = worker.turn()
        kept = ["OS", "executionStarted", "taskScheduled 1", "OS", "taskCompleted 1", "OS",
                "OS", "executionRewound"]
        equal((turn.past, turn.new, turn.execution), (kept, ["OS"], "e" * 32), "next turn")
        turn.complete(schedule_task(2, "bad"))
        worker.activity().complete('"2"')
        worker.turn().complete(complete(3, '"out"'))
    equal(brief(sidecar, "a-1"), kept + ["OS", "taskScheduled 2", "OS", "taskCompleted 2",
                                         "executionCompleted 3"], "history")
    equal(sidecar.get("a-1")["output"], '"out"', "output")
