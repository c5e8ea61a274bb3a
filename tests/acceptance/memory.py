"""A41: there is a bound on what the server keeps for callers that do not read."""

import pathlib
import sys

import grpc

import harness
from harness import (check, contains, equal, expect, measured_server, needs_bounds,
                     temporary_folder, wait_until)
from sidecar import Sidecar, complete

sys.path.append(str(harness.ROOT / "tests/soak"))

import hostile  # noqa: E402

MIB = 1 << 20
SIDECAR = f"/{hostile.SIDECAR}/"
ORCHESTRATION = "/leasehold.v1.Orchestration/"


def status_kib(server, name):
    status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0])


def peak_mib(server):
    return status_kib(server, "VmHWM") // 1024


def echoes(server):
    """A polite caller is served."""
    client = hostile.Client(server.address, timeout=60)
    client.finish(client.call("/leasehold.v1.Echo/Echo", hostile.field(1, "hello")))


@check("A41.1 150 unread answers of 8 MiB: what is over the bound is refused, the others are "
       "held, and a polite caller is served; the bound is that of --max-total-bytes")
def _():
    with (temporary_folder() as data,
          measured_server(f"--data={data}/d", "--max-total-bytes=134217728") as server):
        name = hostile.start_large(hostile.Client(server.address), 8 * MIB)
        clients = [hostile.Client(server.address, window=0) for _ in range(3)]
        streams = []
        for client in clients:
            streams.append([client.call(SIDECAR + "GetInstance", hostile.field(1, name) +
                                        hostile.field(2, 1)) for _ in range(50)])
        refused = [0, 0, 0]

        def all_refused_that_must_be():
            for i, client in enumerate(clients):
                client.pump(0.1)
                while client.pump(0.05):
                    pass
                refused[i] = sum(s in client.ended for s in streams[i])
            return sum(refused) >= 150 - 14
        wait_until(all_refused_that_must_be, "136 of 150 answers to be refused")
        expect(sum(refused) < 150, "some have room")
        # Each client has at most 7 answers (64 MiB), all at most 14 (112 MiB).
        echoes(server)
        expect(peak_mib(server) < 700, f"the server had {peak_mib(server)} MiB")


@check("A41.2 the refusal names the bound and what to do; the other answer is held, and another "
       "connection's call is answered")
def _():
    with (temporary_folder() as data,
          measured_server(f"--data={data}/d", "--max-connection-bytes=10000000") as server):
        name = hostile.start_large(hostile.Client(server.address), 8 * MIB)
        client = hostile.Client(server.address, window=0)
        question = hostile.field(1, name) + hostile.field(2, 1)
        for _ in range(2):
            client.call(SIDECAR + "GetInstance", question)

        def one_ended():
            client.pump(1)
            return len(client.ended) == 1  # Whichever was read last.
        wait_until(one_ended, "a refusal")
        [refusal] = client.ended.values()
        contains(refusal.decode(errors="replace"), "--max-connection-bytes", "10000000",
                 "read")
        other = hostile.Client(server.address)
        other.finish(other.call(SIDECAR + "GetInstance", question))


def bytes_of(server, method, request):
    """What a polite caller of a stream gets, in bytes."""
    with grpc.insecure_channel(server.address,
                               [("grpc.max_receive_message_length", -1)]) as channel:
        return sum(map(len, channel.unary_stream(method)(request, timeout=60)))


def settle(clients):
    """Reads what the server has to say of its own, until it says nothing more."""
    for client in clients:
        while client.pump(0.2):
            pass


def leave(clients):
    for client in clients:
        client.socket.close()


@check("A41.3 40 unread histories of 15 MiB, of either kind: of what was not sent nothing "
       "is kept in memory; one that is read comes whole")
def _():
    with (temporary_folder() as data,
          measured_server(f"--data={data}/d", "--max-total-bytes=134217728") as server):
        caller = hostile.Client(server.address, timeout=60)
        caller.finish(caller.call(SIDECAR + "StartInstance", hostile.field(
            1, "long") + hostile.field(2, "Ping") + hostile.field(
                4, hostile.text(f'"{"x" * 15 * MIB}"'))))
        caller.finish(caller.call(SIDECAR + "WaitForInstanceCompletion",
                                  hostile.field(1, "long")))
        before = peak_mib(server)
        clients = [hostile.Client(server.address, window=0) for _ in range(4)]
        for client in clients:
            for _ in range(5):
                client.call(SIDECAR + "StreamInstanceHistory", hostile.field(1, "long"))
                client.call(ORCHESTRATION + "GetHistory", hostile.field(1, "long"))
        settle(clients)
        echoes(server)
        grown = peak_mib(server) - before
        expect(grown < 400, f"the server had {grown} MiB more")
        leave(clients)
        for method in (SIDECAR + "StreamInstanceHistory", ORCHESTRATION + "GetHistory"):
            sent = bytes_of(server, method, hostile.field(1, "long"))
            expect(sent > 15 * MIB, f"{method} sent {sent} bytes")


@check("A41.4 200 unread Watches of an orchestration with 4.5 MiB: of what was not sent "
       "nothing is kept in memory; one that is read is told")
def _():
    with (temporary_folder() as data,
          measured_server(f"--data={data}/d", "--max-total-bytes=134217728") as server):
        name = hostile.start_large(hostile.Client(server.address), int(4.5 * MIB))
        before = peak_mib(server)
        clients = [hostile.Client(server.address, window=0) for _ in range(4)]
        for client in clients:
            for _ in range(50):
                client.call(ORCHESTRATION + "Watch", hostile.field(1, name))
        settle(clients)
        expect(not any(client.ended for client in clients), "they wait, and are not refused")
        echoes(server)
        grown = peak_mib(server) - before
        expect(grown < 300, f"the server had {grown} MiB more")
        leave(clients)
        with grpc.insecure_channel(server.address,
                                   [("grpc.max_receive_message_length", -1)]) as channel:
            watch = channel.unary_stream(ORCHESTRATION + "Watch")(
                hostile.field(1, name), timeout=60)
            expect(len(next(watch)) > 4.5 * MIB, "the state is told")
            watch.cancel()


@check("A41.5 100 events of 10 MiB for an orchestration that no worker takes: what is over "
       "--max-inbox-bytes is refused; the others are in the store, also after a restart, "
       "and a worker gets them")
def _():
    size = 10 * MIB
    with temporary_folder() as data:
        flags = (f"--data={data}/d", f"--max-inbox-bytes={512 * MIB}")
        with measured_server(*flags) as server:
            caller = hostile.Client(server.address, timeout=60)
            name = hostile.start_large(caller, size)
            before = peak_mib(server)
            event = hostile.field(1, name) + hostile.field(2, "e") + hostile.field(
                3, hostile.text("x" * size))
            answers = [caller.finish(caller.call(SIDECAR + "RaiseEvent", event))
                       for _ in range(100)]
            refused = [a.decode(errors="replace") for a in answers if b"RESOURCE" in a
                       or b"max-inbox" in a]
            equal(len(refused), 50, "events that are refused")  # The input counts too.
            contains(refused[-1], "--max-inbox-bytes", str(512 * MIB), name)
            echoes(server)
            grown = peak_mib(server) - before
            expect(grown < 200, f"the server had {grown} MiB more")
        with measured_server(*flags) as server:
            echoes(server)
            expect(peak_mib(server) < 200, f"the server had {peak_mib(server)} MiB")
            with Sidecar(server).worker() as worker:
                turn = worker.turn()
                equal(turn.new, ["OS", "executionStarted"])
                for _ in range(2):  # A turn has no more than fits.
                    turn.complete()
                    turn = worker.turn()
                    equal(turn.new, ["OS", "eventRaised e"])
                    equal(len(turn.request.newEvents[1].eventRaised.input.value), size)


@check("A41.6 a worker that reads nothing is handed no more than fits: the rest waits in the "
       "store, and another worker gets it at once")
def _():
    with temporary_folder() as data, measured_server(f"--data={data}/d") as server:
        caller = hostile.Client(server.address, timeout=60)
        deaf = hostile.Client(server.address, window=0)
        deaf.call(SIDECAR + "GetWorkItems", hostile.field(1, 1000) + hostile.field(2, 1000))
        settle([deaf])
        before = peak_mib(server)
        for _ in range(60):
            hostile.start_large(caller, 4 * MIB)
        echoes(server)
        grown = peak_mib(server) - before
        expect(grown < 150, f"the server had {grown} MiB more")
        with Sidecar(server).worker() as worker:
            for _ in range(20):
                worker.turn().complete(complete(1))


def begin_requests(client, count, size):
    """So many requests of 40 MB, of each of which only `size` bytes are sent."""
    streams = [client.open(ORCHESTRATION + "Start") for _ in range(count)]
    for stream in streams:
        client.data(stream, b"\0" + (40_000_000).to_bytes(4, "big") + bytes(size), end=False)
    return streams


@check("A41.7 requests that are begun and not finished: what is over --max-connection-bytes "
       "is refused, the others may be finished, and of what a client left nothing is kept")
def _():
    with measured_server("--max-total-bytes=268435456") as server:
        needs_bounds(server)
        held = hostile.Client(server.address)
        hold = held.call("/leasehold.v1.Instances/Hold", b"", [("instance-id", "room-1")])
        before = peak_mib(server)
        for _ in range(3):
            client = hostile.Client(server.address, timeout=60)
            begin_requests(client, 36, 8 * MIB)

            def refused():
                while client.pump(0.1):
                    pass
                return len(client.ended) >= 28
            wait_until(refused, "28 of 36 to be refused")
            expect(len(client.ended) <= 29, "some have room")
            contains(next(iter(client.ended.values())).decode(errors="replace"),
                     "--max-connection-bytes", "unfinished")
            echoes(server)
            client.socket.close()
        grown = peak_mib(server) - before
        expect(grown < 250, f"the server had {grown} MiB more")
        contains(server.await_line("err", "request_refused"), "--max-connection-bytes")
        # A large one alone, and in pieces, is taken.
        client = hostile.Client(server.address, timeout=60)
        name = hostile.start_large(client, 60_000_000 // 2)
        client.finish(client.call(SIDECAR + "GetInstance", hostile.field(1, name)))
        held.pump(0.1)
        expect(hold not in held.ended, "a quiet Hold has ended")


@check("A41.8 when all together have begun more than --max-total-bytes, a connection with more "
       "than its share is refused, and a small request of another is served")
def _():
    with measured_server("--max-total-bytes=33554432") as server:
        needs_bounds(server)
        clients = [hostile.Client(server.address, timeout=60) for _ in range(8)]
        for client in clients:
            begin_requests(client, 4, 4 * MIB)

        def refused():
            for client in clients:
                while client.pump(0.05):
                    pass
            return sum(len(client.ended) for client in clients) >= 16
        wait_until(refused, "half of them to be refused")
        polite = hostile.Client(server.address, timeout=60)
        polite.finish(polite.call(SIDECAR + "GetInstance",
                                  hostile.field(1, hostile.start_large(polite, 2 * MIB))))
