"""A56: /metrics: what it shows, that each number moves, and who may see whose.

Numbers by themselves: tests/metrics, tests/server/rpc_runtime_test.cc and others.
"""

import json
import socket
import ssl
import threading
import time

from certificates import Authority
from exposition import parse
from grpc_calls import OpenCall, call
from harness import (check, equal, expect, grpcurl, lease_storm, leasehold,
                     temporary_folder, wait_until)
from policies import Guarded
from raw_http import HttpServer, RawHttp, get
from sidecar import Sidecar, complete, fail, schedule_task

STATS = "leasehold.v1.Admin/Stats"
ECHO = "leasehold.v1.Echo/Echo"


def scrape(server, *headers, tls=None):
    """What /metrics says, parsed. `server` has an `http_address`."""
    address = server.http_address.split("://")[-1]
    with RawHttp(address, tls) as connection:
        answer = connection.ask(get("/metrics", *headers))
    equal(answer.status, 200, f"status of {answer}")
    equal(answer.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8")
    return parse(answer.body.decode())


def rises(server, name, by=1, suffix="", **labels):
    """A function that waits until that number has risen by `by` from now on."""
    def value():
        metrics = scrape(server)
        return metrics[name].value(suffix, **labels) if name in metrics else 0
    before = value()
    return lambda: wait_until(lambda: value() >= before + by, f"{name}{labels} to rise")


def becomes(server, name, wanted, **labels):
    wait_until(lambda: scrape(server)[name].value(**labels) == wanted,
               f"{name}{labels} to be {wanted}")


FOLDERS = []


def temporary():
    """A folder until the end of the run."""
    FOLDERS.append(temporary_folder())
    return FOLDERS[-1].name


class encrypted:
    """A server with TLS: (server, what trusts it, its authority)."""

    def __enter__(self):
        self.folders = temporary_folder()
        ca = Authority(self.folders.__enter__())
        cert, key = ca.issue("server")
        self.server = HttpServer("--store=memory", f"--tls-cert={cert}", f"--tls-key={key}")
        return self.server.__enter__(), ssl.create_default_context(cafile=ca.pem), ca

    def __exit__(self, *what):
        self.server.__exit__(*what)
        self.folders.__exit__(*what)


def echo(server, instance_id="a", *headers):
    return call(server, ECHO, {"text": "x"}, [f"instance-id: {instance_id}", *headers])


@check("A56.1 a scrape is Prometheus' text form to the letter: HELP, TYPE, units, buckets, "
       "and no instance ID")
def _():
    with HttpServer("--store=memory") as server:
        for i in range(5):
            equal(echo(server, f"room-{i}").code, "OK")
        metrics = scrape(server)
        expect(len(metrics) > 40, f"{len(metrics)} metrics")
        for name in ("leasehold_calls_total", "leasehold_contexts", "leasehold_leases",
                     "leasehold_commit_seconds", "leasehold_build_info",
                     "process_cpu_seconds_total", "process_open_fds"):
            expect(name in metrics, f"{name} is missing")
        for metric in metrics.values():
            for _, labels in metric.samples:
                expect(not any("room-" in value for _, value in labels),
                       f"an ID in {metric.name}")
        with server.http() as connection:
            head = connection.ask(get("/metrics", method="HEAD"), head=True)
            equal(head.status, 200, "status of HEAD")
        equal(server.ask(get("/metrics", method="POST")).status, 405, "status of POST")
        equal(server.ask(get("/metrics/")).status, 404, "status of /metrics/")


@check("A56.2 calls: by method and code, open ones, and how long they take")
def _():
    with HttpServer("--store=memory") as server:
        ok = rises(server, "leasehold_calls_total", 3, method="Echo", code="OK")
        timed = rises(server, "leasehold_call_seconds", 1, "_count", method="Echo",
                      service="leasehold.v1.Echo")
        bad = rises(server, "leasehold_calls_total", 1, method="Echo",
                    code="INVALID_ARGUMENT")
        unknown = rises(server, "leasehold_calls_total", 1, method="Get", code="NOT_FOUND",
                        service="leasehold.v1.Instances")
        for _ in range(3):
            equal(echo(server).code, "OK")
        equal(echo(server, "a", "instance-expect: nonsense").code, "INVALID_ARGUMENT")
        equal(call(server, "leasehold.v1.Instances/Get", {"instance_id": "none"}).code,
              "NOT_FOUND")
        for moved in (ok, timed, bad, unknown):
            moved()
        with OpenCall(server, "leasehold.v1.Instances/Hold", [{"instance_id": "held"}]) as held:
            held.await_messages(1)
            becomes(server, "leasehold_calls_open", 1, method="Hold")
            becomes(server, "leasehold_pins", 1, kind="hold")
        becomes(server, "leasehold_calls_open", 0, method="Hold")
        becomes(server, "leasehold_pins", 0, kind="hold")


@check("A56.3 contexts and leases: opened, closed by reason, late by how much; room by eviction")
def _():
    with HttpServer("--store=memory", "--idle-timeout=100ms", "--max-contexts=5") as server:
        created = rises(server, "leasehold_contexts_created_total", 2)
        idle = rises(server, "leasehold_contexts_closed_total", 1, reason="idle")
        expired = rises(server, "leasehold_leases_expired_total", 1)
        late = rises(server, "leasehold_lease_lateness_seconds", 1, "_count")
        released = rises(server, "leasehold_contexts_closed_total", 1, reason="released")
        evicted = rises(server, "leasehold_contexts_closed_total", 1, reason="evicted")
        equal(echo(server, "short").code, "OK")
        equal(echo(server, "long", "instance-idle-timeout: 1h").code, "OK")
        created(), idle(), expired(), late()
        becomes(server, "leasehold_contexts", 1, state="open")
        becomes(server, "leasehold_leases", 1)
        shown = leasehold("instances", "release", "long", f"--address={server.address}")
        equal(shown.code, 0, f"exit code of {shown}")
        released()
        becomes(server, "leasehold_contexts", 0)
        for i in range(6):
            equal(echo(server, f"e-{i}", "instance-idle-timeout: 1h").code, "OK")
        evicted()
    with HttpServer("--store=memory", "--max-contexts=1", "--evict-idle=off") as server:
        full = rises(server, "leasehold_limits_hit_total", 1, limit="max_contexts")
        equal(echo(server, "a").code, "OK")
        equal(echo(server, "b").code, "RESOURCE_EXHAUSTED")
        full()


@check("A56.4 orchestrations, work, workers and commits: each number moves when it happens")
def _():
    with HttpServer("--builtin=off", f"--data={temporary()}") as server:
        sidecar = Sidecar(server)
        becomes(server, "leasehold_workers", 0)
        sidecar.start("Main", id="a")
        becomes(server, "leasehold_work_items", 1, kind="orchestrator", state="queued")
        becomes(server, "leasehold_orchestrations", 1, status="pending")
        waited = rises(server, "leasehold_dispatch_wait_seconds", 1, "_count",
                       kind="orchestrator")
        turns = rises(server, "leasehold_turns_total", 2)
        commits = rises(server, "leasehold_commits_total", 2)
        timed = rises(server, "leasehold_commit_seconds", 2, "_count")
        sized = rises(server, "leasehold_commit_batch_size", 2, "_count")
        completed = rises(server, "leasehold_orchestrations_ended_total", 1, status="completed")
        failed = rises(server, "leasehold_orchestrations_ended_total", 1, status="failed")
        started = rises(server, "leasehold_orchestrations_started_total", 1)
        gone = rises(server, "leasehold_work_events_total", 1, event="worker_gone")
        with sidecar.worker(turns=7) as worker:
            becomes(server, "leasehold_workers", 1, place="connected")
            turn = worker.turn()
            becomes(server, "leasehold_work_items", 1, kind="orchestrator", state="out")
            becomes(server, "leasehold_worker_slots", 1, kind="orchestrator", state="used")
            becomes(server, "leasehold_worker_slots", 6, kind="orchestrator", state="free")
            becomes(server, "leasehold_pins", 1, kind="work_item")
            turn.complete(schedule_task(1, "Task"))
            becomes(server, "leasehold_orchestrations", 1, status="running")
            activity = worker.activity()
            becomes(server, "leasehold_work_items", 1, kind="activity", state="out")
            activity.complete("1")
            worker.turn().complete(complete(2))
            completed()
            becomes(server, "leasehold_orchestrations", 0)
            sidecar.start("Main", id="b")
            worker.turn().complete(fail(1, "ValueError", "no"))
            failed()
            sidecar.start("Main", id="s")
            worker.turn().complete(schedule_task(1, "Task"))
            worker.activity()
            sidecar.suspend("s")
            worker.turn().complete()
            becomes(server, "leasehold_orchestrations", 1, status="suspended")
        for moved in (waited, turns, commits, timed, sized, started, gone):
            moved()
        becomes(server, "leasehold_workers", 0)
        metrics = scrape(server)
        expect(metrics["leasehold_store_bytes"].value(file="database") > 0, "store's size")
        expect(metrics["leasehold_store_bytes"].value(file="log") > 0, "log's size")
        equal(metrics["leasehold_store_writable"].value(), 1, "writable")
        equal(metrics["leasehold_commits_failed_total"].value(), 0, "failed commits")


@check("A56.5 connections and requests over HTTP, by listener, path and status; what is refused")
def _():
    with HttpServer("--store=memory", "--max-connections-per-address=4") as server:
        accepted = rises(server, "leasehold_connections_accepted_total", 1, listener="grpc")
        refused = rises(server, "leasehold_connections_refused_total", 1, listener="grpc",
                        reason="not_http2")
        many = rises(server, "leasehold_connections_refused_total", 1, listener="grpc",
                     reason="max_connections_per_address")
        health = rises(server, "leasehold_http_requests_total", 1, group="health", code="200")
        timed = rises(server, "leasehold_http_request_seconds", 1, "_count", group="health")
        nothing = rises(server, "leasehold_http_requests_total", 1, group="none", code="404")
        bad = rises(server, "leasehold_http_requests_total", 1, group="none", code="400")
        api = rises(server, "leasehold_http_requests_total", 1, group="dashboard", code="200")
        durable = rises(server, "leasehold_http_requests_total", 1,
                        group="durable_functions", code="404")
        http = rises(server, "leasehold_connections_accepted_total", 1, listener="http")
        host, port = server.address.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as wrong:
            wrong.sendall(b"GET / HTTP/1.1\r\n\r\n")
            refused()
        accepted()
        open_ones = [server.connect() for _ in range(4)]
        becomes(server, "leasehold_connections", 4, listener="grpc")
        with socket.create_connection((host, int(port))):
            many()
        del open_ones
        server.ask(get("/healthz")), server.ask(get("/nothing"))
        server.ask("GET /healthz HTTP/1.1\r\n\r\n")
        server.ask(get("/api/v1/contexts"))
        server.ask(get("/runtime/webhooks/durabletask/instances/none"))
        for moved in (health, timed, nothing, bad, api, durable, http):
            moved()
        becomes(server, "leasehold_connections", 1, listener="http")  # The scrape's own.


@check("A56.6 with a policy a viewer sees its tenant's numbers, and nothing of others or of "
       "the whole; server_stats shows all")
def _():
    guarded = Guarded("--http-listen=127.0.0.1:0", eye="acme: viewer", use="acme: user",
                      other="globex: user", prom="default: viewer", hand="acme: worker")
    guarded.policy["identities"]["prom"]["server_stats"] = True
    guarded.policy["tenants"]["globex"] = {"starts_per_second": 0.001}
    with guarded as server:
        def headers(name):
            return f"Authorization: Bearer {server.tokens[name]}"

        def status(*more):
            with RawHttp(server.server.http_address.split("://")[-1]) as connection:
                return connection.ask(get("/metrics", *more)).status

        for i in range(3):
            equal(server.as_("other").code(ECHO, [("instance-id", f"o-{i}")]), "OK")
        equal(server.as_("use").code(ECHO, [("instance-id", "a")]), "OK")
        for i in range(2):
            server.as_("other").code("leasehold.v1.Orchestration/Start", name="No",
                                     instance_id=f"w-{i}")
        equal(status(), 401, "status without a token")
        equal(status("Authorization: Bearer lh_nonsense"), 401, "status of a wrong token")
        equal(status(headers("hand")), 403, "status of a worker")

        own = scrape(server.server, headers("eye"))
        for metric in own.values():
            expect(metric.name.startswith("leasehold_tenant_"), f"{metric.name} is shown")
            equal(metric.values("tenant"), {"acme"}, f"tenants of {metric.name}")
        equal(own["leasehold_tenant_contexts"].value(), 1, "contexts")
        before = {name: dict(metric.samples) for name, metric in own.items()
                  if "calls" not in name}
        for i in range(20):
            server.as_("other").code(ECHO, [("instance-id", f"o-{i}")])
        again = scrape(server.server, headers("eye"))
        equal({name: dict(again[name].samples) for name in before}, before,
              "what a tenant sees while another one is busy")
        # An operator is an operator of its tenant.
        use = scrape(server.server, headers("use"))
        equal(set(use), set(again), "what a user sees")

        whole = scrape(server.server, headers("prom"))
        expect("leasehold_calls_total" in whole and "process_open_fds" in whole, "the whole")
        equal(whole["leasehold_tenant_contexts"].value(tenant="globex"), 21, "contexts")
        equal(whole["leasehold_tenant_contexts"].value(tenant="acme"), 1, "contexts")
        expect(whole["leasehold_tenant_calls_total"].value(tenant="globex") >= 23, "calls")
        expect(whole["leasehold_tenant_limits_hit_total"].value(
            tenant="globex", limit="starts_per_second") >= 1, "limits hit")
        expect(whole["leasehold_auth_failures_total"].value(reason="unauthenticated") >= 2,
               "refused credentials")
        expect(whole["leasehold_auth_failures_total"].value(reason="permission_denied") >= 1,
               "refused roles")

        # The same over gRPC.
        told = server.as_("eye").call(STATS)
        equal(told.whole_server, False, "whole_server")
        equal({m.name for m in told.metrics}, set(own), "metrics of a tenant")
        equal({dict(s.labels)["tenant"] for m in told.metrics for s in m.samples}, {"acme"})
        told = server.as_("prom").call(STATS)
        equal(told.whole_server, True, "whole_server")
        equal(server.as_("hand").code(STATS), "PERMISSION_DENIED", "code of a worker")


@check("A56.7 more than a hundred tenants share one label, and a token never is one")
def _():
    names = [f"t-{i:03d}" for i in range(110)]
    guarded = Guarded("--http-listen=127.0.0.1:0", "--builtin=off", prom="default: viewer")
    guarded.policy["identities"]["prom"].update(server_stats=True)
    for name in names:
        guarded.policy["tenants"][name] = {}
    with guarded as server:
        metrics = scrape(server.server, f"Authorization: Bearer {server.tokens['prom']}")
        tenants = metrics["leasehold_tenant_calls_total"].values("tenant")
        equal(len(tenants), 101, f"labels: {sorted(tenants)}")
        expect("other" in tenants, f"labels: {sorted(tenants)}")
        secret = server.tokens["prom"].split("_")[-1]
        for metric in metrics.values():
            expect(not any(secret in value for _, labels in metric.samples
                           for _, value in labels), f"a secret in {metric.name}")


@check("A56.8 leasehold.v1.Admin/Stats says the same as /metrics")
def _():
    with HttpServer("--store=memory") as server:
        equal(echo(server).code, "OK")
        scraped = scrape(server)
        told = json.loads(grpcurl("-plaintext", server.address, STATS).out)
        equal(told["whole_server"], True, "whole_server")
        told = {metric["name"]: metric for metric in told["metrics"]}
        equal(set(told) - {"leasehold_http_requests_total", "leasehold_http_request_seconds"},
              set(scraped) - {"leasehold_http_requests_total",
                              "leasehold_http_request_seconds"}, "names")
        for name, metric in scraped.items():
            equal(told[name]["help"], metric.help, f"help of {name}")
            equal(told[name]["kind"], metric.kind.upper(), f"kind of {name}")
        equal(told["leasehold_contexts_created_total"]["samples"][0]["value"],
              scraped["leasehold_contexts_created_total"].value(), "contexts created")
        chosen = json.loads(grpcurl("-plaintext", "-d", '{"name_prefixes":["process_"]}',
                                    server.address, STATS).out)["metrics"]
        expect(chosen and all(m["name"].startswith("process_") for m in chosen),
               f"chosen: {chosen}")


@check("A56.9 scrapes under load are whole, counters only grow, and Echo goes on")
def _():
    with HttpServer("--store=memory", "--idle-timeout=200ms") as server:
        done = threading.Event()
        storms = []

        def storm():
            while not done.is_set():
                storms.append(lease_storm("leases", server.address, "200"))
        thread = threading.Thread(target=storm)
        thread.start()
        try:
            before = {}
            for _ in range(20):
                for name, metric in scrape(server).items():
                    if metric.kind == "gauge":
                        continue
                    for key, value in metric.samples.items():
                        expect(value >= before.get((name, key), 0), f"{name}{key} fell")
                        before[name, key] = value
                time.sleep(0.05)
        finally:
            done.set()
            thread.join()
        expect(storms, "no storm has passed")
        total = scrape(server)["leasehold_calls_total"]
        expect(total.value(method="Echo", code="OK") >= 10_000 * len(storms), "echoes")
