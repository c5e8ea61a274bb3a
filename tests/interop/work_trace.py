"""What raw workers saw, in order, and what may never be seen there.

    trace = Trace()
    trace.opened("w-1", request)
    trace.got("w-1", Piece("turn", "a-1", "alpha", "1.0", token="t-1"))
    trace.gave("w-1", "t-1")
    trace.acknowledged("a-1", ["taskScheduled 1"])
    violations(trace.records, histories)

A piece of work counts as outstanding from when it was seen until just before it is
answered, given back, or its stream closed: the server has never known of more than
that, so whoever is slow, what is found is the server's doing.
"""

import collections
import dataclasses
import threading

KINDS = {"turn": ("maxConcurrentOrchestrationWorkItems", "orchestrations"),
         "activity": ("maxConcurrentActivityWorkItems", "activities"),
         "batch": ("maxConcurrentEntityWorkItems", "entities")}
ONE_AT_A_TIME = ("turn", "batch")  # Of an instance.


@dataclasses.dataclass(frozen=True)
class Piece:
    """Of work; an activity without a version has its orchestration's."""

    kind: str
    instance: str
    name: str
    version: str
    token: str


class Trace:
    def __init__(self):
        self.records, self.lock = [], threading.Lock()

    def _add(self, *record):
        with self.lock:
            self.records.append(record)

    def opened(self, stream, request):
        self._add("opened", stream, request)

    def got(self, stream, piece):
        self._add("got", stream, piece)

    def gave(self, stream, token):
        """It is about to be answered or given back."""
        self._add("gave", stream, token)

    def closed(self, stream):
        """It is about to be closed, or what it had may go to others anyhow."""
        self._add("closed", stream)

    def killed(self):
        """The server is about to be: its streams are closed."""
        self._add("killed")

    def started(self, instance):
        """Its start was acknowledged."""
        self._add("started", instance)

    def acknowledged(self, instance, events):
        """What an answer to a piece of work has to be in the history, each once."""
        self._add("acknowledged", instance, tuple(events))


def asked_for(request, piece):
    """Whether a stream that was opened so asks for this."""
    filters = request.get("workItemFilters")
    if filters is None:
        return True
    wanted = filters.get(KINDS[piece.kind][1], [])
    return any(one["name"].lower() == piece.name.lower()
               and (not one.get("versions") or piece.version in one["versions"])
               for one in wanted)


def violations(records, histories):
    """A sentence each. `histories`: (status, events in brief) by instance, at the end."""
    return [*_on_streams(records), *_at_the_end(records, histories)]


def _on_streams(records):
    requests, outstanding = {}, {}  # By stream; pieces by token.
    for what, *about in records:
        if what == "opened":
            stream, requests[stream] = about
            outstanding[stream] = {}
        elif what == "killed":
            outstanding.clear()
        elif what == "closed":
            outstanding.pop(about[0], None)
        elif what == "gave":
            outstanding.get(about[0], {}).pop(about[1], None)
        elif what == "got":
            stream, piece = about
            if not asked_for(requests[stream], piece):
                yield f"{stream} did not ask for {piece}: {requests[stream]}"
            if stream not in outstanding:
                continue
            elsewhere = [one for pieces in outstanding.values() for one in pieces.values()
                         if piece.kind == one.kind and piece.kind in ONE_AT_A_TIME
                         and one.instance == piece.instance]
            if elsewhere:
                yield f"{stream} has {piece} while {elsewhere} is out"
            outstanding[stream][piece.token] = piece
            limit = requests[stream].get(KINDS[piece.kind][0], 0)
            count = sum(one.kind == piece.kind for one in outstanding[stream].values())
            if limit and count > limit:
                yield f"{stream} has {count} of kind {piece.kind}, its limit is {limit}"


def _at_the_end(records, histories):
    wanted = collections.defaultdict(collections.Counter)
    for what, *about in records:
        if what == "started":
            status = histories.get(about[0], ("lost", []))[0]
            if status != "COMPLETED":
                yield f"{about[0]} was started, and is {status}"
        elif what == "acknowledged":
            wanted[about[0]].update(about[1])
    for instance, events in wanted.items():
        there = collections.Counter(histories.get(instance, ("", []))[1])
        for event, times in events.items():
            if times != 1 or there[event] != 1:
                yield (f"{instance}: {event!r} was acknowledged {times} times and is "
                       f"in the history {there[event]} times")
