"""A22: what befalls the store: two servers, damage, a full disk, no permission.

The disks that get full or cannot be written are mounted here, which takes root.
"""

import contextlib
import os
import pathlib
import signal
import sqlite3
import time

import grpc

import harness
import sidecar as protocol
from grpc_calls import call
from harness import (Server, check, contains, equal, expect, refused, run,
                     temporary_folder, wait_until)
from sidecar import Sidecar, complete, create_timer, now, schedule_task

FILE = "leasehold.db"


@contextlib.contextmanager
def disk(*options):
    """A folder that is a file system of its own."""
    with temporary_folder() as folder:
        result = run("/usr/bin/mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs",
                     folder)
        equal(result.code, 0, f"exit code of {result} (this needs to be root)")
        try:
            yield folder
        finally:
            run("/usr/bin/umount", "--lazy", folder)


def fill(folder):
    """A file in all the room that is left; `unlink` gives it back."""
    path = pathlib.Path(folder) / "filler"
    with open(path, "wb", buffering=0) as filler:
        with contextlib.suppress(OSError):
            while True:
                filler.write(b"x" * 4096)
    return path


def does_not_serve(*flags, names=()):
    """The server ends with one clear line, of a few seconds' work."""
    line = refused("--listen=127.0.0.1:0", *flags, names=names)
    expect(len(line) < 500, f"a line of {len(line)} characters: {line}")
    return line


def integrity(folder):
    with contextlib.closing(sqlite3.connect(pathlib.Path(folder) / FILE)) as database:
        return database.execute("PRAGMA integrity_check").fetchall()


def fill_with_orchestrations(folder, count=50):
    with Server(f"--data={folder}") as server:
        sidecar = Sidecar(server)
        for i in range(count):
            sidecar.start("nobody", "x" * 2000, id=f"a-{i}")
        equal(server.end(), 0, "exit code")


# ---- Whose directory it is --------------------------------------------------

@check("A22.1 a second server on one directory ends with exit code 2, the directory and who "
       "holds it; the first goes on")
def _():
    with temporary_folder() as folder, Server(f"--data={folder}") as server:
        sidecar = Sidecar(server)
        sidecar.start("nobody", id="a-1")
        for _ in range(3):
            does_not_serve(f"--data={folder}", names=(folder, str(server.pid), "in use"))
        sidecar.start("nobody", id="a-2")
        equal(len(sidecar.query()), 2, "orchestrations")
        server.end(signal.SIGKILL)
        with Server(f"--data={folder}") as successor:
            equal(len(Sidecar(successor).query()), 2, "orchestrations")
            does_not_serve(f"--data={folder}", names=(str(successor.pid),))


@check("A22.2 of many servers that start at once on one directory, one serves")
def _():
    with temporary_folder() as folder, contextlib.ExitStack() as stack:
        servers = [stack.enter_context(harness.Program(
            harness.programs / "leasehold-server", f"--data={folder}",
            "--listen=127.0.0.1:0", "--print-address")) for _ in range(6)]
        wait_until(lambda: sum(s.ended() for s in servers) >= 5, "five to end")
        alive = [s for s in servers if not s.ended()]
        equal(len(alive), 1, "servers that serve")
        for server in servers:
            if server is not alive[0]:
                equal(server.process.returncode, 2, "exit code")
                contains(server.err[-1], str(alive[0].pid))


@check("A22.3 the directory is made, also several deep, for its user alone")
def _():
    with temporary_folder() as folder:
        path = pathlib.Path(folder) / "a/b/c d"
        with Server(f"--data={path}") as server:
            equal(Sidecar(server).start("nobody", id="a-1"), "a-1", "id")
        equal(path.stat().st_mode & 0o777, 0o700, "mode")


@check("A22.4 --data and --store=memory: memory keeps nothing and writes nothing")
def _():
    with temporary_folder() as folder:
        path = pathlib.Path(folder) / "none"
        with Server(f"--data={path}", "--store=memory") as server:
            Sidecar(server).start("nobody", id="a-1")
        expect(not path.exists(), f"{path} is there")
        with Server(f"--data={path}", "--store=memory") as server:
            equal(Sidecar(server).query(), [], "orchestrations")


# ---- Damage -----------------------------------------------------------------

@check("A22.5 a file that is not a database, or belongs to another program, ends the server "
       "with its name, and is not touched")
def _():
    for content in (b"This is no database.\n" * 100, os.urandom(8192)):
        with temporary_folder() as folder:
            path = pathlib.Path(folder) / FILE
            path.write_bytes(content)
            does_not_serve(f"--data={folder}", names=(str(path),))
            equal(path.read_bytes() == content, True, "the same content")
    with temporary_folder() as folder:
        path = pathlib.Path(folder) / FILE
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE customers (name TEXT)")
            database.commit()
        does_not_serve(f"--data={folder}", names=(str(path),))
        with contextlib.closing(sqlite3.connect(path)) as database:
            equal(database.execute("SELECT name FROM sqlite_master").fetchall(),
                  [("customers",)], "tables")


@check("A22.6 a damaged file ends the server with exit code 2 and its name; the server never "
       "crashes because of it")
def _():
    with temporary_folder() as folder:
        fill_with_orchestrations(folder)
        path = pathlib.Path(folder) / FILE
        whole = path.read_bytes()
        expect(len(whole) > 20 * 4096, f"only {len(whole)} bytes")
        for name, damaged in (
                ("cut", whole[:len(whole) // 2]), ("its head", b"\0" * 100 + whole[100:]),
                ("a page in the middle",
                 whole[:10 * 4096] + b"\xff" * 4096 + whole[11 * 4096:]),
                ("all but its head", whole[:4096] + b"\xa5" * (len(whole) - 4096))):
            path.write_bytes(damaged)
            for more in path.parent.glob(FILE + "-*"):
                more.unlink()
            line = does_not_serve(f"--data={folder}", names=(str(path),))
            expect("leasehold-server: " in line, f"{name}: {line}")
        path.write_bytes(whole)
        with Server(f"--data={folder}") as server:
            equal(len(Sidecar(server).query()), 50, "orchestrations")


@check("A22.7 a write-ahead log that was cut or garbled has lost what was acknowledged: it is "
       "refused, and once that is accepted, the server continues from the last whole commit")
def _():
    with temporary_folder() as folder:
        with Server(f"--data={folder}") as server:
            sidecar = Sidecar(server)
            for i in range(30):
                sidecar.start("nobody", id=f"a-{i}")
            server.end(signal.SIGKILL)
        log = pathlib.Path(folder) / (FILE + "-wal")
        whole = log.read_bytes()
        expect(len(whole) > 8192, f"the log has {len(whole)} bytes")
        log.write_bytes(whole[:-3000] + b"\xff" * 1000)
        does_not_serve(f"--data={folder}", names=(FILE, "older", "leasehold.witness"))
        equal(check_command(folder, "--accept").code, 1, "exit code of the check")
        with Server(f"--data={folder}") as server:
            ids = {state["instanceId"] for state in Sidecar(server).query()}
            expect(15 <= len(ids) < 30, f"{len(ids)} orchestrations")
            equal(ids, {f"a-{i}" for i in range(len(ids))}, "the first ones, without gap")
            equal(server.end(), 0, "exit code")
        equal(integrity(folder), [("ok",)], "integrity")


# ---- Disks ------------------------------------------------------------------

def start_until_full(sidecar, begin):
    """The ids that were acknowledged before the disk was full, and the refusal."""
    acknowledged = []
    for i in range(begin, begin + 2000):
        try:
            acknowledged.append(sidecar.start("nobody", "x" * 3000, id=f"a-{i}"))
        except grpc.RpcError as error:
            return acknowledged, error
    raise harness.Failed("the disk is not full after 2,000 starts")


@check("A22.8 a full disk: UNAVAILABLE and why, nothing that was acknowledged is lost, and it "
       "goes on by itself once there is room")
def _():
    with disk("size=24m") as folder, Server(f"--data={folder}/data") as server:
        sidecar = Sidecar(server)
        with sidecar.worker(filters={"orchestrations": [{"name": "busy"}],
                                     "activities": [{"name": "act"}]}) as worker:
            sidecar.start("busy", '"in"', id="busy")
            worker.turn().complete(schedule_task(1, "act"), create_timer(2, now(1)))
            activity = worker.activity()
            known = ["busy"]
            for round in range(3):
                filler = fill(folder)
                more, error = start_until_full(sidecar, 10000 * round)
                known += more
                equal(error.code().name, "UNAVAILABLE", f"code of {error.details()!r}")
                contains(error.details().lower(), "full", "nothing can be stored now")
                for call in (lambda: sidecar.raise_event("busy", "x"),
                             lambda: activity.complete('"r"')):
                    try:
                        call()  # For that little there may be room.
                    except grpc.RpcError as error:
                        expect(error.code().name in ("UNAVAILABLE", "NOT_FOUND"),
                               f"code {error.code().name}: {error.details()}")
                expect(server.process.poll() is None, f"the server ended: {server.err}")
                filler.unlink()

                def back():
                    try:
                        return sidecar.start("nobody", id=f"back-{round}")
                    except grpc.RpcError as error:
                        expect(error.code().name in ("UNAVAILABLE", "ALREADY_EXISTS"),
                               f"code {error.code().name}")
                        return error.code().name == "ALREADY_EXISTS"
                start = time.monotonic()
                wait_until(back, "the store to take starts again")
                expect(time.monotonic() - start < 20, "took long")
                known.append(f"back-{round}")
                ids = {state["instanceId"] for state in sidecar.query()}
                expect(set(known) <= ids, f"lost: {set(known) - ids}")
            server.await_line("err", "store_failed")
            server.await_line("err", "store_recovered")
            # The work that was under way comes to its end.
            seen = set()
            while not {"taskCompleted 1", "timerFired 2"} <= seen:
                item = worker.next()
                if item.id != "busy":
                    continue
                if hasattr(item, "new"):
                    seen |= set(item.past) | set(item.new)
                with contextlib.suppress(grpc.RpcError):  # Of before a failure.
                    item.complete()
            equal(server.end(), 0, "exit code")
        with Server(f"--data={folder}/data") as successor:
            ids = {state["instanceId"] for state in Sidecar(successor).query()}
            expect(set(known) <= ids, f"lost: {set(known) - ids}")
        equal(integrity(f"{folder}/data"), [("ok",)], "integrity")


@check("A22.9 waits continue after the store has failed, and are answered")
def _():
    with disk("size=24m") as folder, Server(f"--data={folder}/data") as server:
        sidecar = Sidecar(server)
        with sidecar.worker(filters={"orchestrations": [{"name": "busy"}]}) as worker:
            sidecar.start("busy", id="a-1")
            turn = worker.turn()
            wait = sidecar.begin("WaitForInstanceCompletion", instanceId="a-1")
            filler = fill(folder)
            start_until_full(sidecar, 0)
            filler.unlink()
            with contextlib.suppress(grpc.RpcError):
                turn.complete(complete(1))  # It may no longer be out.
            while not wait.done():
                if not worker.items.empty():
                    with contextlib.suppress(grpc.RpcError):
                        worker.turn().complete(complete(1))
                time.sleep(0.01)
            equal(wait.result().exists, True, "exists")
            equal(sidecar.status("a-1"), "COMPLETED", "status")


@check("A22.10 a disk that is already full: the server says so and ends with exit code 2")
def _():
    with disk("size=1m") as folder:
        fill(folder)
        does_not_serve(f"--data={folder}/data", names=(folder,))


@check("A22.11 a directory that cannot be written, or that is a file: exit code 2 and its name")
def _():
    with disk("size=4m") as folder:
        fill_with_orchestrations(f"{folder}/data", 1)
        equal(run("/usr/bin/mount", "-o", "remount,ro", folder).code, 0, "mount's code")
        does_not_serve(f"--data={folder}/data", names=(f"{folder}/data", "ead-only"))
        does_not_serve(f"--data={folder}/new", names=(f"{folder}/new", "ead-only"))
    with temporary_folder() as folder:
        path = pathlib.Path(folder) / "file"
        path.write_text("")
        does_not_serve(f"--data={path}", names=(str(path),))
        does_not_serve(f"--data={path}/below", names=(str(path),))
        does_not_serve("--data=/proc/leasehold", names=("/proc/leasehold",))


@check("A22.12 a database of a later version is refused, and not touched")
def _():
    with temporary_folder() as folder:
        fill_with_orchestrations(folder, 1)
        path = pathlib.Path(folder) / FILE
        with contextlib.closing(sqlite3.connect(path)) as database:
            version, = database.execute("PRAGMA user_version").fetchone()
            database.execute(f"PRAGMA user_version = {version + 1}")
            database.commit()
        contains(does_not_serve(f"--data={folder}", names=(str(path),)),
                 str(version + 1))


# ---- What cannot be read ----------------------------------------------------

def change(folder, *statements):
    """Changes rows of a closed store, as damage would: checksums stay as they are."""
    with contextlib.closing(sqlite3.connect(pathlib.Path(folder) / FILE)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def check_command(folder, *flags):
    return run(harness.programs / "leasehold-server", "check", f"--data={folder}", *flags)


@check("A22.13 one orchestration that cannot be read is set aside: named in the log, shown as "
       "DAMAGED, exported and purged; all others are served")
def _():
    with temporary_folder() as folder:
        fill_with_orchestrations(folder, 5)
        equal(check_command(folder).code, 0, "exit code of a whole one")
        change(folder, "UPDATE message SET event = x'ff' WHERE number = 2")
        result = check_command(folder, f"--export={folder}/out.jsonl")
        equal(result.code, 1, "exit code of a damaged one")
        contains(result.out, "a-1", "message", "checksum")
        contains(pathlib.Path(folder, "out.jsonl").read_text(), '"table":"instance"',
                 '"table":"message"', '"whole":false')
        with Server(f"--data={folder}") as server:
            sidecar = Sidecar(server)
            line = server.await_line("err", " set_aside ")
            contains(line, "a-1", "checksum")
            equal(len(sidecar.query()), 5, "orchestrations")
            state = sidecar.get("a-1")
            equal(state["orchestrationStatus"], "FAILED", "status")
            contains(state["failureDetails"]["errorMessage"], "checksum")
            status = harness.leasehold(f"--address={server.address}", "orchestration",
                                       "status", "a-1")
            contains(status.out, "DAMAGED", "checksum")
            sidecar.raise_event("a-2", "e")
            for call in (lambda: sidecar.raise_event("a-1", "e"),
                         lambda: sidecar.terminate("a-1")):
                try:
                    call()
                    raise harness.Failed("a damaged one took a command")
                except grpc.RpcError as error:
                    equal(error.code().name, "DATA_LOSS", "code")
                    contains(error.details(), "a-1", "purge")
            second = check_command(folder)
            equal(second.code, 2, "exit code while a server has it")
            contains(second.err, str(server.pid), "in use")
            sidecar.purge("a-1")
            equal(len(sidecar.query()), 4, "orchestrations")
            sidecar.start("nobody", id="a-1")
            equal(server.end(), 0, "exit code")
        equal(check_command(folder).code, 0, "exit code once it is purged")


@check("A22.14 rows that have vanished are noticed at the start, and may be accepted")
def _():
    with temporary_folder() as folder:
        fill_with_orchestrations(folder, 5)
        change(folder, "DELETE FROM instance WHERE number IN (2, 3)",
               "DELETE FROM message WHERE number IN (2, 3)")
        line = does_not_serve(f"--data={folder}", names=(folder,))
        contains(line, "3 open orchestrations found, 5 expected", "--accept")
        result = check_command(folder, "--accept")
        equal(result.code, 1, "exit code")
        contains(result.out, "3 open orchestrations found, 5 expected")
        with Server(f"--data={folder}") as server:
            equal(len(Sidecar(server).query()), 3, "orchestrations")


@check("A22.15 an emptied database, a missing one and one that is older than what was "
       "acknowledged are refused, and not replaced by a new one")
def _():
    with temporary_folder() as folder:
        path = pathlib.Path(folder) / FILE
        fill_with_orchestrations(folder, 3)
        older = path.read_bytes()
        with Server(f"--data={folder}") as server:
            Sidecar(server).start("nobody", id="later")
            equal(server.end(), 0, "exit code")
        whole = path.read_bytes()
        path.write_bytes(b"")
        does_not_serve(f"--data={folder}", names=(str(path), "empty", "leasehold.witness"))
        equal(path.stat().st_size, 0, "size")
        path.unlink()
        does_not_serve(f"--data={folder}", names=(str(path), "missing"))
        expect(not path.exists(), f"{path} was created again")
        path.write_bytes(older)
        does_not_serve(f"--data={folder}", names=(str(path), "older"))
        path.write_bytes(whole)
        with Server(f"--data={folder}") as server:
            equal(len(Sidecar(server).query()), 4, "orchestrations")


@check("A22.16 a database that is deleted, replaced or cut while the server runs: nothing more "
       "is acknowledged, the log says why, and no new one is created")
def _():
    def replace(path):
        other = path.with_name("other")
        other.write_bytes(path.read_bytes())
        other.rename(path)

    for what, foul in (("was deleted", lambda path: path.unlink()),
                       ("was replaced", replace),
                       ("was truncated", lambda path: os.truncate(path, 0)),
                       ("was deleted", lambda path: path.with_name(FILE + "-wal").unlink())):
        with temporary_folder() as folder, Server(f"--data={folder}") as server:
            path = pathlib.Path(folder) / FILE
            sidecar = Sidecar(server)
            sidecar.start("nobody", id="a-1")
            foul(path)
            there = path.exists()
            for i in range(3):
                try:
                    sidecar.start("nobody", id=f"b-{i}")
                    raise harness.Failed(f"a start was acknowledged although it {what}")
                except grpc.RpcError as error:
                    equal(error.code().name, "UNAVAILABLE", "code")
                    contains(error.details(), FILE, what)
            contains(server.await_line("err", "store_failed"), what)
            equal(path.exists(), there, "whether there is a file")
            server.end()


@check("A22.17 without its lock file a directory is still in use: a second server ends at once")
def _():
    with temporary_folder() as folder, Server(f"--data={folder}") as server:
        sidecar = Sidecar(server)
        sidecar.start("nobody", id="a-1")
        (pathlib.Path(folder) / "leasehold.lock").unlink()
        does_not_serve(f"--data={folder}", names=(folder, "in use"))
        sidecar.start("nobody", id="a-2")
        equal(len(sidecar.query()), 2, "orchestrations")


@check("A22.18 while the disk is full, what was stored is read")
def _():
    with disk("size=24m") as folder, Server(f"--data={folder}/data") as server:
        sidecar = Sidecar(server)
        with sidecar.worker(filters={"orchestrations": [{"name": "busy"}]}) as worker:
            sidecar.start("busy", '"in"', id="busy")
            worker.turn().complete()
            filler = fill(folder)
            known = ["busy"] + start_until_full(sidecar, 0)[0]
            for _ in range(20):
                state = sidecar.get("busy")
                equal(state["input"], '"in"', "input")
                ids = {one["instanceId"] for one in sidecar.query()}
                expect(set(known) <= ids, f"not shown: {set(known) - ids}")
                expect(len(sidecar.history("busy")) > 0, "no history")
                listing = harness.leasehold(f"--address={server.address}", "orchestration",
                                            "list")
                equal(listing.code, 0, f"exit code of {listing}")
                time.sleep(0.05)
            filler.unlink()


@check("A22.19 work that is out each time that the server dies ends after --max-deliveries; others "
       "are served")
def _():
    with temporary_folder() as folder:
        flags = (f"--data={folder}", "--max-deliveries=4")
        with Server(*flags) as server:
            Sidecar(server).start("bad", id="bad")
            Sidecar(server).start("good", id="good")
        for round in range(4):
            with Server(*flags) as server:
                sidecar = Sidecar(server)
                equal(sidecar.status("bad"), "PENDING", f"status in round {round}")
                with sidecar.worker(filters={"orchestrations": [{"name": "bad"}]}) as worker:
                    equal(worker.turn().id, "bad", "work")
                    server.end(signal.SIGKILL)
        with Server(*flags) as server:
            sidecar = Sidecar(server)
            wait_until(lambda: sidecar.status("bad") == "FAILED", "the bad one to fail")
            state = sidecar.get("bad")
            contains(str(state["failureDetails"]), "DeliveryLimit", "--max-deliveries")
            with sidecar.worker(filters={"orchestrations": [{"name": "good"}]}) as worker:
                worker.turn().complete(complete(1))
            wait_until(lambda: sidecar.status("good") == "COMPLETED", "the good one to end")


@check("A22.20 page tokens outlive the server; with another filter or another store's server "
       "they are INVALID_ARGUMENT")
def _():
    def ids(page):
        return [state["instanceId"] for state in page]

    with temporary_folder() as folder:
        with Server(f"--data={folder}") as server:
            sidecar = Sidecar(server)
            for i in range(3):
                sidecar.start("nobody", id=f"a-{i}")
            page, token = sidecar.query_page(maxInstanceCount=1)
            equal(ids(page), ["a-0"], "the first page")
            server.end(signal.SIGKILL)
        with Server(f"--data={folder}") as server, Server("--store=memory") as other:
            sidecar = Sidecar(server)
            page, again = sidecar.query_page(maxInstanceCount=1, continuationToken=token)
            equal(ids(page), ["a-1"], "the next page")
            listed = call(server, "leasehold.v1.Orchestration/List",
                          {"page_size": 1, "page_token": again}).message
            equal([s["instance_id"] for s in listed["orchestrations"]], ["a-2"],
                  "the last page, through the other door")
            for query in (dict(instanceIdPrefix="a"), dict(runtimeStatus=["PENDING"])):
                contains(protocol.refused("INVALID_ARGUMENT", sidecar.query_page,
                                          continuationToken=token, **query),
                         "continuationToken")
            contains(protocol.refused("INVALID_ARGUMENT", sidecar.call, "ListInstanceIds",
                                      lastInstanceKey=token), "lastInstanceKey")
            contains(protocol.refused("INVALID_ARGUMENT", Sidecar(other).query_page,
                                      continuationToken=token), "continuationToken")
