"""What clients do to orchestrations while servers die, and write down.

A scenario is a function of a Client: it starts something under a new id, does
things to it, and sees it end. Each call is tried until it is acknowledged, except
for events: one that failed is left open, so that twice would be seen.
"""

import json
import random
import threading
import time

import grpc

import sidecar
from record import ACKED, ASKED, ENDED, NO, Entry, check_history

RETRY_S = 0.02
# Without an answer after so long a call is tried again; no server is that slow.
CALL_TIMEOUT_S = 10
WAIT_S = 5


class Stuck(Exception):
    """No end in sight."""


class Client:
    def __init__(self, address, record, dice, number, gives_up):
        self.sidecar = sidecar.Sidecar(address, impatient=True)
        # A race comes over several connections.
        self.rivals = [sidecar.Sidecar(address, impatient=True) for _ in range(3)]
        self.record, self.dice, self.number = record, dice, number
        self.gives_up = gives_up  # When: as time.monotonic() has it, or None.
        self.count = 0

    def new_id(self, name):
        self.count += 1
        return f"{name}-{self.number}-{self.count}"

    # ---- Calls

    def once(self, method, **fields):
        """(code, answer or details) of a call."""
        try:
            return "OK", self.sidecar.call(method, CALL_TIMEOUT_S, **fields)
        except grpc.RpcError as error:
            return error.code().name, error.details()

    def until_ok(self, entry, method, **fields):
        """Calls until it is acknowledged; what is refused is a violation."""
        while True:
            code, answer = self.once(method, **fields)
            if code == "OK":
                return answer
            if code not in ("UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED"):
                self.record.violated(entry.id, f"{method} said {code}: {answer}")
                raise Stuck
            self.pause(entry)

    def pause(self, entry):
        if self.gives_up() is not None and time.monotonic() > self.gives_up():
            self.record.violated(entry.id, "could not go on long after the last kill")
            raise Stuck
        time.sleep(RETRY_S)

    def start(self, name, input, wanted=None, id=None, again=None, **fields):
        """The entry of a new one, or of one whose start was not acknowledged, once it
        is."""
        entry = again or self.record.add(Entry(id or self.new_id(name), wanted))
        self.record.note(entry, start=ASKED, **fields)
        tries = 1 if again else 0
        while True:
            code, answer = self.once(
                "StartInstance", instanceId=entry.id, name=name,
                input=json.dumps(input), orchestrationIdReusePolicy={})
            tries += 1
            if code == "OK" or (code == "ALREADY_EXISTS" and tries > 1):
                break  # The second: of a try that was not acknowledged.
            if code == "ALREADY_EXISTS":
                self.record.violated(entry.id, "was there before it was started")
                break
            self.pause(entry)
        self.record.note(entry, start=ACKED)
        return entry

    def mark_event(self, entry, word):
        """Its place in the record."""
        mark = [word, ASKED]
        with self.record.lock:
            entry.events.append(mark)
        return mark

    def acknowledge(self, mark):
        with self.record.lock:
            mark[1] = ACKED
        self.record.acknowledged.set()

    def raise_event(self, entry, word):
        """Once only: what becomes of it stands in the record."""
        mark = self.mark_event(entry, word)
        code, answer = self.once("RaiseEvent", instanceId=entry.id, name="say",
                                 input=json.dumps(word))
        if code == "OK":
            self.acknowledge(mark)
        elif code == "NOT_FOUND":
            self.record.violated(entry.id, f"was acknowledged and is gone: {answer}")
            raise Stuck
        else:
            self.pause(entry)

    def say_end(self, entry):
        """That may come twice: nobody listens any more."""
        self.until_ok(entry, "RaiseEvent", instanceId=entry.id, name="say",
                      input=json.dumps("end"))

    def await_end(self, entry):
        while True:
            code, answer = "OK", None
            try:
                state = self.sidecar.wait_for_completion(entry.id, timeout=WAIT_S)
            except grpc.RpcError as error:
                code, answer = error.code().name, error.details()
            if code == "OK":
                if state is None:
                    self.record.violated(entry.id, "was acknowledged, and is gone")
                    raise Stuck
                if state["orchestrationStatus"] in ENDED:
                    break
                self.record.violated(entry.id, f"a wait for its end said {state}")
                raise Stuck
            self.pause(entry)
        output = state.get("output")
        if state["orchestrationStatus"] != "TERMINATED" and output is not None:
            output = json.loads(output)
        self.record.ended(entry, state["orchestrationStatus"], output)
        return entry

    def look_at_history(self, entry):
        try:
            events = self.sidecar.history(entry.id)
        except grpc.RpcError:
            return  # Another time.
        wrong = check_history([brief_event(event) for event in events])
        if wrong:
            self.record.violated(
                entry.id, f"{wrong}: {[sidecar.brief(event) for event in events]}")

    def purge(self, entry, recursive=False):
        self.record.note(entry, purge=ASKED)
        self.until_ok(entry, "PurgeInstances", instanceId=entry.id, recursive=recursive)
        self.record.note(entry, purge=ACKED)
        code, answer = self.once("GetInstance", instanceId=entry.id)
        if code == "OK" and answer.exists:
            self.record.violated(entry.id, "was purged, and is there")

    def finish(self, entry, recursive=False):
        """It ends as it should, and half of them are purged then."""
        self.await_end(entry)
        self.look_at_history(entry)
        if self.dice.random() < 0.5:
            self.purge(entry, recursive)


def brief_event(event):
    """(kind, id of what it is about, nanoseconds)"""
    kind = sidecar.kind_of(event)
    body = getattr(event, kind)
    id = event.eventId
    for name in ("taskScheduledId", "timerId"):
        if name in body.DESCRIPTOR.fields_by_name:
            id = getattr(body, name)
    return kind, id, event.timestamp.ToNanoseconds()


# ---- Scenarios --------------------------------------------------------------

def plain(name, input, output):
    def scenario(client):
        client.finish(client.start(name, input, ("COMPLETED", output)))
    scenario.__name__ = name
    return scenario


def burst(client):
    """Many starts at once."""
    entries = [client.record.add(Entry(client.new_id("echo"), ("COMPLETED", i)))
               for i in range(40)]
    calls = []
    for i, entry in enumerate(entries):
        client.record.note(entry, start=ASKED)
        call = client.sidecar.begin("StartInstance", CALL_TIMEOUT_S, instanceId=entry.id,
                                    name="echo", input=json.dumps(i),
                                    orchestrationIdReusePolicy={})

        def done(call, entry=entry):
            if call.exception() is None:
                client.record.note(entry, start=ACKED)
        call.add_done_callback(done)
        calls.append(call)
    for call in calls:
        call.exception()
    for i, entry in enumerate(entries):
        if entry.start != ACKED:
            client.start("echo", i, entry.wanted, again=entry)
    for entry in entries:
        client.finish(entry)


def chatter(client):
    """Many words at once, to one that listens."""
    entry = client.start("listener", [], counts_events=True, ordered=False)
    calls = []
    for i in range(60):
        mark = client.mark_event(entry, f"w{i}")
        call = client.sidecar.begin("RaiseEvent", CALL_TIMEOUT_S, instanceId=entry.id,
                                    name="say", input=json.dumps(mark[0]))

        def done(call, mark=mark):
            if call.exception() is None:
                client.acknowledge(mark)
        call.add_done_callback(done)
        calls.append(call)
    for call in calls:
        call.exception()
    client.say_end(entry)
    client.finish(entry)


def family(client):
    entry = client.start("family", 4, ("COMPLETED", [0, 1, 2, 3]))
    client.finish(entry, recursive=True)


def conversation(name):
    """Words, some of them while nobody answers."""
    def scenario(client):
        entry = client.start(name, [], counts_events=True)
        for i in range(client.dice.randrange(20)):
            client.raise_event(entry, f"w{i}")
            if client.dice.random() < 0.3:
                time.sleep(client.dice.uniform(0, 0.05))
        client.say_end(entry)
        client.finish(entry)
    scenario.__name__ = name
    return scenario


def suspended(client):
    """Nothing that is said meanwhile is lost, and nothing is done meanwhile."""
    entry = client.start("listener", [], counts_events=True)
    client.raise_event(entry, "before")
    client.until_ok(entry, "SuspendInstance", instanceId=entry.id, reason="crash test")
    for i in range(3):
        client.raise_event(entry, f"w{i}")
    client.say_end(entry)
    time.sleep(client.dice.uniform(0, 0.3))
    state = client.until_ok(entry, "GetInstance", instanceId=entry.id)
    if not state.exists or sidecar.plain(state.orchestrationState)[
            "orchestrationStatus"] in ENDED:
        client.record.violated(entry.id, f"went on while suspended: {state}")
    client.until_ok(entry, "ResumeInstance", instanceId=entry.id)
    client.finish(entry)


def terminated(client):
    """An acknowledged terminate ends it, whatever happens."""
    entry = client.start("listener", [])
    if client.dice.random() < 0.5:
        time.sleep(client.dice.uniform(0, 0.1))
    output = f"enough of {entry.id}"
    client.record.note(entry, terminate=(ASKED, output))
    client.until_ok(entry, "TerminateInstance", instanceId=entry.id, output=output)
    client.record.note(entry, terminate=(ACKED, output))
    client.finish(entry)


def race(client):
    """Several start one id at once: exactly one of them creates it."""
    entry = client.record.add(Entry(client.new_id("race")))
    starts = [[f"{entry.id} by {i}", NO] for i in range(4)]
    client.record.note(entry, starts=starts)
    while not any(fate == ACKED for _, fate in starts):
        for start in starts:
            start[1] = ASKED
        calls = [(start, rival.begin(
            "StartInstance", CALL_TIMEOUT_S, instanceId=entry.id, name="echo",
            input=json.dumps(start[0]), orchestrationIdReusePolicy={}))
            for start, rival in zip(starts, [client.sidecar, *client.rivals])]
        exists = 0
        for start, call in calls:
            try:
                call.result()
            except grpc.RpcError as error:
                exists += error.code().name == "ALREADY_EXISTS"
            else:
                client.acknowledge(start)
        if exists:
            break  # It is there, made by one of them.
        if not any(fate == ACKED for _, fate in starts):
            client.pause(entry)
    client.record.note(entry, start=ACKED)
    client.finish(entry)


def letters(client):
    """What one sends to another arrives once, in the order of sending."""
    count = client.dice.randrange(1, 12)
    name = client.new_id("courier")
    entry = client.start("listener", [], (
        "COMPLETED", [f"{name}.{i}" for i in range(count)]))
    sender = client.start("courier", dict(to=entry.id, count=count),
                          ("COMPLETED", count), id=name)
    client.finish(entry)
    client.finish(sender)


SCENARIOS = (
    plain("echo", {"a": "ä"}, {"a": "ä"}), plain("chain", 5, 5),
    plain("fan_out", 12, 78), plain("nap", 300, "in time"),
    plain("stubborn", 2, 2), plain("countdown", 6, "done"),
    burst, chatter, family, conversation("listener"), conversation("eternal"), suspended, terminated,
    race, letters)


def run_forever(client, scenarios, over):
    """Scenarios at random, until `over` says so."""
    while not over():
        try:
            client.dice.choice(scenarios)(client)
        except Stuck:
            pass


def run_clients(address, record, seed, count, scenarios, over, gives_up):
    """Threads of clients; each has dice of its own."""
    threads = [threading.Thread(
        target=run_forever, daemon=True,
        args=(Client(address, record, random.Random(seed * 1000 + i), i, gives_up),
              scenarios, over))
        for i in range(count)]
    for thread in threads:
        thread.start()
    return threads
