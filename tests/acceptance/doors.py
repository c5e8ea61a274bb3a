"""A35: what comes in: text that is not UTF-8, sizes, times, depth; and what goes out.

Whatever a stranger sends, the call is refused with a sentence that names the field and
the rule; and whatever a worker answers, its orchestration is told.
"""

import grpc

import sidecar as protocol
from harness import Server, check, contains, equal, expect
from orchestrations import on_both_stores
from sidecar import (Sidecar, complete, create_child, create_timer, failure, refused,
                     schedule_task, send_event)

LATIN_1 = b"caf\xe9"
HALF_EMOJI = b"no price for \xed\xa0\xbc"  # As JavaScript cuts "🎁".
TOO_LATE = 253_402_300_800  # The first second of the year 10000.
MIB = 1 << 20


def field(number, value):
    """A field of text or of a message, as bytes: what no library would send."""
    out, size = bytearray([number << 3 | 2]), len(value)
    while size >= 0x80:
        out.append(size & 0x7f | 0x80)
        size >>= 7
    return bytes(out) + bytes([size]) + value


class Raw:
    """Calls whose requests are bytes."""

    def __init__(self, server):
        self.channel = grpc.insecure_channel(
            server.address, [("grpc.max_receive_message_length", -1)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def call(self, path, request, metadata=(), stream=False, requests=False):
        kind = {(False, False): self.channel.unary_unary,
                (True, False): self.channel.unary_stream,
                (True, True): self.channel.stream_stream}[stream, requests]
        answer = kind(path)(iter([request]) if requests else request,
                            metadata=metadata, timeout=30)
        return list(answer) if stream else answer

    def sidecar(self, method, request):
        return self.call(f"/{protocol.SERVICE}/{method}", request)


def ended(sidecar, id):
    """(status, the failure) of one that has ended."""
    state = sidecar.wait_for_completion(id)
    return state["orchestrationStatus"], state.get("failureDetails")


# ---- Callers ----------------------------------------------------------------

@check("A35.1 text that is not UTF-8 is INVALID_ARGUMENT in every service, and the field is "
       "named")
def _():
    room = [("instance-id", "room-1")]
    with Server("--store=memory") as server, Raw(server) as raw:
        for path, request, name, options in (
                ("/leasehold.v1.Echo/Echo", field(1, LATIN_1), "text", {}),
                ("/leasehold.v1.Echo/EchoStream", field(1, LATIN_1), "text",
                 dict(stream=True, requests=True)),
                ("/leasehold.v1.Instances/Get", field(1, LATIN_1), "instance_id", {}),
                ("/leasehold.v1.Instances/Hold", field(1, LATIN_1), "instance_id",
                 dict(stream=True)),
                ("/leasehold.v1.Instances/KeepAlive", field(1, LATIN_1), "instance_id",
                 dict(stream=True, requests=True)),
                ("/leasehold.v1.Instances/Watch", field(1, LATIN_1), "id_prefix",
                 dict(stream=True)),
                ("/leasehold.v1.Orchestration/Start", field(1, LATIN_1), "name", {}),
                ("/leasehold.v1.Orchestration/Get", field(1, LATIN_1), "instance_id", {}),
                ("/leasehold.v1.Orchestration/Watch", field(1, LATIN_1), "instance_id",
                 dict(stream=True)),
                ("/grpc.health.v1.Health/Check", field(1, LATIN_1), "service", {}),
                (f"/{protocol.SERVICE}/StartInstance",
                 field(2, b"N") + field(4, field(1, HALF_EMOJI)), "input", {}),
                (f"/{protocol.SERVICE}/RaiseEvent", field(2, LATIN_1), "name", {}),
                (f"/{protocol.SERVICE}/WaitForInstanceStart", field(1, LATIN_1),
                 "instanceId", {}),
                (f"/{protocol.SERVICE}/GetWorkItems",
                 field(11, field(1, field(1, LATIN_1))),
                 "workItemFilters.orchestrations[0].name", dict(stream=True)),
                (f"/{protocol.SERVICE}/StreamInstanceHistory", field(1, LATIN_1),
                 "instanceId", dict(stream=True))):
            said = refused("INVALID_ARGUMENT", raw.call, path, request, room, **options)
            contains(said, f"{name}: is not valid UTF-8 at byte")
        server.lives()


@check("A35.2 bytes that are not a message are INVALID_ARGUMENT, and a request of more than 64 "
       "MiB RESOURCE_EXHAUSTED with both numbers")
def _():
    with Server("--store=memory") as server, Raw(server) as raw:
        contains(refused("INVALID_ARGUMENT", raw.sidecar, "StartInstance", b"\xff\xff\xff"),
                 "is not a valid CreateInstanceRequest")
        contains(refused("INVALID_ARGUMENT", raw.sidecar, "StartInstance",
                         field(4, b"\xff\xff")), "input: is not a valid")
        large = field(2, b"n" * (64 * MIB))
        contains(refused("RESOURCE_EXHAUSTED", raw.sidecar, "StartInstance", large),
                 str(len(large)), str(64 * MIB))
        server.lives()


@on_both_stores("A35.3 names, versions, tags and event names have bounds, and the error names "
                "the field, the size and the bound")
def _(server, sidecar):
    name, version = "n" * 1024, "v" * 256
    tags = {str(n): "t" * 4096 for n in range(100)}
    id = sidecar.start(name, version=version, tags=tags)
    equal(sidecar.get(id)["tags"] == tags, True, "tags")
    sidecar.raise_event(id, name)
    for more, words in ((dict(name=name + "n"), ("name: has 1025", "1024")),
                        (dict(version=version + "v"), ("version: has 257", "256")),
                        (dict(executionId="e" * 257), ("executionId: has 257", "256")),
                        (dict(tags={**tags, "k": "v"}), ("tags: there are 101", "100")),
                        (dict(tags={"k" * 257: "v"}), ("tags: a key", "257", "256")),
                        (dict(tags={"k": "v" * 4097}), ('"k"', "4097", "4096"))):
        contains(refused("INVALID_ARGUMENT", sidecar.call, "StartInstance",
                         **{"name": "N", **more}), *words)
    contains(refused("INVALID_ARGUMENT", sidecar.raise_event, id, name + "n"),
             "name: has 1025", "1024")


@on_both_stores("A35.4 a time outside of the years 1 to 9999 is INVALID_ARGUMENT; that of a "
                "timer fails its orchestration")
def _(server, sidecar):
    late = dict(seconds=TOO_LATE)
    contains(refused("INVALID_ARGUMENT", sidecar.start, "N", start_at=late),
             "scheduledStartTimestamp", "years 1 to 9999")
    contains(refused("INVALID_ARGUMENT", sidecar.query, createdTimeTo=late), "createdTimeTo")
    contains(refused("INVALID_ARGUMENT", sidecar.list_ids, completedTimeFrom=late),
             "completedTimeFrom")
    contains(refused("INVALID_ARGUMENT", sidecar.purge, filter=dict(createdTimeFrom=late)),
             "createdTimeFrom")
    with sidecar.worker() as worker:
        id = sidecar.start("N")
        worker.turn().complete(create_timer(1, late))
        status, failed = ended(sidecar, id)
        equal(status, "FAILED", "status")
        contains(failed["errorMessage"], "action 1", "years 1 to 9999", str(TOO_LATE))
        expect(not any(e.HasField("timerCreated") for e in sidecar.history(id)), "no timer")


# ---- Workers ----------------------------------------------------------------

@on_both_stores("A35.5 what an answer asks for has the same bounds: the orchestration fails "
                "with the same message")
def _(server, sidecar):
    name = "n" * 1025
    with sidecar.worker() as worker:
        for asked, words in (
                (schedule_task(1, name), ("name: has 1025",)),
                (schedule_task(1, "a", version="v" * 257), ("version: has 257",)),
                (schedule_task(1, "a", tags={"k": "v" * 4097}), ("tags", "4097")),
                (create_child(1, name), ("name: has 1025",)),
                (create_child(1, "c", child="i" * 4097), ("instance ID: has 4097",)),
                (send_event(1, "x", name), ("name: has 1025",)),
                (complete(1, status="CONTINUED_AS_NEW", newVersion="v" * 257),
                 ("new version: has 257",))):
            id = sidecar.start("N")
            worker.turn().complete(asked)
            status, failed = ended(sidecar, id)
            equal(status, "FAILED", f"status after {words}")
            contains(failed["errorMessage"], "action 1: its", *words)
        contains(refused("INVALID_ARGUMENT", sidecar.raise_event, "x", name), "1025")


@on_both_stores("A35.6 the text of a failure is cut, and so are nested causes: every client "
                "can read it")
def _(server, sidecar):
    deep = failure("E98", "m")
    for n in reversed(range(94)):
        deep = failure(f"E{n}", "m", innerFailure=deep)
    with sidecar.worker() as worker:
        id = sidecar.start("N")
        worker.turn().complete(schedule_task(1, "a"), schedule_task(2, "b"))
        worker.activity().fail("E", "m" * (20 * MIB), stackTrace="s" * (20 * MIB))
        worker.activity().complete(failureDetails=deep)
        found = {}
        while len(found) < 2:
            turn = worker.turn()
            found.update({e: turn.event(e)["failureDetails"] for e in turn.new
                          if e.startswith("taskFailed")})
            turn.complete()
        long = found["taskFailed 1"]
        expect(len(long["errorMessage"]) < 66_000, f"{len(long['errorMessage'])} bytes")
        contains(long["errorMessage"][-60:], "bytes were cut")
        contains(long["stackTrace"][-60:], "bytes were cut")
        chain = [found["taskFailed 2"]]
        while "innerFailure" in chain[-1]:
            chain.append(chain[-1]["innerFailure"])
        equal([f["errorType"] for f in chain],
              [f"E{n}" for n in range(32)] + ["CausesLeftOut"], "causes")
        # An orchestration's own failure goes to its parent.
        sidecar.raise_event(id, "x")
        turn = worker.turn()
        turn.complete(complete(3, status="FAILED", failureDetails=deep))
        status, failed = ended(sidecar, id)
        equal((status, failed["errorType"]), ("FAILED", "E0"), "its end")


@on_both_stores("A35.7 causes nested deeper than any library reads are cut as well")
def _(server, sidecar):
    with Raw(server) as raw, sidecar.worker() as worker:
        id = sidecar.start("N")
        worker.turn().complete(schedule_task(1, "a"))
        deep = field(1, b"root")
        for _ in range(1000):
            deep = field(1, b"E") + field(4, deep)
        raw.sidecar("CompleteActivityTask",
                    field(4, deep) + field(5, worker.activity().token.encode()))
        turn = worker.turn()
        equal(turn.event("taskFailed 1")["failureDetails"]["errorType"], "E", "type")
        turn.complete(complete(2))
        equal(ended(sidecar, id)[0], "COMPLETED", "status")


@on_both_stores("A35.8 text of a failure that is not UTF-8 is made readable; other text of an "
                "answer fails its item, and the field is named")
def _(server, sidecar):
    with Raw(server) as raw, sidecar.worker() as worker:
        def answer_activity(body):
            item = worker.activity()
            raw.sidecar("CompleteActivityTask",
                        body + field(5, item.token.encode()))

        def answer_turn(body):
            turn = worker.turn()
            raw.sidecar("CompleteOrchestratorTask",
                        body + field(4, turn.token.encode()))

        id = sidecar.start("N")
        worker.turn().complete(schedule_task(1, "a"))
        answer_activity(field(4, field(1, b"E") + field(2, HALF_EMOJI)))
        turn = worker.turn()
        equal(turn.event("taskFailed 1")["failureDetails"]["errorMessage"],
              "no price for \ufffd\ufffd\ufffd", "message")
        turn.complete(schedule_task(2, "b"))
        answer_activity(field(3, field(1, LATIN_1)))
        turn = worker.turn()
        contains(turn.event("taskFailed 2")["failureDetails"]["errorMessage"],
                 "result: is not valid UTF-8 at byte 3")
        # Its own failure: status 3, with details.
        turn.complete()
        sidecar.raise_event(id, "go")
        answer_turn(field(2, b"\x08\x03" + field(6, b"\x08\x03" + field(
            6, field(1, b"E") + field(2, HALF_EMOJI)))))
        status, failed = ended(sidecar, id)
        equal((status, failed["errorMessage"]),
              ("FAILED", "no price for \ufffd\ufffd\ufffd"), "its end")

        id = sidecar.start("N")
        answer_turn(field(2, b"\x08\x01" + field(2, field(1, LATIN_1))))
        status, failed = ended(sidecar, id)
        equal(status, "FAILED", "status")
        contains(failed["errorMessage"],
                 "actions[0].scheduleTask.name: is not valid UTF-8 at byte 3")


@on_both_stores("A35.9 an answer that is not a message and names no work is INVALID_ARGUMENT "
                "and a line in the log; its item stays with its worker")
def _(server, sidecar):
    with Raw(server) as raw, sidecar.worker() as worker:
        id = sidecar.start("N")
        turn = worker.turn()
        for method in ("CompleteOrchestratorTask", "CompleteActivityTask"):
            contains(refused("INVALID_ARGUMENT", raw.sidecar, method, b"\xff\xff\xff"),
                     "cannot be read")
        server.await_line("err", "answer_refused")
        turn.complete(complete(1))
        equal(ended(sidecar, id)[0], "COMPLETED", "status")


@check("A35.10 a fan-out of 10 × 8 MB goes out; an answer of more than 128 MiB fails its "
       "orchestration or activity, with the bound")
def _():
    part = b"y" * (8 * MIB)
    with Server("--store=memory") as server, Raw(server) as raw:
        sidecar = Sidecar(server)

        def fan_out(turn, count):
            task = field(2, field(1, b"a") + field(3, field(1, part)))
            raw.sidecar("CompleteOrchestratorTask", b"".join(
                field(2, bytes([8, n]) + task) for n in range(1, count + 1)) +
                field(4, turn.token.encode()))

        def turn_of(worker, id):
            """Its next turn; those of others change nothing."""
            while (turn := worker.turn()).id != id:
                turn.complete()
            return turn

        with sidecar.worker() as worker:
            id = sidecar.start("N")
            fan_out(worker.turn(), 10)
            for item in worker.take(10):
                equal(len(item.input), len(part), "input")
                item.complete()
            id = sidecar.start("M")
            turn = turn_of(worker, id)
            fan_out(turn, 17)
            status, failed = ended(sidecar, id)
            equal((status, failed["errorType"]), ("FAILED", "AnswerTooLarge"), "its end")
            contains(failed["errorMessage"], str(128 * MIB))
            server.await_line("err", "failed_by_limit")

            id = sidecar.start("O")
            turn = turn_of(worker, id)
            turn.complete(schedule_task(1, "a"), schedule_task(2, "b"))
            items = [worker.activity(), worker.activity()]
            for size, words in ((70 * MIB, "--max-payload"), (129 * MIB, str(128 * MIB))):
                item = items.pop()
                raw.sidecar("CompleteActivityTask", field(3, field(1, b"x" * size)) +
                            field(5, item.token.encode()))
                turn = worker.turn()
                event = next(e for e in turn.new if e.startswith("taskFailed"))
                contains(turn.event(event)["failureDetails"]["errorMessage"], words)
                turn.complete()


# ---- What goes out ----------------------------------------------------------

@on_both_stores("A35.11 pages have a bound in bytes: a client that receives no more than 4 MiB "
                "lists all, with their payloads, over either service")
def _(server, sidecar):
    for n in range(24):
        sidecar.start("N", "x" * 500_000, id=f"p-{n:02}")
    sidecar.start("N", "x" * (5 * MIB), id="p-24")
    small = Sidecar(server, receive_limit=4 * MIB)
    found = small.query(instanceIdPrefix="p-", fetchInputsAndOutputs=True)
    equal([state["instanceId"] for state in found], [f"p-{n:02}" for n in range(25)], "ids")
    equal({len(state["input"]) for state in found[:24]}, {500_000}, "sizes of inputs")
    # One that is too large by itself is there, and says why its input is not.
    contains(found[24]["input"], '"(the input has 5242880 bytes')
    with grpc.insecure_channel(server.address) as channel:
        messages, _ = protocol.load("leasehold/v1/orchestration.proto",
                                    "leasehold.v1.Orchestration")
        request = messages["leasehold.v1.ListOrchestrationsRequest"](include_payloads=True)
        call = channel.unary_unary(
            "/leasehold.v1.Orchestration/List", lambda message: message.SerializeToString(),
            messages["leasehold.v1.ListOrchestrationsResponse"].FromString)
        ids = []
        while True:
            page = call(request, timeout=30)
            ids += [state.instance_id for state in page.orchestrations]
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
    equal(ids, [f"p-{n:02}" for n in range(25)], "ids over leasehold.v1")


@on_both_stores("A35.12 a child with the ID of its own parent is told so")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("N", id="a-1")
        worker.turn().complete(create_child(1, "c", child="a-1"))
        event = worker.turn().event("subOrchestrationInstanceFailed 1")
        contains(event["failureDetails"]["errorMessage"], "own parent", "a-1", "another one")


@on_both_stores("A35.13 what comes of a large answer is sent over the very connection that the "
                "answer came on")
def _(server, sidecar):
    part = "y" * (8 * MIB)
    with sidecar.worker() as worker:
        sidecar.start("N", id="a-1")
        worker.turn().complete(*[schedule_task(n, "a", part) for n in range(1, 11)])
        for item in worker.take(10):
            equal(len(item.input), len(part), "input")
        sidecar.terminate("a-1")
        worker.turn().complete(complete(11, status="TERMINATED"))
    equal(sidecar.status("a-1"), "TERMINATED", "status")
