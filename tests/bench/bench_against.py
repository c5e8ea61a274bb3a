"""The section of bench.py that compares this build's server with another build's.

Both do the same work, driven by this build's programs, in turn within each round.
README.md says how to build the other.
"""

import contextlib
import re
import tempfile

import bench_process
from bench_process import Server, program, run, run_json

CALLGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
IN_FLIGHT = 16
CALLS = 20_000
SHORT_CALLS, LONG_CALLS = 2000, 6000  # The first 1,000 make the contexts.
WORKS = {"ping": 6000, "chain:3": 3000, "fan:50": 300}
SHORT_RUNS, LONG_RUNS = {"ping": 200, "chain:3": 100, "fan:50": 4}, 3  # Times as many.


def builds():
    if bench_process.against is None:
        raise SystemExit("bench: the section against needs --against=FOLDER, where the "
                         "programs of the other build are")
    return {"this build": program("leasehold-server"),
            "the other": bench_process.against / "leasehold-server"}


@contextlib.contextmanager
def serving(path, *flags, tool=()):
    with tempfile.TemporaryDirectory(prefix="lh-") as folder, \
            Server(*tool, path, "--listen=127.0.0.1:0", "--print-address",
                   "--idle-timeout=1h", *flags or [f"--data={folder}/data"]) as server:
        yield server


def echo(server, calls):
    run(program("bench_load"), server.address, "unary", IN_FLIGHT, calls, 0)


def orchestrate(server, work, count):
    [found] = run_json(program("orchestration_load"), server.address, work, count,
                       min(count, 256), server.pid, 1)
    return found["server_us"]


def collected(path, drive):
    with serving(path, "--store=memory", tool=CALLGRIND) as server:
        drive(server)
        return int(re.search(r"Collected : (\d+)", server.end())[1])


def against(rounds, _):
    """Instructions, CPU and context switches of an Echo and of an orchestration."""
    servers = builds()
    for name, path in servers.items():  # They repeat.
        few, many = (collected(path, lambda s, n=n: echo(s, n))
                     for n in (SHORT_CALLS, LONG_CALLS))
        yield (f"{name}: unary, {IN_FLIGHT} in flight", "instructions/call",
               (many - few) / (LONG_CALLS - SHORT_CALLS))
    for work, count in SHORT_RUNS.items():
        for name, path in servers.items():
            few, many = (collected(path, lambda s, n=n: orchestrate(s, work, n))
                         for n in (count, LONG_RUNS * count))
            yield (f"{name}: {work}", "instructions/orchestration",
                   (many - few) / ((LONG_RUNS - 1) * count))
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(serving(path, "--store=memory"))
                   for name, path in servers.items()}
        for server in running.values():  # Contexts are made, caches warm.
            echo(server, 5000)
        for _ in range(rounds):
            for name, server in running.items():
                cpu, switches = server.cpu_s(), server.context_switches()
                echo(server, CALLS)
                cell = f"{name}: unary, {IN_FLIGHT} in flight"
                yield cell, "us CPU/call", (server.cpu_s() - cpu) / CALLS * 1e6
                yield (cell, "context switches/call",
                       (server.context_switches() - switches) / CALLS)
    for _ in range(rounds):
        for work, count in WORKS.items():
            for name, path in servers.items():
                with serving(path) as server:
                    yield (f"{name}: {work}, SQLite", "us CPU/orchestration",
                           orchestrate(server, work, count))
