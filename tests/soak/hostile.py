#!/usr/bin/env python3
"""Clients who do a server harm, one kind at a time, each with a bound.

usage: hostile.py KIND HOST:PORT [--count=N] [--seconds=S]

Each does what it does N times, then stays as it is until S seconds are over, and goes.
It speaks HTTP/2 by hand, as no client library would do any of this. Loopback only.
KIND is one of those that --help lists. Prints a line that says how often it was
refused, or cut off.
"""

import argparse
import contextlib
import gzip
import os
import random
import signal
import socket
import struct
import sys
import time

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0, 1, 3, 4, 6, 7, 8, 9)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
MIB = 1 << 20
SIDECAR = "TaskHubSidecarService"


class Gone(Exception):
    """The server has closed the connection."""


# ---- Messages, by hand ------------------------------------------------------

def varint(value):
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """A field of a message: text, bytes, or a number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def text(value):
    """A google.protobuf.StringValue."""
    return field(1, value)


# ---- HTTP/2, by hand --------------------------------------------------------

class Client:
    """A connection. `window`: how much the server may send on a stream unread."""

    def __init__(self, address, window=2**31 - 1, timeout=10):
        host, port = address.rsplit(":", 1)
        if host not in ("127.0.0.1", "[::1]", "localhost"):
            sys.exit(f"{address}: these clients go to this machine alone")
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.authority = address
        self.received = b""
        self.next_stream = 1
        self.room = {0: 65535}  # What may be sent, by stream.
        self.room_of_new = 65535
        # The trailers, or None if it was reset, by stream: what came first, as gRPC
        # may say more of a stream that it has ended.
        self.ended = {}
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.frame(
            SETTINGS, 0, 0, struct.pack(">HI", 4, window)))
        if window:
            self.send(self.frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 65536)))

    @staticmethod
    def frame(kind, flags, stream, payload):
        return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(
            ">I", stream) + payload

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Gone(str(error)) from error

    def headers(self, path, extra=()):
        """A header block: literals that nobody keeps, without Huffman codes."""
        block = bytearray()
        for name, value in ((":method", "POST"), (":scheme", "http"), (":path", path),
                            (":authority", self.authority), ("te", "trailers"),
                            ("content-type", "application/grpc"), *extra):
            block.append(0)
            for part in (name.encode(), value.encode()):
                block += self.length(len(part)) + part
        return bytes(block)

    @staticmethod
    def length(value):
        if value < 127:
            return bytes((value,))
        return b"\x7f" + varint(value - 127)

    def open(self, path, extra=(), end=False):
        stream = self.next_stream
        self.next_stream += 2
        self.room[stream] = self.room_of_new
        self.send(self.frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream,
                             self.headers(path, extra)))
        return stream

    def call(self, path, message, extra=(), compressed=False):
        """Sends a request, as fast as the server takes it. Its stream."""
        stream = self.open(path, extra)
        self.data(stream, bytes((compressed,)) + struct.pack(">I", len(message)) +
                  message, end=True)
        return stream

    def data(self, stream, data, end):
        view = memoryview(data)
        while True:
            size = min(len(view), 16384, self.room[0], self.room.get(stream, 0))
            if size <= 0 and len(view):
                if stream in self.ended:
                    return
                self.pump()
                continue
            last = size == len(view)
            self.send(self.frame(DATA, END_STREAM if end and last else 0, stream,
                                 bytes(view[:size])))
            self.room[0] -= size
            self.room[stream] -= size
            view = view[size:]
            if last:
                return

    def pump(self, timeout=10):
        """Reads one frame, and does what HTTP/2 wants. False: there was none."""
        self.socket.settimeout(timeout)
        try:
            head = self.take(9)
        except TimeoutError:
            return False
        size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream = int.from_bytes(head[5:], "big") & 0x7fffffff
        self.socket.settimeout(10)
        payload = self.take(size)
        if kind == SETTINGS and not flags & ACK:
            for i in range(0, size, 6):
                name, value = struct.unpack(">HI", payload[i:i + 6])
                if name == 4:
                    for one in self.room:
                        if one:
                            self.room[one] += value - self.room_of_new
                    self.room_of_new = value
            self.send(self.frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self.send(self.frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            self.room[stream] = self.room.get(stream, 0) + int.from_bytes(payload, "big")
        elif kind == RST_STREAM:
            self.ended.setdefault(stream, None)
        elif kind == GOAWAY:
            raise Gone(payload[8:].decode(errors="replace"))
        elif kind == HEADERS and flags & END_STREAM:
            self.ended.setdefault(stream, payload)
        return True

    def take(self, size):
        while len(self.received) < size:
            try:
                more = self.socket.recv(1 << 16)
            except TimeoutError:
                raise
            except OSError as error:
                raise Gone(str(error)) from error
            if not more:
                raise Gone("closed")
            self.received += more
        taken, self.received = self.received[:size], self.received[size:]
        return taken

    def finish(self, stream):
        """Waits until the call is over."""
        while stream not in self.ended:
            if not self.pump():
                raise Gone("no answer")
        self.room.pop(stream, None)
        return self.ended.pop(stream)


# ---- The kinds --------------------------------------------------------------

CHILDREN = []  # Processes that end with this one.


def silent(address, count, _):
    """Connections that say nothing."""
    host, port = address.rsplit(":", 1)
    connections = []
    for _ in range(count):
        with contextlib.suppress(OSError):
            connections.append(socket.create_connection((host, int(port)), 2))
    return connections


def header_bomb(address, count, _):
    """A header that announces a string of 1 GiB, and much of it."""
    client = Client(address)
    block = b"\x00" + client.length(1) + b"x" + client.length(1 << 30)
    client.send(client.frame(HEADERS, 0, 1, block))
    for _ in range(count):
        client.send(client.frame(CONTINUATION, 0, 1, b"x" * 16384))
    return client


def resets(address, count, _):
    """Calls that are opened and reset at once."""
    client = Client(address)
    for i in range(count):
        stream = client.open("/leasehold.v1.Echo/Echo")
        client.send(client.frame(RST_STREAM, 0, stream, struct.pack(">I", 8)))
        if i % 100 == 0:
            client.socket.settimeout(0.001)
            with contextlib.suppress(TimeoutError):
                while client.pump(0.001):
                    pass
    return client


def gzip_bomb(address, count, _):
    """Compressed messages that are a thousand times as large."""
    bomb = gzip.compress(field(1, "\0" * (60 * MIB)))
    client = Client(address)
    for _ in range(count):
        client.finish(client.call("/leasehold.v1.Echo/Echo", bomb,
                                  (("grpc-encoding", "gzip"),), compressed=True))
    return client


def stopped_worker(address, count, _):
    """Workers that are stopped: they have work, and do not answer."""
    for _ in range(count):
        child = os.fork()
        if child == 0:
            with contextlib.suppress(Gone):
                client = Client(address)
                client.call(f"/{SIDECAR}/GetWorkItems", field(1, 100) + field(2, 100))
                while True:
                    client.pump(60)
            os._exit(0)
        CHILDREN.append(child)
    time.sleep(0.3)
    for child in CHILDREN:
        os.kill(child, signal.SIGSTOP)
    caller = Client(address)
    for i in range(50):
        caller.finish(caller.call(f"/{SIDECAR}/StartInstance", field(
            1, f"stopped-{os.getpid()}-{i}") + field(2, "Nobodys")))
    return caller


def vanished(address, count, _):
    """Clients that hold an instance and are gone without a word."""
    clients = []
    for i in range(count):
        client = Client(address)
        client.call("/leasehold.v1.Instances/Hold", b"",
                    (("instance-id", f"vanished-{i}"),))
        clients.append(client)
    return clients


def start_large(client, size):
    """Starts an orchestration that nobody runs, with so large an input; its ID."""
    name = f"large-{os.getpid()}-{random.getrandbits(32)}"
    client.finish(client.call(f"/{SIDECAR}/StartInstance", field(1, name) + field(
        2, "Nobodys") + field(4, text("x" * size))))
    return name


def unread_answers(address, count, _):
    """Answers of 8 MiB that nobody reads."""
    name = start_large(Client(address), 8 * MIB)
    clients = []
    for i in range(count):
        if i % 50 == 0:
            clients.append(Client(address, window=0))
        clients[-1].call(f"/{SIDECAR}/GetInstance", field(1, name) + field(2, 1))
    return clients


def unread_streams(address, count, _):
    """Watches, histories, joins and work that nobody reads."""
    caller = Client(address)
    name = start_large(caller, 4 * MIB)
    room = (("instance-id", "unread"),)
    client = Client(address, window=0)
    for _ in range(count):
        client.call("/leasehold.v1.Orchestration/Watch", field(1, name))
        client.call(f"/{SIDECAR}/StreamInstanceHistory", field(1, name))
        client.call("/leasehold.v1.Orchestration/GetHistory", field(1, name))
        client.call("/leasehold.v1.Echo/Join", b"", room)
        client.call("/leasehold.v1.Instances/Watch", b"")
    for _ in range(5):
        caller.finish(caller.call("/leasehold.v1.Echo/Echo", field(1, "x" * 3 * MIB),
                                  room))
    worker = Client(address, window=0)
    worker.call(f"/{SIDECAR}/GetWorkItems", field(1, 1000) + field(2, 1000))
    for _ in range(min(count, 30)):
        start_large(caller, 4 * MIB)
    return [client, worker]


def large_events(address, count, _):
    """Events of 10 MiB for an orchestration that no worker takes."""
    client = Client(address)
    name = start_large(client, 1)
    for _ in range(count):
        client.finish(client.call(f"/{SIDECAR}/RaiseEvent", field(1, name) + field(
            2, "flood") + field(3, text("x" * (10 * MIB)))))
    return client


def half_requests(address, count, _):
    """Requests of which most has come, and the rest never does."""
    clients = [Client(address) for _ in range(4)]
    part = struct.pack(">BI", 0, 60 * MIB) + b"x" * (8 * MIB)
    for i in range(count):
        client = clients[i % len(clients)]
        client.data(client.open("/leasehold.v1.Echo/Echo"), part, end=False)
    return clients


def names(address, count, _):
    """Names and tags without measure."""
    client = Client(address)
    for i in range(count):
        client.finish(client.call(f"/{SIDECAR}/StartInstance", field(
            1, f"names-{os.getpid()}-{i}") + field(2, "N" * MIB)))
    return client


def reflection(address, count, _):
    """Reflection streams that stay open."""
    client = Client(address)
    for i in range(count):
        version = "v1alpha" if i % 2 else "v1"
        client.open(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")
    return client


def filters(address, count, _):
    """Workers that ask for more names than anybody has."""
    client = Client(address)
    many = b"".join(field(1, field(1, f"name-{i}")) for i in range(20000))
    for _ in range(count):
        client.call(f"/{SIDECAR}/GetWorkItems", field(11, many))
    return client


# With how many of each there are, if nobody says.
KINDS = {silent: 300, header_bomb: 2000, resets: 20000, gzip_bomb: 3,
         stopped_worker: 2, vanished: 50, unread_answers: 150, unread_streams: 40,
         large_events: 20, half_requests: 20, names: 20, reflection: 1000, filters: 5}


def main():
    parser = argparse.ArgumentParser(
        usage=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"{k.__name__:16} {k.__doc__} (N={n})" for k, n in KINDS.items()))
    parser.add_argument("kind", choices=[kind.__name__ for kind in KINDS])
    parser.add_argument("address")
    parser.add_argument("--count", type=int)
    parser.add_argument("--seconds", type=float, default=5)
    arguments = parser.parse_args()
    kind = next(k for k in KINDS if k.__name__ == arguments.kind)
    count = KINDS[kind] if arguments.count is None else arguments.count
    end = time.monotonic() + arguments.seconds
    said, held = "done", None
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(Gone("time is over")))
    signal.setitimer(signal.ITIMER_REAL, max(arguments.seconds, 0.1))
    try:
        held = kind(address=arguments.address, count=count, _=None)
        while time.monotonic() < end:
            time.sleep(0.05)
    except (Gone, TimeoutError, OSError) as error:
        said = f"cut off ({error})" if "time is over" not in str(error) else said
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for child in CHILDREN:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    del held  # Until here it was open.
    print(f"{arguments.kind}: {said}", flush=True)


if __name__ == "__main__":
    main()
