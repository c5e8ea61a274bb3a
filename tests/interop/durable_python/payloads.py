"""Payloads: large ones, some kept elsewhere, some that are no JSON."""

import hashlib
import threading

from durabletask import GrpcChannelOptions
from durabletask.grpc_options import GrpcWorkerResiliencyOptions
from durabletask.internal.orchestrator_service_pb2 import WORKER_CAPABILITY_LARGE_PAYLOADS
from durabletask.serialization import DataConverter, JsonDataConverter

from hub import (
    activity, contains, equal, events, expect, main, new_client, orchestrator,
    output, refused, run, start, state_of, test, wait_until, working)

BIG = GrpcChannelOptions(max_receive_message_length=-1)


class Shelf(JsonDataConverter):
    """Keeps what is large; the server sees tokens, as of the SDK's payload store.

    That store itself asks for a newer protobuf than these tests have.
    """

    def __init__(self):
        self.kept, self.lock = {}, threading.Lock()

    def serialize(self, value):
        text = super().serialize(value)
        if text is None or len(text) < 1000:
            return text
        token = f"blob:v1:{hashlib.sha256(text.encode()).hexdigest()}"
        with self.lock:
            self.kept[token] = text
        return token

    def deserialize(self, data, target_type=None):
        with self.lock:
            return super().deserialize(self.kept.get(data, data), target_type)


class Words(DataConverter):
    """What is serialized is no JSON at all."""

    def serialize(self, value):
        return None if value is None else f"<{value}>"

    def deserialize(self, data, target_type=None):
        return data[1:-1] if data else None

    def coerce(self, value, target_type=None):
        return value


@activity
def same(_, input):
    return input


@orchestrator
def collects(ctx, text):
    """The text through an activity, a child, an event and the custom status."""
    ctx.set_custom_status(text)
    passed = yield ctx.call_activity(same, input=text)
    child = yield ctx.call_sub_orchestrator("echoes", input=text)
    heard = yield ctx.wait_for_external_event("text")
    return [passed, child, heard]


@orchestrator
def echoes(ctx, text):
    return text


@test("a worker may keep large payloads; the server carries what stands for them")
def _():
    shelf = Shelf()
    text = "東京 " * 1000

    def stores(ctx, text):
        ctx.set_custom_status(text)
        passed = yield ctx.call_activity("stores_task", input=text)
        child = yield ctx.call_sub_orchestrator("stores_child", input=text)
        heard = yield ctx.wait_for_external_event("text")
        if passed == child == heard == text:
            return text

    def stores_child(ctx, text):
        return text

    def stores_task(_, text):
        return text
    with working(stores, stores_child, activities=[stores_task], data_converter=shelf,
                 capabilities=[WORKER_CAPABILITY_LARGE_PAYLOADS]), \
            new_client(data_converter=shelf) as other:
        id = other.schedule_new_orchestration("stores", input=text)
        other.raise_orchestration_event(id, "text", data=text)
        state = other.wait_for_orchestration_completion(id)
        equal(output(state), text)
        equal([state.get_input(), state.get_custom_status()], [text, text])
    state = state_of(id)  # As the server has it.
    for payload in (state.serialized_input, state.serialized_output,
                    state.serialized_custom_status):
        expect(payload.startswith("blob:v1:"), f"payload {payload[:50]}")
    for kind in ("TaskCompleted", "SubOrchestrationInstanceCompleted"):
        [ended] = events(id, kind)
        expect(ended.result.startswith("blob:v1:"), f"result {ended.result[:50]}")


@test("a payload is a text that only the SDK reads")
def _():
    def wordy(ctx, words):
        ctx.set_custom_status("so far")
        passed = yield ctx.call_activity("wordy_task", input=words)
        heard = yield ctx.wait_for_external_event("more")
        return passed + heard

    def wordy_task(_, words):
        return words.upper()
    with working(wordy, activities=[wordy_task], data_converter=Words()), \
            new_client(data_converter=Words()) as other:
        id = other.schedule_new_orchestration("wordy", input="{ no json 東 \r\n")
        other.raise_orchestration_event(id, "more", data="]")
        state = other.wait_for_orchestration_completion(id)
        equal(state.get_output(), "{ NO JSON 東 \r\n]")
    equal([state.serialized_input, state.serialized_custom_status],
          ["<{ no json 東 \r\n>", "<so far>"])


@test("payloads of 1 MiB everywhere")
def _():
    text = "x" * 2 ** 20
    with new_client(channel_options=BIG) as other, \
            working(collects, echoes, activities=[same], channel_options=BIG):
        id = other.schedule_new_orchestration("collects", input=text)
        other.raise_orchestration_event(id, "text", data=text)
        state = other.wait_for_orchestration_completion(id, timeout=120)
        equal(output(state), [text] * 3)
        equal([state.get_input(), state.get_custom_status()], [text, text])


@test("a payload of 12 MiB")
def _():
    text = "y" * (12 * 2 ** 20)

    def heavy(ctx, text):
        return text
    with new_client(channel_options=BIG) as other, working(heavy, channel_options=BIG):
        id = other.schedule_new_orchestration("heavy", input=text)
        equal(output(other.wait_for_orchestration_completion(id, timeout=120)), text)


@test("a payload beyond what the server takes is refused, and says so")
def _():
    text = "z" * (17 * 2 ** 20)
    contains(refused("RESOURCE_EXHAUSTED", start, "echoes", text), "payload")


@test("a history beyond what the SDK takes at once does not stop others for ever")
def _():
    def hoards(ctx, size):
        for _ in range(12):
            yield ctx.call_activity("hoards_task", input=size)

    def hoards_task(_, size):
        return "x" * size

    def modest(ctx, n):
        return n
    quickly = GrpcWorkerResiliencyOptions(
        reconnect_backoff_base_seconds=0.05, reconnect_backoff_cap_seconds=0.1)
    with working(hoards, modest, activities=[hoards_task], resiliency_options=quickly):
        id = start("hoards", 2 ** 19)
        wait_until(lambda: len(events(id, "TaskCompleted")) >= 7, "a history of 3.5 MiB")
        for n in range(20):
            equal(output(run("modest", n)), n)


main()
