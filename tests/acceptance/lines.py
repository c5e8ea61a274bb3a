"""A6: what the server prints: --console and the log."""

import json
import pathlib
import re
import signal
import subprocess

import harness
from harness import Server, check, contains, equal, expect, leasehold
from raw_http2 import Connection, bin_value, echo_request, frame

BOUNDS_OFF = "flood_bounds_off"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def start(server, name, *flags):
    """Runs an orchestration to its end."""
    return leasehold(f"--address={server.address}", "orchestration", "start", name,
                     "--wait", *flags)


def story(server, instance_id):
    """What the console says of one instance, without the ID."""
    return [re.sub(r" +", " ", line.replace(f'"{instance_id}"', "")).strip()
            for line in server.out if f'"{instance_id}"' in line]


@check("A6.1 --console tells the life of an instance, a line an event, in order")
def _():
    with Server("--console", "--idle-timeout=3s") as server:
        # An answer begins the lease; the next call comes before it ends.
        connection = server.connect()
        generation = connection.echo("room-1").generation
        connection.echo("room-1")
        server.await_line("out", "context removed")
        equal(story(server, "room-1"), [
            'operation request Echo "Apple"',
            "ID found",
            f"context created generation {generation}, idle timeout 3s",
            'operation response Echo "Apple"',
            "lease started 3s",
            'operation request Echo "Apple"',
            "ID found",
            "lease stopped",
            'operation response Echo "Apple"',
            "lease started 3s",
            "lease expired",
            f"context removed generation {generation}, idle"], "console")


@check("A6.2 --console says when a use stops the lease, and its end starts it again")
def _():
    with Server("--console") as server:
        connection = server.connect()
        for _ in range(2):
            connection.echo("room-1")
        server.end()
        lines = [x for x in story(server, "room-1") if x.startswith("lease")]
        equal(lines, ["lease started 20s", "lease stopped", "lease started 20s"],
              "console")


@check("A6.3 --console tells an ID that was found from one that was generated")
def _():
    with Server("--console") as server:
        answer = server.connect().echo()
        line = server.await_line("out", "ID generated")
        contains(line, f'"{answer.instance_id}"')
        server.connect().echo("room-1")
        contains(server.await_line("out", "ID found"), '"room-1"')


@check("A6.4 --console shows at the end which instances were closed by it")
def _():
    with Server("--console") as server:
        for i in range(3):
            server.connect().echo(f"room-{i}")
        equal(server.end(), 0, "exit code")
        for i in range(3):
            contains(story(server, f"room-{i}")[-1], "context removed", "shutdown")


@check("A6.5 --console keeps an event on its line, whatever ID and text hold")
def _():
    with Server("--console") as server:
        nasty = 'a\x1b[2J\n"b"\r' + "x" * 500
        server.connect().call(
            [("instance-id-bin", bin_value('"\u202e\\'.encode()))],
            frame(echo_request(nasty)))
        server.end()
        for line in server.out:
            expect(line.startswith("address=") or re.match(
                r"(operation re|ID |context |lease |worker )", line), f"{line!r}")
            expect(all(ord(c) >= 0x20 for c in line), f"{line!r}")
            expect(len(line) < 200, f"{line!r}")


@check("A6.6 without --console standard output holds the addresses alone")
def _():
    with Server() as server:
        server.connect().echo("room-1")
        server.end()
        equal([x for x in server.out if not x.startswith("address=")], [], "output")


@check("A6.7 the log is text: time, severity, event, then name=value")
def _():
    with Server("--idle-timeout=50ms", "--builtin=off", "--log-level=debug") as server:
        server.connect().echo("room-1")
        server.await_line("err", "context_removed")
        server.end()
        for line in server.err:
            expect(re.fullmatch(TIME + r" [A-Z]+ [a-z_0-9]+( [a-z_]+=.*)?", line),
                   f"{line!r}")
        events = [line.split()[2] for line in server.err]
        if BOUNDS_OFF in events:  # So it is where gRPC is a shared library.
            events.remove(BOUNDS_OFF)
        equal(events, ["listening", "store_open", "memory_limit", "context_created",
                       "context_removed", "draining", "store_closed", "stopped"], "events")


@check("A6.8 --log-format=json writes JSON, an object a line")
def _():
    with Server("--log-format=json", "--idle-timeout=50ms",
                "--log-level=debug") as server:
        generation = server.connect().echo("room-1").generation
        server.await_line("err", "context_removed")
        server.end()
        lines = [json.loads(line) for line in server.err]
        for line in lines:
            expect(re.fullmatch(TIME, line["time"]), f"time of {line}")
            equal(line["severity"],
                  "WARNING" if line["event"] == BOUNDS_OFF else
                  "DEBUG" if line["event"].startswith("context_") else "INFO",
                  f"severity of {line}")
        created = next(x for x in lines if x["event"] == "context_created")
        equal((created["instance_id"], created["generation"]),
              ("room-1", generation), "context_created")
        removed = next(x for x in lines if x["event"] == "context_removed")
        equal(removed["reason"], "idle", "reason")


@check("A6.9 --log-format=json stays JSON for any ID")
def _():
    with Server("--log-format=json", "--log-level=debug") as server:
        names = ['"', "\\", "{}", "zürich", "\u2028", "🍎", '\\"', "a b"]
        for name in names:
            server.connect().echo(
                headers=[("instance-id-bin", bin_value(name.encode()))])
        server.end()
        logged = [json.loads(line).get("instance_id") for line in server.err]
        for name in names:
            expect(name in logged, f"{name!r} not in {logged}")


@check("A6.10 --log-format=json stays JSON when gRPC and Protobuf have complaints")
def _():
    with Server("--log-format=json") as server:
        server.connect().call(data=frame(b"\x0a\x02\xff\xfe"))  # Not UTF-8.
        server.connect().call(content_type="text/plain")
        server.lives()
        server.end()
        for line in server.err:
            try:
                json.loads(line)
            except ValueError:
                expect(False, f"no JSON: {line!r}")


@check("A6.11 a reader that stops reading delays neither calls nor the end")
def _():
    # Nobody reads this server's standard output: its pipe fills.
    with harness.temporary_folder() as folder:
        where = f"unix:{folder}/x.sock"
        process = subprocess.Popen(
            [harness.programs / "leasehold-server", "--console", f"--listen={where}"],
            env=harness.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            preexec_fn=harness.die_with_parent)
        try:
            def connected():
                try:
                    return Connection(where)
                except OSError:
                    return None
            connection = harness.wait_until(connected, "the server")
            for i in range(1000):
                equal(connection.echo("room-1").sequence, i + 1, "sequence")
            connection.close()
            process.terminate()
            equal(process.wait(harness.PATIENCE_S), 0, "exit code")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


@check("A6.12 contexts and orchestrations that come and go are no lines at info")
def _():
    with Server("--idle-timeout=50ms") as server:
        server.connect().echo("room-1")
        equal(start(server, "Ping", "--id=a").code, 0, "exit code")
        server.end()
        loud = [line for line in server.err if re.search(
            " (context|orchestration)_[a-z]+ ", line)]
        equal(loud, [], "lines")


@check("A6.13 with --log-level=debug there is a line for each of them")
def _():
    with Server("--log-level=debug") as server:
        equal(start(server, "Ping", "--id=a").code, 0, "exit code")
        contains(server.await_line("err", "orchestration_started"),
                 "DEBUG", "instance_id=a", "name=Ping")
        contains(server.await_line("err", "orchestration_ended"),
                 "DEBUG", "instance_id=a", "name=Ping", "status=Completed")


@check("A6.14 an orchestration that fails is a warning with the reason's first line")
def _():
    with Server() as server:
        run = start(server, "EchoSequence", '--id=a "b" c', "--input={}")
        expect(run.code != 0, f"it failed: {run}")
        line = server.await_line("err", "orchestration_failed")
        contains(line, "WARNING", r'instance_id="a \"b\" c"', "name=EchoSequence",
                 "reason=")
        expect(len(line) < 600, line)


@check("A6.15 the level changes while the server runs: config file, then SIGHUP")
def _():
    with harness.temporary_folder() as folder:
        config = pathlib.Path(folder, "leasehold.conf")
        config.write_text("log-level = info\n")
        with Server(f"--config={config}", "--idle-timeout=50ms") as server:
            server.connect().echo("quiet")
            config.write_text("log-level = debug\n")
            server.process.send_signal(signal.SIGHUP)
            contains(server.await_line("err", "config_read"), "log_level=debug")
            server.connect().echo("loud")
            server.await_line("err", "context_removed")
            config.write_text("log-level = shout\nmax-contexts = 7\n")
            server.process.send_signal(signal.SIGHUP)
            contains(server.await_line("err", "config_kept"), "must be debug, info")
            config.write_text("log-level = warning\nmax-contexts = 7\n")
            server.process.send_signal(signal.SIGHUP)
            contains(server.await_line("err", "config_needs_restart"),
                     "settings=max-contexts")
            server.lives()
            server.end()
            rooms = [line for line in server.err
                     if re.search("context_created.*(quiet|loud)", line)]
            equal(len(rooms), 1, f"lines of {rooms}")
            contains(rooms[0], "instance_id=loud")
