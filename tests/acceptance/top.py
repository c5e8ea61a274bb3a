"""A58: `leasehold top`: on a terminal, for programs, and what it leaves behind."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import harness
from grpc_calls import OpenCall, call
from harness import (PATIENCE_S, Failed, Server, check, contains, equal, expect, leasehold,
                     wait_until)
from policies import Guarded

ECHO = "leasehold.v1.Echo/Echo"
OTHER_SCREEN, OWN_SCREEN = "\x1b[?1049h", "\x1b[?1049l"


def top(server, *flags, **options):
    return leasehold("top", f"--address={server.address}", *flags, **options)


class Terminal:
    """`leasehold top` on a terminal of that size."""

    def __init__(self, server, *flags, rows=30, columns=100):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [str(harness.clients / "leasehold"), "top", f"--address={server.address}", *flags],
            stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
            env=harness.environment())
        self.text = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds=0.1):
        if select.select([self.master], [], [], seconds)[0]:
            self.text += os.read(self.master, 65536).decode(errors="replace")

    def await_text(self, text, since=0):
        end = time.monotonic() + PATIENCE_S
        while text not in self.text[since:]:
            expect(time.monotonic() < end, f"waited for {text!r} in {self.text[-2000:]!r}")
            self.read()

    def type(self, keys):
        os.write(self.master, keys.encode())

    def end(self):
        """Its exit code; everything that it has shown is read."""
        end = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            if time.monotonic() > end:
                raise Failed("leasehold top does not end")
            self.read()
        self.read()
        return self.process.returncode

    def frames(self):
        """The screens, as lines."""
        drawn = re.split(r"\x1b\[\?7l\x1b\[H", self.text)[1:]
        return [[re.sub(r"\x1b\[[?0-9]*[a-zA-Z]", "", line).rstrip("\r")
                 for line in frame.split("\x1b[J")[0].split("\n")[:-1]] for frame in drawn]


@check("A58.1 on a terminal it refreshes each second, shows what happens, and q ends it")
def _():
    with Server("--store=memory", "--idle-timeout=1h") as server, Terminal(server) as shown:
        shown.await_text("0 open, 0 closing")
        contains(shown.text, OTHER_SCREEN, "the whole server")
        equal(call(server, ECHO, {"text": "x"}, ["instance-id: room-1"]).code, "OK")
        shown.await_text("1 open, 0 closing")
        shown.await_text("room-1")
        with OpenCall(server, "leasehold.v1.Instances/Hold", [{"instance_id": "h"}]) as held:
            held.await_messages(1)
            shown.await_text("hold 1")
        began = time.monotonic()
        since = len(shown.text)
        for _ in range(3):
            shown.await_text("calls ", since)
            since = shown.text.index("calls ", since) + 1
        expect(time.monotonic() - began > 1.5, "it refreshes once a second")
        # Nothing is cleared between two screens: they do not flicker.
        equal(shown.text.count("\x1b[2J"), 1, "times that the screen was cleared")
        shown.type("xyq")
        equal(shown.end(), 0, "exit code")


@check("A58.2 the terminal is as it was before: after q, Ctrl-C, SIGTERM, and a server that is gone")
def _():
    for how in ("q", "\x03", signal.SIGTERM):
        with Server("--store=memory") as server, Terminal(server) as shown:
            shown.await_text("calls ")
            changed = termios.tcgetattr(shown.slave)
            expect(not changed[3] & termios.ECHO, "keys are not shown")
            if how == "\x03":
                # The line discipline sends it to the foreground group, which is ours only
                # with a controlling terminal.
                os.killpg(shown.process.pid, signal.SIGINT)
            elif how == "q":
                shown.type(how)
            else:
                shown.process.send_signal(how)
            equal(shown.end(), 0, f"exit code after {how!r}")
            equal(termios.tcgetattr(shown.slave), shown.before, f"terminal after {how!r}")
            expect(shown.text.rstrip().endswith("\x1b[?25h" + OWN_SCREEN),
                   f"the end after {how!r}: {shown.text[-100:]!r}")
    with Server("--store=memory") as server, Terminal(server) as shown:
        shown.await_text("calls ")
        server.end(signal.SIGKILL)
        shown.await_text("no news: UNAVAILABLE")
        shown.type("q")
        equal(shown.end(), 0, "exit code without a server")
        equal(termios.tcgetattr(shown.slave), shown.before, "terminal")


@check("A58.3 no line is wider than the terminal, whatever its size, also when it changes")
def _():
    with Server("--store=memory", "--idle-timeout=1h") as server:
        for i in range(30):
            equal(call(server, ECHO, {"text": "x"},
                       [f"instance-id: a-rather-long-name-of-a-room-{i}"]).code, "OK")
        with Terminal(server, rows=12, columns=30) as shown:
            shown.await_text("calls ")
            shown.await_text("calls ", shown.text.index("calls ") + 1)
            for frame in shown.frames()[:-1]:
                equal(len(frame), 11, f"lines of {frame}")
                expect(all(len(line) <= 30 for line in frame), f"{frame}")
            shown.resize(40, 120)
            shown.await_text("GENERATION")
            shown.type("q")
            equal(shown.end(), 0, "exit code")
            expect(any(len(frame) > 20 for frame in shown.frames()), "more lines")


@check("A58.4 --once, and without a terminal, it shows everything once, without escapes")
def _():
    with Server("--store=memory", "--idle-timeout=1h") as server:
        equal(call(server, ECHO, {"text": "x"}, ["instance-id: room-1"]).code, "OK")
        for flags in ((), ("--once",)):
            shown = top(server, *flags)
            equal((shown.code, shown.err), (0, ""), f"{shown}")
            expect("\x1b" not in shown.out, f"escapes in {shown.out!r}")
            for part in ("calls ", "contexts ", "1 open", "orchestrations ", "workers ",
                         "commits ", "process ", "leases that end next", "room-1"):
                contains(shown.out, part)
            expect(re.search(r"^calls +\d+\.\d/s", shown.out, re.M), f"rate in {shown.out}")


@check("A58.5 --output=json has every number of /metrics, what it is a second, and the leases")
def _():
    with Server("--store=memory", "--idle-timeout=1h", "--http-listen=127.0.0.1:0") as server:
        for i in range(12):
            equal(call(server, ECHO, {"text": "x"}, [f"instance-id: r-{i:02}"]).code, "OK")
        shown = top(server, "--once", "--output=json")
        equal(shown.code, 0, f"exit code of {shown}")
        [line] = shown.out.splitlines()
        told = json.loads(line)
        equal(told["whole_server"], True, "whole_server")
        numbers = {metric["name"]: metric for metric in told["metrics"]}
        from metrics import scrape
        missing = set(scrape(server)) - set(numbers)
        equal(missing, set(), "metrics that are missing")
        expect(isinstance(numbers["leasehold_calls_total"]["per_second"], (int, float)),
               "calls a second")
        equal(numbers["leasehold_leases"]["per_second"], None, "a gauge has no rate")
        contexts = {s["labels"]["state"]: s["value"]
                    for s in numbers["leasehold_contexts"]["samples"]}
        equal(contexts, {"open": 12, "closing": 0}, "contexts")
        leases = told["leases_ending"]
        equal(len(leases), 10, "leases")
        remaining = [lease["lease_remaining_ms"] for lease in leases]
        equal(remaining, sorted(remaining), "order of leases")

        # Without --once a line a second, until its reader is gone.
        reader = subprocess.Popen(
            [str(harness.clients / "leasehold"), "top", f"--address={server.address}",
             "--output=json"], stdout=subprocess.PIPE, text=True, env=harness.environment())
        try:
            for _ in range(2):
                json.loads(reader.stdout.readline())
            reader.stdout.close()
            equal(reader.wait(PATIENCE_S), 0, "exit code once nobody reads")
        finally:
            reader.kill()
            reader.wait()


@check("A58.6 a server that cannot be reached is an error at once, and so is a missing role")
def _():
    shown = leasehold("top", "--address=127.0.0.1:1", "--once")
    equal(shown.code, 4, f"exit code of {shown}")
    equal(shown.out, "", "output")
    contains(shown.err, "UNAVAILABLE")
    with Guarded(eye="acme: viewer", hand="acme: worker", other="globex: user") as server:
        for name in ("eye", "hand"):
            path = os.path.join(server.folder, name)
            with open(path, "w", encoding="ascii") as file:
                file.write(server.tokens[name])
        shown = top(server, "--once", f"--token-file={server.folder}/hand")
        equal(shown.code, 1, f"exit code of {shown}")
        contains(shown.err, "PERMISSION_DENIED")
        # A viewer sees its tenant, and nothing of another one's instances or numbers.
        equal(server.as_("other").code(ECHO, [("instance-id", "theirs")]), "OK")
        shown = top(server, "--once", f"--token-file={server.folder}/eye")
        equal(shown.code, 0, f"exit code of {shown}")
        contains(shown.out, "your tenant", "0 open")
        for absent in ("theirs", "process", "globex"):
            expect(absent not in shown.out, f"{absent!r} in {shown.out!r}")


@check("A58.7 it takes up again when the server is back, and counts from there")
def _():
    with Server("--store=memory") as server:
        address = server.address
        with Terminal(server) as shown:
            shown.await_text("calls ")
            server.end(signal.SIGTERM)
            shown.await_text("no news: ")
            with Server("--store=memory", listen=(address,)) as back:
                since = len(shown.text)
                shown.await_text("calls ", since)
                wait_until(lambda: (shown.read(), "no news" not in shown.text[
                    shown.text.rindex("\x1b[H"):])[1] and "process" in shown.text[
                        shown.text.rindex("\x1b[H"):], "news")
                equal(call(back, ECHO, {"text": "x"}, ["instance-id: a"]).code, "OK")
                shown.await_text("1 open, 0 closing", since)
            shown.type("q")
            equal(shown.end(), 0, "exit code")
