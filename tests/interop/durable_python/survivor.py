"""Work that outlives its server: survivor.py ADDRESS

Starts orchestrations of every kind, says `did` for each activity and `done` once all
have ended as they should, however often the server has been killed meanwhile.
"""

import time
from datetime import timedelta

import grpc
from durabletask import task
from durabletask.grpc_options import GrpcWorkerResiliencyOptions

from hub import (
    ALL, client, end, equal, expect, failure, new_id, output, raise_event, start, working)

EACH = 8  # Orchestrations of a kind.
STEPS = 40
EVENTS = 150
FRAGILE = 30  # Orchestrations that fail, and are rewound.

mended = set()


def add_one(_, n):
    time.sleep(0.1)
    print("did", flush=True)
    return n + 1


def chain(ctx, n):
    for _ in range(STEPS):
        n = yield ctx.call_activity(add_one, input=n)
    return n


def sleeper(ctx, n):
    for _ in range(STEPS):
        yield ctx.create_timer(timedelta(seconds=0.1))
    return n


def parent(ctx, n):
    children = yield task.when_all([ctx.call_sub_orchestrator(chain, input=i)
                                    for i in range(3)])
    return [n, *children]


def countdown(ctx, input):
    n, left = input
    if left == 0:
        return n
    n = yield ctx.call_activity(add_one, input=n)
    ctx.continue_as_new([n, left - 1], save_events=True)


def collector(ctx, got):
    item = yield ctx.wait_for_external_event("item")
    if item == "end":
        return got
    ctx.continue_as_new([*got, item], save_events=True)


def breaks(_, n):
    if n not in mended:
        raise OSError(f"{n} is broken")
    return n


def brittle(ctx, n):
    return (yield ctx.call_activity(breaks, input=n))


def fragile(ctx, n):
    return (yield ctx.call_sub_orchestrator(brittle, input=n))


WANTED = {
    "chain": lambda n: (n, n + STEPS),
    "sleeper": lambda n: (n, n),
    "parent": lambda n: (n, [n, *(i + STEPS for i in range(3))]),
    "countdown": lambda n: ([n, STEPS], n + STEPS),
}


def insist(call, *args):
    """The call, again and again while there is no server: (answer, was it needed)."""
    again = False
    while True:
        try:
            return call(*args), again
        except TimeoutError:
            pass
        except grpc.RpcError as error:
            code = error.code().name
            if again and code in ("ALREADY_EXISTS", "FAILED_PRECONDITION"):
                return None, again  # It was heard.
            if code not in ("UNAVAILABLE", "CANCELLED"):
                raise
        again = True
        time.sleep(0.1)


def result(id):
    state, _ = insist(end, id)
    expect(state, f"{id} is lost")
    return output(state)


def mend(n, ids):
    """It has failed, and goes on."""
    state, _ = insist(end, ids[n])
    expect(failure(state), f"{ids[n]} did not fail")
    mended.add(n)
    insist(client.rewind_orchestration, ids[n])


def survive():
    running = []
    for name, make in WANTED.items():
        for n in range(EACH):
            input, wanted = make(n)
            id = new_id(name)
            insist(start, name, input, id)
            running.append((id, wanted))
    ids = [new_id("fragile") for _ in range(FRAGILE)]
    for n, id in enumerate(ids):
        insist(start, "fragile", n, id)
        running.append((id, n))
    id = new_id("collector")
    insist(start, "collector", [], id)
    repeated = set()  # Events that may have been heard twice.
    for n in range(EVENTS):
        _, again = insist(raise_event, id, "item", n)
        if again:
            repeated.add(n)
        if n % (EVENTS // FRAGILE) == 0:
            mend(n // (EVENTS // FRAGILE), ids)
        time.sleep(0.03)
    insist(raise_event, id, "item", "end")
    for one, wanted in running:
        equal(result(one), wanted, one)
    got = result(id)
    equal(list(dict.fromkeys(got)), list(range(EVENTS)), "events, each and in order")
    for n in set(range(EVENTS)) - repeated:
        equal(got.count(n), 1, f"event {n}")


QUICKLY = GrpcWorkerResiliencyOptions(
    reconnect_backoff_base_seconds=0.1, reconnect_backoff_cap_seconds=0.5)
if __name__ == "__main__":
    with working(chain, sleeper, parent, countdown, collector, fragile, brittle,
                 activities=[add_one, breaks], filters=ALL, resiliency_options=QUICKLY):
        survive()
    client.close()
    print("done", flush=True)
