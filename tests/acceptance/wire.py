"""A5: what gRPC clients refuse to send, sent by a raw HTTP/2 client.

Whatever comes, the server answers or closes that connection, and lives on.
"""

import os
import random
import socket

from harness import Server, check, contains, equal, expect
from raw_http2 import Connection, bin_value, echo_request, frame

# A frame's type byte, RFC 9113 section 6.
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = (
    range(10))
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def raw_frame(kind, flags, stream, payload, length=None):
    return ((len(payload) if length is None else length).to_bytes(3, "big")
            + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload)


def invalid(server, headers, *parts):
    answer = server.connect().call(headers)
    equal(answer.code, "INVALID_ARGUMENT", f"code of {answer}")
    contains(answer.message, *parts)


@check("A5.1 an empty header value is INVALID_ARGUMENT")
def _():
    with Server() as server:
        invalid(server, [("instance-id", "")], "instance-id", "empty")
        invalid(server, [("instance-id-bin", "")], "instance-id-bin", "empty")
        invalid(server, [("instance-expect", "")], "instance-expect", '""')
        server.lives()


@check("A5.2 control characters and spaces in an ID are INVALID_ARGUMENT, byte by byte")
def _():
    with Server() as server:
        for byte in (*range(0x01, 0x21), 0x7F):
            if byte in (0x0A, 0x0D):
                continue  # These end a header for some; see A5.3.
            invalid(server, [("instance-id", b"a" + bytes([byte]) + b"b")],
                    f"0x{byte:02X}", "at byte 1")
        server.lives()


@check("A5.3 line ends and zero bytes in an ID never reach a context")
def _():
    with Server() as server:
        for value in (b"a\r\nb", b"a\nb", b"a\rb", b"a\0b", b"\0", b"\n"):
            answer = server.connect().call([("instance-id", value)])
            expect(answer.code != "OK", f"{value!r}: {answer}")
        server.lives()


@check("A5.4 bytes that are not ASCII are INVALID_ARGUMENT in a text header")
def _():
    with Server() as server:
        for value in (b"\xff\xfe", b"a\x80", "zürich".encode(), b"\xc0\xaf"):
            invalid(server, [("instance-id", value)], "instance-id",
                    f"0x{next(b for b in value if b > 0x7E):02X}")
        server.lives()


@check("A5.5 two ID headers are INVALID_ARGUMENT, as are a hundred, or two alike")
def _():
    with Server() as server:
        invalid(server, [("instance-id", "a"), ("instance-id", "b")], "2 times", '"b"')
        invalid(server, [("instance-id", "a"), ("instance-id", "a")], "2 times", '"a"')
        invalid(server, [("instance-id", "a")] * 100, "100 times")
        invalid(server, [("instance-id-bin", bin_value(b"a"))] * 2, "2 times")
        server.lives()


@check("A5.6 a comma, as a proxy joins two headers with, is INVALID_ARGUMENT")
def _():
    with Server() as server:
        for value in ("a,b", "a, b", ",", "a,"):
            invalid(server, [("instance-id", value)], "comma", f'"{value}"')
        server.lives()


@check("A5.7 instance-id-bin that is not base64 reaches no context")
def _():
    with Server() as server:
        for value in ("!!!", "YQ,YQ", "Y", "=", "Y=Q", b"\xff\xff", "YQ==YQ=="):
            answer = server.connect().call([("instance-id-bin", value)])
            expect(answer.code != "OK", f"{value!r}: {answer}")
        server.lives()


@check("A5.8 a hundred headers that mean nothing change nothing")
def _():
    with Server() as server:
        headers = [(f"x-{i}", "v" * 10) for i in range(100)]
        answer = server.connect().call([*headers, ("instance-id", "room-1")])
        equal((answer.code, answer.instance_id), ("OK", "room-1"), "answer")
        server.lives()


@check("A5.9 a response header's name in a request means nothing")
def _():
    with Server() as server:
        answer = server.connect().echo("room-1", headers=[
            ("instance-generation", "1"), ("instance-created", "perhaps"),
            ("instance-idle-timeout-ms", "-1")])
        equal((answer.code, answer.sequence), ("OK", 1), "answer")
        expect(answer.generation > 1, "took the generation from the caller")
        equal(answer.header("instance-idle-timeout-ms"), "20000", "idle timeout")


@check("A5.10 a header name in upper case, which HTTP/2 forbids, chooses no context")
def _():
    with Server() as server:
        answer = server.connect().call([("Instance-Id", "room-1")])
        expect(answer.instance_id != "room-1", f"{answer}")
        server.lives()


@check("A5.11 a request without `te: trailers`, or without content type, harms nobody")
def _():
    with Server() as server:
        for options in ({"te": None}, {"te": "gzip"}, {"content_type": None},
                        {"content_type": "text/plain"}):
            server.connect().call([("instance-id", "room-1")], **options)
        server.lives()


@check("A5.12 a body that is not a message fails that call alone")
def _():
    with Server() as server:
        connection = server.connect()
        for body in (b"", b"\0\0\0\0\5abc", frame(b"\xff\xff\xff"),
                     frame(b"aaa", compressed=1),
                     frame(echo_request(b"\xff\xfe"))):
            answer = connection.call([("instance-id", "room-1")], body)
            expect(answer.code != "OK", f"{body}: {answer}")
        equal(connection.echo("room-1").sequence, 1, "sequence")
        # gRPC 1.51 takes this for an empty message now and then.
        server.connect().call([("instance-id", "room-1")], b"\xff" * 100)
        two = frame(echo_request("a")) + frame(echo_request("b"))
        connection.call([("instance-id", "room-1")], two)
        server.lives()


@check("A5.13 a message announced as 4 GB that ends early fails that call alone")
def _():
    with Server() as server:
        answer = server.connect().call(
            [("instance-id", "room-1")], b"\0\xff\xff\xff\xff" + b"x" * 100)
        expect(answer.code in ("INTERNAL", "RESOURCE_EXHAUSTED"), f"{answer}")
        server.lives()


@check("A5.14 a call whose body never comes holds no context")
def _():
    with Server() as server:
        slow = server.connect()
        number = slow.start([("instance-id", "room-1")], data=b"", end=False)
        equal(server.connect().echo("room-1").sequence, 1, "sequence")
        slow.send(number, frame(echo_request("late")))
        equal(slow.finish(number).sequence, 2, "sequence of the late call")


@check("A5.15 a call that is reset by its client ends, and its context goes idle")
def _():
    with Server("--console", "--idle-timeout=50ms") as server:
        connection = server.connect(window=0)
        for i in range(20):
            connection.reset(connection.hold(f"room-{i}"))
        for i in range(20):
            server.await_line("out", f'context removed    "room-{i}"')
        server.lives()


@check("A5.16 a client that does not speak HTTP/2 is disconnected")
def _():
    with Server() as server:
        host, port = server.address.split(":")
        for hello in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\2\0\1\0",
                      b"\0" * 100, os.urandom(1000)):
            with socket.create_connection((host, int(port))) as stranger:
                stranger.settimeout(60)
                stranger.sendall(hello)
                try:
                    while stranger.recv(1 << 16):
                        pass
                except ConnectionError:
                    pass
        server.lives()


@check("A5.17 frames that break HTTP/2 end their connection at most")
def _():
    with Server() as server:
        for garbage in (
                raw_frame(DATA, 0, 0, b"x"), raw_frame(DATA, 0, 99, b"x"),
                raw_frame(HEADERS, 4, 0, b""), raw_frame(HEADERS, 4, 2, b"\x82"),
                raw_frame(HEADERS, 4, 1, b"\xff" * 50),
                raw_frame(HEADERS, 0, 1, b"\x82") + raw_frame(PING, 0, 0, b"12345678"),
                raw_frame(PRIORITY, 0, 1, b"abc"), raw_frame(RST, 0, 0, b"1234"),
                raw_frame(RST, 0, 1, b"1"), raw_frame(SETTINGS, 0, 0, b"12345"),
                raw_frame(SETTINGS, 1, 0, b"123456"), raw_frame(PUSH, 4, 1, b"1234"),
                raw_frame(PING, 0, 0, b"short"), raw_frame(PING, 0, 1, b"12345678"),
                raw_frame(GOAWAY, 0, 0, b""), raw_frame(WINDOW, 0, 0, b"\0\0\0\0"),
                raw_frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff") * 3,
                raw_frame(CONTINUATION, 4, 1, b""), raw_frame(77, 255, 7, b"?"),
                raw_frame(DATA, 0, 1, b"x", length=0xFFFFFF)):
            connection = Connection(server.address)
            connection.echo()
            connection.send_bytes(garbage)
            connection.receive_for(0.1)
            connection.close()
        server.lives()


@check("A5.18 frames at random, a thousand connections of them, end no server")
def _():
    chance = random.Random(20200401)
    with Server() as server:
        host, port = server.address.split(":")
        for _ in range(1000):
            with socket.create_connection((host, int(port))) as stranger:
                frames = b"".join(raw_frame(
                    chance.randrange(10), chance.randrange(256), chance.randrange(4),
                    chance.randbytes(chance.randrange(40)))
                    for _ in range(chance.randrange(1, 6)))
                try:
                    stranger.sendall(PREFACE + raw_frame(SETTINGS, 0, 0, b"") + frames)
                except ConnectionError:
                    pass
        server.lives()


@check("A5.19 a reply's headers stay legal, whatever the ID: none breaks a client")
def _():
    with Server() as server:
        for value in ("\u00a0", "é", "a\u2028b", '"quoted"', "a\\b", "%41", "{}", "~"):
            answer = server.connect().echo(
                headers=[("instance-id-bin", bin_value(value.encode()))])
            equal(answer.instance_id, value, "ID")
            for name, text in answer.headers:
                expect(all(0x20 <= ord(c) <= 0x7E for c in text), f"{name}: {text!r}")
