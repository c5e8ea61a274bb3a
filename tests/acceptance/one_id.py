"""A3: one ID, one instance; as a newcomer meets it, with grpcurl."""

import json
import pathlib
import re
import time

import grpc

import harness
from harness import Server, check, contains, equal, expect, grpcurl, wait_until
from raw_http2 import echo_request

ECHO = "leasehold.v1.Echo/Echo"


def call(server, *args, text="Apple"):
    """One run of grpcurl: (answer, response headers)."""
    result = grpcurl("-v", *args, "-d", json.dumps({"text": text}), server.address,
                     ECHO)
    equal(result.code, 0, f"exit code of {result}")
    body = re.search(r"Response contents:\n(\{.*?\n\})", result.out, re.S).group(1)
    part = re.search(r"Response headers received:\n(.*?)\n\n", result.out, re.S)
    return json.loads(body), re.findall(r"^([\w-]+): (.*)$", part.group(1), re.M)


def ours(headers):
    return {n: v for n, v in headers if n.startswith("instance-")}


@check("A3.1 one grpcurl command is answered with text, ID, generation and sequence")
def _():
    with Server() as server:
        answer, _ = call(server, "-H", "instance-id: room-1")
        equal(answer["text"], "Apple", "text")
        equal(answer["instance_id"], "room-1", "instance_id")
        expect(int(answer["generation"]) > 0, f"generation of {answer}")
        equal(answer["sequence"], "1", "sequence")


@check("A3.2 the sequence goes up across separate runs; the generation stays")
def _():
    with Server() as server:
        answers = [call(server, "-H", "instance-id: room-1")[0] for _ in range(3)]
        equal([a["sequence"] for a in answers], ["1", "2", "3"], "sequences")
        equal(len({a["generation"] for a in answers}), 1, f"of {answers}")


@check("A3.3 after the idle time the generation is higher and the sequence 1")
def _():
    with Server("--idle-timeout=200ms", "--console") as server:
        first, _ = call(server, "-H", "instance-id: room-1")
        server.await_line("out", "context removed")
        second, _ = call(server, "-H", "instance-id: room-1")
        expect(int(second["generation"]) > int(first["generation"]),
               f"{second} after {first}")
        equal(second["sequence"], "1", "sequence")


@check("A3.4 the default idle time is 20 s, and a lease of 2 s ends by itself")
def _():
    with Server() as server:
        _, headers = call(server, "-H", "instance-id: room-1")
        equal(ours(headers)["instance-idle-timeout-ms"], "20000", "idle timeout")
        connection = server.connect()
        start = time.monotonic()
        first = connection.echo("short", headers=[("instance-idle-timeout", "2s")])

        # Asks without renewing: who expects a new one attaches to none.
        def gone():
            return connection.echo("short", headers=[
                ("instance-expect", "new")]).code == "OK"
        wait_until(gone, "the lease to end")
        expect(time.monotonic() - start >= 2, "the lease ended early")
        expect(connection.echo("short").generation > first.generation, "generation")


@check("A3.5 each use renews the lease: calls in time keep the instance for long")
def _():
    with Server("--idle-timeout=1s") as server:
        connection = server.connect()
        for attempt in range(10):
            sent, answered = [], []
            for i in range(11):
                sent.append(time.monotonic())
                answer = connection.echo(f"room-{attempt}")
                answered.append((time.monotonic(), answer.sequence))
                time.sleep(0.2)
            # Says nothing if the machine was too slow for it: then once more.
            if all(end - start < 1
                   for start, (end, _) in zip(sent, answered[1:])):
                equal([s for _, s in answered], list(range(1, 12)), "sequences")
                return
        raise harness.Failed("ten times, this machine slept through a second")


@check("A3.6 without the header: a UUID in answer and response header, to come back by")
def _():
    with Server() as server:
        first, headers = call(server)
        expect(harness.UUID.fullmatch(first["instance_id"]), f"no UUID: {first}")
        equal(ours(headers)["instance-id"], first["instance_id"], "response header")
        equal(first["sequence"], "1", "sequence")
        second, _ = call(server, "-H", f"instance-id: {first['instance_id']}")
        equal((second["instance_id"], second["generation"], second["sequence"]),
              (first["instance_id"], first["generation"], "2"), "the second call")


@check("A3.7 two calls without the header get two instances")
def _():
    with Server() as server:
        connection = server.connect()
        ids = {connection.echo().instance_id for _ in range(100)}
        equal(len(ids), 100, "different IDs")


@check("A3.8 the call that creates a context gets its ID, generation and idle timeout, and "
       "learns that it created")
def _():
    with Server() as server:
        answer, headers = call(server, "-H", "instance-id: room-1")
        equal(ours(headers), {
            "instance-id": "room-1", "instance-generation": answer["generation"],
            "instance-created": "true", "instance-idle-timeout-ms": "20000"},
            "response headers")


@check("A3.9 a call that finds a context gets its generation, and nothing else")
def _():
    with Server() as server:
        call(server, "-H", "instance-id: room-1")
        answer, headers = call(server, "-H", "instance-id: room-1")
        equal(ours(headers), {"instance-generation": answer["generation"]},
              "response headers")


@check("A3.10 reflection lists the services and describes Echo")
def _():
    with Server() as server:
        contains(grpcurl(server.address, "list").out, "leasehold.v1.Echo",
                 "grpc.health.v1.Health", "grpc.reflection")
        contains(grpcurl(server.address, "describe", "leasehold.v1.Echo").out,
                 "rpc Echo ( .leasehold.v1.EchoRequest )")
        contains(grpcurl(server.address, "describe",
                         "leasehold.v1.EchoResponse").out,
                 "string text = 1", "string instance_id = 2",
                 "uint64 generation = 3", "uint64 sequence = 4")


@check("A3.11 the health check says SERVING, NOT_FOUND for an unknown service")
def _():
    proto = pathlib.Path(__file__).resolve().parent / "health.proto"
    args = ("-import-path", proto.parent, "-proto", proto.name)
    with Server() as server:
        result = grpcurl(*args, server.address, "grpc.health.v1.Health/Check")
        contains(result.out, "SERVING")
        result = grpcurl(*args, "-d", '{"service":"none"}', server.address,
                         "grpc.health.v1.Health/Check")
        contains(result.err, "NotFound")


@check("A3.12 the health check needs no file: reflection describes it")
def _():
    with Server() as server:
        result = grpcurl(server.address, "grpc.health.v1.Health/Check")
        equal(result.code, 0, f"exit code of {result}")
        contains(result.out, "SERVING")


@check("A3.13 IDs are compared byte by byte; two IDs are two instances")
def _():
    with Server() as server:
        connection = server.connect()
        for name in ("room-1", "room-2", "Room-1", "room-1.", "ROOM-1"):
            equal(connection.echo(name).sequence, 1, f"sequence of {name}")
        equal(connection.echo("room-1").sequence, 2, "sequence")


@check("A3.14 an entity's name is lower-cased in its ID, its key is not")
def _():
    with Server() as server:
        connection = server.connect()
        equal(connection.echo("@Counter@a").instance_id, "@counter@a", "ID")
        equal(connection.echo("@counter@a").sequence, 2, "sequence")
        equal(connection.echo("@counter@A").sequence, 1, "sequence of another key")


@check("A3.15 several connections meet one instance")
def _():
    with Server() as server:
        answers = [server.connect().echo("room-1") for _ in range(5)]
        equal([a.sequence for a in answers], [1, 2, 3, 4, 5], "sequences")
        equal(len({a.generation for a in answers}), 1, "generations")


@check("A3.16 an instance whose call is in flight outlives its idle timeout")
def _():
    with Server("--idle-timeout=50ms") as server:
        slow = server.connect()
        number = slow.occupy("room-1")
        expect(slow.in_flight(number), "the call has ended")
        first = server.connect().echo("room-1")
        time.sleep(1)
        answer = server.connect().echo("room-1")
        equal((answer.generation, answer.sequence),
              (first.generation, first.sequence + 1), "instance")
        time.sleep(0.5)
        equal(slow.leave(number).code, "OK", "code of the slow call")


@check("A3.17 text: empty, not ASCII, and with every control character comes back")
def _():
    with Server() as server:
        answer, _ = call(server, text="")
        expect("text" not in answer, f"text of {answer}")
        odd = "Äpfel 🍎\n\t\"'" + "".join(map(chr, range(0, 32)))
        equal(call(server, text=odd)[0]["text"], odd, "text")


@check("A3.18 text of almost 4 MB is echoed, and with the longest ID a client that receives no "
       "more than 4 MiB can take it; more is RESOURCE_EXHAUSTED")
def _():
    with Server() as server:
        almost = "x" * ((4 << 20) - 2048)
        for id in ("room-1", "i" * 256, "\u00e4" * 512):
            with grpc.insecure_channel(server.address) as channel:
                got = channel.unary_unary("/leasehold.v1.Echo/Echo")(
                    echo_request(almost), timeout=30,
                    metadata=[("instance-id", id) if id.isascii() else
                              ("instance-id-bin", id.encode())])
            expect(len(got) > len(almost), f"{len(got)} bytes came back")
        answer = server.connect().echo("room-1", text=almost + "x")
        equal(answer.code, "RESOURCE_EXHAUSTED", f"code of {answer}")
        answer = server.connect().echo("room-1", text="x" * (4 << 20))
        equal(answer.code, "RESOURCE_EXHAUSTED", f"code of {answer}")
        server.lives()


@check("A3.19 an unknown method or service is UNIMPLEMENTED")
def _():
    with Server() as server:
        for path in ("/leasehold.v1.Echo/Shout", "/leasehold.v1.None/Echo", "/x"):
            equal(server.connect().call(path=path).code, "UNIMPLEMENTED", path)
