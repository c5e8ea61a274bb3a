"""Calls through grpcurl: those that are over, and streams that stay open.

    answer = call(server, INSTANCES + "Get", {"instance_id": "room-1"})
    equal(answer.code, "NOT_FOUND")

    with OpenCall(server, ECHO + "Join", headers=["instance-id: room-1"]) as join:
        joined = join.message("joined")
        ...
        equal(join.status()[0], "UNAVAILABLE")
"""

import json
import re
import subprocess

import harness
from harness import GRPCURL, Failed, Program, equal, expect, grpcurl, wait_until

ECHO = "leasehold.v1.Echo/"
INSTANCES = "leasehold.v1.Instances/"


def documents(text):
    """The JSON objects that stand in `text`, whatever stands around them."""
    found, decoder = [], json.JSONDecoder()
    for start in re.finditer(r"^\{", text, re.M):
        try:
            found.append(decoder.raw_decode(text, start.start())[0])
        except ValueError:
            break  # The rest of it is on its way.
    return found


def status(result_code, error):
    """(code, message) of a grpcurl that has ended."""
    if result_code == 0:
        return "OK", ""
    found = re.search(r"^ERROR:\n  Code: (\w+)\n  Message: (.*)", error,
                      re.M | re.S)
    if not found:
        raise Failed(f"grpcurl: exit code {result_code}, {error!r}")
    code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", found.group(1)).upper()
    return {"CANCELED": "CANCELLED"}.get(code, code), found.group(2).strip()


def headers_in(text):
    """The response headers of ours that `grpcurl -v` has shown."""
    part = re.search(r"Response headers received:\n(.*?)\n\n", text + "\n\n", re.S)
    return dict(re.findall(r"^(instance-[\w-]+): (.*)$", part.group(1), re.M))


def request_of(request):
    """One message, or a list of them, as grpcurl reads them."""
    return "".join(json.dumps(message) for message in
                   (request if isinstance(request, list) else [request]))


def header_flags(headers):
    return [flag for header in headers for flag in ("-H", header)]


class Answer:
    """What a call got that is over: status, messages, headers."""

    def __init__(self, result):
        self.code, self.error = status(result.code, result.err)
        self.messages = documents(result.out)
        self.headers = headers_in(result.out) if self.code == "OK" else {}

    def __repr__(self):
        return f"{self.code} {self.error!r} {self.headers} {self.messages}"

    @property
    def message(self):
        equal(self.code, "OK", f"code of {self}")
        equal(len(self.messages), 1, f"messages of {self}")
        return self.messages[0]


def call(server, method, request=(), headers=()):
    """The Answer to one call; a stream has ended its requests."""
    return Answer(grpcurl("-v", *header_flags(headers), "-d",
                          request_of(request or {}), server.address, method))


def fails(server, code, method, request=(), headers=(), names=()):
    """The call fails so, with a message that names what is wrong."""
    answer = call(server, method, request, headers)
    equal(answer.code, code, f"code of {method} {request} {headers}: {answer}")
    harness.contains(answer.error, *names)


class OpenCall(Program):
    """A grpcurl whose call is open; `requests=None`: those that `send` sends.

    Its `-max-time` is for what hangs: no check holds a stream open so long.
    """

    def __init__(self, server, method, requests=(), headers=(), flags=()):
        interactive = requests is None
        data = "@" if interactive else request_of(requests or {})
        super().__init__(
            GRPCURL, "-plaintext", "-max-time", harness.PATIENCE_S, "-v", *flags,
            *header_flags(headers), "-d", data, server.address, method,
            stdin=subprocess.PIPE if interactive else subprocess.DEVNULL)

    @property
    def messages(self):
        return documents("\n".join(self.out))

    def headers(self):
        """The initial metadata, once it is there."""
        self.await_line("out", "Response headers received:")

        def complete():  # They come in alphabetical order.
            headers = headers_in("\n".join(self.out))
            last = ("instance-idle-timeout-ms" if "instance-created" in headers
                    else "instance-generation")
            return headers if last in headers else None
        return wait_until(complete, "the end of the headers")

    def send(self, *messages):
        self.say(request_of(list(messages)))

    def finish(self):
        """No more requests."""
        self.process.stdin.close()

    def await_messages(self, count):
        """The first `count` messages, once they are there."""
        def found():
            ended = self.ended()
            messages = self.messages
            expect(len(messages) >= count or not ended,
                   f"ended with {len(messages)} messages, not {count}: {self.err}")
            return messages[:count] if len(messages) >= count else None
        return wait_until(found, f"{count} messages")

    def await_message(self, matches, what):
        """The first message that `matches`, once it is there."""
        def found():
            ended = self.ended()
            message = next((m for m in self.messages if matches(m)), None)
            expect(message or not ended,
                   f"ended without {what}: {self.messages} {self.err}")
            return message
        return wait_until(found, what)

    def status(self):
        """(code, message), once it has ended."""
        if self.process.stdin and not self.process.stdin.closed:
            # The stream is over, but grpcurl ends once it has read all requests.
            self.await_line("out", "Response trailers received:")
            self.finish()
        return status(self.wait(), "\n".join(self.err))


# ---- What the server knows of a context --------------------------------------

def get(server, instance_id):
    return call(server, INSTANCES + "Get", {"instance_id": instance_id}).message


def listed(server):
    """All contexts, by ID."""
    answer = call(server, INSTANCES + "List", {"page_size": 1000})
    expect("next_page_token" not in answer.message, "more contexts than a page")
    return {i["instance_id"]: i for i in answer.message.get("instances", [])}


def pins(instance):
    return {p["kind"]: int(p["count"]) for p in instance.get("pins", [])}


def await_pins(server, instance_id, wanted):
    """The instance, once these and no others are its pins."""
    seen = {}

    def as_wanted():
        seen["last"] = get(server, instance_id)
        return seen["last"] if pins(seen["last"]) == wanted else None
    try:
        return wait_until(as_wanted, f"pins {wanted} of {instance_id}")
    except Failed as failed:
        raise Failed(f"{failed}; they are {seen}") from None


def seconds(duration):
    """`8.5s`, as JSON has a google.protobuf.Duration."""
    expect(duration.endswith("s"), f"no duration: {duration}")
    return float(duration[:-1])
