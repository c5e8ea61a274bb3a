"""A14: bounds and timeouts of the contexts, as they show from outside."""

import contextlib
import threading

from grpc_calls import ECHO, INSTANCES, OpenCall, call, get, listed
from harness import (Server, check, contains, equal, expect, grpcurl, refused,
                     wait_until)
from raw_http2 import decode_bin, decode_echo_response


def retry_delay(connection, number):
    """Of the google.rpc.RetryInfo in the status of a call that is over, in s."""
    status = connection.streams[number].first("grpc-status-details-bin")
    expect(status, "no details")
    details = decode_echo_response(decode_bin(status))  # Fields by number.
    equal(details[1], 8, "code in the details")  # RESOURCE_EXHAUSTED
    detail = decode_echo_response(details[3])
    equal(detail[1], b"type.googleapis.com/google.rpc.RetryInfo", "kind of detail")
    delay = decode_echo_response(decode_echo_response(detail[2])[1])
    return delay.get(1, 0) + delay.get(2, 0) / 1e9


def refused_with_retry(connection, instance_id):
    number = connection.start([("instance-id", instance_id)])
    answer = connection.finish(number)
    equal(answer.code, "RESOURCE_EXHAUSTED", f"code of {answer}")
    contains(answer.message, "--max-contexts", instance_id)
    expect(0 < retry_delay(connection, number) <= 60, "when to try again")


def idle_timeout(server, *args, **kwargs):
    answer = call(server, INSTANCES + "Create", *args, **kwargs).message
    return answer["instance"]["idle_timeout"]


@check("A14.1 with eviction, 2,000 IDs fit into --max-contexts=1000: every call succeeds, "
       "and a thousand stay")
def _():
    with Server("--max-contexts=1000", "--console") as server:
        connection = server.connect()
        for i in range(2000):
            answer = connection.echo(f"room-{i}")
            equal((answer.code, answer.sequence), ("OK", 1), f"{answer}")
        # An evicted one may be on its way out still.
        wait_until(lambda: sum(x.startswith("context removed")
                               for x in server.out) >= 1000, "a thousand to go")
        live = listed(server)
        equal(len(live), 1000, "contexts")
        removed = [x for x in server.out if x.startswith("context removed")]
        equal(len(removed), 1000, "evicted ones")
        expect(all(x.endswith("evicted") for x in removed), f"{removed[:3]}")


@check("A14.2 eviction takes idle ones only: busy ones stay, whatever comes")
def _():
    with Server("--max-contexts=1000") as server, contextlib.ExitStack() as stack:
        kept = {}
        for i, (method, requests) in enumerate((
                (INSTANCES + "Hold", {}), (ECHO + "Join", {}),
                (ECHO + "EchoStream", None))):
            stream = stack.enter_context(OpenCall(
                server, method, requests, [f"instance-id: held-{i}"]))
            stream.headers()
            kept[f"held-{i}"] = get(server, f"held-{i}")["generation"]
        connection = server.connect()
        for i in range(2000):
            equal(connection.echo(f"room-{i}").code, "OK", f"call {i}")
        live = listed(server)
        equal({i: live[i]["generation"] for i in kept}, kept, "the held ones")


@check("A14.3 when all are busy there is nothing to evict: RESOURCE_EXHAUSTED with "
       "RetryInfo")
def _():
    with Server("--max-contexts=2") as server:
        slow = server.connect()
        numbers = [slow.occupy(f"room-{i}") for i in range(2)]
        for number in numbers:
            expect(slow.in_flight(number), "a stream has ended")
        refused_with_retry(server.connect(), "room-2")
        equal(call(server, INSTANCES + "Hold", {"instance_id": "room-2"}).code,
              "RESOURCE_EXHAUSTED", "code of a Hold")
        equal(slow.leave(numbers[0]).code, "OK", "code of the first")
        # That one is idle now, so there is room.
        connection = server.connect()
        wait_until(lambda: connection.echo("room-2").code == "OK", "room")
        equal(set(listed(server)), {"room-1", "room-2"}, "contexts")


@check("A14.4 without eviction the 1,001st gets RESOURCE_EXHAUSTED with RetryInfo, and no "
       "context is lost")
def _():
    with Server("--max-contexts=1000", "--evict-idle=off") as server:
        connection = server.connect()
        made = [connection.echo(f"room-{i}") for i in range(1000)]
        equal({a.code for a in made}, {"OK"}, "codes")
        for i in range(1000, 2000):
            refused_with_retry(connection, f"room-{i}")
        for i, first in enumerate(made):
            answer = connection.echo(f"room-{i}")
            equal((answer.generation, answer.sequence), (first.generation, 2),
                  f"room-{i}")
        for method in ("Create", "Hold"):
            answer = call(server, INSTANCES + method, {"instance_id": "room-x"})
            equal(answer.code, "RESOURCE_EXHAUSTED", f"code of {method}")
        for method in ("Join", "EchoStream"):
            answer = call(server, ECHO + method, {}, ["instance-id: room-x"])
            equal(answer.code, "RESOURCE_EXHAUSTED", f"code of {method}")
        call(server, INSTANCES + "Release", {"instance_id": "room-7"}).message
        equal(connection.echo("room-x").code, "OK", "code once there is room")
        refused_with_retry(connection, "room-y")


@check("A14.5 a full server has room again once a lease ends")
def _():
    with Server("--max-contexts=3", "--evict-idle=off",
                "--idle-timeout=500ms") as server:
        connection = server.connect()
        for i in range(3):
            equal(connection.echo(f"room-{i}").code, "OK", "code")
        # Their leases end one after the other.
        for i in range(3, 6):
            wait_until(lambda i=i: connection.echo(f"room-{i}").code == "OK", "room")


@check("A14.6 --evict-idle accepts false and off, also in the environment")
def _():
    for flags, env, full in ((["--evict-idle=false"], {}, True),
                             ([], {"LEASEHOLD_EVICT_IDLE": "off"}, True),
                             (["--evict-idle=on"], {"LEASEHOLD_EVICT_IDLE": "off"},
                              False),
                             (["--evict-idle"], {}, False), ([], {}, False)):
        with Server("--max-contexts=1", *flags, env=env) as server:
            connection = server.connect()
            equal(connection.echo("room-1").code, "OK", "code")
            equal(connection.echo("room-2").code,
                  "RESOURCE_EXHAUSTED" if full else "OK", f"code with {flags} {env}")


@check("A14.7 many callers at the bound: none fails while eviction makes room")
def _():
    with Server("--max-contexts=50") as server:
        codes = []

        def call_many(caller):
            connection = server.connect()
            for i in range(1000):
                codes.append(connection.echo(f"room-{caller}-{i % 100}").code)
        callers = [threading.Thread(target=call_many, args=(i,)) for i in range(8)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        equal((set(codes), len(codes)), ({"OK"}, 8000), "codes, calls")
        wait_until(lambda: len(listed(server)) <= 50, "evicted contexts to go")
        server.lives()


@check("A14.8 each service may have its idle timeout; a context has the longest of those "
       "that used it")
def _():
    with Server("--idle-timeout=20s,echo=60s") as server:
        def timeout():
            return get(server, "room-1")["idle_timeout"]
        equal(idle_timeout(server, {"instance_id": "room-1"}), "20s", "of Create")
        answer = server.connect().echo("room-2")
        equal(answer.header("instance-idle-timeout-ms"), "60000", "of Echo")
        server.connect().echo("room-1")
        equal(timeout(), "60s", "after an Echo")
        equal(idle_timeout(server, {"instance_id": "room-1"}), "60s",
              "after another Create")
    with Server("--idle-timeout=60s,echo=20s") as server:
        equal(idle_timeout(server, {"instance_id": "room-1"}), "60s", "of Create")
        server.connect().echo("room-1")
        equal(get(server, "room-1")["idle_timeout"], "60s", "after an Echo")


@check("A14.9 a caller that chose an idle timeout keeps it, whichever service is used later")
def _():
    with Server("--idle-timeout=20s,echo=60s") as server:
        equal(idle_timeout(server, {"instance_id": "room-1", "idle_timeout": "30s"}),
              "30s", "of Create")
        connection = server.connect()
        connection.echo("room-1")
        equal(get(server, "room-1")["idle_timeout"], "30s", "after an Echo")
        connection.echo("room-2", headers=[("instance-idle-timeout", "10s")])
        connection.echo("room-2")
        equal(get(server, "room-2")["idle_timeout"], "10s", "after an Echo")
        call(server, INSTANCES + "SetIdleTimeout",
             {"instance_id": "room-2", "idle_timeout": "15s"}).message
        connection.echo("room-2")
        equal(get(server, "room-2")["idle_timeout"], "15s", "after an Echo")


@check("A14.10 timeouts of services come from the environment too; wrong ones are refused")
def _():
    with Server(env={"LEASEHOLD_IDLE_TIMEOUT": "30s,echo=40s"}) as server:
        equal(idle_timeout(server, {"instance_id": "room-1"}), "30s", "of Create")
        equal(server.connect().echo("room-2").header("instance-idle-timeout-ms"),
              "40000", "of Echo")
    refused("--idle-timeout=20s,orchestra=60s", names=("orchestra", "echo"))
    refused("--idle-timeout=20s,echo=soon", names=("soon", "500ms"))
    refused("--idle-timeout=20s,echo", names=("--idle-timeout",))
    refused("--idle-timeout=20s,echo=1ms", names=("echo", "--min-idle-timeout"))
    refused("--idle-timeout=20s,echo=48h", names=("echo", "--max-idle-timeout"))


@check("A14.11 --detach-timeout and --user-threads: any sensible value serves, closes and "
       "drains")
def _():
    for flags in (["--detach-timeout=10ms"], ["--detach-timeout=1h"],
                  ["--user-threads=1"], ["--user-threads=64"]):
        with Server("--idle-timeout=50ms", "--console", *flags) as server:
            connection = server.connect()
            for i in range(200):
                equal(connection.echo(f"room-{i}").code, "OK", f"code with {flags}")
            wait_until(lambda: sum(x.startswith("context removed")
                                   for x in server.out) >= 200, "all leases to end")
            equal(server.end(), 0, f"exit code with {flags}")
    refused("--detach-timeout=0s", names=("--detach-timeout", "0s"))
    refused("--user-threads=0", names=("--user-threads", "0"))


@check("A14.12 grpcurl shows when to try again")
def _():
    with Server("--max-contexts=1", "--evict-idle=off") as server:
        server.connect().echo("room-1")
        result = grpcurl("-d", "{}", server.address, ECHO + "Echo")
        contains(result.err, "ResourceExhausted", "google.rpc.RetryInfo")
