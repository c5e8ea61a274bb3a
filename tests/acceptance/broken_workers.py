"""A21, from A21.22: workers and clients that are broken harm only themselves.

Spoken raw (tests/interop/sidecar.py), each check with both stores.
"""

import sidecar as protocol
from harness import equal, expect
from orchestrations import on_both_stores
from raw_http2 import frame
from sidecar import Activity, Sidecar, complete, create_timer, refused, schedule_task

# ---- Workers and clients that are broken ------------------------------------

SERVICE = "/TaskHubSidecarService/"


@on_both_stores("A21.22 bytes that are not a message fail their own call only, with each method")
def _(server, sidecar):
    connection = server.connect()
    for method in protocol.METHODS:
        for body in (b"\xff" * 20, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02\xff\xfe",
                     b"\x08\x01\x12"):
            number = connection.start(data=frame(body), path=SERVICE + method)
            if method == "GetWorkItems" and body == b"\x0a\x02\xff\xfe":
                connection.reset(number)  # An unknown field of that contract.
                continue
            connection.finish(number)
        connection.finish(connection.start(data=b"\0\0\0\0\5abc", path=SERVICE + method))
    sidecar.call("Hello")
    with sidecar.worker() as worker:
        sidecar.start("busy", id="a-1")
        worker.turn().complete(complete(1))
    server.lives()


@on_both_stores("A21.23 a worker that answers with nonsense harms only the orchestration that "
                "it has")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("busy", id="good")
        good = worker.turn()
        sidecar.start("busy", id="a-1")
        turn = worker.turn()
        for nonsense in (dict(actions=[dict(id=1)]),
                         dict(actions=[complete(1, status="RUNNING")]),
                         dict(actions=[complete(1, status="CANCELED")]),
                         dict(actions=[complete(1, status=77)])):
            refused("INVALID_ARGUMENT", sidecar.call, "CompleteOrchestratorTask",
                    instanceId="a-1", completionToken=turn.token, **nonsense)
        turn.complete(
            schedule_task(-5, ""), create_timer(-2**31, -10**18),
            create_timer(5, 4 * 10**18), protocol.send_event(1, "", ""),
            protocol.send_event(2, "\n", "x"), protocol.send_event(3, "x" * 4096, "x"),
            protocol.terminate(4, ""), numEventsProcessed=-7)
        items = worker.take(2)
        for item in items:
            item.complete()
        activity = next(i for i in items if isinstance(i, Activity))
        refused("NOT_FOUND", sidecar.call, "CompleteOrchestratorTask",
                instanceId="good", completionToken=activity.token)
        refused("NOT_FOUND", sidecar.call, "CompleteActivityTask",
                instanceId="good", completionToken=good.token)
        worker.turn().complete()  # With the activity's end.
        for number in (0, -1, 10**6):
            sidecar.raise_event("a-1", "x")
            worker.turn().complete(numEventsProcessed=number)
        sidecar.raise_event("a-1", "last")
        while "eventRaised last" not in worker.turn().new:
            pass
        good.complete(complete(1, '"good"'))
        equal(sidecar.wait_for_completion("good")["output"], '"good"', "output")


@on_both_stores("A21.24 carried-over events that cannot be parsed: the orchestration may fail, "
                "the server does not")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("eternal", id="a-1")
        turn = worker.turn()
        turn.complete(protocol.continue_as_new(1, carryover=[
            dict(eventId=-1), turn.request.newEvents[0], turn.request.newEvents[1],
            dict(eventId=5, taskCompleted=dict(taskScheduledId=9)),
            dict(eventId=5, executionCompleted={})]))
        turn = worker.turn()
        turn.complete(complete(1, '"over"'))
        equal(sidecar.wait_for_completion("a-1")["orchestrationStatus"], "COMPLETED",
              "status")


@on_both_stores("A21.25 200 streams that are cancelled at once leave nothing behind")
def _(server, sidecar):
    sidecar.start("busy", id="a-1")
    for _ in range(200):
        sidecar.call("GetWorkItems", None).cancel()
    many = [Sidecar(server) for _ in range(5)]
    for _ in range(40):
        for one in many:
            one.call("GetWorkItems", None).cancel()
    with sidecar.worker() as worker:
        worker.turn().complete(complete(1))
    equal(sidecar.wait_for_completion("a-1")["orchestrationStatus"], "COMPLETED", "status")
    server.lives()


@on_both_stores("A21.26 a worker that reads nothing delays only its own work")
def _(server, sidecar):
    slow = server.connect(window=0)
    number = slow.start(data=frame(b"\x08\x02\x10\x02"), path=SERVICE + "GetWorkItems")
    expect(slow.in_flight(number), "the stream ended")
    with sidecar.worker() as worker:
        for i in range(100):
            sidecar.start("busy", id=f"a-{i}")
        for _ in range(98):
            worker.turn().complete(complete(1))
        worker.quiet()
        slow.vanish()
        for _ in range(2):
            worker.turn().complete(complete(1))


@on_both_stores("A21.27 connections that vanish with work, waits and calls leave nothing behind")
def _(server, sidecar):
    for i in range(50):
        connection = server.connect()
        connection.start(data=frame(b""), path=SERVICE + "GetWorkItems")
        id = sidecar.start("busy", id=f"a-{i}")
        connection.start(data=frame(b"\x0a" + bytes([len(id)]) + id.encode()),
                         path=SERVICE + "WaitForInstanceCompletion")
        connection.start(data=b"", end=False, path=SERVICE + "StartInstance")
        connection.vanish()
    with sidecar.worker() as worker:
        for _ in range(50):
            worker.turn().complete(complete(1))
    server.lives()
