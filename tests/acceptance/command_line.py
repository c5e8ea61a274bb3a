"""A8: the command line, `leasehold`."""

import json
import re
import socket

import harness
from harness import (Server, check, contains, equal, expect, leasehold,
                     temporary_folder)


def rows(result):
    equal(result.code, 0, f"exit code of {result}")
    return [json.loads(line) for line in result.out.splitlines()]


def echo(server, *args, **kwargs):
    return leasehold(f"--address={server.address}", "--output=json", "echo", *args,
                     **kwargs)


def wrong_usage(*args, names=(), env=None):
    result = leasehold(*args, env=env)
    equal(result.code, 2, f"exit code of {result}")
    equal(result.out, "", f"standard output of {result}")
    equal(len(result.err.splitlines()), 1, f"lines of {result}")
    contains(result.err, "leasehold: ", *names)


def call_failed(result, code):
    equal(result.code, harness.EXIT_CODES.get(code, 1), f"exit code of {result}")
    expect(re.fullmatch(rf"{code}: [^\n]+\n", result.err), f"{result}")


@check("A8.1 `echo TEXT` shows who answered; without --id the server makes an ID")
def _():
    with Server() as server:
        (row,) = rows(echo(server, "Apple"))
        equal(row["text"], "Apple", "text")
        expect(harness.UUID.fullmatch(row["instance_id"]), f"no UUID: {row}")
        equal((row["sequence"], row["created"]), (1, True), "sequence and created")


@check("A8.2 `--id` names the instance, across runs")
def _():
    with Server() as server:
        found = [rows(echo(server, "Apple", "--id=room-1"))[0] for _ in range(3)]
        equal([r["sequence"] for r in found], [1, 2, 3], "sequences")
        equal([r["created"] for r in found], [True, False, False], "created")
        equal({r["instance_id"] for r in found}, {"room-1"}, "IDs")


@check("A8.3 `--id` takes any ID, in ASCII or not")
def _():
    with Server() as server:
        for name in ("zürich", "a,b", "東京 1", "@Counter@a"):
            found = rows(echo(server, "Apple", f"--id={name}", "--repeat=2"))
            equal([r["sequence"] for r in found], [1, 2], f"sequences of {name}")


@check("A8.4 `--channels` and `--repeat`: all calls meet in one instance, also with an ID that "
       "the server made")
def _():
    with Server() as server:
        for more in ([], ["--id=room-1"]):
            found = rows(echo(server, "Apple", "--channels=3", "--repeat=4", *more))
            equal([r["sequence"] for r in found], list(range(1, 13)), "sequences")
            equal([r["channel"] for r in found], [1, 2, 3] * 4, "channels")
            equal(len({(r["instance_id"], r["generation"]) for r in found}), 1,
                  "instances")


@check("A8.5 `--idle-timeout` is requested, and the lease ends after it")
def _():
    with Server("--console") as server:
        rows(echo(server, "Apple", "--id=room-1", "--idle-timeout=250ms"))
        contains(server.await_line("out", "context created"), "idle timeout 250ms")
        server.await_line("out", "context removed")


@check("A8.6 `--expect=new|existing` fails with exit code 1 if the expectation does not hold")
def _():
    with Server() as server:
        call_failed(echo(server, "Apple", "--id=room-1", "--expect=existing"),
                    "NOT_FOUND")
        rows(echo(server, "Apple", "--id=room-1", "--expect=new"))
        call_failed(echo(server, "Apple", "--id=room-1", "--expect=new"),
                    "ALREADY_EXISTS")
        rows(echo(server, "Apple", "--id=room-1", "--expect=existing"))


@check("A8.7 `--output=table` is a heading and a row a call; it is the default")
def _():
    with Server() as server:
        args = ("echo", "Apple", "--id=room-1", "--repeat=2")
        for flags in ([], ["--output=table"]):
            result = leasehold(f"--address={server.address}", *flags, *args)
            equal(result.code, 0, f"exit code of {result}")
            heading, *lines = result.out.splitlines()
            contains(heading, "SEQUENCE", "GENERATION", "INSTANCE", "TEXT")
            equal(len(lines), 2, "rows")
            contains(lines[0], "room-1", "Apple")


@check("A8.8 a call that fails: exit code 1, `CODE: message` on standard error")
def _():
    with Server() as server:
        call_failed(echo(server, "Apple", "--id=" + "x" * 1025), "INVALID_ARGUMENT")
        address = server.address
    result = leasehold(f"--address={address}", "echo", "Apple")
    call_failed(result, "UNAVAILABLE")


@check("A8.9 `--timeout` bounds a call: DEADLINE_EXCEEDED, or UNAVAILABLE without a connection")
def _():
    with socket.socket() as silent:  # Takes the connection and says nothing.
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        result = leasehold(f"--address={address}", "--timeout=300ms", "echo", "Apple")
        found = re.match(r"(DEADLINE_EXCEEDED|UNAVAILABLE): ", result.err)
        expect(found, f"{result}")
        equal(result.code, harness.EXIT_CODES.get(found[1], 1), f"exit code of {result}")


@check("A8.10 wrong usage: exit code 2 and one line that says what is right")
def _():
    wrong_usage(names=("echo", "demo"))
    wrong_usage("shout", names=("shout", "echo", "demo"))
    wrong_usage("echo", names=("TEXT",))
    wrong_usage("echo", "a", "b", names=("b",))
    wrong_usage("echo", "a", "--idd=x", names=("--idd", "--id"))
    wrong_usage("--output=xml", "echo", "a", names=("xml", "table or json"))
    wrong_usage("--timeout=soon", "echo", "a", names=("soon", "500ms"))
    wrong_usage("--address=nowhere", "echo", "a", names=("nowhere",))
    wrong_usage("echo", "a", "--channels=0", names=("--channels", "1 to"))
    wrong_usage("echo", "a", "--repeat=many", names=("--repeat", "many"))
    wrong_usage("echo", "a", "--id=", names=("--id",))
    wrong_usage("echo", "a", "--expect=maybe", names=("maybe", "new or existing"))
    wrong_usage("echo", "a", "--idle-timeout=0", names=("--idle-timeout",))
    wrong_usage("demo", "--slow", names=("--slow", "--fast"))


@check("A8.11 --address, --output and --timeout come from the environment, too")
def _():
    with Server() as server:
        env = {"LEASEHOLD_ADDRESS": server.address, "LEASEHOLD_OUTPUT": "json",
               "LEASEHOLD_TIMEOUT": "10s"}
        equal(rows(leasehold("echo", "Apple", env=env))[0]["sequence"], 1, "sequence")
        wrong_usage("echo", "a", env={"LEASEHOLD_TIMEOUT": "soon"},
                    names=("LEASEHOLD_TIMEOUT", "soon"))
        result = leasehold("--output=table", "echo", "Apple", env=env)
        contains(result.out, "SEQUENCE")


@check("A8.12 --config names a file with options, those of a command under its name")
def _():
    with Server() as server, temporary_folder() as folder:
        path = f"{folder}/cli.conf"
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'address = "{server.address}"\noutput = "json"\n'
                       "[echo]\nrepeat = 3\n")
        equal(len(rows(leasehold(f"--config={path}", "echo", "Apple"))), 3, "rows")
        wrong_usage(f"--config={folder}/none", "echo", "a", names=(f"{folder}/none",))


@check("A8.13 --help shows the options with defaults, of each command too")
def _():
    for args, words in (
            (("--help",), ("--address", "localhost:4001", "--output", "table",
                           "--timeout", "30s", "echo", "demo")),
            (("echo", "--help"), ("--id", "--channels", "--repeat", "--idle-timeout",
                                  "--expect", "=1")),
            (("demo", "--help"), ("--fast", "20s"))):
        result = leasehold(*args)
        equal(result.code, 0, f"exit code of {result}")
        contains(result.out, *words)


@check("A8.14 `demo --fast` walks the sample: two channels, one instance, then a new one; "
       "then a singleton from its start to its purge")
def _():
    with Server("--console") as server:
        result = leasehold(f"--address={server.address}", "demo", "--fast")
        equal(result.code, 0, f"exit code of {result}")
        found = re.findall(r"Service returned: (\w+)\s+\(sequence (\d+), generation "
                           r"(\d+)\)", result.out)
        equal([(t, s) for t, s, _ in found],
              [("Apple", "1"), ("Apple", "2"), ("Apple", "1")], "answers")
        generations = [int(g) for _, _, g in found]
        expect(generations[0] == generations[1] < generations[2], f"{generations}")
        contains(result.out, "Channel 1 opened", "Channel 2 opened",
                 "Channel 1 closed", "Channel 2 closed", "Channel 3 opened",
                 "of 1s left")
        singleton = re.search(r"Singleton ID: (\S+)", result.out).group(1)
        equal(result.out.count(f"Creating singleton instance with ID = {singleton}\n"), 1,
              "told that it was created")
        contains(result.out, "Ensured again: it is there", 'operation {"add":3}',
                 'operation {"add":-1}', "The counter reads 2.", "COMPLETED, output 2",
                 f'ALREADY_EXISTS: orchestration "{singleton}" is Completed', "Purged")
        equal(server.out.count(f"Creating singleton instance with ID = {singleton}"), 1,
              "on the console")
        events = [line.split("  ")[0].strip() for line in server.out
                  if singleton not in line]
        equal([e for e in events if e in ("context created", "lease expired",
                                          "context removed")],
              ["context created", "lease expired", "context removed",
               "context created"], "what the server saw")


@check("A8.15 `demo` in JSON prints the three answers alone")
def _():
    with Server() as server:
        found = rows(leasehold(f"--address={server.address}", "--output=json", "demo",
                               "--fast"))
        equal([r["sequence"] for r in found], [1, 2, 1], "sequences")
        equal([r["channel"] for r in found], [1, 2, 3], "channels")


@check("A8.16 `demo` without a server: exit code 4, UNAVAILABLE")
def _():
    with Server() as server:
        address = server.address
    result = leasehold(f"--address={address}", "demo", "--fast")
    equal(result.code, 4, f"exit code of {result}")
    contains(result.err, "UNAVAILABLE: cannot reach a Leasehold server at ", address,
             "(connection refused); is leasehold-server running?")


@check("A8.17 options stand before or after the command")
def _():
    with Server() as server:
        found = rows(leasehold("echo", "Apple", "--output=json",
                               f"--address={server.address}", "--timeout=10s"))
        equal(found[0]["text"], "Apple", "text")


@check("A8.18 text: empty, not ASCII, of several lines, and one that looks like an option")
def _():
    with Server() as server:
        for text in ("", "Äpfel 🍎", "a\nb\t\"c\""):
            equal(rows(echo(server, text))[0]["text"], text, "text")
        equal(rows(echo(server, "--", "--id=x"))[0]["text"], "--id=x", "text")
