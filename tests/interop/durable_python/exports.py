"""Jobs that export histories: what the SDK builds of entities and lists of ids."""

import gzip
import threading
from datetime import timedelta, timezone

from durabletask.extensions.history_export import (
    ExportDestination, ExportHistoryClient, ExportJobCreationOptions, ExportJobStatus,
    ExportMode)

from hub import (
    client, contains, end, equal, expect, main, new_id, orchestrator, output, run, soon, start,
    test, wait_until)


class Shelf:
    """Keeps what is exported, by the id of its orchestration."""

    def __init__(self):
        self.texts, self.lock = {}, threading.Lock()

    def write(self, *, instance_id, payload, content_encoding, **_):
        if content_encoding == "gzip":
            payload = gzip.decompress(payload)
        with self.lock:
            self.texts[instance_id] = payload.decode()


shelf = Shelf()
exports = ExportHistoryClient(client, shelf)


@orchestrator
def quick(ctx, input):
    return input


@orchestrator
def eternal(ctx, _):
    yield ctx.wait_for_external_event("never")


@test("a job exports what has ended, each once, and ends")
def _():
    begun = soon(-60)
    ids = [new_id("ended") for _ in range(25)]
    for id in ids:
        output(run("quick", id, id))
    running = start("eternal", id=new_id("running"))
    last = end(ids[-1]).last_updated_at.replace(tzinfo=timezone.utc)
    until = last + timedelta(milliseconds=1)
    wait_until(lambda: soon(0) > until, "the last one's end is past")
    job = exports.create_job(ExportJobCreationOptions(
        mode=ExportMode.BATCH, completed_time_from=begun, completed_time_to=until,
        destination=ExportDestination(container="histories"), max_instances_per_batch=10))
    found = exports.wait_for_job(job.job_id)
    equal((found.status, found.failed_instances), (ExportJobStatus.COMPLETED, 0))
    for id in ids:
        contains(shelf.texts[id], id)
    expect(running not in shelf.texts, "one that runs is exported")
    equal(found.exported_instances, len(ids))
    exports.delete_job(job.job_id)
    wait_until(lambda: exports.get_job(job.job_id) is None, "it is gone")  # By a signal.


main(register=exports.register_worker)
