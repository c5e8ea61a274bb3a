"""A13: `leasehold instances …` and `leasehold join`, a check or more a command."""

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import signal
import struct
import termios
import time

import harness
from grpc_calls import await_pins
from harness import (Program, Server, check, contains, equal, expect, leasehold,
                     wait_until)

ENDS = (signal.SIGINT, signal.SIGTERM)


def command(server, *args, output="json"):
    return leasehold(f"--address={server.address}", f"--output={output}", *args)


def instances(server, *args):
    """The rows of `leasehold instances …`, which succeeds."""
    result = command(server, "instances", *args)
    equal(result.code, 0, f"exit code of {result}")
    equal(result.err, "", f"standard error of {result}")
    return [json.loads(line) for line in result.out.splitlines()]


def instance(server, *args):
    (row,) = instances(server, *args)
    return row


def failed(result, code, *names):
    equal(result.code, harness.EXIT_CODES.get(code, 1), f"exit code of {result}")
    expect(re.fullmatch(rf"{code}: [^\n]+\n", result.err), f"{result}")
    equal(result.out, "", f"standard output of {result}")
    contains(result.err, *names)


def wrong_usage(*args, names=()):
    result = leasehold(*args)
    equal(result.code, 2, f"exit code of {result}")
    equal(result.out, "", f"standard output of {result}")
    equal(len(result.err.splitlines()), 1, f"lines of {result}")
    contains(result.err, "leasehold: ", *names)


class Streaming(Program):
    """A command that goes on: `with Streaming(server, "join", "room-1") as join`."""

    def __init__(self, server, *args, output="json", **options):
        super().__init__(harness.clients / "leasehold",
                         f"--address={server.address}", f"--output={output}", *args,
                         **options)

    @property
    def rows(self):
        return [json.loads(line) for line in self.out]

    def await_row(self, what, **wanted):
        """The first row with these members, once it is there."""
        def found():
            ended = self.ended()
            row = next((r for r in self.rows if all(
                r.get(name) == value for name, value in wanted.items())), None)
            expect(row or not ended, f"ended without {what}: {self.out} {self.err}")
            return row
        return wait_until(found, what)

    def await_sleep(self):
        """Waits until it has had nothing to do for a while: its call is under way."""
        threads = pathlib.Path(f"/proc/{self.pid}/task")

        def work():
            return [(thread.name, (thread / "stat").read_text().rsplit(")")[1].split()[0],
                     (thread / "schedstat").read_text()) for thread in threads.iterdir()]

        def sleeps():
            before = work()
            time.sleep(0.5)
            return before == work() and {state for _, state, _ in before} == {"S"}
        wait_until(sleeps, f"{self} to sleep")

    def ends_well(self, number):
        equal(self.end(number), 0, f"exit code after {number.name}: {self.err}")
        equal(self.err, [], "standard error")


class Terminal:
    """A command on a terminal of 12 rows and 160 columns."""

    def __init__(self, server, *args):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", 12, 160, 0, 0))
        os.set_blocking(self.master, False)
        self.program = Streaming(server, *args, output="table", stdin=self.slave,
                                 stdout=self.slave)
        self.shown = ""

    def __enter__(self):
        self.program.__enter__()
        os.close(self.slave)
        return self

    def __exit__(self, *_):
        self.program.__exit__()
        os.close(self.master)

    def screens(self):
        """What has been drawn so far, one string for each time."""
        with contextlib.suppress(BlockingIOError, OSError):
            while data := os.read(self.master, 1 << 16):
                # Colors are not looked at here.
                self.shown += re.sub(r"\x1b\[\d*m", "", data.decode())
        # Home begins a screen; clearing what is below ends it.
        return re.findall(r"\x1b\[H(.*?)\x1b\[J", self.shown, re.S)

    def await_screen(self, what, *wanted, without=()):
        """The latest screen, once it shows all of these."""
        def found():
            screens = self.screens()
            expect(self.program.process.poll() is None,
                   f"ended: {self.program.err} {self.shown!r}")
            last = screens[-1] if screens else ""
            return last if (all(re.search(w, last) for w in wanted) and
                            not any(re.search(w, last) for w in without)) else None
        return wait_until(found, what)


# ---- One answer -------------------------------------------------------------------

@check("A13.1 `create ID` makes an instance and shows it; again it renews it")
def _():
    with Server() as server:
        made = instance(server, "create", "room-1", "--idle-timeout=60s")
        equal((made["instance_id"], made["created"], made["state"], made["pins"],
               made["idle_timeout_ms"]), ("room-1", True, "IDLE", {}, 60000),
              f"{made}")
        expect(0 < made["lease_remaining_ms"] <= 60000, f"{made}")
        wait_until(lambda: instance(server, "get", "room-1")["lease_remaining_ms"]
                   < 59500, "the lease to run for a while")
        again = instance(server, "create", "room-1")
        equal((again["created"], again["generation"]), (False, made["generation"]),
              f"{again}")
        expect(again["lease_remaining_ms"] > 59500, f"not renewed: {again}")


@check("A13.2 `create` without an ID shows the one that the server made")
def _():
    with Server() as server:
        made = instance(server, "create")
        expect(harness.UUID.fullmatch(made["instance_id"]), f"no UUID: {made}")
        equal(instance(server, "get", made["instance_id"])["generation"],
              made["generation"], "generation")


@check("A13.3 `list` shows each instance; a prefix and a state choose")
def _():
    with Server() as server:
        equal(instances(server, "list"), [], "rows of an empty server")
        ids = [f"room-{i}" for i in range(3)] + ["hall-1"]
        for i in ids:
            instance(server, "create", i)
        equal(sorted(r["instance_id"] for r in instances(server, "list")),
              sorted(ids), "IDs")
        equal({r["instance_id"] for r in instances(server, "list", "--prefix=room-")},
              set(ids[:3]), "IDs with a prefix")
        with Streaming(server, "instances", "hold", "room-1") as hold:
            hold.await_row("the hold", instance_id="room-1")
            equal([r["instance_id"] for r in
                   instances(server, "list", "--state=busy")], ["room-1"], "busy ones")
            equal({r["instance_id"] for r in
                   instances(server, "list", "--state=IDLE", "--prefix=room")},
                  {"room-0", "room-2"}, "idle rooms")


@check("A13.4 `list` shows more than a page")
def _():
    with Server() as server:
        connection = server.connect()
        for i in range(2500):
            connection.echo(f"room-{i}")
        rows = instances(server, "list")
        equal(len(rows), 2500, "rows")
        equal(len({r["instance_id"] for r in rows}), 2500, "IDs")


@check("A13.5 `get` and `list` show the remaining lease, what holds it busy, its "
       "extensions")
def _():
    with Server() as server:
        command(server, "echo", "Apple", "--id=room-1")
        for args in (("get", "room-1"), ("list",)):
            row = instance(server, *args)
            equal((row["state"], row["pins"]), ("IDLE", {}), f"{row}")
            expect(0 < row["lease_remaining_ms"] <= 20000, f"{row}")
            expect(any("Echo" in e for e in row["extensions"]), f"{row}")
            expect(0 <= row["age_ms"] < 60000, f"{row}")
        with Streaming(server, "join", "room-1") as join, \
                Streaming(server, "instances", "hold", "room-1") as hold:
            join.await_row("the join", event="joined")
            hold.await_row("the hold", instance_id="room-1")
            for args in (("get", "room-1"), ("list",)):
                row = instance(server, *args)
                equal((row["state"], row["pins"], row["lease_remaining_ms"]),
                      ("BUSY", {"join": 1, "hold": 1}, None), f"{row}")
                text = command(server, "instances", *args, output="table").out
                heading, line = text.splitlines()
                contains(heading, "INSTANCE", "STATE", "LEASE", "PINS", "EXTENSIONS")
                contains(line, "room-1", "BUSY", "join 1", "hold 1", "EchoInstance")


@check("A13.6 `set-timeout` changes the idle timeout, within the server's bounds")
def _():
    with Server("--max-idle-timeout=1h") as server:
        instance(server, "create", "room-1")
        equal(instance(server, "set-timeout", "room-1", "1m30s")["idle_timeout_ms"],
              90000, "idle timeout")
        equal(instance(server, "set-timeout", "room-1", "9h")["idle_timeout_ms"],
              3600000, "idle timeout at the bound")
        equal(instance(server, "get", "room-1")["idle_timeout_ms"], 3600000,
              "idle timeout")


@check("A13.7 `release` closes an idle instance and shows what it was")
def _():
    with Server() as server:
        made = instance(server, "create", "room-1")
        was = instance(server, "release", "room-1")
        equal((was["generation"], was["state"]), (made["generation"], "IDLE"), "was")
        equal(instances(server, "list"), [], "rows")


@check("A13.8 `release` of a busy one fails; with --force it ends the calls that hold it: "
       "ABORTED")
def _():
    with Server() as server, \
            Streaming(server, "instances", "hold", "room-1") as hold, \
            Streaming(server, "join", "room-1") as join:
        hold.await_row("the hold", instance_id="room-1")
        join.await_row("the join", event="joined")
        failed(command(server, "instances", "release", "room-1"),
               "FAILED_PRECONDITION", "room-1", "busy", "force")
        was = instance(server, "release", "room-1", "--force")
        equal(was["pins"], {"hold": 1, "join": 1}, "pins")
        for each in (hold, join):
            equal(each.wait(), 1, "exit code")
            equal(len(each.err), 1, f"lines of {each.err}")
            contains(each.err[0], "ABORTED: ", "released by force")


@check("A13.9 an unknown ID: exit code 1, NOT_FOUND that names it; nothing is made")
def _():
    with Server() as server:
        for args in (("get", "room-1"), ("set-timeout", "room-1", "3s"),
                     ("release", "room-1"), ("release", "--force", "room-1"),
                     ("keep-alive", "room-1")):
            failed(command(server, "instances", *args), "NOT_FOUND", '"room-1"')
        equal(instances(server, "list"), [], "rows")


@check("A13.10 an invalid ID or server: exit code 1 and the call's status")
def _():
    commands = (("instances", "get", "ID"), ("instances", "create", "ID"),
                ("instances", "set-timeout", "ID", "3s"),
                ("instances", "release", "ID"), ("instances", "hold", "ID"),
                ("instances", "keep-alive", "ID"), ("join", "ID"))
    with Server() as server:
        for args in commands:
            named = ["x" * 1025 if a == "ID" else a for a in args]
            failed(command(server, *named), "INVALID_ARGUMENT", "1025", "1024")
    for args in (*commands, ("instances", "list"), ("instances", "watch")):
        result = leasehold(f"--address={server.address}", "--timeout=20s", *args)
        failed(result, "UNAVAILABLE", server.address)


@check("A13.11 IDs may be anything: not ASCII, with spaces, with a leading dash")
def _():
    with Server() as server:
        for name in ("zürich", "東京 1", "a,b", "-x", "--force"):
            instance(server, "create", "--", name)
            equal(instance(server, "get", "--", name)["instance_id"], name, "ID")
            with Streaming(server, "join", "--", name) as join:
                join.await_row("the join", event="joined", instance_id=name)
            await_pins(server, name, {})
            instance(server, "release", "--", name)
        equal(instances(server, "list"), [], "rows")


@check("A13.12 wrong usage: exit code 2 and one line that says what is right")
def _():
    wrong_usage("instances", names=("list", "get", "create", "watch", "keep-alive",
                                    "hold", "set-timeout", "release"))
    wrong_usage("instances", "show", names=('"show"', "list", "release"))
    for name in ("get", "hold", "keep-alive", "release", "set-timeout"):
        wrong_usage("instances", name, names=(name, "ID"))
        wrong_usage("instances", name, "", *(["3s"] if "set" in name else []),
                    names=("ID",))
    wrong_usage("join", names=("join", "ID"))
    wrong_usage("instances", "set-timeout", "room-1", names=("DURATION",))
    for bad in ("soon", "0s", "-3s", "20"):
        wrong_usage("instances", "set-timeout", "room-1", "--", bad,
                    names=(f'"{bad}"', "500ms"))
        for name in ("create", "hold"):
            wrong_usage("instances", name, "room-1", f"--idle-timeout={bad}",
                        names=("--idle-timeout", f'"{bad}"', "500ms"))
        wrong_usage("instances", "keep-alive", "room-1", f"--interval={bad}",
                    names=("--interval", f'"{bad}"', "500ms"))
    wrong_usage("instances", "list", "--state=sleepy",
                names=("sleepy", "opening, busy, idle or closing"))
    wrong_usage("instances", "list", "room-1", names=('"room-1"',))
    wrong_usage("instances", "get", "a", "b", names=('"b"',))
    wrong_usage("instances", "release", "a", "--forced", names=("--forced", "--force"))
    wrong_usage("join", "room-1", "--after=x", names=("--after", '"x"'))
    wrong_usage("join", "room-1", "--after=-1", names=("--after", '"-1"'))


@check("A13.13 --help shows each command and its options")
def _():
    for args, words in (
            (["--help"], ("instances", "join")),
            (["instances", "--help"], ("list", "get", "create", "watch", "keep-alive",
                                       "hold", "set-timeout", "release")),
            (["instances", "list", "--help"], ("--prefix", "--state", "busy|idle")),
            (["instances", "create", "--help"], ("ID", "--idle-timeout")),
            (["instances", "watch", "--help"], ("--prefix",)),
            (["instances", "keep-alive", "--help"], ("ID", "--interval")),
            (["instances", "hold", "--help"], ("ID", "--idle-timeout")),
            (["instances", "set-timeout", "--help"], ("ID", "DURATION")),
            (["instances", "release", "--help"], ("ID", "--force")),
            (["join", "--help"], ("ID", "--after"))):
        result = leasehold(*args)
        equal(result.code, 0, f"exit code of {result}")
        contains(result.out, *words)


# ---- Streams ------------------------------------------------------------------------

@check("A13.14 `hold` shows the instance and keeps it busy until it is interrupted: exit "
       "code 0")
def _():
    with Server("--idle-timeout=60s") as server:
        for number in ENDS:
            with Streaming(server, "instances", "hold", "room-1") as hold:
                row = hold.await_row("the hold", instance_id="room-1")
                equal((row["state"], row["pins"], row["created"]),
                      ("BUSY", {"hold": 1}, number == ENDS[0]), f"{row}")
                hold.ends_well(number)
                equal(len(hold.out), 1, "rows")
            equal(await_pins(server, "room-1", {})["state"], "IDLE", "state")


@check("A13.15 `keep-alive` renews the lease again and again, and shows what remains")
def _():
    with Server() as server, Streaming(server, "instances", "watch") as watch:
        watch.await_row("the snapshot", event="SNAPSHOT_DONE")
        generation = instance(server, "create", "room-1",
                              "--idle-timeout=5s")["generation"]
        for args in ((), ("--interval=100ms",)):
            with Streaming(server, "instances", "keep-alive", "room-1",
                           *args) as keep:
                wait_until(lambda: len(keep.out) >= 3, "three renewals")
                for row in keep.rows:
                    equal((row["instance_id"], row["generation"]),
                          ("room-1", generation), "row")
                    expect(4000 < row["lease_remaining_ms"] <= 5000, f"{row}")
                keep.ends_well(signal.SIGINT)
        wait_until(lambda: any(r["event"] == "CLOSED" for r in watch.rows),
                   "the lease to end, as nobody renews it")


@check("A13.16 `keep-alive` of an instance that goes ends with NOT_FOUND")
def _():
    with Server() as server:
        instance(server, "create", "room-1")
        with Streaming(server, "instances", "keep-alive", "room-1",
                       "--interval=50ms") as keep:
            keep.await_row("a renewal", instance_id="room-1")
            instance(server, "release", "room-1")
            equal(keep.wait(), 3, "exit code")
            contains(keep.err[0], "NOT_FOUND: ", "room-1")


@check("A13.17 `watch` tells what is there and what happens, one object a line")
def _():
    with Server() as server:
        instance(server, "create", "room-1")
        with Streaming(server, "instances", "watch") as watch, \
                Streaming(server, "instances", "watch", "--prefix=hall") as halls:
            for each in (watch, halls):
                each.await_row("the snapshot", event="SNAPSHOT_DONE")
            instance(server, "create", "hall-1")
            instance(server, "release", "hall-1")
            instance(server, "release", "room-1")

            def told(of, name):
                return [r["event"] for r in of.rows
                        if r.get("instance", {}).get("instance_id") == name]
            wait_until(lambda: "CLOSED" in told(watch, "room-1")
                       and "CLOSED" in told(halls, "hall-1"), "the last event")
            equal(told(watch, "room-1"), ["SNAPSHOT", "CLOSING", "CLOSED"], "room-1")
            for each in (watch, halls):
                equal(told(each, "hall-1"),
                      ["CREATED", "IDLE", "CLOSING", "CLOSED"], "hall-1")
            equal(told(halls, "room-1"), [], "what the prefix does not choose")
            closed = [r for r in watch.rows if r["event"] == "CLOSED"]
            equal({r["reason"] for r in closed}, {"released"}, "reasons")
            for each, number in zip((watch, halls), ENDS):
                each.ends_well(number)


@check("A13.18 `watch` shows only what is known of an instance, and shows it correctly: state, "
       "age")
def _():
    with Server() as server, Streaming(server, "instances", "watch") as watch:
        watch.await_row("the snapshot", event="SNAPSHOT_DONE")
        instance(server, "create", "room-1")
        instance(server, "release", "room-1")
        watch.await_row("the end", event="CLOSED")
        for row in watch.rows[1:]:
            told = row["instance"]
            expect(told.get("state") != "UNKNOWN", f"a state that is none: {row}")
            expect(told.get("age_ms", 0) < 3600_000, f"an age of ages: {row}")
            expect(not told.get("create_time", "").startswith("1970"), f"{row}")


@check("A13.19 `watch` into a pipe is a heading and a row an event")
def _():
    with Server() as server, \
            Streaming(server, "instances", "watch", output="table") as watch:
        contains(watch.await_line("out", "EVENT"), "GENERATION", "REASON", "INSTANCE")
        watch.await_line("out", "SNAPSHOT_DONE")
        instance(server, "create", "room-1")
        contains(watch.await_line("out", "CREATED"), "room-1")
        instance(server, "release", "room-1")
        contains(watch.await_line("out", "CLOSED"), "room-1", "released")
        expect("\x1b" not in "".join(watch.out), "draws into a pipe")


@check("A13.20 `watch` on a terminal redraws one screen: what is there now, and the last "
       "event")
def _():
    with Server("--idle-timeout=60s") as server, \
            Terminal(server, "instances", "watch") as screen:
        screen.await_screen("an empty screen", r"^0 instances")
        instance(server, "create", "room-1")
        screen.await_screen("the new one", r"1 instance\b", r"\nroom-1 .*1m")
        with Streaming(server, "instances", "hold", "room-1") as hold:
            hold.await_row("the hold", instance_id="room-1")
            screen.await_screen("the busy one", r"BUSY room-1", r"\nroom-1 +BUSY +-")
        idle = screen.await_screen("the idle one", r"\nroom-1 +IDLE +\d+\.?\d*s")
        # Though nothing happens, the lease runs.
        lease = re.search(r"IDLE +(\S+)", idle).group(1)
        screen.await_screen("the lease to run", r"\nroom-1 +IDLE",
                            without=[rf"IDLE +{re.escape(lease)} "])
        instance(server, "release", "room-1")
        screen.await_screen("that it is gone", r"^0 instances",
                            r"CLOSED room-1 \(released\)", without=[r"\nroom-1 "])
        equal(screen.program.end(signal.SIGINT), 0, "exit code")


@check("A13.21 `watch` on a terminal shows an instance correctly after each event: state, "
       "pins, age")
def _():
    with Server("--idle-timeout=60s") as server, \
            Terminal(server, "instances", "watch") as screen:
        screen.await_screen("an empty screen", r"^0 instances")
        instance(server, "create", "room-1")
        screen.await_screen("the idle one", r"IDLE room-1",
                            r"\nroom-1 +IDLE +\S+s .* \d{16} +(0|[\d.]+m?s) ")
        with Streaming(server, "instances", "hold", "room-1") as hold:
            hold.await_row("the hold", instance_id="room-1")
            screen.await_screen("its pin", r"\nroom-1 +BUSY +- .*hold 1")


@check("A13.22 `watch` on a terminal fits into it, however many there are")
def _():
    with Server() as server:
        connection = server.connect()
        for i in range(50):
            connection.echo(f"room-{i:02}")
        with Terminal(server, "instances", "watch") as screen:
            shown = screen.await_screen("all of them", r"50 instances, 1 to \d+ of them")
            expect(shown.count("\n") < 12, f"more than 12 rows: {shown!r}")
            contains(shown, "room-00")


@check("A13.23 `join` shows each echo of the room, whoever sent it")
def _():
    with Server() as server, Streaming(server, "join", "room-1") as join, \
            Streaming(server, "join", "room-1", output="table") as text:
        row = join.await_row("the join", event="joined")
        equal((row["instance_id"], row["sequence"]), ("room-1", 0), f"{row}")
        text.await_line("out", "Joined room-1")
        odd = "Äpfel 🍎\n\t\"'"
        for said in ("Apple", odd, ""):
            equal(command(server, "echo", said, "--id=room-1").code, 0, "exit code")
        join.await_row("the last echo", event="echo", sequence=3)
        equal([(r["sequence"], r["text"]) for r in join.rows[1:]],
              [(1, "Apple"), (2, odd), (3, "")], "echoes")
        equal({r["generation"] for r in join.rows}, {row["generation"]},
              "generations")
        contains(text.await_line("out", "Apple"), "1 ")
        for each, number in zip((join, text), ENDS):
            each.ends_well(number)


@check("A13.24 `join --after` begins where it is told to")
def _():
    with Server() as server:
        with Streaming(server, "join", "room-1") as join:
            join.await_row("the join", event="joined")
            command(server, "echo", "Apple", "--id=room-1", "--repeat=5")
            join.await_row("the last echo", sequence=5, event="echo")
        for after, wanted in ((0, [1, 2, 3, 4, 5]), (3, [4, 5])):
            with Streaming(server, "join", "room-1", f"--after={after}") as join:
                join.await_row("the last echo", sequence=5, event="echo")
                equal([r["sequence"] for r in join.rows if r["event"] == "echo"],
                      wanted, f"echoes after {after}")


@check("A13.25 a command that streams ends with exit code 0 when its output is closed")
def _():
    with Server("--idle-timeout=60s") as server:
        instance(server, "create", "room-1")
        for args in (("instances", "watch"), ("instances", "hold", "room-1"),
                     ("instances", "keep-alive", "room-1"), ("join", "room-1")):
            with Streaming(server, *args) as stream:
                wait_until(lambda: stream.out, f"the first line of {args}")
                with Program("/bin/bash", "-c", "set -o pipefail; exec 3>&1; "
                             '"$@" | head -n 1', "bash", *stream.args) as piped:
                    equal(piped.wait(), 0, f"exit code of {args}")
                    equal(piped.err, [], "standard error")


@check("A13.26 every command that streams reconnects to a server that ends or is killed, says "
       "so, and continues when it is back")
def _():
    for number in (signal.SIGTERM, signal.SIGKILL):
        with Server("--idle-timeout=60s") as server, \
                contextlib.ExitStack() as stack:
            address = server.address
            instance(server, "create", "room-2")
            streams = [stack.enter_context(Streaming(server, *args)) for args in (
                ("instances", "watch"), ("instances", "hold", "room-1"),
                ("join", "room-1"))]
            keeper = stack.enter_context(
                Streaming(server, "instances", "keep-alive", "room-2"))
            for stream in (*streams, keeper):
                wait_until(lambda: stream.out, f"the first line of {stream.args}")
            server.end(number)
            for stream in (*streams, keeper):
                contains(stream.await_line("err", "connection lost, reconnecting: "),
                         "UNAVAILABLE: ")
            with Server("--idle-timeout=60s", listen=(address,)):
                for stream in streams:
                    stream.await_line("err", "reconnected")
                    equal(stream.end(signal.SIGINT), 0, f"exit code: {stream.err}")
                # It keeps alive what is there, and makes nothing.
                equal(keeper.wait(), 3, f"exit code: {keeper.err}")
                contains(keeper.err[-1], "NOT_FOUND: ", "room-2")


@check("A13.27 `demo` holds the instance with each channel: both closings, then the lease "
       "starts")
def _():
    with Server("--console") as server:
        result = leasehold(f"--address={server.address}", "demo", "--fast")
        equal(result.code, 0, f"exit code of {result}")
        said = re.findall(
            r"Channel \d (?:opened|closed|still holds)|Lease \w+|hold \d", result.out)
        equal(said, ["Channel 1 opened", "Channel 2 opened", "hold 2",
                     "Channel 1 closed", "Channel 2 still holds", "hold 1",
                     "Channel 2 closed", "Lease started", "Lease expired",
                     "Channel 3 opened"], "what the demo says")
        story = [line.split("  ")[0].strip() for line in server.out]
        first = story[:story.index("context removed")]
        equal([e for e in first if e.startswith(("context", "lease"))],
              ["context created", "lease started", "lease expired"],
              "what the server saw")
