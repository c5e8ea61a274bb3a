"""A18: the published JavaScript SDK of Durable Task, unchanged, is at home here.

The programs are in durable_js/, each a file of Node's own tests that takes the address
of a server. What each of their tests is called is printed, and is the promise.
"""

import hashlib
import json
import os
import re
import shutil

import deaths
import greeters
import harness
import languages
from harness import Server, check, contains, equal, expect, temporary_folder
from secured import Secured

SOURCES = harness.ROOT / "tests/interop/durable_js"
PLACE = harness.ROOT / "build/interop/durable_js"
TOOLS = harness.ROOT / "build/tools/node/bin"
INSTALL_TIMEOUT_S = 600
PROGRAM_TIMEOUT_S = 300
PROGRESS = 300  # Activities between two deaths of the server.


def install(sources=SOURCES, place=PLACE):
    """A copy of the programs beside the SDK's packages, which are kept."""
    lock = (sources / "package-lock.json").read_bytes()
    mark, wanted = place / "installed", hashlib.sha256(lock).hexdigest()
    place.mkdir(parents=True, exist_ok=True)
    for source in sources.iterdir():
        if source.is_file():
            shutil.copy(source, place)
    if mark.is_file() and mark.read_text() == wanted:
        return
    mark.unlink(missing_ok=True)
    result = harness.run(TOOLS / "npm", "ci", "--prefix", place, "--no-audit", "--no-fund",
                         env=path(), timeout=INSTALL_TIMEOUT_S)
    equal(result.code, 0, f"exit code of {result}")
    mark.write_text(wanted)


def path():
    """SDK_LOG=1 lets the SDK say what it does."""
    return {"PATH": f"{TOOLS}:/usr/bin:/bin", "SDK_LOG": os.environ.get("SDK_LOG", "")}


def node(name, *args):
    return [TOOLS / "node", PLACE / f"{name}.mjs", *args]


def run_tests(name):
    """All tests of a program pass, whatever the store."""
    install()
    with temporary_folder() as folder:
        for store in ("--store=memory", f"--data={folder}"):
            run_tests_on(name, store)


def run_tests_on(name, store):
    with Server(store, "--unknown-work=fail") as server:
        run_program(PLACE, name, store, server, server.address)


def run_program(place, name, store, server, address):
    """All its tests pass, and the server lives."""
    result = harness.run(TOOLS / "node", "--test-reporter=tap", place / f"{name}.mjs",
                         address, env=path(), timeout=PROGRAM_TIMEOUT_S)
    expect(not server.ended(), f"the server ended: {server.err[-3:]}")
    passed = re.findall(r"^ +ok \d+ - (.*)$", result.out, re.M)
    counts = {what: int(count) for what, count in
              re.findall(r"^# (\w+) (\d+)$", result.out, re.M)}
    failed = [found[0] for found in re.finditer(
        r"^( *)not ok .*\n(?s:.*?)^\1  \.\.\.\n", result.out, re.M)]
    expect(result.code == 0,
           f"{name}.mjs with {store}:\n{''.join(failed) or result.out}{result.err}")
    expect(counts["tests"] > 0 and counts["pass"] == counts["tests"],
           f"not all tests of {name}.mjs were run: {counts}")
    print(f"      {store}: {counts['pass']} tests")
    if store == "--store=memory":
        print("".join(f"        {sentence}\n" for sentence in passed), end="")


@check("A18.1 the SDK's hello, with no option set, runs to its end")
def _():
    install()
    with Server("--store=memory", listen=(), print_address=False):
        result = harness.run(*node("hello"), env=path())
    equal(result.code, 0, f"exit code of {result}")
    equal(result.out, '["Hello, Tokyo!","Hello, Seattle!","Hello, London!"]\n', "result")


@check("A18.2 activities: inputs, results, many at once, failures, retries")
def _():
    run_tests("activities")


@check("A18.3 time: timers, scheduled starts, deterministic time and ids")
def _():
    run_tests("time")


@check("A18.4 events, custom status, continue-as-new")
def _():
    run_tests("events")


@check("A18.5 children: results, failures, retries, ids, recursive ends")
def _():
    run_tests("children")


@check("A18.6 life: start, suspend, terminate, purge, restart, the same id again")
def _():
    run_tests("lifecycle")


@check("A18.7 queries and lists, filtered and paged")
def _():
    run_tests("queries")


@check("A18.8 several workers: shares, filters, versions, one that is killed")
def _():
    run_tests("workers")


@check("A18.9 a server is killed three times amid work of all kinds: all goes on to its end")
def _():
    install()
    deaths.outlives_its_server(lambda address: node("survivor", address), path(), PROGRESS)


@check("A18.10 entities: signals, calls, locks, states that come and go")
def _():
    run_tests("entities")


@check("A18.11 a server and the workers are killed three times amid operations on entities: "
       "each has its effect, once")
def _():
    install()
    deaths.outlives_both(lambda *args: node("bank", *args), path())


@check("A18.12 the example of entities prints what its README says, with the SDK it names")
def _():
    install()
    printed, commands = languages.accounts_example("In JavaScript")
    sdk, version = json.loads((SOURCES / "package.json").read_text())["dependencies"].popitem()
    contains(commands, f" {sdk}@{version}\nnode accounts.mjs 127.0.0.1:4001\n")
    copy_example()
    with Server("--store=memory") as server:
        result = harness.run(*node("accounts", server.address), env=path())
    equal((result.code, result.out), (0, printed), str(result))


def copy_example():
    for name in ("accounts.mjs", "credentials.cjs"):
        shutil.copy(languages.EXAMPLES / "node" / name, PLACE)


@check("A18.13 with TLS and a token the SDK's client and worker, its stream too, do the same")
def _():
    install()
    copy_example()
    printed, _ = languages.accounts_example("In JavaScript")
    with Secured() as server:
        result = harness.run(*node("accounts", server.address),
                             env={**path(), **server.environment})
    equal((result.code, result.out), (0, printed), str(result))


@check("A18.14 the token of client and worker is replaced, spoilt, and healed")
def _():
    install()
    copy_example()
    greeters.outlives_its_token(lambda address: node("greeter", address), path())


@check("A18.15 mutual TLS: client and worker are known by their certificate")
def _():
    install()
    copy_example()
    greeters.is_known_by_its_certificate(lambda address: node("greeter", address), path())
