"""A51: what is erased when: --retention, and `leasehold orchestration purge`."""

import json
import os
import pathlib
import signal

from harness import (Server, check, contains, equal, expect, refused, temporary_folder,
                     wait_until)
from instance_commands import failed
from orchestration_commands import Terminal, command, row, rows, text
from policies import Guarded
from sidecar import Sidecar

START = "leasehold.v1.Orchestration/Start"
GET = "leasehold.v1.Orchestration/Get"
COMPLETED = 4  # Of leasehold.v1.OrchestrationState.
BY_STATUS = "--retention=completed=1s,failed=1h"


def ids(server, *args):
    return [one["instance_id"] for one in rows(server, "list", *args)]


def run(server, *given, name="Ping", **more):
    for one in given:
        rows(server, "start", name, f"--id={one}", "--wait", **more)


def fail(server, *given):
    """Runs some that fail: Ping's neighbour wants a list of texts."""
    for one in given:
        command(server, "start", "EchoSequence", f"--id={one}", "--input={}", "--wait")


def await_only(server, *wanted):
    wait_until(lambda: ids(server) == list(wanted) or None, f"only {wanted} to be left")


# ---- Retention ---------------------------------------------------------------

@check("A51.1 what has ended stays; with --retention it goes, also after a restart")
def _():
    with temporary_folder() as folder:
        with Server(f"--data={folder}") as server:
            run(server, "a", "b")
            equal(ids(server), ["a", "b"], "IDs")
        with Server(f"--data={folder}", "--retention=1h") as server:
            equal(ids(server), ["a", "b"], "IDs after a restart")
        with Server(f"--data={folder}", "--retention=1s") as server:
            await_only(server)
            contains(server.await_line("err", "retention_erased"), "INFO", "count=2")
        with Server(f"--data={folder}") as server:
            equal(ids(server), [], "IDs in the end")


@check("A51.2 each status has its own age, and what has not ended stays")
def _():
    with Server("--store=memory", BY_STATUS) as server:
        fail(server, "failed")
        rows(server, "start", "Counter", "--id=open", "--input=0")
        rows(server, "start", "Ping", "--id=later", "--at=+1h")
        run(server, "done", "done-2")
        await_only(server, "failed", "open", "later")
        equal(row(server, "status", "open")["status"], "RUNNING", "status")
        # Its ID is free again.
        run(server, "done")


@check("A51.3 sub-orchestrations are judged by their own ends")
def _():
    with Server("--store=memory", BY_STATUS) as server:
        run(server, "fan", name="FanOutEcho")
        expect(len(ids(server)) > 1, "it has sub-orchestrations")
        await_only(server)


@check("A51.4 it works in every tenant, whoever is in the policy")
def _():
    with temporary_folder() as folder:
        data = f"--data={folder}"
        with Guarded(data, acme="acme: user", globex="globex: user") as server:
            for name in ("acme", "globex"):
                caller = server.as_(name)
                caller.call(START, name="Ping", instance_id="a")
                wait_until(lambda: caller.call(GET, instance_id="a").status == COMPLETED,
                           "its end")
        with Guarded(data, "--retention=1s", globex="globex: user") as server:
            globex = server.as_("globex")
            wait_until(lambda: globex.code(GET, instance_id="a") == "NOT_FOUND",
                       "its erasure")
            contains(server.server.await_line("err", "retention_erased"), "count=2")


@check("A51.5 the rules change with the config file, and SIGHUP")
def _():
    with temporary_folder() as folder:
        config = pathlib.Path(folder, "leasehold.conf")
        config.write_text("retention = 7d\n")
        with Server("--store=memory", f"--config={config}") as server:
            run(server, "a")
            config.write_text('retention = "failed=30d,completed=1s"\n')
            server.send_signal(signal.SIGHUP)
            contains(server.await_line("err", "config_read"),
                     'retention="completed=1s,failed=720h"')
            await_only(server)


@check("A51.6 hundreds go while calls and starts go on without an error")
def _():
    with temporary_folder() as folder:
        data = f"--data={folder}"
        with Server(data) as server:
            sidecar = Sidecar(server)
            for number in range(600):
                sidecar.start("Ping", id=f"old-{number}")
        with Server(data, "--retention=1s") as server:
            connection = server.connect()
            calls = 0
            while not any("retention_erased" in line for line in server.err):
                answer = connection.echo("a")
                equal((answer.code, answer.sequence), ("OK", calls + 1), "an echo")
                calls += 1
                if calls % 50 == 0:
                    rows(server, "start", "Counter", f"--id=new-{calls}", "--input=0")
            await_only(server, *(f"new-{n}" for n in range(50, calls + 1, 50)))


@check("A51.7 rules that are none are refused, and say what would be right")
def _():
    for value, why in (("0", "such as 12h or 7d, or off"), ("7", "with its unit"),
                       ("-7d", "above zero"), ("running=1d", "completed, failed, terminated"),
                       ("completed", "above zero"), ("1d,2d", "twice"),
                       ("failed=1d,failed=2d", "twice"), ("7d;failed=1d", "names no status")):
        refused(f"--retention={value}", names=("--retention: ", why))


# ---- purge -------------------------------------------------------------------

@check("A51.8 `purge --dry-run` counts, shows the first IDs, and erases nothing")
def _():
    with Server("--store=memory") as server:
        many = [f"a-{n:02}" for n in range(12)]
        run(server, *many, "b")
        fail(server, "a-failed")
        rows(server, "start", "Counter", "--id=a-open", "--input=0")
        equal(row(server, "purge", "--id-prefix=a-", "--dry-run"),
              {"would_purge": 13, "first_ids": many[:10]}, "dry run")
        equal(text(server, "purge", "--status=failed", "--dry-run"),
              "Would purge 1 orchestration:\na-failed\n", "dry run")
        equal(text(server, "purge", "b", "--dry-run"),
              "Would purge 1 orchestration:\nb\n", "dry run")
        failed(command(server, "purge", "a-open", "--dry-run"), "FAILED_PRECONDITION",
               "RUNNING")
        failed(command(server, "purge", "none", "--dry-run"), "NOT_FOUND", "none")
        equal(len(ids(server)), 15, "orchestrations")
        equal(row(server, "purge", "--id-prefix=a-"), {"purged": 13}, "purge")
        equal(ids(server), ["b", "a-open"], "IDs")


@check("A51.9 a filter that can match nothing is a mistake, not an empty answer")
def _():
    with Server("--store=memory") as server:
        for args, why in ((["--status=running"], "completed, failed and terminated"),
                          (["--created-from=-1h", "--created-to=-2h"], "is later than")):
            result = command(server, "purge", *args)
            equal((result.code, result.out), (2, ""), f"{result}")
            contains(result.err, "nothing can match", why)


@check("A51.10 on a terminal `purge --all` asks, and erases only after a yes")
def _():
    with Server("--store=memory") as server:
        run(server, "a", "b")
        for answer, left in (("\n", 2), ("n\n", 2), ("yes\n", 0)):
            with Terminal(server, "purge", "--all") as terminal:
                wait_until(lambda: "[y/N]" in terminal.text(), "the question")
                contains(terminal.text(), "Purge all 2 orchestrations that have ended?")
                os.write(terminal.master, answer.encode())
                equal(terminal.program.wait(), 1 if left else 0, "exit code")
                contains(terminal.text(),
                         "nothing was purged" if left else "Purged 2 orchestrations.")
            equal(len(ids(server)), left, "orchestrations")
        run(server, "a")
        with Terminal(server, "purge", "--all", "--yes") as terminal:
            equal(terminal.program.wait(), 0, "exit code")
            expect("[y/N]" not in terminal.text(), "it asked")
        # Nobody is there to be asked.
        run(server, "a")
        equal(json.loads(command(server, "purge", "--all").out), {"purged": 1}, "purge")
