"""A15: clients that other languages' own tools generate, all in one room.

The programs are those of client/examples, built and run by the very commands of its
README. LEASEHOLD_LANGUAGES says which languages: `./dev test` takes Python and Node,
`./dev test --all` all four.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import time

import harness
from grpc_calls import get, listed, pins
from harness import Program, Server, check, contains, equal, expect, wait_until
from secured import Secured

EXAMPLES = harness.ROOT / "client/examples"
PROTO = harness.ROOT / "proto"
TREE = harness.ROOT / "build/interop"
NAMES = ("Python", "Node", "Go", "Java")
BUILD_TIMEOUT_S = 900
LONG = 99  # More echoes than will come: who waits for them stays in the room.


def languages():
    chosen = os.environ.get("LEASEHOLD_LANGUAGES", "Python Node").split()
    for name in chosen:
        expect(name in NAMES, f"LEASEHOLD_LANGUAGES: no language {name!r}; "
                              f"there are {' '.join(NAMES)}")
    return chosen


def need(language):
    """Ends the check, as one that was not run, if the language is not chosen."""
    if language not in languages():
        raise harness.NotRun(f"{language} is not chosen (LEASEHOLD_LANGUAGES)")


def commands(language):
    """(how to build it, how to run it), as the README says."""
    readme = (EXAMPLES / "README.md").read_text()
    block = re.search(rf"^## {language}\n.*?^```sh\n(.*?)^```$", readme, re.M | re.S)
    expect(block, f"the README of client/examples has no commands for {language}")
    lines = block[1].splitlines()
    return "\n".join(lines[:-1]), lines[-1]


def accounts_example(heading):
    """(what the README says that the example of entities prints, its commands)"""
    text = (EXAMPLES / "README.md").read_text().split("## Entities, with ")[1]
    commands = re.search(rf"^### {heading}\n.*?^```sh\n(.*?)^```$", text, re.M | re.S)
    expect(commands, f"the README of client/examples has no commands {heading}")
    return re.search(r"^```\n(.*?)^```$", text, re.M | re.S)[1], commands[1]


def installed(*folders):
    """The one that `./dev` has installed: Debian 12 and 13 have other versions."""
    return next((folder for folder in folders if os.path.exists(folder)), folders[0])


def environment():
    tools = harness.ROOT / "build/tools"
    java = installed(*(f"/usr/lib/jvm/java-{version}-openjdk-amd64" for version in (17, 21)))
    path = [tools / "node/bin", installed("/usr/lib/go-1.19/bin", "/usr/lib/go-1.24/bin"),
            f"{java}/bin", "/usr/bin", "/bin"]
    return {"PATH": ":".join(map(str, path)),
            "JAVA_HOME": java,
            "MAVEN_OPTS": f"-Dmaven.repo.local={TREE}/maven",
            "GOPATH": f"{TREE}/gopath", "GOCACHE": f"{TREE}/gocache",
            "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}


def stamp(language):
    """Changes with whatever the program is built from."""
    digest = hashlib.sha256(repr(commands(language)).encode())
    for folder in (EXAMPLES / language.lower(), PROTO):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                digest.update(repr((str(path), path.read_bytes())).encode())
    return digest.hexdigest()


def folder(language):
    return TREE / "client/examples" / language.lower()


def build(language):
    """Builds in a copy, so that nothing is generated among the sources."""
    place, mark = folder(language), TREE / f"{language}.stamp"
    wanted = stamp(language)
    if mark.is_file() and mark.read_text() == wanted:
        return
    mark.unlink(missing_ok=True)
    for source, copy in ((EXAMPLES / language.lower(), place),
                         (PROTO, TREE / "proto")):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(source, copy)
    result = harness.run(
        "/bin/bash", "-euo", "pipefail", "-c", f"cd {place}\n{commands(language)[0]}",
        env=environment(), timeout=BUILD_TIMEOUT_S)
    equal(result.code, 0, f"exit code of {result}")
    mark.write_text(wanted)


def room(language, address, room_id, echoes, extra=None):
    """The program, in a room. `extra`: more of its environment."""
    line = commands(language)[1]
    said = f'127.0.0.1:4001 room-1 "Hello from {language}" 1'
    contains(line, said)
    line = line.replace(said, f'{address} {room_id} "Hello from {language}" {echoes}')
    return Program("/bin/bash", "-c", f"cd {folder(language)} && exec {line}",
                   env={**environment(), **(extra or {})})


def heard(program):
    """(sequence, text) of each echo that a program of ours heard, in order."""
    return [(int(n), text) for n, text in
            re.findall(r"^heard (\d+): (.*)$", "\n".join(program.out), re.M)]


def holds(program):
    """The generation that a program of ours holds."""
    return int(program.await_line("out", "holds ").rsplit(" ", 1)[1])


@check("A15.1 each program builds by the commands of its README")
def _():
    for language in languages():
        start = time.monotonic()
        build(language)
        print(f"      {language} ({time.monotonic() - start:.0f} s)")


@check("A15.2 alone in a room it says what the README says")
def _():
    readme = (EXAMPLES / "README.md").read_text()
    wanted = re.search(r"^```\n(holds .*?)^```$", readme, re.M | re.S)[1]
    generation = re.search(r"generation (\d+)", wanted)[1]
    with Server("--idle-timeout=50ms") as server:
        for language in languages():
            with room(language, server.address, "room-1", 1) as program:
                equal(program.wait(), 0, f"exit code; standard error: {program.err}")
                equal(program.out,
                      wanted.replace(generation, str(holds(program)))
                      .replace("Python", language).splitlines(), f"{language} said")


@check("A15.3 all languages, the C++ client and grpcurl share one room")
def _():
    chosen = languages()
    everyone = len(chosen) + 2
    with Server("--idle-timeout=50ms") as server, contextlib.ExitStack() as stack:
        programs = [stack.enter_context(room(name, server.address, "tower", everyone))
                    for name in chosen]
        generations = {holds(program) for program in programs}
        # They hold the room, so the others meet them whenever they come.
        spoken = harness.leasehold(f"--address={server.address}", "echo",
                                   "Hello from C++", "--id=tower", "--output=json")
        equal(spoken.code, 0, f"exit code of {spoken}")
        generations.add(json.loads(spoken.out)["generation"])
        curl = harness.grpcurl("-H", "instance-id: tower", "-d",
                               '{"text":"Hello from grpcurl"}', server.address,
                               "leasehold.v1.Echo/Echo")
        equal(curl.code, 0, f"exit code of {curl}")
        generations.add(int(json.loads(curl.out)["generation"]))
        for program in programs:
            equal(program.wait(), 0, f"exit code; standard error: {program.err}")
            contains(program.out[-1], "gone tower: idle")
        equal(len(generations), 1, f"how many generations they met: {generations}")

        rooms = [heard(program) for program in programs]
        for other in rooms[1:]:
            equal(other, rooms[0], "what one heard, and another")
        equal([n for n, _ in rooms[0]], list(range(1, everyone + 1)), "sequences")
        equal({text.removeprefix("Hello from ") for _, text in rooms[0]},
              {*chosen, "C++", "grpcurl"}, "who was heard")


@check("A15.4 a program that is killed holds nothing; the lease goes")
def _():
    with Server("--idle-timeout=50ms") as server:
        for language in languages():
            with room(language, server.address, "killed", LONG) as program:
                program.await_line("out", "heard 1: ")
                equal(pins(get(server, "killed")), {"hold": 1, "join": 1},
                      f"pins of {language}")
                program.end(signal.SIGKILL)
                wait_until(lambda: not listed(server),
                           f"the lease of {language}'s room to end")


@check("A15.5 a server that ends is an error that says so")
def _():
    for language in languages():
        with Server() as server, \
                room(language, server.address, "ending", LONG) as program:
            program.await_line("out", "heard 1: ")
            equal(server.end(), 0, "exit code of the server")
            expect(program.wait() != 0, f"{language} took the end for success")
            said = "\n".join(program.err)
            expect(re.search("unavailable", said, re.I), f"{language} said {said!r}")


@check("A15.6 a server that is not there is an error that says so")
def _():
    for language in languages():
        with room(language, "127.0.0.1:1", "nobody", 1) as program:
            expect(program.wait() != 0, f"{language} took nobody for a server")
            said = "\n".join(program.err)
            expect(re.search("unavailable", said, re.I), f"{language} said {said!r}")


@check("A15.7 with TLS and a token they do the same; without the token they are refused")
def _():
    with Secured("--idle-timeout=50ms") as server:
        for language in languages():
            with room(language, server.address, f"room-{language}", 1,
                      server.environment) as program:
                equal(program.wait(), 0, f"exit code; standard error: {program.err}")
                contains(program.out[-1], "gone room-")
            with room(language, server.address, "room-1", 1,
                      {"LEASEHOLD_CA": server.ca}) as program:
                expect(program.wait() != 0, f"{language} came in without a token")
                said = "\n".join(program.err)
                expect(re.search("unauthenticated", said, re.I), f"{language} said {said!r}")
