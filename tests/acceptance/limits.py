"""A46: what a tenant may do and have at once, and the record of who did what."""

import json
import os
import signal

import grpc

from harness import check, contains, equal, expect, refused, temporary_folder, wait_until
from policies import Caller, Guarded

ECHO = "leasehold.v1.Echo/Echo"
START = "leasehold.v1.Orchestration/Start"
LIST = "leasehold.v1.Instances/List"
SIDECAR = "TaskHubSidecarService"
WAIT = "leasehold.v1.Orchestration/WaitForCompletion"


def room(instance_id):
    return [("instance-id", instance_id)]


def limited(*flags, **limits):
    """acme with these limits, and globex with none."""
    return Guarded(*flags, policy={"tenants": {"acme": limits, "globex": {}}},
                   acme="acme: user, worker, operator", globex="globex: user, worker")


def trailers(caller, method, metadata=(), **fields):
    """(code, message, trailing metadata) of a unary call."""
    call = caller.begin(method, metadata, **fields)
    try:
        call.result()
    except grpc.RpcError:
        pass
    return call.code().name, call.details(), dict(call.trailing_metadata())


@check("A46.1 a rate: what is too much is refused with limit, number and when to retry")
def _():
    with limited(calls_per_second=5, starts_per_second=0.01) as server:
        acme, globex = server.as_("acme"), server.as_("globex")
        codes = [acme.code(ECHO, room("a")) for _ in range(40)]
        expect(codes[:5] == ["OK"] * 5, f"codes: {codes}")
        expect("RESOURCE_EXHAUSTED" in codes, f"codes: {codes}")
        equal([globex.code(ECHO, room("a")) for _ in range(40)], ["OK"] * 40,
              "codes of the other tenant")
        expect("RESOURCE_EXHAUSTED" in [acme.code(
            "leasehold.v1.Instances/Hold", instance_id=f"h-{i}", _timeout=1)
            for i in range(10)], "holds have no rate")
        # Each class has its own.
        equal(acme.code(LIST), "OK", "code of a read")
        equal(acme.code(START, name="Ping", instance_id="a"), "OK", "code of a start")
        code, message, trailing = trailers(acme, START, name="Ping", instance_id="b")
        equal(code, "RESOURCE_EXHAUSTED", "code")
        contains(message, "starts_per_second", "0.01")
        expect(1000 < int(trailing["grpc-retry-pushback-ms"]) <= 100_000,
               f"trailing metadata: {trailing}")
        contains(repr(trailing["grpc-status-details-bin"]), "google.rpc.RetryInfo")
        equal(acme.code("leasehold.v1.Orchestration/Get", instance_id="b"), "NOT_FOUND",
              "code: nothing was done")


@check("A46.2 what stays open is counted, and free when it ends, however it does")
def _():
    with limited(watches=2, streams=2, waits=2, workers=1) as server:
        acme, globex = server.as_("acme"), server.as_("globex")
        for method, limit, fields in (
                ("leasehold.v1.Instances/Watch", "watches", {}),
                ("leasehold.v1.Echo/Join", "streams", {}),
                ("TaskHubSidecarService/GetWorkItems", "workers", {})):
            count = 1 if limit == "workers" else 2
            own = server.channel()  # One that goes away.
            streams = [Caller(server, server.tokens["acme"], own).begin(
                method, room("a"), **fields) for _ in range(count)]
            for stream in streams:
                stream.initial_metadata()  # It has come.
            code, message, _ = acme.outcome(method, room("a"), _timeout=0.5)
            equal(code, "RESOURCE_EXHAUSTED", f"code of {method}")
            contains(message, f"the limit {limit} ", f"is {count}")
            expect(globex.code(method, room("a"), _timeout=0.5)
                   in ("OK", "DEADLINE_EXCEEDED"), "another tenant is refused")
            streams[0].cancel()
            wait_until(lambda m=method: acme.code(m, room("a"), _timeout=0.5)
                       != "RESOURCE_EXHAUSTED", f"a free place of {limit}")
            own.close()
            wait_until(lambda m=method: acme.code(m, room("a"), _timeout=0.5)
                       != "RESOURCE_EXHAUSTED", f"all places of {limit}")
        # An entity's answer is waited for, too; a hold is a call that makes a context.
        acme.call("leasehold.v1.Entities/Signal", instance_id="@nobody@a", operation="x")
        calls = [acme.begin("leasehold.v1.Entities/Call", instance_id="@nobody@a",
                            operation="x", _timeout=2) for _ in range(5)]
        codes = sorted(one.code().name for one in calls)
        equal(codes, 2 * ["DEADLINE_EXCEEDED"] + 3 * ["RESOURCE_EXHAUSTED"], "codes")
        acme.call(START, name="Nobody", instance_id="waits")
        waiting = [acme.begin(WAIT, instance_id="waits", _timeout=3) for _ in range(2)]
        wait_until(lambda: acme.code(WAIT, instance_id="waits", _timeout=0.2)
                   == "RESOURCE_EXHAUSTED", "the limit of waits")
        for one in waiting:
            equal(one.code().name, "DEADLINE_EXCEEDED", "code of a wait in the limit")


@check("A46.3 contexts: one too many does not open; what has gone makes room")
def _():
    with limited("--idle-timeout=60s", contexts=3) as server:
        acme, globex = server.as_("acme"), server.as_("globex")
        for name in "abc":
            equal(acme.code(ECHO, room(name)), "OK", "code")
        code, message, _ = acme.outcome(ECHO, room("d"))
        equal(code, "RESOURCE_EXHAUSTED", "code")
        contains(message, "the limit contexts", "3")
        equal(acme.code(ECHO, room("a")), "OK", "code of one that is there")
        for name in "abcdef":
            equal(globex.code(ECHO, room(name)), "OK", "code of the other tenant")
        acme.call("leasehold.v1.Instances/Release", instance_id="a", force=True)
        wait_until(lambda: acme.code(ECHO, room("d")) == "OK", "room for another")
        equal(sorted(i.instance_id for i in acme.call(LIST).instances), ["b", "c", "d"],
              "rooms")


@check("A46.4 limits that change count at once, and what is used stays used")
def _():
    with limited(streams=1) as server:
        acme = server.as_("acme")
        stream = acme.begin("leasehold.v1.Echo/Join", room("a"))
        next(stream)
        server.policy["tenants"]["acme"] = {"streams": 2}
        server.write()
        server.reload()
        second = acme.begin("leasehold.v1.Echo/Join", room("a"))
        next(second)
        equal(acme.code("leasehold.v1.Echo/Join", room("a"), _timeout=0.5),
              "RESOURCE_EXHAUSTED", "code of the third")
        second.cancel()
        stream.cancel()
        for limits, why in (({"streams": 0}, "above 0"), ({"streams": 1.5}, "whole number"),
                            ({"reads_per_second": "x"}, "number above 0"),
                            ({"reads": 1}, '"reads"')):
            server.policy["tenants"]["acme"] = limits
            server.write()
            refused(f"--policy={server.path}", names=["tenants.acme", why])


def audited(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@check("A46.5 the audit log: who changed what, and who was refused; no payloads")
def _():
    with temporary_folder() as folder:
        path = f"{folder}/audit.jsonl"
        with Guarded(f"--audit-log={path}", shop="acme: user", ops="acme: operator",
                     report="acme: viewer") as server:
            shop, ops, report = (server.as_(n) for n in ("shop", "ops", "report"))
            shop.call(START, name="Nobody", instance_id="c", input='"s3cr3t"')
            shop.call("leasehold.v1.Orchestration/RaiseEvent", instance_id="c",
                      name="operation", input='"s3cr3t"')
            shop.call(ECHO, room("r"), text="s3cr3t")
            shop.call(LIST)
            report.code(START, name="Nobody", instance_id="d")
            Caller(server, "wrong").code(LIST)
            ops.code("leasehold.v1.Orchestration/Purge", room("c"))
            shop.code("leasehold.v1.Instances/Release", room("r"), force=True)
            ops.call("leasehold.v1.Instances/Release", room("r"), force=True)
            started = shop.call(START, name="Nobody").instance_id
            shop.call("leasehold.v1.Entities/Signal", instance_id="@nobody@a",
                      operation="s3cr3t")
            ops.code("TaskHubSidecarService/PurgeInstances", room("innocent"),
                     instanceBatch={"instanceIds": ["x-1", "x-2"]})
            shop.code("leasehold.v1.Orchestration/RaiseEvent", instance_id="y" * 500_000)
            wait_until(lambda: len(audited(path)) >= 11, "the lines")
            found = [(x["event"], x["method"].split(".")[-1], x["identity"], x["tenant"],
                      x["instance_id"], x["code"]) for x in audited(path)]
            equal(found, [
                ("done", "Orchestration/Start", "shop", "acme", "c", "OK"),
                ("done", "Orchestration/RaiseEvent", "shop", "acme", "c", "OK"),
                ("refused", "Orchestration/Start", "report", "acme", "", "PERMISSION_DENIED"),
                ("refused", "Instances/List", "", "", "", "UNAUTHENTICATED"),
                ("failed", "Orchestration/Purge", "ops", "acme", "c", "FAILED_PRECONDITION"),
                ("refused", "Instances/Release", "shop", "acme", "r", "PERMISSION_DENIED"),
                ("done", "Instances/Release", "ops", "acme", "r", "OK"),
                ("done", "Orchestration/Start", "shop", "acme", started, "OK"),
                ("done", "Entities/Signal", "shop", "acme", "@nobody@a", "OK"),
                ("done", "TaskHubSidecarService/PurgeInstances", "ops", "acme",
                 "x-1,x-2", "OK"),
                ("failed", "Orchestration/RaiseEvent", "shop", "acme", "y" * 1024,
                 "INVALID_ARGUMENT")], "lines")
            contains(audited(path)[0]["peer"], "127.0.0.1:")
            equal(audited(path)[0]["known_by"], "token", "known_by")
            with open(path, encoding="utf-8") as file:
                text = file.read()
            expect("s3cr3t" not in text, "a payload is in the log")
            expect(all(token[12:] not in text for token in server.tokens.values()),
                   "a secret is in the log")
            equal(os.stat(path).st_mode & 0o777, 0o600, "permissions")

            # Moved away, as by a rotation.
            os.rename(path, path + ".1")
            server.server.send_signal(signal.SIGHUP)
            wait_until(lambda: os.path.exists(path), "a new file")
            shop.call(START, name="Nobody", instance_id="e")
            wait_until(lambda: [x["instance_id"] for x in audited(path)] == ["e"], "a line")
            equal(len(audited(path + ".1")), 11, "lines in the old one")

            # A flood of strangers is counted.
            stranger = Caller(server, "wrong")
            for _ in range(300):
                stranger.code(LIST)
            report.code("leasehold.v1.Orchestration/Terminate", instance_id="e")
            shop.call(START, name="Nobody", instance_id="f")
            wait_until(lambda: any(x.get("instance_id") == "f" for x in audited(path)),
                       "the last line")
            expect(len(audited(path)) < 150, f"lines: {len(audited(path))}")
            expect(any(x.get("identity") == "report" for x in audited(path)),
                   "a flood of strangers hides what others are refused")
        refused(f"--audit-log={folder}/none/x", names=["cannot be written"])
        refused("--audit-log=/dev/full", names=["is not a file"])


@check("A46.6 open orchestrations: one too many is refused, by every door, also after a restart")
def _():
    restart_door, sidecar_start = "leasehold.v1.Orchestration/Restart", SIDECAR + "/StartInstance"
    wait, terminate = WAIT, "leasehold.v1.Orchestration/Terminate"
    with temporary_folder() as data, limited(f"--data={data}", open_orchestrations=2) as server:
        acme, globex = server.as_("acme"), server.as_("globex")
        acme.call(START, name="Ping", instance_id="ended")
        acme.call(wait, instance_id="ended")
        acme.call(START, name="Nobody", instance_id="a", request_id="once")
        acme.call(sidecar_start, name="Nobody", instanceId="b")

        def expect_full(acme):
            for method, fields in ((START, {"name": "Nobody", "instance_id": "c"}),
                                   (sidecar_start, {"name": "Nobody", "instanceId": "c"}),
                                   (restart_door, {"instance_id": "ended"}),
                                   (f"{SIDECAR}/RestartInstance",
                                    {"instanceId": "ended", "restartWithNewInstanceId": True})):
                code, message, trailing = trailers(acme, method, **fields)
                equal((code, message),
                      ("RESOURCE_EXHAUSTED", "the limit open_orchestrations of this tenant "
                       "is reached, which is 2"), f"refusal of {method}")
                equal(trailing["grpc-retry-pushback-ms"], "1000", "when to retry")
            equal(acme.code("leasehold.v1.Orchestration/Get", instance_id="c"), "NOT_FOUND",
                  "code: nothing was done")
            equal(sorted(o.instance_id for o in
                         acme.call("leasehold.v1.Orchestration/List").orchestrations),
                  ["a", "b", "ended"], "orchestrations")
            # What is there is found.
            equal(acme.code(START, name="Nobody", instance_id="b", if_active=2), "OK",
                  "code of a start that attaches")
            expect(acme.call(START, name="Nobody", instance_id="a", request_id="once").created,
                   "the receipt of a start that is sent again")

        expect_full(acme)
        for name in "abcd":
            equal(globex.code(START, name="Nobody", instance_id=name), "OK",
                  "code of the other tenant")
        server.restart()
        acme = server.as_("acme")
        expect_full(acme)
        acme.call(terminate, instance_id="a", force=True)
        # Sub-orchestrations belong to work that was accepted.
        fan_out = acme.call(START, name="FanOutEcho", instance_id="c")
        expect(fan_out.created, f"it was not created: {fan_out}")
        state = acme.call(wait, instance_id="c")
        contains(state.output, "Plum")
        equal(acme.code(START, name="Nobody", instance_id="d"), "OK", "code after an end")
        equal(acme.code(START, name="Nobody", instance_id="e"), "RESOURCE_EXHAUSTED", "code")
