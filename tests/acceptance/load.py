"""A9: many calls at once, while leases run out. The rules are in lease_storm.cc."""

import threading

from harness import Server, check, equal, expect, grpcurl, lease_storm


@check("A9.1 a thousand concurrent first calls of one ID meet one context")
def _():
    with Server() as server:
        found = lease_storm("first-calls", server.address)
        # Ten rounds, and eight calls that opened the connections.
        equal(found, {"calls": 10008, "ids": 18, "generations": 18}, "findings")


@check("A9.2 10,000 calls of 1,000 IDs from 8 connections while leases of 50 ms run "
       "out: none fails, all are consistent")
def _():
    with Server("--idle-timeout=50ms") as server:
        found = lease_storm("leases", server.address, 50)
        equal((found["calls"], found["ids"]), (10000, 1000), f"{found}")
        expect(found["generations"] > 2000, f"leases hardly ran out: {found}")
        server.lives()


@check("A9.3 the same with three threads that serve, and leases of 10 ms")
def _():
    with Server("--queue-threads=3", "--idle-timeout=10ms") as server:
        found = lease_storm("leases", server.address, 10)
        equal((found["calls"], found["ids"]), (10000, 1000), f"{found}")
        expect(found["generations"] > 2000, f"leases hardly ran out: {found}")
        server.lives()


@check("A9.4 the same while --console prints every event")
def _():
    with Server("--console", "--idle-timeout=50ms") as server:
        found = lease_storm("leases", server.address, 50)
        server.end()
        for event in ("context created", "context removed", "lease expired"):
            count = sum(line.startswith(event) for line in server.out)
            expect(count <= found["generations"], f"{count} times {event}: {found}")
        created = sum(line.startswith("context created") for line in server.out)
        removed = sum(line.startswith("context removed") for line in server.out)
        equal((created, removed), (found["generations"],) * 2, "created, removed")


@check("A9.5 grpcurl and a raw client share a room while the load goes on")
def _():
    with Server("--idle-timeout=20s") as server:
        load = threading.Thread(
            target=lambda: lease_storm("leases", server.address, 50))
        load.start()
        try:
            for i in range(1, 11, 2):
                result = grpcurl("-H", "instance-id: aside", "-d", '{"text":"Apple"}',
                                 server.address, "leasehold.v1.Echo/Echo")
                expect(f'"sequence": "{i}"' in result.out, f"{result}")
                equal(server.connect().echo("aside").sequence, i + 1, "sequence")
        finally:
            load.join()
