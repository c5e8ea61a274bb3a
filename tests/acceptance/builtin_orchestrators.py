"""A25: the built-in orchestrators and the entity Counter, without a worker of ours."""

import os
import pathlib
import time

import sidecar as protocol
from grpc_calls import ECHO, call
from harness import (check, contains, equal, expect, measured_server, temporary_folder,
                     wait_until)
from orchestrations import on_both_stores
from sidecar import Sidecar, complete
from singletons import ORCHESTRATION, get, start

# How many operations the eternal counter sees: 100,000 take minutes.
OPERATIONS = int(os.environ.get("LEASEHOLD_OPERATIONS", "4000"))


def operate(server, id, operation):
    call(server, ORCHESTRATION + "RaiseEvent",
         {"instance_id": id, "name": "operation", "input": operation}).message


def await_end(server, id):
    return call(server, ORCHESTRATION + "WaitForCompletion", {"instance_id": id}).message


@on_both_stores("A25.1 a singleton with nothing but grpcurl: ensured twice, counted, ended, "
                "refused, replaced")
def _(server, sidecar):
    headers = ["instance-id: nightly"]
    ensure = dict(name="Counter", input="0", ifActive="ATTACH")
    first = start(server, headers=headers, **ensure).message
    second = start(server, headers=headers, **ensure).message
    equal((first["created"], second.get("created", False)), (True, False), "created")
    equal(second["execution_id"], first["execution_id"], "execution")
    for operation in ('{"add": 3}', '"decr"'):
        operate(server, "nightly", operation)
    wait_until(lambda: get(server, "nightly").get("custom_status") == "2", "2")
    operate(server, "nightly", '"end"')
    ended = await_end(server, "nightly")
    equal((ended["status"], ended["output"]), ("COMPLETED", "2"), "the end")
    refused = start(server, headers=headers, **ensure)
    equal(refused.code, "ALREADY_EXISTS", "code")
    contains(refused.error, "Completed", "if_finished", "ATTACH", "REPLACE")
    third = start(server, headers=headers, ifFinished="REPLACE", **ensure).message
    expect(third["created"] and third["execution_id"] != first["execution_id"], f"{third}")


@on_both_stores("A25.2 EchoSequence moves the sequence of Echo in the same context; FanOutEcho "
                "waits for its children; Ping returns")
def _(server, sidecar):
    start(server, "a-1", name="EchoSequence", input='["x", "y"]').message
    ended = await_end(server, "a-1")
    contains(ended["output"], '"sequence":1', '"sequence":2', '"text":"y"')
    said = call(server, ECHO + "Echo", {"text": "z"}, ["instance-id: a-1"]).message
    equal(said["sequence"], "3", "sequence")
    contains(ended["output"], f'"generation":{said["generation"]}')
    start(server, "a-2", name="FanOutEcho", input='["p", "q", "r"]').message
    contains(await_end(server, "a-2")["output"], '"text":"p"', '"text":"q"', '"text":"r"')
    start(server, "a-3", name="Ping", input='{"n":1}').message
    equal(await_end(server, "a-3")["output"], '{"n":1}', "output of Ping")


@on_both_stores("A25.3 a worker of your own comes first, for whatever it takes")
def _(server, sidecar):
    with sidecar.worker(filters={"orchestrations": [{"name": "Ping"}]}) as worker:
        start(server, "a-1", name="Ping").message
        turn = worker.turn()
        turn.complete(complete(1, '"mine"'))
        equal(await_end(server, "a-1")["output"], '"mine"', "output")
        start(server, "a-2", name="Counter").message  # It does not take that.
        operate(server, "a-2", '"end"')
        equal(await_end(server, "a-2")["output"], "0", "output")
    # Once it has gone, the built-in one does.
    start(server, "a-3", name="Ping", input='"again"').message
    equal(await_end(server, "a-3")["output"], '"again"', "output")


@on_both_stores("A25.4 --builtin=off: nobody runs them", "--builtin=off")
def _(server, sidecar):
    start(server, "a-1", name="Ping").message
    time.sleep(0.5)
    equal(get(server, "a-1")["status"], "PENDING", "status")


@check(f"A25.5 an eternal Counter: after {OPERATIONS:,} operations its history is short, and "
       "neither memory nor the data file has grown with them")
def _():
    def memory_kib():
        status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def file_bytes():
        return sum(f.stat().st_size for f in pathlib.Path(folder).rglob("*.db"))

    with temporary_folder() as folder, measured_server(f"--data={folder}") as server:
        sidecar = Sidecar(server)
        start(server, "a-1", name="Counter", input="0").message
        measured = []
        for part in range(4):
            calls = []
            for _ in range(OPERATIONS // 4):
                calls.append(sidecar.begin("RaiseEvent", instanceId="a-1",
                                           name="operation", input='"incr"'))
                if len(calls) >= 50:
                    calls.pop(0).result()
            for one in calls:
                one.result()
            done = str(OPERATIONS // 4 * (part + 1))
            wait_until(lambda: get(server, "a-1").get("custom_status") == done, done)
            events = len(call(server, ORCHESTRATION + "GetHistory",
                              {"instance_id": "a-1"}).messages)
            measured.append((events, memory_kib(), file_bytes()))
        # Of each operation: its turn, its event and the turn's end.
        expect(all(events <= 400 for events, _, _ in measured), f"events: {measured}")
        first, last = measured[1], measured[3]
        expect(last[1] <= first[1] * 1.2 + 4096, f"memory in KiB: {measured}")
        expect(last[2] <= first[2] * 1.2 + 65536, f"file: {measured}")
        if OPERATIONS > 10000:
            print(f"    (events, KiB of memory, bytes of the file): {measured}")
        operate(server, "a-1", '"end"')
        equal(await_end(server, "a-1")["output"], done, "output")


@on_both_stores("A25.6 JSON nested 100,000 deep: as an input it fails that orchestration, as "
                "an event it is ignored; all others are served")
def _(server, sidecar):
    deep = "[" * 100_000 + "]" * 100_000
    start(server, "innocent", name="Counter", input="1").message
    for name in ("Ping", "EchoSequence"):
        # Too long for grpcurl's command line.
        sidecar.begin("StartInstance", instanceId=f"deep-{name}", name=name,
                      input=deep).result()
        # A wait for one that FAILED is answered with its state.
        ended = call(server, ORCHESTRATION + "WaitForCompletion",
                     {"instance_id": f"deep-{name}"}).message
        equal(ended["status"], "FAILED", "status")
        contains(ended["failure"]["message"], "nested deeper than 128 arrays and objects")
    sidecar.begin("RaiseEvent", instanceId="innocent", name="operation",
                  input=deep).result()
    operate(server, "innocent", '"incr"')
    operate(server, "innocent", '"end"')
    ended = await_end(server, "innocent")
    equal((ended["status"], ended["output"]), ("COMPLETED", "2"), "the innocent")


@on_both_stores("A25.7 the entity Counter counts without a worker, and leaves alone what a "
                "worker has stored in another form")
def _(server, sidecar):
    def state(id):
        found = sidecar.call("GetEntity", instanceId=id, includeState=True)
        return found.entity.serializedState.value if found.exists else None

    def tell(id, operation, input=None):
        sidecar.call("SignalEntity", instanceId=id, name=operation, input=input)

    with sidecar.worker(filters={"entities": [{"name": "counter"}]}) as worker:
        tell("@counter@theirs", "add")
        worker.batch().complete(None, state='{"value":1}')
    tell("@counter@theirs", "add", "5")
    for operation, input in (("add", "5"), ("Add", None), ("add", '"x"'),
                             ("add", "9223372036854775807")):
        tell("@Counter@visits", operation, input)
    wait_until(lambda: state("@counter@visits") == "6", "6")
    tell("@counter@visits", "reset", "40")
    wait_until(lambda: state("@counter@visits") == "40", "40")
    # One that it does not have changes nothing.
    tell("@counter@visits", "sub", "1")
    tell("@counter@visits", "add", "2")
    wait_until(lambda: state("@counter@visits") == "42", "42")
    tell("@counter@visits", "delete")
    wait_until(lambda: state("@counter@visits") is None, "nothing")
    equal(state("@counter@theirs"), '{"value":1}', "the state of another worker's counter")
    with sidecar.worker(filters={"entities": [{"name": "counter"}]}) as worker:
        batch = worker.batch()
        equal([fields["input"] for _, fields in batch.operations], ["5"], "what waits")
        batch.complete(None, state='{"value":6}')
    wait_until(lambda: state("@counter@theirs") == '{"value":6}', "theirs")
