"""A30, from A30.20: what no other module shows of the Durable Task protocol.

Of the start, of states, commands, purge, restart and rewind, of large histories and answers
in parts. What each module has is in surprises.py.
"""

import grpc

import sidecar as protocol
from harness import contains, equal, expect
from orchestrations import NOBODY, bring_to, on_both_stores, run_to_end
from sidecar import (complete, continue_as_new, create_child, create_timer, fail, now,
                     refused, schedule_task, send_event)
from surprises import IGNORE, TERMINATE, answer_rewind, restart, rewind, start_as_go
from turns import TRACE, brief
from work import turns_only

HEX = set("0123456789abcdef")

# ---- Start ------------------------------------------------------------------

@on_both_stores("A30.20 ids that the server makes are 32 hex digits; an execution id that is "
                "asked for is used")
def _(server, sidecar):
    id = sidecar.start(NOBODY)
    for made in (id, sidecar.get(id)["executionId"], restart(sidecar, id, new_id=True)):
        expect(len(made) == 32 and set(made) <= HEX, f"id {made!r}")
    sidecar.start(NOBODY, id="a-1", executionId="of-my-own")
    equal(sidecar.get("a-1")["executionId"], "of-my-own", "execution id")


@on_both_stores("A30.21 ExecutionStarted says what the start said, and nothing else; "
                "requestTime is for traces only")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("hello", '"in"', id="a-1", version="2", tags={"a": "b"},
                      start_at=now(-60), parentTraceContext=TRACE, requestTime=now(3600))
        turn = worker.turn()
        started = turn.event("executionStarted")
        started.pop("scheduledStartTimestamp", None)  # Of the past: as one likes.
        equal(started, {
            "name": "hello", "version": "2", "input": '"in"', "tags": {"a": "b"},
            "parentTraceContext": TRACE, "orchestrationInstance": {
                "instanceId": "a-1", "executionId": turn.execution}}, "executionStarted")


@on_both_stores("A30.22 what is replaced leaves neither event, timer nor queued activity; its "
                "waiters wait for the new one")
def _(server, sidecar):
    with sidecar.worker(filters=turns_only("old")) as worker:
        sidecar.start("old", id="a-1")
        worker.turn().complete(create_timer(1, now(0.3)), schedule_task(2, "queued"))
    wait = sidecar.begin("WaitForInstanceCompletion", instanceId="a-1",
                         getInputsAndOutputs=True)
    sidecar.raise_event("a-1", "of-the-old")
    sidecar.start("new", id="a-1", replaceable=["RUNNING", "TERMINATED"])
    with sidecar.worker() as worker:
        turn = worker.turn()
        equal((turn.past, turn.new), ([], ["OS", "executionStarted"]), "events")
        turn.complete()
        worker.quiet(0.5)
        expect(not wait.done(), "the wait has ended")
        sidecar.raise_event("a-1", "end")
        turn = worker.turn()
        equal(turn.new, ["OS", "eventRaised end"], "events")
        turn.complete(complete(1, '"new"'))
    equal(wait.result().orchestrationState.output.value, '"new"', "output")


@on_both_stores("A30.23 the policy of old Go clients: ignore and terminate for the statuses it "
                "lists, ALREADY_EXISTS for others")
def _(server, sidecar):
    for do in (IGNORE, TERMINATE):
        for status in ("RUNNING", "PENDING", "SUSPENDED", "COMPLETED"):
            id = f"{status}-{do}"
            bring_to(sidecar, id, status)
            execution = sidecar.get(id)["executionId"]
            contains(refused("ALREADY_EXISTS", start_as_go, sidecar, id, do, "FAILED"),
                     "orchestration instance already exists")
            equal(start_as_go(sidecar, id, do, "FAILED", status), id, "id")
            state = sidecar.get(id)
            equal((state["executionId"] == execution, state["name"]),
                  (True, "old") if do == IGNORE else (False, "new"),
                  f"whether {id} is the old one")


@on_both_stores("A30.24 an old policy that has no action is one of today")
def _(server, sidecar):
    bring_to(sidecar, "a-1", "COMPLETED")
    refused("ALREADY_EXISTS", sidecar.start, "new", id="a-1", replaceable=["FAILED"])
    refused("INVALID_ARGUMENT", sidecar.start, "new", id="a-1", replaceable=["RUNNING"])
    equal(sidecar.start("new", id="a-1", replaceable=["COMPLETED"]), "a-1", "id")
    equal(sidecar.get("a-1")["name"], "new", "name")


# ---- States, commands, queries ----------------------------------------------

@on_both_stores("A30.25 a state has what its status says: a completion time and an output or "
                "failure only after the end")
def _(server, sidecar):
    details = dict(errorType="Sad", errorMessage="so sad")
    with sidecar.worker() as worker:
        for status, end, wanted in (
                ("RUNNING", [], {}),
                ("COMPLETED", [complete(1, '"out"')], {"output": '"out"'}),
                ("FAILED", [fail(1, "Sad", "so sad")],
                 {"failureDetails": details}),
                ("TERMINATED", [complete(1, '"x"', "TERMINATED")], {"output": '"x"'})):
            sidecar.start("hello", '"in"', id=status)
            turn = worker.turn()
            turn.complete(*end)
            state = sidecar.get(status)
            times = [state.pop(name) for name in (
                "createdTimestamp", "completedTimestamp", "lastUpdatedTimestamp")
                if name in state]
            equal((len(times), times), (3 if end else 2, sorted(times)), "times")
            equal(state, {"instanceId": status, "name": "hello", "input": '"in"',
                          "orchestrationStatus": status, "executionId": turn.execution,
                          **wanted}, "state")


@on_both_stores("A30.26 a wait for the start ends even though the first turn suspended the "
                "orchestration")
def _(server, sidecar):
    sidecar.start("hello", id="a-1")
    sidecar.suspend("a-1")
    wait = sidecar.begin("WaitForInstanceStart", instanceId="a-1")
    with sidecar.worker() as worker:
        turn = worker.turn()
        equal(turn.new, ["OS", "executionStarted", "executionSuspended"], "events")
        expect(not wait.done(), "answered before the turn was over")
        turn.complete()
    equal(protocol.plain(wait.result().orchestrationState)["orchestrationStatus"],
          "SUSPENDED", "status")


@on_both_stores("A30.27 a resume of one that is not suspended changes nothing: a worker of "
                "Python's would fail it")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("hello", id="a-1")
        worker.turn().complete()
        sidecar.resume("a-1", '"why"')
        worker.quiet()
        equal(sidecar.status("a-1"), "RUNNING", "status")


@on_both_stores("A30.28 a terminate leaves activities that are out alone; their results are "
                "taken and dropped")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("hello", id="a-1")
        worker.turn().complete(schedule_task(1, "slow"))
        activity = worker.activity()
        sidecar.terminate("a-1", '"enough"')
        worker.turn().complete(complete(2, '"enough"', "TERMINATED"))
        before = brief(sidecar, "a-1")
        activity.complete('"late"')
        equal(brief(sidecar, "a-1"), before, "history")
        worker.quiet()


@on_both_stores("A30.29 a page has 100 states by default; names of task hubs are ignored")
def _(server, sidecar):
    for call in [sidecar.begin("StartInstance", name=NOBODY) for _ in range(101)]:
        call.result()
    for size in (0, -1):
        page, token = sidecar.query_page(maxInstanceCount=size)
        equal(len(page), 100, f"states on a page of {size}")
        page, token = sidecar.query_page(maxInstanceCount=size, continuationToken=token)
        equal((len(page), token), (1, None), "states on the second page, token")
    equal(len(sidecar.query(taskHubNames=["another"])), 101, "states")


@on_both_stores("A30.30 a recursive purge leaves descendants that run")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("top", id="top")
        worker.turn().complete(create_child(1, "child", child="runs"),
                               create_child(2, "child", child="ended"))
        turns = {turn.id: turn for turn in worker.take(2)}
        turns["runs"].complete()
        turns["ended"].complete(complete(1))
        worker.turn().complete(complete(3))
    equal(sidecar.purge("top", recursive=True), 2, "count")
    equal([state["instanceId"] for state in sidecar.query()], ["runs"], "left")


# ---- Restart and rewind -----------------------------------------------------

@on_both_stores("A30.31 a restart has the input of the present execution, and no parent")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("top", id="top")
        worker.turn().complete(create_child(1, "child", '"first"', child="child"))
        worker.turn().complete(continue_as_new(1, '"second"'))
        worker.turn().complete(complete(1))
        turn = worker.turn()
        equal(turn.new, ["OS", "subOrchestrationInstanceCompleted 1"], "of the parent")
        turn.complete()
        restart(sidecar, "child")
        turn = worker.turn()
        started = turn.event("executionStarted")
        equal((started["input"], "parentInstance" in started), ('"second"', False),
              "input, parent")
        turn.complete(complete(1))
        worker.quiet()
    equal(sidecar.status("top"), "RUNNING", "status of the parent")


@on_both_stores("A30.32 a rewind of a missing one is NOT_FOUND, of one that has not failed "
                "FAILED_PRECONDITION")
def _(server, sidecar):
    contains(refused("NOT_FOUND", rewind, sidecar, "missing"), "missing")
    for status in ("PENDING", "RUNNING", "SUSPENDED", "COMPLETED", "TERMINATED"):
        bring_to(sidecar, status, status)
        contains(refused("FAILED_PRECONDITION", rewind, sidecar, status),
                 "does not allow rewinding")
        equal(sidecar.status(status), status, "status")


@on_both_stores("A30.33 what comes during a rewind waits until it is over")
def _(server, sidecar):
    bring_to(sidecar, "a-1", "FAILED")
    rewind(sidecar, "a-1")
    sidecar.raise_event("a-1", "x")
    with sidecar.worker() as worker:
        turn = worker.turn()
        equal(turn.new, ["OS", "executionRewound"], "events")
        sidecar.raise_event("a-1", "y")
        answer_rewind(turn, "e" * 32)
        events = []
        while "eventRaised y" not in events:
            turn = worker.turn()
            events += [event for event in turn.new if event != "OS"]
            turn.complete()
        equal(events, ["eventRaised x", "eventRaised y"], "events")
        sidecar.raise_event("a-1", "z")
        equal(worker.turn().new, ["OS", "eventRaised z"], "events")


@on_both_stores("A30.34 a rewind goes down: failed children are rewound, those that are gone "
                "begin again, those that run have a new parent")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("top", id="top")
        worker.turn().complete(*[create_child(i, "child", child=f"c-{i}")
                                 for i in range(1, 4)])
        children = {turn.id: turn for turn in worker.take(3)}
        for id in ("c-1", "c-2"):
            children[id].complete(fail(1, "Sad", "so sad"))
            worker.turn().complete()
        sidecar.raise_event("top", "give-up")
        worker.turn().complete(fail(4, "Sad", "so sad"))
        sidecar.purge("c-2")
        rewind(sidecar, "top", '"again"')
        turn = worker.turn()
        equal((turn.id, turn.new), ("top", ["OS", "executionRewound"]), "first")
        answer_rewind(turn, "e" * 32)
        turns = {turn.id: turn for turn in (worker.turn() for _ in range(3))}
        equal({id: turn.new for id, turn in turns.items()}, {
            "top": ["OS"], "c-1": ["OS", "executionRewound"],
            "c-2": ["OS", "executionStarted"]}, "new events")
        equal(turns["c-1"].event("executionRewound")["parentExecutionId"], "e" * 32,
              "execution of the parent")
        turns["top"].complete()
        answer_rewind(turns["c-1"], "d" * 32)
        worker.turn().complete(complete(1))
        turns["c-2"].complete(complete(1))
        children["c-3"].complete(complete(1))
        ended = []
        while len(ended) < 3:
            turn = worker.turn()
            ended += [event for event in turn.new if event != "OS"]
            turn.complete(*([complete(5)] if len(ended) == 3 else []))
        equal(sorted(ended), [f"subOrchestrationInstanceCompleted {i}"
                              for i in (1, 2, 3)], "results")
    equal(sidecar.status("top"), "COMPLETED", "status")


# ---- Large histories, answers in parts --------------------------------------

HISTORY_STREAMING = 1


def with_large_history(sidecar, id):
    """One whose history has more than 1 MiB, and which has an event to think about."""
    with sidecar.worker() as worker:
        sidecar.start("hello", id=id)
        worker.turn().complete()
        for i in range(5):
            sidecar.raise_event(id, f"x{i}", "x" * (300 << 10))
            worker.turn().complete(*[send_event(j, "missing", "x") for j in range(50)])
    sidecar.raise_event(id, "y")


@on_both_stores("A30.35 a large history is for the worker to fetch, if it can: in chunks, as it "
                "was when the turn went out")
def _(server, sidecar):
    with_large_history(sidecar, "a-1")
    history = [e.SerializeToString() for e in sidecar.history("a-1")]
    with sidecar.worker(capabilities=[HISTORY_STREAMING]) as worker:
        turn = worker.turn()
        equal((turn.request.requiresHistoryStreaming, turn.past, turn.new),
              (True, [], ["OS", "eventRaised y"]), "turn")
        sidecar.raise_event("a-1", "later")
        chunks = list(sidecar.call(
            "StreamInstanceHistory", instanceId="a-1", executionId=turn.execution,
            forWorkItemProcessing=True))
        equal([e.SerializeToString() for chunk in chunks for e in chunk.events] == history,
              True, "whether it is the committed history")
        for chunk in chunks:
            expect(len(chunk.events) <= 100, f"{len(chunk.events)} events in a chunk")
            expect(len(chunk.events) == 1 or chunk.ByteSize() <= 256 << 10,
                   f"{chunk.ByteSize()} bytes in a chunk of {len(chunk.events)}")
        turn.complete(complete(100))
    equal(sidecar.status("a-1"), "COMPLETED", "status")


@on_both_stores("A30.36 a worker that cannot fetch gets it whole, and so does one that can as "
                "long as it is small")
def _(server, sidecar):
    with_large_history(sidecar, "a-1")
    with sidecar.worker() as worker:
        turn = worker.turn()
        equal((turn.request.requiresHistoryStreaming, turn.past),
              (False, brief(sidecar, "a-1")), "past")
        turn.complete(complete(100))
    with sidecar.worker(capabilities=[HISTORY_STREAMING]) as worker:
        sidecar.start("hello", id="a-2")
        worker.turn().complete()
        sidecar.raise_event("a-2", "x")
        turn = worker.turn()
        equal((turn.request.requiresHistoryStreaming, turn.past),
              (False, ["OS", "executionStarted"]), "small one")


@on_both_stores("A30.37 an answer in parts is one answer: nothing is done before the last, "
                "status and trace context are the first's")
def _(server, sidecar):
    first, later = {"spanID": "1"}, {"spanID": "2"}
    sidecar.start("hello", id="a-1")
    sidecar.raise_event("a-1", "x")
    with sidecar.worker() as worker:
        turn = worker.turn()
        turn.complete(schedule_task(1, "one"), isPartial=True, chunkIndex=0,
                      custom_status='"first"', orchestrationTraceContext=first)
        turn.complete(schedule_task(2, "two"), isPartial=True, chunkIndex=1,
                      numEventsProcessed=0, custom_status='"later"',
                      orchestrationTraceContext=later)
        worker.quiet()
        state = sidecar.get("a-1")
        equal((state["orchestrationStatus"], state.get("customStatus")),
              ("PENDING", None), "state before the last part")
        turn.complete(schedule_task(3, "three"), chunkIndex=2, numEventsProcessed=0)
        equal([worker.activity().task_id for _ in range(3)], [1, 2, 3], "tasks")
        equal(sidecar.get("a-1")["customStatus"], '"first"', "custom status")
        equal(brief(sidecar, "a-1"), [
            "OS", "executionStarted", "eventRaised x", "taskScheduled 1",
            "taskScheduled 2", "taskScheduled 3"], "history")
        sidecar.raise_event("a-1", "y")
        turn = worker.turn()
        equal(protocol.plain(turn.request.orchestrationTraceContext), first, "trace")


@on_both_stores("A30.38 parts of a worker that was lost are forgotten")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("hello", id="a-1")
        lost = worker.turn()
        lost.complete(schedule_task(1, "lost"), isPartial=True, custom_status='"lost"')
    with sidecar.worker() as worker:
        turn = worker.turn()
        refused("NOT_FOUND", lost.complete, schedule_task(2, "lost"), isPartial=True)
        turn.complete(schedule_task(3, "kept"))
        equal(worker.activity().task_id, 3, "task")
        worker.quiet()
    equal((sidecar.get("a-1").get("customStatus"), brief(sidecar, "a-1")),
          (None, ["OS", "executionStarted", "taskScheduled 3"]), "status and history")


@on_both_stores("A30.39 requiresHistory: the turn comes again with all of its history, and "
                "what else the answer said is ignored")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("hello", id="a-1")
        worker.turn().complete()
        sidecar.raise_event("a-1", "x")
        turn = worker.turn()
        turn.complete(schedule_task(1, "ignored"), complete(2), custom_status='"ignored"',
                      requiresHistory=True)
        again = worker.turn()
        equal((again.past, again.new), (["OS", "executionStarted"], ["OS", "eventRaised x"]),
              "turn")
        expect(again.token != turn.token, "the token is the old one")
        worker.quiet()
        again.complete(complete(1, '"out"'))
    state = sidecar.get("a-1")
    equal((state["output"], state.get("customStatus")), ('"out"', None), "end")


# ---- Ends without a worker --------------------------------------------------

@on_both_stores("A30.40 SkipGracefulOrchestrationTerminations ends those that run, and names "
                "those that it could not")
def _(server, sidecar):
    run_to_end(sidecar, "ended")
    sidecar.start(NOBODY, id="pending")
    with sidecar.worker(filters=turns_only("hello")) as worker:
        sidecar.start("hello", id="out")
        turn = worker.turn()
        wait = sidecar.begin("WaitForInstanceCompletion", 10, instanceId="out")
        answer = sidecar.call("SkipGracefulOrchestrationTerminations", instanceBatch=dict(
            instanceIds=["ended", "pending", "missing", "out"]), reason='"because"')
        equal(sorted(answer.unterminatedInstanceIds), ["ended", "missing"], "left out")
        expect(wait.exception() is None, f"the wait ended so: {wait.exception()}")
        state = protocol.plain(wait.result().orchestrationState)
        expect(state["lastUpdatedTimestamp"] >= state["completedTimestamp"], f"{state}")
        try:
            turn.complete(complete(1, '"too late"'))
        except grpc.RpcError as error:
            equal(error.code().name, "NOT_FOUND", "code of a late turn")
    for id, status in (("ended", "COMPLETED"), ("pending", "TERMINATED"),
                       ("out", "TERMINATED")):
        equal(sidecar.status(id), status, f"status of {id}")
    with sidecar.worker() as worker:
        worker.quiet()
