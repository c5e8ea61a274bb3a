"""A65: `leasehold-server backup` while it serves, and `restore`.

What befalls both under load, and at random moments: `../crash/backups.py`. Programs
are killed here at a place that does not depend on time: by the kernel, when a file
grows beyond a size (SIGXFSZ), which no program of ours heeds.
"""

import hashlib
import pathlib
import re
import shutil
import signal

import grpc

import harness
from harness import (Program, Server, check, contains, equal, expect, run,
                     temporary_folder)
from sidecar import Sidecar, complete
from stores import disk

NAME = re.compile(r"leasehold-\d{8}T\d{6}Z(-\d+)?")


def command(*args, **options):
    return run(harness.programs / "leasehold-server", *args, **options)


def killed_beyond(size, *args):
    """The command, killed when it has written a file of `size` bytes and goes on."""
    result = run("/usr/bin/prlimit", "--core=0", f"--fsize={size}",
                 harness.programs / "leasehold-server", *args)
    equal(result.code, -signal.SIGXFSZ, f"exit code of {result}")


def backed_up(data, to):
    """The folder of a new backup."""
    result = command("backup", f"--data={data}", f"--to={to}")
    equal(result.code, 0, f"exit code of {result}")
    equal(result.err, "", f"standard error of {result}")
    path = pathlib.Path(result.out.removesuffix("\n"))
    equal(path.parent, pathlib.Path(to), "its folder")
    expect(NAME.fullmatch(path.name), f"its name: {path.name}")
    return path


def fails(code, *args, names=()):
    """The command says why, in one line."""
    result = command(*args)
    equal(result.code, code, f"exit code of {result}")
    equal(result.out, "", f"standard output of {result}")
    equal(len(result.err.splitlines()), 1, f"lines of {result}")
    contains(result.err, f"leasehold-server {args[0]}: ", *map(str, names))


def restored(backup, data, *flags):
    result = command("restore", f"--from={backup}", f"--data={data}", *flags)
    equal(result.code, 0, f"exit code of {result}")
    contains(result.out, "restored: the backup was made at ")
    return result


def serving(server, count, begin=0):
    """Has the server run so many orchestrations; their ids."""
    sidecar = Sidecar(server)
    ids = [sidecar.start("Ping", '"' + "x" * 10_000 + '"', id=f"a-{i}")
           for i in range(begin, begin + count)]
    for id in ids:
        equal(sidecar.wait_for_completion(id)["orchestrationStatus"], "COMPLETED", id)
    return ids


def ids_in(data):
    with Server(f"--data={data}") as server:
        ids = {state["instanceId"] for state in Sidecar(server).query()}
        equal(server.end(), 0, "exit code")
    return ids


def no_builtin():
    if not harness.builtin:
        raise harness.NotRun("the server has no worker of its own")


@check("A65.1 a backup is made while the server serves, and prints its folder; a server on what is "
       "restored has everything, with equal histories, and the first goes on")
def _():
    no_builtin()
    with temporary_folder() as folder, Server(f"--data={folder}/data") as server:
        ids = serving(server, 20)
        sidecar = Sidecar(server)
        sidecar.start("nobody", '"waits"', id="open")
        path = backed_up(f"{folder}/data", f"{folder}/backups")
        more = serving(server, 5, begin=100)
        restored(path, f"{folder}/other")
        with Server(f"--data={folder}/other") as other:
            restored_sidecar = Sidecar(other)
            found = {state["instanceId"] for state in restored_sidecar.query()}
            equal(found, {*ids, "open"}, "orchestrations")
            for id in (ids[0], ids[-1], "open"):
                equal(restored_sidecar.get(id), sidecar.get(id), f"state of {id}")
                equal([str(event) for event in restored_sidecar.history(id)],
                      [str(event) for event in sidecar.history(id)], f"history of {id}")
            serving(other, 2, begin=200)
        equal(server.end(), 0, "exit code")
        equal(ids_in(f"{folder}/data"), {*ids, *more, "open"}, "orchestrations of the first")


@check("A65.2 the manifest names each file with its size and SHA-256; all of it is for its user alone")
def _():
    with temporary_folder() as folder:
        with Server(f"--data={folder}/data") as server:
            Sidecar(server).start("nobody", id="a")
            equal(command("url-keys", "rotate", f"--data={folder}/data").code, 0, "exit code")
            path = backed_up(f"{folder}/data", f"{folder}/backups")
        lines = (path / "MANIFEST").read_text().splitlines()
        equal(lines[0], "leasehold-backup 1", "first line")
        files = {name: (int(size), sum) for size, sum, name in
                 (line.split()[1:] for line in lines if line.startswith("file "))}
        equal(set(files), {"leasehold.db", "capability-keys"}, "files")
        for name, (size, sum) in files.items():
            content = (path / name).read_bytes()
            equal((len(content), hashlib.sha256(content).hexdigest()), (size, sum), name)
        equal({entry.name for entry in path.iterdir()}, {*files, "MANIFEST"}, "entries")
        for entry in (path.parent, path, *path.iterdir()):
            equal(entry.stat().st_mode & 0o077, 0, f"what others may with {entry}")
        restored(path, f"{folder}/other")
        equal(pathlib.Path(folder, "other/capability-keys").read_bytes(),
              (path / "capability-keys").read_bytes(), "keys")


@check("A65.3 a backup that is killed at any size leaves nothing that looks like one; the server "
       "does not mind, and the next backup clears it away")
def _():
    with temporary_folder() as folder, Server(f"--data={folder}/data") as server:
        sidecar = Sidecar(server)
        ids = {sidecar.start("nobody", "x" * 50_000, id=f"a-{i}") for i in range(40)}
        to = pathlib.Path(folder, "backups")
        arguments = (f"--data={folder}/data", f"--to={to}")
        size = (backed_up(f"{folder}/data", to) / "leasehold.db").stat().st_size
        expect(size > 2_000_000, f"only {size} bytes")
        shutil.rmtree(to)
        for limit in (0, 4096, size // 3, size // 2, size - 4096):
            killed_beyond(limit, "backup", *arguments)
            left = list(to.iterdir())
            equal([path.suffix for path in left], [".partial"], f"suffixes of {left}")
            expect(not (left[0] / "MANIFEST").exists(), "there is a manifest")
            fails(2, "restore", f"--from={left[0]}", f"--data={folder}/other",
                  names=("not a backup",))
            ids.add(sidecar.start("nobody", id=f"b-{limit}"))
        path = backed_up(f"{folder}/data", to)
        equal(list(to.iterdir()), [path], "what is there")
        restored(path, f"{folder}/other")
        equal(ids_in(f"{folder}/other"), ids, "orchestrations")


@check("A65.4 a restore refuses a directory that a server has, or that is not empty; --replace keeps "
       "what was there")
def _():
    with temporary_folder() as folder:
        data = f"{folder}/data"
        with Server(f"--data={data}") as server:
            sidecar = Sidecar(server)
            sidecar.start("nobody", id="a")
            path = backed_up(data, f"{folder}/backups")
            sidecar.start("nobody", id="b")
            for flags in ((), ("--replace",)):
                fails(2, "restore", f"--from={path}", f"--data={data}", *flags,
                      names=(data, "in use by process", server.pid))
            sidecar.start("nobody", id="c")
            server.end(signal.SIGKILL)
        fails(2, "restore", f"--from={path}", f"--data={data}", names=(data, "--replace"))
        fails(2, "restore", f"--from={path}", f"--data={path.parent}", "--replace",
              names=("not a data directory",))
        result = restored(path, data, "--replace")
        equal(ids_in(data), {"a"}, "orchestrations")
        former, = pathlib.Path(data).glob("replaced-*")
        contains(result.out, str(former))
        equal(ids_in(former), {"a", "b", "c"}, "orchestrations of the former directory")


@check("A65.5 a restore that is killed at any size leaves the former state, and can be run again")
def _():
    with temporary_folder() as folder:
        data = f"{folder}/data"
        with Server(f"--data={data}") as server:
            sidecar = Sidecar(server)
            for i in range(40):
                sidecar.start("nobody", "x" * 50_000, id=f"a-{i}")
            path = backed_up(data, f"{folder}/backups")
            sidecar.start("nobody", id="later")
            equal(server.end(), 0, "exit code")
        size = (path / "leasehold.db").stat().st_size
        arguments = ("restore", f"--from={path}", f"--data={data}", "--replace")
        for limit in (100, size // 2, size - 4096):
            killed_beyond(limit, *arguments)
            expect("later" in ids_in(data), "the former state is gone")
        equal(command(*arguments).code, 0, "exit code")
        equal(ids_in(data), {f"a-{i}" for i in range(40)}, "orchestrations")
        expect(not list(pathlib.Path(data).glob("restore.*")), "something is left")


@check("A65.6 a backup that was changed or is not complete is refused, with the file; nothing is "
       "restored of it")
def _():
    with temporary_folder() as folder:
        with Server(f"--data={folder}/data") as server:
            Sidecar(server).start("nobody", id="a")
            path = backed_up(f"{folder}/data", f"{folder}/backups")
        arguments = ("restore", f"--from={path}", f"--data={folder}/other")
        for name in ("leasehold.db", "MANIFEST"):
            whole = (path / name).read_bytes()
            changed = bytearray(whole)
            changed[len(whole) // 2] ^= 1
            for content in (bytes(changed), whole[:-1], b""):
                (path / name).write_bytes(content)
                fails(1, *arguments, names=(path / name, "use another backup"))
            (path / name).write_bytes(whole)
        (path / "leasehold.db").rename(path / "moved")
        fails(1, *arguments, names=(path / "leasehold.db", "missing"))
        (path / "moved").rename(path / "leasehold.db")
        fails(2, "restore", f"--from={path.parent}", f"--data={folder}/other",
              names=("the newest is", path))
        fails(2, "restore", f"--from={folder}/none", f"--data={folder}/other",
              names=("not a backup",))
        restored(path, f"{folder}/other")
        equal(ids_in(f"{folder}/other"), {"a"}, "orchestrations")


@check("A65.7 what cannot be backed up, or not there, is said in one line: exit code 2 if it is the "
       "wrong directory, 1 if it cannot be read or written")
def _():
    with temporary_folder() as folder, Server(f"--data={folder}/data") as server:
        Sidecar(server).start("nobody", "x" * 500_000, id="a")
        data, to = f"--data={folder}/data", f"--to={folder}/backups"
        fails(2, "backup", f"--data={folder}", to, names=(f"{folder}/leasehold.db",))
        fails(2, "backup", data, f"--to={folder}/data/backups", names=("somewhere else",))
        fails(2, "backup", data, names=("--to",))
        fails(2, "backup", data, to, "--now", names=("--now",))
        pathlib.Path(folder, "file").write_text("")
        fails(1, "backup", data, f"--to={folder}/file/backups", names=(f"{folder}/file",))
        equal(sorted(entry.name for entry in pathlib.Path(folder).iterdir()),
              ["data", "file"], "what is there")
        with disk("size=256k") as small:
            fails(1, "backup", data, f"--to={small}/backups", names=("too full", small))
            equal(list(pathlib.Path(small, "backups").iterdir()), [], "what is left")
        with disk("ro") as read_only:
            fails(1, "backup", data, f"--to={read_only}/backups",
                  names=(read_only, "Read-only"))
        path = backed_up(f"{folder}/data", f"{folder}/backups")
        with disk("size=256k") as small:
            fails(1, "restore", f"--from={path}", f"--data={small}/data",
                  names=("No space left", small))
            equal([entry.name for entry in pathlib.Path(small, "data").iterdir()],
                  ["leasehold.lock"], "what is left")


@check("A65.8 after a restore work goes out again, answers of before are refused, and generations go "
       "on beyond all that there were")
def _():
    with temporary_folder() as folder:
        data = f"{folder}/data"
        with Server(f"--data={data}") as server:
            sidecar = Sidecar(server)
            with sidecar.worker() as worker:
                sidecar.start("program", id="a")
                token = worker.turn().token
                path = backed_up(data, f"{folder}/backups")
            generation = server.connect().echo("room").generation
            server.end(signal.SIGKILL)
        for _ in range(3):  # Each start takes many generations.
            with Server(f"--data={data}") as server:
                generation = server.connect().echo("room").generation
                server.end(signal.SIGKILL)
        restored(path, data, "--replace")
        with Server(f"--data={data}") as server:
            expect(server.connect().echo("room").generation > generation,
                   f"a generation that is not above {generation}")
            sidecar = Sidecar(server)
            with sidecar.worker() as worker:
                turn = worker.turn()
                expect(turn.token != token, "the same token")
                try:
                    turn.complete(complete(1, '"of before"'), token=token)
                except grpc.RpcError as error:
                    equal(error.code().name, "NOT_FOUND", f"code of {error.details()!r}")
                expect(sidecar.status("a") != "COMPLETED", "the answer was taken")
                turn.complete(complete(1, '"of now"'))
                equal(sidecar.wait_for_completion("a")["output"], '"of now"', "output")


@check("A65.9 servers are started while backups are made, one after the other: all start, and all "
       "backups are whole")
def _():
    with temporary_folder() as folder:
        data = f"{folder}/data"
        ids = set()
        with Server(f"--data={data}") as server:
            sidecar = Sidecar(server)
            for i in range(20):
                ids.add(sidecar.start("nobody", "x" * 200_000, id=f"a-{i}"))
            server.end(signal.SIGKILL)
        for i in range(3):
            with Program(harness.programs / "leasehold-server", "backup", f"--data={data}",
                         f"--to={folder}/backups") as backup:
                with Server(f"--data={data}") as server:
                    equal(backup.wait(), 0, f"exit code of the backup: {backup.err}")
                    server.end(signal.SIGKILL)
            restored(backup.out[0], f"{folder}/other-{i}")
            equal(ids_in(f"{folder}/other-{i}"), ids, "orchestrations")


@check("A65.10 both commands are in --help's words, the manual and the completions")
def _():
    with temporary_folder() as folder:
        equal(command("man", folder).code, 0, "exit code")
        for name, options in (("backup", ("--to", "--data")),
                              ("restore", ("--from", "--data", "--replace"))):
            page = pathlib.Path(folder, f"leasehold-server-{name}.8")
            contains(page.read_text().replace("\\-", "-"), *options)
            contains(command(name, "--help").out, *options)
            for shell in ("bash", "zsh", "fish"):
                contains(command("completion", shell).out, name)
