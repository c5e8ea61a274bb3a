#!/usr/bin/env python3
"""Servers are killed under load; nothing that they acknowledged may be lost.

usage: crash.py --programs=FOLDER [--kills=N] [--seed=N] [--planted=WORDS]
                [--without=SCENARIO]...
       crash.py --self-test

Clients (scenarios.py) and workers (worker.py) go on all the time, while servers on
one data directory are killed with SIGKILL, one after the other. Each server is asked
for all that it has, which is compared with what the clients wrote down (record.py).
In the end everything has to come to its right end, and the file to be whole.

With --planted a fault is in the server: passes once it is found, with these words.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import sqlite3
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests/acceptance"), str(ROOT / "tests/interop")]

import harness  # noqa: E402

if os.path.realpath(sys.prefix) != os.path.realpath(harness.PYTHON.parent.parent):
    # The packages that the rest needs are there.
    os.execv(harness.PYTHON, [str(harness.PYTHON), "-B", *sys.argv])

import grpc  # noqa: E402

import self_test  # noqa: E402
from harness import PATIENCE_S, Program, equal  # noqa: E402
from record import ACKED, Record  # noqa: E402
from scenarios import SCENARIOS, run_clients  # noqa: E402
from sidecar import Sidecar  # noqa: E402

CLIENTS, WORKERS = 24, 2
LIFE_S = (0.02, 1.2)  # How long a server lives.
AT_ONCE = 0.5  # So many are killed just after they have acknowledged something.
STILLBORN, STILLBORN_S = 0.15, 0.06  # So many are killed while they start.
WORKER_KILLED = 0.3  # In so many lives.


class Found(Exception):
    """What the server should not have done."""


class World:
    """One data directory, its servers, clients and workers."""

    def __init__(self, folder, seed, scenarios, planted):
        self.folder, self.seed, self.scenarios = folder, seed, scenarios
        self.planted = planted  # Words of what is looked for, or None: everything.
        self.dice = random.Random(seed)
        self.record = Record()
        self.address = None
        self.workers = []
        self.clients = []
        self.over = False
        self.deadline = None

    def close(self):
        for program in list(Program.running):
            program.__exit__()

    # ---- Processes

    def new_server(self):
        """A process that has been started; whether it serves is another question."""
        return Program(
            harness.programs / "leasehold-server", f"--data={self.folder}",
            f"--listen={self.address or '127.0.0.1:0'}", "--print-address",
            "--http-listen=off", "--overload-delay=0").__enter__()

    def serve(self):
        server = self.new_server()
        server.await_line("out", "address=")
        self.address = server.out[0].removeprefix("address=")
        return server

    def new_worker(self):
        self.workers.append(Program(
            harness.PYTHON, "-B", pathlib.Path(__file__).parent / "worker.py",
            self.address, self.dice.randrange(10**9)).__enter__())

    def kill(self, program):
        if program.process.poll() is not None:
            program.wait()
            raise Found(f"{program.args[0]} ended by itself, with exit code "
                        f"{program.process.returncode}: {program.err[-20:]}")
        program.__exit__()  # SIGKILL.

    # ---- Looking

    def look(self, complete=False):
        """Compares what the server has with the record."""
        before = self.record.snapshot()
        found = {}
        for state in harness.wait_until(self.states, "the server to answer"):
            status, output = state["orchestrationStatus"], state.get("output")
            if output is not None and status != "TERMINATED":
                output = json.loads(output)
            found[state["instanceId"]] = (status, output)
        self.record.check_all(before, found, complete)
        self.judge()

    def states(self):
        """Of all orchestrations; None: the connection is not there yet."""
        try:
            return self.eye.query(fetchInputsAndOutputs=True, maxInstanceCount=1000)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                return None
            raise Found(f"a query said {error.code().name}: {error.details()}") from None

    def judge(self):
        found = list(self.record.violations)
        for worker in self.workers:
            found += [line for line in worker.out if line.startswith("violation")]
            if worker.ended():
                raise Found(f"a worker ended by itself: {worker.err[-20:]}")
        found = [f for f in found if self.planted is None or self.planted in f]
        if found:
            raise Found("\n".join(found))

    # ---- Lives

    def run(self, kills):
        server = self.serve()
        self.eye = Sidecar(self.address, impatient=True)
        for _ in range(WORKERS):
            self.new_worker()
        self.clients = run_clients(
            self.address, self.record, self.seed, CLIENTS, self.scenarios,
            lambda: self.over, lambda: self.deadline)
        for i in range(kills):
            self.live(server)
            self.kill(server)
            while self.dice.random() < STILLBORN:
                stillborn = self.new_server()
                time.sleep(self.dice.uniform(0, STILLBORN_S))
                self.kill(stillborn)
            server = self.serve()
            if (i + 1) % 10 == 0:
                print(f"{i + 1} kills: {self.counts()}", flush=True)
        self.end(server)

    def live(self, server):
        end = time.monotonic() + self.dice.uniform(*LIFE_S)
        if self.dice.random() < WORKER_KILLED:
            time.sleep(max(0, self.dice.uniform(0, end - time.monotonic())))
            self.kill(self.workers.pop(self.dice.randrange(WORKERS)))
            self.new_worker()
        if self.dice.random() < 0.5:
            self.look()
        else:
            self.judge()
        time.sleep(max(0, end - time.monotonic()))
        if self.dice.random() < AT_ONCE:
            self.record.acknowledged.clear()
            self.record.acknowledged.wait(1)

    def end(self, server):
        """Everybody comes to an end, and all is as the record says."""
        self.look()
        self.deadline = time.monotonic() + PATIENCE_S
        self.over = True
        for client in self.clients:
            client.join(2 * PATIENCE_S)
            if client.is_alive():
                raise Found("a client got no answer for minutes")
        self.judge()
        # What nobody waited for may be under way still: sub-orchestrations' ends,
        # and orchestrations whose client has given up.
        self.look(complete=True)
        equal(server.end(), 0, "exit code of the last server")
        database = sqlite3.connect(f"{self.folder}/leasehold.db")
        with contextlib.closing(database):
            found = database.execute("PRAGMA integrity_check").fetchall()
        if found != [("ok",)]:
            raise Found(f"PRAGMA integrity_check: {found}")
        print(f"passed: {self.counts()}")

    def counts(self):
        entries = self.record.snapshot().values()
        return ", ".join(f"{count} {what}" for what, count in (
            ("started", sum(e.start == ACKED for e in entries)),
            ("ended", sum(e.end is not None for e in entries)),
            ("events", sum(len(e.events) for e in entries)),
            ("of them unacknowledged",
             sum(fate != ACKED for e in entries for _, fate in e.events)),
            ("purged", sum(e.purge == ACKED for e in entries))))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--programs")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(os.environ.get(
        "LEASEHOLD_SEED", time.time_ns() % 10**9)))
    parser.add_argument("--planted")
    parser.add_argument("--without", action="append", default=[],
                        choices=[s.__name__ for s in SCENARIOS])
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test.main()
    harness.use_programs(arguments.programs)
    print(f"seed {arguments.seed}", flush=True)
    with harness.temporary_folder() as folder:
        world = World(folder, arguments.seed, [
            s for s in SCENARIOS if s.__name__ not in arguments.without],
            arguments.planted)
        try:
            world.run(arguments.kills)
        except (Found, harness.Failed) as found:
            print(f"FAILED: {found}\nagain with --seed={arguments.seed}")
            if arguments.planted and arguments.planted in str(found):
                print(f"the planted fault was found: {arguments.planted}")
                return 0
            return 1
        finally:
            world.close()
    if arguments.planted:
        print(f"the planted fault was not found: {arguments.planted}")
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # Clients may be under way still.
