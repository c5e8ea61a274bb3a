"""Activities: what goes in and comes out, many at once, failures, retries."""

import dataclasses
import json
from datetime import timedelta

from durabletask import (
    ActivityWorkItemFilter, OrchestrationWorkItemFilter, WorkItemFilters, task)
from durabletask.client import OrchestrationFailedError

from hub import (
    Counter, activity, contains, equal, events, expect, failure, main, new_id, orchestrator,
    output, run, test, working)

attempts = Counter()


class OutOfStock(Exception):
    pass


@dataclasses.dataclass
class Box:
    name: str
    items: list[int]


@activity
def add_one(_, n):
    return n + 1


@activity
def same(_, input):
    return input


@activity
def kind_of_input(_, input):
    return type(input).__name__


@activity
def who_calls(ctx, _):
    return [ctx.orchestration_id, ctx.task_id]


@activity
def refill(_, box: Box) -> Box:
    return Box(box.name.upper(), [*box.items, len(box.items)])


@activity
def fails(_, message):
    raise OutOfStock(message)


@activity
def fails_for_a_reason(_, message):
    try:
        json.loads("{")
    except ValueError as error:
        raise OutOfStock(message) from error


@activity
def fails_until(_, input):
    attempt = attempts.add(input["key"])
    if attempt < input["good"]:
        raise OutOfStock(f"attempt {attempt}")
    return attempt


@activity
def not_for_json(_, __):
    return object()


@orchestrator
def chain(ctx, n):
    for _ in range(5):
        n = yield ctx.call_activity(add_one, input=n)
    return n


@orchestrator
def no_tasks(ctx, input):
    return [ctx.instance_id, input]


@orchestrator
def pass_on(ctx, input):
    passed = yield ctx.call_activity(same, input=input)
    kind = yield ctx.call_activity(kind_of_input, input=input)
    return [passed, kind]


@orchestrator
def boxes(ctx, box: Box):
    box = yield ctx.call_activity(refill, input=box)
    box = yield ctx.call_activity("refill", input=box, return_type=Box)
    return box


@orchestrator
def fan_out(ctx, n):
    return (yield task.when_all([ctx.call_activity(add_one, input=i) for i in range(n)]))


@orchestrator
def callers(ctx, _):
    return (yield task.when_all([ctx.call_activity(who_calls) for _ in range(3)]))


@orchestrator
def first_of_two(ctx, _):
    slow, quick = ctx.create_timer(timedelta(hours=1)), ctx.call_activity(same, input=1)
    first = yield task.when_any([slow, quick])
    if first is not quick:
        return "slow"
    slow.cancel()
    return (yield ctx.call_activity(same, input="then this"))


@orchestrator
def one_by_one(ctx, n):
    left = [ctx.call_activity(same, input=i) for i in range(n)]
    done = []
    while left:
        first = yield task.when_any(left)
        left.remove(first)
        done.append(first.get_result())
    return done


@orchestrator
def groups(ctx, _):
    """A task in two groups, a group in a group."""
    shared = ctx.call_activity(same, input="shared")
    inner = task.when_all([shared, ctx.call_activity(same, input="own")])
    first = yield task.when_any([inner, ctx.create_timer(timedelta(hours=1))])
    both = yield task.when_all([shared, inner])
    return [first is inner, both]


@orchestrator
def careless(ctx, message):
    yield ctx.call_activity(fails, input=message)


@orchestrator
def throws(ctx, message):
    yield ctx.call_activity(same, input=1)
    raise OutOfStock(message)


@orchestrator
def throws_at_once(ctx, message):
    raise OutOfStock(message)


@orchestrator
def forgiving(ctx, input):
    name, message = input
    try:
        yield ctx.call_activity(name, input=message)
    except task.TaskFailedError as error:
        found = error.details
        inner = found.inner_failure
        return [found.error_type, found.message, "raise OutOfStock" in found.stack_trace,
                found.is_caused_by(OutOfStock), inner and inner.error_type]


@orchestrator
def all_of_them(ctx, key):
    """What fails is told only when all have ended."""
    try:
        yield task.when_all([
            ctx.call_activity(fails, input="a"), ctx.call_activity(same, input=1),
            ctx.call_activity(fails_until, input={"key": key, "good": 1})])
    except task.TaskFailedError as error:
        return [error.details.message, attempts[key]]


@orchestrator
def retries(ctx, input):
    policy = task.RetryPolicy(
        first_retry_interval=timedelta(milliseconds=20),
        max_number_of_attempts=input["most"], backoff_coefficient=2,
        max_retry_interval=timedelta(milliseconds=50))
    return (yield ctx.call_activity(
        fails_until, input=input, retry_policy=policy, tags={"shelf": "9"}))


@orchestrator
def retries_many(ctx, key):
    policy = task.RetryPolicy(first_retry_interval=timedelta(), max_number_of_attempts=4)
    return (yield task.when_all([
        ctx.call_activity(fails_until, input={"key": f"{key}-{i}", "good": 1 + i % 4},
                          retry_policy=policy) for i in range(12)]))


@orchestrator
def retries_in_time(ctx, key):
    policy = task.RetryPolicy(
        first_retry_interval=timedelta(milliseconds=400), max_number_of_attempts=1000,
        retry_timeout=timedelta(seconds=1))
    yield ctx.call_activity(fails_until, input={"key": key, "good": 1001},
                            retry_policy=policy)


@orchestrator
def labels(ctx, _):
    return (yield ctx.call_activity(same, input=1, tags={"shelf": "3", "東": ""}))


@orchestrator
def calls(ctx, name):
    return (yield ctx.call_activity(name))


@orchestrator
def returns_what_json_cannot_say(ctx, _):
    return object()


@orchestrator
def yields_no_task(ctx, _):
    yield ctx.call_activity(same, input=1)
    yield "this"


VALUES = [False, 0, -1.5e300, 2 ** 53 - 1, 10 ** 40, "", " ", "null", '"\\\n\u0000',
          "Zoë 東京 🍎", [], {}, [1, [2, {"three": [None]}]], {"": {"a": "b"}}]


@test("a chain passes each result on")
def _():
    equal(output(run("chain", 1)), 6)


@test("an orchestrator without any task completes at once")
def _():
    state = run("no_tasks", [1])
    equal(output(state), [state.instance_id, [1]])


@test("{} comes through as it is", each=VALUES)
def _(value):
    state = run("pass_on", value)
    equal(output(state), [value, type(value).__name__])
    equal(state.get_input(), value)


@test("nothing comes through as nothing")
def _():
    state = run("pass_on")
    equal(output(state), [None, "NoneType"])
    equal(state.serialized_input, None)
    equal(run("no_tasks").get_output()[1], None)


@test("an object comes through as one of its class")
def _():
    state = run("boxes", Box("b", [7]))
    equal(state.get_output(Box), Box("B", [7, 1, 2]))
    equal(state.get_input(Box), Box("b", [7]))


@test("a payload of 512 KiB comes through")
def _():
    text = "x" * 2 ** 19
    equal(output(run("pass_on", text))[0], text)


@test("{} at once: all results, in the order of the calls", each=[1, 30, 400])
def _(n):
    equal(output(run("fan_out", n)), list(range(1, n + 1)))


@test("an activity knows its orchestration and its number in it")
def _():
    state = run("callers")
    equal(output(state), [[state.instance_id, n] for n in (1, 2, 3)])


@test("when_any goes on with the first")
def _():
    equal(output(run("first_of_two")), "then this")


@test("when_any again and again sees each once")
def _():
    equal(sorted(output(run("one_by_one", 25))), list(range(25)))


@test("a task may be in two groups, a group in a group")
def _():
    equal(output(run("groups")), [True, ["shared", ["shared", "own"]]])


@test("a failure nobody catches fails the orchestration, and tells its cause")
def _():
    state = run("careless", "no apples")
    details = failure(state)
    equal(details.error_type, "durabletask.task.TaskFailedError")
    contains(details.message, "Activity task #1 failed: no apples")
    equal(details.inner_failure.message, "no apples")
    expect(details.inner_failure.is_caused_by("OutOfStock"), f"cause: {details}")
    equal(state.serialized_output, None)
    try:
        state.raise_if_failed()
    except OrchestrationFailedError as error:
        contains(str(error), "no apples")
    else:
        expect(False, "raise_if_failed is quiet")


@test("an error of the orchestrator {} fails it, with type, text and stack",
      each=["throws", "throws_at_once"])
def _(name):
    details = failure(run(name, "no pears, 東京"))
    expect(details.is_caused_by(OutOfStock), f"{details}")
    equal(details.message, "no pears, 東京")
    contains(details.stack_trace, "raise OutOfStock")


@test("a failure can be caught, and says what it was")
def _():
    equal(output(run("forgiving", ["fails", "no plums"])),
          ["__main__.OutOfStock", "no plums", True, True, None])


@test("a failure keeps the failure that it came of")
def _():
    equal(output(run("forgiving", ["fails_for_a_reason", "no figs"])),
          ["__main__.OutOfStock", "no figs", True, True, "json.decoder.JSONDecodeError"])


@test("a failure that was caught is in the history")
def _():
    [failed] = events(run("forgiving", ["fails_for_a_reason", "no nuts"]).instance_id,
                      "TaskFailed")
    equal(failed.task_scheduled_id, 1)
    equal(failed.failure_details.message, "no nuts")
    contains(failed.failure_details.inner_failure.stack_trace, "json.loads")


@test("a failure may have properties of any kind")
def _():
    properties = {"code": 7, "ratio": -0.5, "fatal": False, "none": None, "text": "東京",
                  "list": [1, [True], {"a": "b"}], "map": {"deep": {"er": []}}}

    class Provider:
        def get_exception_properties(self, _):
            return properties

    def breaks(_, __):
        raise OutOfStock("with properties")

    def passes_properties_on(ctx, _):
        try:
            yield ctx.call_activity("breaks")
        except task.TaskFailedError as error:
            ctx.set_custom_status(error.details.properties)
            raise
    with working(passes_properties_on, activities=[breaks],
                 exception_properties_provider=Provider()):
        state = run("passes_properties_on")
        equal(state.get_custom_status(), properties, "properties of the activity")
        equal(failure(state).properties, properties, "properties of the orchestration")


@test("when_all waits for all before it tells of a failure")
def _():
    equal(output(run("all_of_them", new_id("all"))), ["a", 1])


@test("an activity that fails twice is tried three times, a timer between")
def _():
    state = run("retries", {"key": new_id("twice"), "good": 3, "most": 5})
    equal(output(state), 3)
    scheduled = events(state.instance_id, "TaskScheduled")
    equal(len(scheduled), 3, "attempts")
    for one in scheduled:
        equal(one.tags, {"shelf": "9"})
    equal(len(events(state.instance_id, "TaskFailed")), 2)
    created = events(state.instance_id, "TimerCreated")
    fired = events(state.instance_id, "TimerFired")
    equal([f.timer_id for f in fired], [c.event_id for c in created])
    equal(len(fired), 2)


@test("retries end with the last attempt's failure")
def _():
    key = new_id("ever")
    details = failure(run("retries", {"key": key, "good": 99, "most": 3}))
    contains(details.message, "attempt 3")
    equal(attempts[key], 3)


@test("one attempt is not a retry")
def _():
    key = new_id("once")
    failure(run("retries", {"key": key, "good": 2, "most": 1}))
    equal(attempts[key], 1)


@test("many retry side by side")
def _():
    equal(output(run("retries_many", new_id("many"))), [1 + i % 4 for i in range(12)])


@test("retries end when their time is over")
def _():
    key = new_id("timed")
    failure(run("retries_in_time", key))
    expect(1 <= attempts[key] <= 4, f"{attempts[key]} attempts, 400 ms apart, in 1 s")


@test("tags of an activity are in the history")
def _():
    [scheduled] = events(run("labels").instance_id, "TaskScheduled")
    equal(scheduled.tags, {"shelf": "3", "東": ""})


@test("what a worker asks for but has not registered fails")
def _():
    def calls_nobody(ctx, _):
        yield ctx.call_activity("nobody")
    names = ("calls_nobody", "nobody")
    with working(calls_nobody, filters=WorkItemFilters(
            [OrchestrationWorkItemFilter(name) for name in names],
            [ActivityWorkItemFilter("nobody")])):
        contains(failure(run("calls_nobody")).message, "'nobody' was not registered")
        details = failure(run("nobody"))
    contains(details.error_type, "OrchestratorNotRegisteredError")
    contains(details.message, "'nobody'")


@test("a result that is not JSON fails an activity, and an orchestrator")
def _():
    expect(failure(run("calls", "not_for_json")), "an activity")
    expect(failure(run("returns_what_json_cannot_say")), "an orchestrator")


@test("an orchestrator that yields something other than a task fails")
def _():
    contains(failure(run("yields_no_task")).message, "non-Task")


main()
