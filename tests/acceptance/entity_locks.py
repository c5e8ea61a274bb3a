"""A42: locks of entities that end by themselves.

With times by the microsecond: tests/orchestration/engine_lock_time_test.cc.
"""

from entities import TALLY, call_entity, lock, names, unlock
from exchange import logged
from harness import Server, check, equal
from sidecar import Sidecar, complete


@check("A42.51 a lock that is held for too long goes to the next in line")
def _():
    with Server("--store=memory", "--entity-lock-timeout=300ms") as server:
        sidecar = Sidecar(server)
        with sidecar.worker() as worker:
            sidecar.start("p", id="p-1")
            worker.turn().complete(lock(1, "c-1", TALLY, "@tally@b"))
            late = worker.turn()
            sidecar.start("p", id="p-2")
            worker.turn().complete(lock(1, "c-2", TALLY, "@tally@b"))
            held = worker.turn()
            equal((held.id, held.event("entityLockGranted")["criticalSectionId"]),
                  ("p-2", "c-2"))
            logged(server, "lock_expired", f"instance_id={TALLY}", "p-1")
            late.complete(unlock(2, "c-1", TALLY), call_entity(3, TALLY, "late"))
            held.complete(complete(2))
            equal(names(worker.batch()), ["late"])
