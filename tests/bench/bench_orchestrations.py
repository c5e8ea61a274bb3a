"""Sections of bench.py on orchestrations: what a server does with them, and its store.

Each yields (figure, unit, value), round by round. README.md says what is measured
against which target.
"""

import contextlib
import os
import pathlib
import queue
import re
import signal
import sqlite3
import subprocess
import tempfile
import time

import harness
import languages
from bench_process import PATIENCE_S, Server, children_cpu_s, program, run_json
from sidecar import Sidecar, complete

IN_FLIGHT = 256
WORKS = {"ping": 10_000, "chain:3": 6000, "fan:50": 600}
STORES = ("memory", "sqlite")
LONE_STARTS = 300
DEATHS = 50  # A round.
PARKED, MORE, OPEN = 10_000, 100_000, 100_000
IDLE_S = 3  # After which nothing is hot any more.
# Debian 12's, or Debian 13's.
GO = next((path for path in ("/usr/lib/go-1.19/bin/go", "/usr/lib/go-1.24/bin/go")
           if os.path.exists(path)), "go")


# ---- Servers and their load -------------------------------------------------

class Leasehold(Server):
    def __init__(self, *flags):
        super().__init__(program("leasehold-server"), "--listen=127.0.0.1:0",
                         "--print-address", "--idle-timeout=1s", *flags)

    def counts(self):
        """Ends it: (commits, microseconds of each, changes, turns)"""
        return [int(n) for n in re.search(
            r"store_closed commits=(\d+) commit_us=(\d+) changes=(\d+) turns=(\d+)",
            self.end()).groups()]


@contextlib.contextmanager
def leasehold(store):
    """A server with a store of its own, which is gone with it."""
    with tempfile.TemporaryDirectory(prefix="lh-") as folder, \
            Leasehold("--store=memory" if store == "memory"
                      else f"--data={folder}/data") as server:
        yield server


def load(server, work, count, in_flight=IN_FLIGHT, slices=1):
    """What orchestration_load measures, a dict for each slice."""
    return run_json(program("orchestration_load"), server.address, work, count,
                    in_flight, server.pid, slices)


# ---- Turns and commits ------------------------------------------------------

def orchestrations(rounds, _):
    """One turn, a chain, a fan-out: memory and SQLite in turn."""
    for _ in range(rounds):
        for work, count in WORKS.items():
            per_second = {}
            for store in STORES:
                with leasehold(store) as server:
                    [found] = load(server, work, count)
                    commits, _, changes, turns = server.counts()
                per_second[store] = found["per_second"]
                cell = f"{store}: {work}, {IN_FLIGHT} in flight"
                yield cell, "us CPU/orchestration", found["server_us"]
                yield cell, "orchestrations/s", found["per_second"]
                yield cell, "turns/commit", turns / commits
                yield cell, "changes/commit", changes / commits
            yield (f"sqlite by memory: {work}, {IN_FLIGHT} in flight", "ratio",
                   per_second["sqlite"] / per_second["memory"])


def starts(rounds, _):
    """A start with nobody beside it, in commits of the same run."""
    for _ in range(rounds):
        for store in STORES:
            with leasehold(store) as server:
                [found] = load(server, "ping", LONE_STARTS, in_flight=1)
                _, commit_us, _, _ = server.counts()
            yield f"{store}: a lone start", "us, with its call", found["start_us_p50"]
            yield f"{store}: a lone commit", "us", commit_us
            if store == "sqlite":
                yield (f"{store}: a lone start", "commits",
                       found["start_us_p50"] / commit_us)


@contextlib.contextmanager
def counted_syncs(pid):
    """A list that has how often the process synced a file, once this is over."""
    found = []
    with tempfile.NamedTemporaryFile("r") as out:
        strace = subprocess.Popen(
            ["strace", "-f", "-qq", "-c", "-e", "trace=fdatasync,fsync", "-o", out.name,
             "-p", str(pid)], stderr=subprocess.PIPE, text=True)
        tasks = pathlib.Path(f"/proc/{pid}/task")
        while any("TracerPid:\t0\n" in (task / "status").read_text()
                  for task in tasks.iterdir()):
            if strace.poll() is not None:
                raise SystemExit(f"bench: {strace.stderr.read()}")
            time.sleep(0.01)
        try:
            yield found
        finally:
            strace.send_signal(signal.SIGINT)
            strace.communicate(timeout=PATIENCE_S)
        found += [int(calls) for calls in re.findall(
            r"^\s*(?:[\d.]+\s+){3}(\d+)\s.*sync$", out.read(), re.M)]


def syncs(rounds, _):
    """What the kernel counts beside what the server says."""
    for _ in range(rounds):
        for work in ("ping", "chain:3"):
            with leasehold("sqlite") as server:
                with counted_syncs(server.pid) as calls:
                    load(server, work, WORKS[work] // 3)  # strace is slow.
                commits, *_ = server.counts()
            yield (f"sqlite: {work}, {IN_FLIGHT} in flight", "syncs/commit",
                   sum(calls) / commits)


def kept_bytes(data):
    """Of histories and summaries, in the database of a server that has ended."""
    with contextlib.closing(sqlite3.connect(f"{data}/leasehold.db")) as database:
        return database.execute(
            "SELECT (SELECT sum(length(events)) FROM history)"
            " + (SELECT sum(length(summary)) FROM instance)").fetchone()[0]


def floor(rounds, _):
    """The server beside a bare loop that commits the same rows, 64 at a time."""
    for _ in range(rounds):
        for work, activities in (("ping", 0), ("chain:3", 3)):
            with tempfile.TemporaryDirectory(prefix="lh-") as folder:
                of_bare, of_server = f"{folder}/bare", f"{folder}/server"
                [bare] = run_json(program("bench_store"), of_bare, activities,
                                  WORKS[work])
                with Leasehold(f"--data={of_server}") as server:
                    [found] = load(server, work, WORKS[work])
                    server.end()
                kept, wanted = kept_bytes(of_bare), kept_bytes(of_server)
            if abs(kept / wanted - 1) > 0.02:  # A time has a byte more or less.
                raise SystemExit(f"bench: bench_store keeps {kept} bytes of {work}, the "
                                 f"server {wanted}: its rows are no longer the engine's")
            yield f"{work}: bare store", "us CPU/orchestration", bare["cpu_us"]
            yield f"{work}: bare store", "orchestrations/s", bare["per_second"]
            yield f"{work}: bare store", "us/commit", bare["commit_us"]
            yield f"{work}: server", "us CPU/orchestration", found["server_us"]
            yield f"{work}: server", "orchestrations/s", found["per_second"]
            yield (f"{work}: server by bare store", "ratio",
                   found["per_second"] / bare["per_second"])


# ---- Those that wait, and those that are done -------------------------------

def parked(rounds, _):
    """Each has a timer and nobody who waits for it."""
    for _ in range(min(rounds, 3)):  # They repeat.
        with leasehold("sqlite") as server:
            load(server, "park", PARKED)
            time.sleep(IDLE_S)
            cpu_s, begin = server.cpu_s(), time.monotonic()
            time.sleep(5)
            yield (f"{PARKED:,} parked", "% of a core",
                   (server.cpu_s() - cpu_s) / (time.monotonic() - begin) * 100)
            yield (f"{MORE:,} more parked", "bytes resident, each",
                   bytes_each(server, "park"))


def bytes_each(server, work, filling=1):
    """What MORE take in memory that have done the work and wait, or are idle.

    Before that, caches fill with `filling` times as many.
    """
    resident = []
    for _ in range(filling + 1):
        load(server, work, MORE)
        time.sleep(IDLE_S)
        resident.append(server.memory_bytes())
    return (resident[-1] - resident[-2]) / MORE


def entities(rounds, _):
    """Operations of entities beside starts of one turn; and what idle ones take."""
    for _ in range(rounds):
        used = {}
        for work in ("ping", "signal", "call"):
            with leasehold("sqlite") as server:
                [found] = load(server, work, WORKS["ping"])
            used[work] = found["server_us"]
            yield f"sqlite: {work}", "us CPU", used[work]
        for work in ("signal", "call"):
            yield f"sqlite: {work} by ping", "ratio", used[work] / used["ping"]
    with leasehold("sqlite") as server:
        yield (f"{MORE:,} more idle entities", "bytes resident, each",
               bytes_each(server, "signal", filling=2))


def recovery(rounds, _):
    """Servers that are killed, one after the other, on one data directory."""
    with tempfile.TemporaryDirectory(prefix="lh-") as folder:
        with Leasehold(f"--data={folder}/data") as server:
            load(server, "park", OPEN)
        for _ in range(rounds):
            begin = time.monotonic()
            with Leasehold(f"--data={folder}/data") as server:
                Sidecar(server).start("Load")
                yield f"{OPEN:,} open", "s to the first start", time.monotonic() - begin
                yield f"{OPEN:,} open", "s to serving", server.start_s
                yield f"{OPEN:,} open", "MiB resident", server.memory_bytes() / 2**20


def finished(rounds, _):
    """200,000 orchestrations: whether the last ones cost what the first did."""
    for _ in range(rounds):
        with leasehold("sqlite") as server:
            slices = load(server, "ping", 200_000, slices=20)
        yield "first 10,000 of 200,000", "us CPU", slices[0]["server_us"]
        yield "last 10,000 of 200,000", "us CPU", slices[-1]["server_us"]
        yield "last by first", "ratio", slices[-1]["server_us"] / slices[0]["server_us"]
        yield "after 100,000", "MiB resident", slices[9]["server_rss_mib"]
        yield "after 200,000", "MiB resident", slices[19]["server_rss_mib"]


# ---- The death of a worker --------------------------------------------------

def death_ms(server):
    """From the cut of a worker's connection until another has its work, in order."""
    arrived = queue.Queue()

    def hire():
        worker = Sidecar(server).worker(
            on_item=lambda item: arrived.put((time.monotonic(), item, worker)))
        return worker.__enter__()

    client, team, found = Sidecar(server), [hire(), hire()], []
    for _ in range(DEATHS):
        time.sleep(0.02)  # The one who was hired last has to be known.
        client.start("Load")
        _, _, victim = arrived.get(timeout=PATIENCE_S)
        begin = time.monotonic()
        victim.sidecar.channel.close()
        end, turn, _ = arrived.get(timeout=PATIENCE_S)
        found.append((end - begin) * 1000)
        turn.complete(complete(1))
        team.remove(victim)
        team.append(hire())
    for worker in team:
        worker.sidecar.channel.close()
    return sorted(found)


def death(rounds, _):
    for _ in range(rounds):
        for store in STORES:
            with leasehold(store) as server:
                found = death_ms(server)
            cell = f"{store}: a worker's death to re-dispatch"
            yield cell, "ms, median", found[len(found) // 2]
            yield cell, "ms, p99", found[int(0.99 * (len(found) - 1))]


# ---- Beside official programs -----------------------------------------------

def go_program(name):
    """One of the Go programs beside this file; Go's own cache knows what is to do."""
    path = harness.ROOT / "build/bench/bin" / name
    done = harness.run(
        "/bin/bash", "-euo", "pipefail", "-c",
        f"cd {harness.ROOT}/tests/bench/{name}; {GO} build -buildvcs=false -o {path} .",
        env=languages.environment(), timeout=languages.BUILD_TIMEOUT_S)
    if done.code != 0:
        raise SystemExit(f"bench: {done}")
    return path


def drivers(rounds, _):
    """One server; client and worker raw, our C++ ones, and those of the Go SDK."""
    programs = {"raw": program("orchestration_load"),
                "C++ worker": program("worker_load"),
                "Go SDK": go_program("durable_go_load")}
    for _ in range(rounds):
        for work, count in (("ping", 6000), ("chain:3", 3000)):
            for name, path in programs.items():
                with leasehold("sqlite") as server:
                    cpu_s, own_s = server.cpu_s(), children_cpu_s()
                    [found] = run_json(path, server.address, work, count, IN_FLIGHT)
                    cpu_s, own_s = server.cpu_s() - cpu_s, children_cpu_s() - own_s
                cell = f"{work}, {name}"
                yield cell, "us CPU/orchestration, server", cpu_s / count * 1e6
                yield cell, "us CPU/orchestration, driver", own_s / count * 1e6
                yield cell, "orchestrations/s", found["per_second"]


def durable_go(rounds, _):
    """durabletask-go's own server on SQLite, tuned, and ours; the Go SDK asks both."""
    sdk = go_program("durable_go_load")
    theirs = go_program("durable_go_server")
    for _ in range(rounds):
        for work, count in (("ping", 2000), ("chain:3", 600), ("fan:50", 60)):
            per_second = {}
            for name in ("leasehold", "durabletask-go"):
                with tempfile.TemporaryDirectory(prefix="lh-") as folder, \
                        (Leasehold(f"--data={folder}/data") if name == "leasehold"
                         else Server(theirs, f"{folder}/data.db")) as server:
                    [found] = run_json(sdk, server.address, work, count, IN_FLIGHT,
                                       server.pid)
                per_second[name] = found["per_second"]
                cell = f"{name}: {work}"
                yield cell, "us CPU/orchestration", found["server_us"]
                yield cell, "orchestrations/s", found["per_second"]
                yield cell, "ms to its end, median", found["end_us_p50"] / 1000
            yield (f"leasehold by durabletask-go: {work}", "ratio",
                   per_second["leasehold"] / per_second["durabletask-go"])
