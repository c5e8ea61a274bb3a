"""A19, from A19.19: orchestrations managed by a client of the Durable Task protocol.

Commands, purge, queries, task hubs, history, restart.
Spoken raw (tests/interop/sidecar.py), each check with both stores.
"""

import threading
import time

import sidecar as protocol
from harness import contains, equal, expect
from orchestrations import NOBODY, on_both_stores, run_to_end
from sidecar import Sidecar, complete, create_child, create_timer, fail, now, refused

# ---- Commands ---------------------------------------------------------------

COMMANDS = ("RaiseEvent", "SuspendInstance", "ResumeInstance", "TerminateInstance")


@on_both_stores("A19.19 a command for one that is not there is NOT_FOUND and names it; for "
                "one that has ended, OK without effect")
def _(server, sidecar):
    run_to_end(sidecar, "ended", '"out"')
    before = sidecar.get("ended"), len(sidecar.history("ended"))
    with sidecar.worker() as worker:
        for method in COMMANDS:
            contains(refused("NOT_FOUND", sidecar.call, method, instanceId="missing"),
                     "missing")
            sidecar.call(method, instanceId="ended")
        worker.quiet()
    equal((sidecar.get("ended"), len(sidecar.history("ended"))), before, "state, events")


@on_both_stores("A19.20 events come in their order, with their payloads, also those that "
                "came before anybody waited")
def _(server, sidecar):
    sidecar.start("listener", id="a-1")
    sidecar.raise_event("a-1", "x", '"1"')
    sidecar.raise_event("a-1", "y")
    with sidecar.worker() as worker:
        turn = worker.turn()
        equal(turn.new, ["OS", "executionStarted", "eventRaised x", "eventRaised y"],
              "events")
        equal(turn.event("eventRaised x"), {"name": "x", "input": '"1"'}, "x")
        equal(turn.event("eventRaised y"), {"name": "y"}, "y")
        sidecar.raise_event("a-1", "x", "")
        turn.complete()
        turn = worker.turn()
        equal(turn.new, ["OS", "eventRaised x"], "events that came during the turn")
        equal(turn.event("eventRaised x"), {"name": "x", "input": ""}, "x")
        turn.complete(complete(1))


@on_both_stores("A19.21 suspended: nothing is sent until the resume, then all of it in order")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("listener", id="a-1")
        due = now(2)
        worker.turn().complete(create_timer(1, due))
        sidecar.suspend("a-1", '"why"')
        turn = worker.turn()
        equal(turn.event("executionSuspended"), {"input": '"why"'}, "reason")
        turn.complete()
        equal(sidecar.status("a-1"), "SUSPENDED", "status")
        sidecar.suspend("a-1")
        sidecar.raise_event("a-1", "x")
        time.sleep(max(0, due - now()) / 1e9 + 0.2)
        worker.quiet()
        equal(sidecar.status("a-1"), "SUSPENDED", "status")
        sidecar.resume("a-1")
        turn = worker.turn()
        equal(turn.new, ["OS", "eventRaised x", "timerFired 1", "executionResumed"],
              "events")
        turn.complete()
        equal(sidecar.status("a-1"), "RUNNING", "status")


@on_both_stores("A19.22 a suspended one can be terminated")
def _(server, sidecar):
    sidecar.start("listener", id="a-1")
    sidecar.suspend("a-1")
    with sidecar.worker() as worker:
        worker.turn().complete()
        sidecar.terminate("a-1", '"enough"')
        turn = worker.turn()
        equal(turn.new, ["OS", "executionTerminated"], "events")
        equal(turn.event("executionTerminated"), {"input": '"enough"'}, "terminate")
        turn.complete(complete(1, '"enough"', "TERMINATED"))
        state = sidecar.wait_for_completion("a-1")
        equal((state["orchestrationStatus"], state["output"]),
              ("TERMINATED", '"enough"'), "end")


@on_both_stores("A19.23 a recursive terminate reaches children, theirs, and those of the same "
                "turn; without it none")
def _(server, sidecar):
    with sidecar.worker() as worker:
        for recursive in (True, False):
            top, child, late = (f"{what}-{recursive}" for what in
                                ("top", "child", "late"))
            sidecar.start("top", id=top)
            worker.turn().complete(create_child(1, "child", child=child))
            worker.turn().complete(create_child(1, "grandchild", child=child + "/g"))
            worker.turn().complete()
            sidecar.terminate(top, '"all"', recursive=recursive)
            turn = worker.turn()
            equal(turn.event("executionTerminated").get("recurse", False), recursive,
                  "recurse")
            turn.complete(create_child(2, "late", child=late),
                          complete(3, '"all"', "TERMINATED"))
            ended = {}
            while len(ended) < (3 if recursive else 1):
                turn = worker.turn()
                new = [e for e in turn.new if e != "OS"]
                ended[turn.id] = new
                if "executionTerminated" in new:
                    turn.complete(complete(9, '"all"', "TERMINATED"))
                else:
                    turn.complete()
            worker.quiet()
            statuses = [sidecar.status(id) for id in (top, child, child + "/g", late)]
            equal(statuses, ["TERMINATED"] * 4 if recursive else
                  ["TERMINATED"] + ["RUNNING"] * 3, f"statuses, recursive={recursive}")


# ---- Purge ------------------------------------------------------------------

@on_both_stores("A19.24 purge of one, and of a batch: ended ones go, others are passed over; "
                "their ids are free")
def _(server, sidecar):
    for i in range(4):
        run_to_end(sidecar, f"a-{i}", '"out"')
    sidecar.start(NOBODY, id="active")
    equal(sidecar.purge("missing"), 0, "count of a missing one")
    equal(sidecar.purge("active"), 0, "count of an active one")
    equal(sidecar.purge("a-0"), 1, "count")
    equal(sidecar.purge("a-0"), 0, "count, again")
    equal(sidecar.purge("a-1", "missing", "active", "a-2", "a-1"), 2, "of a batch")
    answer = sidecar.call("PurgeInstances", instanceId="missing")
    equal(protocol.plain(answer), {"isComplete": True}, "answer")
    equal({state["instanceId"] for state in sidecar.query()}, {"a-3", "active"}, "left")
    for id in ("a-0", "a-1", "a-2"):
        equal(sidecar.get(id), None, "state")
        refused("NOT_FOUND", sidecar.history, id)
        refused("NOT_FOUND", sidecar.raise_event, id, "x")
    equal(sidecar.start(NOBODY, id="a-0", replaceable=[]), "a-0", "the id, free again")
    equal(sidecar.history("a-0"), [], "its history")


@on_both_stores("A19.25 purge by filter: status and time, only what has ended")
def _(server, sidecar):
    with sidecar.worker() as worker:
        for i in range(3):
            sidecar.start("quick", id=f"done-{i}")
            worker.turn().complete(complete(1))
        middle = now()
        time.sleep(0.01)
        for i in range(2):
            sidecar.start("quick", id=f"sad-{i}")
            worker.turn().complete(fail(1, "Sad", "so sad"))
    sidecar.start(NOBODY, id="active")

    def left():
        return sorted(state["instanceId"] for state in sidecar.query())
    equal(sidecar.purge(filter=dict(runtimeStatus=["RUNNING", "PENDING"])), 0, "active")
    equal(sidecar.purge(filter=dict(runtimeStatus=["FAILED"], createdTimeTo=middle)), 0,
          "failed, before any failed")
    equal(sidecar.purge(filter=dict(runtimeStatus=["FAILED"])), 2, "failed")
    equal(left(), ["active", "done-0", "done-1", "done-2"], "left")
    equal(sidecar.purge(filter=dict(createdTimeFrom=middle)), 0, "since then")
    equal(sidecar.purge(filter=dict(createdTimeTo=middle)), 3, "until then")
    equal(left(), ["active"], "left")
    run_to_end(sidecar, "last")
    equal(sidecar.purge(filter={}), 1, "with an empty filter")
    equal(left(), ["active"], "left")


@on_both_stores("A19.26 a purge by filter takes more than a page, and stops at its timeout")
def _(server, sidecar):
    with sidecar.worker(turns=50) as worker:
        calls = [sidecar.begin("StartInstance", name="quick", instanceId=f"a-{i}")
                 for i in range(250)]
        for _ in calls:
            worker.turn().complete(complete(1))
    answer = sidecar.call("PurgeInstances", purgeInstanceFilter=dict(timeout=1))
    expect(not answer.isComplete.value, "complete after a nanosecond")
    equal(answer.deletedInstanceCount + sidecar.purge(filter={}), 250, "count")
    equal(sidecar.query(), [], "left")


@on_both_stores("A19.27 a recursive purge takes ended descendants along, and counts them")
def _(server, sidecar):
    for recursive in (False, True):
        with sidecar.worker() as worker:
            sidecar.start("top", id="top")
            worker.turn().complete(create_child(1, "child", child="child"))
            worker.turn().complete(create_child(1, "grandchild", child="grandchild"))
            worker.turn().complete(complete(1))
            worker.turn().complete(complete(2))
            worker.turn().complete(complete(2))
        equal(sidecar.wait_for_completion("top")["orchestrationStatus"], "COMPLETED",
              "status")
        equal(sidecar.purge("top", recursive=recursive), 3 if recursive else 1, "count")
        equal(len(sidecar.query()), 0 if recursive else 2, "left")
        sidecar.purge("child", "grandchild")


@on_both_stores("A19.28 a wait for one whose id is purged and unknown ends with exists=false",
                "--allow-hub-wipe")
def _(server, sidecar):
    sidecar.start(NOBODY, id="a-1")
    waits = [sidecar.begin(f"WaitForInstance{what}", 10, instanceId="a-1")
             for what in ("Start", "Completion")]
    time.sleep(0.2)
    sidecar.call("DeleteTaskHub")
    for wait in waits:
        expect(wait.exception() is None, f"a wait ended so: {wait.exception()}")
        equal(wait.result().exists, False, "exists")


# ---- Query and list ---------------------------------------------------------

@on_both_stores("A19.29 a query finds by status, time and prefix, all of them together")
def _(server, sidecar):
    run_to_end(sidecar, "red-1", '"out"')
    run_to_end(sidecar, "blue-1")
    middle = now()
    time.sleep(0.01)
    sidecar.start(NOBODY, '"in"', id="red-2")
    sidecar.start(NOBODY, id="redder")

    def found(**query):
        return sorted(state["instanceId"] for state in sidecar.query(**query))
    equal(found(), ["blue-1", "red-1", "red-2", "redder"], "all")
    equal(found(instanceIdPrefix=""), found(), "with an empty prefix")
    equal(found(instanceIdPrefix="red-"), ["red-1", "red-2"], "by prefix")
    equal(found(instanceIdPrefix="%"), [], "a prefix is not a pattern")
    equal(found(runtimeStatus=["COMPLETED"]), ["blue-1", "red-1"], "by status")
    equal(found(runtimeStatus=["PENDING", "FAILED"]), ["red-2", "redder"], "by two")
    equal(found(createdTimeFrom=middle), ["red-2", "redder"], "since")
    equal(found(createdTimeTo=middle), ["blue-1", "red-1"], "until")
    created = sidecar.get("red-2")["createdTimestamp"]
    equal(found(createdTimeFrom=created, createdTimeTo=created), ["red-2"],
          "both ends count")
    equal(found(runtimeStatus=["PENDING"], instanceIdPrefix="red-",
                createdTimeFrom=middle), ["red-2"], "all filters")
    state = sidecar.query(instanceIdPrefix="red-1")[0]
    expect("output" not in state, "payloads that nobody asked for")
    state, = sidecar.query(instanceIdPrefix="red-1", fetchInputsAndOutputs=True)
    equal(state["output"], '"out"', "output")
    equal(state, sidecar.get("red-1"), "the state as Get has it")
    state, = sidecar.query(instanceIdPrefix="red-2", fetchInputsAndOutputs=True)
    equal(state["input"], '"in"', "input of a pending one")


@on_both_stores("A19.30 pages: each orchestration once, a token that is never 0, none at the "
                "end")
def _(server, sidecar):
    ids = {sidecar.start(NOBODY, id=f"a-{i:02}") for i in range(25)}
    for size in (1, 7, 25, 26):
        found, tokens = [], []
        page, token = sidecar.query_page(maxInstanceCount=size)
        while token is not None:
            expect(token not in ("", "0") and token not in tokens, f"token {token!r}")
            expect(len(page) <= size, f"{len(page)} on a page of {size}")
            tokens.append(token)
            found += page
            page, token = sidecar.query_page(maxInstanceCount=size,
                                             continuationToken=token)
        found += page
        equal(sorted(s["instanceId"] for s in found), sorted(ids), f"pages of {size}")
    page, token = sidecar.query_page(maxInstanceCount=2**31 - 1)
    equal((len(page), token), (25, None), "a page of the most")
    page, token = sidecar.query_page(maxInstanceCount=0, continuationToken="")
    equal((len(page), token), (25, None), "a page of the default")


@on_both_stores("A19.31 pages skip and repeat nothing that stays, whatever comes and goes "
                "between them")
def _(server, sidecar):
    for i in range(20):
        run_to_end(sidecar, f"a-{i:02}")
    found, token = sidecar.query_page(maxInstanceCount=5)
    gone = [f"a-{i:02}" for i in range(0, 20, 3)]
    sidecar.purge(*gone)
    sidecar.start(NOBODY, id="a-00")
    while token is not None:
        page, token = sidecar.query_page(maxInstanceCount=5, continuationToken=token)
        found += page
    ids = [state["instanceId"] for state in found]
    stayed = [f"a-{i:02}" for i in range(20) if i % 3]
    equal([id for id in ids if id in stayed], stayed, "those that stayed")


@on_both_stores("A19.32 a token that is not ours is INVALID_ARGUMENT and is quoted")
def _(server, sidecar):
    run_to_end(sidecar, "a-1")
    for token in ("garbage", "1x", "-", "1:2:3", "9" * 40, "\n"):
        if token != "1:2:3":
            contains(refused("INVALID_ARGUMENT", sidecar.query_page,
                             continuationToken=token), "token")
        contains(refused("INVALID_ARGUMENT", sidecar.call, "ListInstanceIds",
                         lastInstanceKey=token), "token")
    contains(refused("INVALID_ARGUMENT", sidecar.query_page, continuationToken="abc"),
             '"abc"')


@on_both_stores("A19.33 ListInstanceIds: ended ones only, in the order of their ends, by "
                "pages, filtered")
def _(server, sidecar):
    with sidecar.worker() as worker:
        order = [f"a-{i}" for i in (3, 1, 4, 0, 2)]
        turns = {}
        for i in range(5):
            sidecar.start("quick", id=f"a-{i}")
            turns[f"a-{i}"] = worker.turn()
        for id in order:
            turns[id].complete(complete(1) if id != "a-4" else fail(1, "Sad", "so sad"))
            time.sleep(0.002)
    sidecar.start(NOBODY, id="active")
    for size in (0, 1, 2, 5, 1000):
        equal(sidecar.list_ids(pageSize=size), order, f"pages of {size}")
    equal(sidecar.list_ids(runtimeStatus=["FAILED"]), ["a-4"], "failed")
    equal(sidecar.list_ids(runtimeStatus=["PENDING"]), [], "pending")
    ends = {id: sidecar.get(id)["completedTimestamp"] for id in order}
    equal(sidecar.list_ids(completedTimeFrom=ends["a-4"]), order[2:],
          "from: that one counts")
    equal(sidecar.list_ids(completedTimeTo=ends["a-4"]), order[:2],
          "to: that one does not")
    page = protocol.plain(sidecar.call("ListInstanceIds", pageSize=6))
    expect("lastInstanceKey" not in page, f"a key at the end: {page}")
    page = protocol.plain(sidecar.call("ListInstanceIds", pageSize=2))
    key = page["lastInstanceKey"]
    expect(key.startswith("a-1:"), f"the key shows the last ID: {key}")
    contains(refused("INVALID_ARGUMENT", sidecar.call, "ListInstanceIds", pageSize=2,
                     lastInstanceKey=key.replace("a-1", "a-3")), "lastInstanceKey")


# ---- Hubs, history, restart, what is not there ------------------------------

@on_both_stores("A19.34 a task hub may be created; it is wiped only with --allow-hub-wipe")
def _(server, sidecar):
    sidecar.start(NOBODY, id="a-1")
    sidecar.call("CreateTaskHub")
    for method, fields in (("CreateTaskHub", dict(recreateIfExists=True)),
                           ("DeleteTaskHub", {})):
        contains(refused("FAILED_PRECONDITION", sidecar.call, method, **fields),
                 "--allow-hub-wipe")
    equal(sidecar.status("a-1"), "PENDING", "status")


@on_both_stores("A19.35 with --allow-hub-wipe nothing is left of what was there, nor of its "
                "work", "--allow-hub-wipe")
def _(server, sidecar):
    for method, fields in (("CreateTaskHub", dict(recreateIfExists=True)),
                           ("DeleteTaskHub", {})):
        run_to_end(sidecar, "ended")
        with sidecar.worker() as worker:
            sidecar.start("slow", id="a-1")
            worker.turn().complete(protocol.schedule_task(1, "slow"),
                                   create_timer(2, now(0.3)))
            activity = worker.activity()
            sidecar.raise_event("a-1", "x")
            turn = worker.turn()
            sidecar.call(method, **fields)
            equal(sidecar.query(), [], "orchestrations")
            for call in (turn.complete, activity.complete):
                refused("NOT_FOUND", call)
            worker.quiet(0.5)
            sidecar.start("slow", id="a-1", replaceable=[])
            equal(worker.turn().new, ["OS", "executionStarted"], "events of a new one")
        sidecar.call("DeleteTaskHub")


@on_both_stores("A19.36 history: none before the first turn, NOT_FOUND for an unknown one or "
                "another execution")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("quick", id="a-1")
        equal(sidecar.history("a-1"), [], "history")
        worker.turn().complete(complete(1))
    execution = sidecar.get("a-1")["executionId"]
    for options in ({}, {"executionId": execution}, {"executionId": ""}):
        equal([protocol.brief(e) for e in sidecar.history("a-1", **options)],
              ["OS", "executionStarted", "executionCompleted 1"], "history")
    refused("NOT_FOUND", sidecar.history, "a-1", executionId="0" * 32)
    refused("NOT_FOUND", sidecar.history, "missing")


@on_both_stores("A19.37 restart: in place once it has ended, or under a new id")
def _(server, sidecar):
    def restart(id, new_id):
        return sidecar.call("RestartInstance", instanceId=id,
                            restartWithNewInstanceId=new_id).instanceId
    refused("NOT_FOUND", restart, "missing", False)
    sidecar.start("quick", '"in"', id="a-1", version="3", tags={"a": "b"})
    contains(refused("FAILED_PRECONDITION", restart, "a-1", False), "a-1", "Pending")
    with sidecar.worker() as worker:
        first = worker.turn()
        copy = restart("a-1", True)
        expect(copy != "a-1", "the new id is the old one")
        second = worker.turn()
        equal(second.id, copy, "whose turn")
        for turn in (first, second):
            turn.complete(complete(1, '"out"'))
        equal(restart("a-1", False), "a-1", "id")
        third = worker.turn()
        for turn in (second, third):
            started = turn.event("executionStarted")
            equal((started["name"], started["version"], started["input"],
                   started["tags"], "parentInstance" in started),
                  ("quick", "3", '"in"', {"a": "b"}, False), "as it was started")
        equal(third.past, [], "past")
        expect(third.execution != first.execution, "the execution id is the old one")
        equal(sidecar.status("a-1"), "PENDING", "status")


@on_both_stores("A19.38 methods outside the contract are UNIMPLEMENTED at once")
def _(server, sidecar):
    for path in ("/TaskHubSidecarService/Nonsense", "/TaskHubSidecarService/",
                 "/durabletask.TaskHubSidecarService/Hello"):
        equal(server.connect().call(data=b"\0\0\0\0\0", path=path).code,
              "UNIMPLEMENTED", f"code of {path}")


@on_both_stores("A19.39 a state is of one moment: an end comes with its output, and input is "
                "never missing, whatever happens meanwhile")
def _(server, sidecar):
    reader, stop, seen, torn = Sidecar(server), threading.Event(), set(), []

    def look(state):
        seen.add(state["orchestrationStatus"])
        wanted = ('"in"', '"out"' if state["orchestrationStatus"] == "COMPLETED" else None)
        if (state.get("input"), state.get("output")) != wanted:
            torn.append(state)

    def read():
        while not stop.is_set():
            for state in reader.query(fetchInputsAndOutputs=True):
                look(state)
            for id in ids:
                look(reader.get(id) or {"orchestrationStatus": None, "input": '"in"'})
    ids = [f"a-{i}" for i in range(10)]
    thread = threading.Thread(target=read)
    thread.start()
    try:
        with sidecar.worker() as worker:
            for _ in range(60):
                calls = [sidecar.begin("StartInstance", name="quick", instanceId=id,
                                       input='"in"') for id in ids]
                turns = [worker.turn() for _ in ids]
                calls += [sidecar.begin(
                    "CompleteOrchestratorTask", completionToken=turn.token,
                    actions=[complete(1, '"out"')]) for turn in turns]
                for call in calls:
                    call.result()
                sidecar.purge(*ids)
    finally:
        stop.set()
        thread.join()
    expect(not torn, f"{len(torn)} states of no moment, such as {torn[:1]}")
    expect({"PENDING", "COMPLETED"} <= seen, f"saw only {seen}")
