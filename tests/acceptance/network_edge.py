"""A38: what strangers may do to the server's connections: pings, silence, floods."""

import json
import os
import re
import socket
import zlib

import harness
from harness import Server, check, contains, equal, expect, wait_until
from raw_http2 import ECHO, Connection, echo_request, frame, varint

HOLD = "/leasehold.v1.Instances/Hold"


def status_of(server, field):
    """A number of the server process, as `VmHWM` or `Threads`."""
    with open(f"/proc/{server.pid}/status", encoding="utf-8") as status:
        return int(status.read().split(f"{field}:")[1].split()[0])


def quiet_hold(server, instance_id):
    """A connection with a Hold that is open, and says nothing more."""
    connection = server.connect()
    number = connection.start([("instance-id", instance_id)], frame(b""), path=HOLD)
    expect(connection.in_flight(number), "the Hold has ended")
    return connection, number


def answers_pings(connection, seconds):
    """Takes what comes, and answers as HTTP/2 libraries do."""
    connection.receive_for(seconds)
    expect(not connection.closed, f"the connection is closed: {connection.closed}")


@check("A38.1 a client that pings each 2 s, and hears nothing, keeps its quiet stream")
def _():
    # gRPC permits one ping in five minutes, and sends others away at the third.
    with Server() as server:
        connection, number = quiet_hold(server, "room-1")
        for _ in range(6):
            connection.h2.ping(b"12345678")
            connection.flush()
            answers_pings(connection, 2)
        expect(connection.goaway is None, f"sent away: {connection.goaway}")
        expect(connection.in_flight(number), "the Hold has ended")


@check("A38.2 a client that pings without a call keeps its connection")
def _():
    with Server() as server:
        connection = server.connect()
        for _ in range(6):
            connection.h2.ping(b"12345678")
            connection.flush()
            answers_pings(connection, 2)
        expect(connection.goaway is None, f"sent away: {connection.goaway}")
        equal(connection.echo("room-1").code, "OK", "code")


@check("A38.3 a client that is stopped, or gone without a word, is disconnected; one that "
       "answers pings stays for as long as it likes")
def _():
    with Server("--keepalive-time=1s", "--keepalive-timeout=2s",
                "--idle-timeout=50ms", "--console") as server:
        alive, number = quiet_hold(server, "alive")
        quiet_hold(server, "gone")  # Nobody reads it: no ping is answered.

        def removed():
            alive.receive_for(0.1)
            return any('context removed    "gone"' in line for line in server.out)
        wait_until(removed, "the end of a client that does not answer")
        expect(alive.in_flight(number), "the Hold of a client that answers has ended")


def bomb(mib):
    """A compressed EchoRequest, some 1 KiB a MiB."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    pieces = [squeeze.compress(b"\x0a" + varint(mib << 20))]
    pieces += [squeeze.compress(bytes(1 << 20)) for _ in range(mib)]
    return frame(b"".join(pieces) + squeeze.flush(), compressed=1)


@check("A38.4 a compressed message is refused, and nothing is decompressed")
def _():
    with Server() as server:
        big = bomb(256)
        before = status_of(server, "VmHWM")
        for path in (ECHO, "/leasehold.v1.Echo/EchoStream", "/TaskHubSidecarService/"
                     "StartInstance"):
            answer = server.connect().call([("grpc-encoding", "gzip")], big, path=path)
            equal(answer.code, "UNIMPLEMENTED", f"code of {path}")
            contains(answer.message, "gzip", "disabled")
        grown = (status_of(server, "VmHWM") - before) >> 10
        expect(grown < 100, f"{grown} MiB for 256 MiB of compressed text")
        server.lives()


@check("A38.5 with --compression=on a compressed message is served")
def _():
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = squeeze.compress(echo_request("Apple" * 100)) + squeeze.flush()
    with Server("--compression=on") as server:
        answer = server.connect().call([("grpc-encoding", "gzip")],
                                       frame(body, compressed=1))
        equal(answer.text, "Apple" * 100, "text")


@check("A38.6 a flood of calls that gRPC refuses does not flood the log")
def _():
    # The tests' own clients turn gRPC's lines off in the environment.
    with Server(env={"GRPC_VERBOSITY": "ERROR"}) as server:
        connection = server.connect()
        for _ in range(300):
            connection.call([("grpc-encoding", "gzip")], frame(b""))
        server.lives()
        lines = [line for line in server.err if " grpc " in line]
        expect(0 < len(lines) <= 60, f"{len(lines)} lines of gRPC's in the log")


@check("A38.7 a client that takes nothing of what was sent to it is disconnected too")
def _():
    # Its pings would wait behind the answer.
    with Server("--keepalive-time=1s", "--keepalive-timeout=2s",
                "--idle-timeout=50ms", "--console") as server:
        stuck = server.connect(window=0)
        stuck.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        calls = [stuck.start([("instance-id", "stuck")],
                             frame(echo_request("x" * (2 << 20))))
                 for _ in range(10)]
        for number in calls:
            expect(stuck.in_flight(number), "a call has ended")
        for number in calls:
            stuck.let_through(number, 8 << 20)  # And nothing is read from here on.
        server.await_line("out", 'context removed    "stuck"')
        server.lives()


# ---- How many connections

def silent(server, count):
    """So many connections that say nothing; fewer, if the server will not have them."""
    host, port = server.address.rsplit(":", 1)
    connections = []
    for _ in range(count):
        try:
            connections.append(socket.create_connection((host, int(port)), timeout=1))
        except OSError:
            break
    return connections


@check("A38.8 more silent connections than descriptors: callers are served beside them, "
       "and afterwards")
def _():
    with Server(under=("prlimit", "--nofile=256:256")) as server:
        server.await_line("err", "connections_bounded connections_max=192")
        crowd = silent(server, 300)
        for _ in range(3):
            server.lives()
        for connection in crowd:
            connection.close()
        for _ in range(300):
            server.lives()
            server.connections.pop().close()


@check("A38.9 the soft limit of descriptors is raised to the hard one")
def _():
    with Server(under=("prlimit", "--nofile=64:4096")) as server:
        crowd = silent(server, 500)
        server.lives()
        equal(len(crowd), 500, "connections")
        expect(not any("connection_refused" in line for line in server.err),
               f"{server.err}")
        for connection in crowd:
            connection.close()


def served(server):
    try:
        return server.connect().echo().code == "OK"
    except OSError:
        return False


@check("A38.10 --max-connections and --max-connections-per-address: connections over the bound "
       "are refused, with a line in the log; once others have closed, new ones are served")
def _():
    for flag in ("--max-connections", "--max-connections-per-address"):
        with Server(f"{flag}=5") as server:
            calling = [server.connect() for _ in range(5)]
            for connection in calling:
                equal(connection.echo().code, "OK", "code")
            expect(not served(server), "a sixth was served")
            contains(server.await_line("err", "connection_refused"), flag,
                     "peer=127.0.0.1")
            equal(calling[0].echo().code, "OK", "code of one that was there before")
            calling[1].close()
            wait_until(lambda: served(server), "room for another")


@check("A38.11 a client that says nothing, half of it, or something other than HTTP/2 is "
       "disconnected; one that says nothing is greeted first while there is room")
def _():
    with Server("--max-connections=4") as server:
        greeted, = silent(server, 1)
        equal(greeted.recv(5)[3:4], b"\x04", "kind of the first frame: SETTINGS")
        nothing, half, other = silent(server, 3)
        half.sendall(b"PRI * HTTP/2.0\r\n")
        other.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for connection in (other, nothing, half):
            connection.settimeout(harness.PATIENCE_S)
            try:
                equal(connection.recv(1), b"", "what was answered")
            except ConnectionResetError:
                pass
            connection.close()
        server.await_line("err", "HTTP/2")
        server.await_line("err", "said nothing in time")
        greeted.settimeout(harness.PATIENCE_S)
        while greeted.recv(4096):
            pass  # gRPC closes it when its handshake takes too long.
        greeted.close()
        server.lives()


@check("A38.12 a Unix socket admits only its owner, or those whom --unix-socket-mode allows")
def _():
    with harness.temporary_folder() as folder:
        path = f"{folder}/x.sock"
        for flags, mode in (((), 0o600), (("--unix-socket-mode=0660",), 0o660),
                            (("--unix-socket-mode=0666",), 0o666)):
            with Server(*flags, listen=[f"unix:{path}"]) as server:
                equal(os.stat(path).st_mode & 0o777, mode, f"mode with {flags}")
                server.lives()
                server.end()
            expect(not os.path.exists(path), "the socket was left behind")


# ---- Reflection and health

REFLECTION = "/grpc.reflection.{}.ServerReflection/ServerReflectionInfo"
VERSIONS = ("v1", "v1alpha")
LIST_SERVICES = frame(b"\x3a\x01*")


def names_listed(answer):
    """The services of an answer, by hand: 6 (list) { 1 (service) { 1 (name) } }."""
    return set(re.findall(rb"\x0a.\x0a.([\w.]+)", answer))


def reflect(connection, version, question=LIST_SERVICES):
    number = connection.start([], question, path=REFLECTION.format(version))
    connection.finish(number)
    return bytes(connection.streams[number].data)


@check("A38.13 reflection v1 and v1alpha list the same: exactly what is served, and "
       "Health/Check knows each of it")
def _():
    with Server() as server:
        listed = {v: names_listed(reflect(server.connect(), v)) for v in VERSIONS}
        equal(listed["v1"], listed["v1alpha"], "services")
        equal({name.decode() for name in listed["v1"]}, {
            "TaskHubSidecarService", "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection", "leasehold.v1.Admin",
            "leasehold.v1.Echo", "leasehold.v1.Entities", "leasehold.v1.Instances",
            "leasehold.v1.Orchestration"}, "services")
        for name in listed["v1"]:
            health = harness.grpcurl("-d", json.dumps({"service": name.decode()}),
                                     server.address, "grpc.health.v1.Health/Check")
            contains(health.out, "SERVING")
            result = harness.grpcurl(server.address, "describe", name.decode())
            equal(result.code, 0, f"exit code of {result}")


@check("A38.14 reflection answers each kind of question, and says what it does not know")
def _():
    def question(field, value):
        return frame(varint(field << 3 | 2) + varint(len(value)) + value)
    with Server() as server:
        connection = server.connect()
        for version in VERSIONS:
            for field, value, wanted in (
                    (3, b"leasehold/v1/echo.proto", b"EchoResponse"),
                    (4, b"leasehold.v1.Echo.Echo", b"EchoResponse"),
                    (3, b"none.proto", b"there is no file"),
                    (4, b"no.such.Thing", b"there is no symbol"),
                    (5, b"\x0a\x11leasehold.v1.Echo\x10\x05", b"there is no extension"),
                    (6, b"leasehold.v1.EchoRequest", b"leasehold.v1.EchoRequest"),
                    (6, b"none", b"there is no message type")):
                answer = reflect(connection, version, question(field, value))
                expect(wanted in answer, f"{version} {field} {value}: {answer}")
            expect(b"asks nothing" in reflect(connection, version, frame(b"")),
                   "an empty question")


@check("A38.15 open reflection streams cost no threads, and end when nothing moves on them")
def _():
    with Server() as server:
        server.lives()
        before = status_of(server, "Threads")
        connection = server.connect()
        streams = []
        for i in range(600):
            number = connection.start([], LIST_SERVICES, end=False,
                                      path=REFLECTION.format(VERSIONS[i % 2]))
            streams.append(number)
        for number in streams:
            while not connection.streams[number].data:
                connection.receive_for(0.01)
        # gRPC starts one of its own now and then.
        grown = status_of(server, "Threads") - before
        expect(grown <= 5, f"{grown} more threads for 600 streams")
        for number in streams:
            equal(connection.finish(number).code, "UNAVAILABLE", "how it ends")
        server.lives()


# ---- Floods of frames

HEADERS, CONTINUATION = 1, 9


def raw_frame(kind, stream, payload, flags=0):
    return (len(payload).to_bytes(3, "big") + bytes([kind, flags])
            + stream.to_bytes(4, "big") + payload)


def is_cut(server, connection, reason):
    wait_until(lambda: connection.receive_for(0.01) or connection.closed,
               "the connection's end")
    contains(server.await_line("err", "connection_cut"), reason)
    server.lives()


@check("A38.16 a header that announces a string of 1 GiB is cut at 64 KiB, while others are "
       "served")
def _():
    with Server() as server:
        harness.needs_bounds(server)
        connection = server.connect()
        announced = b"\x40\x01a\x7f" + varint((1 << 30) - 127)  # Not indexed yet: "a".
        connection.send_bytes(raw_frame(HEADERS, 1, announced))
        for _ in range(64):
            connection.send_bytes(raw_frame(CONTINUATION, 1, bytes(16 << 10)))
        is_cut(server, connection, "header block")


@check("A38.17 a header block without end is cut, be its frames large, small or empty")
def _():
    for size in (0, 1, 1000):
        with Server() as server:
            harness.needs_bounds(server)
            connection = server.connect()
            # Headers that are complete, again and again; or nothing.
            connection.send_bytes(raw_frame(HEADERS, 1, b"\x82"))
            connection.send_bytes(
                raw_frame(CONTINUATION, 1, b"\x82" * size) * 5000)
            is_cut(server, connection, "header block")


def open_and_reset(connection, count):
    """So many streams, all in one piece."""
    for _ in range(count):
        number = connection.h2.get_next_available_stream_id()
        connection.h2.send_headers(number, [
            (b":method", b"POST"), (b":scheme", b"http"), (b":path", ECHO.encode()),
            (b":authority", b"x"), (b"te", b"trailers"),
            (b"content-type", b"application/grpc")])
        connection.h2.reset_stream(number, 8)
    connection.flush()


@check("A38.18 streams that are opened and reset at once: the connection is closed, others "
       "are served; the bound is a setting")
def _():
    with Server() as server:
        harness.needs_bounds(server)
        connection = server.connect()
        open_and_reset(connection, 400)
        equal(connection.echo().code, "OK", "code after 400")
        open_and_reset(connection, 10_000)
        is_cut(server, connection, "--max-resets")
    with Server("--max-resets=20000") as server:
        connection = server.connect()
        open_and_reset(connection, 10_000)
        equal(connection.echo().code, "OK", "code after 10,000")
        server.lives()


@check("A38.19 a client that drops 5,000 quiet streams at once keeps its connection")
def _():
    with Server() as server:
        harness.needs_bounds(server)
        connection = server.connect()
        holds = [connection.start([("instance-id", f"room-{i % 100}")], frame(b""),
                                  path=HOLD) for i in range(5000)]
        for number in holds:
            expect(connection.in_flight(number), "a Hold has ended")
        connection.receive_for(1.5)  # They are no longer young.
        for number in holds:
            connection.h2.reset_stream(number, 8)
        connection.flush()
        equal(connection.echo().code, "OK", "code on the same connection")
        expect(not any("connection_cut" in line for line in server.err), f"{server.err}")


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % probe.getsockname()[1]


@check("A38.20 the example haproxy.cfg works: calls and streams go through it, compressed "
       "messages do not")
def _():
    config = (harness.ROOT / "service/host/haproxy.cfg").read_text(encoding="utf-8")
    flags = re.search(r"leasehold-server.*?(--max-resets\S+).*?(--max-resets\S+)", config,
                      re.S).groups()
    with harness.temporary_folder() as folder, Server(*flags) as server:
        front = free_address()
        for example, ours in ((":4080", front), ("127.0.0.1:4001", server.address)):
            contains(config, example)
            config = re.sub(rf"(?<= ){re.escape(example)}(?= proto)", ours, config)
        with open(f"{folder}/haproxy.cfg", "w", encoding="utf-8") as file:
            file.write(config)
        with harness.Program("haproxy", "-db", "-f", file.name) as proxy:
            def through():
                expect(not proxy.ended(), f"HAProxy ended: {proxy.err}")
                result = harness.leasehold(f"--address={front}", "echo", "Apple",
                                           "--id=room-1")
                return result.code == 0
            wait_until(through, "an echo through HAProxy")
            connection = Connection(front)
            number = connection.start([("instance-id", "room-1")], frame(b""), path=HOLD)
            expect(connection.in_flight(number), "the Hold has ended")
            answer = connection.call([("grpc-encoding", "gzip")], frame(b""))
            equal(answer.code, "UNIMPLEMENTED", "code of a compressed message")
            contains(answer.message, "compression is not allowed")
            connection.close()


PING = 6
ENHANCE_YOUR_CALM = 11


@check("A38.21 a flood of pings: the connection is told to calm down and closed, others are "
       "served, and memory stays bounded")
def _():
    with Server() as server:
        beside = server.connect()
        equal(beside.echo().code, "OK", "code")
        eager = server.connect()
        eager.send_bytes(raw_frame(PING, 0, b"12345678") * 10)
        while not eager.closed:
            eager._receive()
        expect(eager.goaway is not None, "no GOAWAY came")
        equal(eager.goaway.error_code, ENHANCE_YOUR_CALM, "error code of the GOAWAY")
        equal(eager.goaway.additional_data, b"too_many_pings", "reason of the GOAWAY")

        before = status_of(server, "VmHWM")
        floods = [server.connect() for _ in range(20)]
        for connection in floods:  # Nobody reads what is answered.
            connection.send_bytes(raw_frame(PING, 0, b"12345678") * 200_000)
            equal(beside.echo().code, "OK", "code of another connection")
        for connection in floods:
            while not connection.closed:
                connection._receive()
        equal(beside.echo().code, "OK", "code of another connection")
        grown = (status_of(server, "VmHWM") - before) >> 10
        expect(grown < 300, f"{grown} MiB for 4 million pings")
