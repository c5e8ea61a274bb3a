"""A26: the published Python SDK of Durable Task, unchanged, is at home here.

The programs are in durable_python/, each a file of tests that takes the address of a
server. What each of their tests is called is printed, and is the promise.
"""

import os
import re

import deaths
import greeters
import harness
import languages
from harness import Server, check, contains, equal, expect, temporary_folder
from secured import Secured

SOURCES = harness.ROOT / "tests/interop/durable_python"
PROGRAM_TIMEOUT_S = 600
PROGRESS = 300  # Activities between two deaths of the server.


def python(name, *args):
    return [harness.PYTHON, "-B", SOURCES / f"{name}.py", *args]


def log():
    """SDK_LOG=1 lets the SDK say what it does."""
    return {"SDK_LOG": os.environ.get("SDK_LOG", "")}


def run_tests(name):
    """All tests of a program pass, whatever the store."""
    with temporary_folder() as folder:
        for store in ("--store=memory", f"--data={folder}"):
            run_tests_on(name, store)


def run_tests_on(name, store):
    with Server(store, "--unknown-work=fail") as server:
        result = harness.run(*python(name, server.address), env=log(),
                             timeout=PROGRAM_TIMEOUT_S)
        expect(not server.ended(), f"{name}.py with {store}: the server ended: "
                                   f"{server.err[-3:]}\n{result.out}")
    passed = re.findall(r"^ok (.*)$", result.out, re.M)
    failed = re.findall(r"^FAILED (?s:.*?)(?=^ok |^FAILED |^\d+ of |\Z)", result.out, re.M)
    counts = re.search(r"^(\d+) of (\d+) tests passed$", result.out, re.M)
    expect(result.code == 0,
           f"{name}.py with {store}:\n{''.join(failed) or result.out}{result.err}")
    expect(counts and int(counts[1]) == int(counts[2]) == len(passed) > 0,
           f"not all tests of {name}.py were run: {counts and counts[0]}")
    print(f"      {store}: {len(passed)} tests")
    if store == "--store=memory":
        print("".join(f"        {sentence}\n" for sentence in passed), end="")


@check("A26.1 the SDK's hello, with no option set, runs to its end")
def _():
    with Server("--store=memory", listen=(), print_address=False):
        result = harness.run(*python("hello"))
    equal(result.code, 0, f"exit code of {result}")
    equal(result.out, '["Hello, Tokyo!", "Hello, Seattle!", "Hello, London!"]\n', "result")


@check("A26.2 activities: inputs, results, many at once, failures, retries")
def _():
    run_tests("activities")


@check("A26.3 time: timers, scheduled starts, deterministic time and ids")
def _():
    run_tests("timing")


@check("A26.4 events, custom status, continue-as-new")
def _():
    run_tests("events")


@check("A26.5 children: results, failures, retries, ids, recursive ends")
def _():
    run_tests("children")


@check("A26.6 life: start, suspend, terminate, purge, restart, the same id again")
def _():
    run_tests("lifecycle")


@check("A26.7 queries and lists, filtered and paged")
def _():
    run_tests("queries")


@check("A26.8 several workers: shares, filters, versions, limits, some that are killed")
def _():
    run_tests("workers")


@check("A26.9 large payloads, and payloads that are not JSON")
def _():
    run_tests("payloads")


@check("A26.10 the client of asyncio")
def _():
    run_tests("asynchronous")


@check("A26.11 rewind: what has failed goes on from its last good point")
def _():
    run_tests("rewinds")


@check("A26.12 a server is killed three times amid work of all kinds: all goes on to its "
       "end")
def _():
    deaths.outlives_its_server(lambda address: python("survivor", address), log(), PROGRESS)


@check("A26.13 entities: signals, calls, locks, states that come and go")
def _():
    run_tests("entities")


@check("A26.14 schedules: what the SDK builds of entities")
def _():
    run_tests("schedules")


@check("A26.15 a server and the workers are killed three times amid operations on entities: "
       "each has its effect, once")
def _():
    deaths.outlives_both(lambda *args: python("bank", *args), log())


@check("A26.16 the example of entities prints what its README says, with the SDK it names")
def _():
    printed, commands = languages.accounts_example("In Python")
    sdk = re.search(r"^durabletask==.*$", harness.REQUIREMENTS.read_text(), re.M)[0]
    contains(commands, f"pip install -q {sdk}\nvenv/bin/python accounts.py 127.0.0.1:4001")
    with Server("--store=memory") as server:
        result = harness.run(harness.PYTHON, "-B", languages.EXAMPLES / "python/accounts.py",
                             server.address)
    equal((result.code, result.out), (0, printed), str(result))


@check("A26.17 jobs that export histories: what the SDK builds of entities and lists")
def _():
    run_tests("exports")


@check("A26.18 with TLS and a token the SDK's client and worker, its stream too, do the same")
def _():
    printed, _ = languages.accounts_example("In Python")
    with Secured() as server:
        result = harness.run(harness.PYTHON, "-B", languages.EXAMPLES / "python/accounts.py",
                             server.address, env=server.environment)
    equal((result.code, result.out), (0, printed), str(result))


@check("A26.19 the token of client and worker is replaced, spoilt, and healed; the client of "
       "asyncio too")
def _():
    for by in ("", "asyncio"):
        greeters.outlives_its_token(lambda address: python("greeter", address, by), {})


@check("A26.20 mutual TLS: client and worker are known by their certificate")
def _():
    greeters.is_known_by_its_certificate(lambda address: python("greeter", address), {})
