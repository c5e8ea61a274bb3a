"""A4: the header contract: what a call may ask, and what it must not."""

from harness import Server, check, contains, equal, expect, grpcurl, wait_until
from raw_http2 import bin_value, decode_bin

ECHO = "leasehold.v1.Echo/Echo"


def invalid(answer, *parts):
    equal(answer.code, "INVALID_ARGUMENT", f"code of {answer}")
    contains(answer.message, *parts)


def invalid_in_grpcurl(server, *headers, parts):
    args = [word for header in headers for word in ("-H", header)]
    result = grpcurl(*args, "-d", '{"text":"Apple"}', server.address, ECHO)
    equal(result.code, 64 + 3, f"exit code of {result}")
    contains(result.err, "InvalidArgument", *parts)


@check("A4.1 an ID of 256 bytes is taken, one of 257 refused: rule and value are named")
def _():
    with Server() as server:
        equal(server.connect().echo("x" * 256).instance_id, "x" * 256, "ID")
        invalid_in_grpcurl(server, "instance-id: " + "x" * 257,
                           parts=("instance-id", "257", "256", "x" * 64))


@check("A4.2 an empty ID is refused: rule and value are named")
def _():
    with Server() as server:
        invalid_in_grpcurl(server, "instance-id:",
                           parts=("instance-id", "empty", '""'))


@check("A4.3 an ID with a comma is refused: rule and value are named")
def _():
    with Server() as server:
        invalid_in_grpcurl(server, "instance-id: room-1,room-2",
                           parts=("instance-id", "comma", "room-1,room-2"))


@check("A4.4 two ID headers are refused: rule and value are named")
def _():
    with Server() as server:
        invalid_in_grpcurl(server, "instance-id: room-1", "instance-id: room-2",
                           parts=("instance-id", "2 times", "room-2"))


@check("A4.5 instance-id beside instance-id-bin is refused, even if they agree")
def _():
    with Server() as server:
        invalid_in_grpcurl(server, "instance-id: room-1",
                           "instance-id-bin: cm9vbS0x",
                           parts=("instance-id-bin", "room-1"))


@check("A4.6 `instance-idle-timeout: soon` is refused, as is an infinite time")
def _():
    with Server() as server:
        invalid_in_grpcurl(server, "instance-idle-timeout: soon",
                           parts=("instance-idle-timeout", "duration", "soon"))
        for value in ("", "20", "-1s", "inf", "1s,2s", "1 s", "20 seconds"):
            invalid(server.connect().echo(
                headers=[("instance-idle-timeout", value)]),
                "instance-idle-timeout", f'"{value}"')


@check("A4.7 `instance-expect: maybe` is refused: rule and value are named")
def _():
    with Server() as server:
        invalid_in_grpcurl(server, "instance-expect: maybe",
                           parts=("instance-expect", "new", "existing", "maybe"))


@check("A4.8 instance-idle-timeout and instance-expect are refused when given twice")
def _():
    with Server() as server:
        for name, value in (("instance-idle-timeout", "1s"),
                            ("instance-expect", "new")):
            invalid(server.connect().echo(headers=[(name, value), (name, value)]),
                    name, "2 times", value)


@check("A4.9 at most 64 bytes of a bad value are quoted, control characters escaped")
def _():
    with Server() as server:
        message = server.connect().echo("y" * 300).message
        contains(message, "y" * 64 + '"')
        expect("y" * 65 not in message, f"more than 64 bytes in {message!r}")
        invalid(server.connect().echo("a\x01\x7fb"), r"a\x01\x7fb")


@check("A4.10 a refused call creates nothing")
def _():
    with Server() as server:
        connection = server.connect()
        for headers in ([("instance-idle-timeout", "soon")],
                        [("instance-expect", "maybe")],
                        [("instance-id", "room-2")]):
            equal(connection.echo("room-1", headers=headers).code,
                  "INVALID_ARGUMENT", f"code with {headers}")
        equal(connection.echo("room-1", headers=[
            ("instance-expect", "existing")]).code, "NOT_FOUND", "code")


@check("A4.11 instance-idle-timeout is what the new context gets")
def _():
    with Server() as server:
        for value, ms in (("90s", 90000), ("500ms", 500), ("1h30m", 5400000),
                          ("1.5s", 1500)):
            answer = server.connect().echo(
                headers=[("instance-idle-timeout", value)])
            equal(answer.header("instance-idle-timeout-ms"), str(ms), value)


@check("A4.12 instance-idle-timeout is clamped to the server's least and greatest")
def _():
    with Server() as server:
        for value, ms in (("0s", 10), ("1ms", 10), ("1ns", 10),
                          ("25h", 86400000), ("999999h", 86400000)):
            answer = server.connect().echo(
                headers=[("instance-idle-timeout", value)])
            equal(answer.header("instance-idle-timeout-ms"), str(ms), value)


@check("A4.13 instance-idle-timeout changes nothing about an existing context")
def _():
    with Server("--idle-timeout=300ms") as server:
        connection = server.connect()
        for attempt in range(100):
            room = f"room-{attempt}"
            first = connection.echo(room)
            second = connection.echo(room, headers=[("instance-idle-timeout", "1h")])
            if second.generation == first.generation:  # The machine was in time.
                break
        # Waits for less than an hour.
        wait_until(lambda: connection.echo(room, headers=[
            ("instance-expect", "new")]).code == "OK", "the lease to end")


@check("A4.14 `instance-expect: new` creates, or fails with ALREADY_EXISTS")
def _():
    with Server() as server:
        connection, new = server.connect(), [("instance-expect", "new")]
        equal(connection.echo("room-1", headers=new).code, "OK", "code")
        answer = connection.echo("room-1", headers=new)
        equal(answer.code, "ALREADY_EXISTS", "code")
        contains(answer.message, "room-1")
        equal(connection.echo("room-1").sequence, 2, "sequence")


@check("A4.15 `instance-expect: existing` attaches, or fails with NOT_FOUND")
def _():
    with Server() as server:
        connection = server.connect()
        existing = [("instance-expect", "existing")]
        answer = connection.echo("room-1", headers=existing)
        equal(answer.code, "NOT_FOUND", "code")
        contains(answer.message, "room-1")
        equal(connection.echo("room-1").header("instance-created"), "true",
              "instance-created: nothing was left behind")
        equal(connection.echo("room-1", headers=existing).sequence, 2, "sequence")


@check("A4.16 instance-id-bin carries IDs outside ASCII, which come back as -bin only")
def _():
    with Server() as server:
        for name in ("zürich", "東京 1", "a,b", "a b", "🍎" * 256):
            answer = server.connect().echo(
                headers=[("instance-id-bin", bin_value(name.encode()))])
            equal(answer.instance_id, name, "ID in the answer")
            equal(decode_bin(answer.header("instance-id-bin")), name.encode(),
                  "instance-id-bin in the response")
            equal(answer.header("instance-id"), None, "instance-id")


@check("A4.17 one ID by instance-id or by instance-id-bin is one instance")
def _():
    with Server() as server:
        connection = server.connect()
        answer = connection.echo(headers=[("instance-id-bin", bin_value(b"room-1"))])
        equal(answer.header("instance-id"), "room-1", "instance-id")
        equal(answer.header("instance-id-bin"), None, "instance-id-bin")
        equal(connection.echo("room-1").sequence, 2, "sequence")


@check("A4.18 instance-id-bin holds 1 to 1,024 bytes of UTF-8 without control characters")
def _():
    with Server() as server:
        def by_bin(value):
            return server.connect().echo(
                headers=[("instance-id-bin", bin_value(value))])
        equal(by_bin(b"x" * 1024).code, "OK", "code of 1,024 bytes")
        invalid(by_bin(b"x" * 1025), "instance-id-bin", "1025", "1024")
        invalid(by_bin(b""), "instance-id-bin", "empty", '""')
        invalid(by_bin(b"a\0b"), "control character U+0000", r"a\x00b")
        invalid(by_bin("a\u0085b".encode()), "control character U+0085")
        for broken in (b"\xff", b"a\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
                       b"\xe2\x82"):
            invalid(by_bin(broken), "instance-id-bin", "UTF-8")


@check("A4.19 --instance-header names another header, in requests and responses")
def _():
    with Server("--instance-header=x-room") as server:
        connection = server.connect()
        answer = connection.call([("x-room", "room-1")])
        equal(answer.instance_id, "room-1", "ID")
        names = [n for n, _ in connection.streams[1].headers]
        expect("x-room" in names and "instance-id" not in names, f"{names}")
        equal(connection.call([("x-room-bin", bin_value(b"room-1"))]).sequence, 2,
              "sequence by x-room-bin")
        expect(connection.echo("room-1").instance_id != "room-1",
               "instance-id means nothing any more")
        invalid(connection.call([("x-room", "a,b")]), "x-room", "comma")


@check("A4.20 --max-contexts: one too many is RESOURCE_EXHAUSTED, the existing ones are served")
def _():
    with Server("--max-contexts=3") as server:
        slow = server.connect()
        held = [slow.occupy(f"room-{i}") for i in range(3)]
        for number in held:
            expect(slow.in_flight(number), "a stream has ended")
        answer = server.connect().echo("room-3")
        equal(answer.code, "RESOURCE_EXHAUSTED", f"code of {answer}")
        contains(answer.message, "--max-contexts", "3", "room-3")
        equal(server.connect().echo("room-1").sequence, 1, "sequence")
        for number in held:
            equal(slow.leave(number).code, "OK", "code of a held call")


@check("A4.21 --max-contexts: a place that is free again is given to the next")
def _():
    with Server("--max-contexts=1", "--idle-timeout=50ms") as server:
        connection = server.connect()
        for name in ("room-1", "room-2", "room-3"):
            wait_until(lambda: connection.echo(name).code == "OK", f"a place for {name}")


@check("A4.22 headers beyond gRPC's own limit are its RESOURCE_EXHAUSTED")
def _():
    with Server() as server:
        connection = server.connect()
        connection.echo()  # The limit holds once the client has confirmed it.
        answer = connection.echo("x" * 9000)
        equal(answer.code, "RESOURCE_EXHAUSTED", f"code of {str(answer)[:99]}")
        server.lives()
