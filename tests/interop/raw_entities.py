"""A27.4 on: entities over the raw protocol, dealt to workers of every bad habit.

A state is the list of what was entered, so it says what had an effect, how often, and in
which order. The seeds and the servers that are killed are those of raw_work.py.
"""

import collections
import json
import random
import time

import grpc

import harness
import sidecar as protocol
from harness import check, equal, expect, temporary_folder
from raw_work import BY_THE_WAY, World, events_of, in_some_case, seeds, start_of
from sidecar import action, complete, failure, now
from work_trace import Piece

ENTITIES = [f"@{name}@{key}" for name in ("till", "Shelf") for key in ("1", "2", "3")]
SIGNALS, HOLDERS, CALLERS = 150, 25, 10


def one_form(id):
    """As the server has it: the name in lower case."""
    name, key = id[1:].split("@")
    return f"@{name.lower()}@{key}"


def random_plan(dice, locks):
    """Which entities it calls, twice each and one after the other, with or without locks."""
    calls = dice.sample(ENTITIES, dice.randint(1, 4))
    return dict(calls=[*calls, *reversed(calls)], unlocks=dice.random() < 0.7,
                locks=[in_some_case(dice, id) for id in calls] if locks else [])


def call_id(id, n):
    return f"{id}/{n}"


def next_actions(turn):
    """What the plan, which is the input, says after these events."""
    plan = json.loads(start_of(turn).input.value)
    counts = collections.Counter(protocol.kind_of(event) for event in events_of(turn))
    if plan["locks"] and not counts["entityLockGranted"]:
        return [] if counts["entityLockRequested"] else [
            action(1, sendEntityMessage=dict(entityLockRequested=dict(
                criticalSectionId=turn.id, lockSet=plan["locks"])))]
    called = counts["entityOperationCalled"]
    if called > counts["entityOperationCompleted"]:
        return []
    if called < len(plan["calls"]):
        id = call_id(turn.id, called)
        return [action(called + 2, sendEntityMessage=dict(entityOperationCalled=dict(
            requestId=id, operation="enter", input=id,
            targetInstanceId=plan["calls"][called])))]
    unlocks = [action(20 + n, sendEntityMessage=dict(entityUnlockSent=dict(
        criticalSectionId=turn.id, targetInstanceId=id)))
        for n, id in enumerate(plan["locks"]) if plan["unlocks"]]
    return [*unlocks, complete(40, "1")]


def echo_of(action):
    kind = protocol.kind_of(action)
    return (f"executionCompleted {action.id}" if kind == "completeOrchestration"
            else f"{protocol.kind_of(action.sendEntityMessage)} {action.id}")


class EntityWorld(World):
    """Entities that are entered into, by signals and by orchestrations with locks."""

    def __init__(self, folder, seed):
        super().__init__(folder, seed)
        self.habits = random.Random(f"{seed} habits")
        self.heard = []  # (entity, id) of each signal that was acknowledged.
        self.entered = []  # The same, of each answer to a batch.
        self.plans, self.states, self.outputs = {}, {}, {}

    def piece(self, item):
        if isinstance(item, protocol.Turn):
            return Piece("turn", item.id, start_of(item).name, "", item.token)
        return Piece("batch", item.id, item.id[1:].split("@")[0], "", item.token)

    def random_request(self, dice):
        filters = None
        if dice.random() < 0.5:
            filters = dict(
                orchestrations=[dict(name="enters")] if dice.random() < 0.7 else [],
                entities=[dict(name=in_some_case(dice, name)) for name in ("till", "shelf")
                          if dice.random() < 0.7])
        return dict(turns=dice.choice((0, 1, 3)), batches=dice.choice((0, 1, 2)),
                    filters=filters)

    def answer(self, number, item):
        self.trace.gave(number, item.token)
        with self.forgiving("NOT_FOUND"):
            if isinstance(item, protocol.Turn):
                actions = next_actions(item)
                item.complete(*actions)
                self.trace.acknowledged(item.id, [echo_of(one) for one in actions])
            else:
                self.answer_batch(item)

    def answer_batch(self, batch):
        """All of it, or a part, or in a way that counts for nothing."""
        habit = self.habits.random() if not self.over.is_set() else 1
        nothing = (dict(failureDetails=failure("Broken", "no room")), dict(requiresState=True),
                   {})
        if habit < 0.15:
            return batch.complete(state='["lost"]', **nothing[int(habit / 0.05)])
        entries = json.loads(batch.state or "[]")
        ids = [fields["input"] for _, fields in batch.operations]
        if habit < 0.4:
            ids = ids[:self.habits.randint(1, len(ids))]
        # Of each tenth another entity is told.
        told = [dict(sendSignal=dict(instanceId=ENTITIES[n % len(ENTITIES)], name="enter",
                                     input=f"told-{id}"))
                for n, id in enumerate(ids) if id.endswith("0") and not id.startswith("told")]
        batch.complete(*(str(len(entries) + n) for n, _ in enumerate(ids)),
                       state=json.dumps([*entries, *ids]), actions=told)
        self.entered += [(batch.id, id) for id in ids]

    def start(self, id):
        plan = self.plans[id] = random_plan(self.dice, locks=id.startswith("h"))

        def heard():
            with self.forgiving("ALREADY_EXISTS"):
                self.client.start("enters", json.dumps(plan), id)
            with self.forgiving():
                return self.client.get(id) is not None
        harness.wait_until(heard, f"the start of {id}")
        self.trace.started(id)

    def start_all(self, ids):
        """And signals meanwhile, each once, whether it is heard or not."""
        dice, left = random.Random(f"{self.seed} signals"), list(ids)
        for n in range(SIGNALS):
            if n % (SIGNALS // len(ids)) == 0 and left:
                self.start(left.pop(0))
            late = dice.random() < 0.1
            id, entity = f"{'late' if late else 'at-once'}-{n}", dice.choice(ENTITIES)
            try:
                self.client.call("SignalEntity", instanceId=in_some_case(dice, entity),
                                 name="enter", input=id, requestId=id,
                                 scheduledTime=now(0.3) if late else None)
                self.heard.append((one_form(entity), id))
            except grpc.RpcError as error:
                if error.code().name not in BY_THE_WAY:
                    raise
            time.sleep(dice.uniform(0, 0.05))
        for id in left:
            self.start(id)

    def settle(self):
        def entities():
            return self.client.call("QueryEntities", query=dict(
                includeState=True, includeTransient=True)).entities

        def idle():
            return not any(one.backlogQueueSize or one.HasField("lockedBy")
                           for one in entities())
        harness.wait_until(idle, "no entity has anything left to do")
        time.sleep(0.4)  # What was for later has come.
        harness.wait_until(idle, "no entity has anything left to do")
        self.states = {one.instanceId: json.loads(one.serializedState.value)
                       for one in entities() if one.HasField("serializedState")}
        for id in self.plans:
            for event in self.client.history(id):
                if event.HasField("entityOperationCompleted"):
                    done = event.entityOperationCompleted
                    self.outputs[done.requestId] = int(done.output.value)

    def effects(self):
        """What the states say against it: a sentence each."""
        places = collections.defaultdict(list)
        for entity, entries in self.states.items():
            for place, id in enumerate(entries):
                places[id].append((entity, place))
        for id, found in places.items():
            if id == "lost" or len(found) > 1:
                yield f"{id} was entered {len(found)} times: {found}"
        for what, wanted in (("a signal", self.heard), ("an answer", self.entered)):
            for entity, id in wanted:
                if [one for one, _ in places[id]] != [entity]:
                    yield f"{what} was acknowledged: {id} in {entity}; it is in {places[id]}"
        for id in list(places):
            if id.endswith("0") and not id.startswith("told") and not places[f"told-{id}"]:
                yield f"nobody was told of {id}"
        for entity, entries in self.states.items():
            came = [int(id.rsplit("-")[-1]) for id in entries if id.startswith("at-once")]
            if came != sorted(came):
                yield f"signals to {entity} came in the order {came}"
        for id, plan in self.plans.items():
            yield from self.effects_of(id, plan, places)

    def effects_of(self, id, plan, places):
        calls = plan["calls"]
        for n, entity in enumerate(calls):
            call, twin = call_id(id, n), call_id(id, len(calls) - 1 - n)
            if places[call] != [(one_form(entity), self.outputs.get(call))]:
                yield (f"{call} was answered {self.outputs.get(call)} by {entity}; "
                       f"it is in {places[call]}")
            elif plan["locks"] and abs(self.outputs[call] - self.outputs.get(twin, -9)) != 1:
                yield f"somebody came between {call} and {twin}, which had {entity} locked"


# ---- The checker, tried on states of our own --------------------------------

def small_world(**changes):
    """One signal, and one that held a lock; all is well, but for the changes."""
    world = EntityWorld(None, 0)
    world.heard = [("@till@1", "at-once-10")]
    world.entered = [("@till@1", "at-once-10"), ("@till@1", "h-1/0"), ("@till@1", "h-1/1")]
    world.plans = {"h-1": dict(calls=["@till@1", "@till@1"], locks=["@till@1"])}
    world.outputs = {"h-1/0": 1, "h-1/1": 2}
    world.states = {"@till@1": ["at-once-10", "h-1/0", "h-1/1"],
                    "@shelf@1": ["told-at-once-10", "told-h-1/0"]}
    for name, value in changes.items():
        getattr(world, name).update(value)
    return world


@check("A27.4 of entities, too, the checker finds what is planted, and nothing where it is not")
def _():
    equal(list(small_world().effects()), [])
    till, shelf = "@till@1", "@shelf@1"
    entries = ["at-once-10", "h-1/0", "h-1/1"]
    for words, changes in (
            ("2 times", dict(states={shelf: ["told-at-once-10", "told-at-once-10"]})),
            ("lost was entered", dict(states={shelf: ["lost"]})),
            ("a signal was acknowledged", dict(states={till: entries[1:]})),
            ("an answer was acknowledged", dict(states={till: entries[:1]})),
            ("nobody was told", dict(states={shelf: []})),
            ("came in the order", dict(states={till: [*entries, "at-once-3"]})),
            ("was answered 5", dict(outputs={"h-1/1": 5})),
            ("came between", dict(states={till: [*entries[:2], "at-once-11", "h-1/1"]},
                                  outputs={"h-1/1": 3}))):
        found = list(small_world(**changes).effects())
        expect(any(words in one for one in found), f"wanted {words!r}, found {found}")


@check("A27.5 whatever workers and servers do: what entities were sent has its effect once and "
       "in order, and nobody comes between two calls that have a lock")
def _():
    ids = [f"h-{n}" for n in range(HOLDERS)] + [f"c-{n}" for n in range(CALLERS)]
    for seed in seeds(2):
        with temporary_folder() as folder:
            world = EntityWorld(folder, seed)
            try:
                random.Random(seed).shuffle(ids)
                found = world.run(ids) or list(world.effects())
            except Exception as error:  # Whatever it is, the seed has to be told.
                found = [f"{type(error).__name__}: {error}"]
        expect(not found, f"LEASEHOLD_SEED={seed}: " + "\n".join(found[:10]))
        print(f"      seed {seed}: {len(world.heard)} signals and {len(world.entered)} "
              f"entries acknowledged, {sum(map(len, world.states.values()))} entries")
