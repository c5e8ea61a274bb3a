"""Orchestrations that start others: results, failures, ids, what ends with whom."""

from datetime import timedelta

from durabletask import VersioningOptions, task
from durabletask.worker import VersionMatchStrategy

from hub import (
    COMPLETED, PENDING, RUNNING, TERMINATED, Counter, activity, client, contains, end,
    equal, events, expect, failure, main, new_id, orchestrator, output, raise_event, run,
    soon, start, state_of, test, until_status, working)

attempts = Counter()


@activity
def twice(_, n):
    return 2 * n


@activity
def attempt(_, key):
    return attempts.add(key)


@orchestrator
def double(ctx, n):
    return (yield ctx.call_activity(twice, input=n))


@orchestrator
def family(ctx, _):
    return [ctx.instance_id, ctx.parent_instance_id, ctx.version]


@orchestrator
def calls(ctx, input):
    name, input, options = input
    return (yield ctx.call_sub_orchestrator(name, input=input, **options))


@orchestrator
def calls_many(ctx, n):
    return (yield task.when_all([
        ctx.call_sub_orchestrator(double, input=i) for i in range(n)]))


@orchestrator
def nested(ctx, depth):
    if depth == 0:
        return [ctx.instance_id]
    return [ctx.instance_id, *(yield ctx.call_sub_orchestrator("nested", input=depth - 1))]


@orchestrator
def failing(ctx, message):
    yield ctx.call_activity(twice, input=1)
    raise IndexError(message)


@orchestrator
def forgiving(ctx, input):
    name, input, options = input
    try:
        return (yield ctx.call_sub_orchestrator(name, input=input, **options))
    except task.TaskFailedError as error:
        return ["failed", error.details.error_type, error.details.message]


@orchestrator
def failing_until(ctx, input):
    key, good = input
    number = yield ctx.call_activity(attempt, input=key)
    if number < good:
        raise IndexError(f"attempt {number}")
    return [number, ctx.instance_id]


@orchestrator
def retrying(ctx, input):
    key, good, most, id = input
    policy = task.RetryPolicy(
        first_retry_interval=timedelta(milliseconds=20), max_number_of_attempts=most)
    return (yield ctx.call_sub_orchestrator(
        failing_until, input=[key, good], instance_id=id, retry_policy=policy))


@orchestrator
def countdown(ctx, n):
    yield ctx.call_activity(twice, input=n)
    if n == 0:
        return ["done", ctx.parent_instance_id]
    ctx.continue_as_new(n - 1)


@orchestrator
def awaiting(ctx, _):
    return (yield ctx.wait_for_external_event("go"))


@orchestrator
def holder(ctx, ids):
    return (yield task.when_all([
        ctx.call_sub_orchestrator("awaiting", instance_id=id) for id in ids]))


@orchestrator
def first_of(ctx, ids):
    first = yield task.when_any([
        ctx.call_sub_orchestrator("awaiting", instance_id=id) for id in ids])
    return first.get_result()


@test("a child's result reaches its parent")
def _():
    state = run("calls", ["double", 21, {}])
    equal(output(state), 42)
    [created] = events(state.instance_id, "SubOrchestrationInstanceCreated")
    [completed] = events(state.instance_id, "SubOrchestrationInstanceCompleted")
    equal([created.name, created.input, completed.result], ["double", "21", "42"])
    equal(completed.task_scheduled_id, created.event_id)
    equal(output(state_of(created.instance_id)), 42)


@test("a child knows its parent, and an orphan that it has none")
def _():
    state = run("calls", ["family", None, {}])
    self, parent, _ = output(state)
    equal(parent, state.instance_id)
    equal(self, f"{parent}:0001")
    [started] = events(self, "ExecutionStarted")
    equal([started.parent_instance.name, started.parent_instance.task_scheduled_id,
           started.parent_instance.orchestration_instance.instance_id],
          ["calls", 1, state.instance_id])
    equal(output(run("family"))[1], None)


@test("a child gets the id it is given")
def _():
    id = new_id("given, 東京")
    equal(output(run("calls", ["double", 4, {"instance_id": id}])), 8)
    equal(output(state_of(id)), 8)
    equal(state_of(id).name, "double")


@test("a child gets the version it is given, or none")
def _():
    equal(output(run("calls", ["family", None, {"version": "3.1"}]))[2], "3.1")
    equal(output(run("calls", ["family", None, {}], version="2.0"))[2], None)


@test("60 children at once")
def _():
    equal(output(run("calls_many", 60)), [2 * i for i in range(60)])


@test("children of children, twelve deep")
def _():
    ids = output(run("nested", 12))
    equal(len(set(ids)), 13)


@test("a child that fails fails its parent, with its cause")
def _():
    details = failure(run("calls", ["failing", "too far", {}]))
    contains(details.message, "Sub-orchestration task #1 failed: too far")
    equal(details.inner_failure.error_type, "builtins.IndexError")
    equal(details.inner_failure.message, "too far")


@test("a failure of a grandchild tells the whole chain of causes")
def _():
    details = failure(run("calls", ["calls", ["failing", "deep down", {}], {}]))
    inner = details.inner_failure.inner_failure
    equal([inner.error_type, inner.message], ["builtins.IndexError", "deep down"])


@test("a child's failure can be caught, and says what it was")
def _():
    equal(output(run("forgiving", ["failing", "too far", {}])),
          ["failed", "builtins.IndexError", "too far"])


@test("a child that fails is tried again under its {} id", each=["own", "given"])
def _(which):
    given = new_id("again") if which == "given" else None
    state = run("retrying", [new_id("key"), 3, 4, given])
    number, id = output(state)
    equal(number, 3)
    equal(id, given or f"{state.instance_id}:0001")
    equal(state_of(id).runtime_status, COMPLETED)
    equal(len(events(state.instance_id, "SubOrchestrationInstanceFailed")), 2)


@test("retries of a child end with the last attempt's failure")
def _():
    key = new_id("ever")
    contains(failure(run("retrying", [key, 99, 3, None])).message, "attempt 3")
    equal(attempts[key], 3)


@test("a child under the id of one that runs fails, and that one goes on")
def _():
    id = start("awaiting")
    client.wait_for_orchestration_start(id)
    equal(output(run("forgiving", ["double", 1, {"instance_id": id}]))[0], "failed")
    raise_event(id, "go", "on")
    equal(output(end(id)), "on")


@test("a child under the id of one that has ended takes its place")
def _():
    id = run("double", 1).instance_id
    equal(output(run("calls", ["double", 5, {"instance_id": id}])), 10)
    equal(output(state_of(id)), 10)


@test("a child that goes on as new answers its parent at its end")
def _():
    state = run("calls", ["countdown", 5, {}])
    equal(output(state), ["done", state.instance_id])


@test("a child that is terminated is a failure to its parent")
def _():
    id = new_id("victim")
    parent = start("forgiving", ["awaiting", None, {"instance_id": id}])
    until_status(id, RUNNING)
    client.terminate_orchestration(id, output="enough")
    equal(output(end(parent))[0], "failed")
    equal(state_of(id).runtime_status, TERMINATED)


@test("an event can be raised for a child by its id")
def _():
    ids = [new_id("a"), new_id("b")]
    parent = start("holder", ids)
    for id in reversed(ids):
        until_status(id, RUNNING)
        raise_event(id, "go", id)
    equal(output(end(parent)), ids)


@test("the first child that ends wins; the other goes on by itself")
def _():
    slow, quick = new_id("slow"), new_id("quick")
    parent = start("first_of", [slow, quick])
    until_status(quick, RUNNING)
    raise_event(quick, "go", "quick")
    equal(output(end(parent)), "quick")
    until_status(slow, RUNNING)
    raise_event(slow, "go", "slow")
    equal(output(end(slow)), "slow")


@test("a termination is recursive unless it says otherwise")
def _():
    a, b, grandchild = new_id("a"), new_id("b"), new_id("grandchild")
    top = start("calls", ["holder", [a, b], {}])
    other = start("calls", ["calls", ["awaiting", None, {"instance_id": grandchild}], {}])
    for child in (a, b, grandchild):
        until_status(child, RUNNING)
    for one in (top, other):
        client.terminate_orchestration(one, output="all")
    for one in (top, f"{top}:0001", other, f"{other}:0001", a, b, grandchild):
        state = end(one)
        equal(state.runtime_status, TERMINATED, one)
        equal(state.get_output(), "all")


@test("a termination that is not recursive leaves children alone")
def _():
    child = new_id("child")
    parent = start("holder", [child])
    until_status(child, RUNNING)
    client.terminate_orchestration(parent, recursive=False)
    equal(end(parent).runtime_status, TERMINATED)
    raise_event(child, "go", "on")
    equal(output(end(child)), "on")


@test("a recursive termination passes children by that have ended")
def _():
    done, waits = new_id("done"), new_id("waits")
    parent = start("holder", [done, waits])
    for child in (done, waits):
        until_status(child, RUNNING)
    raise_event(done, "go", 1)
    equal(output(end(done)), 1)
    client.terminate_orchestration(parent)
    equal(end(waits).runtime_status, TERMINATED)
    equal(output(state_of(done)), 1)


@test("a purge takes children unless it says otherwise; how many is told: {}",
      each=[True, False])
def _(recursive):
    ids = output(run("nested", 2))
    purged = (client.purge_orchestration(ids[0]) if recursive
              else client.purge_orchestration(ids[0], recursive=False))
    equal(purged.deleted_instance_count, 3 if recursive else 1)
    equal(purged.is_complete, True)
    equal([state_of(id) is not None for id in ids], [False, not recursive, not recursive])


@test("children of a worker with a default version have it")
def _():
    def versions_of_two(ctx, _):
        return (yield task.when_all([
            ctx.call_sub_orchestrator("version_of_one"),
            ctx.call_sub_orchestrator("version_of_one", version="1.5")]))

    def version_of_one(ctx, _):
        return ctx.version
    versioning = VersioningOptions(version="3.0", default_version="2.0",
                                   match_strategy=VersionMatchStrategy.NONE)
    with working(versions_of_two, version_of_one, versioning=versioning):
        equal(output(run("versions_of_two")), ["2.0", "1.5"])


@test("a parent that starts in the future has no child before")
def _():
    child = new_id("child")
    parent = start("holder", [child], start_at=soon(5))
    equal(state_of(parent).runtime_status, PENDING)
    equal(state_of(child), None)
    until_status(child, RUNNING)
    expect(state_of(parent).runtime_status == RUNNING, "it has started")
    raise_event(child, "go", 1)
    equal(output(end(parent)), [1])


main()
