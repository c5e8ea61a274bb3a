"""The Durable Task sidecar protocol, spoken raw: what tests of our own say and hear.

    sidecar = Sidecar(server)
    with sidecar.worker() as worker:
        sidecar.start("hello", '"world"', id="a-1")
        turn = worker.turn()
        equal(turn.new, ["OS", "executionStarted"])
        turn.complete(schedule_task(1, "greet", '"world"'))
        worker.activity().complete('"Hello, world"')
        turn = worker.turn()
        equal(turn.past, ["OS", "executionStarted", "taskScheduled 1"])
        equal(turn.new, ["OS", "taskCompleted 1"])
        turn.complete(complete(2, '"Hello, world"'))
    equal(sidecar.wait_for_completion("a-1")["orchestrationStatus"], "COMPLETED")

Requests are made from plain values, and answers are plain values (`fill`, `plain`): a
wrapper is what it wraps, and absent is not there; a time is nanoseconds since 1970; a
status is its name without the prefix. Payloads are JSON text that nobody reads.
Whatever a request has fields for can be said by name:
`sidecar.start("hello", version="2")`, `turn.complete(..., numEventsProcessed=1)`.

The messages are those of our own .proto, in a descriptor pool of their own: an SDK
that is loaded in the same process has messages of the same names.
"""

import atexit
import os
import pathlib
import queue
import tempfile
import threading
import time

# Its remarks would stand among ours; and what is forked here is another program at once.
os.environ.update(GRPC_VERBOSITY="NONE", GRPC_ENABLE_FORK_SUPPORT="0")

import grpc
import grpc_tools.protoc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import harness
from harness import Failed, equal, expect

FILE = "durabletask/orchestrator_service.proto"
SERVICE = "TaskHubSidecarService"


def load(file_name, service):
    """(the messages by name, the methods by name) of a contract in proto/"""
    with tempfile.TemporaryDirectory() as folder:
        result = pathlib.Path(folder) / "set"
        known = pathlib.Path(grpc_tools.protoc.__file__).parent / "_proto"
        code = grpc_tools.protoc.main([
            "protoc", f"--proto_path={harness.ROOT / 'proto'}",
            f"--proto_path={known}", "--include_imports",
            f"--descriptor_set_out={result}", file_name])
        equal(code, 0, f"exit code of protoc for {file_name}")
        files = descriptor_pb2.FileDescriptorSet.FromString(result.read_bytes()).file
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.Add(file)
    messages = message_factory.GetMessageClassesForFiles([f.name for f in files], pool)
    return messages, pool.FindServiceByName(service).methods_by_name


MESSAGES, METHODS = load(FILE, SERVICE)

# ---- Plain values and messages ----------------------------------------------

TIMES = ("google.protobuf.Timestamp", "google.protobuf.Duration")


def _prefix(enum):
    return enum.values[0].name.rsplit("_", 1)[0] + "_"


def _is_map(field):
    return field.message_type and field.message_type.GetOptions().map_entry


def fill(message, **fields):
    """The message, with these plain values in its fields; None says nothing."""
    for name, value in fields.items():
        field = message.DESCRIPTOR.fields_by_name.get(name)
        expect(field, f"{message.DESCRIPTOR.name} has no field {name!r}")
        if value is None:
            continue
        if field.label == field.LABEL_REPEATED:
            if _is_map(field):
                for key, item in value.items():
                    if field.message_type.fields_by_name["value"].message_type:
                        _fill_one(getattr(message, name)[key], item)
                    else:
                        getattr(message, name)[key] = item
                continue
            for item in value:
                if not field.message_type:
                    getattr(message, name).append(_number(field, item))
                else:
                    _fill_one(getattr(message, name).add(), item)
        elif field.message_type:
            getattr(message, name).SetInParent()
            _fill_one(getattr(message, name), value)
        else:
            setattr(message, name, _number(field, value))
    return message


def _number(field, value):
    if field.enum_type and isinstance(value, str):
        return field.enum_type.values_by_name[_prefix(field.enum_type) + value].number
    return value


def _fill_one(message, value):
    if isinstance(value, dict):
        fill(message, **value)
    elif message.DESCRIPTOR.full_name in TIMES:
        message.FromNanoseconds(value)
    elif hasattr(value, "DESCRIPTOR"):
        message.CopyFrom(value)
    else:
        message.value = value  # A wrapper.


def plain(message):
    """The plain values that are in a message; of a wrapper or a time, the value."""
    kind = message.DESCRIPTOR
    if kind.full_name in TIMES:
        return message.ToNanoseconds()
    if kind.file.name == "google/protobuf/wrappers.proto":
        return message.value
    return {f.name: _plain_field(f, getattr(message, f.name)) for f in kind.fields
            if (message.HasField(f.name) if f.has_presence
                else f.enum_type or getattr(message, f.name))}


def _plain_field(field, value):
    def one(item):
        if field.enum_type:
            return field.enum_type.values_by_number[item].name.removeprefix(
                _prefix(field.enum_type))
        return plain(item) if field.message_type else item
    if field.label != field.LABEL_REPEATED:
        return one(value)
    if _is_map(field):
        return {key: plain(item) if hasattr(item, "DESCRIPTOR") else item
                for key, item in value.items()}
    return [one(item) for item in value]


def kind_of(message):
    """Which of its oneof it is: `taskCompleted`, ..."""
    return message.WhichOneof(message.DESCRIPTOR.oneofs[0].name)


def brief(event):
    """`taskCompleted 1`: the kind of an event and what it is about, as in a trace."""
    kind = kind_of(event)
    if kind == "orchestratorStarted":
        return "OS"
    body = getattr(event, kind)
    if kind == "eventRaised":
        return f"eventRaised {body.name}"
    for name in ("taskScheduledId", "timerId"):
        if name in body.DESCRIPTOR.fields_by_name:
            return f"{kind} {getattr(body, name)}"
    return kind if event.eventId == -1 else f"{kind} {event.eventId}"


def now(seconds=0):
    """Nanoseconds since 1970, so many seconds from now."""
    return time.time_ns() + int(seconds * 1e9)


# ---- Actions: the answer to a turn ------------------------------------------

def action(id, **which):
    """`action(1, createTimer={"fireAt": now(2)})`"""
    return fill(MESSAGES["OrchestratorAction"](), id=id, **which)


def schedule_task(id, name, input=None, **more):
    return action(id, scheduleTask=dict(name=name, input=input, **more))


def create_timer(id, fire_at):
    return action(id, createTimer=dict(fireAt=fire_at))


def create_child(id, name, input=None, child="", **more):
    return action(id, createSubOrchestration=dict(
        name=name, input=input, instanceId=child, **more))


def send_event(id, to, name, data=None):
    return action(id, sendEvent=dict(instance=dict(instanceId=to), name=name, data=data))


def terminate(id, instance, reason=None, recurse=False):
    return action(id, terminateOrchestration=dict(
        instanceId=instance, reason=reason, recurse=recurse))


def complete(id, result=None, status="COMPLETED", **more):
    return action(id, completeOrchestration=dict(
        orchestrationStatus=status, result=result, **more))


def fail(id, error_type, message, **more):
    return complete(id, status="FAILED", failureDetails=failure(
        error_type, message), **more)


def continue_as_new(id, input=None, carryover=(), **more):
    """`carryover`: events of the turn, such as `turn.request.newEvents[2]`."""
    return complete(id, input, "CONTINUED_AS_NEW", carryoverEvents=carryover, **more)


def failure(error_type, message, **more):
    return dict(errorType=error_type, errorMessage=message, **more)


# ---- A client ---------------------------------------------------------------

class Sidecar:
    """A client, and the workers on its connection; of a Server or an address.

    `impatient`: looks for a server that is gone every few milliseconds.
    `receive_limit`: how many bytes a message may have that it takes, or -1.
    """

    def __init__(self, server, impatient=False, receive_limit=-1):
        self.channel = grpc.insecure_channel(
            getattr(server, "address", server),
            [("grpc.max_receive_message_length", receive_limit),
             ("grpc.use_local_subchannel_pool", 1)]  # A connection of its own.
            + impatient * [("grpc.initial_reconnect_backoff_ms", 100),
                           ("grpc.min_reconnect_backoff_ms", 100),
                           ("grpc.max_reconnect_backoff_ms", 100)])
        self.stubs = {}
        atexit.register(self.channel.close)

    def _stub(self, method):
        if method.name not in self.stubs:
            self.stubs[method.name] = (
                self.channel.unary_stream if method.server_streaming
                else self.channel.unary_unary)(
                f"/{SERVICE}/{method.name}", lambda message: message.SerializeToString(),
                MESSAGES[method.output_type.full_name].FromString)
        return self.stubs[method.name]

    def call(self, method, _timeout=harness.PATIENCE_S, **fields):
        """Any method; its answer as it is, or a stream of them."""
        method = METHODS[method]
        request = fill(MESSAGES[method.input_type.full_name](), **fields)
        return self._stub(method)(request, timeout=_timeout)

    def begin(self, method, _timeout=harness.PATIENCE_S, **fields):
        """The same, under way: grpc's future of the answer."""
        method = METHODS[method]
        request = fill(MESSAGES[method.input_type.full_name](), **fields)
        call = self._stub(method).future(request, timeout=_timeout)
        call.add_done_callback(lambda _: None)  # Else it is cancelled once forgotten.
        return call

    def start(self, name, input=None, id="", start_at=None, replaceable=None, **more):
        """The instance's id."""
        policy = None if replaceable is None else dict(replaceableStatus=replaceable)
        return self.call("StartInstance", name=name, input=input, instanceId=id,
                         scheduledStartTimestamp=start_at,
                         orchestrationIdReusePolicy=policy, **more).instanceId

    def _state(self, method, id, payloads=True, timeout=harness.PATIENCE_S):
        answer = self.call(method, timeout, instanceId=id, getInputsAndOutputs=payloads)
        equal(answer.exists, answer.HasField("orchestrationState"), "exists")
        return plain(answer.orchestrationState) if answer.exists else None

    def get(self, id, **options):
        """Its state, or None if it does not exist."""
        return self._state("GetInstance", id, **options)

    def wait_for_start(self, id, **options):
        return self._state("WaitForInstanceStart", id, **options)

    def wait_for_completion(self, id, **options):
        return self._state("WaitForInstanceCompletion", id, **options)

    def status(self, id):
        state = self.get(id)
        return state and state["orchestrationStatus"]

    def raise_event(self, id, name, input=None):
        self.call("RaiseEvent", instanceId=id, name=name, input=input)

    def suspend(self, id, reason=None):
        self.call("SuspendInstance", instanceId=id, reason=reason)

    def resume(self, id, reason=None):
        self.call("ResumeInstance", instanceId=id, reason=reason)

    def terminate(self, id, output=None, recursive=False):
        self.call("TerminateInstance", instanceId=id, output=output, recursive=recursive)

    def purge(self, *ids, filter=None, recursive=False):
        """How many are gone: of one id, of several, or of a filter."""
        which = (dict(purgeInstanceFilter=filter) if filter is not None
                 else dict(instanceId=ids[0]) if len(ids) == 1
                 else dict(instanceBatch=dict(instanceIds=ids)))
        return self.call("PurgeInstances", recursive=recursive,
                         **which).deletedInstanceCount

    def query_page(self, **query):
        """(states, token of the next page or None)"""
        answer = plain(self.call("QueryInstances", query=query))
        return answer.get("orchestrationState", []), answer.get("continuationToken")

    def query(self, **query):
        """The states of all pages."""
        found, token = self.query_page(**query)
        while token is not None:
            page, token = self.query_page(**{**query, "continuationToken": token})
            found += page
        return found

    def list_ids(self, **filters):
        """The ids of all pages."""
        found, key = [], ""
        while key is not None:
            answer = plain(self.call("ListInstanceIds", lastInstanceKey=key, **filters))
            found += answer.get("instanceIds", [])
            key = answer.get("lastInstanceKey")
        return found

    def history(self, id, **options):
        """The events, all chunks."""
        return [event for chunk in self.call("StreamInstanceHistory", instanceId=id,
                                             **options) for event in chunk.events]

    def worker(self, **options):
        return Worker(self, **options)


def refused(code, call, *args, **kwargs):
    """The call fails so; the text of its error."""
    try:
        answer = call(*args, **kwargs)
    except grpc.RpcError as error:
        equal(error.code().name, code, f"code of {error.details()!r}")
        return error.details()
    raise Failed(f"wanted {code}, got {answer!r}")


# ---- A worker ---------------------------------------------------------------

class Worker:
    """A stream of work, answered by hand.

    with sidecar.worker(activities=1, filters={"orchestrations": [{"name": "a"}]}) as w:
        item = w.next()    or w.turn(), w.activity(), w.batch() if it must be that

    `on_item` is called with each item as it arrives, on a thread of the worker's.
    """

    def __init__(self, sidecar, turns=0, activities=0, batches=0, capabilities=(),
                 filters=None, on_item=lambda item: None, **more):
        self.sidecar, self.on_item = sidecar, on_item
        self.request = dict(
            maxConcurrentOrchestrationWorkItems=turns,
            maxConcurrentActivityWorkItems=activities,
            maxConcurrentEntityWorkItems=batches,
            capabilities=capabilities, workItemFilters=filters, **more)
        self.pings = 0
        self.code = None  # How the stream ended.

    def __enter__(self):
        self.items = queue.Queue()
        self.stream = self.sidecar.call("GetWorkItems", None, **self.request)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def __exit__(self, *_):
        self.stream.cancel()
        self.reader.join()

    def _read(self):
        try:
            for item in self.stream:
                kind = kind_of(item)
                if kind == "healthPing":
                    self.pings += 1
                else:
                    item = KINDS.get(kind, Item)(self.sidecar, item, kind)
                    self.on_item(item)
                    self.items.put(item)
            self.code = "OK"
        except grpc.RpcError as error:
            self.code = error.code().name
        self.items.put(None)

    def next(self, timeout=harness.PATIENCE_S):
        """The next item, whatever it is; None once the stream has ended."""
        try:
            return self.items.get(timeout=timeout)
        except queue.Empty:
            raise Failed(f"no work for {timeout} s") from None

    def _next(self, kind):
        item = self.next()
        expect(isinstance(item, kind), f"wanted a {kind.__name__}, got {item!r} "
                                       f"(the stream: {self.code or 'open'})")
        return item

    def turn(self):
        return self._next(Turn)

    def activity(self):
        return self._next(Activity)

    def batch(self):
        return self._next(Batch)

    def take(self, count):
        """So many items, whatever comes."""
        return [self.next() for _ in range(count)]

    def quiet(self, seconds=0.3):
        """Nothing comes for so long."""
        try:
            item = self.items.get(timeout=seconds)
        except queue.Empty:
            return
        raise Failed(f"wanted no work, got {item!r}")

    def ended(self):
        """The code that the stream ended with, once it has."""
        item = self.next()
        expect(item is None, f"wanted the stream's end, got {item!r}")
        return self.code


class Item:
    """A piece of work: `request` as it came, `token`, `id` of the instance."""

    abandon_method = None

    def __init__(self, sidecar, item, kind):
        self.sidecar, self.token = sidecar, item.completionToken
        self.request = getattr(item, kind)

    def __repr__(self):
        return f"{type(self).__name__} {self.token}: {self.request}"

    def abandon(self):
        self.sidecar.call(self.abandon_method, completionToken=self.token)


class Turn(Item):
    abandon_method = "AbandonTaskOrchestratorWorkItem"

    @property
    def id(self):
        return self.request.instanceId

    @property
    def execution(self):
        return self.request.executionId.value

    @property
    def past(self):
        """["OS", "executionStarted", "taskScheduled 1"]"""
        return [brief(event) for event in self.request.pastEvents]

    @property
    def new(self):
        return [brief(event) for event in self.request.newEvents]

    def event(self, name):
        """The new event that is so in brief, its body as plain values."""
        found = next((e for e in self.request.newEvents if brief(e) == name), None)
        expect(found, f"no new event {name!r}: {self.new}")
        return plain(getattr(found, kind_of(found)))

    def complete(self, *actions, custom_status=None, token=None, **more):
        """Commits the turn; `token=""`: as workers do that return none."""
        self.sidecar.call(
            "CompleteOrchestratorTask", instanceId=self.id, actions=actions,
            customStatus=custom_status,
            completionToken=self.token if token is None else token, **more)


class Activity(Item):
    abandon_method = "AbandonTaskActivityWorkItem"

    @property
    def id(self):
        return self.request.orchestrationInstance.instanceId

    @property
    def name(self):
        return self.request.name

    @property
    def input(self):
        return plain(self.request).get("input")

    @property
    def task_id(self):
        return self.request.taskId

    def complete(self, result=None, token=None, **more):
        self.sidecar.call(
            "CompleteActivityTask", instanceId=self.id, taskId=self.task_id,
            result=result, completionToken=self.token if token is None else token,
            **more)

    def fail(self, error_type, message, **more):
        self.complete(failureDetails=failure(error_type, message, **more))


class Batch(Item):
    """Operations on an entity."""

    abandon_method = "AbandonTaskEntityWorkItem"

    @property
    def id(self):
        return self.request.instanceId

    @property
    def execution(self):
        return self.request.executionId

    @property
    def state(self):
        return plain(self.request).get("entityState")

    @property
    def operations(self):
        """[("entityOperationCalled", {"operation": "add", ...}), ...]"""
        return [(kind_of(event), plain(getattr(event, kind_of(event))))
                for event in self.request.operationRequests]

    def complete(self, *results, state=None, actions=(), **more):
        """A result each operation: its text, or what `failure` makes."""
        self.sidecar.call(
            "CompleteEntityTask", entityState=state, actions=actions,
            completionToken=self.token, results=[
                dict(failure=dict(failureDetails=r)) if isinstance(r, dict)
                else dict(success=dict(result=r)) for r in results], **more)


KINDS = {"orchestratorRequest": Turn, "activityRequest": Activity,
         "entityRequestV2": Batch}
