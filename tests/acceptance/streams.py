"""A12: Echo's streams: EchoStream, Join, and what ends a stream."""

import contextlib
import json
import pathlib
import signal
import time

import harness
from grpc_calls import (ECHO, INSTANCES, OpenCall, await_pins, call, fails, get,
                        pins, seconds)
from harness import (PYTHON, Program, Server, check, contains, equal, expect,
                     leasehold, wait_until)
from raw_http2 import echo_request, frame

ROOM = ["instance-id: room-1"]
JOIN, ECHO_STREAM = ECHO + "Join", ECHO + "EchoStream"
HERE = pathlib.Path(__file__).resolve().parent

# Every stream of ours that can be open, with its requests and its pin.
STREAMS = ((ECHO_STREAM, None, "echo-stream"), (JOIN, {}, "join"),
           (INSTANCES + "Hold", {}, "hold"), (INSTANCES + "Watch", {}, None),
           (INSTANCES + "KeepAlive", None, None))
PINNING = [s for s in STREAMS if s[2]]

HEALTH = ("-import-path", HERE, "-proto", "health.proto")


def echo(server, text="Apple"):
    return call(server, ECHO + "Echo", {"text": text}, ROOM).message


def joined(join):
    return join.await_messages(1)[0]["joined"]


def echoes(join, count):
    """(sequence, text) of the `count` echoes that follow `joined`."""
    messages = join.await_messages(1 + count)[1:]
    return [(int(m["echo"]["sequence"]), m["echo"].get("text", ""))
            for m in messages]


# ---- EchoStream -----------------------------------------------------------------

@check("A12.1 EchoStream echoes each message in order, and ends when the caller does")
def _():
    with Server() as server:
        texts = ["Apple", "", "Äpfel 🍎", "Pear"]
        with OpenCall(server, ECHO_STREAM, None, ROOM) as stream:
            stream.send(*({"text": t} for t in texts))
            answers = stream.await_messages(4)
            equal([(a.get("text", ""), a["instance_id"], a["sequence"])
                   for a in answers],
                  [(t, "room-1", str(i)) for i, t in enumerate(texts, 1)], "answers")
            equal(len({a["generation"] for a in answers}), 1, "generations")
            stream.send({"text": "last"})
            stream.await_messages(5)
            stream.finish()
            equal(stream.status(), ("OK", ""), "how it ends")


@check("A12.2 EchoStream sends its headers at once, before any message")
def _():
    with Server() as server, \
            OpenCall(server, ECHO_STREAM, None, ROOM) as stream:
        headers = stream.headers()
        equal((headers["instance-id"], headers["instance-created"],
               headers["instance-idle-timeout-ms"]), ("room-1", "true", "20000"),
              "headers")
        with OpenCall(server, ECHO_STREAM, None, ROOM) as other:
            equal(other.headers(),
                  {"instance-generation": headers["instance-generation"]},
                  "headers of one that meets it")
        equal(stream.messages, [], "messages")


@check("A12.3 EchoStream and Echo count one sequence, over all channels")
def _():
    with Server() as server, \
            OpenCall(server, ECHO_STREAM, None, ROOM) as one, \
            OpenCall(server, ECHO_STREAM, None, ROOM) as two:
        one.send({})
        equal(one.await_messages(1)[-1]["sequence"], "1", "sequence")
        two.send({})
        equal(two.await_messages(1)[-1]["sequence"], "2", "sequence")
        equal(echo(server)["sequence"], "3", "sequence")
        one.send({})
        equal(one.await_messages(2)[-1]["sequence"], "4", "sequence")


@check("A12.4 EchoStream keeps its context busy; at its end the lease begins")
def _():
    with Server("--idle-timeout=60s") as server:
        with OpenCall(server, ECHO_STREAM, None, ROOM) as stream:
            stream.headers()
            instance = await_pins(server, "room-1", {"echo-stream": 1})
            equal(instance["state"], "BUSY", "state")
            stream.finish()
            equal(stream.status(), ("OK", ""), "how it ends")
            instance = await_pins(server, "room-1", {})
        equal(instance["state"], "IDLE", "state")
        expect(59 < seconds(instance["lease_remaining"]) <= 60, f"{instance}")


@check("A12.5 without the header, EchoStream and Join make an instance and name it")
def _():
    with Server() as server:
        for method, requests in ((ECHO_STREAM, None), (JOIN, {})):
            with OpenCall(server, method, requests) as stream:
                made = stream.headers()["instance-id"]
                expect(harness.UUID.fullmatch(made), f"no UUID: {made}")
                equal(get(server, made)["state"], "BUSY", "state")


@check("A12.6 EchoStream and Join refuse what Echo refuses, with the same codes")
def _():
    with Server() as server:
        for method in (ECHO_STREAM, JOIN):
            fails(server, "INVALID_ARGUMENT", method, {}, ["instance-id: a,b"],
                  names=("instance-id",))
            fails(server, "INVALID_ARGUMENT", method, {},
                  [*ROOM, "instance-idle-timeout: soon"],
                  names=("instance-idle-timeout",))
            fails(server, "NOT_FOUND", method, {},
                  [*ROOM, "instance-expect: existing"], names=("room-1",))
        echo(server)
        for method in (ECHO_STREAM, JOIN):
            fails(server, "ALREADY_EXISTS", method, {},
                  [*ROOM, "instance-expect: new"], names=("room-1",))


@check("A12.7 a message that is too long ends EchoStream with RESOURCE_EXHAUSTED")
def _():
    with Server() as server:
        answer = server.connect().echo("room-1", text="x" * (4 << 20),
                                       path=f"/{ECHO_STREAM}")
        equal(answer.code, "RESOURCE_EXHAUSTED", f"code of {answer}")
        wait_until(lambda: get(server, "room-1")["state"] == "IDLE", "the pin to go")
        server.lives()


# ---- Join -----------------------------------------------------------------------

@check("A12.8 Join says first which room it is and how far it has come")
def _():
    with Server() as server:
        first = echo(server)
        echo(server)
        with OpenCall(server, JOIN, {}, ROOM) as join:
            equal(joined(join), {"instance_id": "room-1",
                                 "generation": first["generation"],
                                 "sequence": "2"}, "joined")
            equal(join.headers(), {"instance-generation": first["generation"]},
                  "headers")
            equal(get(server, "room-1")["state"], "BUSY", "state")


@check("A12.9 a caller that joins hears every echo from then on, whoever sent it, in order")
def _():
    with Server() as server:
        echo(server, "before")
        with OpenCall(server, JOIN, {}, ROOM) as one, \
                OpenCall(server, JOIN, {}, ROOM) as two, \
                OpenCall(server, ECHO_STREAM, None, ROOM) as stream:
            for each in (one, two):
                joined(each)
            echo(server, "grpcurl")
            stream.send({"text": "stream"})
            stream.await_messages(1)
            server.connect().echo("room-1", text="raw")
            server.connect().echo("room-2", text="elsewhere")
            leasehold(f"--address={server.address}", "echo", "cli", "--id=room-1")
            wanted = [(2, "grpcurl"), (3, "stream"), (4, "raw"), (5, "cli")]
            for each in (one, two):
                equal(echoes(each, 4), wanted, "echoes")


@check("A12.10 a caller that comes back with the last sequence seen gets what it missed, with "
       "0 everything")
def _():
    with Server() as server:
        with OpenCall(server, JOIN, {}, ROOM) as join:
            joined(join)
            for text in "abcde":
                echo(server, text)
            everything = echoes(join, 5)
        for after, wanted in ((0, everything), (3, everything[3:]), (5, [])):
            with OpenCall(server, JOIN, {"after_sequence": after}, ROOM) as join:
                equal(joined(join)["sequence"], "5", "sequence so far")
                echo(server, "new")
                heard = echoes(join, len(wanted) + 1)
                equal(heard[:-1], wanted, f"echoes after {after}")
                equal(heard[-1][1], "new", "the next one")
            # Back to where it was.
            call(server, INSTANCES + "Release",
                 {"instance_id": "room-1", "force": True})
            with OpenCall(server, JOIN, {}, ROOM) as join:
                joined(join)
                for text in "abcde":
                    echo(server, text)
                echoes(join, 5)


@check("A12.11 a sequence of an earlier context: the answer shows it, and only what is "
       "new is heard")
def _():
    with Server() as server, \
            OpenCall(server, JOIN, {"after_sequence": 1000}, ROOM) as join:
        expect("sequence" not in joined(join), "a sequence of an empty room")
        echo(server, "new")
        equal(echoes(join, 1), [(1, "new")], "echoes")


@check("A12.12 echoes that are no longer there are reported as lagged; the rest comes")
def _():
    with Server() as server:
        with OpenCall(server, JOIN, {}, ROOM) as join:
            joined(join)
            connection = server.connect()
            for _ in range(1500):
                equal(connection.echo("room-1").code, "OK", "echo")
        with OpenCall(server, JOIN, {"after_sequence": 10}, ROOM) as join:
            equal(joined(join)["sequence"], "1500", "sequence so far")
            missed = int(join.await_messages(2)[1]["lagged"]["missed"])
            expect(0 < missed < 1490, f"missed {missed}")
            rest = join.await_messages(2 + 1490 - missed)[2:]
            equal([int(m["echo"]["sequence"]) for m in rest],
                  list(range(11 + missed, 1501)), "sequences")


@check("A12.13 a slow reader is dropped with RESOURCE_EXHAUSTED, and its pin at once; other "
       "readers are not disturbed")
def _():
    with Server() as server:
        slow = server.connect(window=1000)  # Takes no more than that.
        number = slow.start([("instance-id", "room-1")], frame(b""),
                            path=f"/{JOIN}")
        wait_until(lambda: slow.receive_for(0.01) or slow.streams[number].data,
                   "the slow reader to be in the room")
        with OpenCall(server, JOIN, {}, ROOM) as join:
            joined(join)
            await_pins(server, "room-1", {"join": 2})
            connection = server.connect()
            count = 0

            def dropped():
                nonlocal count
                for _ in range(100):
                    count += 1
                    answer = connection.echo("room-1", text="x" * 10000)
                    equal(answer.code, "OK", f"{answer}")
                join.await_messages(1 + count)  # Reads as fast as they come.
                return pins(get(server, "room-1")) == {"join": 1}
            wait_until(dropped, "the slow reader to be dropped")
            sequences = [s for s, _ in echoes(join, count)]
            equal(sequences, list(range(1, count + 1)), "what the other heard")
        slow.let_through(number, 1 << 24)
        answer = slow.finish(number)
        equal(answer.code, "RESOURCE_EXHAUSTED", f"code of {answer.message}")
        contains(answer.message, "fell behind", "after_sequence")


@check("A12.14 a room of 50 hears everything")
def _():
    with Server() as server:
        readers = [server.connect() for _ in range(50)]
        numbers = [r.start([("instance-id", "room-1")], frame(b""), path=f"/{JOIN}")
                   for r in readers]
        for reader, number in zip(readers, numbers):
            expect(reader.in_flight(number), "it has ended")
        await_pins(server, "room-1", {"join": 50})
        speaker = server.connect()
        for i in range(200):
            speaker.echo("room-1", text=f"<{i}>")
        for reader, number in zip(readers, numbers):
            wait_until(lambda: reader.receive_for(0.01)
                       or b"<199>" in reader.streams[number].data, "the last echo")
            heard = reader.streams[number].data
            places = [heard.find(f"<{i}>".encode()) for i in range(200)]
            expect(places == sorted(places) and places[0] > 0,
                   "echoes are missing or out of order")


# ---- Two languages, one room ------------------------------------------------------

@check("A12.15 programs in Go, C++ and Python join one room and hear each other")
def _():
    python = [PYTHON, "-B", HERE / "join_room.py"]
    with Server() as server, OpenCall(server, JOIN, {}, ROOM) as go, \
            Program(harness.clients / "leasehold", "--output=json",
                    f"--address={server.address}", "join", "room-1") as cpp, \
            Program(*python, server.address, "room-1") as py:
        joined(go)
        cpp.await_line("out", '"joined"')
        py.await_line("out", "joined")
        equal(pins(get(server, "room-1")), {"join": 3}, "pins")
        echo(server, "from Go")
        result = leasehold(f"--address={server.address}", "echo", "from C++",
                           "--id=room-1")
        equal(result.code, 0, f"exit code of {result}")
        result = harness.run(*python, server.address, "room-1", "from Python")
        equal(result.code, 0, f"exit code of {result}")
        texts = ["from Go", "from C++", "from Python"]
        equal([t for _, t in echoes(go, 3)], texts, "what Go heard")
        for program in (cpp, py):
            program.await_line("out", texts[-1])
        equal([json.loads(line)["text"] for line in cpp.out[1:]], texts,
              "what C++ heard")
        equal(py.out[1:], texts, "what Python heard")


def pin_goes(server, killed, kind, left):
    """Kills it; returns after how many seconds the server no longer shows its pin."""
    before = pins(get(server, "room-1"))
    equal(before.get(kind), left + 1, f"{kind} of {before}")
    killed.send_signal(signal.SIGKILL)
    start = time.monotonic()
    wait_until(lambda: pins(get(server, "room-1")).get(kind, 0) == left,
               f"the {kind} of the killed to go")
    return time.monotonic() - start


@check("A12.16 a process that joined is killed: its pin is gone within a second, the "
       "others stay")
def _():
    for _ in range(10):  # Says nothing if the machine was too slow: then once more.
        with Server() as server:
            cpp = Program(harness.clients / "leasehold", "--output=json",
                          f"--address={server.address}", "join", "room-1")
            with cpp:  # First: it makes the context.
                cpp.await_line("out", '"joined"')
                with OpenCall(server, JOIN, {}, ROOM) as go:
                    joined(go)
                    took = [pin_goes(server, cpp, "join", 1)]
                    echo(server, "who is there?")
                    equal(echoes(go, 1), [(1, "who is there?")], "what Go heard")
                    took.append(pin_goes(server, go, "join", 0))
            equal(get(server, "room-1")["state"], "IDLE", "state")
            if max(took) < 1:
                return
    raise harness.Failed(f"ten times, a pin took more than a second: {took}")


@check("A12.17 a client that is killed frees the pin of any stream, whether its call "
       "made the context or met it")
def _():
    with Server() as server:
        for method, requests, kind in PINNING:
            for made in (True, False):
                if not made:
                    echo(server)
                with OpenCall(server, method, requests, ROOM) as stream:
                    stream.headers()
                    await_pins(server, "room-1", {kind: 1})
                    pin_goes(server, stream, kind, 0)
                call(server, INSTANCES + "Release", {"instance_id": "room-1"})


@check("A12.18 a connection that is lost, and a call that is cancelled, free the pins")
def _():
    with Server() as server:
        for method, _, kind in PINNING:
            for end in ("vanish", "reset"):
                connection = server.connect()
                number = connection.start([("instance-id", "room-1")], frame(b""),
                                          path=f"/{method}", end=False)
                if kind != "echo-stream":
                    connection.h2.end_stream(number)
                    connection.receive_for(0.01)
                expect(connection.in_flight(number), f"{method} has ended")
                await_pins(server, "room-1", {kind: 1})
                if end == "vanish":
                    connection.vanish()
                else:
                    connection.reset(number)
                await_pins(server, "room-1", {})
                call(server, INSTANCES + "Release", {"instance_id": "room-1"})


@check("A12.19 a stream that is past its deadline frees its pin")
def _():
    with Server() as server:
        connection = server.connect()
        for method, _, kind in PINNING:
            number = connection.start(
                [("instance-id", "room-1"), ("grpc-timeout", "300m")], frame(b""),
                path=f"/{method}", end=kind != "echo-stream")
            stream = connection.streams[number]
            wait_until(lambda: connection.receive_for(0.01) or stream.ended,
                       f"the end of {method}")
            wait_until(lambda: get(server, "room-1")["state"] == "IDLE",
                       "the pin to go")


# ---- Drain ----------------------------------------------------------------------

def drains_at_once(server):
    """SIGTERM: it ends long before its --drain-timeout, which is 60 s."""
    start = time.monotonic()
    server.send_signal(signal.SIGTERM)
    equal(server.wait(), 0, "exit code")
    took = time.monotonic() - start
    expect(took < 30, f"the drain took {took:.1f} s of its 60 s")


@check("A12.20 draining ends each open stream with UNAVAILABLE at once, and then the "
       "server")
def _():
    for method, requests, _ in STREAMS:
        with Server("--drain-timeout=60s") as server, \
                OpenCall(server, method, requests, ROOM) as stream:
            stream.await_line("out", "Response headers received:")
            drains_at_once(server)
            code, message = stream.status()
            equal(code, "UNAVAILABLE", f"how {method} ends: {message}")
            contains(message, "shutting down")


@check("A12.21 draining ends all streams at once, also of one context, in the middle of "
       "their work")
def _():
    with Server("--drain-timeout=60s", "--console") as server, \
            contextlib.ExitStack() as stack:
        streams = [stack.enter_context(OpenCall(server, method, requests, ROOM))
                   for method, requests, _ in STREAMS * 3]
        for stream in streams:
            stream.await_line("out", "Response headers received:")
        for stream in streams[::5]:
            stream.send({"text": "Apple"})
            stream.await_messages(1)
        drains_at_once(server)
        equal({s.status()[0] for s in streams}, {"UNAVAILABLE"}, "how they end")
        contains(server.await_line("out", "context removed"), "room-1", "shutdown")


@check("A12.22 a call in flight is served to its end while the streams are ended")
def _():
    with Server("--drain-timeout=60s") as server, \
            OpenCall(server, JOIN, {}, ROOM) as join:
        joined(join)
        slow = server.connect(window=0)
        number = slow.hold("room-1")
        server.send_signal(signal.SIGTERM)
        equal(join.status()[0], "UNAVAILABLE", "how the stream ends")
        expect(server.process.poll() is None, "the server did not wait for the call")
        slow.let_through(number)
        equal(slow.finish(number).code, "OK", "code of the call")
        equal(server.wait(), 0, "exit code")


@check("A12.23 an open health Watch is told NOT_SERVING, and does not delay a drain")
def _():
    with Server("--drain-timeout=60s") as server, \
            OpenCall(server, "grpc.health.v1.Health/Watch", {},
                     flags=HEALTH) as watch:
        equal(watch.await_messages(1)[0]["status"], "SERVING", "status")
        drains_at_once(server)
        watch.await_message(lambda m: m.get("status") == "NOT_SERVING",
                            "NOT_SERVING")
        equal(watch.status()[0], "UNAVAILABLE", "how it ends")


@check("A12.24 an open reflection stream does not delay a drain")
def _():
    with Server("--drain-timeout=60s") as server, \
            OpenCall(server,
                     "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                     None) as stream:
        stream.send({"list_services": ""})
        stream.await_messages(1)
        drains_at_once(server)


@check("A12.25 a slow reader, and one that reads nothing, do not delay a drain")
def _():
    with Server("--drain-timeout=60s") as server:
        slow = server.connect(window=0)
        for method, _, _ in STREAMS:
            number = slow.start([("instance-id", "room-1")], frame(b""),
                                path=f"/{method}")
            expect(slow.in_flight(number) or method.endswith("Stream")
                   or method.endswith("KeepAlive"), f"{method} has ended")
        drains_at_once(server)


@check("A12.26 while a server drains, a new stream is UNAVAILABLE")
def _():
    with Server("--drain-timeout=60s") as server:
        slow = server.connect(window=0)
        number = slow.hold("room-1")
        other = server.connect()
        server.send_signal(signal.SIGTERM)
        server.await_line("err", "draining")
        for method, _, _ in STREAMS:
            answer = other.call([("instance-id", "room-1")],
                                frame(echo_request("")), path=f"/{method}")
            equal(answer.code, "UNAVAILABLE", f"code of {method}: {answer}")
        slow.let_through(number)
        equal(slow.finish(number).code, "OK", "code of the call in flight")
        equal(server.wait(), 0, "exit code")
