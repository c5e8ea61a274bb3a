"""A54: leasehold.v1.Admin, `leasehold workers` and `leasehold why`: who is connected,
and why nothing happens.

With each cause by itself, and times by the microsecond:
tests/doors/explained_causes_test.cc.
"""

import json

from entities import TALLY, call_entity, lock
from exchange import disown
from harness import (Server, check, contains, equal, expect, leasehold, temporary_folder,
                     wait_until)
from orchestrations import on_both_stores
from policies import Guarded
from proxies import HERE, Proxy, free_address, work_from
from sidecar import (Sidecar, complete, create_child, create_timer, fail, now,
                     schedule_task)

WORKERS = "leasehold.v1.Admin/Workers"


def workers(server, *flags):
    """What `leasehold workers` says, without the built-in one."""
    shown = leasehold("workers", f"--address={server.address}", "--output=json", *flags)
    equal(shown.code, 0, f"exit code of {shown}")
    return [worker for worker in map(json.loads, shown.out.splitlines())
            if not worker["built_in"]]


@check("A54.1 `leasehold workers` shows each worker: address, SDK, names, slots in use, since "
       "when, last seen")
def _():
    with Server("--store=memory") as server:
        equal(workers(server), [], "workers")
        sidecar = Sidecar(server)
        only = {"orchestrations": [{"name": "Greet", "versions": ["1", "2"]}, {"name": "Bye"}],
                "activities": []}
        with sidecar.worker(turns=3, filters=only) as one, sidecar.worker() as two:
            wait_until(lambda: len(workers(server)) == 2, "two workers")
            named = next(w for w in workers(server) if not w["work"]["orchestrator"]["all"])
            contains(named["address"], "ipv4:127.0.0.1:")
            contains(named["user_agent"], "grpc-python/")
            equal(named["work"]["orchestrator"],
                  {"all": False, "names": ["Greet@1|2", "Bye"], "name_count": 2,
                   "slots_used": 0, "slots": 3}, "orchestrators")
            equal(named["work"]["activity"]["name_count"], 0, "activities")
            equal(named["last_seen_time"], named["connect_time"], "last seen")
            other = next(w for w in workers(server) if w["work"]["orchestrator"]["all"])
            equal((other["work"]["entity"]["slots"], other["silent"]), (100, False), "other")

            sidecar.start("Bye", id="a-1")
            turn = one.turn()
            named = next(w for w in workers(server) if w["worker_id"] == named["worker_id"])
            equal(named["work"]["orchestrator"]["slots_used"], 1, "slots in use")
            turn.complete(complete(1))
            named = next(w for w in workers(server) if w["worker_id"] == named["worker_id"])
            equal(named["work"]["orchestrator"]["slots_used"], 0, "slots in use")
            expect(named["last_seen_time"] > named["connect_time"], f"not seen: {named}")

            lines = leasehold("workers", f"--address={server.address}").out.splitlines()
            equal(len(lines), 4, f"lines: {lines}")
            contains(lines[0], "WORKER", "SLOTS IN USE")
            contains(lines[1], "built-in", "EchoSequence")
            # They have connected at the same time, in any order.
            by_slots = sorted(lines[2:], key=lambda line: "orchestrator 0/3" not in line)
            contains(by_slots[0], "grpc-python/", "orchestrator 0/3", "Greet@1|2, Bye")
            contains(by_slots[1], "orchestrator 0/100, activity 0/100, entity 0/100",
                     "answers", "all")
        wait_until(lambda: workers(server) == [], "the workers to go")


@check("A54.2 a worker says what its SDK is in x-user-agent; what is not printable is not shown")
def _():
    with Guarded(work="acme: worker", see="acme: viewer") as server:
        worker = server.as_("work").begin("TaskHubSidecarService/GetWorkItems", [
            ("x-user-agent", "durabletask-python/1.2.0" + "x" * 1000)])
        next(worker)
        see = server.as_("see")
        [told] = [w for w in see.call(WORKERS).workers if not w.built_in]
        contains(told.sdk, "durabletask-python/1.2.0x")
        equal(len(told.sdk), 256, "bytes")
        equal(told.identity, "work", "identity")
        worker.cancel()


@check("A54.3 a caller sees the workers of its tenant, page by page, and no others")
def _():
    with Guarded("--builtin=off", work="acme: worker", see="acme: viewer",
                 other="globex: viewer, worker") as server:
        streams = [server.as_("work").begin("TaskHubSidecarService/GetWorkItems")
                   for _ in range(3)]
        for stream in streams:
            next(stream)
        see, other = server.as_("see"), server.as_("other")
        equal(len(other.call(WORKERS).workers), 0, "workers of the other tenant")
        seen, token = [], ""
        while True:
            page = see.call(WORKERS, page_size=2, page_token=token)
            seen += [worker.worker_id for worker in page.workers]
            token = page.next_page_token
            if not token:
                break
            kept = token
        equal(len(seen), 3, f"workers: {seen}")
        equal(seen, sorted(seen), "order")
        for caller, wrong in ((other, kept), (see, "tea")):
            code, message, _ = caller.outcome(WORKERS, page_token=wrong)
            equal(code, "INVALID_ARGUMENT", "code")
            contains(message, "page_token")
        equal(see.code(WORKERS, page_size=-1), "INVALID_ARGUMENT", "code")
        for stream in streams:
            stream.cancel()


@check("A54.4 a worker behind a trusted proxy has its own address")
def _():
    with Server("--store=memory", HERE, "--builtin=off") as server, \
            Proxy("haproxy", server, free_address(), extra="send-proxy-v2") as proxy:
        worker = work_from(proxy.address, source="127.0.0.2")
        port = worker.socket.getsockname()[1]
        wait_until(lambda: workers(proxy), "the worker")
        equal([told["address"] for told in workers(proxy)], [f"ipv4:127.0.0.2:{port}"],
              "addresses")
        worker.close()


# ---- Why

EXPLAIN = "leasehold.v1.Admin/Explain"


def why(server, id):
    """What `leasehold why ID` says."""
    shown = leasehold("why", id, f"--address={server.address}", "--output=json")
    equal(shown.code, 0, f"exit code of {shown}")
    return json.loads(shown.out)


def cause(server, id, kind, *parts, among=False):
    """The cause that counts most, once it is of that kind; the sentence has all parts."""
    def found():
        told = why(server, id)
        kinds = [one["kind"] for one in told["causes"]]
        return told if kind in kinds[:None if among else 1] else None
    wait_until(found, f"{kind} for {id}: {why(server, id)['sentence']}")
    told = found()
    one = next(one for one in told["causes"] if one["kind"] == kind)
    contains(one["text"] if among else told["sentence"], *parts)
    return one


@on_both_stores("A54.5 why it is not started: no worker; none takes it; all slots in use; none "
                "knows it; scheduled", "--builtin=off")
def _(server, sidecar):
    sidecar.start("NoSuch", id="a-1")
    cause(server, "a-1", "NO_WORKER", 'orchestration "a-1" (NoSuch) is Pending', '"NoSuch"')
    only = {"orchestrations": [{"name": "Other"}], "activities": []}
    with sidecar.worker(turns=1, filters=only) as one, sidecar.worker(turns=1, filters=only):
        found = cause(server, "a-1", "NOT_TAKEN", 'no connected worker takes the orchestrator '
                      '"NoSuch"')
        wait_until(lambda: cause(server, "a-1", "NOT_TAKEN")["outlook"]["workers"] == 2, "both")
        equal(found["outlook"]["takers"], 0, "takers")
        for number in range(3):
            sidecar.start("Other", id=f"b-{number}")
        first = one.turn()
        [waits] = [f"b-{n}" for n in range(3)
                   if why(server, f"b-{n}")["causes"][0]["kind"] == "NO_SLOT"]
        found = cause(server, waits, "NO_SLOT", "all slots of 2 workers that take it are in use "
                                                "(2 of 2)")
        equal((found["outlook"]["slots_used"], found["outlook"]["slots"]), (2, 2), "slots")
        told = cause(server, first.id, "WITH_WORKER", "its turn has been with worker ",
                     "ipv4:127.0.0.1:")
        contains(told["holder"]["address"], "ipv4:127.0.0.1:")
        sidecar.start("Other", id="later", start_at=now(3600))
        cause(server, "later", "SCHEDULED", "its start is scheduled for ")
    with sidecar.worker() as stranger:
        for item in stranger.take(4):
            disown(item)
        found = cause(server, "a-1", "NOT_REGISTERED", "every connected worker that could take")
        equal(found["outlook"]["unknown"], 1, "workers that do not know it")


@on_both_stores("A54.6 why it goes on no further: an activity and its attempt, timers, an event, "
                "a child, a suspension; how it ended", "--builtin=off")
def _(server, sidecar):
    only = {"orchestrations": [{"name": "Main"}], "activities": [{"name": "Charge"}]}
    with sidecar.worker(filters=only) as worker:
        sidecar.start("Main", id="a-1")
        worker.turn().complete(schedule_task(1, "Charge", '"5"'))
        found = cause(server, "a-1", "WITH_WORKER", 'the activity "Charge" has been with worker ')
        equal(found["attempt"], 1, "attempt")
        worker.activity().fail("Declined", "no money\n  at Bank.cs:7")
        worker.turn().complete(create_timer(2, now(2)))
        found = cause(server, "a-1", "RETRY", 'it tries "Charge" again at ', "attempt 2",
                      "Declined: no money")
        equal((found["attempt"], found["failure"]), (2, "Declined: no money"), "attempt")
        worker.turn().complete(schedule_task(3, "Charge", '"5"'))
        equal(cause(server, "a-1", "WITH_WORKER", "attempt 2")["attempt"], 2, "attempt")
        worker.activity().complete('"paid"')
        worker.turn().complete(schedule_task(4, "NoSuch"), create_child(5, "Child", child="c-1"),
                               create_timer(6, now(3600)))
        told = cause(server, "a-1", "NOT_TAKEN", 'no connected worker takes the activity "NoSuch"')
        equal(told["work"], "activity", "kind of work")
        child = cause(server, "a-1", "CHILD", '"c-1" (Child), which is Pending', among=True)
        equal((child["instance_id"], child["name"], child["status"]),
              ("c-1", "Child", "Pending"), "child")
        cause(server, "a-1", "TIMER", "a timer that fires at ", among=True)
        cause(server, "c-1", "NOT_TAKEN")
        table = leasehold("why", "a-1", f"--address={server.address}").out
        contains(table, "; and 1 more\n", "CAUSE ", "NOT_TAKEN ", "CHILD ", "TIMER ")

        sidecar.suspend("a-1", "a look at it")
        worker.turn().complete()
        found = cause(server, "a-1", "SUSPENDED", "is Suspended: it has been suspended since ",
                      '"a look at it"')
        equal(found["reason"], "a look at it", "reason")

        sidecar.start("Main", id="e-1")
        worker.turn().complete()
        cause(server, "e-1", "EVENT", "an event from outside, which its worker does not name")
        sidecar.raise_event("e-1", "go")
        worker.turn().complete(fail(1, "Broken", "it broke"))
        found = cause(server, "e-1", "ENDED", "is Failed: it ended at ", "Broken: it broke")
        equal(found["status"], "Failed", "status")


@check("A54.7 an orchestrator of the C++ worker waits for an event by its name, also after a "
       "kill")
def _():
    with temporary_folder() as folder:
        for attempt in (1, 2):
            with Server(f"--data={folder}") as server:
                if attempt == 1:
                    leasehold("orchestration", "start", "Counter", "--id=c-1",
                              f"--address={server.address}")
                found = cause(server, "c-1", "EVENT", 'it waits for the event "operation"')
                equal(found["names"], ["operation"], "names")
                server.process.kill()
                wait_until(server.ended, "the end")


@on_both_stores("A54.8 why an entity does not answer: its lock, who has it, its queue",
                "--builtin=off")
def _(server, sidecar):
    with sidecar.worker() as worker:
        sidecar.start("p", id="p-1")
        worker.turn().complete(lock(1, "c-1", TALLY))
        held = worker.turn()
        sidecar.start("p", id="p-2")
        worker.turn().complete(lock(1, "c-2", TALLY))
        found = cause(server, "p-2", "ENTITY_LOCK", f'the lock of the entity "{TALLY}"',
                      'orchestration "p-1" has had since ')
        equal((found["instance_id"], found["orchestration_id"]), (TALLY, "p-1"), "lock")
        found = cause(server, TALLY, "LOCKED", f'entity "{TALLY}": orchestration "p-1" has locked '
                                               "it since ", '1 message waits for it: a lock request of "p-2"')
        equal(found["orchestration_id"], "p-1", "holder")
        equal(cause(server, TALLY, "MESSAGES", among=True)["count"], 1, "messages")
        sidecar.start("p", id="p-3")
        worker.turn().complete(call_entity(1, TALLY, "add"))
        cause(server, "p-3", "ENTITY_CALL", f'the answer of the entity "{TALLY}" to "add"',
              'orchestration "p-1" has locked since ')
        held.complete(complete(2))
        worker.turn().complete(complete(2))
        worker.batch()
        cause(server, TALLY, "WITH_WORKER", "a batch of its operations has been with worker ")


@check("A54.9 why a context is not idle: who holds it, from where, since when; else its lease")
def _():
    with Guarded(shop="acme: user", see="acme: viewer") as server:
        shop, see = server.as_("shop"), server.as_("see")
        room = [("instance-id", "room-1")]
        hold = shop.begin("leasehold.v1.Instances/Hold", room)
        next(hold)
        stream = shop.begin("leasehold.v1.Echo/EchoStream", room, _more=True, text="x")
        next(stream)
        join = shop.begin("leasehold.v1.Echo/Join", room)
        next(join)
        told = see.call(EXPLAIN, instance_id="room-1")
        contains(told.sentence, 'instance "room-1" is busy: a hold by "shop" from '
                 "ipv4:127.0.0.1:", " has kept it busy for ", "; and 1 more")
        equal([(one.pin, one.holder.method, one.holder.identity) for one in told.causes],
              [("hold", "leasehold.v1.Instances/Hold", "shop"),
               ("echo-stream", "leasehold.v1.Echo/EchoStream", "shop"),
               ("join", "leasehold.v1.Echo/Join", "shop")], "holders")
        ages = [one.age.ToNanoseconds() for one in told.causes]
        equal(ages, sorted(ages, reverse=True), "ages: the oldest comes first")
        expect(told.generation > 0, "it has a generation")
        for call in (hold, stream, join):
            call.cancel()
        wait_until(lambda: "is idle: its lease ends in "
                   in see.call(EXPLAIN, instance_id="room-1").sentence, "idle")


@check("A54.10 an ID of another tenant and one of nobody are answered alike; explaining creates "
       "and renews nothing")
def _():
    with Guarded("--idle-timeout=400ms", shop="acme: user", see="acme: viewer",
                 other="globex: viewer, user") as server:
        shop, see, other = (server.as_(name) for name in ("shop", "see", "other"))
        shop.call("leasehold.v1.Echo/Echo", [("instance-id", "room-1")], text="x")
        shop.call("leasehold.v1.Orchestration/Start", name="NoSuch", instance_id="a-1")
        for id in ("room-1", "a-1", "@c@a"):
            code, message, _ = other.outcome(EXPLAIN, instance_id=id)
            equal((code, message.replace(id, "ID")),
                  ("NOT_FOUND", 'there is nothing under the ID "ID": no instance, no '
                                "orchestration, no entity"), f"answer about {id}")
        equal(len(other.call("leasehold.v1.Instances/List").instances), 0, "instances")
        # Asked again and again, its lease ends all the same.
        wait_until(lambda: see.code(EXPLAIN, instance_id="room-1") == "NOT_FOUND", "its end")
        for wrong in ({}, {"instance_id": "x" * 2000}):
            equal(see.code(EXPLAIN, **wrong), "INVALID_ARGUMENT", f"code of {wrong}")
        equal(see.code(EXPLAIN, [("instance-id", "b")], instance_id="a"), "INVALID_ARGUMENT",
              "code of two IDs")


@check("A54.11 a start that the tenant's limit refused: the ID has nothing, and that is why")
def _():
    with Guarded(policy={"tenants": {"acme": {"open_orchestrations": 1}}},
                 shop="acme: user") as server:
        shop = server.as_("shop")
        shop.call("leasehold.v1.Orchestration/Start", name="NoSuch", instance_id="a-1")
        equal(shop.code("leasehold.v1.Orchestration/Start", name="NoSuch", instance_id="a-2"),
              "RESOURCE_EXHAUSTED", "code")
        wait_until(lambda: "1 are open, and 1 may be"
                   in shop.outcome(EXPLAIN, instance_id="a-2")[1]
                   or "1 are open, and 1 may be"
                   in shop.call(EXPLAIN, instance_id="a-2").sentence, "the limit")


@check("A54.12 `leasehold orchestration status` has the sentence")
def _():
    with Server("--store=memory") as server:
        address = f"--address={server.address}"
        leasehold("orchestration", "start", "NoSuch", "--id=a-1", address)
        shown = leasehold("orchestration", "status", "a-1", address, "--output=json")
        contains(json.loads(shown.out)["why"], 'no worker is connected that could take')
        contains(leasehold("orchestration", "status", "a-1", address).out,
                 'Why            orchestration "a-1" (NoSuch) is Pending: no worker')
        leasehold("orchestration", "terminate", "a-1", "--force", address)
        shown = leasehold("orchestration", "status", "a-1", address, "--output=json")
        expect("why" not in json.loads(shown.out), f"it has ended: {shown}")
        gone = leasehold("why", "nobody", address)
        equal(gone.code, 3, f"exit code of {gone}")
        contains(gone.err, 'NOT_FOUND: there is nothing under the ID "nobody"')


@check("A54.13 other limits of the tenant: of stored bytes nothing more can be started; for its "
       "context an orchestration waits")
def _():
    with Guarded("--builtin=off", "--idle-timeout=200ms",
                 policy={"tenants": {"acme": {"stored_bytes": 1}, "globex": {"contexts": 1}}},
                 shop="acme: user", hall="globex: user, worker") as server:
        shop, hall = server.as_("shop"), server.as_("hall")
        start = "leasehold.v1.Orchestration/Start"
        shop.call(start, name="NoSuch", instance_id="a-1")
        equal(shop.code(start, name="NoSuch", instance_id="a-2"), "RESOURCE_EXHAUSTED", "code")

        def told():
            code, message, found = shop.outcome(EXPLAIN, instance_id="a-2")
            return message if code == "NOT_FOUND" else found.sentence
        contains(told(), "starts, events and calls are refused: this tenant has ",
                 " bytes stored, and may have 1")

        hall.call(start, name="NoSuch", instance_id="a-1")
        wait_until(lambda: not hall.call("leasehold.v1.Instances/List").instances,
                   "the end of the context of the start")
        hold = hall.begin("leasehold.v1.Instances/Hold", [("instance-id", "room-1")])
        next(hold)
        worker = hall.begin("TaskHubSidecarService/GetWorkItems")
        next(worker)
        wait_until(lambda: 'because its instance context could not open: the limit contexts of '
                   'this tenant is reached, which is 1'
                   in hall.call(EXPLAIN, instance_id="a-1").sentence, "the limit of contexts")
        hold.cancel()
        wait_until(lambda: "its turn has been with worker "
                   in hall.call(EXPLAIN, instance_id="a-1").sentence, "its turn to go out")
        worker.cancel()
