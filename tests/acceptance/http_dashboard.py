"""A62: what the dashboard asks for and does: figures, one verb for many, a start that
waits, files from a folder.

The shapes of answers are compared with those of the dashboard's mock server in
tests/browser (real_server.test.mjs). Limits, ends and refusals of a batch, one by one:
tests/http/dashboard_batch_test.cc.
"""

import contextlib
import json
import os
import pathlib

from harness import (Server, check, contains, equal, expect, refused, temporary_folder,
                     wait_until)
from http_access import DF, Web, http, send
from limits import audited
from policies import Guarded
from raw_http import HttpServer, RawHttp, get
from sidecar import Sidecar, complete, create_timer, now
from traces import HERE, METADATA, PARENT, TRACE, caller, of, post, traced

STATS = "/api/v1/stats"
BATCH = "/api/v1/orchestrations:batch"
START = "leasehold.v1.Orchestration/Start"
SIDECAR_START = "TaskHubSidecarService/StartInstance"
UI = pathlib.Path(__file__).parents[2] / "service/http/ui"


class Browser(Web):
    """Asks as one of the identities."""

    def __init__(self, server, name):
        super().__init__(server)
        self.bearer = f"Authorization: Bearer {server.tokens[name]}"

    def get(self, path):
        return self.ask(get(path, self.bearer))

    def post(self, path, body, *headers):
        return self.ask(send(path, json.dumps(body), self.bearer, *headers))

    def stats(self, scope=""):
        answer = self.get(STATS + (f"?scope={scope}" if scope else ""))
        equal(answer.status, 200, f"status of {answer}")
        return answer.json["stats"]

    def batch(self, token, **request):
        """The lines of what a batch tells."""
        answer = self.post(BATCH, {"token": token, "request": request})
        equal(answer.status, 200, f"status of {answer}")
        equal(answer.header("Content-Type"), "application/x-ndjson", "type")
        return [json.loads(line) for line in answer.body.splitlines()]


def at_least(stats, name, count):
    return int(stats["calls"][name]) >= count


# ---- Figures ----------------------------------------------------------------

@check("A62.1 stats: what the caller's tenant has and how its calls ended, without what the "
       "dashboard asks for itself; the whole server is for those who may see it")
def _():
    guarded = Guarded(*http(), acme="acme: operator", globex="globex: user",
                      prom="acme: viewer")
    guarded.policy["identities"]["prom"]["server_stats"] = True
    with guarded as server:
        acme, globex, prom = (Browser(server, name) for name in ("acme", "globex", "prom"))
        equal(acme.stats()["orchestrations"], {}, "before")
        equal(acme.stats()["calls"],
              {"ok": "0", "failed": "0", "refused": "0", "cancelled": "0"}, "calls before")
        for number in range(3):
            server.as_("acme").call(START, name="Nobody", instance_id=f"a-{number}")
        server.as_("globex").call(START, name="Nobody", instance_id="g")
        server.as_("acme").code("leasehold.v1.Orchestration/Get", instance_id="none")
        server.as_("globex").code("leasehold.v1.Orchestration/Purge", instance_id="g")
        equal(acme.ask(send(f"{DF}/orchestrators/Nobody/df", "", acme.bearer)).status, 202,
              "over HTTP")
        stats = wait_until(lambda: (lambda s: s if at_least(s, "ok", 4) else None)(acme.stats()),
                           "the calls")
        equal(stats["orchestrations"], {"PENDING": 4}, "by status")
        equal(stats["calls"],
              {"ok": "4", "failed": "1", "refused": "0", "cancelled": "0"}, "calls")
        equal(set(stats["contexts"]), {"open", "busy", "idle"}, "of contexts")
        equal(stats["workers"], 0, "workers of others")
        stats = globex.stats()
        equal(stats["orchestrations"], {"PENDING": 1}, "those of another tenant")
        equal((stats["calls"]["ok"], stats["calls"]["refused"]), ("1", "1"), "its calls")
        for who in (acme, globex):
            equal(who.get(STATS + "?scope=server").status, 403, "the whole server")
            equal(who.get("/api/v1/events?topics=stats:server").status, 403, "its stream")
        whole = prom.stats("server")
        equal(whole["orchestrations"], {"PENDING": 5}, "of all")
        expect(at_least(whole, "ok", 5), f"calls of all: {whole}")
        equal(prom.stats()["orchestrations"], {"PENDING": 4}, "of his tenant")
        equal(acme.get(STATS + "?window=1h").status, 400, "a window that nobody keeps")


@check("A62.2 orchestrations are counted by status as they go on, and after a restart")
def _():
    def counts(server):
        return json.loads(server.ask(get(STATS)).body)["stats"]["orchestrations"]

    with temporary_folder() as folder:
        flags = (f"--data={folder}/data",)
        with HttpServer(*flags) as server:
            equal(server.ask(send(f"{DF}/orchestrators/Ping/done", "")).status, 202, "start")
            equal(server.ask(send(f"{DF}/orchestrators/Nobody/waits", "")).status, 202, "start")
            wait_until(lambda: counts(server) == {"COMPLETED": 1, "PENDING": 1}, "the end")
        with HttpServer(*flags) as server:
            wait_until(lambda: counts(server) == {"COMPLETED": 1, "PENDING": 1}, "them again")
            equal(server.ask(get(f"{DF}/instances/done", method="DELETE")).status, 200, "purge")
            wait_until(lambda: counts(server) == {"PENDING": 1}, "the purge")


# ---- One verb for many ------------------------------------------------------

@check("A62.3 a verb for many: first what matches, then with a token to each of these; who "
       "may, and what is audited, is as for each by itself")
def _():
    with temporary_folder() as folder:
        path = f"{folder}/audit.jsonl"
        with Guarded(*http(), f"--audit-log={path}", ops="acme: operator", shop="acme: user",
                     eye="acme: viewer", other="globex: operator") as server:
            ops, shop, eye, other = (Browser(server, name)
                                     for name in ("ops", "shop", "eye", "other"))
            for number in range(5):
                server.as_("shop").call(START, name="Nobody", instance_id=f"a-{number}",
                                        tags={"n": str(number)})
            server.as_("other").call(START, name="Nobody", instance_id="a-1")

            def look(who, verb, **asked):
                answer = who.post(BATCH, {"verb": verb, **asked})
                equal(answer.status, 200, f"status of {answer}")
                return answer.json

            found = look(shop, "terminate", filter={"prefix": "a-", "name": "Nobody"})
            equal((found["matched"], found["first"]), (5, [f"a-{n}" for n in range(5)]),
                  "what matches")
            equal(look(other, "terminate", filter={})["matched"], 1, "of another tenant")
            equal(look(shop, "resume", filter={})["matched"], 0, "what it fits")
            equal(look(shop, "terminate", filter={"tag": "n=2"})["first"], ["a-2"], "by tag")
            # Nobody else has the token, and a viewer may only look.
            for who in (ops, other, eye):
                equal(who.post(BATCH, {"token": found["token"]}).status, 404, "not his token")
            refusal = eye.batch(look(eye, "terminate", filter={})["token"])[-1]
            equal((refusal["done"], refusal["finished"]), (0, True), f"of a viewer: {refusal}")
            contains(refusal["why"], "needs the role user")
            equal(look(shop, "suspend", filter={})["matched"], 5, "nothing was done")
            lines = shop.batch(found["token"], output='"all"')
            equal(lines[-1], {"finished": True, "done": 5, "failed": 0, "left": 0}, "the end")
            equal(shop.post(BATCH, {"token": found["token"]}).status, 404, "used twice")
            ended = ops.get("/api/v1/orchestrations?status=TERMINATED")
            wait_until(lambda: len(ops.get("/api/v1/orchestrations?status=TERMINATED")
                                   .json["orchestrations"]) == 5, f"their ends: {ended}")
            equal(len(other.get("/api/v1/orchestrations?status=TERMINATED")
                      .json["orchestrations"]), 0, "the one of another tenant")
            # A purge needs an operator: the first one says so, and nothing is purged.
            last = shop.batch(look(shop, "purge", instance_ids=["a-0", "a-1"])["token"])[-1]
            contains(last["why"], "operator")
            equal(last["rest"]["matched"], 2, "what is left")
            lines = ops.batch(look(ops, "purge", instance_ids=["a-0", "none"])["token"])
            equal((lines[-1]["done"], lines[-1]["failed"]), (1, 1), "a purge")
            failed = [line for line in lines if "instance_id" in line]
            equal([(line["instance_id"], line["code"]) for line in failed],
                  [("none", "NOT_FOUND")], "what failed")

            def found_lines():
                return sorted((x["event"], x["method"].split("/")[-1], x["identity"],
                               x["instance_id"]) for x in audited(path)
                              if x["method"].split("/")[-1] in ("Terminate", "Purge"))

            def expected():
                lines = found_lines()
                return (all(("done", "Terminate", "shop", f"a-{n}") in lines for n in range(5))
                        and ("done", "Purge", "ops", "a-0") in lines
                        and ("failed", "Purge", "ops", "none") in lines
                        and any(line[:3] == ("refused", "Purge", "shop") for line in lines)
                        and any(line[:3] == ("refused", "Terminate", "eye") for line in lines))

            wait_until(expected, "a line in the audit log for each")


@check("A62.4 a batch is asked for by pages of the server alone, and by nobody without credentials")
def _():
    with Guarded(*http(), shop="acme: user") as server:
        shop = Browser(server, "shop")
        body = {"verb": "suspend", "filter": {}}
        equal(shop.post(BATCH, body, "Origin: https://evil.example").status, 403, "Origin")
        equal(shop.post(BATCH, body, "Sec-Fetch-Site: cross-site").status, 403, "site")
        equal(shop.ask(send(BATCH, json.dumps(body))).status, 401, "nobody")
        cookie = shop.login("shop")
        equal(shop.ask(send(BATCH, json.dumps(body), cookie)).status, 403, "whose page?")
        equal(shop.ask(send(BATCH, json.dumps(body), cookie,
                            "Sec-Fetch-Site: same-origin")).status, 200, "a page of ours")
        equal(shop.ask(get(BATCH, shop.bearer)).status, 405, "GET")


# ---- A start that waits -----------------------------------------------------

@check("A62.5 a start that waits for the end counts as a wait; its end is that of its client, too")
def _():
    with Guarded(*http(), policy={"tenants": {"acme": {"waits": 2}}},
                 acme="acme: user") as server:
        acme = Browser(server, "acme")

        def begin(name):
            connection = RawHttp(server.server.http_address.split("://")[1])
            connection.send(send(f"{DF}/orchestrators/Nobody/{name}"
                                 "?timeout=200&pollingInterval=1", "", acme.bearer))
            return connection

        def status(name):
            """Of one that does not wait for long."""
            path = f"{DF}/orchestrators/Nobody/{name}?timeout=0.01&pollingInterval=1"
            return acme.ask(send(path, "", acme.bearer)).status

        with contextlib.ExitStack() as stack:
            waiting = [stack.enter_context(begin(f"w-{n}")) for n in range(2)]
            tries = iter(range(10_000))
            # Each that is let in starts something, so each has a name of its own.
            wait_until(lambda: status(f"t-{next(tries)}") == 429, "the limit of waits")
            equal(acme.ask(send(f"{DF}/orchestrators/Nobody/quick", "", acme.bearer)).status,
                  202, "a start that does not wait")
            waiting[0].socket.close()
            wait_until(lambda: status(f"t-{next(tries)}") == 202, "room for a wait")
        # What they have started is there.
        for number in range(2):
            equal(acme.get(f"{DF}/instances/w-{number}").status, 202, f"w-{number}")


# ---- Files from a folder ----------------------------------------------------

@check("A62.6 --http-assets serves the dashboard's files from a folder, and nothing else of it")
def _():
    with temporary_folder() as folder:
        ui = pathlib.Path(folder) / "ui"
        ui.mkdir()
        (ui / "index.html").write_text("<title>mine</title>")
        (ui / "app.js").write_text("// first")
        (ui / "notes.txt").write_text("notes")
        (pathlib.Path(folder) / "secret.js").write_text("// secret")
        os.symlink("../secret.js", ui / "link.js")
        with HttpServer("--store=memory", f"--http-assets={ui}") as server:
            contains(server.ask(get("/ui/any/page")).body.decode(), "mine")
            first = server.ask(get("/ui/assets/app.js"))
            equal(first.body, b"// first", "a file")
            equal(first.header("Content-Type"), "text/javascript; charset=utf-8", "its type")
            equal(first.header("Cache-Control"), "no-cache", "cache")
            contains(first.header("Content-Security-Policy"), "script-src 'self'")
            etag = first.header("ETag")
            equal(server.ask(get("/ui/assets/app.js", f"If-None-Match: {etag}")).status, 304,
                  "the same")
            (ui / "app.js").write_text("// second")
            equal(server.ask(get("/ui/assets/app.js", f"If-None-Match: {etag}")).body,
                  b"// second", "changed")
            for name in ("notes.txt", "link.js", "..%2fsecret.js", "%2e%2e%2fsecret.js",
                         "%2e%2e", ".", "index.html", "none.js", "app.js%00.js",
                         "%2fetc%2fpasswd"):
                answer = server.ask(get(f"/ui/assets/{name}"))
                expect(answer.status in (400, 404), f"{name}: {answer}")
                expect(b"// secret" not in answer.body, f"{answer}")
            for path in ("/ui/assets/../secret.js", "/ui/assets/%2e%2e/secret.js"):
                expect(b"// secret" not in server.ask(get(path)).body, path)
        refused("--store=memory", f"--http-assets={folder}", names=["--http-assets", "index.html"])
        with HttpServer("--store=memory") as server:
            equal(server.ask(get("/ui/assets/app.js")).body, (UI / "app.js").read_bytes(),
                  "those in the program")


# ---- Traces of what starts again (traces.py has the rest) --------------------

@check("A62.7 a restart is in the trace of whoever asks for it, at every door")
def _():
    restarts = {
        "gRPC": lambda server: caller(server, *METADATA).call(
            "leasehold.v1.Orchestration/Restart", instance_id="a-1"),
        "the sidecar's door": lambda server: caller(server, *METADATA).call(
            "TaskHubSidecarService/RestartInstance", instanceId="a-1"),
        "Durable Functions": lambda server: equal(post(
            server, "/runtime/webhooks/durabletask/instances/a-1/restart"
            "?restartWithNewInstanceId=false", traceparent=PARENT, tracestate="a=1,b@c=2"),
            202, "status"),
        "the dashboard's API": lambda server: equal(post(
            server, "/api/v1/orchestrations/a-1:restart", {}, traceparent=PARENT,
            tracestate="a=1,b@c=2"), 202, "status")}
    with Server("--store=memory", "--http-listen=127.0.0.1:0") as server:
        sidecar = Sidecar(server)
        with sidecar.worker() as worker:
            sidecar.start("Main", id="a-1")
            turn = worker.turn()
            equal(of(turn), None, "before")
            for name, restart in restarts.items():
                turn.complete(complete(1))
                wait_until(lambda: (sidecar.status("a-1") or "").endswith("COMPLETED"), "the end")
                restart(server)
                turn = worker.turn()
                equal(of(turn), HERE, name)


@check("A62.8 a run that is replaced while it is parked has its span")
def _():
    with traced("--idle-timeout=orchestration=1s") as (collector, server, sidecar):
        with sidecar.worker() as worker:
            caller(server, *METADATA).call(SIDECAR_START, name="Main", instanceId="a-1")
            worker.turn().complete(create_timer(1, now(3600)))
            wait_until(lambda: caller(server).code("leasehold.v1.Instances/Get",
                                                   instance_id="a-1") == "NOT_FOUND",
                       "that it is parked")
            caller(server).call("leasehold.v1.Orchestration/Start", name="Main",
                                instance_id="a-1", if_active=3)  # TERMINATE
            worker.turn()
        [run] = collector.named("orchestration:Main")
        equal(run.trace, TRACE, "its trace")
        equal(run.attributes["durabletask.task.status"], "Terminated", "its end")
