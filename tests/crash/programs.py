"""The orchestrations that are run under fire, and what replays them.

A program is a generator: it yields what it waits for and is sent the result.

    def chain(ctx, count):
        value = 0
        for _ in range(count):
            value = yield ctx.call("add_one", value)
        return value

`replay` runs it over a history: the actions that are not in there yet are the
answer to a turn. A history that does not fit the program is a violation: the
server lost or doubled something.
"""

import json

import sidecar


class Violation(Exception):
    """The server has said what cannot be."""


class TaskFailed(Exception):
    """An activity has failed; what a program may catch."""


class Again:
    """What a program returns to continue as new."""

    def __init__(self, input):
        self.input = input


class Wait:
    def __init__(self, event=None):
        self.event = event  # Its name, if it waits for one.
        self.done = False
        self.value = self.error = None

    def finish(self, value=None, error=None):
        self.done, self.value, self.error = True, value, error


class Context:
    """What a program may do: see `programs` below."""

    def __init__(self, request):
        self.id = request.instanceId
        self.now = 0  # Nanoseconds: of the present turn.
        self.last_id = 0
        self.actions = {}  # Those that the history does not know yet, by id.
        self.waits = {}  # By the id of the action.
        self.raised = []  # Events that nobody has waited for yet.
        self.custom_status = None

    def _act(self, make, *args, **more):
        self.last_id += 1
        self.actions[self.last_id] = make(self.last_id, *args, **more)
        wait = self.waits[self.last_id] = Wait()
        return wait

    def call(self, name, input):
        return self._act(sidecar.schedule_task, name, json.dumps(input))

    def sleep(self, seconds):
        return self._act(sidecar.create_timer, self.now + int(seconds * 1e9))

    def child(self, name, input, suffix):
        return self._act(sidecar.create_child, name, json.dumps(input),
                         child=f"{self.id}/{suffix}")

    def send(self, to, name, data):
        self._act(sidecar.send_event, to, name, json.dumps(data))

    def event(self, name):
        return Wait(name)


# ---- Replaying --------------------------------------------------------------

# Events that say what came of an action, and where they have its id.
ENDS = {"taskCompleted": "taskScheduledId", "taskFailed": "taskScheduledId",
        "timerFired": "timerId",
        "subOrchestrationInstanceCompleted": "taskScheduledId",
        "subOrchestrationInstanceFailed": "taskScheduledId"}
# Those that confirm an action, and which.
ECHOES = {"taskScheduled": "scheduleTask", "timerCreated": "createTimer",
          "subOrchestrationInstanceCreated": "createSubOrchestration",
          "eventSent": "sendEvent"}


class Replay:
    def __init__(self, request):
        self.ctx = Context(request)
        self.program = None
        self.waits_for = None  # What it has yielded.
        self.suspended = None  # Or the events that are held back.
        self.result = None  # Once it has one: arguments of the action for it.
        self.carried = []  # Events that came after it had continued as new.

    def apply(self, event):
        kind = sidecar.kind_of(event)
        if kind == "orchestratorStarted":
            self.ctx.now = event.timestamp.ToNanoseconds()
        elif kind == "executionTerminated":
            if self.result is None:
                self.result = dict(status="TERMINATED",
                                   result=event.executionTerminated.input.value)
        elif kind == "executionSuspended":
            if self.suspended is None:
                self.suspended = []
        elif kind == "executionResumed":
            held, self.suspended = self.suspended or [], None
            for one in held:
                self.apply(one)
        elif kind in ECHOES:
            self.confirm(event, kind)
        elif kind == "executionCompleted":
            raise Violation("was given a turn after its end")
        elif self.suspended is not None:
            self.suspended.append(event)
        else:
            self.take(event, kind)

    def confirm(self, event, kind):
        action = self.ctx.actions.pop(event.eventId, None)
        if action is None or sidecar.kind_of(action) != ECHOES[kind]:
            raise Violation(f"has {kind} {event.eventId} in its history, for {action}")

    def take(self, event, kind):
        body = getattr(event, kind)
        if kind == "executionStarted":
            if self.program is not None:
                raise Violation("was started twice")
            self.program = PROGRAMS[body.name](self.ctx, json.loads(body.input.value))
            self.go_on(lambda: next(self.program))
            self.advance()
        elif kind == "eventRaised":
            if self.result and "again" in self.result:
                self.carried.append(event)
            self.ctx.raised.append(event)
            self.advance()
        elif kind in ENDS:
            wait = self.ctx.waits.get(getattr(body, ENDS[kind]))
            if wait is None or wait.done:
                raise Violation(f"was told twice, or of nothing: {sidecar.brief(event)}")
            if kind == "timerFired" and self.ctx.now < body.fireAt.ToNanoseconds():
                raise Violation("had a timer fire before its time")
            if kind.endswith("Failed"):
                wait.finish(error=body.failureDetails.errorType)
            else:
                result = getattr(body, "result", None)
                wait.finish(json.loads(result.value) if result else None)
            self.advance()
        else:
            raise Violation(f"was sent a {kind}")

    def advance(self):
        """Runs the program for as long as what it waits for is there."""
        while self.result is None and self.ready():
            waits = self.waits_for
            if isinstance(waits, list):
                values = [wait.value for wait in waits]
                self.go_on(lambda: self.program.send(values))
            elif waits.error:
                self.go_on(lambda: self.program.throw(TaskFailed(waits.error)))
            else:
                self.go_on(lambda: self.program.send(waits.value))

    def ready(self):
        waits = self.waits_for
        if isinstance(waits, list):
            return all(wait.done for wait in waits)
        if waits.event and not waits.done:
            found = next((e for e in self.ctx.raised
                          if e.eventRaised.name == waits.event), None)
            if found:
                self.ctx.raised.remove(found)
                waits.finish(json.loads(found.eventRaised.input.value))
        return waits.done

    def go_on(self, step):
        try:
            self.waits_for = step()
        except StopIteration as stop:
            if isinstance(stop.value, Again):
                self.result = dict(again=json.dumps(stop.value.input))
                self.carried = list(self.ctx.raised)
            else:
                self.result = dict(result=json.dumps(stop.value))

    def actions(self):
        found = list(self.ctx.actions.values())
        if self.result is not None:
            id = self.ctx.last_id + 1
            if "again" in self.result:
                found.append(sidecar.continue_as_new(
                    id, self.result["again"], self.carried))
            else:
                found.append(sidecar.complete(id, **self.result))
        return found


def replay(request):
    """(actions, custom status) that answer an OrchestratorRequest."""
    run = Replay(request)
    clock = 0
    for event in [*request.pastEvents, *request.newEvents]:
        if sidecar.kind_of(event) == "orchestratorStarted":
            time = event.timestamp.ToNanoseconds()
            if time < clock + 1_000_000:
                raise Violation(f"has turns at {clock} and {time}: not 1 ms later")
            clock = time
        run.apply(event)
    return run.actions(), run.ctx.custom_status


# ---- Programs ---------------------------------------------------------------

def echo(ctx, input):
    """One turn."""
    return input
    yield


def chain(ctx, count):
    value = 0
    for _ in range(count):
        value = yield ctx.call("add_one", value)
    return value


def fan_out(ctx, count):
    values = yield [ctx.call("add_one", i) for i in range(count)]
    return sum(values)


def nap(ctx, milliseconds):
    """Whether each timer fired on time by the orchestrator's clock."""
    for part in (0.3, 0.7):
        until = ctx.now + int(part * milliseconds * 1e6)
        yield ctx.sleep(part * milliseconds / 1000)
        if ctx.now < until:
            return "too early"
    return "in time"


def family(ctx, count):
    values = yield [ctx.child("chain", i, f"c{i}") for i in range(count)]
    return values


def stubborn(ctx, failures):
    """Tries until it works, a little later each time."""
    for attempt in range(failures + 1):
        try:
            value = yield ctx.call("fail_before", [attempt, failures])
            return value
        except TaskFailed:
            yield ctx.sleep(0.01 * (attempt + 1))
    return "never"


def listener(ctx, input):
    """What was said until the end."""
    said = []
    while True:
        word = yield ctx.event("say")
        if word == "end":
            return said
        said.append(word)


def eternal(ctx, said):
    """The same, a few words an execution."""
    ctx.custom_status = json.dumps(len(said))
    for _ in range(3):
        word = yield ctx.event("say")
        if word == "end":
            return said
        said = said + [word]
    return Again(said)


def courier(ctx, errand):
    """Says words to another one, with work in between."""
    for i in range(errand["count"]):
        ctx.send(errand["to"], "say", f"{ctx.id}.{i}")
        if i % 2:
            yield ctx.call("add_one", i)
    ctx.send(errand["to"], "say", "end")
    return errand["count"]


def countdown(ctx, left):
    """An activity an execution."""
    yield ctx.call("add_one", left)
    return Again(left - 1) if left > 1 else "done"


PROGRAMS = {f.__name__: f for f in (
    echo, chain, fan_out, nap, family, stubborn, listener, eternal, courier,
    countdown)}


# ---- Activities -------------------------------------------------------------

def add_one(value):
    return value + 1


def fail_before(what):
    attempt, failures = what
    if attempt < failures:
        raise TaskFailed(f"attempt {attempt}")
    return attempt


ACTIVITIES = {f.__name__: f for f in (add_one, fail_before)}
