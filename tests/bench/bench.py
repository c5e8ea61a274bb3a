#!/usr/bin/env python3
"""Measures, prints a table, and compares with the last run.

usage: bench.py --programs=FOLDER [--rounds=N] [--seconds=S] [--against=FOLDER]
                [SECTION]...

  bench.py --programs=build/release/bin                 everything
  bench.py --programs=build/release/bin instructions    one section
  bench.py --programs=build/release/bin --against=../before/build/release/bin against
                                                        two builds of the server

README.md says what the sections measure, how long they take, and which of them are not
in "everything". Each figure is measured in N rounds (default 10), those that are
compared with each other in turn within each round, and given as the median with the
least and the greatest. Results go to build/bench/<time>.json; "before" in the table is
the last run's median.

On a busy machine trust instructions and CPU a call; calls per second and latencies say
as much about the neighbours.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests/acceptance"), str(ROOT / "tests/interop")]

import harness  # noqa: E402

if os.path.realpath(sys.prefix) != os.path.realpath(harness.PYTHON.parent.parent):
    # The packages that the rest needs are there.
    os.execv(harness.PYTHON, [str(harness.PYTHON), "-B", *sys.argv])

import bench_against as ba  # noqa: E402
import bench_lists  # noqa: E402
import bench_orchestrations as bo  # noqa: E402
import bench_overload  # noqa: E402
import bench_viewers  # noqa: E402
import bench_process  # noqa: E402
from bench_process import PATIENCE_S, Server, program  # noqa: E402

RESULTS = ROOT / "build/bench"
SERVERS = ("leasehold", "bare", "tuned bare")
ALONE = "without its built-in worker"
GUARDED = "with a policy and a token"
IN_FLIGHT = (1, 16, 128)
SHORT_CALLS, LONG_CALLS = 2000, 6000  # The first 1,000 make the contexts.


# ---- Servers and load -------------------------------------------------------

def server_command(name, address):
    if name in ("leasehold", ALONE, GUARDED):
        return [program("leasehold-server"), "--print-address",
                f"--listen={address}", "--idle-timeout=1h", "--store=memory",
                # As by default, but on a slow machine.
                "--overload-delay=1h",
                f"--builtin={'off' if name == ALONE else 'on'}"]
    if name == "bare":  # As the distribution has it: shared libraries, no switch.
        return [program("bench_bare_echo_shared"), address]
    return [program("bench_bare_echo"), address, "--tuned"]  # As ours is.


class EchoServer(Server):
    """A server of echoes, perhaps under a tool such as valgrind."""

    def __init__(self, name, transport="tcp", tool=()):
        self.folder = tempfile.TemporaryDirectory(prefix="lh-", dir="/tmp")
        address = ("127.0.0.1:0" if transport == "tcp"
                   else f"unix:{self.folder.name}/socket")
        self.token = None
        guard = self.guard() if name == GUARDED else []
        super().__init__(*tool, *server_command(name, address), *guard)
        if transport != "tcp":  # It is said with or without the scheme.
            self.address = address

    def guard(self):
        """Makes a policy of a hundred identities, and the token of one."""
        policy = pathlib.Path(self.folder.name) / "policy.json"
        policy.write_text(json.dumps({
            "identities": {f"who-{i}": {"roles": ["user"]} for i in range(100)},
            "token_file": "tokens"}))
        made = subprocess.run(
            [program("leasehold-server"), "token", "new", f"--policy={policy}",
             "--identity=who-42"], capture_output=True, text=True, check=True)
        self.token = made.stdout.strip()
        return [f"--policy={policy}"]

    def __exit__(self, *_):
        super().__exit__()
        self.folder.cleanup()


def load(server, kind, in_flight, calls=0, seconds=0):
    """What bench_load says of a load, {name: number}."""
    done = subprocess.run(
        [str(x) for x in (program("bench_load"), server.address, kind, in_flight,
                          calls, seconds)],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        env={**os.environ, **({"BENCH_AUTHORIZATION": f"Bearer {server.token}"}
                              if server.token else {})})
    if done.returncode != 0:
        raise SystemExit(f"bench: {done.stderr}")
    return {name: float(value)
            for name, value in re.findall(r"(\w+)=([\d.]+)", done.stdout)}


# ---- Sections: each yields (figure, unit, value), round by round ------------

def instructions(rounds, _):
    """Instructions a unary call, 16 in flight, as callgrind counts them."""
    tool = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
    for _ in range(min(rounds, 3)):  # They repeat.
        for name in SERVERS:
            counted = []
            for calls in (SHORT_CALLS, LONG_CALLS):
                with EchoServer(name, tool=tool) as server:
                    load(server, "unary", 16, calls=calls)
                    said = server.end()
                counted.append(int(re.search(r"Collected : (\d+)", said)[1]))
            yield (f"{name}: unary, 16 in flight", "instructions/call",
                   (counted[1] - counted[0]) / (LONG_CALLS - SHORT_CALLS))


def calls(kind, transports):
    def section(rounds, seconds):
        with contextlib.ExitStack() as stack:
            servers = {(name, transport): stack.enter_context(EchoServer(name, transport))
                       for name in SERVERS for transport in transports}
            for server in servers.values():  # Contexts are made, caches warm.
                load(server, kind, 16, calls=5000)
            for _ in range(rounds):
                for transport in transports:
                    for in_flight in IN_FLIGHT:
                        for name in SERVERS:
                            server = servers[name, transport]
                            before = server.cpu_s()
                            found = load(server, kind, in_flight, seconds=seconds)
                            cpu = server.cpu_s() - before
                            cell = f"{name}: {kind}, {transport}, {in_flight} in flight"
                            yield cell, "us CPU/call", cpu / found["calls"] * 1e6
                            yield cell, "calls/s", found["calls"] / found["seconds"]
                            for p in ("p50", "p99", "p999"):
                                yield cell, f"{p} us", found[p]
    return section


def beside(other):
    """What each unary call costs, and what it costs `other`."""
    return lambda rounds, _: side_by_side(("leasehold", other), rounds)


def side_by_side(names, rounds):
    tool = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
    for name in names:
        counted = []
        for calls in (SHORT_CALLS, LONG_CALLS):
            with EchoServer(name, tool=tool) as server:
                load(server, "unary", 16, calls=calls)
                counted.append(int(re.search(r"Collected : (\d+)", server.end())[1]))
        yield (f"{name}: unary, 16 in flight", "instructions/call",
               (counted[1] - counted[0]) / (LONG_CALLS - SHORT_CALLS))
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(EchoServer(name)) for name in names}
        for server in servers.values():
            load(server, "unary", 16, calls=5000)
        for _ in range(rounds):
            for name, server in servers.items():
                cpu, switches = server.cpu_s(), server.context_switches()
                load(server, "unary", 16, calls=20_000)
                cell = f"{name}: unary, 16 in flight"
                yield cell, "us CPU/call", (server.cpu_s() - cpu) / 20_000 * 1e6
                yield (cell, "context switches/call",
                       (server.context_switches() - switches) / 20_000)


def google(name):
    def section(rounds, _):
        # A process a round: memory that one has given back would be used again.
        for _ in range(rounds):
            with tempfile.NamedTemporaryFile(suffix=".json") as out:
                subprocess.run(
                    [str(program("bench_instance")), f"--benchmark_filter={name}",
                     f"--benchmark_out={out.name}", "--benchmark_min_time=0.2"],
                    check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                runs = json.loads(pathlib.Path(out.name).read_text())["benchmarks"]
            for run in runs:
                figure = re.sub("/iterations:1|/real_time|/[0-9]{7,8}$", "", run["name"])
                counters = [c for c in ("bytes_per_context", "open_ms", "close_ms")
                            if c in run]
                for counter in counters:
                    yield figure, counter.replace("_", " "), run[counter]
                if not counters:
                    yield figure, run["time_unit"], run["real_time"]
    return section


def lateness(rounds, _):
    for _ in range(rounds):
        done = subprocess.run([str(program("bench_lateness"))], check=True,
                              capture_output=True, text=True)
        for name, value in re.findall(r"^(\w+)=([\d.]+)$", done.stdout, re.M):
            figure, unit = name.rsplit("_", 1)
            yield figure.replace("_", " "), unit, float(value)


SECTIONS = {
    "instructions": instructions,
    "echo": calls("unary", ("tcp", "unix")),
    "streams": calls("stream", ("tcp",)),
    "builtin": beside(ALONE),
    "identity": beside(GUARDED),
    "pins": google("PinUnpin"),
    "contexts": google("Contexts/Million"),
    "lateness": lateness,
    **{section.__name__: section for section in (
        bo.orchestrations, bo.starts, bo.syncs, bo.floor, bo.death, bo.parked,
        bo.entities, bo.recovery)},
    "memory": google("Contexts/TenMillion"),
    **{section.__name__: section for section in (
        bo.finished, bo.drivers, bo.durable_go, ba.against, bench_overload.overload,
        bench_viewers.viewing, bench_lists.lists)},
}
# Only if they are asked for.
LONG = ("memory", "finished", "drivers", "durable_go", "against", "overload",
        "viewing", "lists")


# ---- The table --------------------------------------------------------------

def rounded(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def measure(name, rounds, seconds):
    """{(figure, unit): [value of each round]}"""
    found = {}
    for figure, unit, value in SECTIONS[name](rounds, seconds):
        found.setdefault((figure, unit), []).append(value)
        print(f"\r{name}: {sum(map(len, found.values()))} measurements", end="",
              file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def show(name, found, before):
    print(f"\n{name}")
    rows = [("figure", "unit", "median", "least", "greatest", "before")]
    for (figure, unit), values in found.items():
        old = before.get(f"{name} | {figure} | {unit}")
        rows.append((figure, unit, *map(rounded, (statistics.median(values),
                                                  min(values), max(values))),
                     rounded(old["median"]) if old else "-"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(w) if i < 2 else cell.rjust(w)
                        for i, (cell, w) in enumerate(zip(row, widths))).rstrip())
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(
        usage=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", required=True, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--against", type=pathlib.Path)
    parser.add_argument("sections", nargs="*")
    arguments = parser.parse_args()
    bench_process.programs = arguments.programs.resolve()
    if arguments.against is not None:
        bench_process.against = arguments.against.resolve()
    for name in arguments.sections:
        if name not in SECTIONS:
            parser.exit(2, f"bench: no section {name!r}; there are "
                           f"{' '.join(SECTIONS)}\n")

    RESULTS.mkdir(parents=True, exist_ok=True)
    runs = sorted(RESULTS.glob("*.json"))
    before = {}
    for run in runs:  # Of each figure the latest: a run may have a few sections.
        before.update(json.loads(run.read_text()))
    results = {}
    for name in arguments.sections or [n for n in SECTIONS if n not in LONG]:
        found = measure(name, arguments.rounds, arguments.seconds)
        show(name, found, before)
        results.update({
            f"{name} | {figure} | {unit}": {
                "median": statistics.median(values), "least": min(values),
                "greatest": max(values), "rounds": len(values)}
            for (figure, unit), values in found.items()})
    path = RESULTS / time.strftime("%Y%m%d-%H%M%S.json")
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"\nwritten to {os.path.relpath(path)}")


if __name__ == "__main__":
    main()
