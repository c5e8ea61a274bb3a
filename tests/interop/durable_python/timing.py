"""Timers, scheduled starts, and what an orchestrator may know of time and chance."""

import collections
import logging
import re
import time
from datetime import datetime, timedelta, timezone

from durabletask import task

from hub import (
    COMPLETED, PENDING, TERMINATED, activity, client, end, equal, events, expect, main,
    orchestrator, output, raise_event, run, soon, start, state_of, test, until_status,
    working)

seen = collections.defaultdict(list)  # What each replay saw, by instance.

UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@activity
def nothing(_, __):
    pass


@orchestrator
def sleeper(ctx, seconds):
    asleep = ctx.current_utc_datetime
    yield ctx.create_timer(timedelta(seconds=seconds))
    return (ctx.current_utc_datetime - asleep).total_seconds()


@orchestrator
def sleeper_until(ctx, moment):
    yield ctx.create_timer(datetime.fromisoformat(moment))
    return ctx.current_utc_datetime.replace(tzinfo=timezone.utc).timestamp()


@orchestrator
def in_order(ctx, _):
    timers = {ctx.create_timer(timedelta(seconds=s)): s for s in (0.3, 0.1, 0.2, 0)}
    order = []
    while timers:
        first = yield task.when_any(list(timers))
        order.append(timers.pop(first))
    return order


@orchestrator
def cancels(ctx, _):
    timer = ctx.create_timer(timedelta(hours=1))
    cancelled = timer.cancel()
    yield ctx.call_activity(nothing)
    return [cancelled, timer.is_cancelled]


@orchestrator
def ticking(ctx, _):
    times = [ctx.current_utc_datetime.timestamp()]
    for i in range(10):
        yield ctx.create_timer(timedelta()) if i % 2 else ctx.call_activity(nothing)
        times.append(ctx.current_utc_datetime.timestamp())
    return times


@orchestrator
def chancy(ctx, _):
    found = [ctx.new_uuid(), ctx.new_uuid(), ctx.current_utc_datetime.isoformat()]
    yield ctx.call_activity(nothing)
    found += [ctx.new_uuid(), ctx.current_utc_datetime.isoformat()]
    yield ctx.create_timer(timedelta(milliseconds=50))
    seen[ctx.instance_id].append(found)
    yield ctx.call_activity(nothing)
    return [*found, ctx.new_uuid()]


class Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.said = collections.defaultdict(list)

    def emit(self, record):
        id, text = record.getMessage().split(": ")
        self.said[id].append(text)


lines = Lines()
plain_logger = logging.Logger("test")
plain_logger.addHandler(lines)


@orchestrator
def talkative(ctx, _):
    logger = ctx.create_replay_safe_logger(plain_logger)
    logger.info("%s: begins", ctx.instance_id)
    yield ctx.call_activity(nothing)
    logger.info("%s: goes on", ctx.instance_id)
    yield ctx.create_timer(timedelta(milliseconds=20))
    logger.info("%s: ends", ctx.instance_id)


@orchestrator
def replayed(ctx, _):
    before = ctx.is_replaying
    yield ctx.call_activity(nothing)
    return [before, ctx.is_replaying]


@orchestrator
def awaiting(ctx, _):
    return (yield ctx.wait_for_external_event("go"))


@test("a timer fires, and never early")
def _():
    begun = time.monotonic()
    slept = output(run("sleeper", 0.5))
    expect(slept >= 0.5, f"the orchestrator slept {slept} s")
    expect(time.monotonic() - begun >= 0.5, "it was early")


@test("a timer may be set to a moment")
def _():
    moment = soon(0.4)
    woken = output(run("sleeper_until", moment.isoformat()))
    expect(woken >= moment.timestamp(), f"woken {moment.timestamp() - woken} s early")


@test("a moment may have a time zone")
def _():
    zone = timezone(timedelta(hours=-9, minutes=-30))
    moment = soon(0.3).astimezone(zone)
    woken = output(run("sleeper_until", moment.isoformat()))
    expect(woken >= moment.timestamp(), f"woken {moment.timestamp() - woken} s early")


@test("a timer of the past fires at once")
def _():
    output(run("sleeper_until", "2001-01-01T00:00:00"))


@test("timers fire in the order of their times")
def _():
    equal(output(run("in_order")), [0, 0.1, 0.2, 0.3])


@test("100 timers at once all fire")
def _():
    for id in [start("sleeper", 0.2) for _ in range(100)]:
        expect(output(end(id)) >= 0.2, "early")


@test("a timer that is cancelled in its turn is never set")
def _():
    state = run("cancels")
    equal(output(state), [True, True])
    equal(events(state.instance_id, "TimerCreated"), [])


@test("a timer longer than the worker's longest is set in pieces")
def _():
    def piecewise(ctx, _):
        asleep = ctx.current_utc_datetime
        yield ctx.create_timer(timedelta(seconds=1))
        return (ctx.current_utc_datetime - asleep).total_seconds()
    with working(piecewise, maximum_timer_interval=timedelta(seconds=0.3)):
        state = run("piecewise")
    expect(output(state) >= 1, f"slept {output(state)} s")
    created = events(state.instance_id, "TimerCreated")
    equal(len(created), 4, "pieces")
    equal([one.fire_at for one in created],
          [one.fire_at for one in events(state.instance_id, "TimerFired")])
    [turn, *_] = events(state.instance_id)
    equal([(one.fire_at - turn.timestamp).total_seconds() for one in created],
          [0.3, 0.6, 0.9, 1])


@test("a timer of ten days is set for three; its orchestration can be ended meanwhile")
def _():
    id = start("sleeper", 10 * 24 * 3600)
    client.wait_for_orchestration_start(id)
    [created] = events(id, "TimerCreated")
    [turn] = events(id, "OrchestratorStarted")
    equal(created.fire_at - turn.timestamp, timedelta(days=3))
    client.terminate_orchestration(id)
    equal(end(id).runtime_status, TERMINATED)


@test("an orchestrator's clock goes forward with every turn")
def _():
    times = output(run("ticking"))
    equal(sorted(set(times)), times)


@test("a replay sees the same time and the same random ids")
def _():
    state = run("chancy")
    *first, last = output(state)
    replays = seen[state.instance_id]
    expect(len(replays) >= 2, f"replays: {replays}")
    for replay in replays:
        equal(replay, first)
    ids = [text for text in [*first, last] if UUID.fullmatch(text)]
    equal(len(set(ids)), 4, "different ids")


@test("two instances have different random ids")
def _():
    expect(output(run("chancy"))[0] != output(run("chancy"))[0], "the same id")


@test("a line of a replay-safe logger is written once")
def _():
    id = run("talkative").instance_id
    equal(lines.said[id], ["begins", "goes on", "ends"])


@test("an orchestrator knows whether it replays")
def _():
    equal(output(run("replayed")), [True, False])


@test("a start in the future stays pending until then")
def _():
    moment = soon(1.5)
    id = start("sleeper", 0, start_at=moment)
    equal(state_of(id).runtime_status, PENDING)
    started = client.wait_for_orchestration_start(id)
    expect(soon(0) >= moment, "it started early")
    expect(started.runtime_status != PENDING, "it has started")
    output(end(id))
    equal(events(id, "ExecutionStarted")[0].scheduled_start_timestamp, moment)


@test("a start in the past is a start now")
def _():
    output(run("sleeper", 0, start_at=datetime(2001, 1, 1)))


@test("an event for one that has not started yet waits for it")
def _():
    id = start("awaiting", start_at=soon(5))
    raise_event(id, "go", "at last")
    equal(state_of(id).runtime_status, PENDING)
    equal(output(end(id)), "at last")


@test("one that has not started yet can be terminated at once")
def _():
    id = start("awaiting", start_at=soon(3600))
    client.terminate_orchestration(id, output="too late")
    equal(until_status(id, TERMINATED).get_output(), "too late")


@test("the history says when a timer was to fire, and that it did")
def _():
    story = events(run("sleeper", 0.1).instance_id)
    kinds = [type(one).__name__ for one in story]
    created = story[kinds.index("TimerCreatedEvent")]
    place = kinds.index("TimerFiredEvent")
    equal(story[place].timer_id, created.event_id)
    equal(story[place].fire_at, created.fire_at)
    equal(kinds[place - 1], "OrchestratorStartedEvent")
    expect(story[place - 1].timestamp >= created.fire_at, "its turn was early")


@test("timers that nobody waits for do not hold or change an orchestration")
def _():
    def leaves_a_timer(ctx, _):
        ctx.create_timer(timedelta(seconds=0.1))
        yield ctx.create_timer(timedelta())
        return "done"
    with working(leaves_a_timer):
        state = run("leaves_a_timer")
        output(run("sleeper", 0.3))
        again = state_of(state.instance_id)
        equal(again.runtime_status, COMPLETED)
        equal(again.last_updated_at, state.last_updated_at)


main()
