"""A16: client and server on machines of their own, as the guide on operations says.

Two network namespaces stand for the machines, joined by a virtual cable. Needs to be
root; says so if it is not.
"""

import contextlib
import json
import os

import documents
import harness
from certificates import guide_commands, with_paths
from harness import Program, check, contains, equal, expect

IP = "/usr/sbin/ip"
SERVER, CLIENT = "10.66.0.1", "10.66.0.2"
# How the commands begin in the guide.
BEGINS = {"leasehold-server": "leasehold-server --listen=192.168.1.10",
          "leasehold": "leasehold --address=192.168.1.10"}


def ip(*args):
    result = harness.run(IP, *args)
    equal(result.code, 0, f"exit code of {result} (this needs to be root)")


@contextlib.contextmanager
def two_machines():
    """(how to start a program on the server's machine, the same on the client's)."""
    expect(os.path.exists(IP), f"the tool ip is missing: {IP}; `./dev test` installs it")
    names = [f"leasehold-{os.getpid()}-{i}" for i in (0, 1)]
    with contextlib.ExitStack() as stack:
        for name in names:
            ip("netns", "add", name)
            stack.callback(harness.run, IP, "netns", "delete", name)
        cable = f"lh{os.getpid()}"
        ip("link", "add", cable, "netns", names[0], "type", "veth", "peer", "name",
           cable, "netns", names[1])
        for name, address in zip(names, (SERVER, CLIENT)):
            ip("-n", name, "address", "add", f"{address}/24", "dev", cable)
            ip("-n", name, "link", "set", cable, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield [[IP, "netns", "exec", name] for name in names]


def guide_command(program, folder):
    """The guide's command of that program: its arguments, with files in `folder`."""
    [line] = documents.command_lines("operations.md", "", BEGINS[program])
    return with_paths(line.replace("192.168.1.10", SERVER), folder)[1:]


@contextlib.contextmanager
def served(there):
    """(the server; a call of the command line from a machine; its flags, to share)."""
    with harness.temporary_folder() as folder:
        guide_commands(folder, SERVER)
        flags = guide_command("leasehold-server", folder)
        shared = [f for f in guide_command("leasehold", folder) if f.startswith("--")
                  and not f.startswith("--id=")]
        with Program(*there, harness.programs / "leasehold-server", *flags,
                     "--console") as server:
            server.await_line("err", "listening")
            yield server, folder, shared


def leasehold(there, *arguments):
    return harness.run(*there, harness.clients / "leasehold", *arguments)


@check("A16.1 the guide's two commands share an instance across machines")
def _():
    with two_machines() as (there, here), served(there) as (server, folder, shared):
        result = leasehold(here, *guide_command("leasehold", folder))
        equal(result.code, 0, f"exit code of {result}")
        contains(result.out, "Apple")
        local = leasehold(there, *shared, "echo", "Pear", "--id=room-1",
                          "--output=json")
        equal(local.code, 0, f"exit code of {local}")
        equal(json.loads(local.out)["sequence"], 2, "sequence on the other machine")
        plain = leasehold(here, f"--address={SERVER}:4001", "echo", "Apple")
        equal(plain.code, 4, f"exit code of {plain}")
        server.end()


@check("A16.2 without TLS or --insecure it does not listen beyond its machine")
def _():
    with two_machines() as (there, here):
        listen = f"--listen={SERVER}:4001"
        result = harness.run(*there, harness.programs / "leasehold-server", listen)
        equal(result.code, 2, f"exit code of {result}")
        contains(result.err, "--insecure")
        with Program(*there, harness.programs / "leasehold-server", listen,
                     "--insecure") as server:
            server.await_line("err", "listening")
            result = leasehold(here, f"--address={SERVER}:4001", "echo", "Apple")
            equal(result.code, 0, f"exit code of {result}")
            server.end()


@check("A16.3 by default no other machine reaches it")
def _():
    with two_machines() as (there, here):
        with Program(*there, harness.programs / "leasehold-server") as server:
            server.await_line("err", "listening")
            result = leasehold(here, f"--address={SERVER}:4001", "echo", "Apple")
            equal(result.code, 4, f"exit code of {result}")
            contains(result.err, "UNAVAILABLE")
            server.end()


@check("A16.4 a cable that is pulled and put back breaks no call that waits for it")
def _():
    with two_machines() as (there, here), served(there) as (server, _, shared):
        name = there[-1]
        with Program(*here, harness.clients / "leasehold", *shared, "join",
                     "room-1") as joined:
            joined.await_line("out", "Joined room-1")
            cable = f"lh{os.getpid()}"
            ip("-n", name, "link", "set", cable, "down")
            spoken = leasehold(there, *shared, "echo", "Kiwi", "--id=room-1")
            equal(spoken.code, 0, f"exit code of {spoken}")
            expect("Kiwi" not in "\n".join(joined.out), "heard through no cable")
            ip("-n", name, "link", "set", cable, "up")
            contains(joined.await_line("out", "Kiwi"), "1 ")
        server.end()
