"""Policies for checks: who is who, and the tokens that they show.

    with Guarded(shop="acme: user, worker", report="globex: viewer") as server:
        answer = server.as_("shop").call("leasehold.v1.Echo/Echo", text="Apple")
        equal(server.as_("report").code("leasehold.v1.Echo/Echo"), "PERMISSION_DENIED")
"""

import json
import os
import queue
import signal

import grpc

import harness
from harness import Server, equal, temporary_folder
from sidecar import fill, load

FILES = {"durabletask/orchestrator_service.proto": ["TaskHubSidecarService"],
         **{f"leasehold/v1/{name.lower()}.proto": [f"leasehold.v1.{name}"]
            for name in ("Echo", "Instances", "Orchestration", "Entities", "Admin")},
         "grpc/health/v1/health.proto": ["grpc.health.v1.Health"]}

METHODS = {}  # By `leasehold.v1.Echo/Echo`.
MESSAGES = {}
for _file, _services in FILES.items():
    for _service in _services:
        _messages, _methods = load(_file, _service)
        for _name, _method in _methods.items():
            METHODS[f"{_service}/{_name}"] = _method
            MESSAGES[f"{_service}/{_name}"] = (
                _messages[_method.input_type.full_name],
                _messages[_method.output_type.full_name])

ROLES = ("viewer", "user", "worker", "operator")


class Caller:
    """Calls with the token of one identity; `connection` is shared if it is given."""

    def __init__(self, server, token, connection=None, metadata=()):
        self.channel = connection or server.channel()
        self.metadata = [*([("authorization", f"Bearer {token}")] if token else []),
                         *metadata]

    def with_metadata(self, *more):
        other = Caller.__new__(Caller)
        other.channel, other.metadata = self.channel, [*self.metadata, *more]
        return other

    def begin(self, method, _metadata=(), _timeout=harness.PATIENCE_S, _more=False,
              **fields):
        """grpc's call, under way. `_more`: it may send more requests than this one."""
        asked, answered = MESSAGES[method]
        request = fill(asked(), **fields)
        found = METHODS[method]
        kind = {(False, False): self.channel.unary_unary,
                (False, True): self.channel.unary_stream,
                (True, True): self.channel.stream_stream}[
                    found.client_streaming, found.server_streaming]
        stub = kind(f"/{method}", lambda message: message.SerializeToString(),
                    answered.FromString)
        metadata = [*self.metadata, *_metadata]
        if found.client_streaming:
            requests = queue.SimpleQueue()
            requests.put(request)
            if not _more:
                requests.put(None)
            return stub(iter(requests.get, None), metadata=metadata, timeout=_timeout)
        return (stub if found.server_streaming else stub.future)(
            request, metadata=metadata, timeout=_timeout)

    def call(self, method, _metadata=(), **fields):
        """The answer, or a list of them; a failure is grpc.RpcError."""
        begun = self.begin(method, _metadata, **fields)
        return list(begun) if METHODS[method].server_streaming else begun.result()

    def outcome(self, method, _metadata=(), **fields):
        """(code, message, the first answer or None)"""
        begun = self.begin(method, _metadata, **fields)
        first = None
        try:
            if METHODS[method].server_streaming:
                for first in begun:
                    break
                else:
                    return begun.code().name, begun.details(), None
                begun.cancel()
            else:
                first = begun.result()
            return "OK", "", first
        except grpc.RpcError as error:
            return error.code().name, error.details(), first

    def code(self, method, _metadata=(), **fields):
        return self.outcome(method, _metadata, **fields)[0]


class Guarded:
    """A server with a policy; identities are `NAME="TENANT: ROLE, ROLE"`."""

    def __init__(self, *flags, policy=None, **identities):
        self.flags = flags
        self.policy = {"tenants": {}, "identities": {}, "token_file": "tokens",
                       **(policy or {})}
        for name, what in identities.items():
            tenant, roles = what.split(": ")
            self.policy["tenants"].setdefault(tenant, {})
            self.policy["identities"][name] = {"tenant": tenant,
                                               "roles": roles.split(", ")}
        self.names = list(identities)

    def __enter__(self):
        self.folders = temporary_folder()
        self.folder = self.folders.__enter__()
        self.path = os.path.join(self.folder, "policy.json")
        self.write()
        open(os.path.join(self.folder, "tokens"), "w", encoding="utf-8").close()
        self.tokens = {name: self.new_token(name) for name in self.names}
        self.start()
        return self

    def __exit__(self, *what):
        self.stop(*what)
        self.folders.__exit__(*what)

    def start(self):
        stored = any(flag.startswith("--data=") for flag in self.flags)
        self.server = Server(f"--policy={self.path}",
                             *([] if stored else ["--store=memory"]), *self.flags)
        self.server.__enter__()
        self.channels = []

    def stop(self, *what):
        for channel in self.channels:
            channel.close()
        self.server.__exit__(*(what or (None, None, None)))

    def restart(self):
        """Another process, at another address: callers are made anew."""
        self.stop()
        self.start()

    def write(self):
        self.write_text(json.dumps(self.policy))

    def write_text(self, text):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(self.path + ".new", self.path)

    def reload(self, event="policy_changed"):
        """The server has read the files again, and logged `event`."""
        seen = sum(event in line for line in self.server.err)
        if event == "policy_changed":
            # It may have read them by itself just now, and would log nothing.
            with open(self.path, encoding="utf-8") as file:
                self.write_text(file.read() + "\n")
        self.server.send_signal(signal.SIGHUP)
        harness.wait_until(
            lambda: sum(event in line for line in self.server.err) > seen, event)

    def token_command(self, command, *arguments):
        return harness.run(harness.programs / "leasehold-server", "token", command,
                           f"--policy={self.path}", *arguments)

    def new_token(self, identity, *more):
        made = self.token_command("new", f"--identity={identity}", *more)
        equal(made.code, 0, f"exit code of {made}")
        return made.out.strip()

    @property
    def address(self):
        return self.server.address

    def channel(self):
        channel = grpc.insecure_channel(
            self.address, [("grpc.use_local_subchannel_pool", 1)])
        self.channels.append(channel)
        return channel

    def as_(self, name, connection=None):
        return Caller(self, self.tokens[name], connection)

    def with_token(self, token, connection=None):
        return Caller(self, token, connection)
