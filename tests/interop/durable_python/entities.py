"""Entities: signals, calls, locks, and what they do to others."""

import uuid

from durabletask.client import EntityQuery
from durabletask.entities import DurableEntity, EntityInstanceId

from hub import (
    activity, client, contains, end, entity, equal, expect, failure, main, new_id, orchestrator,
    output, run, soon, start, state_of, test, until_custom_status, wait_until)


@entity
class counter(DurableEntity):
    def add(self, n):
        self.set_state(self.get_state(int, 0) + n)
        return self.get_state(int)

    def get(self):
        return self.get_state(int, 0)

    def reset(self):
        self.set_state(None)

    def breaks(self):
        self.set_state(1000)
        raise ValueError("it broke")

    def adds_to(self, key):
        self.signal_entity(counter_of(key), "add", 1)

    def starts(self, id):
        self.schedule_new_orchestration("adds", input=id, instance_id=id)


def counter_of(key):
    return EntityInstanceId("counter", key)


@orchestrator
def adds(ctx, key):
    first = yield ctx.call_entity(counter_of(key), "add", 2)
    ctx.signal_entity(counter_of(key), "add", 3)
    second = yield ctx.call_entity(counter_of(key), "get")
    return [first, second]


@orchestrator
def is_told_of_failures(ctx, key):
    try:
        yield ctx.call_entity(counter_of(key), "breaks")
    except Exception as error:
        return [str(error), (yield ctx.call_entity(counter_of(key), "get"))]


@activity
def pause(_, n):
    return n


@orchestrator
def transfers(ctx, input):
    """From one to the other, with both to itself."""
    source, target = (counter_of(key) for key in input)
    with (yield ctx.lock_entities([source, target])):
        had = yield ctx.call_entity(source, "get")
        yield ctx.call_activity(pause, input=had)
        yield ctx.call_entity(source, "add", -1)
        yield ctx.call_entity(target, "add", 1)
    return had


@orchestrator
def holds(ctx, key):
    with (yield ctx.lock_entities([counter_of(key)])):
        ctx.set_custom_status("holds")
        yield ctx.wait_for_external_event("go")


def state(key):
    found = client.get_entity(counter_of(key))
    return found and found.get_state(int)


def until_state(key, wanted):
    wait_until(lambda: state(key) == wanted, f"{key} is {wanted}, was {state(key)}")


@test("a signal creates an entity, and many come in order")
def _():
    key = new_id("many")
    equal(state(key), None)
    for n in range(1, 101):
        client.signal_entity(counter_of(key), "add", n)
    until_state(key, 5050)


@test("a delayed signal comes when it is due")
def _():
    key = new_id("delayed")
    client.signal_entity(counter_of(key), "add", 1, signal_time=soon(1))
    client.signal_entity(counter_of(key), "add", 2)
    until_state(key, 2)
    until_state(key, 3)


@test("an orchestrator calls and signals")
def _():
    key = new_id("called")
    equal(output(run("adds", key)), [2, 5])
    equal(output(run("adds", key)), [7, 10])


@test("a failed operation fails its caller and leaves the state")
def _():
    key = new_id("broken")
    client.signal_entity(counter_of(key), "add", 7)
    until_state(key, 7)
    text, after = output(run("is_told_of_failures", key))
    contains(text, "it broke")
    equal(after, 7)


@test("an entity signals another, and starts an orchestration")
def _():
    key, other = new_id("sends"), new_id("told")
    client.signal_entity(counter_of(key), "adds_to", other)
    until_state(other, 1)
    id = new_id("started")
    client.signal_entity(counter_of(key), "starts", id)
    wait_until(lambda: state_of(id), f"{id} is started")
    equal(output(end(id)), [2, 5])


@test("an entity without a state is gone")
def _():
    key = new_id("gone")
    client.signal_entity(counter_of(key), "add", 1)
    until_state(key, 1)
    client.signal_entity(counter_of(key), "reset")
    until_state(key, None)


@test("a purge takes the state")
def _():
    key = new_id("purged")
    client.signal_entity(counter_of(key), "add", 1)
    until_state(key, 1)
    equal(client.purge_orchestration(str(counter_of(key))).deleted_instance_count, 1)
    equal(state(key), None)


@test("critical sections run one after the other, and nothing is lost")
def _():
    a, b = new_id("a"), new_id("b")
    client.signal_entity(counter_of(a), "add", 20)
    until_state(a, 20)
    ids = [start("transfers", [a, b] if n % 2 else [b, a]) for n in range(20)]
    for id in ids:
        output(end(id))
    until_state(a, 20)
    until_state(b, 0)


@test("a lock ends when its holder is terminated")
def _():
    key = new_id("held")
    id = start("holds", key)
    until_custom_status(id, "holds")
    client.signal_entity(counter_of(key), "add", 1)
    equal(state(key), None)
    client.terminate_orchestration(id, output="enough")
    until_state(key, 1)


@test("entities are listed by prefix, with their states")
def _():
    prefix = f"list-{uuid.uuid4().hex[:8]}-"
    for n in range(7):
        client.signal_entity(counter_of(f"{prefix}{n}"), "add", n + 1)
    until_state(f"{prefix}6", 7)
    query = EntityQuery(instance_id_starts_with=f"@Counter@{prefix}", include_state=True,
                        page_size=2)
    wait_until(lambda: len(client.get_all_entities(query)) == 7, "all are listed")
    found = client.get_all_entities(query)
    equal([one.id.key for one in found], [f"{prefix}{n}" for n in range(7)])
    equal([one.get_state(int) for one in found], [n + 1 for n in range(7)])


@test("there is nothing to clean")
def _():
    result = client.clean_entity_storage()
    equal((result.empty_entities_removed, result.orphaned_locks_released), (0, 0))


main()
