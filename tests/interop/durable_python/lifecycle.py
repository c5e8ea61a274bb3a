"""The life of an instance seen from outside: start, look, suspend, end, start again."""

import concurrent.futures
import json
import time
from datetime import datetime, timedelta, timezone

from durabletask import GrpcChannelOptions, GrpcRetryPolicyOptions, history
from durabletask.internal.orchestrator_service_pb2 import OrchestrationIdReusePolicy

from hub import (
    COMPLETED, FAILED, PENDING, RUNNING, SUSPENDED, TERMINATED, activity, client, contains,
    end, equal, events, expect, failure, main, new_client, new_id, orchestrator, output,
    raise_event, refused, run, soon, start, state_of, test, until_custom_status,
    until_status, wait_until)


@activity
def same(_, input):
    return input


@orchestrator
def passes_on(ctx, input):
    return (yield ctx.call_activity(same, input=input))


@orchestrator
def failing(ctx, _):
    raise ValueError("as it must")


@orchestrator
def awaiting(ctx, _):
    ctx.set_custom_status("waiting")
    return (yield ctx.wait_for_external_event("go"))


@orchestrator
def collecting(ctx, _):
    got = []
    while len(got) < 3:
        ctx.set_custom_status(len(got))
        got.append((yield ctx.wait_for_external_event("item")))
    return got


@orchestrator
def versioned(ctx, _):
    return ctx.version


# ---- One in each state that an instance can be left in ----------------------

def left_completed():
    return run("passes_on", 1).instance_id


def left_failed():
    return run("failing", {"a": 1}).instance_id


def left_terminated():
    id = start("awaiting")
    client.terminate_orchestration(id)
    return end(id).instance_id


def left_running():
    id = start("awaiting")
    until_custom_status(id, "waiting")
    return id


def left_suspended():
    id = left_running()
    client.suspend_orchestration(id)
    until_status(id, SUSPENDED)
    return id


def left_pending():
    return start("awaiting", 1, start_at=soon(3600))


ENDED = {"COMPLETED": left_completed, "FAILED": left_failed, "TERMINATED": left_terminated}
ACTIVE = {"RUNNING": left_running, "SUSPENDED": left_suspended, "PENDING": left_pending}
EACH = {**ENDED, **ACTIVE}
STATUS = {"COMPLETED": COMPLETED, "FAILED": FAILED, "TERMINATED": TERMINATED,
          "RUNNING": RUNNING, "SUSPENDED": SUSPENDED, "PENDING": PENDING}


def reuse(*names):
    return OrchestrationIdReusePolicy(
        replaceableStatus=[STATUS[name].value for name in names])


# ---- Start and look ---------------------------------------------------------

@test("the state says what is known")
def _():
    before = datetime.now(timezone.utc).replace(tzinfo=None)
    id = start("awaiting", {"a": [1, "東京"]}, tags={"room": "7", "": "x"})
    state = client.wait_for_orchestration_start(id, fetch_payloads=True)
    equal([state.instance_id, state.name, state.runtime_status], [id, "awaiting", RUNNING])
    equal(state.get_input(), {"a": [1, "東京"]})
    equal([state.serialized_output, state.failure_details], [None, None])
    equal(events(id, "ExecutionStarted")[0].tags, {"room": "7", "": "x"})
    expect(abs(state.created_at - before) < timedelta(minutes=1), f"at {state.created_at}")
    raise_event(id, "go", "done")
    ended = end(id)
    equal(output(ended), "done")
    equal(ended.created_at, state.created_at)
    expect(ended.last_updated_at >= ended.created_at, "last updated before it was created")
    equal(state_of(id), ended)


@test("an orchestrator may be started by its function")
def _():
    id = client.schedule_new_orchestration(passes_on, input=3)
    equal(output(end(id)), 3)
    equal(state_of(id).name, "passes_on")


@test("payloads are left out if they are not asked for")
def _():
    id = run("passes_on", "text").instance_id
    for look in (client.get_orchestration_state, client.wait_for_orchestration_start,
                 client.wait_for_orchestration_completion):
        state = look(id, fetch_payloads=False)
        equal([state.runtime_status, state.serialized_input, state.serialized_output],
              [COMPLETED, None, None])
        state = look(id, fetch_payloads=True)
        equal([state.get_input(), state.get_output()], ["text", "text"])


@test("details of a failure are a payload too")
def _():
    id = left_failed()
    state = client.get_orchestration_state(id, fetch_payloads=False)
    equal([state.runtime_status, state.failure_details], [FAILED, None])
    equal(failure(state_of(id)).message, "as it must")


@test("an instance that does not exist is None, at once")
def _():
    id = new_id("nobody")
    for look in (client.get_orchestration_state, client.wait_for_orchestration_start,
                 client.wait_for_orchestration_completion):
        equal(look(id), None)
    refused("NOT_FOUND", client.get_orchestration_history, id)


@test("an id that is not given is made")
def _():
    ids = {client.schedule_new_orchestration("passes_on") for _ in range(10)}
    equal(len(ids), 10)


@test("the id {} is one like any other", each=[
    "Zoë/東京?x=1#%20 'a'", "a@b", "A", "a", "0", " ", "a:b:0001"])
def _(id):
    equal(start("passes_on", id, id), id)
    state = end(id)
    equal(output(state), id)
    equal(events(id, "ExecutionStarted")[0].orchestration_instance.instance_id, id)


@test("an id of 100 characters is taken, a longer one refused")
def _():
    id = new_id("long").ljust(100, "x")
    start("passes_on", 1, id)
    contains(refused("INVALID_ARGUMENT", start, "passes_on", 1, id + "x"), "length")


@test("a start without a name is refused")
def _():
    refused("INVALID_ARGUMENT", start, "")


@test("a version is told to the orchestrator")
def _():
    for version in ("2.1.0", "東", None):
        equal(output(run("versioned", version=version)), version)


@test("a client may have a version for all that it starts")
def _():
    with new_client(default_version="4.0") as other:
        for version, wanted in ((None, "4.0"), ("5.0", "5.0")):
            id = other.schedule_new_orchestration("versioned", version=version)
            equal(output(end(id)), wanted)


@test("a client may send metadata, retry calls and keep its connection alive")
def _():
    options = GrpcChannelOptions(
        retry_policy=GrpcRetryPolicyOptions(max_attempts=5), keepalive_time_ms=30_000,
        keepalive_timeout_ms=10_000, keepalive_permit_without_calls=True,
        max_receive_message_length=-1)
    with new_client(channel_options=options, metadata=[("x-user-agent", "tests")]) as other:
        id = other.schedule_new_orchestration("passes_on", input=5)
        equal(output(other.wait_for_orchestration_completion(id)), 5)


@test("a wait that runs out is a TimeoutError; the instance goes on")
def _():
    for id, wait in ((left_running(), client.wait_for_orchestration_completion),
                     (left_pending(), client.wait_for_orchestration_start)):
        begun = time.monotonic()
        try:
            wait(id, timeout=0.3)
        except TimeoutError:
            expect(time.monotonic() - begun >= 0.2, "it gave up early")
        else:
            expect(False, "it did not run out")
        client.terminate_orchestration(id)
        equal(end(id).runtime_status, TERMINATED)


@test("everybody who waits is answered")
def _():
    id = start("awaiting")
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        waiting = [pool.submit(end, id) for _ in range(30)]
        until_custom_status(id, "waiting")
        raise_event(id, "go", 5)
        for one in waiting:
            equal(output(one.result()), 5)


@test("200 started at once all end")
def _():
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        states = pool.map(lambda n: run("passes_on", n), range(200))
        equal([output(state) for state in states], list(range(200)))


@test("the history tells the whole story in order")
def _():
    id = run("passes_on", "x").instance_id
    story = events(id)
    equal([type(one) for one in story], [
        history.OrchestratorStartedEvent, history.ExecutionStartedEvent,
        history.TaskScheduledEvent, history.OrchestratorStartedEvent,
        history.TaskCompletedEvent, history.ExecutionCompletedEvent])
    equal([one.event_id for one in story], [-1, -1, 1, -1, -1, 2])
    equal([story[1].name, story[1].input, story[1].parent_instance],
          ["passes_on", '"x"', None])
    equal(story[1].orchestration_instance.instance_id, id)
    equal([story[4].result, story[5].result], ['"x"', '"x"'])
    for one in story:
        expect(soon(-600) < one.timestamp <= soon(0), f"at {one.timestamp}")
        json.dumps(history.to_dict(one))


@test("the history may be asked for by its execution, and for no other")
def _():
    id = run("passes_on", "x").instance_id
    [started] = events(id, "ExecutionStarted")
    execution = started.orchestration_instance.execution_id
    equal(client.get_orchestration_history(id, execution_id=execution), events(id))
    refused("NOT_FOUND", client.get_orchestration_history, id, execution_id="0" * 32)


@test("the history of one that has not begun is empty")
def _():
    equal(events(left_pending()), [])


@test("a history of 1500 events comes whole")
def _():
    id = start("collecting")
    for n in range(2):
        raise_event(id, "item", n)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda n: raise_event(id, "other", n), range(1500)))
    raise_event(id, "item", 2)
    equal(output(end(id)), [0, 1, 2])
    raised = [int(one.input) for one in events(id, "EventRaised") if one.name == "other"]
    equal(sorted(raised), list(range(1500)))


# ---- The same id again ------------------------------------------------------

@test("the same id while one is {} is ALREADY_EXISTS", each=ACTIVE)
def _(name):
    id = ACTIVE[name]()
    contains(refused("ALREADY_EXISTS", start, "passes_on", 1, id),
             "orchestration instance already exists")
    equal(state_of(id).runtime_status, STATUS[name])


@test("the same id after one has {}: a new one takes its place", each=ENDED)
def _(name):
    id = ENDED[name]()
    old = state_of(id)
    equal(start("passes_on", "new", id), id)
    state = end(id)
    equal(output(state), "new")
    equal([state.failure_details, state.serialized_custom_status], [None, None])
    expect(state.created_at >= old.created_at, "it is older")
    equal(len(events(id)), 6)


@test("a policy that allows {} replaces it", each=EACH)
def _(name):
    id = EACH[name]()
    names = [name] if name in ENDED else [name, "TERMINATED"]
    equal(start("passes_on", "new", id, reuse_id_policy=reuse(*names)), id)
    equal(output(end(id)), "new")
    equal(len(events(id)), 6)


@test("a policy that does not allow {} is ALREADY_EXISTS", each=EACH)
def _(name):
    id = EACH[name]()
    old = state_of(id)
    others = [other for other in ENDED if other != name]
    for names in ([], others):
        refused("ALREADY_EXISTS", start, "passes_on", 1, id, reuse_id_policy=reuse(*names))
    equal(state_of(id), old)


@test("a policy that allows {} but not TERMINATED is refused", each=ACTIVE)
def _(name):
    contains(refused("INVALID_ARGUMENT", start, "passes_on",
                     reuse_id_policy=reuse(name, "COMPLETED")), "Terminated")


@test("a policy does not affect a new id")
def _():
    equal(output(run("passes_on", 1, reuse_id_policy=reuse())), 1)


@test("of 20 who start it at once, one does")
def _():
    id = new_id("race")

    def attempt(n):
        try:
            return start("awaiting", n, id)
        except Exception as error:
            return error.code().name
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(attempt, range(20)))
    equal(sorted(answers), sorted([id] + ["ALREADY_EXISTS"] * 19))
    client.terminate_orchestration(id)


# ---- Suspend and resume -----------------------------------------------------

@test("one that is suspended does nothing until it is resumed")
def _():
    id = start("collecting")
    raise_event(id, "item", 1)
    until_custom_status(id, 1)
    client.suspend_orchestration(id, reason="a break, 東京")
    until_status(id, SUSPENDED)
    raise_event(id, "item", 2)
    time.sleep(0.3)
    state = state_of(id)
    equal([state.runtime_status, state.get_custom_status()], [SUSPENDED, 1])
    client.resume_orchestration(id, reason="enough")
    until_custom_status(id, 2)
    equal(state_of(id).runtime_status, RUNNING)
    raise_event(id, "item", 3)
    equal(output(end(id)), [1, 2, 3])
    [suspended] = events(id, "ExecutionSuspended")
    [resumed] = events(id, "ExecutionResumed")
    equal([suspended.input, resumed.input], ["a break, 東京", "enough"])


@test("one that is suspended stays so over its timers and activities")
def _():
    id = start("passes_on", 1, start_at=soon(0.3))
    client.suspend_orchestration(id)
    until_status(id, SUSPENDED)
    time.sleep(0.5)
    equal(state_of(id).runtime_status, SUSPENDED)
    client.resume_orchestration(id)
    equal(output(end(id)), 1)


@test("suspending twice and resuming once is resumed")
def _():
    id = left_suspended()
    client.suspend_orchestration(id)
    raise_event(id, "go", 1)
    client.resume_orchestration(id)
    equal(output(end(id)), 1)


@test("suspended and resumed ten times over, it is where it was")
def _():
    id = left_running()
    for _ in range(10):
        client.suspend_orchestration(id)
        client.resume_orchestration(id)
    raise_event(id, "go", 1)
    equal(output(end(id)), 1)


@test("one that is suspended can be terminated")
def _():
    id = left_suspended()
    client.terminate_orchestration(id, output="enough")
    state = end(id)
    equal([state.runtime_status, state.get_output()], [TERMINATED, "enough"])


# ---- Ends -------------------------------------------------------------------

@test("a termination has an output, or none")
def _():
    for wanted in ({"why": ["enough", "東京"]}, "", 0, None):
        id = left_running()
        client.terminate_orchestration(id, output=wanted)
        state = end(id)
        equal([state.runtime_status, state.get_output()], [TERMINATED, wanted])


@test("what is {} stays so", each=ENDED)
def _(name):
    id = ENDED[name]()
    state = state_of(id)
    client.terminate_orchestration(id, output="again")
    client.suspend_orchestration(id)
    client.resume_orchestration(id)
    raise_event(id, "go", 1)
    equal(output(run("passes_on", 1)), 1)
    equal(state_of(id), state)


@test("to {} one that does not exist is NOT_FOUND",
      each=["terminate", "suspend", "resume", "restart"])
def _(call):
    refused("NOT_FOUND", getattr(client, f"{call}_orchestration"), new_id("nobody"))


# ---- Purge ------------------------------------------------------------------

@test("one that is {} can be purged, and is gone", each=ENDED)
def _(name):
    id = ENDED[name]()
    purged = client.purge_orchestration(id)
    equal([purged.deleted_instance_count, purged.is_complete], [1, True])
    equal(state_of(id), None)
    refused("NOT_FOUND", client.get_orchestration_history, id)
    refused("NOT_FOUND", raise_event, id, "go")
    equal(client.purge_orchestration(id).deleted_instance_count, 0)
    equal(output(run("passes_on", "again", id)), "again")


@test("one that is {} is not purged", each=ACTIVE)
def _(name):
    id = ACTIVE[name]()
    equal(client.purge_orchestration(id).deleted_instance_count, 0)
    equal(state_of(id).runtime_status, STATUS[name])


@test("a purge by filter takes what it says, and no other", alone=True)
def _():
    def moment():
        """One that is after what was and before what will be."""
        time.sleep(0.02)
        now = datetime.now(timezone.utc)
        time.sleep(0.02)
        return now

    def purge(*filter, **options):
        purged = client.purge_orchestrations_by(*filter, **options)
        equal(purged.is_complete, True)
        return purged.deleted_instance_count
    since = moment()
    ids = {name: leave() for name, leave in EACH.items()}
    to = moment()
    later = left_completed()

    def left():
        return [name for name, id in ids.items() if state_of(id)]
    equal(purge(since, to, [FAILED]), 1)
    equal(left(), ["COMPLETED", "TERMINATED", *ACTIVE])
    equal(purge(since, to, [RUNNING, SUSPENDED, PENDING]), 0)
    equal(purge(since, to, recursive=True, timeout=timedelta(minutes=1)), 2)
    equal(left(), list(ACTIVE))
    expect(state_of(later), "a later one is gone")
    expect(purge(runtime_status=[COMPLETED, FAILED, TERMINATED]) > 1, "a count")
    equal(state_of(later), None)
    equal(left(), list(ACTIVE))


# ---- Restart ----------------------------------------------------------------

@test("one that is {} runs again under its id", each=ENDED)
def _(name):
    id = ENDED[name]()
    old = state_of(id)
    [started] = events(id, "ExecutionStarted")
    equal(client.restart_orchestration(id), id)
    if name == "TERMINATED":
        raise_event(id, "go", 1)
    state = end(id)
    equal([state.name, state.serialized_input], [old.name, old.serialized_input])
    equal(state.runtime_status, FAILED if name == "FAILED" else COMPLETED)
    [again] = events(id, "ExecutionStarted")
    expect(again.orchestration_instance.execution_id
           != started.orchestration_instance.execution_id, "the same execution")


@test("one that is {} can run again under a new id", each=["COMPLETED", "RUNNING"])
def _(name):
    id = EACH[name]()
    other = client.restart_orchestration(id, restart_with_new_instance_id=True)
    expect(other and other != id, f"id {other!r}")
    equal(state_of(id).runtime_status, STATUS[name])
    if name == "RUNNING":
        raise_event(other, "go", 1)
    state = end(other)
    output(state)
    equal(state.serialized_input, state_of(id).serialized_input)


@test("a restart keeps version and tags")
def _():
    id = run("versioned", version="1.5", tags={"a": "1"}).instance_id
    for new in (False, True):
        again = client.restart_orchestration(id, restart_with_new_instance_id=new)
        equal(output(end(again)), "1.5")
        equal(events(again, "ExecutionStarted")[0].tags, {"a": "1"})


@test("one that is {} cannot be restarted under its id", each=ACTIVE)
def _(name):
    id = ACTIVE[name]()
    refused("FAILED_PRECONDITION", client.restart_orchestration, id)
    equal(state_of(id).runtime_status, STATUS[name])


@test("a wait goes on over a restart to the new end")
def _():
    id = left_terminated()
    client.restart_orchestration(id)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(end, id)
        until_custom_status(id, "waiting")
        wait_until(waiting.running, "the wait to begin")
        raise_event(id, "go", "again")
        equal(output(waiting.result()), "again")


main()
