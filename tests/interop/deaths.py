"""Servers and workers that are killed while an SDK's program goes on."""

import contextlib
import signal
import subprocess

from harness import Program, Server, equal, expect, temporary_folder, wait_until

DEATHS = 3
OPERATIONS = 15  # Between the server's death and a worker's.
# For a program that starts on a busy machine: a Java virtual machine with little of a core
# needs a minute before its first worker asks for work.
PATIENCE_S = 600


def outlives_its_server(command, env, progress):
    """A program ends well although its server is killed amid its work.

    `command(address)` is its command line. It says `did` for each activity, and `done` at
    its end. `progress`: so many of them are between two deaths; it has more than they need.
    """
    with temporary_folder() as folder, contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(f"--data={folder}"))
        program = stack.enter_context(Program(*command(server.address), env=env))

        def did():
            return program.out.count("did")
        for _ in range(DEATHS):
            wanted = did() + progress
            wait_until(
                lambda: program.ended() or did() >= wanted,
                lambda: f"{wanted} activities; {did()} so far; standard error: "
                        f"{program.err[-3:]}; the server's: {server.err[-6:]}", PATIENCE_S)
            expect("done" not in program.out, "all was over before the server was killed")
            expect(not program.ended(), f"it ended: {program.err[-3:]}")
            server.end(signal.SIGKILL)
            server = stack.enter_context(
                Server(f"--data={folder}", listen=(server.address,)))
        program.await_line("out", "done", PATIENCE_S)
        equal(program.wait(), 0, f"exit code; standard error: {program.err}")


def outlives_both(command, env):
    """A program ends well although its server and its workers, of which there are two,
    are killed by turns.

    `command(address)` is its command line, and `command(address, "worker")` a worker's.
    It goes on for as long as its standard input is open, however fast the machine is, and
    says `done` at its end; they say `did` for each operation.
    """
    with temporary_folder() as folder, contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(f"--data={folder}"))

        def worker():
            return stack.enter_context(Program(
                *command(server.address, "worker"), env=env, stdin=subprocess.PIPE))
        workers = [worker(), worker()]
        program = stack.enter_context(Program(
            *command(server.address), env=env, stdin=subprocess.PIPE))

        def did():
            return sum(one.out.count("did") for one in workers)

        def await_more():
            wanted = did() + OPERATIONS
            wait_until(lambda: program.ended() or did() >= wanted,
                       lambda: f"{OPERATIONS} more operations; {program.err[-3:]}",
                       PATIENCE_S)
            expect(not program.ended(), f"it ended: {program.err}")
        for _ in range(DEATHS):
            await_more()
            server.end(signal.SIGKILL)
            server = stack.enter_context(
                Server(f"--data={folder}", listen=(server.address,)))
            await_more()
            workers.pop(0).end(signal.SIGKILL)
            workers.append(worker())
        program.process.stdin.close()
        program.await_line("out", "done", PATIENCE_S)
        equal(program.wait(), 0, f"exit code; standard error: {program.err}")
