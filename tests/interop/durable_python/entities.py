"""Entities: signals, calls, locks, and what they do to others."""

import uuid
from datetime import timedelta

from durabletask.client import EntityQuery
from durabletask.entities import DurableEntity, EntityInstanceId

from hub import (
    activity, client, contains, end, entity, equal, expect, failure, main, new_id, orchestrator,
    output, raise_event, run, soon, start, state_of, test, until_custom_status, wait_until,
    working)


@entity
class tally(DurableEntity):
    def add(self, n):
        self.set_state(self.get_state(int, 0) + n)
        return self.get_state(int)

    def append(self, digit):  # Shows in which order operations came.
        self.set_state(self.get_state(int, 0) * 10 + digit)

    def get(self):
        return self.get_state(int, 0)

    def reset(self):
        self.set_state(None)

    def breaks(self):
        self.set_state(1000)
        raise ValueError("it broke")

    def adds_to(self, key):
        self.signal_entity(counter_of(key), "add", 1)

    def appends_later(self, seconds):
        self.signal_entity(self.entity_context.entity_id, "append", 1,
                           signal_time=soon(seconds))

    def starts(self, id):
        self.schedule_new_orchestration("adds", input=id, instance_id=id)


@entity
def register(ctx, item):
    """A function is an entity, too."""
    items = ctx.get_state(list, [])
    if ctx.operation == "enter":
        ctx.set_state([*items, item])
        return len(items) + 1
    if ctx.operation == "list":
        return items
    raise ValueError(f"no operation {ctx.operation}")


def counter_of(key):
    return EntityInstanceId("tally", key)


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


@orchestrator
def adds_later(ctx, key):
    ctx.signal_entity(counter_of(key), "add", 1,
                      signal_time=ctx.current_utc_datetime + timedelta(seconds=3))
    return (yield ctx.call_entity(counter_of(key), "get"))


@orchestrator
def enters(ctx, input):
    key, items = input
    places = []
    for item in items:
        places.append((yield ctx.call_entity(EntityInstanceId("Register", key), "enter", item)))
    return [places, (yield ctx.call_entity(EntityInstanceId("register", key), "list"))]


@orchestrator
def does_what_there_is_not(ctx, input):
    name, key, operation = input
    yield ctx.call_entity(EntityInstanceId(name, key), operation)


@orchestrator
def fails_with_locks(ctx, keys):
    with (yield ctx.lock_entities([counter_of(key) for key in keys])):
        for key in keys:
            yield ctx.call_entity(counter_of(key), "add", 1)
        raise ValueError("it broke")


@orchestrator
def adds_to_all(ctx, keys):
    with (yield ctx.lock_entities([counter_of(key) for key in keys])):
        values = []
        for key in keys:
            values.append((yield ctx.call_entity(counter_of(key), "add", 1)))
    return values


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
    client.signal_entity(counter_of(key), "append", 1, signal_time=soon(3))
    client.signal_entity(counter_of(key), "append", 2)
    until_state(key, 21)


@test("so do those of orchestrators and of entities")
def _():
    key, own = new_id("orchestrated"), new_id("own")
    equal(output(run("adds_later", key)), 0)
    client.signal_entity(counter_of(own), "appends_later", 3)
    client.signal_entity(counter_of(own), "append", 2)
    for one, wanted in ((key, 1), (own, 21)):
        until_state(one, wanted)


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


@test("a function is an entity; what it is called has any case")
def _():
    equal(output(run("enters", [new_id("list"), ["a", {"b": [1, None]}, "é"]])),
          [[1, 2, 3], ["a", {"b": [1, None]}, "é"]])


@test("an operation that there is not fails its caller", each=["tally", "register"])
def _(name):
    details = failure(run("does_what_there_is_not", [name, new_id("none"), "fly"]))
    contains(details.message, "'fly'")


@test("an entity that no worker has waits for one")
def _():
    class stranger(DurableEntity):
        def add(self, n):
            self.set_state(n)
    id = EntityInstanceId("stranger", new_id("waits"))
    client.signal_entity(id, "add", 5)
    equal(client.get_entity(id), None)
    with working(entities=[stranger]):
        wait_until(lambda: client.get_entity(id), "it is there")
        equal(client.get_entity(id).get_state(int), 5)


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


@test("a lock says who holds it, and how much waits for it")
def _():
    key = new_id("shown")
    client.signal_entity(counter_of(key), "add", 1)
    until_state(key, 1)
    id = start("holds", key)
    until_custom_status(id, "holds")
    for n in range(3):
        client.signal_entity(counter_of(key), "add", n)
    found = client.get_entity(counter_of(key))
    # Not get_locked_by(): it takes holders for entities.
    equal((found._locked_by, found.backlog_queue_size), (id, 3))
    raise_event(id, "go")
    output(end(id))
    until_state(key, 4)
    equal(client.get_entity(counter_of(key)).get_locked_by(), None)


@test("what fails with its locks gives them back; what it did stays")
def _():
    keys = [new_id("failing") for _ in range(3)]
    contains(failure(run("fails_with_locks", keys)).message, "it broke")
    equal(output(run("adds_to_all", keys)), [2, 2, 2])


@test("many lock many, in any order")
def _():
    keys = [new_id("many") for _ in range(10)]
    ids = [start("adds_to_all", keys[n % 10:] + keys[:n % 10]) for n in range(30)]
    values = [output(end(id)) for id in ids]
    equal(sorted(values), [[n + 1] * 10 for n in range(30)])


@test("entities are listed by prefix, with their states")
def _():
    prefix = f"list-{uuid.uuid4().hex[:8]}-"
    for n in range(7):
        client.signal_entity(counter_of(f"{prefix}{n}"), "add", n + 1)
    until_state(f"{prefix}6", 7)
    query = EntityQuery(instance_id_starts_with=f"@Tally@{prefix}", include_state=True,
                        page_size=2)
    wait_until(lambda: len(client.get_all_entities(query)) == 7, "all are listed")
    found = client.get_all_entities(query)
    equal([one.id.key for one in found], [f"{prefix}{n}" for n in range(7)])
    equal([one.get_state(int) for one in found], [n + 1 for n in range(7)])


@test("they are listed by when they changed")
def _():
    key = new_id("changed")
    client.signal_entity(counter_of(key), "add", 1)
    until_state(key, 1)
    changed = client.get_entity(counter_of(key)).last_modified

    def listed(**query):
        return [one.id.key for one in client.get_all_entities(
            EntityQuery(instance_id_starts_with=f"@tally@{key}", **query))]
    equal(listed(last_modified_from=changed), [key])
    equal(listed(last_modified_from=changed + timedelta(seconds=1)), [])
    equal(listed(last_modified_to=changed + timedelta(seconds=1)), [key])
    equal(listed(last_modified_to=changed), [])


@test("there is nothing to clean")
def _():
    result = client.clean_entity_storage()
    equal((result.empty_entities_removed, result.orphaned_locks_released), (0, 0))


main()
