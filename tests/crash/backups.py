#!/usr/bin/env python3
"""Backups are made and restored while servers, backups and restores are killed.

usage: backups.py --programs=FOLDER [--rounds=N] [--seed=N] [--planted=WORDS]

Clients start orchestrations all the time, one after the other, and write down what
was acknowledged. In each round a backup of the server's directory is made; it may be
killed, and so may the server. Each folder that then says that it is a backup is
restored, by a restore that may be killed and is run again, and a server is asked for
all that is there:

  - all that was acknowledged before the backup began, with its end if that was told;
  - of each client, what it started up to some moment, without a gap;
  - everything comes to its end, and no generation was used before.

With --planted a fault is in the server: passes once it is found, with these words.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests/acceptance"), str(ROOT / "tests/interop")]

import harness  # noqa: E402

if os.path.realpath(sys.prefix) != os.path.realpath(harness.PYTHON.parent.parent):
    # The packages that the rest needs are there.
    os.execv(harness.PYTHON, [str(harness.PYTHON), "-B", *sys.argv])

import grpc  # noqa: E402

from harness import PATIENCE_S, Program, wait_until  # noqa: E402
from sidecar import Sidecar  # noqa: E402

CLIENTS = 4
FILLER = "x" * 20_000  # So that a backup takes its time.
SERVER_KILLED, BACKUP_KILLED, RESTORE_KILLED = 0.3, 0.4, 0.5
KILLED_AFTER_S = 0.15  # At most, after its start.


class Found(Exception):
    """What should not have happened."""


class Client(threading.Thread):
    """Starts orchestrations, each under the next number, and notes what it was told."""

    def __init__(self, name, address, over):
        super().__init__(daemon=True)
        self.name, self.over = name, over
        self.sidecar = Sidecar(address, impatient=True)
        self.acknowledged = 0  # Those below it.
        self.asked = 0
        self.ended = 0  # Those below it have been seen at their end.
        self.error = None

    def run(self):
        while not self.over():
            try:
                id = f"{self.name}-{self.acknowledged}"
                self.asked = self.acknowledged + 1
                self.start_once(id)
                self.acknowledged += 1
                if self.acknowledged % 2 == 0:
                    self.sidecar.wait_for_completion(id)
                    self.ended = self.acknowledged
            except grpc.RpcError as error:
                if error.code().name not in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
                    self.error = f"{id}: {error.code().name}: {error.details()}"
                    return

    def start_once(self, id):
        try:
            self.sidecar.start("Ping", json.dumps(self.name + FILLER), id=id)
        except grpc.RpcError as error:
            # Of an earlier try that was not answered.
            if error.code().name != "ALREADY_EXISTS":
                raise


class World:
    def __init__(self, folder, seed):
        self.folder = pathlib.Path(folder)
        self.data, self.to = self.folder / "data", self.folder / "backups"
        self.dice = random.Random(seed)
        self.address = None
        self.clients = []
        self.over = False
        self.generations = set()
        self.generation = 0  # The newest of the server that is backed up.
        self.counts = dict(backups=0, servers_killed=0, backups_killed=0,
                           restores_killed=0, orchestrations=0)

    def close(self):
        self.over = True
        for program in list(Program.running):
            program.__exit__()

    def serve(self, data, *flags):
        server = Program(harness.programs / "leasehold-server", f"--data={data}",
                         "--print-address", "--http-listen=off", "--overload-delay=0",
                         *flags).__enter__()
        server.await_line("out", "address=")
        return server

    def serve_clients(self):
        server = self.serve(self.data, f"--listen={self.address or '127.0.0.1:0'}")
        self.address = server.out[0].removeprefix("address=")
        return server

    def command(self, *args):
        return Program(harness.programs / "leasehold-server", *args).__enter__()

    def kill_soon(self, program):
        """Whether it was killed before it ended by itself."""
        time.sleep(self.dice.uniform(0, KILLED_AFTER_S))
        killed = program.process.poll() is None
        program.__exit__()
        return killed

    # ---- Rounds

    def run(self, rounds):
        server = self.serve_clients()
        self.clients = [Client(f"client{i}", self.address, lambda: self.over)
                        for i in range(CLIENTS)]
        for client in self.clients:
            client.start()
        for i in range(rounds):
            self.await_progress()
            if i == 0:  # A log that was copied into the file, and what came after.
                server.__exit__()
                server = self.serve_clients()
                self.await_progress()
            server = self.round(server)
            if (i + 1) % 10 == 0:
                print(f"{i + 1} rounds: {self.counts}", flush=True)
        if not self.counts["backups"]:  # All were killed.
            told = self.told()
            self.look_at(self.back_up_at_last(), told)
        print(f"passed: {self.counts}")

    def await_progress(self):
        """Each client goes on."""
        before = [client.acknowledged for client in self.clients]
        wait_until(lambda: all(client.error or client.acknowledged > number + 5
                               for client, number in zip(self.clients, before)),
                   "the clients to go on")
        for client in self.clients:
            if client.error:
                raise Found(client.error)

    def told(self):
        """What each client has been told by now: (acknowledged, ended)."""
        return {client.name: (client.acknowledged, client.ended)
                for client in self.clients}

    def round(self, server):
        self.generation = self.new_generation(self.address)
        told = self.told()
        backup = self.command("backup", f"--data={self.data}", f"--to={self.to}")
        if self.dice.random() < SERVER_KILLED:
            self.counts["servers_killed"] += self.kill_soon(server)
            server = self.serve_clients()
        killed = False
        if self.dice.random() < BACKUP_KILLED:
            killed = self.kill_soon(backup)
            self.counts["backups_killed"] += killed
        else:
            backup.wait()
            backup.__exit__()
        code = backup.process.returncode
        if not killed and code != 0:
            raise Found(f"the backup failed: {backup.err}")
        whole = self.whole_backups()
        if not killed and len(whole) != 1:
            raise Found(f"{backup.out} is not all that is there: {whole}")
        for path in whole:
            self.look_at(path, told)
        return server

    def whole_backups(self):
        return [path for path in self.to.glob("leasehold-*") if path.suffix != ".partial"]

    def back_up_at_last(self):
        backup = self.command("backup", f"--data={self.data}", f"--to={self.to}")
        if backup.wait() != 0:
            raise Found(f"the backup failed: {backup.err}")
        return self.whole_backups()[0]

    # ---- Looking

    def look_at(self, path, told):
        data = self.folder / "restored"
        self.restore(path, data)
        server = self.serve(data, "--listen=127.0.0.1:0")
        address = server.out[0].removeprefix("address=")
        eye = Sidecar(address)
        ids = [state["instanceId"] for state in eye.query(
            instanceIdPrefix="client", maxInstanceCount=1000)]
        there = {client.name: set() for client in self.clients}
        for id in ids:
            name, number = id.rsplit("-", 1)
            there[name].add(int(number))
        for client in self.clients:
            acknowledged, ended = told[client.name]
            numbers = there[client.name]
            lost = set(range(acknowledged)) - numbers
            if lost:
                raise Found(f"{path.name} has lost {len(lost)} that were acknowledged, as "
                            f"{client.name}-{min(lost)}")
            if numbers != set(range(len(numbers))) or len(numbers) > client.asked:
                raise Found(f"{path.name} has of {client.name}: {sorted(numbers)}, and it "
                            f"had asked for {client.asked}")
            for number in {0, max(0, ended - 1)} if ended else ():
                if eye.status(f"{client.name}-{number}") != "COMPLETED":
                    raise Found(f"{path.name} has lost the end of {client.name}-{number}")
        for id in self.dice.sample(ids, min(20, len(ids))):
            state = eye.wait_for_completion(id)
            if state["output"] != state["input"]:
                raise Found(f"{id} ended with another output than its input")
        generation = self.new_generation(address)
        if generation <= self.generation:
            raise Found(f"generation {generation} after {self.generation}")
        self.counts["backups"] += 1
        self.counts["orchestrations"] += len(ids)
        if server.end() != 0:
            raise Found(f"a server on a restored directory ended so: {server.err}")
        server.__exit__()
        shutil.rmtree(data)
        shutil.rmtree(path)

    def new_generation(self, address):
        """That of a new context: the built-in activity tells of it."""
        eye = Sidecar(address, impatient=True)
        id = eye.start("EchoSequence", '["a"]', id=f"generation-{len(self.generations)}")
        output = json.loads(eye.wait_for_completion(id)["output"])
        generation = output[0]["generation"]
        if generation in self.generations:
            raise Found(f"generation {generation} was used twice")
        self.generations.add(generation)
        return generation

    def restore(self, path, data):
        flags = ("restore", f"--from={path}", f"--data={data}", "--replace")
        while self.dice.random() < RESTORE_KILLED:
            self.counts["restores_killed"] += self.kill_soon(self.command(*flags))
        restore = self.command(*flags)
        if restore.wait() != 0:
            raise Found(f"the restore failed: {restore.err}")
        restore.__exit__()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(os.environ.get(
        "LEASEHOLD_SEED", time.time_ns() % 10**9)))
    parser.add_argument("--planted")
    arguments = parser.parse_args()
    harness.use_programs(arguments.programs)
    print(f"seed {arguments.seed}", flush=True)
    with harness.temporary_folder() as folder:
        world = World(folder, arguments.seed)
        try:
            world.run(arguments.rounds)
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
