"""A28: the published Go SDK of Durable Task, unchanged, is at home here.

The programs are in durable_go/: Go tests that take the address of a server, a room of them
in each Test function. What each of them is called is printed, and is the promise.
"""

import os
import re
import shutil

import deaths
import greeters
import harness
import languages
from harness import Server, check, equal, expect, temporary_folder

SOURCES = harness.ROOT / "tests/interop/durable_go"
PLACE = harness.ROOT / "build/interop/durable_go"
TESTS, PROCESSES, HELLO = PLACE / "tests", PLACE / "processes", PLACE / "hello"
PROGRAM_TIMEOUT_S = 300
PROGRESS = 300  # Activities between two deaths of the server.


def environment():
    """SDK_LOG=1 lets the SDK say what it does."""
    return {**languages.environment(), "SDK_LOG": os.environ.get("SDK_LOG", "")}


def build():
    """Builds in a copy, with the connection of the examples. Go's own cache knows what
    there is to be done."""
    languages.need("Go")
    sources = PLACE / "sources"
    shutil.rmtree(sources, ignore_errors=True)
    shutil.copytree(SOURCES, sources)
    shutil.copy(languages.EXAMPLES / "go/connection.go", sources)
    result = harness.run(
        "/bin/bash", "-euo", "pipefail", "-c",
        f"cd {sources}; go build -buildvcs=false -o {PROCESSES} .; "
        f"go build -buildvcs=false -o {HELLO} ./hello; go test -c -o {TESTS} .",
        env=environment(), timeout=languages.BUILD_TIMEOUT_S)
    equal(result.code, 0, f"exit code of {result}")


def run_tests(room):
    """All tests of a room pass, whatever the store."""
    build()
    with temporary_folder() as folder:
        for store in ("--store=memory", f"--data={folder}"):
            run_tests_on(room, store)


def run_tests_on(room, store):
    with Server(store, "--unknown-work=fail") as server:
        result = harness.run(
            TESTS, f"-test.run=^Test{room}$", "-test.v", "-test.parallel=100",
            f"-test.timeout={PROGRAM_TIMEOUT_S}s", f"-address={server.address}",
            f"-processes={PROCESSES}", env=environment(), timeout=2 * PROGRAM_TIMEOUT_S)
        expect(not server.ended(), f"the server ended: {server.err[-3:]}")
    begun = re.findall(rf"^=== RUN +Test{room}/", result.out, re.M)
    passed = [sentence.replace("_", " ") for sentence in re.findall(
        rf"^ +--- PASS: Test{room}/(.*) \(.*\)$", result.out, re.M)]
    said = "".join(line for line in result.out.splitlines(keepends=True)
                   if not re.match("===|PASS| *--- PASS", line))
    expect(result.code == 0, f"{room} with {store}:\n{said}{result.err}")
    expect(begun and len(passed) == len(begun),
           f"not all tests of {room} were run: {len(passed)} of {len(begun)}")
    print(f"      {store}: {len(passed)} tests")
    if store == "--store=memory":
        print("".join(f"        {sentence}\n" for sentence in passed), end="")


def greeter(address):
    return [PROCESSES, "greeter", address]


@check("A28.1 activities: inputs, results, many at once, failures, retries")
def _():
    run_tests("Activities")


@check("A28.2 time: timers, scheduled starts, a clock that replays")
def _():
    run_tests("Time")


@check("A28.3 events, their time-outs, custom status, continue-as-new")
def _():
    run_tests("Events")


@check("A28.4 children: results, failures, retries, ids, recursive ends")
def _():
    run_tests("Children")


@check("A28.5 life: start, look, wait, suspend, terminate, purge")
def _():
    run_tests("Lifecycle")


@check("A28.6 the same id again: what this SDK asks of it, in each status")
def _():
    run_tests("Reuse")


@check("A28.7 several workers: shares, large histories, one that is killed")
def _():
    run_tests("Workers")


@check("A28.8 a server is killed three times amid work of all kinds: all goes on")
def _():
    build()
    deaths.outlives_its_server(
        lambda address: (PROCESSES, "survivor", address), environment(), PROGRESS)


@check("A28.9 with TLS and a token client and worker do the same, also once it is another")
def _():
    build()
    greeters.outlives_its_token(greeter, environment())


@check("A28.10 mutual TLS: client and worker are known by their certificate")
def _():
    build()
    greeters.is_known_by_its_certificate(greeter, environment())


@check("A28.11 the SDK's hello, with no option set, runs to its end")
def _():
    build()
    with Server("--store=memory", listen=(), print_address=False):
        result = harness.run(HELLO)
    equal(result.code, 0, f"exit code of {result}")
    equal(result.out.splitlines()[-1:],
          ['["Hello, Tokyo!","Hello, Seattle!","Hello, London!"]'], "result")
