"""A63: lists of orchestrations with the newest first, and counts, over gRPC and over HTTP.

The order in which they were started: A24.18. The command line: A23.27.
"""

import urllib.parse

from durable_functions_http import Api
from grpc_calls import call, fails
from harness import equal, expect, wait_until
from orchestrations import on_both_stores
from sidecar import complete

SERVICE = "leasehold.v1.Orchestration/"
LIST, COUNT = SERVICE + "List", SERVICE + "Count"
NEWEST = {"order": "NEWEST_FIRST"}


def start(server, id, **fields):
    call(server, SERVICE + "Start", {"instance_id": id, "name": "Main", **fields})


def some(server, sidecar):
    """done-0 to done-4, which have ended, and then run-0, which no worker takes."""
    for i in range(5):
        start(server, f"done-{i}", tags={"parity": str(i % 2)})
        with sidecar.worker() as worker:
            worker.turn().complete(complete(1, '"out"'))
        wait_until(lambda: sidecar.status(f"done-{i}") == "COMPLETED", f"done-{i} ends")
    start(server, "run-0", name="Other")


@on_both_stores("A63.1 List: the newest first, page by page, while others come and go; a token "
                "is good for its own order, and no other")
def _(server, sidecar):
    some(server, sidecar)

    def page(**fields):
        message = call(server, LIST, fields).message
        return ([s["instance_id"] for s in message.get("orchestrations", [])],
                message.get("next_page_token", ""))
    equal(page(**NEWEST)[0], ["run-0", "done-4", "done-3", "done-2", "done-1", "done-0"], "all")
    first, token = page(**NEWEST, page_size=2)
    equal(first, ["run-0", "done-4"], "the first page")
    # The last one of that page goes, and one comes.
    call(server, SERVICE + "Purge", {"instance_id": "done-4"})
    start(server, "run-1", name="Other")
    second, last = page(**NEWEST, page_size=2, page_token=token)
    equal(second, ["done-3", "done-2"], "the second page")
    equal(page(**NEWEST, page_token=last), (["done-1", "done-0"], ""), "the last page")
    for wrong in ({"page_token": token}, {**NEWEST, "page_token": page(page_size=1)[1]},
                  {**NEWEST, "page_token": token, "filter": {"name": "Other"}}):
        fails(server, "INVALID_ARGUMENT", LIST, wrong,
              names=["page_token", "order", wrong["page_token"]])
    equal(page(**NEWEST, filter={"name": "Other"})[0], ["run-1", "run-0"], "of a name")
    equal(page(**NEWEST, filter={"tags": ["parity=1"]})[0], ["done-3", "done-1"], "of a tag")
    equal(page(filter={"tags": ["parity"]})[0], ["done-0", "done-1", "done-2", "done-3"],
          "in the other order, of a key")
    fails(server, "INVALID_ARGUMENT", LIST, {"order": 7}, names=["order", "7"])
    fails(server, "INVALID_ARGUMENT", LIST, {"filter": {"tags": [""]}}, names=["tags"])


@on_both_stores("A63.2 Count: how many match, by status")
def _(server, sidecar):
    def counts(**conditions):
        message = call(server, COUNT, {"filter": conditions}).message
        expect(message["complete"], "not all are counted")
        return {c["status"]: int(c["count"]) for c in message.get("counts", [])}
    equal(counts(), {}, "none")
    some(server, sidecar)
    equal(counts(), {"COMPLETED": 5, "PENDING": 1}, "all")
    equal(counts(tags=["parity=1"], name="Main"), {"COMPLETED": 2}, "of a tag and a name")
    equal(counts(statuses=["PENDING", "FAILED"]), {"PENDING": 1}, "of statuses")
    equal(counts(id_prefix="none"), {}, "of a prefix that none has")
    fails(server, "INVALID_ARGUMENT", COUNT, {"filter": {"statuses": [77]}}, names=["77"])


@on_both_stores("A63.3 the dashboard's API lists the newest first, with all its filters, and "
                "counts", "--http-listen=127.0.0.1:0")
def _(server, sidecar):
    some(server, sidecar)
    api = Api(server)

    def get(path, want=200, **query):
        origin = api.origin if api.origin.startswith("http") else f"http://{api.origin}"
        answer = api.get(f"{origin}/api/v1/{path}?{urllib.parse.urlencode(query)}")
        equal(answer.status, want, f"status of {answer}")
        return answer.json

    def page(**query):
        found = get("orchestrations", **query)
        return [o["instance_id"] for o in found["orchestrations"]], found.get("next_cursor")
    equal(page(limit=2)[0], ["done-0", "done-1"], "without an order")
    first, cursor = page(order="newest", limit=2)
    equal(first, ["run-0", "done-4"], "the first page")
    call(server, SERVICE + "Purge", {"instance_id": "done-4"})
    start(server, "run-1", name="Other")
    equal(page(order="newest", cursor=cursor),
          (["done-3", "done-2", "done-1", "done-0"], None), "the rest")
    # One that matches is found, whatever stands before it.
    equal(page(order="newest", limit=1, name="Main", tag="parity=0", status="COMPLETED")[0],
          ["done-2"], "of a name, a tag and a status")
    for query in ({"order": "oldest", "cursor": cursor}, {"order": "any"},
                  {"order": "newest", "cursor": cursor, "tag": "parity"}):
        get("orchestrations", 400, **query)
    counts = get("orchestrations:count", name="Main")
    equal(counts, {"counts": [{"status": "COMPLETED", "count": "4"}], "complete": True},
          "counts")
