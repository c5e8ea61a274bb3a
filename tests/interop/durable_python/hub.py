"""What the programs of this folder share: the SDK's client and workers on the server
whose address is the first argument, and tests that run side by side.

    @orchestrator
    def chain(ctx, n): ...

    @test("a chain passes each result on")
    def _():
        equal(output(run("chain", 1)), 6)

    main()

A second argument chooses the tests whose sentences have it in them. SDK_LOG=1 lets
the SDK say what it does.
"""

import collections
import concurrent.futures
import contextlib
import json
import logging
import os
import pathlib
import sys
import threading
import traceback
import uuid
from datetime import datetime, timedelta, timezone

# Its remarks would stand among ours; and what is forked here is another program at once.
os.environ.update(GRPC_VERBOSITY="NONE", GRPC_ENABLE_FORK_SUPPORT="0")

import grpc
from durabletask import ConcurrencyOptions
from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.worker import TaskHubGrpcWorker

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "acceptance"))
# Some of these are for the programs that include this.
from harness import Failed, Program, contains, equal, expect, wait_until

ADDRESS = sys.argv[1]
PATIENCE_S = 120  # For what hangs, not for what is slow.

RUNNING, COMPLETED, FAILED = (
    OrchestrationStatus.RUNNING, OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED)
TERMINATED, PENDING, SUSPENDED = (
    OrchestrationStatus.TERMINATED, OrchestrationStatus.PENDING,
    OrchestrationStatus.SUSPENDED)

LOGGER = None
if not os.environ.get("SDK_LOG"):
    LOGGER = logging.Logger("silent", logging.CRITICAL)
    LOGGER.addHandler(logging.NullHandler())


# ---- Clients and workers ----------------------------------------------------

def new_client(**options):
    return TaskHubGrpcClient(host_address=ADDRESS, logger=LOGGER, **options)


ITS_OWN, ALL = "its own", None


@contextlib.contextmanager
def working(*orchestrators, activities=(), entities=(), filters=ITS_OWN, versioning=None,
            turns=None, tasks=None, capabilities=(), register=None, **options):
    """A worker of these, each known by the name of its function, while the body runs.

    It asks for what it has, so that tests do not take each other's work, or for what
    `filters` has, or for ALL. `turns` and `tasks`: the most that it does at a time.
    `register` gets the worker before it starts, to give it what else it needs.
    """
    worker = TaskHubGrpcWorker(
        host_address=ADDRESS, logger=LOGGER, concurrency_options=ConcurrencyOptions(
            maximum_concurrent_orchestration_work_items=turns,
            maximum_concurrent_activity_work_items=tasks,
            maximum_thread_pool_workers=64), **options)
    for one in orchestrators:
        worker.add_orchestrator(one)
    for one in activities:
        worker.add_activity(one)
    for one in entities:
        worker.add_entity(one)
    for one in capabilities:
        worker.add_capability(one)
    if register:
        register(worker)
    if versioning:
        worker.use_versioning(versioning)
    if filters == ITS_OWN:
        worker.use_work_item_filters()
    else:
        worker.use_work_item_filters(filters)
    with worker:
        worker.start()
        yield worker


client = new_client()
ORCHESTRATORS, ACTIVITIES, ENTITIES = [], [], []


def orchestrator(function):
    """One of the worker that `main` starts."""
    ORCHESTRATORS.append(function)
    return function


def activity(function):
    ACTIVITIES.append(function)
    return function


def entity(function):
    ENTITIES.append(function)
    return function


class Counter:
    """How often something happened, by a key."""

    def __init__(self):
        self.counts, self.lock = collections.Counter(), threading.Lock()

    def add(self, key):
        with self.lock:
            self.counts[key] += 1
            return self.counts[key]

    def __getitem__(self, key):
        with self.lock:
            return self.counts[key]


# ---- Calls ------------------------------------------------------------------

def new_id(name):
    return f"{name}-{uuid.uuid4().hex[:8]}"


def soon(seconds):
    """A moment so many seconds from now."""
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)


def start(name, input=None, id=None, **options):
    return client.schedule_new_orchestration(
        name, input=input, instance_id=id or new_id(name or "nameless"), **options)


def end(id):
    """The state that it ends in."""
    return client.wait_for_orchestration_completion(id, timeout=PATIENCE_S)


def run(name, input=None, id=None, **options):
    return end(start(name, input, id, **options))


def output(state):
    """What one returned that has to have completed."""
    expect(state, "the instance is lost")
    equal(state.runtime_status, COMPLETED,
          f"status of {state.instance_id} ({state.failure_details})")
    return state.get_output()


def failure(state):
    """The details of one that has to have failed."""
    equal(state.runtime_status, FAILED, f"status of {state.instance_id}")
    return state.failure_details


def state_of(id):
    return client.get_orchestration_state(id)


def raise_event(id, name, data=None):
    client.raise_orchestration_event(id, name, data=data)


def until(id, condition, what):
    """The state, once it is so."""
    def found():
        state = state_of(id)
        return state and condition(state) and state
    return wait_until(found, f"{id}: {what}")


def until_status(id, wanted):
    return until(id, lambda state: state.runtime_status == wanted, wanted)


def until_custom_status(id, wanted):
    text = json.dumps(wanted)
    return until(id, lambda state: state.serialized_custom_status == text,
                 f"custom status {text}")


def events(id, kind=None):
    """Its history, or the events of a kind: `TaskFailed`."""
    return [event for event in client.get_orchestration_history(id)
            if kind in (None, kind_of(event))]


def kind_of(event):
    return type(event).__name__.removesuffix("Event")


def refused(code, call, *args, **kwargs):
    """The call fails so; the text of its error."""
    try:
        answer = call(*args, **kwargs)
    except grpc.RpcError as error:
        equal(error.code().name, code, f"code of {error.details()!r}")
        return error.details()
    raise Failed(f"wanted {code}, got {answer!r}")


# ---- Tests ------------------------------------------------------------------

TESTS, LAST = [], []


def test(sentence, each=None, alone=False):
    """`each`: a test for each of these, which stands in the sentence for {}."""
    def register(body):
        for value in [None] if each is None else each:
            shown = (value if isinstance(value, str) and value.isidentifier()
                     else json.dumps(value, ensure_ascii=False))
            (LAST if alone else TESTS).append(
                (sentence if each is None else sentence.format(shown),
                 body, () if each is None else (value,)))
        return body
    return register


def _run(test):
    sentence, body, arguments = test
    try:
        body(*arguments)
    except Exception:
        return f"FAILED {sentence}\n{traceback.format_exc()}"
    return f"ok {sentence}"


def main(**options):
    """Runs the tests, those `alone` last, and ends the process. `options`: of the worker."""
    chosen, last = ([test for test in tests if "".join(sys.argv[2:3]) in test[0]]
                    for tests in (TESTS, LAST))
    with working(*ORCHESTRATORS, activities=ACTIVITIES, entities=ENTITIES, **options):
        results = []
        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            for result in [*pool.map(_run, chosen), *map(_run, last)]:
                results.append(result)
                print(result, flush=True)
    passed = sum(result.startswith("ok ") for result in results)
    print(f"{passed} of {len(results)} tests passed")
    sys.exit(passed != len(results))
