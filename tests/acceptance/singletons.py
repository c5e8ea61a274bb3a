"""A24: singletons: leasehold.v1.Orchestration, as grpcurl and stubs meet it.

Work is done by raw workers of the Durable Task protocol (tests/interop/sidecar.py).
"""

import datetime
import itertools
import threading
import time

import grpc

import sidecar as protocol
from grpc_calls import ECHO, INSTANCES, OpenCall, call, fails
from harness import Server, UUID, check, contains, equal, expect, leasehold
from harness import temporary_folder, wait_until
from orchestrations import on_both_stores
from sidecar import (complete, continue_as_new, create_child, create_timer, fail, now,
                     schedule_task)

ORCHESTRATION = "leasehold.v1.Orchestration/"
ACTIVE = ("PENDING", "RUNNING", "SUSPENDED")
ENDED = ("COMPLETED", "FAILED", "TERMINATED")


def start(server, id=None, headers=(), name="Main", **fields):
    """The Answer to a Start."""
    if id is not None:
        fields["instance_id"] = id
    return call(server, ORCHESTRATION + "Start", {"name": name, **fields}, headers)


def get(server, id, **fields):
    return call(server, ORCHESTRATION + "Get", {"instance_id": id, **fields}).message


def bring_to(sidecar, status, id):
    """Starts one, and has a worker of its own bring it to that status."""
    name = f"To{status}-{id}"
    with sidecar.worker(filters={"orchestrations": [{"name": name}]}) as worker:
        if status == "PENDING":
            sidecar.start(name, id=id, start_at=now(3600))
            return
        sidecar.start(name, id=id)
        turn = worker.turn()
        if status == "COMPLETED":
            turn.complete(complete(1, '"out"'))
        elif status == "FAILED":
            turn.complete(fail(1, "Broken", "it broke"))
        else:
            turn.complete()
            if status == "SUSPENDED":
                sidecar.suspend(id)
                worker.turn().complete()
            elif status == "TERMINATED":
                sidecar.terminate(id)
                turn = worker.turn()
                turn.complete(complete(1, status="TERMINATED"))
    wait_until(lambda: sidecar.status(id) == status, f"{id} to be {status}")


# ---- Start ------------------------------------------------------------------

@on_both_stores("A24.1 ensured twice: created, then attached to the same execution; ended, "
                "the ID is refused until it is purged or replaced")
def _(server, sidecar):
    headers = ["instance-id: nightly"]
    ensure = dict(input='"0"', ifActive="ATTACH")
    with sidecar.worker() as worker:
        first = start(server, headers=headers, **ensure).message
        second = start(server, headers=headers, **ensure).message
        equal((first["instance_id"], first["created"]), ("nightly", True), "the first")
        equal((second["instance_id"], second.get("created", False)), ("nightly", False),
              "the second")
        equal(second["execution_id"], first["execution_id"], "executions")
        worker.turn().complete(complete(1, '"2"'))
        sidecar.wait_for_completion("nightly")
        refused = start(server, headers=headers, **ensure)
        equal(refused.code, "ALREADY_EXISTS", "code")
        contains(refused.error, '"nightly" is Completed', "if_finished", "ATTACH",
                 "REPLACE", "purged")
        third = start(server, headers=headers, ifFinished="REPLACE", **ensure).message
        equal(third["created"], True, "the third")
        expect(third["execution_id"] != first["execution_id"], "the execution is the same")
        worker.turn().complete(complete(1))
        sidecar.wait_for_completion("nightly")
        purged = call(server, ORCHESTRATION + "Purge", headers=headers).message
        equal(purged, {"purged": "1"}, "purged")
        expect(start(server, headers=headers, **ensure).message["created"], "not free")


@on_both_stores("A24.2 the truth table of starts: both doors, each policy, each status")
def _(server, sidecar):
    for status in (None, *ACTIVE, *ENDED):
        for if_active, if_finished in itertools.product(
                ("FAIL", "ATTACH", "TERMINATE"), ("FAIL", "ATTACH", "REPLACE")):
            id = f"{status}-{if_active}-{if_finished}"
            if status:
                bring_to(sidecar, status, id)
            before = status and get(server, id)["execution_id"]
            answer = start(server, id, ifActive=if_active, ifFinished=if_finished)
            choice = if_active if status in ACTIVE else if_finished
            if status and choice == "FAIL":
                equal(answer.code, "ALREADY_EXISTS", f"code for {id}")
                contains(answer.error, f"is {status.capitalize()}",
                         "if_active" if status in ACTIVE else "if_finished")
                continue
            attached = status is not None and choice == "ATTACH"
            equal(answer.message.get("created", False), not attached, f"created for {id}")
            equal(answer.message["execution_id"] == before, attached, f"execution of {id}")
    every = ("RUNNING", "PENDING", "SUSPENDED", *ENDED)
    for status in (None, *ACTIVE, *ENDED):
        for replaceable in (None, [], every):
            id = f"door-1-{status}-{replaceable and len(replaceable)}"
            if status:
                bring_to(sidecar, status, id)
            before = status and get(server, id)["execution_id"]
            free = (status is None or (status in ENDED if replaceable is None
                                       else status in replaceable))
            if free:
                sidecar.start("Main", id=id, replaceable=replaceable)
                expect(get(server, id)["execution_id"] != before, f"{id} is the same")
            else:
                protocol.refused("ALREADY_EXISTS", sidecar.start, "Main", id=id,
                                 replaceable=replaceable)


@on_both_stores("A24.3 a thousand racing starts of one ID, over many connections and both "
                "doors: exactly one creates")
def _(server, sidecar):
    messages, methods = protocol.load("leasehold/v1/orchestration.proto",
                                      "leasehold.v1.Orchestration")
    request = messages["leasehold.v1.StartOrchestrationRequest"](
        name="Main", instance_id="one", if_active=2)  # ATTACH
    for round, ended in ((1, False), (2, True)):
        connections = [protocol.Sidecar(server) for _ in range(20)]
        barrier, created, refused, others = threading.Barrier(20), [], [], []

        def race(connection, number):
            begin = connection.channel.unary_unary(
                f"/{ORCHESTRATION}Start", lambda m: m.SerializeToString(),
                messages["leasehold.v1.StartOrchestrationResponse"].FromString).future
            barrier.wait()
            calls = [begin(request, timeout=60) if i % 2 == 0 else
                     connection.begin("StartInstance", name="Main", instanceId="one",
                                      orchestrationIdReusePolicy=dict(replaceableStatus=[]))
                     for i in range(number, number + 50)]
            for one in calls:
                try:
                    answer = one.result()
                    if getattr(answer, "created", True):
                        created.append(answer)
                except grpc.RpcError as error:
                    if error.code().name == "ALREADY_EXISTS":
                        refused.append(error)
                    else:
                        others.append(error)

        threads = [threading.Thread(target=race, args=(c, i))
                   for i, c in enumerate(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal((len(created), others), (1, []), "created, and other answers")
        expect(len(refused) >= 499, "door 1 was told that it created more than once")
        equal(len([s for s in sidecar.query() if s["instanceId"] == "one"]), 1, "there")
        with sidecar.worker() as worker:
            worker.turn().complete(complete(1))
            worker.quiet()
        sidecar.wait_for_completion("one")
        equal(sidecar.purge("one"), 1, "purged")


@on_both_stores("A24.4 a request that is sent again gets the first receipt; another body "
                "under its name is refused")
def _(server, sidecar):
    first = start(server, request_id="r-1", input="1").message
    expect(UUID.fullmatch(first["instance_id"]), f"id {first}")
    again = start(server, request_id="r-1", input="1")
    equal(again.message, first, "the receipt")
    equal(len(sidecar.query()), 1, "orchestrations")
    fails(server, "INVALID_ARGUMENT", ORCHESTRATION + "Start",
          {"name": "Main", "request_id": "r-1", "input": "2"},
          names=["r-1", first["instance_id"]])
    fails(server, "INVALID_ARGUMENT", ORCHESTRATION + "Start",
          {"name": "Main", "request_id": "r" * 257}, names=["request_id", "257", "256"])
    tags = {str(i): "x" for i in range(20)}  # Their order on the wire is any.
    first = start(server, "a", request_id="r-2", tags=tags).message
    for _ in range(5):
        equal(start(server, "a", request_id="r-2", tags=tags).message, first, "receipt")


@check("A24.5 requests and replaced runs outlive the server")
def _():
    with temporary_folder() as folder:
        with Server(f"--data={folder}") as server:
            replaced = start(server, "a", request_id="r-1").message
            present = start(server, "a", ifActive="TERMINATE").message
            equal(server.end(), 0, "exit code")
        with Server(f"--data={folder}") as server:
            equal(start(server, "a", request_id="r-1").message, replaced, "receipt")
            equal(get(server, "a")["execution_id"], present["execution_id"], "execution")
            kinds = [next(k for k in e if k not in ("id", "time")) for e in call(
                server, ORCHESTRATION + "GetHistory",
                {"instance_id": "a", "execution_id": replaced["execution_id"]}).messages]
            equal(kinds, ["turn_started", "execution_started", "execution_terminated",
                          "execution_completed"], "history")


@on_both_stores("A24.6 a start makes the context of its ID and says so in its metadata; the "
                "headers of the instance hold for it")
def _(server, sidecar):
    answer = start(server, headers=["instance-id: a-1", "instance-idle-timeout: 90s"])
    equal(answer.message["instance_id"], "a-1", "id")
    equal({k: answer.headers[k] for k in ("instance-id", "instance-created",
                                          "instance-idle-timeout-ms")},
          {"instance-id": "a-1", "instance-created": "true",
           "instance-idle-timeout-ms": "90000"}, "metadata")
    again = start(server, headers=["instance-id: a-1"], ifActive="ATTACH")
    equal(again.headers, {"instance-generation": answer.headers["instance-generation"]},
          "metadata")
    fails(server, "ALREADY_EXISTS", ORCHESTRATION + "Start", {"name": "Main"},
          ["instance-id: a-1", "instance-expect: new"])
    fails(server, "NOT_FOUND", ORCHESTRATION + "Start", {"name": "Main"},
          ["instance-id: a-2", "instance-expect: existing"])
    made = start(server)
    expect(UUID.fullmatch(made.message["instance_id"]), f"id {made.message}")
    equal(made.headers["instance-id"], made.message["instance_id"], "id in metadata")


@on_both_stores("A24.7 a bad start is told what is wrong with it")
def _(server, sidecar):
    method = ORCHESTRATION + "Start"
    fails(server, "INVALID_ARGUMENT", method, {"instance_id": "a"}, names=["name"])
    fails(server, "INVALID_ARGUMENT", method, {"name": "n" * 1025}, names=["1025", "1024"])
    fails(server, "INVALID_ARGUMENT", method, {"name": "Main", "instance_id": "@c@a"},
          names=["@c@a", "entities"])
    fails(server, "INVALID_ARGUMENT", method, {"name": "Main", "instance_id": "a\u0001"},
          names=["instance_id"])
    fails(server, "INVALID_ARGUMENT", method, {"name": "Main", "instance_id": "a" * 1025},
          names=["instance_id", "1025"])
    fails(server, "INVALID_ARGUMENT", method, {"name": "Main", "instance_id": "a"},
          ["instance-id: b"], names=['"a"', '"b"', "the same"])
    fails(server, "INVALID_ARGUMENT", method, {"name": "Main"}, ["instance-id: a,b"])
    fails(server, "INVALID_ARGUMENT", method, {"name": "Main", "if_active": 7},
          names=["if_active", "ATTACH", "7"])
    fails(server, "INVALID_ARGUMENT", method, {"name": "Main", "if_finished": 7},
          names=["if_finished", "REPLACE", "7"])
    equal(sidecar.query(), [], "orchestrations")
    equal(call(server, INSTANCES + "List").message, {}, "contexts")


@on_both_stores("A24.8 an input over --max-payload is refused with both numbers",
                "--max-payload=1000")
def _(server, sidecar):
    fails(server, "RESOURCE_EXHAUSTED", ORCHESTRATION + "Start",
          {"name": "Main", "input": "x" * 1001}, names=["1001", "1000", "--max-payload"])
    start(server, "a", input="x" * 1000).message
    fails(server, "RESOURCE_EXHAUSTED", ORCHESTRATION + "RaiseEvent",
          {"instance_id": "a", "name": "e", "input": "x" * 1001}, names=["1001"])


@on_both_stores("A24.9 scheduled, with tags and a version: shown as requested")
def _(server, sidecar):
    at = datetime.datetime.fromtimestamp(int(time.time()) + 3600, datetime.timezone.utc)
    text = at.isoformat().replace("+00:00", "Z")
    start(server, "a", scheduled_start_time=text, tags={"k": "v"}, version="2",
          input='{"n": 1}').message
    state = get(server, "a")
    equal((state["status"], state["scheduled_start_time"], state["tags"], state["version"],
           state["input"], state["name"]),
          ("PENDING", text, {"k": "v"}, "2", '{"n": 1}', "Main"), "state")


# ---- Looking ----------------------------------------------------------------

@on_both_stores("A24.10 of an unknown ID everything is NOT_FOUND, and nothing is made")
def _(server, sidecar):
    for method, fields in (("Get", {}), ("WaitForStart", {}), ("WaitForCompletion", {}),
                           ("Watch", {}), ("RaiseEvent", {"name": "e"}), ("Suspend", {}),
                           ("Resume", {}), ("Terminate", {}), ("Restart", {}),
                           ("Purge", {}), ("GetHistory", {})):
        fails(server, "NOT_FOUND", ORCHESTRATION + method, fields, ["instance-id: a-1"],
              names=['"a-1"'])
        fails(server, "INVALID_ARGUMENT", ORCHESTRATION + method, fields,
              names=["instance_id", "instance-id"])
    equal(call(server, INSTANCES + "List").message, {}, "contexts")


@on_both_stores("A24.11 Get: all that there is to know, failure and parent included; payloads "
                "can be left out")
def _(server, sidecar):
    with sidecar.worker() as worker:
        begun = start(server, "a-1", input='"in"').message
        worker.turn().complete(create_child(1, "Child", '"c"', child="a-1-child"),
                               custom_status='"half"')
        state = get(server, "a-1")
        equal((state["status"], state["custom_status"], state["input"],
               state["execution_id"]),
              ("RUNNING", '"half"', '"in"', begun["execution_id"]), "state")
        expect("end_time" not in state, "ended")
        worker.turn().complete(complete(1, status="FAILED", failureDetails=protocol.failure(
            "Broken", "it broke", stackTrace="at x",
            innerFailure=protocol.failure("Deep", "why"))))
        state = get(server, "a-1-child")
        equal((state["status"], state["parent_instance_id"]), ("FAILED", "a-1"), "child")
        equal(state["failure"], {"type": "Broken", "message": "it broke",
                                 "stack_trace": "at x",
                                 "cause": {"type": "Deep", "message": "why"}}, "failure")
        expect("end_time" in state, "no end")
        short = get(server, "a-1-child", omit_payloads=True)
        expect("failure" not in short and "input" not in short, f"{short}")
        worker.turn().complete(complete(2, '"out"'))
        equal(get(server, "a-1")["output"], '"out"', "output")


@on_both_stores("A24.12 waits end with what is waited for, with the deadline, or with the "
                "purge")
def _(server, sidecar):
    with sidecar.worker() as worker:
        start(server, "a-1").message
        with OpenCall(server, ORCHESTRATION + "WaitForStart",
                      {"instance_id": "a-1"}) as begun, \
                OpenCall(server, ORCHESTRATION + "WaitForCompletion",
                         {"instance_id": "a-1"}) as ended:
            turn = worker.turn()
            turn.complete()
            wait_until(lambda: begun.messages, "the start")
            equal(begun.messages[0]["status"], "RUNNING", "status")
            equal(ended.messages, [], "the end")
            sidecar.raise_event("a-1", "go")
            worker.turn().complete(complete(1, '"out"'))
            wait_until(lambda: ended.messages, "the end")
            equal((ended.messages[0]["status"], ended.messages[0]["output"]),
                  ("COMPLETED", '"out"'), "the end")
    start(server, "a-2").message
    with OpenCall(server, ORCHESTRATION + "WaitForCompletion", {"instance_id": "a-2"},
                  flags=["-max-time", "1"]) as late:
        equal(late.status()[0], "DEADLINE_EXCEEDED", "code")


@on_both_stores("A24.13 Watch tells the state, each change of status or custom status, and "
                "ends with the end")
def _(server, sidecar):
    with sidecar.worker() as worker:
        start(server, "a-1").message
        with OpenCall(server, ORCHESTRATION + "Watch", {"instance_id": "a-1"}) as watch:
            def told():
                return [(m["status"], m.get("custom_status")) for m in watch.messages]
            wanted = [("PENDING", None)]
            wait_until(lambda: told() == wanted, "PENDING")
            worker.turn().complete()
            wanted.append(("RUNNING", None))
            wait_until(lambda: told() == wanted, "RUNNING")
            sidecar.raise_event("a-1", "x")
            worker.turn().complete(custom_status='"half"')
            wanted.append(("RUNNING", '"half"'))
            wait_until(lambda: told() == wanted, "half")
            sidecar.raise_event("a-1", "y")
            worker.turn().complete(custom_status='"half"')  # No change: not told.
            sidecar.suspend("a-1")
            worker.turn().complete()
            wanted.append(("SUSPENDED", '"half"'))
            wait_until(lambda: told() == wanted, "SUSPENDED")
            sidecar.resume("a-1")
            worker.turn().complete(continue_as_new(1))
            wanted.append(("RUNNING", '"half"'))
            wait_until(lambda: told() == wanted, "RUNNING")
            worker.turn().complete(complete(1, '"out"'))
            wanted.append(("COMPLETED", '"half"'))
            equal(watch.status()[0], "OK", "code")
            equal(told(), wanted, "states")
            equal(watch.messages[-1]["output"], '"out"', "output")
        ended = call(server, ORCHESTRATION + "Watch", {"instance_id": "a-1"})
        equal([m["status"] for m in ended.messages], ["COMPLETED"], "of one that has ended")


@check("A24.14 a drain ends waits and watches with UNAVAILABLE")
def _():
    with Server() as server:
        start(server, "a-1").message
        with OpenCall(server, ORCHESTRATION + "Watch", {"instance_id": "a-1"}) as watch, \
                OpenCall(server, ORCHESTRATION + "WaitForCompletion",
                         {"instance_id": "a-1"}) as wait:
            wait_until(lambda: watch.messages, "the watch")
            time.sleep(0.3)  # So that the wait has come too.
            equal(server.end(), 0, "exit code")
            equal(watch.status()[0], "UNAVAILABLE", "code of the watch")
            equal(wait.status()[0], "UNAVAILABLE", "code of the wait")


# ---- Commands ---------------------------------------------------------------

@on_both_stores("A24.15 events, suspend, resume and terminate reach it; once it has ended they "
                "are refused with its status")
def _(server, sidecar):
    def command(method, **fields):
        call(server, ORCHESTRATION + method, {"instance_id": "a-1", **fields}).message
    with sidecar.worker() as worker:
        start(server, "a-1").message
        worker.turn().complete()
        command("RaiseEvent", name="e", input='{"n": 1}')
        turn = worker.turn()
        equal(turn.event("eventRaised e"), {"name": "e", "input": '{"n": 1}'}, "event")
        turn.complete()
        command("Suspend", reason="why")
        turn = worker.turn()
        equal(turn.event("executionSuspended"), {"input": "why"}, "reason")
        turn.complete()
        equal(get(server, "a-1")["status"], "SUSPENDED", "status")
        command("Resume")
        worker.turn().complete()
        command("Terminate", output='"bye"', recursive=True)
        turn = worker.turn()
        equal(turn.event("executionTerminated"), {"input": '"bye"', "recurse": True}, "end")
        turn.complete(complete(1, '"bye"', "TERMINATED"))
        state = call(server, ORCHESTRATION + "WaitForCompletion",
                     {"instance_id": "a-1"}).message
        equal((state["status"], state["output"]), ("TERMINATED", '"bye"'), "state")
    for method, fields in (("RaiseEvent", {"name": "e"}), ("Suspend", {}), ("Resume", {}),
                           ("Terminate", {})):
        fails(server, "FAILED_PRECONDITION", ORCHESTRATION + method,
              {"instance_id": "a-1", **fields}, names=['"a-1" is Terminated'])
    fails(server, "INVALID_ARGUMENT", ORCHESTRATION + "RaiseEvent", {"instance_id": "a-1"},
          names=["name"])


@on_both_stores("A24.16 Restart starts one that has ended as it was started, or a copy under a "
                "new ID")
def _(server, sidecar):
    with sidecar.worker() as worker:
        first = start(server, "a-1", input="7", version="2", tags={"k": "v"}).message
        worker.turn().complete()
        fails(server, "FAILED_PRECONDITION", ORCHESTRATION + "Restart",
              {"instance_id": "a-1"}, names=['"a-1" is Running'])
        copy = call(server, ORCHESTRATION + "Restart",
                    {"instance_id": "a-1", "new_instance_id": True}).message
        expect(UUID.fullmatch(copy["instance_id"]) and copy["created"], f"{copy}")
        turn = worker.turn()
        equal(turn.event("executionStarted")["input"], "7", "input of the copy")
        turn.complete(complete(1))
        sidecar.raise_event("a-1", "end")
        worker.turn().complete(complete(1))
        again = call(server, ORCHESTRATION + "Restart", {"instance_id": "a-1"}).message
        expect(again["execution_id"] != first["execution_id"], "the execution is the same")
        state = get(server, "a-1")
        equal((state["input"], state["version"], state["tags"]), ("7", "2", {"k": "v"}),
              "state")


@on_both_stores("A24.17 Purge: one that has ended, refused for one that has not; many by their "
                "IDs or a filter")
def _(server, sidecar):
    for i, status in enumerate(("COMPLETED", "FAILED", "COMPLETED", "RUNNING", "TERMINATED")):
        bring_to(sidecar, status, f"a-{i}")
    purge, purge_many = ORCHESTRATION + "Purge", ORCHESTRATION + "PurgeMany"
    fails(server, "FAILED_PRECONDITION", purge, {"instance_id": "a-3"},
          names=['"a-3" is Running', "ended"])
    equal(call(server, purge, {"instance_id": "a-0"}).message, {"purged": "1"}, "answer")
    fails(server, "NOT_FOUND", purge, {"instance_id": "a-0"}, names=['"a-0"'])
    equal(call(server, purge_many, {"instance_ids": ["a-1", "a-3", "none"]}).message,
          {"purged": "1", "complete": True}, "answer")
    equal(call(server, purge_many, {"filter": {"statuses": ["TERMINATED"]}}).message,
          {"purged": "1", "complete": True}, "answer")
    fails(server, "INVALID_ARGUMENT", purge_many, {}, names=["instance_ids", "filter"])
    fails(server, "INVALID_ARGUMENT", purge_many, {"instance_ids": ["a"], "filter": {}},
          names=["instance_ids", "filter"])
    equal(call(server, purge_many, {"filter": {}}).message,
          {"purged": "1", "complete": True}, "answer")
    equal([s["instanceId"] for s in sidecar.query()], ["a-3"], "what is left")


@on_both_stores("A24.18 List: filters that all hold, pages that go on, each one once")
def _(server, sidecar):
    for i in range(5):
        bring_to(sidecar, "COMPLETED", f"done-{i}")
    bring_to(sidecar, "RUNNING", "run-0")
    method = ORCHESTRATION + "List"
    listed = call(server, method, {}, ["instance-id: none"]).message["orchestrations"]
    equal([s["instance_id"] for s in listed], [f"done-{i}" for i in range(5)] + ["run-0"],
          "all")
    expect(all("output" not in s for s in listed), "payloads")
    full = call(server, method, {"include_payloads": True, "filter": {
        "statuses": ["COMPLETED"], "id_prefix": "done-4"}}).message["orchestrations"]
    equal([(s["instance_id"], s["output"]) for s in full], [("done-4", '"out"')], "one")
    later = {"filter": {"created_from": full[0]["create_time"]}}
    equal([s["instance_id"] for s in call(server, method, later).message["orchestrations"]],
          ["done-4", "run-0"], "those from then on")
    found, token = [], ""
    while True:
        page = call(server, method, {"page_size": 2, "page_token": token}).message
        found += [s["instance_id"] for s in page.get("orchestrations", [])]
        expect(len(page.get("orchestrations", [])) <= 2, "too many")
        token = page.get("next_page_token", "")
        if not token:
            break
    equal(found, [s["instance_id"] for s in listed], "pages")
    fails(server, "INVALID_ARGUMENT", method, {"page_token": "x"}, names=["page_token", '"x"'])
    fails(server, "INVALID_ARGUMENT", method, {"page_size": -1}, names=["page_size", "-1"])
    fails(server, "INVALID_ARGUMENT", method, {"filter": {"statuses": [77]}}, names=["77"])


@on_both_stores("A24.19 GetHistory: each kind of event in words, of the present run and of a "
                "replaced one")
def _(server, sidecar):
    with sidecar.worker() as worker:
        first = start(server, "a-1", input='"in"').message
        worker.turn().complete(schedule_task(1, "act", '"x"'), create_timer(2, now(0.1)),
                               create_child(3, "Child", child="c"),
                               protocol.send_event(4, "a-1", "self"))
        seen = 0
        while seen < 4:
            item = worker.next()
            if hasattr(item, "new") and item.id == "a-1":
                seen += len(item.new) - 1
                item.complete()
            elif hasattr(item, "new"):
                item.complete(complete(1, '"grown"'))
            else:
                item.complete('"done"')
        events = call(server, ORCHESTRATION + "GetHistory", {"instance_id": "a-1"}).messages
        kinds = {k: e[k] for e in events for k in e if k not in ("id", "time")}
        equal(kinds["execution_started"]["input"], '"in"', "input")
        equal(kinds["execution_started"]["execution_id"], first["execution_id"], "execution")
        equal(kinds["activity_scheduled"], {"name": "act", "input": '"x"'}, "activity")
        equal(kinds["activity_completed"], {"scheduled_id": 1, "output": '"done"'}, "its end")
        equal(kinds["timer_fired"]["scheduled_id"], 2, "timer")
        equal(kinds["sub_orchestration_started"], {"instance_id": "c", "name": "Child"}, "child")
        equal(kinds["sub_orchestration_completed"], {"scheduled_id": 3, "output": '"grown"'},
              "its end")
        equal(kinds["event_sent"], {"instance_id": "a-1", "name": "self"}, "sent")
        equal(kinds["event_raised"], {"name": "self"}, "raised")
        start(server, "a-1", ifActive="TERMINATE").message
        old = call(server, ORCHESTRATION + "GetHistory", {
            "instance_id": "a-1", "execution_id": first["execution_id"]}).messages
        equal(old[:len(events)], events, "history of the replaced run")
        equal(old[-1]["execution_completed"], {"status": "TERMINATED"}, "its end")
        fails(server, "NOT_FOUND", ORCHESTRATION + "GetHistory",
              {"instance_id": "a-1", "execution_id": "none"}, names=['"none"'])
        # The other door knows the present one only.
        protocol.refused("NOT_FOUND", sidecar.history, "a-1",
                         executionId=first["execution_id"])


# ---- One context ------------------------------------------------------------

@on_both_stores("A24.20 Echo and Orchestration share one context: one generation, both "
                "extensions, each one's pin holds the lease", "--idle-timeout=400ms")
def _(server, sidecar):
    def context():
        answer = call(server, INSTANCES + "Get", {"instance_id": "a-1"})
        return answer.message if answer.code == "OK" else None

    def kinds():
        return {p["kind"]: p["count"] for p in (context() or {}).get("pins", [])}

    with sidecar.worker() as worker:
        begun = start(server, "a-1")
        turn = worker.turn()
        echoed = call(server, ECHO + "Echo", {"text": "x"}, ["instance-id: a-1"]).message
        equal(echoed["generation"], begun.headers["instance-generation"], "generation")
        seen = context()
        equal(seen["generation"], echoed["generation"], "generation")
        contains(" ".join(seen["extensions"]), "Echo", "Orchestration")
        equal(kinds(), {"work-item": "1"}, "pins")
        shown = leasehold(f"--address={server.address}", "instances", "get", "a-1").out
        contains(shown, "EchoInstance", "HotOrchestration", "work-item")
        time.sleep(0.8)  # Longer than a lease: the work holds it.
        equal(kinds(), {"work-item": "1"}, "pins")
        with OpenCall(server, ECHO + "EchoStream", None, ["instance-id: a-1"]) as stream:
            stream.headers()
            equal(kinds(), {"work-item": "1", "echo-stream": "1"}, "pins")
            turn.complete(custom_status='"parked"')
            wait_until(lambda: kinds() == {"echo-stream": "1"}, "the turn's pin to go")
            time.sleep(0.8)  # The stream holds it.
            equal(context()["generation"], echoed["generation"], "generation")
        wait_until(lambda: context() is None, "the release")
        # The orchestration thaws with nothing lost; Echo starts over.
        call(server, ORCHESTRATION + "RaiseEvent",
             {"instance_id": "a-1", "name": "go"}).message
        turn = worker.turn()
        equal((turn.past, turn.new), (["OS", "executionStarted"], ["OS", "eventRaised go"]),
              "events")
        thawed = context()
        expect(int(thawed["generation"]) > int(echoed["generation"]), "generation")
        equal(kinds(), {"work-item": "1"}, "pins")
        again = call(server, ECHO + "Echo", {"text": "x"}, ["instance-id: a-1"]).message
        equal((again["sequence"], again["generation"]), ("1", thawed["generation"]), "echo")
        turn.complete(complete(1, '"out"'))
        state = get(server, "a-1")
        equal((state["output"], state["custom_status"]), ('"out"', '"parked"'), "state")
