"""External events, custom status, continue-as-new."""

import concurrent.futures
import json
from datetime import timedelta

from durabletask import task

from hub import (
    RUNNING, TERMINATED, activity, client, end, equal, events, expect, failure, main,
    new_id, orchestrator, output, raise_event, refused, run, start, state_of, test, until,
    until_custom_status)


@activity
def add_one(_, n):
    return n + 1


@orchestrator
def awaits_one(ctx, name):
    ctx.set_custom_status("waiting")
    return (yield ctx.wait_for_external_event(name))


@orchestrator
def awaits_three(ctx, _):
    yield ctx.wait_for_external_event("begin")
    got = []
    for _ in range(3):
        got.append((yield ctx.wait_for_external_event("number")))
    return got


@orchestrator
def awaits_three_at_once(ctx, _):
    return (yield task.when_all([ctx.wait_for_external_event("number") for _ in range(3)]))


@orchestrator
def awaits_different(ctx, names):
    return (yield task.when_all([ctx.wait_for_external_event(name) for name in names]))


@orchestrator
def approval(ctx, seconds):
    decision = ctx.wait_for_external_event("decision")
    too_late = ctx.create_timer(timedelta(seconds=seconds))
    first = yield task.when_any([decision, too_late])
    if first is decision:
        too_late.cancel()
        return decision.get_result()
    return "too late"


@orchestrator
def gives_up_one(ctx, _):
    """The event goes to the wait that was not cancelled."""
    first, second = (ctx.wait_for_external_event("go") for _ in range(2))
    first.cancel()
    ctx.set_custom_status("waiting")
    got = yield second
    return [got, first.is_cancelled]


@orchestrator
def tells(ctx, input):
    ctx.send_event(input["to"], input["name"], data=input["data"])
    return "told"
    yield


@orchestrator
def player(ctx, input):
    """Two that play: each answers until the count is down."""
    if input["serves"]:
        ctx.send_event(input["other"], "ball", data=20)
    while True:
        ball = yield ctx.wait_for_external_event("ball")
        if ball >= 0:
            ctx.send_event(input["other"], "ball", data=ball - 1)
        if ball <= 0:
            return ball


@orchestrator
def countdown(ctx, input):
    left, sum = input
    sum += yield ctx.call_activity(add_one, input=left)
    if left == 0:
        return sum
    ctx.continue_as_new([left - 1, sum])


@orchestrator
def who_am_i(ctx, _):
    return ctx.instance_id


@orchestrator
def generations(ctx, input):
    left, known = input
    known = [*known, [ctx.new_uuid(), (yield ctx.call_sub_orchestrator("who_am_i"))]]
    if left == 0:
        return known
    ctx.continue_as_new([left - 1, known])


@orchestrator
def summing(ctx, input):
    """For ever, until it is told to end: one event a generation."""
    sum, seen = input
    ctx.set_custom_status(sum)
    n = yield ctx.wait_for_external_event("add")
    if n == "end":
        return [sum, seen]
    ctx.continue_as_new([sum + n, seen + 1], save_events=True)


@orchestrator
def forgetful(ctx, generation):
    """Takes one event a generation, and keeps none."""
    ctx.set_custom_status(f"generation {generation}")
    if generation == 0:
        yield ctx.wait_for_external_event("first")
        return ctx.continue_as_new(1, save_events=False)
    return (yield ctx.wait_for_external_event("number"))


@orchestrator
def keeps_order(ctx, got):
    """Events of several names over a generation: each is there, with and without data."""
    if got is None:
        yield ctx.wait_for_external_event("go")
        return ctx.continue_as_new([], save_events=True)
    for name in ("c", "a", "a", "b"):
        got.append((yield ctx.wait_for_external_event(name)))
    return got


@orchestrator
def tells_and_goes_on(ctx, input):
    to, round = input
    ctx.send_event(to, "round", data=round)
    if round < 2:
        ctx.continue_as_new([to, round + 1])
    return "done"
    yield


@orchestrator
def awaits_rounds(ctx, _):
    got = []
    for _ in range(3):
        got.append((yield ctx.wait_for_external_event("round")))
    return got


@orchestrator
def leaves_work_behind(ctx, round):
    ctx.create_timer(timedelta(milliseconds=50))
    ctx.call_activity(add_one, input=1)
    yield ctx.create_timer(timedelta(milliseconds=100))
    if round == 2:
        return "done"
    ctx.create_timer(timedelta(milliseconds=10))
    ctx.continue_as_new(round + 1)


@orchestrator
def grows_older(ctx, known):
    known = [*known, ctx.version]
    if len(known) == 3:
        return known
    ctx.continue_as_new(known, new_version=f"{len(known)}.1" if len(known) == 1 else None)


@orchestrator
def reporting(ctx, values):
    for value in values:
        ctx.set_custom_status(value)
        yield ctx.wait_for_external_event("next")
    return "reported"


@orchestrator
def reports_and_fails(ctx, _):
    ctx.set_custom_status({"step": 1})
    yield ctx.call_activity(add_one, input=1)
    ctx.set_custom_status({"step": 2})
    raise ValueError("after step 2")


@test("an event with {} reaches one that waits",
      each=["yes", 0, False, {"deep": [1, None]}, "東京 🍎", ""])
def _(data):
    id = start("awaits_one", "go")
    until_custom_status(id, "waiting")
    raise_event(id, "go", data)
    equal(output(end(id)), data)


@test("an event without data is None, whether it was awaited or not")
def _():
    id = start("awaits_one", "go")
    until_custom_status(id, "waiting")
    raise_event(id, "go")
    equal(output(end(id)), None)
    id = start("awaits_three")
    for _ in range(3):
        raise_event(id, "number")
    raise_event(id, "begin")
    equal(output(end(id)), [None] * 3)


@test("names of events ignore case, whatever the letters")
def _():
    for name, other in (("Go", "gO"), ("Äpfel", "äPFEL"), ("ünï 東京", "ÜNÏ 東京")):
        id = start("awaits_one", name)
        raise_event(id, other, 1)
        equal(output(end(id)), 1)


@test("events raised before they are awaited are kept, in order")
def _():
    id = start("awaits_three")
    for n in (1, 2, 3):
        raise_event(id, "number", n)
    raise_event(id, "begin")
    equal(output(end(id)), [1, 2, 3])


@test("of several waits for one name the first gets the first event")
def _():
    id = start("awaits_three_at_once")
    for n in (1, 2, 3):
        raise_event(id, "number", n)
    equal(output(end(id)), [1, 2, 3])


@test("events of several names, in any order")
def _():
    id = start("awaits_different", ["a", "b", "c"])
    for name in ("c", "a", "b"):
        raise_event(id, name, name)
    equal(output(end(id)), ["a", "b", "c"])


@test("an event of 512 KiB, awaited or not")
def _():
    text = "x" * 2 ** 19
    for wait in (True, False):
        id = start("awaits_one", "go")
        if wait:
            until_custom_status(id, "waiting")
        raise_event(id, "go", text)
        equal(output(end(id)), text)


@test("200 events, from many at once, all arrive")
def _():
    id = start("awaits_different", [f"event {n}" for n in range(200)])
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda n: raise_event(id, f"event {n}", n), range(200)))
    equal(output(end(id)), list(range(200)))


@test("an event nobody waits for does no harm")
def _():
    id = start("awaits_one", "go")
    raise_event(id, "other", 1)
    raise_event(id, "go", 2)
    equal(output(end(id)), 2)


@test("an event in time wins against its time-out")
def _():
    id = start("approval", 3600)
    raise_event(id, "decision", "approved")
    equal(output(end(id)), "approved")


@test("a time-out wins against an event that never comes")
def _():
    equal(output(run("approval", 0.2)), "too late")


@test("a wait that is given up leaves the event to the next")
def _():
    id = start("gives_up_one")
    until_custom_status(id, "waiting")
    raise_event(id, "go", 1)
    equal(output(end(id)), [1, True])


@test("an event to an instance that does not exist is NOT_FOUND")
def _():
    refused("NOT_FOUND", raise_event, new_id("nobody"), "go")


@test("an event to one that has ended is dropped")
def _():
    id = start("awaits_one", "go")
    raise_event(id, "go", 1)
    state = end(id)
    raise_event(id, "go", 2)
    equal(state_of(id), state)


@test("one orchestration tells another, and the history of both says so")
def _():
    id = start("awaits_one", "news")
    teller = run("tells", {"to": id, "name": "NEWS", "data": [1, "東京"]})
    equal(output(teller), "told")
    equal(output(end(id)), [1, "東京"])
    [sent] = events(teller.instance_id, "EventSent")
    equal([sent.instance_id, sent.name, json.loads(sent.input)], [id, "NEWS", [1, "東京"]])
    [raised] = events(id, "EventRaised")
    equal([raised.name, json.loads(raised.input)], ["NEWS", [1, "東京"]])


@test("what is told to nobody is dropped")
def _():
    equal(output(run("tells", {"to": new_id("nobody"), "name": "news", "data": 1})), "told")


@test("what is told to one that has ended is dropped")
def _():
    gone = run("who_am_i")
    equal(output(run("tells", {"to": gone.instance_id, "name": "news", "data": 1})), "told")
    equal(state_of(gone.instance_id), gone)


@test("two orchestrations throw a ball to and fro")
def _():
    a, b = new_id("player"), new_id("player")
    start("player", {"other": b, "serves": False}, a)
    start("player", {"other": a, "serves": True}, b)
    equal(sorted([output(end(a)), output(end(b))]), [-1, 0])


@test("one goes on as new 20 times, and ends as one instance")
def _():
    state = run("countdown", [20, 0])
    equal(output(state), 231)
    equal(state.get_input()[0], 0)
    equal(len(events(state.instance_id, "ExecutionStarted")), 1)
    equal(len(events(state.instance_id, "TaskScheduled")), 1)


@test("each generation has children and random ids of its own")
def _():
    known = output(run("generations", [4, []]))
    equal(len({uuid for uuid, _ in known}), 5, "random ids")


@test("no event is lost or doubled over the generations")
def _():
    id = start("summing", [0, 0])
    for n in range(50):
        raise_event(id, "add", n)
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda n: raise_event(id, "add", n), range(50)))
    until_custom_status(id, 2 * 1225)
    raise_event(id, "add", "end")
    equal(output(end(id)), [2 * 1225, 100])


@test("events that are not kept are forgotten with their generation")
def _():
    id = start("forgetful", 0)
    until_custom_status(id, "generation 0")
    client.suspend_orchestration(id)  # What comes now is in one turn.
    raise_event(id, "number", "old")
    raise_event(id, "first")
    client.resume_orchestration(id)
    until_custom_status(id, "generation 1")
    raise_event(id, "number", "new")
    equal(output(end(id)), "new")


@test("events that are kept come in their order, with and without data")
def _():
    id = start("keeps_order")
    for name, data in (("b", 1), ("A", None), ("a", 2), ("c", "東京"), ("go", None)):
        raise_event(id, name, data)
    equal(output(end(id)), ["東京", None, 2, 1])


@test("it stays running all the time")
def _():
    id = start("summing", [0, 0])
    client.wait_for_orchestration_start(id)
    for n in range(20):
        raise_event(id, "add", n)
        equal(state_of(id).runtime_status, RUNNING)
    until_custom_status(id, 190)
    client.terminate_orchestration(id)
    equal(end(id).runtime_status, TERMINATED)


@test("one that waits for the end waits over all generations; a wait may run out")
def _():
    id = start("summing", [0, 0])
    try:
        client.wait_for_orchestration_completion(id, timeout=0.3)
    except TimeoutError:
        pass
    else:
        expect(False, "it did not time out")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(end, id)
        for n in (1, 2, "end"):
            raise_event(id, "add", n)
        equal(output(waiting.result()), [3, 2])


@test("events sent in the turn that goes on as new arrive")
def _():
    to = start("awaits_rounds")
    equal(output(run("tells_and_goes_on", [to, 0])), "done")
    equal(output(end(to)), [0, 1, 2])


@test("timers and activities of the old generation do not reach the new one")
def _():
    equal(output(run("leaves_work_behind", 0)), "done")


@test("a generation may have another version, and keeps the one it has")
def _():
    equal(output(run("grows_older", [], version="0.9")), ["0.9", "1.1", "1.1"])


@test("each custom status shows while it holds")
def _():
    values = ["a", 0, False, "", {"percent": 50}, ["東京"]]
    id = start("reporting", values)
    for value in values:
        until_custom_status(id, value)
        raise_event(id, "next")
    state = end(id)
    equal(output(state), "reported")
    equal(state.get_custom_status(), ["東京"])


@test("a custom status that is not set is not there")
def _():
    equal(run("who_am_i").serialized_custom_status, None)


@test("the last custom status stays after a failure")
def _():
    state = run("reports_and_fails")
    expect(failure(state), "it failed")
    equal(state.get_custom_status(), {"step": 2})


@test("a custom status stays over a continue-as-new until another is set")
def _():
    id = start("summing", [7, 0])
    until_custom_status(id, 7)
    raise_event(id, "add", 1)
    changed = until(id, lambda state: state.serialized_custom_status != "7", "a change")
    equal(changed.serialized_custom_status, "8")
    raise_event(id, "add", "end")
    output(end(id))


main()
