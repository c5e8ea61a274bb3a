"""Several workers: who gets what, who is gone, who takes over."""

import contextlib
import pathlib
import signal
import subprocess
import sys
import threading
import time

from durabletask import (
    ActivityWorkItemFilter, OrchestrationWorkItemFilter, VersioningOptions, WorkItemFilters,
    task)
from durabletask.worker import VersionFailureStrategy, VersionMatchStrategy

from hub import (
    ADDRESS, ALL, PENDING, RUNNING, Counter, Program, client, end, equal, events, expect,
    failure, main, output, raise_event, run, start, state_of, test, wait_until, working)

STRICT, OLDER, ANY = (VersionMatchStrategy.STRICT, VersionMatchStrategy.CURRENT_OR_OLDER,
                      VersionMatchStrategy.NONE)
REJECT, FAIL = VersionFailureStrategy.REJECT, VersionFailureStrategy.FAIL


def stays(id, wanted):
    time.sleep(0.4)
    equal(state_of(id).runtime_status, wanted, f"status of {id}")


def of_version(version, strategy=STRICT, otherwise=REJECT):
    return VersioningOptions(version=version, match_strategy=strategy,
                             failure_strategy=otherwise)


def asks_for(*orchestrations, activities=()):
    """Filters: of names, or of (name, versions)."""
    def pairs(names):
        return [(name, []) if isinstance(name, str) else name for name in names]
    return WorkItemFilters(
        [OrchestrationWorkItemFilter(name, versions)
         for name, versions in pairs(orchestrations)],
        [ActivityWorkItemFilter(name, versions) for name, versions in pairs(activities)])


def named(name, function):
    function.__name__ = name
    return function


def returns(name, value):
    """An orchestrator that has a result, and no more."""
    return named(name, lambda ctx, _: value)


def fans_out(name, to):
    def fan_out(ctx, n):
        return (yield task.when_all([ctx.call_activity(to, input=i) for i in range(n)]))
    return named(name, fan_out)


@test("work waits for a worker")
def _():
    id = start("patient")
    stays(id, PENDING)
    with working(returns("patient", 1)):
        equal(output(end(id)), 1)


@test("so does work that is named like the server's own, but for the case")
def _():
    id = start("ping", 1)
    stays(id, PENDING)
    with working(returns("ping", "ours")):
        equal(output(end(id)), "ours")


@test("two workers share the work")
def _():
    did = Counter()

    def sharing(label):
        def share(_, i):
            did.add(label)
            time.sleep(0.02)
            return i
        return working(fans_out("shared", "share"), activities=[share])
    with sharing("a"), sharing("b"):
        while not (did["a"] and did["b"]):  # Until both are there.
            equal(output(run("shared", 4)), list(range(4)))
        before = did["a"], did["b"]
        for id in [start("shared", 40) for _ in range(5)]:
            equal(output(end(id)), list(range(40)))
    a, b = (did[label] - old for label, old in zip("ab", before))
    equal(a + b, 200)
    expect(a > 20 and b > 20, f"unfair: {a} and {b}")


@test("one worker may have orchestrators, another their activities")
def _():
    def split_activity(_, n):
        return n + 1

    def split(ctx, n):
        return (yield ctx.call_activity("split_activity", input=n))
    with working(split):
        id = start("split", 1)
        client.wait_for_orchestration_start(id)
        stays(id, RUNNING)  # Nobody has the activity.
        with working(activities=[split_activity]):
            equal(output(end(id)), 2)


@test("a worker gets only what it asks for, in any case of the name")
def _():
    with working(returns("wanted", 1), returns("unwanted", 2), filters=asks_for("WanTed")):
        unwanted = start("unwanted")
        equal(output(run("wanted")), 1)
        stays(unwanted, PENDING)


@test("a worker that asks for nothing of a kind gets nothing of it")
def _():
    with working(returns("of_no_use", 1), filters=asks_for(activities=["other"])):
        stays(start("of_no_use"), PENDING)


@test("a filter may ask for versions, and for none")
def _():
    def choosy(label, versions):
        return working(named("choosy", lambda ctx, _: [label, ctx.version]),
                       filters=asks_for(("choosy", versions)))
    with choosy("a", ["1.0", "1.5"]), choosy("b", ["2.0", ""]):
        for version, wanted in (("1.0", "a"), ("1.5", "a"), ("2.0", "b"), (None, "b")):
            equal(output(run("choosy", version=version)), [wanted, version])
        stays(start("choosy", version="3.0"), PENDING)


@test("an activity goes with the version of its orchestration")
def _():
    def release(version):
        def which(_, __):
            return version

        def released(ctx, _):
            return (yield task.when_all([ctx.call_activity(which) for _ in range(5)]))
        return working(released, activities=[which], versioning=of_version(version))
    with release("1.0"), release("2.0"):
        for version in ("1.0", "2.0", "1.0"):
            equal(output(run("released", version=version)), [version] * 5)


@test("an activity filter of another version leaves it alone")
def _():
    def old(ctx, _):
        return (yield ctx.call_activity("aged"))

    def aged(_, __):
        return "done"
    with working(old), working(
            activities=[aged], filters=asks_for(activities=[("aged", ["2.0", ""])])):
        id = start("old", version="1.0")
        equal(output(run("old", version="2.0")), "done")
        equal(output(run("old")), "done")
        stays(id, RUNNING)
        with working(activities=[aged], filters=asks_for(activities=[("AGED", ["1.0"])])):
            equal(output(end(id)), "done")


@test("what a worker gives back for its version another takes")
def _():
    def returned(version):
        return working(returns("returned", version), versioning=of_version(version),
                       filters=asks_for("returned"))  # Of any version.
    with returned("1.0"), returned("2.0"):
        versions = ["1.0", "2.0"] * 5
        ids = [start("returned", version=version) for version in versions]
        equal([output(end(id)) for id in ids], versions)


@test("what every worker gives back waits for one that takes it")
def _():
    with working(returns("too_new", 1), versioning=of_version("1.0"),
                 filters=asks_for("too_new")):
        id = start("too_new", version="2.0")
        stays(id, PENDING)
        with working(returns("too_new", 2), versioning=of_version("2.0")):
            equal(output(end(id)), 2)


@test("a worker may fail what is not of its version")
def _():
    with working(returns("mismatched", 1), versioning=of_version("1.0", otherwise=FAIL),
                 filters=asks_for("mismatched")):
        equal(failure(run("mismatched", version="2.0")).error_type, "VersionMismatch")
        equal(failure(run("mismatched")).error_type, "VersionMismatch")
        equal(output(run("mismatched", version="1.0")), 1)


@test("a worker may take its version and what is older, or none")
def _():
    with working(returns("seasoned", 1), versioning=of_version("2.0", OLDER, FAIL)):
        for version in ("2.0", "1.10", "2", None):
            equal(output(run("seasoned", version=version)), 1)
        equal(failure(run("seasoned", version="2.0.1")).error_type, "VersionMismatch")
        equal(failure(run("seasoned", version="10.0")).error_type, "VersionMismatch")


@test("a worker may not care for versions")
def _():
    with working(returns("careless", 1), versioning=of_version("2.0", ANY, FAIL)):
        for version in ("1.0", "3.0", None):
            equal(output(run("careless", version=version)), 1)


@test("a worker is given no more than it takes at a time; the rest goes to others")
def _():
    free, begun = threading.Event(), threading.Event()

    def limited(_, i):
        begun.set()
        free.wait()
        return i

    def quick(_, i):
        return i
    id = start("crowd", 10)
    with working(fans_out("crowd", "limited"), activities=[limited], tasks=1):
        try:
            begun.wait()
            with working(activities=[named("limited", quick)], tasks=2):
                wait_until(lambda: len(events(id, "TaskCompleted")) == 9, "9 of 10")
        finally:
            free.set()
        equal(output(end(id)), list(range(10)))


@test("a worker of one turn at a time runs many orchestrations")
def _():
    with working(fans_out("slim", "slim_task"),
                 activities=[named("slim_task", lambda _, i: i)], turns=1, tasks=1):
        for id in [start("slim", 5) for _ in range(10)]:
            equal(output(end(id)), list(range(5)))


@test("a worker that stops ends what it has begun, once")
def _():
    begun, may_end = Counter(), threading.Event()

    def slowly(_, __):
        begun.add("slowly")
        may_end.wait()
        return "done"

    def farewell():
        return working(fans_out("farewell", "slowly"), activities=[slowly])
    id = start("farewell", 1)
    with farewell():
        wait_until(lambda: begun["slowly"], "the activity to begin")
        threading.Timer(0.5, may_end.set).start()  # After the worker was told to stop.
    with farewell():
        equal(output(end(id)), ["done"])
    equal(begun["slowly"], 1)


@test("a worker that is gone and comes back goes on")
def _():
    def resumed(ctx, _):
        got = []
        for _ in range(2):
            got.append((yield ctx.wait_for_external_event("go")))
        return got
    id = start("resumed")
    with working(resumed):
        client.wait_for_orchestration_start(id)
        raise_event(id, "go", 1)
    raise_event(id, "go", 2)
    stays(id, RUNNING)
    with working(resumed):
        equal(output(end(id)), [1, 2])


@test("a worker may be stopped and started again")
def _():
    with working(returns("again", 1)) as worker:
        equal(output(run("again")), 1)
        worker.stop()
        id = start("again")
        stays(id, PENDING)
        worker.start()
        equal(output(end(id)), 1)


@test("code that has changed is found out: the orchestration fails")
def _():
    def changing(ctx, _):
        yield ctx.call_activity("before")
        return (yield ctx.wait_for_external_event("go"))

    def changed(ctx, _):
        yield ctx.call_activity("after")
        return (yield ctx.wait_for_external_event("go"))
    id = start("changing")
    with working(changing, activities=[named("before", lambda _, __: 1)]):
        wait_until(lambda: events(id, "TaskCompleted"), "the activity")
    raise_event(id, "go")
    with working(named("changing", changed)):
        equal(failure(end(id)).error_type, "durabletask.task.NonDeterminismError")


def process(label, *stuck):
    killable = pathlib.Path(__file__).with_name("killable.py")
    return Program(sys.executable, "-B", killable, ADDRESS, label, *stuck,
                   stdin=subprocess.PIPE)


@test("a worker is killed in the middle of a {}: another does its work",
      each=["turn", "task"], alone=True)
def _(what):
    with process("stuck", what) as stuck, process("good") as good:
        ids = []

        def both_have_some():
            ids.append(start("killable", 10))
            return f"stuck {what}" in stuck.out and "good task" in good.out
        wait_until(both_have_some, "each to have some work")
        stuck.send_signal(signal.SIGKILL)
        for id in ids:
            equal(output(end(id)), list(range(10)))


@test("three workers are killed one after the other, amid work", alone=True)
def _():
    with contextlib.ExitStack() as stack:
        ids = [start("killable", 40) for _ in range(10)]
        for n in range(3):
            worker = stack.enter_context(process(f"mortal {n}"))
            wait_until(lambda: len(worker.out) >= 30, "30 pieces of work")
            worker.send_signal(signal.SIGKILL)
        stack.enter_context(process("last"))
        for id in ids:
            equal(output(end(id)), list(range(40)))


@test("a worker without filters takes whatever there is", alone=True)
def _():
    ids = [start(name) for name in ("whatever", "there_is")]
    with working(returns("whatever", 1), returns("there_is", 2), filters=ALL):
        equal([output(end(id)) for id in ids], [1, 2])


main()
