"""A61: the strip of an ID over HTTP: its contexts, the runs of its orchestration, and who
asked for one. Nothing overlaps; nothing of another tenant is told."""

from harness import check, equal, expect, temporary_folder, wait_until
from http_access import DF, Web, http, send, url_of
from policies import Guarded
from raw_http import RawHttp, get

START = "leasehold.v1.Orchestration/Start"
WAIT = "leasehold.v1.Orchestration/WaitForCompletion"
ATTACH = 2
TERMINATE = REPLACE = 3
WHO = dict(ann="acme: user, operator", bob="acme: user", eye="acme: viewer",
           hand="acme: worker", other="globex: operator")
# Long leases: no context goes by itself, however slow the machine is.
FLAGS = http("--idle-timeout=1h")


def bearer(server, name):
    return f"Authorization: Bearer {server.tokens[name]}"


def ask(server, id, name="eye", of="orchestrations"):
    return Web(server).ask(get(f"/api/v1/{of}/{id}/strip",
                               *([bearer(server, name)] if name else [])))


def strip(server, id, **more):
    answer = ask(server, id, **more)
    equal(answer.status, 200, f"status of {answer}")
    return answer.json


def none_overlap(spans):
    for one, next_one in zip(spans, spans[1:]):
        expect(one["end_time"] <= next_one["create_time"], f"{one} and {next_one} overlap")
    for one in spans[:-1]:
        expect(one["create_time"] <= one["end_time"], f"{one} ends before it begins")


@check("A61.1 a strip says who started an orchestration, who was told \"attached\", who was "
       "refused; a viewer of the tenant sees it, and nobody else")
def _():
    with Guarded(*FLAGS, **WHO) as server:
        ann, bob = server.as_("ann"), server.as_("bob")
        receipt = ann.call(START, name="NoSuch", instance_id="one")
        attached = bob.call(START, name="NoSuch", instance_id="one", if_active=ATTACH)
        equal((attached.created, attached.execution_id), (False, receipt.execution_id),
              "bob's receipt")
        answer = Web(server).ask(send(f"{DF}/orchestrators/NoSuch/one", "",
                                      bearer(server, "bob")))
        equal(answer.status, 409, f"status of {answer}")
        equal(bob.code(START, name="NoSuch", instance_id="one"), "ALREADY_EXISTS", "again")

        seen = strip(server, "one")
        equal([(s["result"], s["identity"], s.get("code"), s.get("execution_id"))
               for s in seen["starts"]],
              [("STARTED", "ann", None, receipt.execution_id),
               ("ATTACHED", "bob", None, receipt.execution_id),
               ("REFUSED", "bob", "ALREADY_EXISTS", None),
               ("REFUSED", "bob", "ALREADY_EXISTS", None)], "starts")
        for start in seen["starts"]:
            expect(start["peer"].startswith("ipv4:127.0.0.1:"), f"peer of {start}")
        equal([(r["execution_id"], r["status"], "end_time" in r) for r in seen["runs"]],
              [(receipt.execution_id, "PENDING", False)], "runs")
        equal(len(seen["contexts"]), 1, f"contexts of {seen}")
        equal(seen["since_time"], seen["server_start_time"], "since when all is known")
        equal(strip(server, "one", of="contexts")["starts"], seen["starts"], "of the context")

        for name, status in (("other", 404), ("hand", 403), (None, 401)):
            for of in ("orchestrations", "contexts"):
                equal(ask(server, "one", name, of).status, status, f"of {of} for {name}")
        equal(ask(server, "two").status, 404, "of an ID that nobody has used")


@check("A61.2 contexts of an ID follow each other, each with why it closed, and none overlaps")
def _():
    with Guarded(*FLAGS, **WHO) as server:
        ann = server.as_("ann")
        generations = []
        for _ in range(3):
            made = ann.call("leasehold.v1.Instances/Create", instance_id="room")
            generations.append(str(made.instance.generation))
            ann.call("leasehold.v1.Instances/Release", instance_id="room")
        ann.call("leasehold.v1.Instances/Create", instance_id="room")
        seen = strip(server, "room")
        equal([one["generation"] for one in seen["contexts"][:3]], generations, "generations")
        equal([one.get("reason") for one in seen["contexts"]], ["released"] * 3 + [None],
              "reasons")
        none_overlap(seen["contexts"])
        equal((seen["runs"], seen["starts"]), ([], []), "runs and starts")


@check("A61.3 runs that replace each other follow each other; after a restart those that the "
       "store has are still told, and from when on all is known")
def _():
    with temporary_folder() as folder, \
            Guarded(*FLAGS, f"--data={folder}", **WHO) as server:
        ann = server.as_("ann")
        for name, active in (("Ping", ATTACH), ("NoSuch", ATTACH), ("NoSuch", TERMINATE)):
            ann.call(START, name=name, instance_id="one", input='"x"', if_active=active,
                     if_finished=REPLACE)
            if name == "Ping":
                ann.call(WAIT, instance_id="one")
        before = strip(server, "one")
        equal([r["status"] for r in before["runs"]], ["COMPLETED", "TERMINATED", "PENDING"],
              "statuses")
        none_overlap(before["runs"])
        equal([s["result"] for s in before["starts"]], ["STARTED"] * 3, "starts")

        server.restart()
        after = strip(server, "one")
        equal([(r["execution_id"], r["status"]) for r in after["runs"]],
              [(r["execution_id"], r["status"]) for r in before["runs"]], "runs")
        none_overlap(after["runs"])
        equal(after["starts"], [], "starts are not stored")
        expect(after["server_start_time"] > after["runs"][-1]["create_time"],
               f"it says from when on all is known: {after}")


@check("A61.4 a purge and a wipe leave nothing of it")
def _():
    with Guarded(*FLAGS, "--allow-hub-wipe", **WHO) as server:
        ann = server.as_("ann")
        for id in ("one", "two"):
            ann.call(START, name="Ping", instance_id=id, input='"x"')
            ann.call(WAIT, instance_id=id)
        ann.call("leasehold.v1.Orchestration/Purge", instance_id="one")
        seen = strip(server, "one")  # Its context is still open.
        equal((seen["runs"], seen["starts"], len(seen["contexts"])), ([], [], 1), "the rest")
        ann.call("leasehold.v1.Instances/Release", instance_id="one")
        wait_until(lambda: ask(server, "one").status == 404, "nothing to be known of one")
        equal(len(strip(server, "two")["runs"]), 1, "runs of the other")
        ann.call("TaskHubSidecarService/DeleteTaskHub")
        equal(strip(server, "two")["runs"], [], "runs after the wipe")
        equal(strip(server, "two")["starts"], [], "starts after the wipe")


@check("A61.5 who follows the strip of an ID hears of each change, and of no other ID")
def _():
    with Guarded(*FLAGS, **WHO) as server:
        ann = server.as_("ann")
        with RawHttp(url_of(server).split("://")[1]) as stream:
            stream.send(get("/api/v1/events?topics=strip:one", bearer(server, "eye")))
            seen = b""

            def until(part):
                nonlocal seen
                while part not in seen:
                    stream._more()
                    seen, stream.bytes = seen + stream.bytes, b""
                told = seen[:seen.index(part) + len(part)]
                seen = seen[len(told):]
                return told

            until(b'"instance_id":"one"')  # As it is now.
            ann.call(START, name="NoSuch", instance_id="another")
            ann.call(START, name="NoSuch", instance_id="one")
            expect(b"another" not in until(b'"instance_id":"one"'), "of another ID")
            equal([s["result"] for s in strip(server, "one")["starts"]], ["STARTED"],
                  "starts")
