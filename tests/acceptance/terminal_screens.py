"""A64: what a person at a terminal sees: lines that fit, wide letters, colors, bounds,
screens that scroll and sort, errors and help."""

import contextlib
import json
import re
import signal

import harness
from grpc_calls import OpenCall, call
from harness import (Server, check, contains, equal, expect, leasehold, run,
                     temporary_folder)
from pseudo_terminal import OnTerminal, shown

ECHO = "leasehold.v1.Echo/Echo"
WIDTHS = (80, 100, 160)
LONG = "a-very-long-name-of-an-instance/" * 9 + "that-ends-here"
IDS = (LONG, "\u623f\u95f4\u4e00-\u4f1a\u8bae\u5ba4", "\U0001F680-\u2705-launch", "plain-1")


@contextlib.contextmanager
def crowd():
    """A server with an instance and an orchestration of each ID."""
    with Server("--store=memory", "--idle-timeout=1h") as server:
        for id in IDS:
            equal(call(server, ECHO, {"text": "x"}, [f"instance-id-bin: {in_base64(id)}"]).code,
                  "OK")
            equal(at(server, "orchestration", "start", "Counter", f"--id=of-{id}",
                     "--input=0").code, 0)
        yield server


def in_base64(text):
    import base64
    return base64.b64encode(text.encode()).decode()


def at(server, *args, **kwargs):
    return leasehold(f"--address={server.address}", *args, **kwargs)


def seen(server, *args, **kwargs):
    return shown(f"--address={server.address}", *args, **kwargs)


def fits(screen, what):
    equal([screen.lines()[row] for row in screen.wrapped], [], f"lines of {what} that wrap")


def aligned(screen, name, words, first=0):
    """Below the heading each row has one of `words` in the column `name`."""
    column = screen.column_of(first, name)
    expect(column >= 0, f"no {name} in {screen.lines()[first]!r}")
    rows = 0
    for row, line in enumerate(screen.lines()):
        if row <= first or not line or not any(word in line for word in words):
            continue
        found = {screen.column_of(row, word) for word in words}
        expect(column in found, f"{name} is in column {column}, not in {found}: {line!r}")
        rows += 1
    return rows


@check("A64.1 lists of instances and orchestrations fit into 80, 100 and 160 columns, and their "
       "columns stand below each other, with long IDs, Chinese and emoji")
def _():
    with crowd() as server:
        for columns in WIDTHS:
            for command, name, words in (
                    (("instances", "list"), "STATE", ("IDLE", "BUSY")),
                    (("orchestration", "list"), "STATUS", ("RUNNING",)),
                    (("orch", "list", "--last=3"), "STATUS", ("RUNNING",))):
                screen = seen(server, *command, columns=columns)
                fits(screen, command)
                expect(aligned(screen, name, words) >= 3, f"rows of {screen.text()}")
                contains(screen.text(), "\u623f\u95f4\u4e00-\u4f1a\u8bae\u5ba4",
                         "\U0001F680-\u2705-launch")
            # Of a long ID both ends are there, and nothing is lost with --wide.
            screen = seen(server, "instances", "list", columns=columns)
            expect(re.search("^a-very.*\u2026.*-here ", screen.text(), re.M), screen.text())
            equal(screen.lines()[-2], "--wide shows whole lines")
            contains(seen(server, "instances", "list", "--wide", columns=5000).text(), LONG)


@check("A64.2 whatever else is shown as a table fits, too")
def _():
    with crowd() as server:
        for columns in WIDTHS:
            for command in (
                    ("instances", "get", LONG), ("instances", "create", LONG),
                    ("instances", "set-timeout", LONG, "30m"),
                    ("echo", "\u6c34\u679c" * 100, f"--id={LONG}", "--channels=2"),
                    ("orchestration", "history", f"of-{LONG}"),
                    ("orchestration", "ensure", "Counter", f"--id=e-{columns}"),
                    ("orchestration", "restart", f"of-{LONG}", "--new-id"),
                    ("entity", "list", "--stateless"), ("workers",), ("context", "show"),
                    ("top", "--once")):
                fits(seen(server, *command, columns=columns), command)
            # Details of one thing are whole, on as many rows as they need.
            lines = seen(server, "orchestration", "status", f"of-{LONG}",
                         columns=1000).lines()
            contains("\n".join(lines), f"Instance       of-{LONG}")
            expect(re.search(r"^Created        \S+Z \((now|\d+\w ago)\)$", "\n".join(lines),
                             re.M), f"{lines}")


@check("A64.3 times are relative on a terminal; in pipes, in JSON and with --wide they are whole")
def _():
    with crowd() as server:
        whole = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
        expect(re.search(r" (now|\d+[sm] ago) ", seen(server, "orch", "list").text()), "relative")
        for args in (("--wide",),):
            expect(re.search(whole, seen(server, "orch", "list", *args, columns=2000).text()),
                   "whole times")
        expect(re.search(whole, at(server, "orch", "list").out), "whole times in a pipe")
        for line in at(server, "orch", "list", "--output=json").out.splitlines():
            state = json.loads(line)
            expect(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z",
                                state["create_time"]), f"{state}")


@check("A64.4 states have colors on a terminal; NO_COLOR, a dumb terminal, pipes and "
       "--color=never have none; --color=always is always")
def _():
    with crowd() as server:
        def colors(screen):
            return {color for color in screen.colors.values() if color}
        equal(colors(seen(server, "orch", "list")), {"36"}, "colors of RUNNING")
        at(server, "orch", "terminate", "of-plain-1", "--force")
        equal(colors(seen(server, "orch", "list")), {"33", "36"}, "and of TERMINATED")
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            equal(colors(seen(server, "orch", "list", env=env)), set(), f"with {env}")
        equal(colors(seen(server, "orch", "list", "--color=never")), set(), "with never")
        equal(colors(seen(server, "orch", "list", "--output=json", "--color=always")), set(),
              "in JSON")
        expect("\x1b" not in at(server, "orch", "list").out, "colors in a pipe")
        contains(at(server, "orch", "list", "--color=always").out, "\x1b[36mRUNNING\x1b[0m")


@check("A64.5 lists on a terminal show the newest 20 first, say what is left out, and take the "
       "same filters")
def _():
    with Server("--store=memory", "--idle-timeout=1h") as server:
        connection = server.connect()
        for i in range(30):
            connection.echo(f"room-{i:02}")
            at(server, "orch", "start", "Counter", f"--id=c-{i:02}", "--input=0",
               f"--tag=half={i % 2}")
        lines = seen(server, "instances", "list", "--prefix=room", columns=160).lines()
        contains(lines[1], "room-29")
        contains(lines[20], "room-10")
        equal(lines[21], "20 of 30 instances, the newest first; --all shows all of them")
        lines = seen(server, "orch", "list", columns=160).lines()
        contains(lines[1], "c-29")
        equal(lines[21], "20 of 30 orchestrations, the newest first; --all shows all of them")
        lines = seen(server, "orch", "list", "--tag=half=1", "--last=5", columns=160).lines()
        contains(lines[5], "c-21")
        equal(lines[6], "5 of 15 orchestrations, the newest first; --all shows all of them")
        equal(len(seen(server, "orch", "list", "--all").lines()), 32, "lines of all")
        # A program has them all, in the order of their starts.
        listed = at(server, "orch", "list").out.splitlines()
        equal((len(listed), listed[1].split()[0]), (31, "c-00"), "in a pipe")


@check("A64.6 `instances watch` has the alternate screen, scrolls, sorts, filters, and gives the "
       "terminal back")
def _():
    with Server("--store=memory", "--idle-timeout=1h") as server:
        connection = server.connect()
        for i in range(40):
            connection.echo(f"room-{i}")
        for columns in WIDTHS:
            with OnTerminal(f"--address={server.address}", "instances", "watch",
                            "--prefix=room", columns=columns, rows=15) as terminal:
                def first(screen):
                    return screen.lines()[3].split()[0] if len(screen.lines()) > 3 else ""
                screen = terminal.await_screen("all", lambda s: "40 instances, 1 to 10"
                                               in s.text() and first(s) == "room-0")
                expect(screen.alternate, "it is on the alternate screen")
                fits(screen, "the screen")
                aligned(screen, "STATE", ("IDLE",), first=2)
                terminal.type("\x1b[6~")
                terminal.await_screen("page 2", lambda s: first(s) == "room-10")
                terminal.type("\x1b[B")
                terminal.await_screen("a row down", lambda s: first(s) == "room-11")
                terminal.type("G")
                terminal.await_screen("the end", lambda s: first(s) == "room-30")
                terminal.type("gs")
                terminal.await_screen("by age", lambda s: first(s) == "room-39"
                                      and "s sorts (by age)" in s.text())
                terminal.type("q")
                equal(terminal.end(), 0, "exit code")
                expect(terminal.written().rstrip().endswith("\x1b[?1049l"), "its end")
        with OpenCall(server, "leasehold.v1.Instances/Hold", [{"instance_id": "held"}]) as held, \
                OnTerminal(f"--address={server.address}", "instances", "watch",
                           "--state=busy") as terminal:
            held.await_messages(1)
            terminal.await_screen("the busy one", lambda s: s.lines()[0] == "1 instance"
                                  and "held " in s.text())


@check("A64.7 `instances watch` waits for a server that restarts, and says so on its screen")
def _():
    with Server("--store=memory", "--idle-timeout=1h") as server:
        address = server.address
        server.connect().echo("before")
        with OnTerminal(f"--address={address}", "instances", "watch", columns=100) as terminal:
            terminal.await_screen("it", lambda s: "before" in s.text())
            server.end(signal.SIGTERM)
            terminal.await_screen("the loss", lambda s: "connection lost, reconnecting: "
                                  in s.text())
            with Server("--store=memory", "--idle-timeout=1h", listen=(address,)) as back:
                back.connect().echo("after")
                screen = terminal.await_screen(
                    "the new one", lambda s: "after" in s.text() and "connection lost" not in s.text())
                expect("before" not in screen.text(), "what is gone is gone")
                terminal.type("q")
                equal(terminal.end(), 0, "exit code")


@check("A64.8 `top` scrolls and sorts its leases, and takes the filter of `list`")
def _():
    with Server("--store=memory", "--idle-timeout=1h") as server:
        connection = server.connect()
        for i in range(40):
            connection.echo(f"room-{i}")
        connection.echo("other")
        for columns in WIDTHS:
            with OnTerminal(f"--address={server.address}", "top", "--prefix=room", "--sort=id",
                            columns=columns, rows=30) as terminal:
                screen = terminal.await_screen(
                    "the leases", lambda s: "leases by id, 1 to " in s.text()
                    and "\nroom-0 " in s.text())
                fits(screen, "the screen")
                expect("other" not in screen.text(), "one that does not match")
                terminal.type("G")
                terminal.await_screen("the end", lambda s: " to 40 of 40" in s.text()
                                      and "\nroom-39 " in s.text()
                                      and "\nroom-0 " not in s.text())
                terminal.type("gs")
                terminal.await_screen("by age", lambda s: "leases by age, 1 to " in s.text())
                terminal.type("q")
                equal(terminal.end(), 0, "exit code")


@check("A64.9 errors speak as the command line does, and exit codes tell what is missing")
def _():
    with Server("--store=memory") as server:
        at(server, "orch", "ensure", "Counter", "--id=a", "--input=0")
        taken = at(server, "orch", "start", "Counter", "--id=a")
        equal(taken.code, 1, f"{taken}")
        contains(taken.err, "--if-active=attach", "--if-active=terminate", "is RUNNING")
        expect("if_active" not in taken.err, f"a field: {taken}")
        equal(at(server, "orch", "status", "b").code, 3, "not found")
        at(server, "orch", "terminate", "a", "--force")
        found = at(server, "orch", "ensure", "Counter", "--id=a")
        equal(found.code, 0, f"{found}")
        contains(found.out, "It has ended: it is TERMINATED. --if-finished=replace starts a new "
                 "one in its place.\n")
        told = json.loads(at(server, "orch", "ensure", "Counter", "--id=a",
                             "--output=json").out)
        equal((told["created"], told["status"]), (False, "TERMINATED"), "for a script")
        address = server.address
    gone = leasehold(f"--address={address}", "orch", "list")
    equal(gone.code, 4, f"{gone}")
    equal(gone.err, f"UNAVAILABLE: cannot reach a Leasehold server at {address} (connection "
          "refused); is leasehold-server running?\n")


@check("A64.10 payloads are JSON in JSON; --raw has them as strings")
def _():
    with Server("--store=memory") as server:
        at(server, "orch", "ensure", "Counter", "--id=a", "--input=7")
        at(server, "orch", "wait", "a", "--started")
        equal(json.loads(at(server, "orch", "status", "a", "--output=json").out)["input"], 7)
        equal(json.loads(at(server, "orch", "status", "a", "--output=json", "--raw").out)["input"],
              "7")
        started = [json.loads(line) for line in
                   at(server, "orch", "history", "a", "--output=json").out.splitlines()
                   if "execution_started" in line]
        equal((started[0]["input"], started[0]["turn"]), (7, 1), "in a history")


@check("A64.11 both programs tell of an unknown variable; the server's `config` prints what is in "
       "force and where it comes from")
def _():
    told = leasehold("context", "show", env={"LEASEHOLD_ADRESS": "x"})
    equal(told.code, 0, f"{told}")
    equal(told.err, "leasehold: nothing reads the environment variable LEASEHOLD_ADRESS; is it "
          "LEASEHOLD_ADDRESS?\n")
    with Server("--store=memory", env={"LEASEHOLD_IDEL_TIMEOUT": "5s"}) as server:
        contains(server.await_line("err", "unknown_variable"), "LEASEHOLD_IDEL_TIMEOUT",
                 "LEASEHOLD_IDLE_TIMEOUT")
    with temporary_folder() as folder:
        with open(f"{folder}/conf", "w", encoding="utf-8") as file:
            file.write('# ours\nmax-contexts = 5\nidle-timeout = "9s"\n')
        config = run(harness.programs / "leasehold-server", "config", "--max-deliveries=3",
                     f"--config={folder}/conf", "--data=/x",
                     env={"LEASEHOLD_OPEN_TIMEOUT": "7s", "LEASEHOLD_OVERLOAD_DELAY": "",
                          "LEASEHOLD_IDEL_TIMEOUT": "1s"})
        equal(config.code, 0, f"{config}")
        rows = {line.split()[0]: line.split(None, 2)[1:] for line in config.out.splitlines()}
        equal(rows["SETTING"], ["VALUE", "FROM"], "heading")
        equal(rows["max-deliveries"], ["3", "--max-deliveries"], "of a flag")
        equal(rows["open-timeout"], ["7s", "LEASEHOLD_OPEN_TIMEOUT"], "of the environment")
        equal(rows["max-contexts"], ["5", f"{folder}/conf, line 2"], "of the file")
        equal(rows["idle-timeout"], ["9s", f"{folder}/conf, line 3"], "of the file")
        equal(rows["user-threads"], ["4", "default"], "of nobody")
        contains(config.err, "LEASEHOLD_IDEL_TIMEOUT", "is it LEASEHOLD_IDLE_TIMEOUT?")
        wrong = run(harness.programs / "leasehold-server", "config", "--max-deliveries=none")
        equal((wrong.code, wrong.out), (2, ""), f"{wrong}")
