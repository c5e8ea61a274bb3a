"""A20, from A20.17: executions that come of executions: children, continue-as-new; bounds.

Spoken raw (tests/interop/sidecar.py), each check with both stores.
"""

from harness import contains, equal, expect
from orchestrations import on_both_stores
from sidecar import (complete, continue_as_new, create_child, create_timer, now,
                     refused, schedule_task, send_event)
from turns import brief

# ---- Children ---------------------------------------------------------------

@on_both_stores("A20.17 a child without an id gets its parent's with the action's, in four hex "
                "digits")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("parent", id="a-1")
        worker.turn().complete(create_child(0, "child"), create_child(300, "child"))
        equal({turn.id for turn in worker.take(2)}, {"a-1:0000", "a-1:012c"}, "ids")


@on_both_stores("A20.18 a child of an id that is in use fails its parent's task; of one that "
                "has ended, replaces it")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("other", id="used")
        worker.turn().complete()
        sidecar.start("parent", id="a-1")
        worker.turn().complete(create_child(1, "child", child="used"))
        turn = worker.turn()
        event = turn.event("subOrchestrationInstanceFailed 1")
        equal(event["failureDetails"]["errorType"], "OrchestrationAlreadyExists", "type")
        contains(event["failureDetails"]["errorMessage"], "used")
        equal(sidecar.get("used")["name"], "other", "name of who has the id")
        sidecar.raise_event("used", "end")
        other = worker.turn()
        other.complete(complete(1))
        turn.complete(create_child(2, "child", child="used"))
        child = worker.turn()
        equal((child.id, child.past), ("used", []), "the child")
        child.complete(complete(1, '"c"'))
        equal(worker.turn().event("subOrchestrationInstanceCompleted 2")["result"],
              '"c"', "result")


@on_both_stores("A20.19 the id of a child may have 1,024 bytes; a longer one, and one with @, "
                "fails it")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("parent", id="a-1")
        worker.turn().complete(create_child(1, "child", child="x" * 1024))
        child = worker.turn()
        equal(child.id, "x" * 1024, "id")
        child.complete(complete(1))
        turn = worker.turn()
        for id, child, words in ((2, "x" * 1025, "1024"), (3, "@c@a", "@"),
                                 (4, "a\nb", "control")):
            turn.complete(create_child(id, "child", child=child))
            turn = worker.turn()
            event = turn.event(f"subOrchestrationInstanceFailed {id}")
            contains(event["failureDetails"]["errorMessage"], words)
        turn.complete(complete(9))


@on_both_stores("A20.20 a child that is terminated fails its parent's task; one whose parent "
                "has ended tells nobody")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("parent", id="a-1")
        worker.turn().complete(create_child(1, "child", child="c-1"),
                               create_child(2, "child", child="c-2"))
        children = {turn.id: turn for turn in worker.take(2)}
        children["c-1"].complete(complete(1, '"x"', "TERMINATED"))
        turn = worker.turn()
        event = turn.event("subOrchestrationInstanceFailed 1")
        expect(event["failureDetails"]["errorType"], f"no type: {event}")
        contains(event["failureDetails"]["errorMessage"], "c-1")
        turn.complete(complete(3))
        children["c-2"].complete(complete(1))
        equal(sidecar.wait_for_completion("c-2")["orchestrationStatus"], "COMPLETED",
              "status")
        worker.quiet()


@on_both_stores("A20.21 a child's end reaches its parent over the child's continue-as-new, and "
                "no later execution of the parent")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("parent", id="a-1")
        worker.turn().complete(create_child(1, "child", child="c-1"),
                               create_child(2, "child", child="c-2"))
        children = {turn.id: turn for turn in worker.take(2)}
        children["c-1"].complete(continue_as_new(1))
        again = worker.turn()
        equal(again.event("executionStarted")["parentInstance"]["taskScheduledId"], 1,
              "the parent link")
        again.complete(complete(1, '"c"'))
        turn = worker.turn()
        equal(turn.event("subOrchestrationInstanceCompleted 1")["result"], '"c"', "end")
        turn.complete(continue_as_new(3))
        equal(worker.turn().new, ["OS", "executionStarted"], "events")
        children["c-2"].complete(complete(1))
        worker.quiet()


# ---- Continue as new --------------------------------------------------------

@on_both_stores("A20.22 continue-as-new: a new execution with a new input and no history; name, "
                "tags, creation stay")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("eternal", '"1"', id="a-1", version="1", tags={"a": "b"})
        first = worker.turn()
        created = sidecar.get("a-1")["createdTimestamp"]
        first.complete(continue_as_new(1, '"2"'))
        second = worker.turn()
        expect(second.execution != first.execution, "the execution id is the old one")
        equal((second.past, second.new), ([], ["OS", "executionStarted"]), "events")
        started = second.event("executionStarted")
        equal((started["name"], started["input"], started["version"], started["tags"]),
              ("eternal", '"2"', "1", {"a": "b"}), "start")
        equal(started["orchestrationInstance"]["executionId"], second.execution,
              "execution id")
        state = sidecar.get("a-1")
        equal((state["orchestrationStatus"], state["input"], state["createdTimestamp"],
               state["executionId"]), ("RUNNING", '"2"', created, second.execution),
              "state")
        equal(sidecar.history("a-1"), [], "history")
        second.complete(continue_as_new(1, None, newVersion="2"))
        third = worker.turn()
        started = third.event("executionStarted")
        equal(("input" in started, started["version"]), (False, "2"), "start")
        third.complete(complete(1))
        equal(brief(sidecar, "a-1"), ["OS", "executionStarted", "executionCompleted 1"],
              "history")


@on_both_stores("A20.23 continue-as-new carries events over, in order: those given back, then "
                "those that came meanwhile")
def _(server, sidecar):
    sidecar.start("eternal", id="a-1")
    for name in "xyz":
        sidecar.raise_event("a-1", name, f'"{name}"')
    with sidecar.worker() as worker:
        turn = worker.turn()
        sidecar.raise_event("a-1", "late")
        turn.complete(continue_as_new(1, carryover=turn.request.newEvents[3:]))
        turn = worker.turn()
        equal(turn.new, ["OS", "executionStarted", "eventRaised y", "eventRaised z",
                         "eventRaised late"], "events")
        equal(turn.event("eventRaised z"), {"name": "z", "input": '"z"'}, "z")


@on_both_stores("A20.24 continue-as-new drops activities and timers of the batch and before, "
                "and delivers events and children")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("other", id="other")
        worker.turn().complete()
        sidecar.start("eternal", id="a-1")
        worker.turn().complete(schedule_task(1, "before"), create_timer(2, now(0.4)))
        before = worker.activity()
        sidecar.raise_event("a-1", "go")
        worker.turn().complete(
            schedule_task(3, "dropped"), create_timer(4, now(0.2)),
            send_event(5, "other", "x"), send_event(6, "a-1", "self"),
            create_child(7, "child", child="child"), continue_as_new(8))
        turns = {turn.id: turn for turn in (worker.turn() for _ in range(3))}
        equal(turns["other"].new, ["OS", "eventRaised x"], "the other one's")
        equal(turns["a-1"].new, ["OS", "executionStarted", "eventRaised self"], "its own")
        equal(turns["child"].new, ["OS", "executionStarted"], "the child's")
        turns["a-1"].complete()
        turns["child"].complete(complete(1))
        try:
            before.complete()
        except Exception as error:
            equal(error.code().name, "NOT_FOUND", "code for a late result")
        worker.quiet(0.7)
        equal(brief(sidecar, "a-1"), ["OS", "executionStarted", "eventRaised self"],
              "history")


@on_both_stores("A20.25 results and timers of an execution that is over never reach the next, "
                "though ids are the same")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("eternal", id="a-1")
        worker.turn().complete(schedule_task(1, "slow"), create_timer(2, now(0.3)),
                               create_child(3, "child", child="child"))
        items = {type(item).__name__: item for item in worker.take(2)}
        sidecar.raise_event("a-1", "go")
        worker.turn().complete(continue_as_new(4))
        worker.turn().complete(schedule_task(1, "slow"), create_timer(2, now(3)))
        again = worker.activity()
        refused("NOT_FOUND", items["Activity"].complete, '"old"')
        items["Turn"].complete(complete(1, '"old"'))
        worker.quiet(0.5)
        again.complete('"new"')
        turn = worker.turn()
        equal(turn.event("taskCompleted 1")["result"], '"new"', "result")
        turn.complete()
        equal(worker.turn().new, ["OS", "timerFired 2"], "events")


@on_both_stores("A20.26 a suspend and a terminate that come with continue-as-new are for the "
                "next execution")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("eternal", id="a-1")
        turn = worker.turn()
        sidecar.suspend("a-1")
        turn.complete(continue_as_new(1))
        turn = worker.turn()
        equal(turn.new, ["OS", "executionStarted", "executionSuspended"], "events")
        turn.complete()
        equal(sidecar.status("a-1"), "SUSPENDED", "status")
        sidecar.terminate("a-1")
        turn = worker.turn()
        equal(turn.new, ["OS", "executionTerminated"], "events")
        turn.complete(complete(1, status="TERMINATED"))
        equal(sidecar.status("a-1"), "TERMINATED", "status")


# ---- Bounds -----------------------------------------------------------------

@on_both_stores("A20.27 a payload of 1 MiB works everywhere")
def _(server, sidecar):
    big = '"' + "x" * (1 << 20) + '"'
    with sidecar.worker() as worker:
        sidecar.start("echo", big, id="a-1")
        turn = worker.turn()
        equal(len(turn.event("executionStarted")["input"]), len(big), "input")
        turn.complete(schedule_task(1, "echo", big), custom_status=big)
        activity = worker.activity()
        equal(activity.input, big, "input of the activity")
        activity.complete(big)
        sidecar.raise_event("a-1", "x", big)
        turn = worker.turn()
        if turn.new == ["OS", "taskCompleted 1"]:
            turn.complete()
            turn = worker.turn()
        turn.complete(complete(2, big))
        state = sidecar.wait_for_completion("a-1")
        for name in ("input", "output", "customStatus"):
            equal(state[name] == big, True, f"{name} of 1 MiB")


@on_both_stores("A20.28 --max-payload: what is larger is refused with the number, or fails the "
                "task or the orchestration", "--max-payload=1000")
def _(server, sidecar):
    fits, big = "x" * 1000, "x" * 1001
    words = ("1001", "1000", "--max-payload")
    contains(refused("RESOURCE_EXHAUSTED", sidecar.start, "echo", big), *words)
    sidecar.start("echo", fits, id="a-1")
    contains(refused("RESOURCE_EXHAUSTED", sidecar.raise_event, "a-1", "x", big), *words)
    contains(refused("RESOURCE_EXHAUSTED", sidecar.terminate, "a-1", big), *words)
    with sidecar.worker() as worker:
        turn = worker.turn()
        equal(turn.new, ["OS", "executionStarted"], "events")
        turn.complete(schedule_task(1, "echo", fits), custom_status=fits)
        worker.activity().complete(big)
        turn = worker.turn()
        contains(turn.event("taskFailed 1")["failureDetails"]["errorMessage"], *words)
        turn.complete(schedule_task(2, "echo", big))
        state = sidecar.wait_for_completion("a-1")
        equal(state["orchestrationStatus"], "FAILED", "status")
        contains(state["failureDetails"]["errorMessage"], *words)
        for actions, status in (([complete(1, big)], None), ([], big),
                                ([send_event(1, "x", "x", big)], None),
                                ([create_child(1, "c", big)], None),
                                ([continue_as_new(1, big)], None)):
            id = sidecar.start("echo")
            worker.turn().complete(*actions, custom_status=status)
            state = sidecar.wait_for_completion(id)
            equal(state["orchestrationStatus"], "FAILED", f"status after {actions}")
            contains(state["failureDetails"]["errorMessage"], *words)


@on_both_stores("A20.29 --max-history-events: one that grows longer fails, with the number",
                "--max-history-events=50")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("busy", id="a-1")
        worker.turn().complete(*[schedule_task(i, "x") for i in range(40)])
        # Each result is an event, and so is the beginning of each turn.
        while sidecar.status("a-1") != "FAILED":
            worker.next().complete()
        state = sidecar.get("a-1")
        contains(state["failureDetails"]["errorMessage"], "50", "--max-history-events")


@on_both_stores("A20.30 a fan-out of 1,000 works: each result once")
def _(server, sidecar):
    with sidecar.worker(turns=10, activities=1000) as worker:
        sidecar.start("fan", id="a-1")
        worker.turn().complete(*[schedule_task(i, "act", str(i)) for i in range(1000)])
        calls, results = [], set()
        while len(calls) < 1000 or len(results) < 1000:
            item = worker.next()
            if hasattr(item, "task_id"):
                calls.append(sidecar.begin(
                    "CompleteActivityTask", instanceId=item.id, taskId=item.task_id,
                    result=item.input, completionToken=item.token))
                continue
            for event in item.request.newEvents:
                if event.HasField("taskCompleted"):
                    done = event.taskCompleted
                    equal(done.result.value, str(done.taskScheduledId), "result")
                    expect(done.taskScheduledId not in results, "a result came twice")
                    results.add(done.taskScheduledId)
            item.complete(*([complete(1000)] if len(results) == 1000 else []))
        for call in calls:
            call.result()
        equal(sidecar.wait_for_completion("a-1")["orchestrationStatus"], "COMPLETED",
              "status")


@on_both_stores("A20.31 a history of 10,000 events works, and can be read")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("long", id="a-1")
        id, events = 1, 0
        while events < 10000:
            turn = worker.turn()
            equal(len(turn.past), events, "past")
            events += len(turn.new) + 1000
            turn.complete(*[send_event(id + i, "missing", "x") for i in range(999)],
                          send_event(id + 999, "a-1", "next"))
            id += 1000
        worker.turn().complete(complete(id))
        sidecar.wait_for_completion("a-1")
    history = sidecar.history("a-1")
    expect(len(history) >= 10000, f"{len(history)} events")
    sent = [e.eventId for e in history if e.HasField("eventSent")]
    equal(sent, list(range(1, id)), "ids, in order")


@on_both_stores("A20.32 --max-payload bounds the reasons of suspend and resume, too",
                "--max-payload=1000")
def _(server, sidecar):
    sidecar.start("nobody", id="a-1")
    for call in (sidecar.suspend, sidecar.resume):
        call("a-1", "x" * 1000)
        contains(refused("RESOURCE_EXHAUSTED", call, "a-1", "x" * 1001),
                 "1001", "1000", "--max-payload")
