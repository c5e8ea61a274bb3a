"""How long a hundred thousand orchestrations take to list and to count."""

import collections
import http.client
import json
import tempfile
import time
import urllib.parse

import grpc

from bench_orchestrations import IN_FLIGHT, Leasehold
from bench_process import PATIENCE_S
from bench_viewers import http_address
from sidecar import Sidecar, fail

COUNT, RARE = 100_000, 50
SERVICE = "/leasehold.v1.Orchestration/"
NEWEST = b"\x28\x02"  # ListOrchestrationsRequest.order
PING = b"\x0a\x04Ping"  # StartOrchestrationRequest.name, of the built-in worker

# What is asked for: over HTTP, and of gRPC the method and the request. All that is rare was
# started first: a list with the newest first comes to it last.
ASKED = {
    "first page": ({"order": "newest"}, "List", NEWEST),
    "first page, the oldest first": ({}, "List", b""),
    "page of a status that is rare": (
        {"order": "newest", "status": "FAILED"}, "List", NEWEST + b"\x0a\x03\x0a\x01\x05"),
    "page of a name that is rare": (
        {"order": "newest", "name": "Rare"}, "List", NEWEST + b"\x0a\x06\x2a\x04Rare"),
    "page of a tag that is rare": (
        {"order": "newest", "tag": "rare=yes"}, "List", NEWEST + b"\x0a\x0a\x32\x08rare=yes"),
    "page of a prefix that is rare": (
        {"order": "newest", "prefix": "rare-"}, "List", NEWEST + b"\x0a\x07\x12\x05rare-"),
    "page of what is not there": (
        {"order": "newest", "name": "Nobody", "status": "RUNNING"}, "List",
        NEWEST + b"\x0a\x0b\x0a\x01\x02\x2a\x06Nobody"),
    "counts": ({}, "Count", b""),
    "counts of a name": ({"name": "Rare"}, "Count", b"\x0a\x06\x2a\x04Rare"),
}


def fill(server, channel):
    """The rare ones, and then as many of one turn as there have to be."""
    sidecar = Sidecar(server)
    with sidecar.worker(filters={"orchestrations": [{"name": "Rare"}]}) as worker:
        for i in range(RARE):
            sidecar.start("Rare", id=f"rare-{i}", tags={"rare": "yes"})
            worker.turn().complete(fail(1, "Error", "it broke"))
    start = channel.unary_unary(SERVICE + "Start")
    begun = collections.deque()
    for _ in range(COUNT - RARE):
        begun.append(start.future(PING, timeout=PATIENCE_S))
        if len(begun) == IN_FLIGHT:
            begun.popleft().result()
    for one in begun:
        one.result()


def lists(rounds, _):
    """Over HTTP and gRPC in turn, on SQLite. A page has 100."""
    with tempfile.TemporaryDirectory(prefix="lh-") as folder, \
            Leasehold(f"--data={folder}/data", "--http-listen=127.0.0.1:0") as server:
        channel = grpc.insecure_channel(server.address)
        fill(server, channel)
        connection = http.client.HTTPConnection(http_address(server), timeout=PATIENCE_S)

        def by_http(path, query):
            connection.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(query)}")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise SystemExit(f"bench: {path} answers {answer.status}: {body[:200]}")
            return body

        def by_grpc(method, request):
            return channel.unary_unary(SERVICE + method)(request, timeout=PATIENCE_S)

        def timed(ask, *arguments):
            begun = time.monotonic()
            ask(*arguments)
            return (time.monotonic() - begun) * 1000

        counted = json.loads(by_http("orchestrations:count", {}))
        if sum(int(one["count"]) for one in counted["counts"]) != COUNT:
            raise SystemExit(f"bench: it counts {counted}")
        cursor = json.loads(by_http("orchestrations", {"order": "newest", "limit": 1000}))[
            "next_cursor"]
        for _ in range(rounds):
            for name, (query, method, request) in ASKED.items():
                path = "orchestrations:count" if method == "Count" else "orchestrations"
                before = server.cpu_s()
                yield f"{name}, HTTP", "ms", timed(by_http, path, query)
                yield f"{name}, HTTP", "ms CPU", (server.cpu_s() - before) * 1000
                yield f"{name}, gRPC", "ms", timed(by_grpc, method, request)
            yield "a later page, HTTP", "ms", timed(
                by_http, "orchestrations", {"order": "newest", "cursor": cursor})
            yield "page of 1,000, HTTP", "ms", timed(
                by_http, "orchestrations", {"order": "newest", "limit": 1000})
        connection.close()
        channel.close()
