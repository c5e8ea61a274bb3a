"""A47: tokens, as the command line brings them: from files that may change, by contexts."""

import contextlib
import fcntl
import os
import shutil
import signal

import documents
import harness
from certificates import guide_commands, guide_lines, in_shell, with_paths
from harness import (Program, Server, check, contains, equal, expect, leasehold,
                     temporary_folder, wait_until)
from policies import Guarded
from secured import Secured

COMMANDS = (["echo", "Apple", "--id=room-1"], ["instances", "list"],
            ["orchestration", "list"], ["entity", "list"])


@check("A47.1 with its token, every command gets through; without it none")
def _():
    with Secured() as server:
        for command in COMMANDS:
            found = leasehold(*server.access, f"--token-file={server.token_path}", *command)
            equal(found.code, 0, f"exit code of {found}")
            stranger = leasehold(*server.access, *command)
            equal(stranger.code, 1, f"exit code of {stranger}")
            contains(stranger.err, "UNAUTHENTICATED")


@check("A47.2 a context of the config file, or the environment, names the token's file")
def _():
    with Secured() as server:
        config = f"{server.folder}/config"
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"[contexts.shop]\naddress={server.address}\nca={server.ca}\n"
                       f"token-file={os.path.basename(server.token_path)}\n"
                       "[contexts.nobody]\naddress=127.0.0.1:1\n")
        chosen = leasehold("--context=shop", "instances", "list",
                           env={"LEASEHOLD_CONFIG": config})
        equal(chosen.code, 0, f"exit code of {chosen}")
        used = leasehold(f"--config={config}", "context", "use", "shop")
        equal(used.code, 0, f"exit code of {used}")
        usual = leasehold(f"--config={config}", "instances", "list")
        equal(usual.code, 0, f"exit code of {usual}")
        by_environment = leasehold("instances", "list", env={
            "LEASEHOLD_ADDRESS": server.address, **server.environment})
        equal(by_environment.code, 0, f"exit code of {by_environment}")
        missed = leasehold(f"--config={config}", "--context=shopp", "instances", "list")
        equal(missed.code, 2, f"exit code of {missed}")
        contains(missed.err, 'there is no context "shopp"', "are nobody, shop")


@check("A47.3 a stream whose token is revoked goes on with the one that is in the file")
def _():
    with Secured() as server:
        kept = server.write_token("kept.token", server.new_token("shop"))
        server.reload()

        def touch(name):
            found = leasehold(*server.access, f"--token-file={kept}", "echo", "x",
                              f"--id={name}")
            equal(found.code, 0, f"exit code of {found}")

        with Program(harness.clients / "leasehold", *server.access,
                     f"--token-file={server.token_path}", "instances", "watch") as watch:
            touch("before")
            watch.await_line("out", "before")
            with open(kept, encoding="ascii") as file:
                server.write_token("shop.token", file.read().strip())
            server.revoke(server.tokens["shop"])
            watch.await_line("err", "UNAUTHENTICATED")
            touch("after")
            watch.await_line("out", "after")
            watch.send_signal(signal.SIGINT)
            equal(watch.wait(), 0, f"exit code; standard error: {watch.err}")


@contextlib.contextmanager
def joined(server):
    """`leasehold join` with the token, which has heard of an echo."""
    with Program(harness.clients / "leasehold", *server.access,
                 f"--token-file={server.token_path}", "join", "room-1") as reader:
        reader.await_line("out", "Joined")
        spoken = leasehold(*server.access, f"--token-file={server.token_path}", "echo",
                           "Apple", "--id=room-1")
        equal(spoken.code, 0, f"exit code of {spoken}")
        reader.await_line("out", "Apple")
        yield reader


@check("A47.4 once the file is gone and its token revoked, the error says both")
def _():
    with Secured() as server, joined(server) as reader:
        os.remove(server.token_path)
        server.revoke(server.tokens["shop"])
        equal(reader.wait(), 1, f"exit code; standard error: {reader.err}")
        contains("\n".join(reader.err), "UNAUTHENTICATED",
                 f"{server.token_path}: is not a file any more")


@check("A47.5 from a token to a context, as the guide on security says")
def _():
    with temporary_folder() as folder:
        guide_commands(folder)
        with open(f"{folder}/policy.json", "w", encoding="utf-8") as file:
            file.write(documents.block("security.md", "json", '{\n  "tenants"'))
        make_file, make_token, serve, _ = guide_lines("touch tokens")
        in_shell(folder, [make_file, make_token])
        with Server(*with_paths(serve, folder)[1:]) as server:
            said = in_shell(folder, guide_lines("leasehold --ca=ca.pem --token-file"),
                            {"LEASEHOLD_ADDRESS": server.address})
        equal(said.count("room-1"), 2, f"how often it was shown in {said}")


@check("A47.6 what other users of the machine can read of a client names no token")
def _():
    with Secured() as server, joined(server) as reader:
        token = server.tokens["shop"]
        secret = token.removeprefix(f"lh_{server.id_of(token)}_")
        with open(f"/proc/{reader.pid}/cmdline", encoding="utf-8") as file:
            expect(secret not in file.read(), "the token is in the arguments")
        said = "\n".join([*reader.out, *reader.err, *server.server.err])
        expect(secret not in said, "the token was said")


@check("A47.7 commands that change the token file take turns, whatever becomes of the policy")
def _():
    with Guarded(shop="acme: user") as server:
        lock = os.path.join(server.folder, "tokens.lock")
        mark = f":{os.stat(lock).st_ino} "

        def waiting():
            with open("/proc/locks", encoding="ascii") as locks:
                return sum("->" in line and mark in line for line in locks)

        def others():
            return (Program(harness.programs / "leasehold-server", "token", "new",
                            f"--policy={server.path}", "--identity=shop") for _ in range(3))

        with contextlib.ExitStack() as stack, open(lock, encoding="ascii") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            made = []
            for other in others():
                made.append(stack.enter_context(other))
                wait_until(lambda: waiting() == len(made), "a command that waits")
                # As editors and configuration tools do it: another file.
                shutil.copy(server.path, f"{server.path}.new")
                os.replace(f"{server.path}.new", server.path)
            equal(len(server.token_command("list").out.splitlines()), 1, "tokens")
            fcntl.flock(held, fcntl.LOCK_UN)
            for other in made:
                equal(other.wait(), 0, "exit code")
        equal(len(server.token_command("list").out.splitlines()), 4, "tokens")
