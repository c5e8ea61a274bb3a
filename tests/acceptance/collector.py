"""A collector of spans (OTLP over gRPC), with the messages as OpenTelemetry publishes them.

    with Collector() as collector, Server(*collector.flags, env=collector.env) as server:
        ...
        [span] = collector.named("orchestration:Main")
        equal(collector.parent(span).name, "create_orchestration:Main")

It can be slow, refuse, or take only a part, as `behave` says.
"""

import concurrent.futures
import re
import sys
import threading

import grpc

import harness

sys.path.append(str(harness.OPENTELEMETRY))

try:
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service
    from opentelemetry.proto.trace.v1 import trace_pb2
except ImportError:  # The other checks can do without.
    messages = service = trace_pb2 = None

from harness import equal, expect, wait_until


def _value(any_value):
    return getattr(any_value, any_value.WhichOneof("value"))


class Span:
    """A span as it came."""

    def __init__(self, message, resource):
        self.trace, self.id = message.trace_id.hex(), message.span_id.hex()
        self.parent, self.state = message.parent_span_id.hex(), message.trace_state
        self.name = message.name
        self.kind = trace_pb2.Span.SpanKind.Name(message.kind).removeprefix("SPAN_KIND_")
        self.begin, self.end = message.start_time_unix_nano, message.end_time_unix_nano
        self.attributes = {pair.key: _value(pair.value) for pair in message.attributes}
        equal(len(self.attributes), len(message.attributes), "attributes, each once")
        self.failed = message.status.code == trace_pb2.Status.STATUS_CODE_ERROR
        self.message, self.flags = message.status.message, message.flags
        self.resource = resource

    def __repr__(self):
        return f"{self.name} {self.trace}/{self.id} below {self.parent} {self.attributes}"


class Collector:
    """`behave(request, context)` is called first, and may refuse or wait."""

    def __init__(self, behave=lambda request, context: None, tls=None, address=None):
        self.behave, self.tls = behave, tls
        self.spans, self.metadata, self.sizes = [], [], []
        self.address = address
        self.lock = threading.Lock()

    def __enter__(self):
        expect(service, "build/tools/opentelemetry is missing; `./dev test` installs it")
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(8),
                                  options=[("grpc.so_reuseport", 0)])
        service.add_TraceServiceServicer_to_server(self, self.server)
        address = self.address or "127.0.0.1:0"
        port = (self.server.add_secure_port(address, self.tls) if self.tls
                else self.server.add_insecure_port(address))
        self.address = f"127.0.0.1:{port}"
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop(None).wait()

    def Export(self, request, context):
        answer = self.behave(request, context)
        with self.lock:
            self.metadata.append(dict(context.invocation_metadata()))
            for group in request.resource_spans:
                resource = {p.key: _value(p.value) for p in group.resource.attributes}
                for scope in group.scope_spans:
                    equal(scope.scope.name, "leasehold", "scope")
                    self.sizes.append(len(scope.spans))
                    self.spans += [Span(span, resource) for span in scope.spans]
        return answer or messages.ExportTraceServiceResponse()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://{self.address}"

    @property
    def flags(self):
        return [f"--otlp-endpoint={self.url}"]

    env = {"OTEL_BSP_SCHEDULE_DELAY": "50"}

    def named(self, name, count=1):
        """So many spans of that name, once they are there, in order of their begins."""
        def found():
            with self.lock:
                spans = [s for s in self.spans if s.name == name]
            return spans if len(spans) >= count else None
        spans = sorted(wait_until(found, f"{count} of {name!r} among {self.names()}"),
                       key=lambda span: span.begin)
        equal(len(spans), count, f"spans {name!r}")
        return spans

    def names(self):
        with self.lock:
            return sorted(span.name for span in self.spans)

    def parent(self, span):
        """Of the same trace."""
        def found():
            with self.lock:
                return next((s for s in self.spans
                             if (s.trace, s.id) == (span.trace, span.parent)), None)
        return wait_until(found, f"the parent of {span}")

    def ancestors(self, span):
        """Their names, the nearest first, up to a span that is not here."""
        names = []
        while True:
            with self.lock:
                span = next((s for s in self.spans
                             if (s.trace, s.id) == (span.trace, span.parent)), None)
            if span is None:
                return names
            names.append(span.name)


def dropped(server):
    """How many spans were dropped, as the log says."""
    lines = [line for line in server.err if "spans_dropped" in line]
    return sum(int(re.search(r"count=(\d+)", line)[1]) for line in lines)
