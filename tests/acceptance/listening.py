"""A2: where the server listens."""

import os
import signal
import socket

import harness
from harness import (Server, check, contains, equal, expect, grpcurl, leasehold,
                     refused, temporary_folder)

DEFAULT_PORT = 4001


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def is_free(host, port):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((host, port))
            s.listen()
            return True
        except OSError:
            return False


@check("A2.1 --print-address prints a line a listener, with the port that was taken")
def _():
    with temporary_folder() as folder:
        where = ["127.0.0.1:0", "127.0.0.1:0", f"unix:{folder}/x.sock"]
        if has_ipv6():
            where.append("[::1]:0")
        with Server(listen=where) as server:
            found = server.addresses()
        equal(len(found), len(where), f"addresses {found}")
        for asked, got in zip(where, found):
            contains(got, asked.removesuffix(":0"))
            expect(not got.endswith(":0"), f"{got} has no port")


@check("A2.2 every listener serves, and one ID means one instance over all of them")
def _():
    with temporary_folder() as folder:
        where = ["127.0.0.1:0", "localhost:0", f"unix:{folder}/x.sock"]
        if has_ipv6():
            where.append("[::1]:0")
        with Server(listen=where) as server:
            for count, address in enumerate(server.addresses(), 1):
                result = leasehold(f"--address={address}", "--output=json", "echo",
                                   "Apple", "--id=room-1")
                equal(result.code, 0, f"exit code of {result}")
                contains(result.out, f'"sequence":{count},')
            flag = ["-unix"] if server.addresses()[2].startswith("unix:") else []
            result = grpcurl(*flag, f"{folder}/x.sock", "list")
            contains(result.out, "leasehold.v1.Echo")


@check("A2.3 without --listen it is 127.0.0.1:4001 and [::1]:4001, where the command "
       "line looks for it")
def _():
    # Somebody else's server may be there; then the addresses are in the complaint.
    hosts = ["127.0.0.1"] + (["::1"] if has_ipv6() else [])
    free = {host: is_free(host, DEFAULT_PORT) for host in hosts}
    if all(free.values()):
        with Server(listen=()) as server:
            wanted = ["127.0.0.1:4001"] + (["[::1]:4001"] if has_ipv6() else [])
            for address in wanted:
                server.await_line("out", f"address={address}")
            if not has_ipv6():
                server.await_line("err", "no_ipv6")
            equal(leasehold("echo", "Apple").code, 0, "leasehold echo")
    else:
        taken = [f"[{h}]:4001" if ":" in h else f"{h}:4001"
                 for h in hosts if not free[h]]
        complaint = refused("--print-address")
        expect(any(t in complaint for t in taken), f"{taken} not in {complaint!r}")


@check("A2.4 a port in use: exit code 2, and one line that names the address")
def _():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused(f"--listen=127.0.0.1:{port}",
                names=(f"127.0.0.1:{port}", "Address already in use"))


@check("A2.5 a second server on the port ends with exit code 2; the first one serves on")
def _():
    with Server() as server:
        refused(f"--listen={server.address}", names=(server.address, "in use"))
        server.lives()


@check("A2.6 one address of several in use: the server does not start at all")
def _():
    with Server() as server, temporary_folder() as folder:
        refused(f"--listen=unix:{folder}/x.sock", f"--listen={server.address}",
                "--print-address", names=(server.address,))
        expect(not os.path.exists(f"{folder}/x.sock"), "left its socket behind")


@check("A2.7 a Unix socket in use: exit code 2; the first server keeps its socket")
def _():
    with temporary_folder() as folder:
        where = f"unix:{folder}/x.sock"
        with Server(listen=[where]) as server:
            refused(f"--listen={where}", names=(where, "another server"))
            server.lives()


@check("A2.8 a Unix socket that a killed server left behind is taken over")
def _():
    with temporary_folder() as folder:
        where = f"unix:{folder}/x.sock"
        with Server(listen=[where]) as server:
            equal(server.end(signal.SIGKILL), -signal.SIGKILL, "exit code")
            expect(os.path.exists(f"{folder}/x.sock"), "no socket was left")
        with Server(listen=[where]) as server:
            server.lives()


@check("A2.9 a file that is not a socket is never replaced: exit code 2")
def _():
    with temporary_folder() as folder:
        path = os.path.join(folder, "precious")
        with open(path, "w", encoding="utf-8") as file:
            file.write("mine")
        refused(f"--listen=unix:{path}", names=(path, "not a socket"))
        with open(path, encoding="utf-8") as file:
            equal(file.read(), "mine", "the file")


@check("A2.10 a Unix socket in a folder that does not exist: exit code 2")
def _():
    with temporary_folder() as folder:
        refused(f"--listen=unix:{folder}/none/x.sock",
                names=(f"{folder}/none/x.sock", "No such file"))


@check("A2.11 an address beyond this machine needs --insecure, and serves with it")
def _():
    for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:0"):
        refused(f"--listen={address}", names=(address, "--insecure"))
    with Server("--insecure", listen=["0.0.0.0:0"]) as server:
        port = server.address.rsplit(":", 1)[1]
        result = leasehold(f"--address=127.0.0.1:{port}", "echo", "Apple")
        equal(result.code, 0, f"exit code of {result}")


@check("A2.12 loopback needs no --insecure, by number or by name")
def _():
    for address in ("127.0.0.1:0", "127.8.9.10:0", "localhost:0"):
        with Server(listen=[address]) as server:
            expect(server.address.rsplit(":", 1)[0] == address.rsplit(":", 1)[0],
                   f"{server.address} for {address}")


@check("A2.13 an invalid address: exit code 2, and one line that says what is wrong")
def _():
    for address, rule in (
            ("4001", "no port"), ("localhost", "no port"), (":4001", "no host"),
            ("localhost:http", "port"), ("localhost:65536", "65535"),
            ("localhost:-1", "port"), ("::1:4001", "brackets"),
            ("unix:", "no path"), ("unix:/tmp/" + "x" * 120, "107")):
        refused(f"--listen={address}", names=("--listen", rule))
    refused("--insecure", "--listen=no-such-host.invalid:4001",
            names=("no-such-host.invalid", "not known"))
