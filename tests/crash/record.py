"""What the driver knows, and what a server may then say.

A client writes down what it is about to ask, asks, and writes down whether that was
acknowledged. A call that ended with an error may have been done or not: its entry
stays "asked", and both are right. What was acknowledged has to be so from then on,
however often the server is killed:

    | acknowledged | then |
    | --- | --- |
    | start | it is there, until its purge was asked for |
    | event | the program's result names it, exactly once, in the order of raising |
    | terminate | it ends as TERMINATED with that output |
    | an end that was told | the same end, each time |
    | purge | it is gone for good |

`Record` is fed by clients; `check_all` compares it with all that a server has.
"""

import copy
import threading

NO, ASKED, ACKED = "no", "asked", "acked"
ENDED = ("COMPLETED", "FAILED", "TERMINATED")


class Entry:
    """An orchestration that was asked for, and its fate."""

    def __init__(self, id, wanted=None):
        self.id = id
        self.wanted = wanted  # (status, output), or None: see `events`, `starts`.
        self.start = NO
        self.starts = []  # Of a race: [(input, NO, ASKED or ACKED)]
        self.events = []  # In order: [name, ASKED or ACKED]
        self.counts_events = False  # Its output is the list of its events.
        self.ordered = True  # They were raised one after the other.
        self.terminate = (NO, None)  # And the output that it then has.
        self.purge = NO
        self.end = None  # (status, output), once it was told.

    def judge(self, status, output):
        """What is wrong with such an end: a sentence, or None."""
        if self.end is not None and self.end != (status, output):
            return f"had ended as {self.end}, now as {(status, output)}"
        asked, terminate_output = self.terminate
        if status == "TERMINATED":
            if asked == NO:
                return "is TERMINATED, and nobody asked for it"
            if output != terminate_output:
                return f"was terminated with {terminate_output!r}, not {output!r}"
            return None
        if asked == ACKED:
            return f"acknowledged a terminate and ended as {(status, output)}"
        if self.counts_events:
            if status != "COMPLETED":
                return f"ended as {(status, output)}"
            return judge_events(self.events, output, self.ordered)
        if self.starts:
            return judge_race(self.starts, output)
        if (status, output) != self.wanted:
            return f"ended as {(status, output)}, wanted {self.wanted}"
        return None


def judge_events(events, got, ordered):
    """Each acknowledged one exactly once, the others at most once, in order."""
    names = [name for name, _ in events]
    for name, fate in events:
        if fate == ACKED and name not in got:
            return f"lost the acknowledged event {name!r}: {got}"
        if got.count(name) > 1:
            return f"counted the event {name!r} {got.count(name)} times: {got}"
    places = [names.index(name) if name in names else -1 for name in got]
    if -1 in places:
        return f"has an event that nobody raised: {got}"
    if ordered and places != sorted(places):
        return f"has events out of order: {got}, raised as {names}"
    return None


def judge_race(starts, output):
    """Of several starts of one id, the one that created it gave the input."""
    winners = [input for input, fate in starts if fate == ACKED]
    if len(winners) > 1:
        return f"was created {len(winners)} times, for {winners}"
    if winners and output != winners[0]:
        return f"runs with the input {output!r}, acknowledged was {winners[0]!r}"
    if output not in [input for input, _ in starts]:
        return f"runs with an input that nobody gave: {output!r}"
    return None


class Record:
    """All entries. Thread-safe: clients write, the checks read."""

    def __init__(self):
        self.lock = threading.Lock()
        self.entries = {}
        self.violations = []
        self.acknowledged = threading.Event()  # Something was.

    def add(self, entry):
        with self.lock:
            self.entries[entry.id] = entry
        return entry

    def note(self, entry, **fields):
        with self.lock:
            for name, value in fields.items():
                setattr(entry, name, value)
        if ACKED in fields.values():
            self.acknowledged.set()

    def violated(self, id, sentence):
        with self.lock:
            self.violations.append(f"{id} {sentence}")

    def ended(self, entry, status, output):
        """A client was told that it has ended so."""
        with self.lock:
            wrong = entry.judge(status, output)
            if wrong:
                self.violations.append(f"{entry.id} {wrong}")
            entry.end = (status, output)

    def snapshot(self):
        with self.lock:
            return copy.deepcopy(self.entries)

    def check_all(self, before, found, complete=False):
        """What a server has, `found` by id as (status, output), against the record.

        `before` is the snapshot of before it was asked: what was acknowledged then.
        `complete`: all clients are done, so everything has ended.
        """
        with self.lock:
            for id, entry in before.items():
                self._check(entry, self.entries[id], found.get(id), complete)
            for id in found:
                root = id.split("/")[0]  # Of a sub-orchestration: its parent's.
                if root not in self.entries:
                    self.violations.append(f"{id} is there, and nobody asked for it")

    def _check(self, before, now, state, complete):
        def wrong(sentence):
            self.violations.append(f"{before.id} {sentence}")
        if state is None:
            created = (before.start == ACKED
                       or any(fate == ACKED for _, fate in before.starts))
            if created and now.purge == NO:
                wrong("was acknowledged, and is gone")
            return
        if before.purge == ACKED:
            return wrong(f"was purged, and is there again: {state}")
        status, output = state
        if status in ENDED:
            sentence = now.judge(status, output)
            if sentence:
                wrong(sentence)
        elif before.end is not None:
            wrong(f"had ended as {before.end}, and is {status}")
        elif complete:
            wrong(f"never ended: it is {status}")


def check_history(events):
    """What is wrong with a history: [(kind, id, nanoseconds)], as `brief_event` has it."""
    seen, clock = set(), 0
    kinds = [kind for kind, _, _ in events]
    for kind, id, time in events:
        if kind == "orchestratorStarted":
            if time < clock + 1_000_000:
                return f"has turns at {clock} and {time}: not 1 ms later"
            clock = time
        elif (kind, id) in seen:
            return f"has {kind} {id} twice"
        elif kind not in ("eventRaised", "executionSuspended", "executionResumed",
                          "executionTerminated"):
            seen.add((kind, id))
    if kinds[:2] != ["orchestratorStarted", "executionStarted"]:
        return f"begins with {kinds[:2]}"
    if kinds.count("executionStarted") != 1:
        return f"was started {kinds.count('executionStarted')} times"
    for end, begin in (("taskCompleted", "taskScheduled"),
                       ("timerFired", "timerCreated"),
                       ("subOrchestrationInstanceCompleted",
                        "subOrchestrationInstanceCreated")):
        for kind, id in seen:
            if kind == end and (begin, id) not in seen:
                return f"has {end} {id} without {begin}"
    return None
