"""A traced orchestration in the SDK, for checks of traces: prints what it has seen.

usage: traced.py ADDRESS server-makes-spans|sdk-makes-spans
"""

import json
import sys

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hub import LOGGER, PATIENCE_S, TaskHubGrpcWorker, new_client

SDK_MAKES_SPANS = sys.argv[2] == "sdk-makes-spans"
EXPORTED = InMemorySpanExporter()
SEEN = {"activity": []}


def ids(context):
    return [f"{context.trace_id:032x}", f"{context.span_id:016x}"]


def traced_act(context, number):
    SEEN["activity"].append(ids(trace.get_current_span().get_span_context()))
    return number + 1


def traced_main(context, number):
    result = yield context.call_activity(traced_act, input=number)
    return result


def run(client):
    id = client.schedule_new_orchestration(traced_main, input=1)
    state = client.wait_for_orchestration_completion(id, timeout=PATIENCE_S)
    assert json.loads(state.serialized_output) == 2, state


def main():
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(EXPORTED))
    trace.set_tracer_provider(provider)
    options = {"emit_trace_spans": SDK_MAKES_SPANS}
    with TaskHubGrpcWorker(host_address=sys.argv[1], logger=LOGGER, **options) as worker:
        worker.add_orchestrator(traced_main)
        worker.add_activity(traced_act)
        worker.start()
        client = new_client(**options)
        if not SDK_MAKES_SPANS:
            run(client)  # Nobody is there to be its parent.
        with trace.get_tracer("check").start_as_current_span("caller") as span:
            SEEN["caller"] = ids(span.get_span_context())
            run(client)
    SEEN["spans"] = [
        {"name": span.name, "trace": ids(span.context)[0], "id": ids(span.context)[1],
         "kind": span.kind.name, "parent": span.parent and ids(span.parent)[1]}
        for span in EXPORTED.get_finished_spans()]
    print(json.dumps(SEEN))


main()
