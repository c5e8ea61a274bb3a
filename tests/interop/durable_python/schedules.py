"""Scheduled tasks: what the SDK builds of entities, their signals and starts."""

import asyncio
import threading
from datetime import timedelta

from durabletask.client import AsyncTaskHubGrpcClient
from durabletask.entities import EntityInstanceId
from durabletask.scheduled import (
    AsyncScheduledTaskClient, ScheduleCreationOptions, ScheduledTaskClient, ScheduleQuery,
    ScheduleStatus, ScheduleUpdateOptions)
from durabletask.worker import TaskHubGrpcWorker

from hub import (
    ADDRESS, LOGGER, Failed, client, contains, equal, expect, main, new_id, orchestrator,
    output, end, soon, test, wait_until)

scheduled = ScheduledTaskClient(client)
RUNS, LOCK = {}, threading.Lock()


@orchestrator
def scheduled_work(ctx, input):
    if not ctx.is_replaying:
        with LOCK:
            RUNS.setdefault(input, []).append(ctx.instance_id)
    return input


def runs(id):
    with LOCK:
        return list(RUNS.get(id, []))


def options(id, interval=1, **more):
    return ScheduleCreationOptions(
        schedule_id=id, orchestration_name="scheduled_work", orchestration_input=id,
        interval=timedelta(seconds=interval), **more)


def later(id, **more):
    """Of one that does nothing for an hour."""
    return options(id, 30, start_at=soon(3600), **more)


def refused(call, *args):
    try:
        call(*args)
    except RuntimeError as error:
        return str(error)
    raise Failed(f"{call} was not refused")


@test("one starts its orchestration again and again, each time under an id of its own")
def _():
    id = new_id("runs")
    schedule = scheduled.create_schedule(options(
        id, start_at=soon(0), start_immediately_if_late=True))
    wait_until(lambda: len(runs(id)) >= 3, "three runs")
    found = schedule.describe()
    equal((found.schedule_id, found.status, found.orchestration_name),
          (id, ScheduleStatus.ACTIVE, "scheduled_work"))
    expect(found.last_run_at and found.next_run_at > found.last_run_at, "the times of runs")
    schedule.delete()
    ids = runs(id)
    equal(len(set(ids)), len(ids), "different ids")
    for one in ids[:3]:
        contains(one, f"{id}-")
        equal(output(end(one)), id)


@test("one that is paused starts nothing, until it is resumed")
def _():
    id = new_id("paused")
    schedule = scheduled.create_schedule(options(
        id, start_at=soon(0), start_immediately_if_late=True))
    wait_until(lambda: runs(id), "a run")
    schedule.pause()
    equal(schedule.describe().status, ScheduleStatus.PAUSED)
    before = len(runs(id))
    threading.Event().wait(2.5)
    expect(len(runs(id)) <= before + 1, "it runs although it is paused")
    contains(refused(schedule.pause), "Failed to 'pause_schedule'")
    before = len(runs(id))
    schedule.resume()
    equal(schedule.describe().status, ScheduleStatus.ACTIVE)
    wait_until(lambda: len(runs(id)) > before, "a run after it was resumed")
    schedule.delete()


@test("an update changes the interval, and what comes of it")
def _():
    id = new_id("updated")
    schedule = scheduled.create_schedule(later(id))
    equal(runs(id), [])
    schedule.update(ScheduleUpdateOptions(
        interval=timedelta(seconds=1), start_at=soon(0), orchestration_input=f"{id}!"))
    wait_until(lambda: len(runs(f"{id}!")) >= 2, "two runs")
    equal(schedule.describe().interval, timedelta(seconds=1))
    schedule.delete()
    equal(runs(id), [], "with the input of before")


@test("one that has reached its end is gone")
def _():
    id = new_id("ended")
    scheduled.create_schedule(options(
        id, start_at=soon(0), end_at=soon(5), start_immediately_if_late=True))
    wait_until(lambda: runs(id), "a run")
    wait_until(lambda: scheduled.get_schedule(id) is None, "it is gone")


@test("they are listed by prefix and by status; deleted ones are not")
def _():
    prefix = new_id("list")
    clients = [scheduled.create_schedule(later(f"{prefix}-{n}")) for n in range(5)]
    clients[1].pause()
    clients[2].delete()

    def ids(**query):
        return [found.schedule_id for found in scheduled.list_schedules(ScheduleQuery(
            schedule_id_prefix=prefix, page_size=2, **query))]
    equal(ids(), [f"{prefix}-{n}" for n in (0, 1, 3, 4)])
    equal(ids(status=ScheduleStatus.PAUSED), [f"{prefix}-1"])
    equal(scheduled.get_schedule(f"{prefix}-2"), None)
    equal(client.get_entity(EntityInstanceId("schedule", f"{prefix}-2")), None)
    for n in (0, 1, 3, 4):
        clients[n].delete()
    equal(ids(), [])


@test("the client of asyncio")
def _():
    async def run():
        async with AsyncTaskHubGrpcClient(host_address=ADDRESS, logger=LOGGER) as hub:
            schedules, id = AsyncScheduledTaskClient(hub), new_id("async")
            schedule = await schedules.create_schedule(later(id))
            await schedule.pause()
            equal((await schedule.describe()).status, ScheduleStatus.PAUSED)
            await schedule.resume()
            [found] = await schedules.list_schedules(ScheduleQuery(schedule_id_prefix=id))
            equal((found.schedule_id, found.status), (id, ScheduleStatus.ACTIVE))
            await schedule.delete()
            equal(await schedules.get_schedule(id), None)
    asyncio.run(run())


main(register=TaskHubGrpcWorker.configure_scheduled_tasks)
