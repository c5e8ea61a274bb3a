"""Rewind: an orchestration that has failed goes on from its last good point."""

import concurrent.futures
import contextlib
from datetime import timedelta

from durabletask import task

from hub import (
    COMPLETED, FAILED, RUNNING, Counter, activity, client, contains, end, equal, events,
    expect, failure, main, new_id, orchestrator, output, raise_event, refused, run, soon,
    start, state_of, test, until_status, wait_until)

broken = set()  # The keys of what fails.
did = Counter()  # What was done, by key.


def break_(*keys):
    broken.update(keys)


def repair(*keys):
    broken.difference_update(keys)


@activity
def step(_, key):
    did.add(key)
    if key in broken:
        raise OSError(f"{key} is broken")
    return key


@orchestrator
def steps(ctx, keys):
    done = []
    for key in keys:
        done.append((yield ctx.call_activity(step, input=key)))
        ctx.set_custom_status(len(done))
    return done


@orchestrator
def steps_at_once(ctx, keys):
    return (yield task.when_all([ctx.call_activity(step, input=key) for key in keys]))


@orchestrator
def steps_with_pauses(ctx, keys):
    begun = ctx.current_utc_datetime
    for key in keys:
        yield ctx.create_timer(timedelta(milliseconds=300))
        yield ctx.call_activity(step, input=key)
    return (ctx.current_utc_datetime - begun).total_seconds()


@orchestrator
def fragile(ctx, key):
    """Fails by itself, between two steps."""
    yield ctx.call_activity(step, input=f"{key}, before")
    if key in broken:
        raise OSError(f"{key} is broken")
    return (yield ctx.call_activity(step, input=f"{key}, after"))


@orchestrator
def with_event(ctx, key):
    got = yield ctx.wait_for_external_event("go")
    yield ctx.call_activity(step, input=key)
    return [got, (yield ctx.wait_for_external_event("end"))]


@orchestrator
def parent(ctx, input):
    """Children one after the other: [name, input, id] each."""
    results = []
    for name, child_input, id in input:
        results.append((yield ctx.call_sub_orchestrator(
            name, input=child_input, instance_id=id)))
    return results


@orchestrator
def parent_of_many(ctx, input):
    return (yield task.when_all([
        ctx.call_sub_orchestrator(name, input=child_input, instance_id=id)
        for name, child_input, id in input]))


@orchestrator
def goes_when_the_first_fails(ctx, input):
    """Has two children at once, and ends with the first."""
    children = [ctx.call_sub_orchestrator(name, input=child_input, instance_id=id)
                for name, child_input, id in input]
    first = yield children[0]
    second = yield children[1]
    return [first, second]


@orchestrator
def awaiting(ctx, _):
    return (yield ctx.wait_for_external_event("go"))


@orchestrator
def generations(ctx, input):
    left, key = input
    yield ctx.call_activity(step, input=f"{key}-{left}")
    if left:
        return ctx.continue_as_new([left - 1, key])
    return "done"


def keys_of(name, count):
    name = new_id(name)
    return [f"{name}-{i}" for i in range(count)]


def failed_with(keys, bad, name="steps"):
    """The id of one that has failed because of these."""
    break_(*bad)
    id = start(name, keys)
    failure(end(id))
    return id


@test("an orchestration goes on with the activity that failed")
def _():
    keys = keys_of("step", 4)
    id = failed_with(keys, [keys[2]])
    repair(keys[2])
    client.rewind_orchestration(id, reason="mended")
    equal(output(end(id)), keys)
    equal([did[key] for key in keys], [1, 1, 2, 1])


@test("once it is rewound it runs: no output, no failure; the rest stays")
def _():
    keys = keys_of("step", 3)
    id = failed_with(keys, [keys[1]])
    old = state_of(id)
    repair(keys[1])
    break_(keys[2])
    client.rewind_orchestration(id)
    cause = failure(end(id)).inner_failure  # Of the new end, not of the old.
    equal(cause.message, f"{keys[2]} is broken")
    repair(keys[2])
    client.rewind_orchestration(id)
    state = end(id)
    equal([state.failure_details, state.get_output()], [None, keys])
    equal([state.created_at, state.serialized_input, state.name],
          [old.created_at, old.serialized_input, old.name])
    equal(state.get_custom_status(), 3)


@test("the state after a rewind, before its end, is that of one that runs")
def _():
    key = new_id("step")
    break_(key)
    id = start("with_event", key)
    raise_event(id, "go", "heard")
    failure(end(id))
    repair(key)
    client.rewind_orchestration(id)
    state = until_status(id, RUNNING)
    equal([state.failure_details, state.serialized_output], [None, None])
    raise_event(id, "end", "at last")
    equal(output(end(id)), ["heard", "at last"])
    equal(did[key], 2)


@test("the new history has no failure in it, a new execution, and the reason")
def _():
    keys = keys_of("step", 2)
    id = failed_with(keys, [keys[1]])
    [before] = events(id, "ExecutionStarted")
    repair(keys[1])
    client.rewind_orchestration(id, reason="mended, 東京")
    output(end(id))
    story = events(id)
    kinds = [type(one).__name__.removesuffix("Event") for one in story]
    equal(kinds.count("TaskFailed"), 0)
    equal(kinds.count("TaskScheduled"), 2)
    equal(kinds.count("TaskCompleted"), 2)
    equal(kinds.count("ExecutionCompleted"), 1)
    equal(kinds[-1], "ExecutionCompleted")
    [rewound] = events(id, "ExecutionRewound")
    equal(rewound.reason, "mended, 東京")
    [after] = events(id, "ExecutionStarted")
    executions = {one.orchestration_instance.execution_id for one in (before, after)}
    equal(len(executions), 2, "executions")
    times = [one.timestamp for one in events(id, "OrchestratorStarted")]
    equal(sorted(set(times)), times, "its clock")


@test("of many activities at once only those that failed run again")
def _():
    keys = keys_of("many", 20)
    bad = keys[3:6] + keys[19:]
    id = failed_with(keys, bad, "steps_at_once")
    repair(*bad)
    client.rewind_orchestration(id)
    equal(output(end(id)), keys)
    equal([did[key] for key in keys], [2 if key in bad else 1 for key in keys])


@test("what is still broken fails again, and can be rewound again")
def _():
    keys = keys_of("step", 2)
    id = failed_with(keys, [keys[1]])
    for attempt in (2, 3):
        client.rewind_orchestration(id)
        failure(end(id))
        equal(did[keys[1]], attempt)
    repair(keys[1])
    client.rewind_orchestration(id)
    equal(output(end(id)), keys)
    equal([did[key] for key in keys], [1, 4])
    equal(len(events(id, "ExecutionRewound")), 3)


@test("timers that have fired are not waited for again")
def _():
    keys = keys_of("pause", 2)
    id = failed_with(keys, [keys[1]], "steps_with_pauses")
    fired = events(id, "TimerFired")
    repair(keys[1])
    client.rewind_orchestration(id)
    expect(output(end(id)) >= 0.6, "its clock went backwards")
    equal([(one.timer_id, one.fire_at) for one in events(id, "TimerFired")],
          [(one.timer_id, one.fire_at) for one in fired])
    equal([did[key] for key in keys], [1, 2])


@test("an orchestrator that failed by itself runs on from there")
def _():
    key = new_id("fragile")
    break_(key)
    id = start("fragile", key)
    failure(end(id))
    repair(key)
    client.rewind_orchestration(id)
    equal(output(end(id)), f"{key}, after")
    equal([did[f"{key}, before"], did[f"{key}, after"]], [1, 1])


@test("a child that failed is rewound with its parent")
def _():
    keys, child = keys_of("child", 3), new_id("child")
    id = failed_with([["steps", keys, child]], [keys[1]], "parent")
    equal(state_of(child).runtime_status, FAILED)
    repair(keys[1])
    client.rewind_orchestration(id, reason="mended")
    equal(output(end(id)), [keys])
    equal(output(state_of(child)), keys)
    equal([did[key] for key in keys], [1, 2, 1])
    equal(len(events(child, "ExecutionRewound")), 1)
    [created] = events(id, "SubOrchestrationInstanceCreated")
    equal(created.instance_id, child)
    equal(events(id, "SubOrchestrationInstanceFailed"), [])


@test("a rewound child knows the new execution of its parent")
def _():
    keys, child = keys_of("child", 1), new_id("child")
    id = failed_with([["steps", keys, child]], keys, "parent")
    repair(*keys)
    client.rewind_orchestration(id)
    output(end(id))
    [own] = events(id, "ExecutionStarted")
    [its] = events(child, "ExecutionStarted")
    equal(its.parent_instance.orchestration_instance.execution_id,
          own.orchestration_instance.execution_id)


@test("children of children that failed are rewound, four deep")
def _():
    keys = keys_of("deep", 2)
    ids = [new_id(f"depth-{n}") for n in range(4)]
    inner = ["steps", keys, ids[3]]
    for id in reversed(ids[:3]):
        inner = ["parent", [inner], id]
    top = failed_with([inner], [keys[1]], "parent")
    repair(keys[1])
    client.rewind_orchestration(top)
    equal(output(end(top)), [[[[keys]]]])
    for id in ids:
        equal(state_of(id).runtime_status, COMPLETED)
        equal(len(events(id, "ExecutionRewound")), 1)
    equal([did[key] for key in keys], [1, 2])


@test("children that ended well are not run again, beside those that failed")
def _():
    good, bad = keys_of("good", 2), keys_of("bad", 2)
    children = [["steps", good, new_id("good")], ["steps", bad, new_id("bad")],
                ["steps_at_once", good, new_id("good")]]
    id = failed_with(children, bad[1:], "parent_of_many")
    repair(*bad)
    client.rewind_orchestration(id)
    equal(output(end(id)), [good, bad, good])
    equal([did[key] for key in good + bad], [2, 2, 1, 2])
    for _, _, child in (children[0], children[2]):
        equal(events(child, "ExecutionRewound"), [])


@test("a child that is gone is started again")
def _():
    keys, child = keys_of("gone", 2), new_id("gone")
    id = failed_with([["steps", keys, child]], [keys[1]], "parent")
    equal(client.purge_orchestration(child).deleted_instance_count, 1)
    repair(keys[1])
    client.rewind_orchestration(id)
    equal(output(end(id)), [keys])
    equal([did[key] for key in keys], [2, 2])


@test("a child that still runs goes on, and answers the rewound parent")
def _():
    key, bad, slow = new_id("bad"), new_id("bad"), new_id("slow")
    children = [["steps", [key], bad], ["awaiting", None, slow]]
    id = failed_with(children, [key], "goes_when_the_first_fails")
    until_status(slow, RUNNING)
    repair(key)
    client.rewind_orchestration(id)
    until_status(bad, COMPLETED)
    raise_event(slow, "go", "at last")
    equal(output(end(id)), [[key], "at last"])
    equal(events(slow, "ExecutionRewound"), [])


@test("a child may be rewound by itself; its parent has heard of the failure")
def _():
    keys, child = keys_of("alone", 1), new_id("alone")
    id = failed_with([["steps", keys, child]], keys, "parent")
    repair(*keys)
    client.rewind_orchestration(child)
    equal(output(end(child)), keys)
    equal(state_of(id).runtime_status, FAILED)


@test("the last generation is what is rewound")
def _():
    key = new_id("generation")
    id = failed_with([2, key], [f"{key}-0"], "generations")
    repair(f"{key}-0")
    client.rewind_orchestration(id)
    equal(output(end(id)), "done")
    equal([did[f"{key}-{left}"] for left in (2, 1, 0)], [1, 1, 2])


@test("everybody who waits for the end is answered by the new one")
def _():
    key = new_id("step")
    break_(key)
    id = start("with_event", key)
    raise_event(id, "go")
    failure(end(id))
    repair(key)
    client.rewind_orchestration(id)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = [pool.submit(end, id) for _ in range(3)]
        wait_until(lambda: all(one.running() for one in waiting), "the waits to begin")
        raise_event(id, "end", 1)
        for one in waiting:
            equal(output(one.result()), [None, 1])


@test("of several who rewind it at once one is heard, and none does harm")
def _():
    keys = keys_of("race", 2)
    id = failed_with(keys, [keys[1]])
    repair(keys[1])

    def rewind(_):
        with contextlib.suppress(Exception):
            client.rewind_orchestration(id)
            return True
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        heard = list(pool.map(rewind, range(10)))
    expect(any(heard), "none was heard")
    equal(output(end(id)), keys)
    equal([did[key] for key in keys], [1, 2])


@test("one that does not exist is NOT_FOUND")
def _():
    refused("NOT_FOUND", client.rewind_orchestration, new_id("nobody"))


@test("one that has not failed cannot be rewound")
def _():
    terminated = start("awaiting")
    client.terminate_orchestration(terminated)
    end(terminated)
    suspended = start("awaiting")
    client.suspend_orchestration(suspended)
    for id in (run("steps", []).instance_id, terminated, suspended, start("awaiting"),
               start("awaiting", start_at=soon(3600))):
        state = state_of(id)
        contains(refused("FAILED_PRECONDITION", client.rewind_orchestration, id),
                 "does not allow rewinding")
        if id == terminated:
            equal(state_of(id), state)


@test("a rewound one can be terminated, restarted and purged like any other")
def _():
    key = new_id("step")
    break_(key)
    id = start("with_event", key)
    raise_event(id, "go")
    failure(end(id))
    repair(key)
    client.rewind_orchestration(id)
    client.terminate_orchestration(id, output="enough")
    equal(end(id).get_output(), "enough")
    equal(client.restart_orchestration(id), id)
    raise_event(id, "go", "again")
    raise_event(id, "end", "and again")
    equal(output(end(id)), ["again", "and again"])
    equal(client.purge_orchestration(id).deleted_instance_count, 1)
    equal(state_of(id), None)


main()
