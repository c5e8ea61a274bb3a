"""A46: what a tenant may do and have at once, and the record of who did what."""

import json
import os
import re
import signal

import grpc

import harness
from durable_functions_http import Api
from harness import (Server, check, contains, equal, expect, refused, temporary_folder,
                     wait_until)
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
                   acme="acme: user, worker, operator", globex="globex: user, worker",
                   ops="globex: operator")


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


@check("A46.7 stored bytes: at the limit every door is closed, what was accepted goes on, purging "
       "makes room, and a restart keeps the count")
def _():
    entities, orchestration = "leasehold.v1.Entities", "leasehold.v1.Orchestration"
    text = f'"{"x" * 4000}"'
    doors = ((START, {"name": "Nobody", "instance_id": "new"}),
             (f"{SIDECAR}/StartInstance", {"name": "Nobody", "instanceId": "new"}),
             (f"{orchestration}/Restart", {"instance_id": "ended-0"}),
             (f"{SIDECAR}/RestartInstance", {"instanceId": "ended-0"}),
             (f"{orchestration}/RaiseEvent", {"instance_id": "open", "name": "e"}),
             (f"{SIDECAR}/RaiseEvent", {"instanceId": "open", "name": "e"}),
             (f"{orchestration}/Suspend", {"instance_id": "open"}),
             (f"{SIDECAR}/SuspendInstance", {"instanceId": "open"}),
             (f"{entities}/Signal", {"instance_id": "@nobody@a", "operation": "x"}),
             (f"{SIDECAR}/SignalEntity", {"instanceId": "@nobody@a", "name": "x"}),
             (f"{entities}/Call", {"instance_id": "@nobody@a", "operation": "x"}))
    with temporary_folder() as data, limited(
            f"--data={data}", "--http-listen=127.0.0.1:0", stored_bytes=40_000) as server:
        acme, globex = server.as_("acme"), server.as_("globex")
        acme.call(START, name="Nobody", instance_id="open")
        acme.call(START, name="Counter", instance_id="counter", input="0")
        ended, code = 0, "OK"
        while code == "OK" and ended < 20:
            code = acme.code(START, name="Ping", instance_id=f"ended-{ended}", input=text)
            if code == "OK":
                acme.call(WAIT, instance_id=f"ended-{ended}")
                ended += 1
        expect(4 <= ended <= 10, f"orchestrations of 4,000 bytes: {ended}")

        def expect_full(acme):
            for method, fields in doors:
                code, message, trailing = trailers(acme, method, **fields)
                equal(code, "RESOURCE_EXHAUSTED", f"code of {method}: {message}")
                contains(message, "the limit stored_bytes of this tenant is reached, which is "
                                  "40000")
                equal(trailing["grpc-retry-pushback-ms"], "1000", "when to retry")
                contains(repr(trailing["grpc-status-details-bin"]), "google.rpc.RetryInfo")
            answer = Api(server.server).post("/orchestrators/Nobody/new", "{}",
                                             Authorization=f"Bearer {server.tokens['acme']}")
            equal(answer.status, 429, f"status over HTTP: {answer}")
            contains(answer.body, "stored_bytes", "40000")
            equal(acme.code(f"{orchestration}/Get", instance_id="new"), "NOT_FOUND",
                  "code: nothing was done")

        expect_full(acme)
        for method, fields in doors[:2]:
            equal(globex.code(method, **fields), "OK", "code of the other tenant")
            globex.call(f"{orchestration}/Terminate", instance_id="new", force=True)
            server.as_("ops").call(f"{orchestration}/Purge", instance_id="new")
        server.restart()
        acme = server.as_("acme")
        expect_full(acme)
        # A worker's answers, and ends.
        equal(acme.code(f"{orchestration}/Terminate", instance_id="counter"), "OK", "code")
        acme.call(WAIT, instance_id="counter")
        equal(acme.code(f"{orchestration}/Terminate", instance_id="open", force=True), "OK",
              "code of an end by force")
        acme.call(f"{orchestration}/Purge", instance_id="ended-0")
        equal(acme.code(START, name="Nobody", instance_id="new"), "OK", "code of one in its place")
        equal(acme.code(f"{entities}/Signal", instance_id="@nobody@a", operation="x"), "OK",
              "code of a signal")
        server.policy["tenants"]["acme"]["stored_bytes"] = 1_000
        server.write()
        server.reload()
        equal(acme.code(START, name="Nobody", instance_id="new-2"), "RESOURCE_EXHAUSTED",
              "code under the new limit")
        server.stop()
        check_command = harness.run(harness.programs / "leasehold-server", "check",
                                    f"--data={data}")
        equal(check_command.code, 0, f"exit code of the check: {check_command.out}")
        server.start()
    for limits in ({"stored_bytes": 0}, {"stored_bytes": "1GiB"}, {"stored_bytes": -1}):
        with temporary_folder() as folder:
            path = f"{folder}/policy.json"
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"tenants": {"acme": limits}}, file)
            refused(f"--policy={path}", names=["tenants.acme.stored_bytes",
                                               "whole number above 0"])


@check("A46.8 kept bytes: what a tenant makes the server keep is bounded for it alone, and changes "
       "with the policy")
def _():
    entity_call = "leasehold.v1.Entities/Call"
    text = f'"{"x" * 1_000_000}"'

    def codes(caller, count=3):
        calls = [caller.begin(entity_call, instance_id="@nobody@a", operation="x", input=text,
                              _timeout=4) for _ in range(count)]
        found = sorted(one.code().name for one in calls)
        refusals = [one for one in calls if one.code().name == "RESOURCE_EXHAUSTED"]
        return found, refusals

    with limited(kept_bytes=2_500_000) as server:
        acme, globex = server.as_("acme"), server.as_("globex")
        found, refusals = codes(acme)
        equal(found, 2 * ["DEADLINE_EXCEEDED"] + ["RESOURCE_EXHAUSTED"], "codes")
        contains(refusals[0].details(),
                 "the limit kept_bytes of this tenant is reached, which is 2500000")
        trailing = dict(refusals[0].trailing_metadata())
        equal(trailing["grpc-retry-pushback-ms"], "1000", "when to retry")
        contains(repr(trailing["grpc-status-details-bin"]), "google.rpc.RetryInfo")
        equal(codes(globex)[0], 3 * ["DEADLINE_EXCEEDED"], "codes of the other tenant")
        # While it has what it may, small calls go on, and so does the other tenant.
        waiting = [acme.begin(entity_call, instance_id="@nobody@a", operation="x", input=text,
                              _timeout=6) for _ in range(3)]
        wait_until(lambda: any(one.done() for one in waiting), "the refusal of one of three")
        equal(acme.code(START, name="Nobody", instance_id="big", input=text),
              "RESOURCE_EXHAUSTED", "code of another door")
        equal(acme.code(ECHO, room("a"), text="small"), "OK", "code of a small one")
        equal(globex.code(START, name="Nobody", instance_id="big", input=text), "OK",
              "code of the other tenant")
        for one in waiting:
            one.code()
        # What has ended makes room.
        equal(acme.code(START, name="Nobody", instance_id="later", input=text), "OK", "code")
        server.policy["tenants"]["acme"]["kept_bytes"] = 10_000_000
        server.write()
        server.reload()
        equal(codes(acme)[0], 3 * ["DEADLINE_EXCEEDED"], "codes under the new limit")
        server.policy["tenants"]["acme"] = {"kept_bytes": 0}
        server.write()
        refused(f"--policy={server.path}", names=["tenants.acme.kept_bytes",
                                                  "whole number above 0"])


@check("A46.9 --memory-limit: the bounds in bytes together stay below it, the log says how, and too "
       "little is refused")
def _():
    def fields(server):
        line = server.await_line("err", " memory_limit ")
        return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)\b", line)}

    with Server("--store=memory", "--memory-limit=256MiB") as server:
        mib = 1 << 20
        equal({name: fields(server)[name] // mib for name in (
            "bytes", "requests_and_answers", "incomplete_requests", "http_bodies", "reserved")},
            {"bytes": 256, "requests_and_answers": 48, "incomplete_requests": 96,
             "http_bodies": 48, "reserved": 64}, "the line")
        names = [line.split()[2] for line in server.err]
        expect(names.index("memory_limit") > max(
            place for place, name in enumerate(names) if name == "listening"),
            f"lines: {names}")
    with Server("--store=memory", "--memory-limit=128MiB") as server:
        channel = grpc.insecure_channel(server.address)
        caller = Caller(server, "", channel)
        calls = [caller.begin("leasehold.v1.Entities/Call", instance_id="@nobody@a",
                              operation="x", input=f'"{"x" * 5_000_000}"', _timeout=4)
                 for _ in range(4)]
        codes = [one.code().name for one in calls]
        expect("RESOURCE_EXHAUSTED" in codes and "DEADLINE_EXCEEDED" in codes, f"codes: {codes}")
        channel.close()
    with open("/proc/meminfo", encoding="utf-8") as file:
        machine = int(re.search(r"MemTotal:\s+(\d+) kB", file.read()).group(1)) * 1024
    with Server("--store=memory", "--memory-limit=50%") as server:
        found = fields(server)
        expect(found["bytes"] <= machine // 2, f"half of {machine}: {found}")
        expect(sum(found[name] for name in ("requests_and_answers", "incomplete_requests",
                                            "http_bodies", "reserved")) <= found["bytes"],
               f"the bounds together: {found}")
    refused("--memory-limit=100MiB", names=["--memory-limit=104857600",
                                            "at least 134217728 (128 MiB)"])
    refused("--memory-limit=1GiB", "--max-total-bytes=536870912",
            names=["--max-total-bytes=536870912", "--memory-limit=1073741824"])
    for value in ("0", "120%", "much", "1GB"):
        refused(f"--memory-limit={value}", names=["--memory-limit: must be a size such as 2GiB",
                                                  f'"{value}"'])
