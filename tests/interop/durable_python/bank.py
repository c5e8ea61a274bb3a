"""Entities that outlive their workers and their server: bank.py ADDRESS [worker]

Without `worker`: moves money between accounts until its standard input ends, and says
`done` once all is as it should be, however often the server and the workers have been
killed meanwhile. Each of them is a process of its own, says `did` for each operation, and
ends with the process that has its standard input.
"""

import collections
import itertools
import sys
import threading
import time
from datetime import timedelta

from durabletask.entities import DurableEntity, EntityInstanceId
from durabletask.scheduled import ScheduledTaskClient, ScheduleCreationOptions
from durabletask.worker import TaskHubGrpcWorker

import hub
from hub import ALL, client, end, equal, new_id, output, soon, start, working
from survivor import QUICKLY, insist

ACCOUNTS = 4
TRANSFERS = 60  # At least, and as many signals.
BATCH = new_id("bank")  # Of this run's names.


class account(DurableEntity):
    """What came in, by id; each entry is told to the ledger and has a receipt."""

    def enter(self, input):
        time.sleep(0.01)
        print("did", flush=True)
        id, n = input
        entries = self.get_state(list, [])
        self.set_state([*entries, [id, n]])
        self.signal_entity(EntityInstanceId("ledger", "1"), "enter", id)
        self.schedule_new_orchestration(
            "receipt", input=id, instance_id=f"receipt-{self.entity_context.entity_id.key}-{id}")
        return len(entries) + 1


class ledger(DurableEntity):
    def enter(self, id):
        self.set_state([*self.get_state(list, []), id])


def receipt(ctx, id):
    return id


def transfer(ctx, input):
    id, source, target, n = input
    with (yield ctx.lock_entities([of(source), of(target)])):
        before = yield ctx.call_entity(of(source), "enter", [id, -n])
        after = yield ctx.call_entity(of(target), "enter", [id, n])
    return [before, after]


def tick(ctx, input):
    return input


def of(key):
    return EntityInstanceId("account", key)


def serve():
    with working(receipt, transfer, tick, entities=[account, ledger], filters=ALL,
                 register=TaskHubGrpcWorker.configure_scheduled_tasks,
                 resiliency_options=QUICKLY):
        sys.stdin.read()


def entries(entity):
    found, _ = insist(client.get_entity, entity)
    return found.get_typed_state(list) if found else []


def start_once(name, input, id):
    """Once it has ended, a start would run it again."""
    if client.get_orchestration_state(id) is None:
        start(name, input, id)


def move_money():
    keys = [f"{BATCH}-{n}" for n in range(ACCOUNTS)]
    scheduled = ScheduledTaskClient(client)
    schedule = scheduled.create_schedule(ScheduleCreationOptions(
        schedule_id=BATCH, orchestration_name="tick", interval=timedelta(seconds=1),
        start_at=soon(0), start_immediately_if_late=True))
    transfers, signals, repeated = [], collections.defaultdict(list), set()
    enough = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), enough.set()), daemon=True).start()
    for n in itertools.count():
        if n >= TRANSFERS and enough.is_set():
            break
        source, target = n % ACCOUNTS, (n + 1 + n // ACCOUNTS % (ACCOUNTS - 1)) % ACCOUNTS
        id = f"t-{n}"
        insist(start_once, "transfer", [id, keys[source], keys[target], n],
               f"{BATCH}-{id}")
        transfers.append((id, keys[source], keys[target], n))
        key = keys[n % ACCOUNTS]
        _, again = insist(client.signal_entity, of(key), "enter", [f"s-{n}", 1])
        signals[key].append(f"s-{n}")
        if again:
            repeated.add(f"s-{n}")  # It may have been heard twice.
        time.sleep(0.05)
    for id, *_ in transfers:
        state, _ = insist(end, f"{BATCH}-{id}")
        output(state)
    hub.wait_until(lambda: all(
        {id for id, _ in entries(of(key))} >= set(signals[key]) for key in keys), "all signals")

    wanted = collections.Counter()
    for key in keys:
        found = entries(of(key))
        ids = [id for id, _ in found]
        wanted.update(ids)
        equal(sorted(pair for pair in map(tuple, found) if pair[0].startswith("t-")),
              sorted([(id, -n) for id, source, _, n in transfers if source == key]
                     + [(id, n) for id, _, target, n in transfers if target == key]),
              f"transfers of {key}, each once")
        equal(list(dict.fromkeys(id for id in ids if id.startswith("s-"))), signals[key],
              f"signals to {key}, in order")
        for id in set(signals[key]) - repeated:
            equal(ids.count(id), 1, id)
        for id in ids:
            state, _ = insist(end, f"receipt-{key}-{id}")
            equal(output(state), id)
    ledger_1 = EntityInstanceId("ledger", "1")
    hub.wait_until(lambda: len(entries(ledger_1)) >= wanted.total(), "the ledger has all")
    equal(collections.Counter(entries(ledger_1)), wanted, "entries of the ledger")

    ran = schedule.describe().last_run_at
    hub.wait_until(lambda: schedule.describe().last_run_at > ran, "the schedule goes on")
    schedule.delete()


if sys.argv[2:] == ["worker"]:
    serve()
else:
    move_money()
    client.close()
    print("done", flush=True)
