"""A49: the Durable Functions HTTP API, as curl and its SDKs' clients meet it.

Raw requests: what is asked for is what stands here. The fifteen surprises of that API are
1 A49.3, 2 A49.9, 3 A49.8, 4 A49.11, 5 and 6 A49.4, 7 A49.12, 8 and 9 A49.6, 10 A49.5,
11 A49.10, 12 A49.7, 13 A49.13.
"""

import http.client
import json
import re
import threading
import urllib.parse

import sidecar as protocol
from harness import contains, equal, expect, wait_until
from orchestrations import NOBODY, on_both_stores
from sidecar import complete, create_child, fail, schedule_task

PREFIX = "/runtime/webhooks/durabletask"
NAMES = ["id", "statusQueryGetUri", "sendEventPostUri", "terminatePostUri", "rewindPostUri",
         "purgeHistoryDeleteUri", "restartPostUri", "suspendPostUri", "resumePostUri"]
SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
TICKS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z")


class Answer:
    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.body = response.read().decode()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {dict(self.headers)} {self.body[:500]}"


class Api:
    """The API of a server. Paths are below its prefix; URLs are as they came."""

    def __init__(self, server):
        self.origin = server.http_address

    def send(self, method, path, body=None, **headers):
        if path.startswith("http"):
            url = urllib.parse.urlsplit(path)
            expect(self.origin == f"{url.scheme}://{url.netloc}", f"origin of {path}")
            path = f"{url.path}?{url.query}"
        elif path.startswith("/"):
            path = PREFIX + path
        connection = http.client.HTTPConnection(self.origin.removeprefix("http://"),
                                                timeout=60)
        try:
            headers = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.send("GET", path, **headers)

    def post(self, path, body=None, **headers):
        return self.send("POST", path, body, **headers)

    def delete(self, path, **headers):
        return self.send("DELETE", path, **headers)

    def start(self, name, id="", input=None, query=""):
        answer = self.post(f"/orchestrators/{name}/{id}{query}",
                           None if input is None else json.dumps(input))
        equal(answer.status, 202, f"status of {answer}")
        return answer.json

    def event(self, id, name, value):
        return self.post(f"/instances/{id}/raiseEvent/{name}", json.dumps(value),
                         content_type="application/json")

    def status(self, id, query=""):
        return self.get(f"/instances/{id}{query}").json

    def await_status(self, id, wanted):
        wait_until(lambda: self.status(id)["runtimeStatus"] == wanted, f"{id} is {wanted}")
        return self.status(id)


def api_check(numbered_sentence, *flags):
    """A check whose body gets the API of a server with either store, and a raw worker's
    side of it."""
    def register(body):
        return on_both_stores(numbered_sentence, "--http-listen=127.0.0.1:0", *flags)(
            lambda server, sidecar: body(Api(server), sidecar))
    return register


def refused(answer, status, *parts, **members):
    """A refusal as ours are: with what was wrong."""
    equal(answer.status, status, f"status of {answer}")
    contains(answer.json["Message"], *parts)
    expect(answer.json["code"].isupper(), f"code of {answer}")
    for name, value in members.items():
        equal(answer.json.get(name), value, f"{name} of {answer}")


def fail_one(sidecar, id, message="no more"):
    with sidecar.worker(filters={"orchestrations": [{"name": "Failing"}]}) as worker:
        worker.turn().complete(fail(1, "ValueError", message))
    sidecar.wait_for_completion(id)


# ---- The start and its URLs -------------------------------------------------

@api_check("A49.1 the model's trigger: 202, Location and nine URLs; the second caller gets "
           "the same instance")
def _(api, sidecar):
    first = api.post("/orchestrators/Counter/nightly?ifActive=ATTACH", "0")
    equal(first.status, 202, f"status of {first}")
    equal(list(first.json), NAMES, "names")
    equal(first.headers["Retry-After"], "10", "Retry-After")
    equal(first.headers["Location"], first.json["statusQueryGetUri"], "Location")
    contains(first.json["sendEventPostUri"], "/raiseEvent/{eventName}?")
    contains(first.json["terminatePostUri"], "/terminate?reason={text}")
    for name in NAMES[1:]:
        contains(first.json[name], api.origin + PREFIX + "/instances/nightly", "?")
    second = api.post("/orchestrators/Counter/nightly?ifActive=ATTACH", "0")
    equal((second.status, second.json), (202, first.json), "the second caller's answer")
    equal([answer.headers["x-leasehold-created"] for answer in (first, second)],
          ["true", "false"], "x-leasehold-created")
    generated = [api.start(NOBODY)["id"] for _ in range(2)]
    expect(generated[0] and generated[0] != generated[1], f"{generated}")


@api_check("A49.2 each URL of a start does what its name says")
def _(api, sidecar):
    urls = api.start("Counter", "c", 5)
    sent = api.post(urls["sendEventPostUri"].replace("{eventName}", "operation"),
                    '{"add": 3}', content_type="application/json; charset=utf-8")
    equal((sent.status, sent.body), (202, ""), "event")
    wait_until(lambda: api.get(urls["statusQueryGetUri"]).json["customStatus"] == 8, "8")
    for uri, state in (("suspendPostUri", "Suspended"), ("resumePostUri", "Running")):
        answer = api.post(urls[uri].replace("{text}", "why"))
        equal((answer.status, answer.body), (202, ""), uri)
        api.await_status("c", state)
    equal(api.post(urls["terminatePostUri"].replace("{text}", "enough")).status, 202, "end")
    status = api.await_status("c", "Terminated")
    equal(status["output"], "enough", "output")
    again = api.post(urls["restartPostUri"])
    equal(again.status, 202, f"status of {again}")
    expect(again.json["id"] != "c", "a new ID")
    api.await_status(again.json["id"], "Running")
    equal(api.delete(urls["purgeHistoryDeleteUri"]).json, {"instancesDeleted": 1}, "purge")
    refused(api.get(urls["statusQueryGetUri"]), 404, '"c"', code="NOT_FOUND",
            instanceId="c")

    urls = api.start("Failing", "f")
    fail_one(sidecar, "f")
    equal(api.post(urls["rewindPostUri"].replace("{text}", "again")).status, 202, "rewind")
    expect(api.status("f")["runtimeStatus"] != "Failed", "it goes on")


@api_check("A49.3 an active ID is 409 and says its status and the choices; one that has "
           "ended is replaced, unless ifFinished says otherwise")
def _(api, sidecar):
    api.start(NOBODY, "a")
    refused(api.post(f"/orchestrators/{NOBODY}/a"), 409, "ifActive", code="ALREADY_EXISTS",
            instanceId="a", runtimeStatus="Pending")
    api.post("/instances/a/terminate")
    api.await_status("a", "Terminated")
    refused(api.post(f"/orchestrators/{NOBODY}/a?ifFinished=fail"), 409, "ifFinished",
            runtimeStatus="Terminated")
    kept = api.post(f"/orchestrators/{NOBODY}/a?ifFinished=ATTACH")
    equal((kept.status, kept.headers["x-leasehold-created"]), (202, "false"), "attached")
    equal(api.status("a")["runtimeStatus"], "Terminated", "status")
    new = api.post(f"/orchestrators/{NOBODY}/a")
    equal((new.status, new.headers["x-leasehold-created"]), (202, "true"), "replaced")
    equal(api.status("a")["runtimeStatus"], "Pending", "status")
    api.post(f"/orchestrators/Ping/a?ifActive=terminate", "7")
    equal(api.await_status("a", "Completed")["output"], 7, "output of the new one")
    refused(api.post(f"/orchestrators/{NOBODY}/a?ifActive=perhaps"), 400, "ifActive",
            "perhaps")


# ---- What is told of one ----------------------------------------------------

@api_check("A49.4 a status: 202 with Location and Retry-After from the start on, then 200, also "
           "for what has failed, unless asked for 500; 404")
def _(api, sidecar):
    for number in range(50):
        api.start(NOBODY, f"n-{number}")
        answer = api.get(f"/instances/n-{number}?showInput=true")
        equal(answer.status, 202, f"status right after the start: {answer}")
    equal(answer.headers["Location"],
          f"{api.origin}{PREFIX}/instances/n-49?showInput=true", "Location")
    equal(answer.headers["Retry-After"], "5", "Retry-After")
    equal(list(answer.json), ["name", "instanceId", "runtimeStatus", "input", "customStatus",
                              "output", "createdTime", "lastUpdatedTime"], "members")
    for name in ("createdTime", "lastUpdatedTime"):
        expect(SECONDS.fullmatch(answer.json[name]), f"{name} of {answer}")
    equal((answer.json["input"], answer.json["output"]), (None, None), "payloads")

    api.start("Failing", "f")
    fail_one(sidecar, "f", "no more")
    answer = api.get("/instances/f")
    equal((answer.status, answer.json["runtimeStatus"], answer.json["output"]),
          (200, "Failed", "no more"), "of a failed one")
    expect("Location" not in answer.headers, f"{answer}")
    equal(api.get("/instances/f?returnInternalServerErrorOnFailure=True").status, 500,
          "status if asked")
    refused(api.get("/instances/missing"), 404, "missing", code="NOT_FOUND")
    refused(api.get("/instances/f?showInput=perhaps"), 400, "showInput", "perhaps")
    # Byte for byte, which a parser would not keep.
    odd = '{"b":12345678901234567890123, "a":1.0,"a":2e3}'
    api.post("/orchestrators/Ping/odd", odd)
    api.await_status("odd", "Completed")
    contains(api.get("/instances/odd").body, f'"input":{odd},')
    contains(api.get("/instances/odd?showInput=false").body, '"input":null,')


@api_check("A49.5 commands for one that has ended are 410, for an unknown one 404; a second "
           "suspend or resume changes nothing")
def _(api, sidecar):
    api.start("Ping", "done")
    api.await_status("done", "Completed")
    for command in ("terminate", "suspend", "resume", "raiseEvent/x"):
        refused(api.post(f"/instances/done/{command}"), 410, "Completed",
                code="FAILED_PRECONDITION", instanceId="done", runtimeStatus="Completed")
        refused(api.post(f"/instances/missing/{command}"), 404, "missing")
    refused(api.post("/instances/done/rewind"), 412, runtimeStatus="Completed")
    refused(api.post("/instances/missing/rewind"), 404, "missing")
    refused(api.post("/instances/missing/restart"), 400, "missing", code="NOT_FOUND")
    api.start("Counter", "c", 0)
    api.await_status("c", "Running")
    for command, state in (("resume", "Running"), ("suspend", "Suspended"),
                           ("suspend", "Suspended"), ("resume", "Running")):
        equal(api.post(f"/instances/c/{command}?reason=because").status, 202, command)
        api.await_status("c", state)
    refused(api.post("/instances/c/restart?restartWithNewInstanceId=false"), 409,
            runtimeStatus="Running")
    api.event("c", "operation", "end")
    api.await_status("c", "Completed")
    same = api.post("/instances/c/restart?restartWithNewInstanceId=false")
    equal((same.status, same.json["id"]), (202, "c"), "restart under its own ID")


@api_check("A49.6 a history: what schedules is folded into what ends, times have seven digits, "
           "inputs and outputs come if asked; a rewound one has none of the old end")
def _(api, sidecar):
    api.start("Steps", "s", {"n": 1})
    equal("historyEvents" in api.status("s", "?showHistory=true"), False, "while pending")
    with sidecar.worker(filters={"orchestrations": [{"name": "Steps"}],
                                 "activities": [{"name": "A"}]}) as worker:
        worker.turn().complete(schedule_task(1, "A", '"x"'), schedule_task(2, "Slow", '"y"'),
                               create_child(3, NOBODY, '"z"', child="s-child"))
        worker.activity().complete('"X"')
        worker.turn().complete()
    events = api.status("s", "?showHistory=true&showHistoryOutput=true")["historyEvents"]
    equal([event["EventType"] for event in events],
          ["ExecutionStarted", "TaskScheduled", "SubOrchestrationInstanceCreated",
           "TaskCompleted"], "events")
    started, slow, child, done = events
    equal((started["FunctionName"], started["Input"]), ("Steps", {"n": 1}), "the start")
    equal((slow["Name"], slow["Input"]), ("Slow", "y"), "what is pending")
    equal((child["Name"], child["InstanceId"]), (NOBODY, "s-child"), "the child")
    equal((done["FunctionName"], done["Input"], done["Result"]), ("A", "x", "X"), "the end")
    for event in events:
        expect(TICKS.fullmatch(event["Timestamp"]), f"time of {event}")
    expect(TICKS.fullmatch(done["ScheduledTime"]), f"{done}")
    events = api.status("s", "?showHistory=true&showInput=false")["historyEvents"]
    expect(not any("Input" in event or "Result" in event for event in events), f"{events}")

    api.start("Failing", "f")
    fail_one(sidecar, "f")
    api.post("/instances/f/rewind")
    with sidecar.worker(filters={"orchestrations": [{"name": "Failing"}]}) as worker:
        equal(api.status("f")["output"], None, "output after a rewind")


@api_check("A49.7 an event's input is JSON, or there is none")
def _(api, sidecar):
    api.start("Listening", "l")
    json_type = {"content_type": "Application/JSON;charset=utf-8"}
    equal(api.post("/instances/l/raiseEvent/one", '{"n": 1}', **json_type).status, 202, "one")
    equal(api.post("/instances/l/raiseEvent/two").status, 202, "without a body")
    refused(api.post("/instances/l/raiseEvent/three", "{", **json_type), 400, "JSON")
    refused(api.post("/instances/l/raiseEvent/four", "4", content_type="text/plain"), 400,
            "application/json", "text/plain")
    refused(api.post("/orchestrators/Listening/m", "{"), 400, "JSON")
    with sidecar.worker(filters={"orchestrations": [{"name": "Listening"}]}) as worker:
        turn = worker.turn()
        equal(turn.new, ["OS", "executionStarted", "eventRaised one", "eventRaised two"],
              "events")
        equal(turn.event("eventRaised one"), {"name": "one", "input": '{"n": 1}'}, "one")
        equal(turn.event("eventRaised two"), {"name": "two"}, "two")
        turn.complete(complete(1))


# ---- Many -------------------------------------------------------------------

@api_check("A49.8 a list: 100 at a time, or top; the token's header is there as long as there is "
           "more, and then it is not")
def _(api, sidecar):
    wanted = [f"n-{number:03}" for number in range(130)]
    for id in wanted:
        api.start(NOBODY, id)
    for path, sizes in (("/instances", [100, 30]), ("/instances/?top=50", [50, 50, 30])):
        ids, pages, headers = [], [], {}
        while True:
            answer = api.get(path, **headers)
            equal(answer.status, 200, f"status of {answer}")
            pages.append(len(answer.json))
            ids += [status["instanceId"] for status in answer.json]
            token = answer.headers["x-ms-continuation-token"]
            if token is None:
                break
            expect(token, "a token is not empty")
            headers = {"x_ms_continuation_token": token}
        equal((sorted(ids), pages), (wanted, sizes), path)
    refused(api.get("/instances?top=50", x_ms_continuation_token="bnVsbA=="), 400,
            "x-ms-continuation-token")
    equal(len(api.get("/instances?instanceIdPrefix=n-12").json), 10, "with that prefix")
    equal(api.get("/instances?createdTimeFrom=2999-01-01").json, [], "in the future")
    equal(len(api.get("/instances?createdTimeTo=2999-01-01T00:00:00Z&top=1000").json), 130,
          "until then")


@api_check("A49.9 statuses of a filter are in any case; a misspelt one, and a bad time or number, "
           "is refused, also by a purge")
def _(api, sidecar):
    api.start("Ping", "p")
    api.await_status("p", "Completed")
    api.start(NOBODY, "n")
    for statuses, ids in (("completed", ["p"]), ("PENDING,Completed", ["n", "p"]),
                          ("failed", []), ("pending&runtimeStatus=Completed", ["n", "p"])):
        listed = api.get(f"/instances?runtimeStatus={statuses}").json
        equal(sorted(one["instanceId"] for one in listed), ids, statuses)
    since = "createdTimeFrom=2020-01-01T00:00:00Z"
    for query in ("runtimeStatus=Complete", "runtimeStatus=Completed,", "createdTimeTo=soon",
                  "runtimeStatus=Completed&createdTimeTo=2026-13-01"):
        name = query.rsplit("&", 1)[-1].split("=")[0]
        refused(api.get(f"/instances?{query}"), 400, name)
        refused(api.delete(f"/instances?{since}&{query}"), 400, name)
    refused(api.get("/instances?top=-1"), 400, "top")
    equal(len(api.get("/instances").json), 2, "all are still there")


@api_check("A49.10 a purge: of one, of those that match; 409 for an active one, 404 if there is "
           "none, 400 without createdTimeFrom")
def _(api, sidecar):
    for number in range(3):
        api.start("Ping", f"p-{number}")
        api.await_status(f"p-{number}", "Completed")
    api.start(NOBODY, "n")
    refused(api.delete("/instances/n"), 409, "Pending", runtimeStatus="Pending",
            code="FAILED_PRECONDITION")
    refused(api.delete("/instances/missing"), 404, "missing")
    equal(api.delete("/instances/p-0").json, {"instancesDeleted": 1}, "one")
    answer = api.delete("/instances?runtimeStatus=Completed")
    equal((answer.status, answer.json),
          (400, "Please provide value for 'createdTimeFrom' parameter."), "no time")
    equal(api.delete("/instances/?createdTimeFrom=2999-01-01").status, 404, "none")
    # As JavaScript's client asks for it: the ID replaced by nothing.
    answer = api.delete("/instances/?taskHub=default&createdTimeFrom=2020-01-01T00:00:00Z")
    equal((answer.status, answer.json), (200, {"instancesDeleted": 2}), "the others")
    equal([one["instanceId"] for one in api.get("/instances").json], ["n"], "what is left")


# ---- Paths ------------------------------------------------------------------

@api_check("A49.11 IDs and event names with spaces, slashes, percent signs and umlauts: URLs are "
           "encoded, and decoded once; a plus is a plus")
def _(api, sidecar):
    for id in ("a b", "a/b", "a%2Fb", "a+b", "ä?#", "..", "a@b"):
        path = urllib.parse.quote(id, safe="")
        urls = api.start(NOBODY, path.replace("..", "%2E%2E"))
        equal(urls["id"], id, "id")
        status = api.get(urls["statusQueryGetUri"])
        equal((status.status, status.json["instanceId"]), (202, id), f"status of {id}")
        expect(status.headers["Location"] == urls["statusQueryGetUri"], f"{status}")
        equal(api.post(urls["sendEventPostUri"].replace("{eventName}", "x%2Fy")).status, 202,
              "event")
        equal(api.delete(urls["purgeHistoryDeleteUri"]).status, 409, "it is that one")
    equal(api.get("/instances/a+b").json["instanceId"], "a+b", "a plus that is not encoded")
    refused(api.post("/orchestrators/Ping/@e@k"), 400, "@")


@api_check("A49.12 both prefixes, in any case; a wrong method is 405 with Allow; URLs have the "
           "host that was asked")
def _(api, sidecar):
    api.start(NOBODY, "a")
    for path in (PREFIX.upper() + "/Instances/a", "/Runtime/WebHooks/durableTask/INSTANCES/a/",
                 "/durabletask/instances/a", "/DurableTask/instances/a"):
        equal(api.send("GET", api.origin + path).status, 202, path)
    for method, path in (("PUT", "/instances/a"), ("GET", "/orchestrators/Ping"),
                         ("POST", "/instances"), ("DELETE", "/instances/a/terminate")):
        answer = api.send(method, path)
        equal(answer.status, 405, f"{method} {path}")
        expect(answer.headers["Allow"], f"Allow of {answer}")
    equal(api.get("/instances/a/unknown").status, 404, "an unknown path")
    host = api.origin.removeprefix("http://").replace("127.0.0.1", "localhost")
    answer = api.post(f"/orchestrators/{NOBODY}", Host=host, X_Forwarded_Host="evil.example")
    contains(answer.json["statusQueryGetUri"], f"http://{host}/")


# ---- Waiting ----------------------------------------------------------------

@api_check("A49.13 with timeout and pollingInterval a start answers with the output if it completes "
           "in time, with the status if it fails, else with the URLs")
def _(api, sidecar):
    wait = "?timeout={}&pollingInterval=0.1"
    answer = api.post("/orchestrators/Ping/p" + wait.format(50), '{"n":1.0}')
    equal((answer.status, answer.body), (200, '{"n":1.0}'), "completed in time")
    answer = api.post("/instances/p/restart" + wait.format(50))
    equal((answer.status, answer.body), (200, '{"n":1.0}'), "a restart")
    answer = api.post(f"/orchestrators/{NOBODY}/n" + wait.format(0.2))
    equal((answer.status, list(answer.json)), (202, NAMES), "not in time")
    equal(answer.headers["Location"], answer.json["statusQueryGetUri"], "Location")
    for query, status in (("", 200), ("&returnInternalServerErrorOnFailure=true", 500)):
        answers = []
        caller = threading.Thread(target=lambda: answers.append(
            api.post("/orchestrators/Failing/f" + wait.format(50) + query)))
        caller.start()
        wait_until(lambda: api.get("/instances/f").status == 202, "it has started")
        fail_one(sidecar, "f", "no more")
        caller.join()
        equal((answers[0].status, answers[0].json["output"]), (status, "no more"), query)
    refused(api.post("/orchestrators/Ping/q?timeout=soon&pollingInterval=1"), 400, "timeout")


# ---- Entities ---------------------------------------------------------------

@api_check("A49.14 entities: signalled, read, listed, deleted; $ is the empty key")
def _(api, sidecar):
    refused(api.get("/entities/Counter/a"), 404, "@counter@a")
    equal(api.post("/entities/Counter/a?op=add", "5", content_type="application/json").status,
          202, "signal")
    equal(api.post("/entities/counter/$?op=add", "1", content_type="application/json").status,
          202, "signal of the empty key")
    wait_until(lambda: api.get("/entities/Counter/a").status == 200, "a state")
    equal(api.get("/Entities/COUNTER/a").body, "5", "state")
    wait_until(lambda: api.get("/entities/counter/$").status == 200, "a state")
    refused(api.post("/entities/Counter/a?op=add", "{", content_type="application/json"), 400,
            "JSON")
    for path in ("/entities", "/entities/Counter", "/entities/counter/"):
        listed = api.get(f"{path}?fetchState=true").json
        equal([(one["entityId"], one["state"]) for one in listed],
              [({"name": "counter", "key": ""}, 1), ({"name": "counter", "key": "a"}, 5)],
              path)
        expect(all(TICKS.fullmatch(one["lastOperationTime"]) for one in listed), f"{listed}")
    page = api.get("/entities?top=1")
    equal([one["state"] for one in page.json], [None], "without states")
    rest = api.get("/entities?top=1",
                   x_ms_continuation_token=page.headers["x-ms-continuation-token"])
    equal([one["entityId"]["key"] for one in rest.json], ["a"], "the second page")
    equal(api.get("/entities/other").json, [], "of another name")
    equal(api.delete("/entities/Counter/a").status, 202, "delete")
    wait_until(lambda: api.get("/entities/Counter/a").status == 404, "no state")


# ---- Size -------------------------------------------------------------------

@api_check("A49.15 a history of 20,000 events comes whole, while others are answered",
           "--max-history-events=100000")
def _(api, sidecar):
    count = 20000
    api.start("Wide", "w")
    with sidecar.worker(filters={"orchestrations": [{"name": "Wide"}]}) as worker:
        worker.turn().complete(*(schedule_task(i, "Slow", '"' + "x" * 100 + '"')
                                 for i in range(1, count + 1)))
        wait_until(lambda: api.status("w")["runtimeStatus"] == "Running", "it runs")
    answer = api.get("/instances/w?showHistory=true")
    equal(answer.status, 202, "status")
    equal(len(answer.json["historyEvents"]), count + 1, "events")
    equal(protocol.plain(sidecar.call("Hello")), {}, "the server answers")
