"""A50: a server that has too much to do: what it refuses, how, and what never.

No server here is busy: with `--overload-delay=1ns` every call waits for too long.
"""

import json
import os

import grpc

from harness import Server, check, contains, equal, expect, temporary_folder, wait_until
from policies import METHODS, Caller, Guarded

ECHO = "leasehold.v1.Echo/Echo"
# Workers' work and answers, leases that are kept, health, and the numbers by which one
# sees the overload.
NEVER = {
    *(f"TaskHubSidecarService/{name}" for name in (
        "Hello", "GetWorkItems", "StreamInstanceHistory", "CompleteActivityTask",
        "CompleteOrchestratorTask", "CompleteEntityTask", "AbandonTaskEntityWorkItem",
        "AbandonTaskActivityWorkItem", "AbandonTaskOrchestratorWorkItem")),
    "leasehold.v1.Instances/KeepAlive", "leasehold.v1.Instances/Hold",
    "leasehold.v1.Admin/Stats", "grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"}


def overload(caller):
    """Calls until every class is refused."""
    def all_refused():
        return all(caller.code(ECHO) == "RESOURCE_EXHAUSTED" for _ in range(50))
    wait_until(all_refused, "fifty calls in a row that are refused")


def lines(server, event):
    return [line for line in server.err if event in line]


@check("A50.1 reads, starts, events and calls are refused with limit and time; the rest is not")
def _():
    with temporary_folder() as folder, Guarded(
            "--overload-delay=1ns", f"--audit-log={folder}/audit",
            shop="acme: user, worker, operator") as guarded:
        shop = guarded.as_("shop")
        overload(shop)
        for method in METHODS:
            # Some streams have nothing to say.
            code, message, _ = shop.outcome(method, _timeout=2 if method in NEVER else 60)
            if method in NEVER:
                expect("overload" not in message, f"{method} was refused: {message}")
                continue
            equal(code, "RESOURCE_EXHAUSTED", f"code of {method}")
            contains(message, "the server is overloaded", "longer than 1ns",
                     "--overload-delay")
        call = shop.begin(ECHO, text="Apple")
        equal(call.code(), grpc.StatusCode.RESOURCE_EXHAUSTED, "code")
        trailing = dict(call.trailing_metadata())
        expect(500 <= int(trailing["grpc-retry-pushback-ms"]) <= 1500,
               f"trailing metadata: {trailing}")
        contains(repr(trailing["grpc-status-details-bin"]), "google.rpc.RetryInfo")
        # Few lines, however many calls were refused; and none is a deed of anybody's.
        told = lines(guarded.server, "overload_")
        contains(told[0], "overload_begins", "waits=calls", "limit=1ns")
        expect(len(told) <= 10, f"lines: {told}")
        with open(os.path.join(folder, "audit"), encoding="utf-8") as audit:
            refused = [json.loads(x) for x in audit if "RESOURCE_EXHAUSTED" in x]
        equal(refused, [], "refused calls in the audit log")
        equal(guarded.server.end(), 0, "exit code")


@check("A50.2 who shows no token, and who speaks without a policy, is refused alike")
def _():
    with Guarded("--overload-delay=1ns", shop="acme: user") as guarded:
        overload(guarded.as_("shop"))
        code, message, _ = guarded.with_token(None).outcome(ECHO)
        equal(code, "RESOURCE_EXHAUSTED", "code")
        contains(message, "the server is overloaded")
    with Server("--overload-delay=1ns") as server:
        with grpc.insecure_channel(server.address) as channel:
            anybody = Caller(server, None, channel)
            overload(anybody)
            equal(anybody.code("grpc.health.v1.Health/Check"), "OK", "health")


@check("A50.3 with --overload-delay=0 nothing is refused, and nothing is measured")
def _():
    with Guarded("--overload-delay=0", shop="acme: user") as guarded:
        shop = guarded.as_("shop")
        for _ in range(300):
            equal(shop.code(ECHO), "OK", "code")
        equal(lines(guarded.server, "overload_"), [], "lines")
