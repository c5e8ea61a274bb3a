"""A20: turns of orchestrations: what a worker is told, what comes of its answer.

What one execution brings forth, and the bounds, are in executions.py.
Spoken raw (tests/interop/sidecar.py), each check with both stores.
"""

import sidecar as protocol
from harness import equal, expect
from orchestrations import on_both_stores
from sidecar import (complete, continue_as_new, create_child, create_timer, failure,
                     now, schedule_task, send_event, terminate)

TRACE = {"traceParent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
         "spanID": "b7ad6b7169203331", "traceState": "a=b"}
PAYLOADS = (None, "", '"text"', "not JSON", "ä€😀\n\t\"", "null", " ")


def brief(sidecar, id):
    return [protocol.brief(event) for event in sidecar.history(id)]


def clocks(sidecar, id):
    """When its turns were, in nanoseconds."""
    return [e.timestamp.ToNanoseconds() for e in sidecar.history(id)
            if e.HasField("orchestratorStarted")]


def expect_strictly_rising(times):
    for before, after in zip(times, times[1:]):
        expect(after >= before + 1_000_000, f"turns at {before} and {after}")


# ---- What is told, and written down -----------------------------------------

@on_both_stores("A20.1 one activity, one timer, one child: each turn and the history are "
                "exactly as they should be")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("hello", '"world"', id="a-1")
        turn = worker.turn()
        equal((turn.past, turn.new), ([], ["OS", "executionStarted"]), "first turn")
        execution = turn.execution
        turn.complete(schedule_task(1, "greet", '"world"'))
        activity = worker.activity()
        equal((activity.name, activity.input, activity.task_id, activity.id),
              ("greet", '"world"', 1, "a-1"), "activity")
        equal(protocol.plain(activity.request.orchestrationInstance),
              {"instanceId": "a-1", "executionId": execution}, "its orchestration")
        activity.complete('"hi"')
        turn = worker.turn()
        equal((turn.past, turn.new), (["OS", "executionStarted", "taskScheduled 1"],
                                      ["OS", "taskCompleted 1"]), "second turn")
        equal(turn.event("taskCompleted 1"), {"taskScheduledId": 1, "result": '"hi"'},
              "result")
        fire_at = now(0.3) // 1_000_000 * 1_000_000 + 123_456
        turn.complete(create_timer(2, fire_at))
        turn = worker.turn()
        equal(turn.past[-3:], ["OS", "taskCompleted 1", "timerCreated 2"], "past")
        equal(turn.new, ["OS", "timerFired 2"], "third turn")
        equal(turn.event("timerFired 2"), {"fireAt": fire_at, "timerId": 2}, "timer")
        turn.complete(create_child(3, "child", '"c"', child="a-1-child"))
        child = worker.turn()
        equal(child.event("executionStarted")["parentInstance"], {
            "taskScheduledId": 3, "name": "hello",
            "orchestrationInstance": {"instanceId": "a-1", "executionId": execution}},
            "parent")
        child.complete(complete(1, '"grown up"'))
        turn = worker.turn()
        equal(turn.new, ["OS", "subOrchestrationInstanceCompleted 3"], "fourth turn")
        turn.complete(complete(4, '"done"'))
        equal(sidecar.wait_for_completion("a-1")["output"], '"done"', "output")
    equal(brief(sidecar, "a-1"), [
        "OS", "executionStarted", "taskScheduled 1",
        "OS", "taskCompleted 1", "timerCreated 2",
        "OS", "timerFired 2", "subOrchestrationInstanceCreated 3",
        "OS", "subOrchestrationInstanceCompleted 3", "executionCompleted 4"], "history")
    for event in sidecar.history("a-1"):
        expect(event.HasField("timestamp"), f"no timestamp: {event}")
        kind = protocol.kind_of(event)
        wanted = {"taskScheduled": 1, "timerCreated": 2, "executionCompleted": 4,
                  "subOrchestrationInstanceCreated": 3}.get(kind, -1)
        equal(event.eventId, wanted, f"eventId of {kind}")
    times = clocks(sidecar, "a-1")
    expect_strictly_rising(times)
    expect(times[2] >= fire_at, "the timer's turn is before it was to fire")
    equal(sidecar.get("a-1-child")["parentInstanceId"], "a-1", "parent of the child")


@on_both_stores("A20.2 turns in quick succession have clocks that rise by 1 ms at least, also "
                "over continue-as-new")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("busy", id="a-1")
        times = []
        for i in range(30):
            turn = worker.turn()
            times.append(turn.request.newEvents[0].timestamp.ToNanoseconds())
            if i % 3:
                turn.complete(continue_as_new(1))
            else:
                sidecar.raise_event("a-1", "x")
                turn.complete()
    expect_strictly_rising(times)


@on_both_stores("A20.3 payloads come back byte for byte: absent, empty and text are three")
def _(server, sidecar):
    with sidecar.worker() as worker:
        for i, payload in enumerate(PAYLOADS):
            id = f"a-{i}"

            def same(what, value):
                equal(value, payload, f"{what}, given {payload!r}")
            sidecar.start("echo", payload, id=id, version=payload)
            same("input of a pending one", sidecar.get(id).get("input"))
            turn = worker.turn()
            same("input", turn.event("executionStarted").get("input"))
            same("version", turn.event("executionStarted").get("version"))
            turn.complete(schedule_task(1, "echo", payload, version=payload),
                          create_child(2, "child", payload, child=id + "c",
                                       version=payload),
                          send_event(3, id, "self", payload), custom_status=payload)
            items = {}
            while len(items) < 3:  # The activity, the child, the event to itself.
                item = worker.next()
                items[type(item).__name__ + item.id] = item
            activity, child = items["Activity" + id], items["Turn" + id + "c"]
            same("input of an activity", activity.input)
            same("version of an activity",
                 protocol.plain(activity.request).get("version"))
            same("input of a child", child.event("executionStarted").get("input"))
            same("version of a child", child.event("executionStarted").get("version"))
            turn = items["Turn" + id]
            same("input of an event", turn.event("eventRaised self").get("input"))
            turn.complete()
            activity.complete(payload)
            turn = worker.turn()
            same("result", turn.event("taskCompleted 1").get("result"))
            turn.complete()
            child.complete(complete(1, payload))
            turn = worker.turn()
            same("result of a child",
                 turn.event("subOrchestrationInstanceCompleted 2").get("result"))
            turn.complete(complete(4, payload))
            state = sidecar.wait_for_completion(id)
            for what in ("input", "output", "customStatus", "version"):
                same(what, state.get(what))
            same("reason", payload)


@on_both_stores("A20.4 a failure comes back whole: of an activity, a child, an orchestration")
def _(server, sidecar):
    inner = failure("Inner", "ä", stackTrace="at x", isNonRetriable=True)
    whole = failure("Outer", "so sad", stackTrace="", innerFailure=inner,
                    properties={"code": {"number_value": 7.0}})
    wanted = protocol.plain(protocol.fill(
        protocol.MESSAGES["TaskFailureDetails"](), **whole))
    with sidecar.worker() as worker:
        sidecar.start("sad", id="a-1")
        worker.turn().complete(schedule_task(1, "sad"))
        worker.activity().complete(failureDetails=whole)
        turn = worker.turn()
        equal(turn.event("taskFailed 1")["failureDetails"], wanted, "of the activity")
        turn.complete(create_child(2, "sad", child="child"))
        worker.turn().complete(complete(1, status="FAILED", failureDetails=whole))
        turn = worker.turn()
        equal(turn.event("subOrchestrationInstanceFailed 2")["failureDetails"], wanted,
              "of the child")
        turn.complete(complete(3, status="FAILED", failureDetails=whole))
        state = sidecar.wait_for_completion("a-1")
        equal((state["orchestrationStatus"], state["failureDetails"], "output" in state),
              ("FAILED", wanted, False), "end")


@on_both_stores("A20.5 tags, versions and trace contexts reach items, events and states")
def _(server, sidecar):
    context = {"spanID": "1234", "spanStartTime": now()}
    with sidecar.worker() as worker:
        sidecar.start("traced", id="a-1", version="7", tags={"a": "1"},
                      parentTraceContext=TRACE)
        turn = worker.turn()
        started = turn.event("executionStarted")
        equal((started["tags"], started["version"], started["parentTraceContext"]),
              ({"a": "1"}, "7", TRACE), "of the start")
        expect(not turn.request.HasField("orchestrationTraceContext"),
               "a trace context that nobody made")
        turn.complete(
            schedule_task(1, "act", version="8", tags={"b": "2"},
                          parentTraceContext=TRACE),
            create_child(2, "child", child="child", version="9", tags={"c": "3"},
                         parentTraceContext=TRACE),
            orchestrationTraceContext=context)
        items = {type(item).__name__: item for item in worker.take(2)}
        activity = protocol.plain(items["Activity"].request)
        equal((activity["tags"], activity["version"], activity["parentTraceContext"]),
              ({"b": "2"}, "8", TRACE), "of the activity")
        started = items["Turn"].event("executionStarted")
        equal((started["tags"], started["version"], started["parentTraceContext"]),
              ({"c": "3"}, "9", TRACE), "of the child")
        items["Activity"].complete()
        turn = worker.turn()
        equal(protocol.plain(turn.request.orchestrationTraceContext), context,
              "the orchestration's own")
        scheduled = turn.request.pastEvents[2].taskScheduled
        equal((dict(scheduled.tags), scheduled.version.value,
               protocol.plain(scheduled.parentTraceContext)),
              ({"b": "2"}, "8", TRACE), "of the event taskScheduled")
        created = turn.request.pastEvents[3].subOrchestrationInstanceCreated
        equal((dict(created.tags), created.version.value,
               protocol.plain(created.parentTraceContext)),
              ({"c": "3"}, "9", TRACE), "of the event subOrchestrationInstanceCreated")
        turn.complete(complete(3))
        for id, tags, version in (("a-1", {"a": "1"}, "7"), ("child", {"c": "3"}, "9")):
            state = sidecar.get(id)
            equal((state["tags"], state["version"]), (tags, version), f"state of {id}")


@on_both_stores("A20.6 entityParameters are set: some SDKs want them")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("hello")
        request = worker.turn().request
        expect(request.HasField("entityParameters")
               and request.entityParameters.HasField("entityMessageReorderWindow"),
               f"{request}")
        equal(request.entityParameters.entityMessageReorderWindow.ToNanoseconds(), 0,
              "window")


# ---- Answers ----------------------------------------------------------------

@on_both_stores("A20.7 custom status: absent leaves it, present overwrites it, even if empty; "
                "it survives the end")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("busy", id="a-1")
        for given, wanted in ((None, None), ('"x"', '"x"'), (None, '"x"'), ("", ""),
                              (None, ""), ('"z"', '"z"')):
            worker.turn().complete(custom_status=given)
            equal(sidecar.get("a-1").get("customStatus"), wanted, f"given {given!r}")
            sidecar.raise_event("a-1", "x")
        worker.turn().complete(continue_as_new(1))
        equal(sidecar.get("a-1").get("customStatus"), '"z"', "in the next execution")
        worker.turn().complete(complete(1))
        equal(sidecar.get("a-1").get("customStatus"), '"z"', "after the end")


@on_both_stores("A20.8 an action's id may be 0, or far off, and they come in any order")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("hello", id="a-1")
        worker.turn().complete(schedule_task(7, "b"), schedule_task(0, "a"),
                               create_timer(2**31 - 1, now(-1)))
        items = worker.take(3)
        turn = next(item for item in items if isinstance(item, protocol.Turn))
        equal(turn.new, ["OS", f"timerFired {2**31 - 1}"], "events")
        turn.complete()
        items.remove(turn)
        equal({a.name: a.task_id for a in items}, {"a": 0, "b": 7}, "ids")
        next(a for a in items if a.name == "a").complete('"a"')
        turn = worker.turn()
        equal(turn.new, ["OS", "taskCompleted 0"], "events")
        turn.complete(complete(0, '"out"'))
        expect("taskScheduled 0" in brief(sidecar, "a-1"), f"{brief(sidecar, 'a-1')}")
        equal(sidecar.wait_for_completion("a-1")["output"], '"out"', "output")


@on_both_stores("A20.9 the completion may come first: what stands behind it is done all the "
                "same")
def _(server, sidecar):
    sidecar.start("nobody", id="other")
    with sidecar.worker(filters={"orchestrations": [{"name": "hello"}, {"name": "child"}],
                                 "activities": [{"name": "act"}]}) as worker:
        sidecar.start("hello", id="a-1")
        worker.turn().complete(
            complete(3, '"out"'), send_event(1, "other", "x", '"1"'),
            create_child(2, "child", child="child"))
        equal(worker.turn().id, "child", "whose turn")
        equal(sidecar.wait_for_completion("a-1")["output"], '"out"', "output")
    equal(brief(sidecar, "a-1"), ["OS", "executionStarted", "eventSent 1",
          "subOrchestrationInstanceCreated 2", "executionCompleted 3"], "history")
    with sidecar.worker(filters={"orchestrations": [{"name": "nobody"}]}) as worker:
        equal(worker.turn().new, ["OS", "executionStarted", "eventRaised x"], "events")


@on_both_stores("A20.10 ids may be given twice: nothing is lost, nothing hangs")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("listener", id="other")
        worker.turn().complete()
        sidecar.start("hello", id="a-1")
        worker.turn().complete(send_event(1, "other", "x"), send_event(1, "other", "y"),
                               complete(1))
        equal(worker.turn().new, ["OS", "eventRaised x", "eventRaised y"], "events")
        equal(sidecar.wait_for_completion("a-1")["orchestrationStatus"], "COMPLETED",
              "status")
        sidecar.start("hello", id="a-2")
        worker.turn().complete(schedule_task(1, "x"), schedule_task(1, "y"))
        worker.activity().complete()
        turn = worker.turn()
        equal(turn.new, ["OS", "taskCompleted 1"], "events")
        turn.complete(complete(2))


@on_both_stores("A20.11 no action at all is an answer; so is one to a turn of nothing but a "
                "suspend")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("idle", id="a-1")
        worker.turn().complete()
        equal(sidecar.status("a-1"), "RUNNING", "status")
        worker.quiet()
        sidecar.suspend("a-1")
        worker.turn().complete()
        equal(sidecar.status("a-1"), "SUSPENDED", "status")


@on_both_stores("A20.12 numEventsProcessed smaller than sent: the rest comes again, first and "
                "once")
def _(server, sidecar):
    sidecar.start("careful", id="a-1")
    for name in "xyz":
        sidecar.raise_event("a-1", name)
    with sidecar.worker() as worker:
        turn = worker.turn()
        equal(len(turn.new), 5, "events")
        sidecar.raise_event("a-1", "later")
        turn.complete(numEventsProcessed=3)
        turn = worker.turn()
        equal((turn.past, turn.new), (
            ["OS", "executionStarted", "eventRaised x"],
            ["OS", "eventRaised y", "eventRaised z", "eventRaised later"]), "next turn")
        turn.complete(numEventsProcessed=4)
        worker.quiet()
        equal(brief(sidecar, "a-1"), [
            "OS", "executionStarted", "eventRaised x", "OS", "eventRaised y",
            "eventRaised z", "eventRaised later"], "history")


@on_both_stores("A20.13 an answer in parts counts when its last part is there; a part that is "
                "sent again counts once")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("long", id="a-1")
        turn = worker.turn()
        for _ in range(2):
            turn.complete(schedule_task(1, "x"), custom_status='"first"', isPartial=True,
                          chunkIndex=0)
        worker.quiet()
        equal(sidecar.status("a-1"), "PENDING", "status")
        turn.complete(schedule_task(2, "y"), chunkIndex=1, numEventsProcessed=0)
        equal([worker.activity().name for _ in range(2)], ["x", "y"], "activities")
        equal(sidecar.get("a-1")["customStatus"], '"first"', "custom status")
        equal(brief(sidecar, "a-1"),
              ["OS", "executionStarted", "taskScheduled 1", "taskScheduled 2"], "history")


@on_both_stores("A20.14 an event, and a terminate, from one orchestration to another; to "
                "nobody it is dropped")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("target", id="other")
        worker.turn().complete()
        sidecar.start("sender", id="a-1")
        worker.turn().complete(
            send_event(1, "missing", "x"), send_event(2, "other", "x", '"1"'),
            terminate(3, "missing"), terminate(4, "other", '"enough"', True))
        turn = worker.turn()
        equal(turn.new, ["OS", "eventRaised x", "executionTerminated"], "events")
        equal(turn.event("executionTerminated"), {"input": '"enough"', "recurse": True},
              "terminate")
        equal(brief(sidecar, "a-1"),
              ["OS", "executionStarted", "eventSent 1", "eventSent 2"], "history")
        sent = sidecar.history("a-1")[3]
        equal(protocol.plain(sent.eventSent),
              {"instanceId": "other", "name": "x", "input": '"1"'}, "eventSent")


@on_both_stores("A20.15 an event to itself comes in the next turn")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("self", id="a-1")
        worker.turn().complete(send_event(1, "a-1", "x", '"1"'))
        turn = worker.turn()
        equal((turn.past, turn.new), (["OS", "executionStarted", "eventSent 1"],
                                      ["OS", "eventRaised x"]), "events")


# ---- Timers -----------------------------------------------------------------

@on_both_stores("A20.16 timers: of the past at once but in a later turn, two that are due "
                "together in order, none after the end")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("timers", id="a-1")
        at = now(-5)
        worker.turn().complete(create_timer(3, at), create_timer(1, at),
                               create_timer(2, at - 1000))
        fired = []
        while len(fired) < 3:
            turn = worker.turn()
            fired += turn.new[1:]
            turn.complete()
        equal(fired, ["timerFired 2", "timerFired 1", "timerFired 3"], "order")
        sidecar.raise_event("a-1", "x")
        worker.turn().complete(create_timer(4, now(0.2)), complete(5))
        worker.quiet(0.5)
        equal(brief(sidecar, "a-1")[-2:], ["timerCreated 4", "executionCompleted 5"],
              "history")
