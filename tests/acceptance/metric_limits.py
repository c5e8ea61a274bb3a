"""A56, continued: limits that refuse, certificates that expire, and the form itself."""

import signal
import ssl

from exposition import Metric, lint
from harness import check, equal, expect, wait_until
from metrics import ECHO, encrypted, scrape
from policies import Guarded
from raw_http import HttpServer

HOLD = "leasehold.v1.Instances/Hold"
WATCH = "leasehold.v1.Instances/Watch"
START = "leasehold.v1.Orchestration/Start"
WAIT = "leasehold.v1.Orchestration/WaitForCompletion"
WORK = "TaskHubSidecarService/GetWorkItems"
ENTITY = "leasehold.v1.Entities/Call"


@check("A56.12 what a limit of a tenant refuses is counted once, by limit and by tenant")
def _():
    # Each in a tenant of its own: the limit, and what one too many of it is.
    large = f'"{"x" * 1_000_000}"'
    limits = {"calls_per_second": 0.001, "events_per_second": 0.001,
              "starts_per_second": 0.001, "reads_per_second": 0.001, "streams": 1, "waits": 1,
              "watches": 1, "workers": 1, "contexts": 1, "open_orchestrations": 1,
              "stored_bytes": 1, "kept_bytes": 1_500_000}
    guarded = Guarded("--http-listen=127.0.0.1:0", "--builtin=off",
                      prom="default: viewer",
                      **{name: f"of-{name}: user, worker, viewer" for name in limits})
    guarded.policy["identities"]["prom"]["server_stats"] = True
    for name, limit in limits.items():
        guarded.policy["tenants"][f"of-{name}"] = {name: limit}

    def twice(who, method, *ids, **fields):
        """The codes of two calls, one after the other."""
        return [server.as_(who).code(method, **fields, **({"instance_id": one} if one else {}))
                for one in ids]

    def open_twice(who, method, metadata=(), **fields):
        """Two calls that stay open; the first has answered before the second comes."""
        caller = server.as_(who)
        first = caller.begin(method, metadata, **fields)
        next(first)
        code = caller.code(method, metadata, **fields)
        first.cancel()
        return ["OK", code]

    def at_once(who, method, **fields):
        """Two calls that wait, until one of them is refused."""
        calls = [server.as_(who).begin(method, **fields) for _ in range(2)]
        wait_until(lambda: any(one.done() for one in calls), f"a refusal by {who}")
        [refused] = [one for one in calls if one.done()]
        for one in calls:
            one.cancel()
        return ["OK", refused.code().name]

    with guarded as server:
        server.as_("waits").call(START, name="Nobody", instance_id="a")
        rooms = [server.as_("contexts").code(ECHO, [("instance-id", one)]) for one in "ab"]
        echoes = [server.as_("calls_per_second").code(ECHO, [("instance-id", "a")])
                  for _ in range(2)]
        made = {
            "calls_per_second": echoes, "contexts": rooms,
            "events_per_second": twice("events_per_second", "leasehold.v1.Entities/Signal",
                                       "@c@a", "@c@a", operation="x"),
            "starts_per_second": twice("starts_per_second", START, "a", "b", name="Nobody"),
            "open_orchestrations": twice("open_orchestrations", START, "a", "b", name="Nobody"),
            "stored_bytes": twice("stored_bytes", START, "a", "b", name="Nobody"),
            "reads_per_second": twice("reads_per_second", "leasehold.v1.Instances/List", "", ""),
            "streams": open_twice("streams", HOLD, [("instance-id", "a")]),
            "watches": open_twice("watches", WATCH),
            "workers": open_twice("workers", WORK),
            "waits": at_once("waits", WAIT, instance_id="a"),
            "kept_bytes": at_once("kept_bytes", ENTITY, instance_id="@c@a", operation="x",
                                  input=large)}
        equal(set(made), set(limits), "limits")
        for name, codes in made.items():
            equal(codes, ["OK", "RESOURCE_EXHAUSTED"], f"codes of {name}")
        whole = scrape(server.server, f"Authorization: Bearer {server.tokens['prom']}")
        total, by_tenant = (whole[f"leasehold_{name}_total"]
                            for name in ("limits_hit", "tenant_limits_hit"))
        equal(by_tenant.values("limit"), set(limits), "limits of tenants")
        expect(set(limits) <= total.values("limit"), f"limits: {total.values('limit')}")
        for name in limits:
            equal(total.value(limit=name), 1, f"refusals by {name}")
            for other in limits:
                equal(by_tenant.value(limit=name, tenant=f"of-{other}"), int(name == other),
                      f"refusals by {name} in the tenant of {other}")
        own = scrape(server.server, f"Authorization: Bearer {server.tokens['stored_bytes']}")
        equal(own["leasehold_tenant_limits_hit_total"].value(limit="stored_bytes"), 1,
              "what its tenant sees")


@check("A56.13 when the certificate that is served expires, by listener, also after a change; "
       "nothing without TLS")
def _():
    name = "leasehold_tls_certificate_expiry_timestamp_seconds"

    def shown(server, trust):
        metric = scrape(server, tls=trust)[name]
        equal(metric.values("listener"), {"grpc", "http"}, "listeners")
        return metric.value(listener="grpc"), metric.value(listener="http")

    def served(server, trust):
        with server.http(trust) as connection:
            end = connection.socket.getpeercert()["notAfter"]
        return 2 * (ssl.cert_time_to_seconds(end),)

    with encrypted() as (server, trust, ca):
        first = served(server, trust)
        equal(shown(server, trust), first, "expiry")
        ca.issue("server", days=2)
        server.send_signal(signal.SIGHUP)
        server.await_line("err", "tls_changed")
        second = served(server, trust)
        expect(second > first, f"the new one lives longer: {first}, {second}")
        equal(shown(server, trust), second, "expiry of the new one")
        # One that cannot serve changes nothing.
        with open(f"{ca.folder}/server.pem", "w", encoding="ascii") as file:
            file.write("nonsense")
        server.send_signal(signal.SIGHUP)
        server.await_line("err", "tls_kept")
        equal(shown(server, trust), second, "expiry of the one that is kept")
    with HttpServer("--store=memory") as server:
        expect(name not in scrape(server), "a server without TLS has no certificate")


@check("A56.14 the form is checked as promtool checks it: each of its complaints is made")
def _():
    def made(name, kind, text="A sentence.", samples=None):
        metric = Metric(name, text)
        metric.kind = kind
        metric.samples = {("", frozenset(labels.items())): 1 for labels in samples or [{}]}
        return metric

    many = [{"peer": f"ipv4:10.0.0.7:{port}"} for port in range(3000)]
    for wrong, complaint in (
            (made("leasehold_calls", "counter"), "_total"),
            (made("leasehold_calls_total", "gauge"), "_total"),
            (made("leasehold_calls", "gauge", ""), "no help"),
            (made("leasehold_calls", "gauge", "calls"), "no sentence"),
            (made("leasehold_calls_count", "gauge"), "a part of a histogram"),
            (made("leasehold_calls", "gauge", samples=[{"le": "1"}]), "label le"),
            (made("leasehold_calls", "gauge", samples=[{"quantile": "1"}]), "label quantile"),
            (made("leasehold:calls", "gauge"), "colon"),
            (made("leasehold_calls_gauge", "gauge"), "names its type"),
            (made("leasehold_wait_ms", "gauge"), "abbreviates"),
            (made("leasehold_wait_milliseconds", "gauge"), "not a base unit"),
            (made("leasehold_size_kibibytes", "gauge"), "not a base unit"),
            (made("leasehold_wait_minutes", "gauge"), "not a base unit"),
            (made("leasehold_waitTime", "gauge"), "snake_case"),
            (made("leasehold_calls", "gauge", samples=[{"aB": "1"}]), "snake_case"),
            (made("leasehold_calls", "gauge", samples=many), "3000 series"),
            (made("leasehold_calls", "gauge", samples=[{"id": "x" * 200}]), "200 bytes"),
            (made("leasehold_calls", "gauge", samples=[{"a": "1"}, {"b": "1"}]),
             "different labels")):
        complaints = list(lint(wrong))
        expect(any(complaint in each for each in complaints),
               f"no complaint of {complaint!r} about {wrong.name}: {complaints}")
    equal(list(lint(made("leasehold_wait_seconds", "gauge", samples=[{"a": "1"}, {"a": "2"}]))),
          [], "complaints about a good one")
