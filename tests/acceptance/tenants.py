"""A45: tenants: equal IDs never meet, and nothing tells one tenant of another."""

import json
import random
import re
import signal
import threading
import time

import grpc
from google.protobuf import text_format

from harness import check, contains, equal, expect, temporary_folder, wait_until
from policies import METHODS, ROLES, Guarded
import harness

ECHO = "leasehold.v1.Echo/Echo"
START = "leasehold.v1.Orchestration/Start"
GET = "leasehold.v1.Orchestration/Get"
WAIT = "leasehold.v1.Orchestration/WaitForCompletion"
LIST = "leasehold.v1.Orchestration/List"
TASK = "TaskHubSidecarService"
SECRET = "s3cr3t"
PENDING, COMPLETED = 1, 4  # Of leasehold.v1.OrchestrationStatus.
BOTH = {"acme": "acme: user, worker, operator", "globex": "globex: user, worker, operator"}


def room(instance_id):
    return [("instance-id", instance_id)]


def ids(answer):
    return sorted(one.instance_id for one in answer)


def until_completed(caller, instance_id):
    answer = caller.call(WAIT, instance_id=instance_id)
    equal(answer.status, COMPLETED, f"status of {instance_id}: {answer}")
    return answer


@check("A45.1 one ID in two tenants is two contexts, two orchestrations, two entities")
def _():
    with Guarded(**BOTH) as server:
        acme, globex = server.as_("acme"), server.as_("globex")
        for count in (1, 2):
            for caller in (acme, globex):
                equal(caller.call(ECHO, room("a"), text="x").sequence, count, "sequence")
        for caller, text in ((acme, '"of acme"'), (globex, '"of globex"')):
            started = caller.call(START, name="Ping", instance_id="run", input=text,
                                  request_id="one")
            expect(started.created, f"it was not created: {started}")
            equal(until_completed(caller, "run").output, text, "output")
            again = caller.call(START, name="Ping", instance_id="run", input=text,
                                request_id="one")
            equal((again.execution_id, again.created), (started.execution_id, True),
                  "receipt of the same request")
        for caller, times in ((acme, 1), (globex, 3)):
            for _ in range(times):
                value = caller.call("leasehold.v1.Entities/Call", instance_id="@counter@a",
                                    operation="add", input="1").output
            equal(value, str(times), "value of the counter")
        # One is released; the other stays.
        acme.call("leasehold.v1.Instances/Release", instance_id="a", force=True)
        wait_until(lambda: acme.code("leasehold.v1.Instances/Get", instance_id="a")
                   == "NOT_FOUND", "the release")
        equal(globex.call(ECHO, room("a"), text="x").sequence, 3, "sequence")
        globex.call("leasehold.v1.Orchestration/Purge", instance_id="run")
        equal(globex.code(GET, instance_id="run"), "NOT_FOUND", "code after a purge")
        equal(acme.code(GET, instance_id="run"), "OK", "code of the other one")


@check("A45.2 lists, queries, watches, pages and purges are of one tenant")
def _():
    with Guarded(**BOTH) as server:
        acme, globex = server.as_("acme"), server.as_("globex")
        watch = globex.begin("leasehold.v1.Instances/Watch")
        for number in range(4):
            acme.call(ECHO, room(f"acme-{number}"), text="x")
            acme.call(START, name="Ping", instance_id=f"acme-{number}")
            until_completed(acme, f"acme-{number}")
            globex.call(ECHO, room(f"globex-{number}"), text="x")
            globex.call(START, name="Ping", instance_id=f"globex-{number}")
            until_completed(globex, f"globex-{number}")
        for caller, name in ((acme, "acme"), (globex, "globex")):
            wanted = [f"{name}-{number}" for number in range(4)]
            equal(ids(caller.call("leasehold.v1.Instances/List").instances), wanted, "rooms")
            equal(ids(caller.call(LIST).orchestrations), wanted, "orchestrations")
            equal(sorted(s.instanceId for s in caller.call(
                f"{TASK}/QueryInstances", query={}).orchestrationState), wanted, "query")
            equal(sorted(caller.call(f"{TASK}/ListInstanceIds", pageSize=10).instanceIds),
                  wanted, "IDs that have ended")
        seen = []
        for event in watch:
            seen.append(text_format.MessageToString(event, as_one_line=True))
            if "globex-3" in seen[-1]:
                break
        watch.cancel()
        expect(not any("acme" in event for event in seen), f"the watch shows: {seen}")

        # Where a page ended is nobody else's.
        for method, size, field in (
                ("leasehold.v1.Instances/List", "page_size", "next_page_token"),
                (LIST, "page_size", "next_page_token")):
            token = getattr(acme.call(method, **{size: 2}), field)
            expect(token, f"{method} has one page only")
            code, message, _ = globex.outcome(method, **{size: 2}, page_token=token)
            equal(code, "INVALID_ARGUMENT", f"code of {method}")
            contains(message, "page_token")
            equal(acme.code(method, **{size: 2}, page_token=token), "OK", "code")
        token = acme.call(f"{TASK}/ListInstanceIds", pageSize=2).lastInstanceKey.value
        equal(globex.code(f"{TASK}/ListInstanceIds", pageSize=2, lastInstanceKey=token),
              "INVALID_ARGUMENT", "code of ListInstanceIds")

        globex.call("leasehold.v1.Orchestration/PurgeMany", filter={"id_prefix": "globex"})
        equal(ids(globex.call(LIST).orchestrations), [], "orchestrations after a purge")
        equal(len(acme.call(LIST).orchestrations), 4, "orchestrations of the other")


def work_of(caller, **options):
    """(grpc's stream, its items) of a worker that takes everything."""
    stream = caller.begin(f"{TASK}/GetWorkItems", maxConcurrentOrchestrationWorkItems=10,
                          maxConcurrentActivityWorkItems=10, **options)
    items = []

    def read():
        try:
            for item in stream:
                if not item.HasField("healthPing"):
                    items.append(item)
        except grpc.RpcError:
            pass

    threading.Thread(target=read, daemon=True).start()
    return stream, items


@check("A45.3 a worker gets its tenant's work, and can answer no other")
def _():
    with Guarded(**BOTH) as server:
        acme, globex = server.as_("acme"), server.as_("globex")
        streams = {}
        for caller, name in ((acme, "acme"), (globex, "globex")):
            streams[name] = work_of(caller)
            caller.call(START, name="Mine", instance_id="same", input=f'"{name}"')
        for name, (_, items) in streams.items():
            wait_until(lambda got=items: got, f"work of {name}")
            contains(str(items[0].orchestratorRequest), f'\\"{name}\\"')
        token = streams["acme"][1][0].completionToken
        finish = {"instanceId": "same", "actions": [{"id": 1, "completeOrchestration": {
            "orchestrationStatus": 1, "result": '"stolen"'}}]}
        stolen = globex.outcome(f"{TASK}/CompleteOrchestratorTask", completionToken=token,
                                **finish)
        unknown = globex.outcome(f"{TASK}/CompleteOrchestratorTask",
                                 completionToken=token[:-2] + "zz", **finish)
        equal(stolen[0], "NOT_FOUND", "code of a stolen answer")
        equal(stolen[:2], unknown[:2], "a stolen token, and none at all")
        globex.call(f"{TASK}/AbandonTaskOrchestratorWorkItem", completionToken=token)
        equal(acme.call(GET, instance_id="same").status,
              globex.call(GET, instance_id="same").status, "status")
        equal(acme.code(f"{TASK}/CompleteOrchestratorTask", completionToken=token,
                        **{**finish, "actions": [{"id": 1, "completeOrchestration": {
                            "orchestrationStatus": 1, "result": '"mine"'}}]}),
              "OK", "code of the worker's own answer")
        equal(until_completed(acme, "same").output, '"mine"', "output")
        equal(len(streams["globex"][1]), 1, "items of the other worker")
        for stream, _ in streams.values():
            stream.cancel()


@check("A45.4 the built-in worker works in every tenant, and calls Echo there")
def _():
    with Guarded(**BOTH) as server:
        def echoes(caller, texts):
            caller.call(START, name="EchoSequence", instance_id="seq", input=texts)
            return until_completed(caller, "seq").output

        acme, globex = server.as_("acme"), server.as_("globex")
        equal(acme.call(ECHO, room("seq"), text="first").sequence, 1, "sequence")
        contains(echoes(acme, '["a","b"]'), '"sequence":2', '"sequence":3')
        contains(echoes(globex, '["a","b"]'), '"sequence":1', '"sequence":2')
        equal(acme.call(ECHO, room("seq"), text="x").sequence, 4, "sequence")
        # Also in one that a changed policy adds.
        server.policy["tenants"]["initech"] = {}
        server.policy["identities"]["late"] = {"tenant": "initech", "roles": ["user"]}
        server.write()
        late = server.with_token(server.new_token("late"))
        server.reload()
        late.call(START, name="FanOutEcho", instance_id="fan", input='["a","b"]')
        contains(until_completed(late, "fan").output, '"text":"b"')
        equal(ids(globex.call(LIST).orchestrations), ["seq"], "orchestrations")


@check("A45.5 tenants stay apart over a restart and a crash")
def _():
    with temporary_folder() as data:
        with Guarded("--store=sqlite", f"--data={data}", **BOTH) as server:
            for name in BOTH:
                server.as_(name).call(START, name="Counter", instance_id="c", input="0")
                server.as_(name).call("leasehold.v1.Orchestration/RaiseEvent",
                                      instance_id="c", name="operation",
                                      input={"acme": '"incr"', "globex": '{"add":7}'}[name])
            for name, value in (("acme", "1"), ("globex", "7")):
                wait_until(lambda n=name, v=value: server.as_(n).call(
                    GET, instance_id="c").custom_status == v, f"value of {name}")
            server.server.end(signal.SIGKILL)
        with Guarded("--store=sqlite", f"--data={data}", **BOTH) as server:
            for name, value in (("acme", "1"), ("globex", "7")):
                caller = server.as_(name)
                equal(caller.call(GET, instance_id="c").custom_status, value, "value")
                caller.call("leasehold.v1.Orchestration/RaiseEvent", instance_id="c",
                            name="operation", input='"end"')
                equal(until_completed(caller, "c").output, value, "output")


# ---- Whatever one asks ------------------------------------------------------

TAKEN = ("acme-room", "acme-run", "acme-done", "acme-lost", "@counter@acme")


def furnish(acme):
    """What another tenant could see, were the walls thin."""
    acme.call(ECHO, room("acme-room"), text=SECRET)
    acme.call(START, name="Counter", instance_id="acme-run", input="7",
              tags={SECRET: SECRET})
    acme.call(START, name="Ping", instance_id="acme-done", input=f'"{SECRET}"',
              request_id="request-1")
    until_completed(acme, "acme-done")
    acme.call(START, name=f"NoSuch{SECRET}", instance_id="acme-lost", input=f'"{SECRET}"')
    acme.call("leasehold.v1.Entities/Call", instance_id="@counter@acme", operation="add",
              input="424242", request_id="request-2")
    held = acme.begin("leasehold.v1.Instances/Hold", instance_id="acme-room")
    next(held)
    return held


def requests(method, instance_id):
    """Fields for a request that names `instance_id` wherever it can."""
    fields = METHODS[method].input_type.fields_by_name
    values = {"instance_id": instance_id, "instanceId": instance_id,
              "name": "NoSuchEither", "operation": "get", "input": "1",
              "id_prefix": "acme", "request_id": "request-1", "text": "x",
              "instance_ids": [instance_id], "new_instance_id": False,
              "completionToken": "0123456789abcdef", "section_id": "acme-run",
              "timeout": 1_000_000_000, "idle_timeout": 1_000_000_000,
              "instanceBatch": {"instanceIds": [instance_id]},
              "query": {}, "filter": {}, "requestId": "request-2",
              "getInputsAndOutputs": True, "includeState": True,
              "include_payloads": True, "include_states": True}
    return {name: value for name, value in values.items() if name in fields}


def plain(message):
    text = text_format.MessageToString(message, as_one_line=True) if message else ""
    text = re.sub(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f-]{12,27}", "UUID", text)
    return re.sub(r"\d{4,}", "N", text)


def everything(server):
    """{(role, method, ID): what it gets} of all that another tenant can ask."""
    found = {}
    reads = [m for m in METHODS if re.search(
        r"/(Get|List|Query|Wait|Watch|Stream|Hello|Workers|Explain)", m)]
    others = [m for m in METHODS if m not in reads]
    connection = server.channel()
    for method in reads + others:
        for role in ROLES:
            caller = server.as_(role, connection)
            for instance_id in TAKEN:
                try:
                    code, message, first = caller.outcome(
                        method, room(instance_id), _timeout=0.3,
                        **requests(method, instance_id))
                except ValueError:  # A field that has another type here.
                    raise harness.Failed(f"no request for {method}") from None
                found[role, method, instance_id] = (code, message, plain(first))
    return found


@check("A45.6 all methods, roles and IDs: the same answers as where no other tenant is")
def _():
    identities = {"acme": BOTH["acme"], **{role: f"globex: {role}" for role in ROLES}}
    answers = []
    for furnished in (True, False):
        with Guarded(**identities) as server:
            held = furnish(server.as_("acme")) if furnished else None
            stream, items = work_of(server.as_("worker"))
            answers.append(everything(server))
            stream.cancel()
            expect(not any(SECRET in str(item) for item in items), f"work: {items}")
            if held:
                held.cancel()
    beside, alone = answers
    for asked, got in beside.items():
        expect(SECRET not in str(got) and "424242" not in str(got), f"{asked} shows {got}")
        equal(got, alone[asked], f"the answer to {asked}")
    expect(sum(code == "OK" for code, _, _ in beside.values()) > 100, "few calls go through")


@check("A45.7 what one tenant cannot do to another: end, release, rewind, hold up")
def _():
    with Guarded(**BOTH) as server:
        acme, globex = server.as_("acme"), server.as_("globex")
        held = furnish(acme)
        for method in sorted(METHODS):
            for instance_id in TAKEN:
                if method.endswith(("/Hold", "/KeepAlive", "/Join", "/EchoStream")):
                    continue
                globex.outcome(method, room(instance_id), _timeout=0.3,
                               **requests(method, instance_id))
        equal(acme.call(ECHO, room("acme-room"), text="x").sequence, 2, "sequence")
        equal(acme.call(GET, instance_id="acme-run").custom_status, "7", "counter")
        equal(acme.call(GET, instance_id="acme-done").output, f'"{SECRET}"', "output")
        equal(acme.call(GET, instance_id="acme-lost").status, PENDING, "status of the pending")
        equal(acme.call("leasehold.v1.Entities/Call", instance_id="@counter@acme",
                        operation="get").output, "424242", "state of the entity")
        held.cancel()


# ---- One goes ---------------------------------------------------------------

WIPE = f"{TASK}/DeleteTaskHub"
EVENT = "leasehold.v1.Orchestration/RaiseEvent"
CALL = "leasehold.v1.Entities/Call"
HELD = ("done", "later", "lost", "open", "out")  # What fill_hub starts.


def fill_hub(caller):
    """One of everything. (A wait for `open`, a worker's stream, its items)"""
    stream, items = work_of(caller, workItemFilters={"orchestrations": [{"name": "Mine"}]})
    caller.call(START, name="Ping", instance_id="done")
    until_completed(caller, "done")
    caller.call(START, name="Counter", instance_id="open", input="5")
    caller.call(START, name="NoSuch", instance_id="lost")
    caller.call(START, name="Ping", instance_id="later",
                scheduled_start_time=time.time_ns() + 3 * 10**9)
    caller.call(CALL, instance_id="@counter@a", operation="add", input="7")
    caller.call(START, name="Mine", instance_id="out")
    wait_until(lambda: items, "work")
    return caller.begin(WAIT, instance_id="open"), stream, items


def complete(caller, item):
    """The code that a worker's answer to `item` gets."""
    return caller.code(f"{TASK}/CompleteOrchestratorTask",
                       completionToken=item.completionToken,
                       instanceId=item.orchestratorRequest.instanceId,
                       actions=[{"id": 1, "completeOrchestration": {
                           "orchestrationStatus": 1, "result": '"mine"'}}])


def expect_nothing(caller):
    equal(ids(caller.call(LIST).orchestrations), [], "orchestrations after the wipe")
    equal(ids(caller.call("leasehold.v1.Entities/List").entities), [], "entities")
    for instance_id in HELD:
        equal(caller.code(GET, instance_id=instance_id), "NOT_FOUND", f"code of {instance_id}")


def expect_whole(caller):
    equal(ids(caller.call(LIST).orchestrations), sorted(HELD), "the other's orchestrations")
    equal(caller.call(CALL, instance_id="@counter@a", operation="get").output, "7",
          "the other's entity")
    equal(caller.call(GET, instance_id="open").custom_status, "5", "the other's counter")


@check("A45.8 a wipe takes one tenant whole and leaves the other, also with kill -9")
def _():
    with temporary_folder() as data:
        audit = f"{data}/audit.jsonl"
        with Guarded("--store=sqlite", f"--data={data}", "--allow-hub-wipe",
                     f"--audit-log={audit}", clerk="acme: user", **BOTH) as server:
            acme, globex = server.as_("acme"), server.as_("globex")
            gone, left = fill_hub(acme), fill_hub(globex)
            for method, fields in ((WIPE, {}), (f"{TASK}/CreateTaskHub",
                                                {"recreateIfExists": True})):
                equal(server.as_("clerk").code(method, **fields), "PERMISSION_DENIED",
                      f"code of {method} without the role")
            expect_whole(acme)
            acme.call(WIPE)

            expect_nothing(acme)
            wait, stream, items = gone
            equal(wait.code().name, "NOT_FOUND", "code of the wait")
            equal(complete(acme, items[0]), "NOT_FOUND", "code of a late answer")
            expect(stream.is_active(), "the worker's stream has ended")
            expect_whole(globex)
            wait, _, items = left
            expect(not wait.done(), "the other's wait has ended")
            equal(complete(globex, items[0]), "OK", "code of the other's answer")
            equal(until_completed(globex, "out").output, '"mine"', "output")
            globex.call(EVENT, instance_id="open", name="operation", input='"end"')
            equal(wait.result().output, "5", "output of what is waited for")
            until_completed(globex, "later")  # At its time, as the wiped one would.
            expect_nothing(acme)
            # The same IDs again, from the beginning.
            equal(acme.call(CALL, instance_id="@counter@a", operation="add",
                            input="1").output, "1", "the entity begins anew")
            acme.call(START, name="Mine", instance_id="out")
            wait_until(lambda: len(gone[2]) == 2, "work of the new one")
            with open(audit, encoding="utf-8") as file:
                lines = [json.loads(line) for line in file]
            equal([(x["event"], x["identity"], x["tenant"], x["code"]) for x in lines
                   if x["method"].endswith("DeleteTaskHub")],
                  [("refused", "clerk", "acme", "PERMISSION_DENIED"),
                   ("done", "acme", "acme", "OK")], "lines of the audit log")
            globex.call(f"{TASK}/CreateTaskHub", recreateIfExists=True)
            expect_nothing(globex)

            killed_while_wiping(server)


def killed_while_wiping(server):
    """A kill at any moment leaves all of the tenant, or nothing."""
    count = 100
    server.as_("globex").call(START, name="Counter", instance_id="open", input="5")
    for delay in (0, 0.001, 0.003, 0.01, 0.1):
        acme = server.as_("acme")
        acme.call(WIPE)
        starts = [acme.begin(START, name="NoSuch", instance_id=f"n-{number}")
                  for number in range(count)]
        for start in starts:
            start.result()
        wipe = acme.begin(WIPE)
        time.sleep(delay)
        server.server.end(signal.SIGKILL)
        told = wipe.code().name
        server.restart()
        acme, globex = server.as_("acme"), server.as_("globex")
        found = len(acme.call(LIST, page_size=1000).orchestrations)
        expect(found in (0, count), f"{found} of {count} are left after a kill")
        expect(found == 0 or told != "OK", "a wipe that was answered is undone")
        equal(globex.call(GET, instance_id="open").custom_status, "5", "the other's counter")
        equal(ids(globex.call(LIST).orchestrations), ["open"], "the other's orchestrations")


# ---- Time -------------------------------------------------------------------

def share_of_slower(caller, method, one, other, pairs):
    """Of pairs of calls in a random order, how many took longer for an ID of `one`.

    If the two differ in nothing, each is as likely to be the slower one, whatever else the
    machine does: of 400 pairs the share lies between 0.35 and 0.65 but once in 10^8 times.
    """
    def time_of(instance_id):
        begun = time.perf_counter_ns()
        caller.code(method, instance_id=instance_id)
        return time.perf_counter_ns() - begun

    slower = 0
    for number in range(pairs):
        turn = [one[number % len(one)], other[number % len(other)]]
        if swapped := random.random() < 0.5:
            turn.reverse()
        first, second = time_of(turn[0]), time_of(turn[1])
        slower += second > first if swapped else first > second
    return slower / pairs


@check("A45.9 what another tenant has takes as long to be not found as what nobody has")
def _():
    with temporary_folder() as data:
        with Guarded("--store=sqlite", f"--data={data}", **BOTH) as server:
            acme, globex = server.as_("acme"), server.as_("globex")
            large = '"' + 300_000 * "x" + '"'
            taken = [f"run-{number}" for number in range(20)]
            free = [f"not-{number}" for number in range(20)]
            for instance_id in taken:
                acme.call(ECHO, room(instance_id), text="x")
                acme.call(START, name="Ping", instance_id=instance_id, input=large)
                until_completed(acme, instance_id)
                acme.call(CALL, instance_id=f"@counter@{instance_id}", operation="add",
                          input="1")
            globex.call(START, name="Ping", instance_id="own", input=large)
            until_completed(globex, "own")
            for method, prefix in ((GET, ""), ("leasehold.v1.Instances/Get", ""),
                                   ("leasehold.v1.Entities/Get", "@counter@")):
                one, other = ([prefix + x for x in names] for names in (taken, free))
                # Also, from here on nothing is read for the first time.
                equal({globex.code(method, instance_id=x) for x in (*one, *other)},
                      {"NOT_FOUND"}, f"codes of {method}")
                share = share_of_slower(globex, method, one, other, 400)
                expect(0.35 < share < 0.65,
                       f"{method}: in {share} of the pairs what acme has took longer")
            # What does differ would show.
            share = share_of_slower(globex, GET, ["own"], free, 100)
            expect(share > 0.75, f"what is there took longer in {share} of the pairs only")
