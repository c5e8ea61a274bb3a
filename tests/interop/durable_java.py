"""A29: the published Java SDK of Durable Task, unchanged, is at home here.

The programs are in durable_java/: each class of JUnit tests is a room, and takes the
address of a server. What each of its tests is called is printed, and is the promise.
"""

import hashlib
import os
import re
import shutil

import deaths
import greeters
import harness
import languages
from harness import Server, check, equal, expect, temporary_folder

SOURCES = harness.ROOT / "tests/interop/durable_java"
PLACE = harness.ROOT / "build/interop/durable_java"
CONNECTION = languages.EXAMPLES / "java/src/main/java/Connection.java"
PROGRAM_TIMEOUT_S = 600
PROGRESS = 150  # Activities between two deaths of the server.
TOGETHER = 100  # Tests that run side by side: most of their time is waiting.


def environment():
    """SDK_LOG=1 lets the SDK say what it does."""
    log = {"SDK_LOG": "1"} if os.environ.get("SDK_LOG") else {}
    return {**languages.environment(), **log}


def build():
    """Builds in a copy, with the connection of the examples."""
    languages.need("Java")
    digest = hashlib.sha256()
    for path in [*sorted(SOURCES.rglob("*.*")), CONNECTION]:
        digest.update(repr((path.name, path.read_bytes())).encode())
    mark = PLACE / "built"
    if mark.is_file() and mark.read_text() == digest.hexdigest():
        return
    shutil.rmtree(PLACE, ignore_errors=True)
    shutil.copytree(SOURCES, PLACE)
    shutil.copy(CONNECTION, PLACE / "src")
    result = harness.run("mvn", "-q", "-B", "-f", PLACE, "compile",
                         "dependency:build-classpath", "-Dmdep.outputFile=target/classpath",
                         env=environment(), timeout=languages.BUILD_TIMEOUT_S)
    equal(result.code, 0, f"exit code of {result}")
    mark.write_text(digest.hexdigest())


def java(main, *args, address=""):
    target = PLACE / "target"
    return ["java", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8",
            "-Dsun.stdout.encoding=UTF-8", f"-Daddress={address}", "-cp",
            f"{target}/classes:{(target / 'classpath').read_text()}", main, *args]


def launcher(room, address):
    settings = {"enabled": "true", "mode.default": "concurrent",
                "config.strategy": "fixed", "config.fixed.parallelism": TOGETHER,
                "config.fixed.max-pool-size": 2 * TOGETHER}
    return java("org.junit.platform.console.ConsoleLauncher", "execute",
                f"--select-class={room}", "--details=testfeed", "--disable-banner",
                "--disable-ansi-colors",
                *(f"--config=junit.jupiter.execution.parallel.{key}={value}"
                  for key, value in settings.items()), address=address)


def run_tests(room, *flags):
    """All tests of a room pass, whatever the store."""
    build()
    with temporary_folder() as folder:
        for store in ("--store=memory", f"--data={folder}"):
            run_tests_on(room, store, *flags)


def run_tests_on(room, store, *flags):
    with Server(store, "--unknown-work=fail", *flags) as server:
        result = harness.run(*launcher(room, server.address), env=environment(),
                             timeout=PROGRAM_TIMEOUT_S)
        expect(not server.ended(), f"the server ended: {server.err[-3:]}")
    passed = [sentence.rsplit(" > ", 1)[-1].strip() for sentence in re.findall(
        rf"^JUnit Jupiter > {room} > (.*) :: SUCCESSFUL$", result.out, re.M)]
    counts = {what: int(count) for count, what in
              re.findall(r"^\[ +(\d+) tests (\w+) +\]$", result.out, re.M)}
    said = "".join(line for line in result.out.splitlines(keepends=True)
                   if not re.search(r" :: (STARTED|SUCCESSFUL)$", line))
    expect(result.code == 0, f"{room} with {store}:\n{said}{result.err}")
    expect(counts["found"] > 0 and len(passed) == counts["successful"] == counts["found"],
           f"not all tests of {room} were run: {counts}")
    print(f"      {store}: {len(passed)} tests")
    if store == "--store=memory":
        print("".join(f"        {sentence}\n" for sentence in passed), end="")


def greeter(address):
    return java("Greeter", address=address)


@check("A29.1 the SDK's hello, with no option set, runs to its end")
def _():
    build()
    with Server("--store=memory", listen=(), print_address=False):
        result = harness.run(*java("Hello"), env=environment())
    equal(result.code, 0, f"exit code of {result}")
    equal(result.out, '["Hello, Tokyo!","Hello, Seattle!","Hello, London!"]\n', "result")


@check("A29.2 activities: inputs, results, many at once, failures, retries")
def _():
    run_tests("Activities")


@check("A29.3 time: timers, long ones in parts, scheduled starts, deterministic ids")
def _():
    run_tests("Time")


@check("A29.4 events, races, custom status, continue-as-new")
def _():
    run_tests("Events")


@check("A29.5 children: results, failures, retries, ids, what ends with whom")
def _():
    run_tests("Children")


@check("A29.6 life: start, wait, suspend, terminate, purge, restart, the same id again")
def _():
    run_tests("Lifecycle")


@check("A29.7 queries, filtered and paged")
def _():
    run_tests("Queries")


@check("A29.8 purges by filter, and a task hub that is created again")
def _():
    run_tests("Purges", "--allow-hub-wipe")


@check("A29.9 several workers: shares, large turns, late results, one that is killed")
def _():
    run_tests("Workers")


@check("A29.10 a server is killed three times amid work of all kinds: all goes on")
def _():
    build()
    deaths.outlives_its_server(
        lambda address: java("Survivor", address=address), environment(), PROGRESS)


@check("A29.11 with TLS and a token client and worker do the same, also once it is another")
def _():
    build()
    greeters.outlives_its_token(greeter, environment())


@check("A29.12 mutual TLS: client and worker are known by their certificate")
def _():
    build()
    greeters.is_known_by_its_certificate(greeter, environment())
