"""A57: traces: what callers say of theirs, what workers are handed, what a collector gets.

What is valid, byte by byte: tests/tracing. What a run's spans are: tests/orchestration
(run_spans_test.cc). Variables and their refusals: tests/server/trace_options_test.cc.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import time

import grpc

import harness
from certificates import Authority
from collector import Collector, dropped, messages
from entities import call_entity
from harness import (Server, check, contains, equal, expect, refused, temporary_folder,
                     wait_until)
from policies import Caller, Guarded
from sidecar import (Sidecar, complete, continue_as_new, create_child, create_timer, fail,
                     plain, schedule_task, send_event)

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
UNSAMPLED = f"00-{TRACE}-{SPAN}-00"
START = "TaskHubSidecarService/StartInstance"
HERE = {"traceParent": PARENT, "spanID": SPAN, "traceState": "a=1,b@c=2"}
METADATA = (("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", " b@c=2 ,"))


def caller(server, *metadata):
    return Caller(server, None, grpc.insecure_channel(server.address), metadata)


def context(message):
    """(trace, span, flags) of a TraceContext, as plain values."""
    equal(message["traceParent"][:3], "00-", f"version in {message}")
    trace, span, flags = message["traceParent"][3:].split("-")
    equal(message["spanID"], span, "spanID")
    return trace, span, flags


def of(item):
    """What an activity, or a turn that starts, is handed."""
    request = plain(item.request)
    if "parentTraceContext" in request:
        return request["parentTraceContext"]
    return item.event("executionStarted").get("parentTraceContext")


@contextlib.contextmanager
def traced(*flags, env=None, collector=None, store="--store=memory", **options):
    """(collector, server, sidecar) with all spans sent at once."""
    with collector or Collector() as target:
        with Server(store, *flags, *target.flags, env={**Collector.env, **(env or {})},
                    **options) as server:
            yield target, server, Sidecar(server)


# ---- Contexts ---------------------------------------------------------------

@check("A57.1 without a collector, the trace that a caller names goes on: to the orchestration, "
       "to its activities and children, and into the next execution")
def _():
    with Server("--store=memory") as server:
        sidecar = Sidecar(server)
        with sidecar.worker() as worker:
            caller(server, *METADATA).call(START, name="Main", instanceId="a-1")
            turn = worker.turn()
            started = turn.event("executionStarted")
            equal(started["parentTraceContext"], HERE, "of the orchestration")
            expect("orchestrationSpanID" not in started, f"a span that nobody makes: {started}")
            turn.complete(schedule_task(1, "act"), create_child(2, "Child", child="c-1"))
            for item in worker.take(2):
                equal(of(item), HERE, f"of {item}")
                if hasattr(item, "task_id"):
                    item.complete()
            turn = worker.turn()
            turn.complete(continue_as_new(3))
            equal(of(worker.turn()), HERE, "of the next execution")


@check("A57.2 the request's own trace context comes before that of the call; a bad one does not")
def _():
    own = {"traceParent": f"00-{TRACE[::-1]}-{SPAN[::-1]}-01", "spanID": SPAN[::-1]}
    with Server("--store=memory") as server:
        with Sidecar(server).worker() as worker:
            call = caller(server, *METADATA).call
            call(START, name="Main", instanceId="a-1", parentTraceContext=own)
            equal(of(worker.turn()), own, "its own")
            call(START, name="Main", instanceId="a-2", parentTraceContext={"traceParent": "x"})
            equal(of(worker.turn()), HERE, "of the call")


@check("A57.3 leasehold.v1 and HTTP take the same headers")
def _():
    with Server("--store=memory", "--http-listen=127.0.0.1:0") as server:
        with Sidecar(server).worker() as worker:
            caller(server, *METADATA).call("leasehold.v1.Orchestration/Start", name="Main",
                                           instance_id="a-1")
            equal(of(worker.turn()), HERE, "over gRPC")
            for path in ("/runtime/webhooks/durabletask/orchestrators/Main/a-2",
                         "/api/v1/orchestrations"):
                status = post(server, path, traceparent=PARENT, tracestate="a=1,b@c=2")
                equal(status // 100, 2, f"status of {path}")
                equal(of(worker.turn()), HERE, path)


def post(server, path, body=None, **headers):
    """The HTTP status."""
    if path.startswith("/api/"):
        body = json.dumps({"name": "Main"} if body is None else body)
    connection = http.client.HTTPConnection(server.http_address.split("//")[1], timeout=60)
    try:
        connection.request("POST", path, body or "0",
                           {"content-type": "application/json", **headers})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


@check("A57.4 headers that break a rule are as good as none, and never an error")
def _():
    zero = "0" * 32
    bad = ("", "x", "00", PARENT.upper(), PARENT + "-", PARENT + "-extra", "ff" + PARENT[2:],
           PARENT[:-1], PARENT.replace(TRACE, zero), PARENT.replace(SPAN, zero[:16]),
           PARENT.replace("-", "_"), " " + PARENT, "a" * 4000)
    with Server("--store=memory") as server:
        with Sidecar(server).worker() as worker:
            for number, value in enumerate(bad):
                caller(server, ("traceparent", value), ("tracestate", "a=1")).call(
                    START, name="Main", instanceId=f"bad-{number}")
                equal(of(worker.turn()), None, f"of traceparent {value[:80]!r}")
            many = ",".join(f"k{n}=v" for n in range(33))
            for state in ("A=1", "a", "a=1,a=2", "a=" + "v" * 300, many):
                caller(server, ("traceparent", PARENT), ("tracestate", state)).call(
                    START, name="Main", instanceId=f"s-{len(state)}")
                equal(of(worker.turn()), {"traceParent": PARENT, "spanID": SPAN},
                      f"of tracestate {state[:80]!r}")
            long = ",".join(f"k{n}=" + "v" * 100 for n in range(10))
            caller(server, ("traceparent", PARENT), ("tracestate", long)).call(
                START, name="Main", instanceId="long")
            kept = of(worker.turn())["traceState"]
            expect(long.startswith(kept + ","), f"not whole members: {kept}")
            expect(400 <= len(kept) <= 512, f"{len(kept)} characters of state")
        server.lives()


# ---- Spans ------------------------------------------------------------------

@check("A57.5 from the caller to the activity of a child, each span is below the one that caused "
       "it")
def _():
    env = {"OTEL_SERVICE_NAME": "lease-test",
           "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=ci%20run",
           "OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cret%3D"}
    with traced(env=env) as (collector, server, sidecar):
        with sidecar.worker() as worker:
            caller(server, *METADATA).call(START, name="Main", instanceId="a-1", version="7")
            turn = worker.turn()
            turn.complete(schedule_task(1, "act", version="8"),
                          create_child(2, "Child", child="c-1"))
            items = {type(item).__name__: item for item in worker.take(2)}
            activity, child = items["Activity"], items["Turn"]
            handed = {"activity": context(of(activity)), "child": context(of(child))}
            activity.complete('"done"')
            child.complete(schedule_task(1, "deep"))
            for _ in range(2):
                item = worker.next()
                if item.id == "a-1":
                    item.complete()
                else:
                    item.fail("OSError", "disk full")
            worker.turn().complete(fail(2, "ValueError", "no"))
            worker.turn().complete(complete(3))
        sidecar.wait_for_completion("a-1")

        [run] = collector.named("orchestration:Main@(7)")
        equal((run.kind, run.trace, run.state), ("SERVER", TRACE, "a=1,b@c=2"), "the run")
        equal({k: run.attributes[k] for k in run.attributes if k != "durabletask.task.execution_id"},
              {"durabletask.type": "orchestration", "durabletask.task.name": "Main",
               "durabletask.task.version": "7", "durabletask.task.instance_id": "a-1",
               "durabletask.task.status": "Completed", "leasehold.tenant": "default"},
              "attributes")
        create = collector.parent(run)
        equal((create.name, create.kind, create.failed),
              ("create_orchestration:Main@(7)", "PRODUCER", False), "the start")
        call = collector.parent(create)
        equal((call.name, call.kind, call.parent), (START, "SERVER", SPAN), "the call")
        equal(call.attributes, {
            "rpc.system": "grpc", "rpc.service": "TaskHubSidecarService",
            "rpc.method": "StartInstance", "rpc.grpc.status_code": 0,
            "leasehold.tenant": "default", "leasehold.instance_id": "a-1"}, "the call")

        [act] = collector.named("activity:act@(8)")
        equal((act.kind, act.parent, act.attributes["durabletask.task.task_id"]),
              ("CLIENT", run.id, 1), "the activity")
        equal(handed["activity"], (TRACE, act.id, "01"), "what the activity was handed")
        waits, child_run = collector.named("orchestration:Child", 2)
        equal((waits.kind, waits.parent), ("CLIENT", run.id), "the wait for the child")
        equal(handed["child"], (TRACE, waits.id, "01"), "what the child was handed")
        equal((child_run.kind, child_run.parent, child_run.failed, child_run.message),
              ("SERVER", waits.id, True, "ValueError: no"), "the child")
        expect(waits.failed, "the wait for a child that failed")
        [deep] = collector.named("activity:deep")
        equal((deep.parent, deep.failed, deep.message), (child_run.id, True, "OSError: disk full"),
              "the child's activity")
        equal(collector.ancestors(deep), ["orchestration:Child", "orchestration:Child",
                                          "orchestration:Main@(7)",
                                          "create_orchestration:Main@(7)", START], "ancestors")
        for span in (run, create, act, waits, child_run, deep):
            expect(run.begin <= span.begin <= span.end or span is create, f"times of {span}")
        equal(run.resource, {"service.name": "lease-test", "deployment.environment": "ci run"},
              "resource")
        expect(all(m["api-key"] == "s3cret=" for m in collector.metadata), "no header came")
        expect("s3cret" not in "\n".join(server.err + server.out), "a secret in the log")


@check("A57.6 timers, events and calls of entities are spans of the run")
def _():
    with traced() as (collector, server, sidecar):
        caller(server, *METADATA).call(START, name="Other", instanceId="b-1")
        with sidecar.worker() as worker:
            worker.turn().complete()
            caller(server, *METADATA).call(START, name="Main", instanceId="a-1")
            worker.turn().complete(
                create_timer(1, time.time_ns()), send_event(2, "b-1", "go", '"x"'),
                call_entity(3, "@tally@one", "add"))
            seen = set()
            while not {"a-1", "b-1", "@tally@one"} <= seen:
                item = worker.next()
                seen.add(item.id)
                if item.id == "@tally@one":
                    item.complete('"1"', state='"1"')
                else:
                    item.complete()
            answered = lambda: len([e for e in sidecar.history("a-1") if e.WhichOneof(
                "eventType") in ("timerFired", "entityOperationCompleted")]) == 2
            while not answered():
                worker.turn().complete()
        run = {"durabletask.task.instance_id": "a-1", "durabletask.task.name": "Main"}
        [timer] = collector.named("orchestration:Main:timer")
        equal((timer.kind, timer.attributes["durabletask.type"]), ("INTERNAL", "timer"), "timer")
        contains(timer.attributes["durabletask.fire_at"], "T")
        sent, taken = sorted(collector.named("orchestration_event:go", 2),
                             key=lambda span: span.kind, reverse=True)
        equal((sent.kind, sent.attributes["durabletask.event.target_instance_id"]),
              ("PRODUCER", "b-1"), "the event, sent")
        equal((taken.kind, taken.attributes["durabletask.task.instance_id"]),
              ("CONSUMER", "b-1"), "the event, taken")
        [entity] = collector.named("entity:tally:add")
        equal((entity.kind, entity.attributes["durabletask.event.target_instance_id"]),
              ("CLIENT", "@tally@one"), "the call")
        equal({timer.parent, sent.parent, entity.parent}, {timer.parent}, "their parent")
        expect(timer.parent and timer.parent != taken.parent, "the runs have one span")
        for name, value in run.items():
            equal(timer.attributes[name], value, name)


@check("A57.7 one span a run: through continue-as-new, a shutdown and a kill")
def _():
    with temporary_folder() as folder, Collector() as collector:
        start = lambda: Server(f"--data={folder}", *collector.flags, env=Collector.env)
        with start() as server:
            sidecar = Sidecar(server)
            with sidecar.worker() as worker:
                caller(server, *METADATA).call(START, name="Main", instanceId="a-1")
                turn = worker.turn()
                first = turn.event("executionStarted")
                turn.complete(continue_as_new(1))
                turn = worker.turn()
                turn.complete(schedule_task(1, "act"))
                handed = context(of(worker.activity()))
            server.end()
        with start() as server:
            with Sidecar(server).worker() as worker:
                activity = worker.activity()
                equal(context(of(activity)), handed, "what the activity is handed again")
                server.end(signal.SIGKILL)
        with start() as server:
            sidecar = Sidecar(server)
            with sidecar.worker() as worker:
                worker.activity().complete()
                worker.turn().complete(complete(2))
            sidecar.wait_for_completion("a-1")
            server.end()
        [run] = collector.named("orchestration:Main")
        equal(run.id, first["orchestrationSpanID"], "the run's span")
        [act] = collector.named("activity:act")
        equal((act.parent, (act.trace, act.id, "01")), (run.id, handed), "the activity's span")
        equal(collector.ancestors(act), ["orchestration:Main", "create_orchestration:Main", START],
              "ancestors")
        expect(run.begin <= act.begin <= act.end <= run.end, "times")
        equal(len([n for n in collector.names() if n == "orchestration:Main"]), 1, "spans")


@check("A57.8 a run that is ended without a worker, or replaced, has its span")
def _():
    with traced() as (collector, server, sidecar):
        call = caller(server, *METADATA).call
        with sidecar.worker() as worker:
            call(START, name="Begun", instanceId="a-1")
            worker.turn().complete()
        call(START, name="Waiting", instanceId="a-2")
        sidecar.call("SkipGracefulOrchestrationTerminations",
                     instanceBatch={"instanceIds": ["a-1", "a-2"]})
        for name in ("Begun", "Waiting"):
            [run] = collector.named(f"orchestration:{name}")
            equal((run.attributes["durabletask.task.status"],
                   collector.ancestors(run)[0]), ("Terminated", f"create_orchestration:{name}"),
                  name)
            expect(run.begin < run.end, f"no time passed: {run}")
        with sidecar.worker() as worker:
            call(START, name="Replaced", instanceId="a-3")
            turn = worker.turn()
            turn.complete(schedule_task(1, "act"))
            worker.activity()
            sidecar.start("Next", id="a-3", replaceable=["RUNNING", "TERMINATED"])
            [run] = collector.named("orchestration:Replaced")
            equal((run.id, run.attributes["durabletask.task.status"]),
                  (turn.event("executionStarted")["orchestrationSpanID"], "Terminated"), "span")


@check("A57.9 HTTP requests are spans, also as parents of starts; what is refused is none")
def _():
    with traced("--http-listen=127.0.0.1:0") as (collector, server, sidecar):
        path = "/runtime/webhooks/durabletask/orchestrators/Main/a-1"
        equal(post(server, path, traceparent=PARENT), 202, "status")
        equal(post(server, "/nothing/here", traceparent=PARENT), 404, "status")
        [create] = collector.named("create_orchestration:Main")
        request = collector.parent(create)
        contains(request.name, "POST ", "orchestrators")
        equal((request.kind, request.parent, request.attributes["http.response.status_code"],
               request.attributes["http.request.method"]), ("SERVER", SPAN, 202, "POST"),
              "the request")
        expect(not any("nothing" in name for name in collector.names()), "a span of a 404")


@check("A57.10 calls that nobody traces begin traces of their own; a caller that does not want "
       "spans gets none, and says so to others")
def _():
    with traced() as (collector, server, sidecar):
        with sidecar.worker() as worker:
            caller(server, ("traceparent", UNSAMPLED)).call(START, name="Quiet", instanceId="a-1")
            turn = worker.turn()
            trace, _, flags = context(of(turn))
            equal((trace, flags), (TRACE, "00"), "what the quiet one is handed")
            turn.complete(schedule_task(1, "act"))
            activity = worker.activity()
            equal(context(of(activity))[::2], (TRACE, "00"), "what its activity is handed")
            activity.complete()
            worker.turn().complete(complete(2))
            sidecar.start("Loud", id="a-2")
            worker.turn().complete(complete(1))
        [run] = collector.named("orchestration:Loud")
        server.end()
        for name in collector.names():
            expect("Complete" not in name and "GetWorkItems" not in name,
                   f"a worker's call begins a trace: {name}")
        call = collector.parent(collector.parent(run))
        equal((call.parent, call.trace != TRACE), ("", True), "a root")
        for name in collector.names():
            expect("Quiet" not in name and "act" != name, f"a span that nobody wanted: {name}")
        expect(TRACE not in {span.trace for span in collector.spans}, "spans of the quiet trace")


@check("A57.11 OTEL_TRACES_SAMPLER decides; OTEL_SDK_DISABLED and `off` send nothing")
def _():
    with traced(env={"OTEL_TRACES_SAMPLER": "parentbased_always_off"}) as (
            collector, server, sidecar):
        sidecar.start("Root", id="a-1")
        caller(server, *METADATA).call(START, name="Wanted", instanceId="a-2")
        collector.named("create_orchestration:Wanted")
        server.end()
        equal({span.trace for span in collector.spans}, {TRACE}, "traces")
    for flags, env in (([], {"OTEL_SDK_DISABLED": "true"}), (["--otlp-endpoint=off"], {})):
        with Collector() as collector:
            env = {**env, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
            with Server("--store=memory", *flags, env=env) as server:
                caller(server, *METADATA).call(START, name="Main", instanceId="a-1")
                server.end()
            equal(collector.spans, [], f"spans with {flags} {env}")


@check("A57.12 the variables say where; what the server cannot do is refused by name")
def _():
    with Collector() as collector:
        env = {**Collector.env, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
               "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.url}
        with Server("--store=memory", env=env) as server:
            caller(server, *METADATA).call(START, name="Main", instanceId="a-1")
            collector.named("create_orchestration:Main")
    url = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    for name, value in (("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
                        ("OTEL_TRACES_SAMPLER", "xray"),
                        ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4317"),
                        ("OTEL_BSP_SCHEDULE_DELAY", "soon")):
        refused("--store=memory", env={**url, name: value}, names=[name])
    line = refused("--store=memory", names=["OTEL_EXPORTER_OTLP_HEADERS"],
                   env={**url, "OTEL_EXPORTER_OTLP_HEADERS": "authorization s3cret"})
    expect("s3cret" not in line, f"a secret is shown: {line}")


@check("A57.13 https encrypts, with the authority that OTEL_EXPORTER_OTLP_CERTIFICATE names")
def _():
    with temporary_folder() as folder:
        authority = Authority(folder)
        cert, key = (open(path, "rb").read() for path in authority.issue("server"))
        tls = grpc.ssl_server_credentials([(key, cert)])
        env = {"OTEL_EXPORTER_OTLP_CERTIFICATE": authority.pem}
        with traced(env=env, collector=Collector(tls=tls)) as (collector, server, _):
            caller(server, *METADATA).call(START, name="Main", instanceId="a-1")
            collector.named("create_orchestration:Main")
        # A stranger's authority: nothing is sent.
        other = os.path.join(folder, "other")
        os.mkdir(other)
        env = {"OTEL_EXPORTER_OTLP_CERTIFICATE": Authority(other).pem}
        with traced(env=env, collector=Collector(tls=tls)) as (collector, server, _):
            caller(server, *METADATA).call(START, name="Main", instanceId="a-1")
            server.end()
            equal(collector.spans, [], "spans")
        missing = os.path.join(folder, "missing.pem")
        refused("--store=memory", "--otlp-endpoint=https://127.0.0.1:1",
                env={"OTEL_EXPORTER_OTLP_CERTIFICATE": missing},
                names=["OTEL_EXPORTER_OTLP_CERTIFICATE", missing])


@check("A57.14 each span has its tenant; who is not known makes none")
def _():
    with Collector() as collector:
        with Guarded(*collector.flags, shop="acme: user", other="globex: user") as server:
            for who in ("shop", "other"):
                server.as_(who).with_metadata(*METADATA).call(
                    START, name=f"Of-{who}", instanceId="a-1")
            stranger = Caller(server, "nobody's token", metadata=METADATA)
            equal(stranger.code(START, name="Stranger"), "UNAUTHENTICATED", "code")
            tenants = {}
            for who in ("shop", "other"):
                [create] = collector.named(f"create_orchestration:Of-{who}")
                tenants[who] = (create.attributes["leasehold.tenant"],
                                collector.parent(create).attributes["leasehold.tenant"])
            equal(tenants, {"shop": ("acme",) * 2, "other": ("globex",) * 2}, "tenants")
            server.server.end()
        equal(sum(span.name == START for span in collector.spans), 2, "spans of calls")
        text = repr([(s.name, s.attributes, s.message) for s in collector.spans])
        for secret in server.tokens.values():
            expect(secret not in text, "a token in a span")


# ---- Collectors -------------------------------------------------------------

def many_calls(server, count):
    """So many traced calls; how long they took together."""
    call = caller(server, *METADATA).call
    begin = time.monotonic()
    for _ in range(count):
        call("TaskHubSidecarService/Hello")
    return time.monotonic() - begin


SMALL = {"OTEL_BSP_MAX_QUEUE_SIZE": "20", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10"}


@check("A57.15 a collector that is dead costs calls nothing: spans are dropped and counted, in a "
       "line a minute, and the server ends in time")
def _():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        flag = f"--otlp-endpoint=http://127.0.0.1:{nobody.getsockname()[1]}"
        with Server("--store=memory", flag, env={**Collector.env, **SMALL}) as server:
            many_calls(server, 300)
            server.await_line("err", "spans_dropped")
            many_calls(server, 300)
            server.lives()
            begin = time.monotonic()
            equal(server.end(), 0, "exit code")
            expect(time.monotonic() - begin < 20, "the end waited for the collector")
        equal(sum("spans_dropped" in line for line in server.err), 1, "lines")
        expect(dropped(server) > 0, "no span counted")


@check("A57.16 a collector that never answers is the same: the queue is bounded")
def _():
    release = []

    def hang(request, context):
        while context.is_active() and not release:
            time.sleep(0.02)

    with traced(env={**SMALL, "OTEL_EXPORTER_OTLP_TIMEOUT": "300"},
                collector=Collector(hang)) as (collector, server, _):
        many_calls(server, 300)
        line = server.await_line("err", "spans_dropped")
        contains(line, "DEADLINE_EXCEEDED")
        server.lives()
        begin = time.monotonic()
        equal(server.end(), 0, "exit code")
        expect(time.monotonic() - begin < 20, "the end waited for the collector")
        release.append(True)


@check("A57.17 a collector that refuses, or takes a part, is told of in the log without secrets; "
       "one that is busy gets the spans later, once")
def _():
    def refuse(request, context):
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "not with the key s3cret")

    env = {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cret"}
    with traced(env=env, collector=Collector(refuse)) as (collector, server, _):
        many_calls(server, 5)
        line = server.await_line("err", "spans_dropped")
        contains(line, "PERMISSION_DENIED")
        expect("s3cret" not in line, f"a secret in the log: {line}")

    def part(request, context):
        answer = messages.ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = 1
        return answer

    with traced(collector=Collector(part)) as (collector, server, _):
        many_calls(server, 5)
        server.await_line("err", "spans_dropped")
        expect(dropped(server) >= 1, "not counted")

    tries = []

    def busy(request, context):
        tries.append(1)
        if len(tries) < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "later")

    with traced(collector=Collector(busy)) as (collector, server, _):
        caller(server, *METADATA).call(START, name="Main", instanceId="a-1")
        collector.named("create_orchestration:Main")
        expect(len(tries) >= 3, f"{len(tries)} tries")
        expect(not any("spans_dropped" in line for line in server.err), "a span was dropped")


@check("A57.18 batches have at most 512 spans, and what is left is sent at the end")
def _():
    env = {"OTEL_BSP_SCHEDULE_DELAY": "600000"}
    with traced("--builtin=off", env=env) as (collector, server, _):
        many_calls(server, 1100)
        wait_until(lambda: sum(collector.sizes) >= 1024, "two batches")
        equal(collector.sizes, [512, 512], "batches")
        server.end()
        equal(sum(collector.sizes), 1100, "spans")


# ---- An SDK -----------------------------------------------------------------

def sdk(server, mode):
    """What the program with the published Python SDK has printed, as JSON."""
    program = harness.ROOT / "tests/interop/durable_python/traced.py"
    result = harness.run(harness.PYTHON, "-B", program, server.address, mode,
                         env={"PYTHONPATH": str(harness.OPENTELEMETRY)})
    equal(result.code, 0, f"exit code of {result}")
    return json.loads(result.out)


@check("A57.19 user code in the published Python SDK sees the spans that the server makes, and the "
       "server's are below the caller's")
def _():
    with traced() as (collector, server, _):
        seen = sdk(server, "server-makes-spans")
        runs = collector.named("orchestration:traced_main", 2)
        acts = collector.named("activity:traced_act", 2)
        equal(seen["activity"], [[act.trace, act.id] for act in acts], "what the activities see")
        equal([act.parent for act in acts], [run.id for run in runs], "the activities' parents")
        equal(collector.ancestors(runs[0]), ["create_orchestration:traced_main", START],
              "ancestors of the first")
        equal([runs[1].trace, runs[1].parent], seen["caller"], "the parent of the second")
        equal([span["name"] for span in seen["spans"]], ["caller"], "spans of the SDK")


@check("A57.20 spans that the SDK makes itself are not made again")
def _():
    with traced() as (collector, server, _):
        seen = sdk(server, "sdk-makes-spans")
        server.end()
        names = [name for name in collector.names() if "traced" in name]
        equal(names, [], "spans of the server about what the SDK traces")
        server_kinds = {span["name"]: span for span in seen["spans"]
                        if span["kind"] != "CLIENT"}
        equal(sorted(server_kinds), ["activity:traced_act", "caller",
                                     "create_orchestration:traced_main",
                                     "orchestration:traced_main"], "spans of the SDK")
        [waits] = [span for span in seen["spans"] if span["kind"] == "CLIENT"]
        equal((waits["name"], waits["parent"], server_kinds["activity:traced_act"]["parent"]),
              ("activity:traced_act", server_kinds["orchestration:traced_main"]["id"],
               waits["id"]), "the activity, as its orchestrator and its worker see it")
        equal(seen["activity"][0][0], seen["caller"][0], "the trace of the activity")
        equal(server_kinds["orchestration:traced_main"]["parent"],
              server_kinds["create_orchestration:traced_main"]["id"], "the run's parent")
