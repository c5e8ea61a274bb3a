"""A43: TLS: who gets through, and what happens when its files change."""

import os
import shutil
import signal
import socket
import ssl
import subprocess

import grpc

import harness
from certificates import Authority, guide_commands
from harness import (Server, check, contains, equal, leasehold,
                     refused, temporary_folder, wait_until)

ECHO = "/leasehold.v1.Echo/Echo"


def server_flags(pair, *more):
    return (f"--tls-cert={pair[0]}", f"--tls-key={pair[1]}", *more)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def echo_code(server, ca, pair=None):
    """The status code of one Echo over a connection of its own."""
    credentials = grpc.ssl_channel_credentials(
        read(ca), *((read(pair[1]), read(pair[0])) if pair else ()))
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(server.address, credentials, options) as channel:
        call = channel.unary_unary(ECHO, lambda x: x, lambda x: x)
        try:
            call(b"", metadata=[("instance-id", "room-1")], timeout=10)
            return "OK"
        except grpc.RpcError as error:
            return error.code().name


@check("A43.1 with TLS, every command gets through; without it nobody")
def _():
    with temporary_folder() as folder:
        ca = Authority(folder)
        with Server(*server_flags(ca.issue("server"))) as server:
            found = leasehold(f"--address={server.address}", f"--ca={ca.pem}", "echo",
                              "Apple", "--id=room-1")
            equal(found.code, 0, f"exit code of {found}")
            for command in (["instances", "list"], ["orchestration", "list"],
                            ["entity", "list"],
                            ["demo", "--fast"]):
                found = leasehold(f"--address={server.address}", f"--ca={ca.pem}",
                                  *command)
                equal(found.code, 0, f"exit code of {found}")
            by_environment = leasehold(
                "echo", "Apple", "--id=room-1", env={
                    "LEASEHOLD_ADDRESS": server.address, "LEASEHOLD_TLS": "true",
                    "LEASEHOLD_CA": ca.pem})
            equal(by_environment.code, 0, f"exit code of {by_environment}")
            plain = leasehold(f"--address={server.address}", "--timeout=5s", "echo",
                              "Apple", "--id=room-1")
            equal(plain.code, 4, f"exit code of {plain}")
            contains(plain.err, "UNAVAILABLE")
            server.await_line("err", "it does not speak TLS")
            untrusting = leasehold(f"--address={server.address}", "--tls",
                                   "--timeout=5s", "echo", "Apple", "--id=room-1")
            equal(untrusting.code, 4, f"exit code of {untrusting}")
            equal(echo_code(server, ca.pem), "OK", "code")


@check("A43.2 a certificate for another host is no proof")
def _():
    with temporary_folder() as folder:
        ca = Authority(folder)
        with Server(*server_flags(ca.issue("server", "DNS:example.com"))) as server:
            equal(echo_code(server, ca.pem), "UNAVAILABLE", "code")


@check("A43.3 --tls-client-ca: only clients of that authority, or also those without")
def _():
    with temporary_folder() as folder:
        ca, clients, others = (Authority(folder, name)
                               for name in ("ca", "clients", "others"))
        pair, client, other = (ca.issue("server"), clients.issue("client"),
                               others.issue("other"))
        with Server(*server_flags(pair, f"--tls-client-ca={clients.pem}")) as server:
            equal(echo_code(server, ca.pem, client), "OK", "code")
            equal(echo_code(server, ca.pem), "UNAVAILABLE", "code without one")
            equal(echo_code(server, ca.pem, other), "UNAVAILABLE", "code of another's")
            found = leasehold(f"--address={server.address}", f"--ca={ca.pem}",
                              f"--cert={client[0]}", f"--key={client[1]}", "echo",
                              "Apple", "--id=room-1")
            equal(found.code, 0, f"exit code of {found}")
        with Server(*server_flags(pair, f"--tls-client-ca={clients.pem}",
                                  "--tls-client-auth=optional")) as server:
            equal(echo_code(server, ca.pem, client), "OK", "code")
            equal(echo_code(server, ca.pem), "OK", "code without one")
            equal(echo_code(server, ca.pem, other), "UNAVAILABLE", "code of another's")


@check("A43.4 files that change are read again; a bad pair changes nothing and is named")
def _():
    with temporary_folder() as folder:
        ca, next_ca = Authority(folder), Authority(folder, "next")
        cert, key = ca.issue("server")
        with Server(*server_flags((cert, key))) as server:
            def hang_up():
                os.kill(server.pid, signal.SIGHUP)

            equal(echo_code(server, ca.pem), "OK", "code")
            new_cert, new_key = next_ca.issue("new")
            shutil.copy(new_cert, cert)  # Without its key.
            hang_up()
            server.await_line("err", "tls_kept")
            contains("\n".join(server.err), "is not the key of the certificate")
            equal(echo_code(server, ca.pem), "OK", "code with the old one")
            os.remove(key)
            hang_up()
            wait_until(lambda: any("cannot be read" in x for x in server.err),
                       "a line on the missing key")
            equal(echo_code(server, ca.pem), "OK", "code with the old one")
            shutil.copy(new_key, key)
            hang_up()
            server.await_line("err", "tls_changed")
            equal(echo_code(server, next_ca.pem), "OK", "code with the new one")
            equal(echo_code(server, ca.pem), "UNAVAILABLE", "code of the old trust")


@check("A43.5 open connections keep their certificate; their calls go on")
def _():
    with temporary_folder() as folder:
        ca, next_ca = Authority(folder), Authority(folder, "next")
        cert, key = ca.issue("server")
        with Server(*server_flags((cert, key))) as server, grpc.secure_channel(
                server.address, grpc.ssl_channel_credentials(read(ca.pem))) as channel:
            call = channel.unary_unary(ECHO, lambda x: x, lambda x: x)
            call(b"", metadata=[("instance-id", "room-1")], timeout=10)
            new_cert, new_key = next_ca.issue("new")
            shutil.copy(new_cert, cert)
            shutil.copy(new_key, key)
            os.kill(server.pid, signal.SIGHUP)
            server.await_line("err", "tls_changed")
            call(b"", metadata=[("instance-id", "room-1")], timeout=10)


@check("A43.6 TLS 1.1 is refused, 1.2 and 1.3 are served")
def _():
    with temporary_folder() as folder:
        ca = Authority(folder)
        with Server(*server_flags(ca.issue("server"))) as server:
            host, port = server.address.rsplit(":", 1)

            def shakes_hands(version):
                context = ssl.create_default_context(cafile=ca.pem)
                context.set_alpn_protocols(["h2"])
                context.set_ciphers("DEFAULT:@SECLEVEL=0")
                context.minimum_version = context.maximum_version = version
                try:
                    with socket.create_connection((host, int(port)), 10) as plain, \
                            context.wrap_socket(plain, server_hostname=host) as tls:
                        return tls.version()
                except (ssl.SSLError, ConnectionResetError):
                    return None

            equal(shakes_hands(ssl.TLSVersion.TLSv1_1), None, "TLS 1.1")
            equal(shakes_hands(ssl.TLSVersion.TLSv1_2), "TLSv1.2", "TLS 1.2")
            equal(shakes_hands(ssl.TLSVersion.TLSv1_3), "TLSv1.3", "TLS 1.3")


@check("A43.7 silence and rubbish instead of a handshake hurt nobody")
def _():
    with temporary_folder() as folder:
        ca = Authority(folder)
        with Server(*server_flags(ca.issue("server"))) as server:
            host, port = server.address.rsplit(":", 1)
            begun = []
            for start in (b"", b"\x16", b"\x16\x03\x01\x02\x00" + b"\xff" * 600,
                          b"\x16\x03\x01\xff\xff", b"GET / HTTP/1.1\r\n\r\n"):
                for _ in range(20):
                    connection = socket.create_connection((host, int(port)), 10)
                    connection.sendall(start)
                    begun.append(connection)
            equal(echo_code(server, ca.pem), "OK", "code")
            for connection in begun:
                connection.close()
            equal(echo_code(server, ca.pem), "OK", "code")


@check("A43.8 Unix sockets are not encrypted, TLS or not")
def _():
    with temporary_folder() as folder:
        ca = Authority(folder)
        where = ("127.0.0.1:0", f"unix:{folder}/x.sock")
        with Server(*server_flags(ca.issue("server")), listen=where) as server:
            found = leasehold(f"--address=unix:{folder}/x.sock", "echo", "Apple",
                              "--id=room-1")
            equal(found.code, 0, f"exit code of {found}")
            asked = leasehold(f"--address=unix:{folder}/x.sock", "--tls", "echo",
                              "Apple", "--id=room-1")
            equal(asked.code, 2, f"exit code of {asked}")
            contains(asked.err, "Unix sockets are not encrypted")


@check("A43.9 what cannot serve is said at the start")
def _():
    with temporary_folder() as folder:
        ca = Authority(folder)
        cert, key = ca.issue("server")
        _, other_key = ca.issue("other")
        for flags, why in (
                ([f"--tls-cert={cert}"], "--tls-cert is given alone"),
                ([f"--tls-key={key}"], "--tls-key is given alone"),
                ([f"--tls-client-ca={ca.pem}"], "there is no TLS to ask clients in"),
                ([*server_flags((cert, key)), "--tls-client-auth=optional"],
                 "without --tls-client-ca"),
                ([*server_flags((cert, key)), "--tls-client-auth=never"],
                 "must be require or optional"),
                (server_flags((cert, other_key)), "is not the key of the certificate"),
                (server_flags((f"{folder}/none", key)), "cannot be read"),
                (["--listen=0.0.0.0:0"], "--tls-cert and --tls-key")):
            refused(*flags, names=(why,))


@check("A43.10 beyond this machine TLS is enough")
def _():
    with temporary_folder() as folder:
        ca = Authority(folder)
        with Server(*server_flags(ca.issue("server")),
                    listen=("0.0.0.0:0",)) as server:
            port = server.address.rsplit(":", 1)[1]
            found = leasehold(f"--address=127.0.0.1:{port}", f"--ca={ca.pem}", "echo",
                              "Apple", "--id=room-1")
            equal(found.code, 0, f"exit code of {found}")


def locked(folder, key):
    """The same key with a passphrase."""
    path = os.path.join(folder, "locked.key")
    subprocess.run(["openssl", "pkcs8", "-topk8", "-v2", "aes256", "-passout", "pass:tea",
                    "-in", key, "-out", path], check=True, capture_output=True)
    return path


@check("A43.11 the command line names what is wrong with its files")
def _():
    with temporary_folder() as folder:
        ca = Authority(folder)
        cert, key = ca.issue("client")
        other = ca.issue("other")[1]
        for flags, why in (
                ([f"--ca={folder}/none"], "none: cannot be read"),
                ([f"--ca={key}"], "is not a PEM file that begins with a CERTIFICATE"),
                ([f"--cert={cert}"], "give both or none"),
                ([f"--cert={cert}", f"--key={cert}"], "begins with a PRIVATE KEY"),
                ([f"--cert={cert}", f"--key={other}"],
                 f"{other}: is not the key of the certificate in {cert}\n"),
                ([f"--cert={cert}", f"--key={locked(folder, key)}"],
                 "must be one without a passphrase\n")):
            found = leasehold("--address=127.0.0.1:1", *flags, "echo", "Apple",
                              "--id=room-1")
            equal(found.code, 2, f"exit code of {found}")
            contains(found.err, why)


@check("A43.12 from nothing to mutual TLS, as the guide on security says")
def _():
    with temporary_folder() as folder:
        served, called, listed = guide_commands(folder)
        with Server(*served[1:]) as server:
            found = leasehold(*called[1:], f"--address={server.address}")
            equal(found.code, 0, f"exit code of {found}")
            found = harness.run(harness.GRPCURL, *(
                x.replace("localhost:4001", server.address) for x in listed[1:]))
            equal(found.code, 0, f"exit code of {found}")
            contains(found.out, "leasehold.v1.Echo")
