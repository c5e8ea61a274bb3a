"""A42.41 on: leasehold.v1.Entities, as grpcurl and stubs meet it.

Operations are run by raw workers of the Durable Task protocol (tests/interop/sidecar.py).
"""

import json
import signal
import threading

import grpc

import sidecar as protocol
from grpc_calls import OpenCall, call
from harness import Server, check, contains, equal, expect, leasehold, temporary_folder
from harness import wait_until
from network_edge import status_of
from orchestrations import on_both_stores
from sidecar import Sidecar, failure

ENTITIES = "leasehold.v1.Entities/"
TALLY = "@tally@a"


class Stub:
    """The service over a channel of its own, with messages of the .proto."""

    def __init__(self, server):
        self.messages, _ = protocol.load("leasehold/v1/entities.proto",
                                         "leasehold.v1.Entities")
        self.channel = grpc.insecure_channel(server.address)

    def begin(self, method, request, answer, timeout=30, **fields):
        return self.channel.unary_unary(
            f"/{ENTITIES}{method}", lambda message: message.SerializeToString(),
            self.messages[f"leasehold.v1.{answer}"].FromString).future(
                self.messages[f"leasehold.v1.{request}"](**fields), timeout=timeout)

    def call(self, id, operation, timeout=30, **fields):
        return self.begin("Call", "CallEntityRequest", "CallEntityResponse", timeout,
                          instance_id=id, operation=operation, **fields)


def code_of(future):
    try:
        future.result()
        return "OK"
    except grpc.RpcError as error:
        return error.code().name


def waiting(server, id=TALLY):
    answer = call(server, ENTITIES + "Get", {"instance_id": id})
    return int(answer.message["waiting_count"]) if answer.code == "OK" else 0


@on_both_stores("A42.41 grpcurl signals, calls, looks, lists and deletes")
def _(server, sidecar):
    with sidecar.worker() as worker:
        headers = ["instance-id: @Tally@a"]
        equal(call(server, ENTITIES + "Get", headers=headers).code, "NOT_FOUND")
        equal(call(server, ENTITIES + "Signal", {"operation": "add", "input": "1"},
                   headers).message, {})
        batch = worker.batch()
        equal(batch.id, TALLY)
        batch.complete("1", state="1")
        found = call(server, ENTITIES + "Get", headers=headers).message
        equal((found["instance_id"], found["exists"], found["state"]), (TALLY, True, "1"))
        stub = Stub(server)
        called = stub.call(TALLY, "get", input="in")
        batch = worker.batch()
        [(kind, fields)] = batch.operations
        equal((kind, fields["operation"], fields["input"]),
              ("entityOperationCalled", "get", "in"))
        batch.complete("7", state="7")
        equal(called.result().output, "7")
        listed = call(server, ENTITIES + "List", {"include_states": True}).message
        equal([(e["instance_id"], e["state"]) for e in listed["entities"]], [(TALLY, "7")])
        equal(call(server, ENTITIES + "Delete", headers=headers).code, "OK")
        equal(call(server, ENTITIES + "Delete", headers=headers).code, "NOT_FOUND")
        equal(call(server, ENTITIES + "Get", headers=headers).code, "NOT_FOUND")


@on_both_stores("A42.42 an operation that fails is UNKNOWN, and its failure is in the details")
def _(server, sidecar):
    with sidecar.worker() as worker:
        called = Stub(server).call(TALLY, "bad", request_id="r")
        worker.batch().complete(failure("ValueError", "it broke"))
        equal(code_of(called), "UNKNOWN")
        contains(called.details(), '"bad"', '"@tally@a"', "ValueError: it broke")
        trailers = dict(called.trailing_metadata())
        contains(str(trailers["grpc-status-details-bin"]),
                 "leasehold.v1.OrchestrationFailure", "it broke")
        # The same request gets the same failure, and nothing runs.
        again = call(server, ENTITIES + "Call",
                     {"instance_id": TALLY, "operation": "bad", "request_id": "r"})
        equal(again.code, "UNKNOWN")
        worker.quiet()


@on_both_stores("A42.43 calls of one request are one operation, also when they race")
def _(server, sidecar):
    with sidecar.worker() as worker:
        stubs = [Stub(server) for _ in range(10)]
        called = [stub.call(TALLY, "add", request_id="r") for stub in stubs for _ in range(10)]
        batch = worker.batch()
        equal(len(batch.operations), 1, "operations")
        batch.complete("1", state="1")
        equal({one.result().output for one in called}, {"1"}, "answers")
        equal(stubs[0].call(TALLY, "add", request_id="r").result().output, "1")
        equal(code_of(stubs[0].call(TALLY, "other", request_id="r")), "INVALID_ARGUMENT")
        worker.quiet()


@check("A42.44 a call that the server is killed with runs once, and its answer outlives another "
       "kill")
def _():
    with temporary_folder() as folder:
        with Server(f"--data={folder}") as server:
            called = Stub(server).call(TALLY, "add", request_id="r")
            wait_until(lambda: waiting(server) == 1, "the call to be there")
            server.end(signal.SIGKILL)
            equal(code_of(called), "UNAVAILABLE")
        with Server(f"--data={folder}") as server:
            with Sidecar(server).worker() as worker:
                again = Stub(server).call(TALLY, "add", request_id="r")
                batch = worker.batch()
                equal(len(batch.operations), 1, "operations")
                batch.complete("1", state="1")
                equal(again.result().output, "1")
            server.end(signal.SIGKILL)
        with Server(f"--data={folder}") as server:
            with Sidecar(server).worker() as worker:
                kept = Stub(server).call(TALLY, "add", request_id="r")
                equal(kept.result().output, "1")
                worker.quiet()


@on_both_stores("A42.45 a caller that gives up withdraws nothing, and its deadline is its own")
def _(server, sidecar):
    stub = Stub(server)
    equal(code_of(stub.call(TALLY, "add", timeout=0.3, request_id="r")), "DEADLINE_EXCEEDED")
    equal(waiting(server), 1)
    why = call(server, ENTITIES + "Get", {"instance_id": TALLY}).message["waiting_for"]
    contains(why, 'no connected worker takes the entity "tally"')
    with sidecar.worker() as worker:
        worker.batch().complete("1", state="1")
        equal(stub.call(TALLY, "add", request_id="r").result().output, "1")


@on_both_stores("A42.46 a watch shows the present, and each change; deletion is one")
def _(server, sidecar):
    with sidecar.worker() as worker:
        with OpenCall(server, ENTITIES + "Watch", {"instance_id": TALLY}) as watch:
            [nothing] = watch.await_messages(1)
            expect("exists" not in nothing, f"it is not there: {nothing}")
            for state in ("1", "2"):
                call(server, ENTITIES + "Signal", {"instance_id": TALLY, "operation": "put"})
                worker.batch().complete(state, state=state)
                watch.await_message(lambda m, state=state: m.get("state") == state, state)
            call(server, ENTITIES + "Delete", {"instance_id": TALLY})
            expect("exists" not in watch.await_messages(4)[-1], "after its deletion")


@on_both_stores("A42.47 bad requests are refused, each with the name of what is wrong")
def _(server, sidecar):
    def refused(method, words, request, code="INVALID_ARGUMENT"):
        answer = call(server, ENTITIES + method, request)
        equal(answer.code, code, f"{method} {str(request)[:80]}")
        contains(answer.error, *words)

    for method in ("Signal", "Call", "Get", "Delete", "Watch"):
        for id in ("tally", "@", "@@a", "@c", "@c@\u0007", "@c@" + "x" * 1100):
            refused(method, ["instance_id"],
                    {"instance_id": id,
                     **({"operation": "o"} if method in ("Signal", "Call") else {})})
        refused(method, ["names no instance"],
                {"operation": "o"} if method in ("Signal", "Call") else {})
    for method in ("Signal", "Call"):
        refused(method, ["operation: is required"], {"instance_id": TALLY})
        refused(method, ["operation"], {"instance_id": TALLY, "operation": "x" * 1025})
    refused("Call", ["request_id"],
            {"instance_id": TALLY, "operation": "o", "request_id": "x" * 257})
    refused("List", ["page_size"], {"page_size": -1})
    refused("List", ["page_token"], {"page_token": "QGNAYQ.tampered"})
    equal(waiting(server), 0, "what was refused does not wait")


@on_both_stores("A42.48 lists in pages; a token that was changed, or is of another list, is refused")
def _(server, sidecar):
    with sidecar.worker() as worker:
        for key in "cab":
            call(server, ENTITIES + "Signal",
                 {"instance_id": f"@tally@{key}", "operation": "put"})
            worker.batch().complete(None, state=key)
    request, ids = {"page_size": 1}, []
    while True:
        page = call(server, ENTITIES + "List", request).message
        ids += [one["instance_id"] for one in page.get("entities", [])]
        token = page.get("next_page_token", "")
        if not token:
            break
        other = dict(request, filter={"id_prefix": "@c"}, page_token=token)
        equal(call(server, ENTITIES + "List", other).code, "INVALID_ARGUMENT")
        changed = dict(request, page_token=("A" if token[0] != "A" else "B") + token[1:])
        equal(call(server, ENTITIES + "List", changed).code, "INVALID_ARGUMENT")
        request["page_token"] = token
    equal(ids, [f"@tally@{key}" for key in "abc"])
    equal(len(call(server, ENTITIES + "List", {"page_size": 2147483647}).message["entities"]), 3)


@on_both_stores("A42.49 a thousand watches that nobody reads hold nobody up, and fill no memory")
def _(server, sidecar):
    stub = Stub(server)
    request = stub.messages["leasehold.v1.GetEntityRequest"](instance_id=TALLY)
    watches = [stub.channel.unary_stream(
        f"/{ENTITIES}Watch", lambda message: message.SerializeToString(),
        stub.messages["leasehold.v1.EntityInfo"].FromString)(request) for _ in range(1000)]
    before = status_of(server, "VmRSS")
    with sidecar.worker() as worker:
        for n in range(20):
            call(server, ENTITIES + "Signal", {"instance_id": TALLY, "operation": "put"})
            worker.batch().complete(None, state=str(n % 10) * 1_000_000)
    grown = status_of(server, "VmRSS") - before
    expect(grown < 400_000, f"{grown} KiB more for 20 states of 1 MB, seen by 1,000")
    found = call(server, ENTITIES + "Get", {"instance_id": TALLY, "omit_state": True})
    equal(found.message["exists"], True)
    for watch in watches:
        watch.cancel()


# ---- The command line -------------------------------------------------------

def command(server, *args, output="json"):
    return leasehold(f"--address={server.address}", f"--output={output}", "entity", *args)


@on_both_stores("A42.50 `leasehold entity`: signal, call, get, list and delete")
def _(server, sidecar):
    with sidecar.worker() as worker:
        equal(command(server, "signal", "@Tally@a", "add", "--input=1").code, 0)
        worker.batch().complete("1", state="1")
        results = []
        caller = threading.Thread(target=lambda: results.append(
            command(server, "call", TALLY, "get", "--request-id=r", output="table")))
        caller.start()
        worker.batch().complete("7", state="7")
        caller.join()
        equal((results[0].code, results[0].out), (0, "7\n"), f"{results[0]}")
        shown = json.loads(command(server, "get", TALLY).out)
        equal((shown["exists"], shown["state"]), (True, 7))
        contains(command(server, "list", "--states", output="table").out, TALLY, "7")
        equal(command(server, "delete", TALLY).code, 0)
        gone = command(server, "get", TALLY)
        equal(gone.code, 3)
        contains(gone.err, "NOT_FOUND", TALLY)
