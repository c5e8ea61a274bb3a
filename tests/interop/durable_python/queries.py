"""Many instances at once: queries and lists, by filter and page by page."""

import time
from datetime import datetime, timezone

from durabletask.client import OrchestrationQuery

from hub import (
    COMPLETED, FAILED, PENDING, RUNNING, SUSPENDED, TERMINATED, client, end, equal, expect,
    main, new_id, orchestrator, run, soon, start, state_of, test, until_custom_status,
    working)


@orchestrator
def done(ctx, input):
    return input


@orchestrator
def failing(ctx, _):
    raise ValueError("as it must")


@orchestrator
def awaiting(ctx, _):
    ctx.set_custom_status("waiting")
    return (yield ctx.wait_for_external_event("go"))


PREFIX = new_id("q")
completed = [f"{PREFIX}-completed-{i}" for i in range(7)]
failed = [f"{PREFIX}-failed-{i}" for i in range(3)]
terminated = [f"{PREFIX}-terminated"]
running = [f"{PREFIX}-running-{i}" for i in range(4)]
pending = [f"{PREFIX}-pending"]
younger = sorted(failed + terminated + running + pending)
everything = sorted(completed + younger)


def prepare():
    """Those that end well are older than the moment that it gives, the others younger."""
    with working(done, failing, awaiting):
        for id in completed:
            run("done", {"id": id}, id)
        time.sleep(0.02)
        middle = datetime.now(timezone.utc)
        time.sleep(0.02)
        for id in failed:
            run("failing", 1, id, tags={"kind": "bad"})
        for id in terminated + running:
            start("awaiting", 1, id)
            until_custom_status(id, "waiting")
        client.terminate_orchestration(terminated[0], output="so")
        end(terminated[0])
        start("awaiting", 1, pending[0], start_at=soon(3600))
    return middle


middle = prepare()


def query(**filter):
    filter = {"instance_id_prefix": PREFIX, **filter}
    return client.get_all_orchestration_states(OrchestrationQuery(**filter))


def queried(**filter):
    """The ids, sorted; none is there twice."""
    return sorted(state.instance_id for state in query(**filter))


def listed(**filter):
    """The ids in their order, and how many pages they came in."""
    ids, token, pages = [], None, 0
    while pages == 0 or token:
        page = client.list_instance_ids(continuation_token=token, **filter)
        ids += page.items
        token, pages = page.continuation_token, pages + 1
        expect(token != "", "a token is empty")
    return ids, pages


@test("without a filter everything is there")
def _():
    found = [state.instance_id for state in client.get_all_orchestration_states()]
    equal(sorted(id for id in found if id.startswith(PREFIX)), everything)


@test("by prefix of the id")
def _():
    equal(queried(), everything)
    equal(queried(instance_id_prefix=f"{PREFIX}-f"), failed)
    equal(queried(instance_id_prefix=new_id("nobody")), [])
    equal(queried(instance_id_prefix=PREFIX.upper()), [])


@test("by status, one or several")
def _():
    for statuses, wanted in (
            ([COMPLETED], completed), ([RUNNING], running), ([TERMINATED], terminated),
            ([PENDING], pending), ([FAILED, RUNNING], failed + running), ([SUSPENDED], [])):
        equal(queried(runtime_status=statuses), wanted, f"{statuses}")
    equal(queried(runtime_status=[]), everything)


@test("by time of creation, alone and with a status")
def _():
    equal(queried(created_time_to=middle), completed)
    equal(queried(created_time_from=middle), younger)
    equal(queried(created_time_from=middle, created_time_to=soon(3600)), younger)
    equal(queried(created_time_from=soon(3600)), [])
    equal(queried(created_time_from=middle, runtime_status=[COMPLETED]), [])
    equal(queried(created_time_from=middle, runtime_status=[FAILED]), failed)


@test("a range of creation has its ends in it")
def _():
    created = state_of(completed[3]).created_at
    found = queried(created_time_from=created, created_time_to=created)
    expect(completed[3] in found, f"{found}")


@test("pages of {} hold each instance once", each=[1, 3, 15, 16, 17])
def _(size):
    equal(queried(max_instance_count=size), everything)


@test("pages of {} of what a filter leaves", each=[1, 2, 3])
def _(size):
    equal(queried(max_instance_count=size, runtime_status=[FAILED]), failed)
    equal(queried(max_instance_count=size, created_time_to=middle), completed)


@test("more than a page of the server's")
def _():
    prefix = new_id("many")
    ids = [start("done", n, f"{prefix}-{n:03}") for n in range(230)]
    equal(queried(instance_id_prefix=prefix), ids)


@test("a state has what a single look has")
def _():
    for id in everything:
        equal(query(instance_id_prefix=id, fetch_inputs_and_outputs=True), [state_of(id)])


@test("payloads only if they are asked for")
def _():
    [found] = query(instance_id_prefix=completed[0])
    equal([found.serialized_input, found.serialized_output], [None, None])
    [whole] = query(instance_id_prefix=completed[0], fetch_inputs_and_outputs=True)
    equal([whole.get_input(), whole.get_output()], [{"id": completed[0]}] * 2)
    [found] = query(instance_id_prefix=failed[0])
    equal(found.failure_details, None)


def mine(ids):
    return [id for id in ids if id.startswith(PREFIX)]


@test("a list of ids holds what has ended, in the order of their ends")
def _():
    equal(mine(listed()[0]), completed + failed + terminated)


@test("a list by status")
def _():
    equal(mine(listed(runtime_status=[FAILED])[0]), failed)
    equal(mine(listed(runtime_status=[TERMINATED, FAILED])[0]), failed + terminated)
    equal(mine(listed(runtime_status=[RUNNING])[0]), [])


@test("a list by time of the end")
def _():
    equal(mine(listed(completed_time_to=middle)[0]), completed)
    equal(mine(listed(completed_time_from=middle)[0]), failed + terminated)
    equal(listed(completed_time_from=soon(3600))[0], [])


@test("pages of a list of {} hold each id once", each=[1, 4, 11])
def _(size):
    ids, pages = listed(page_size=size, completed_time_to=middle)
    equal(mine(ids), completed)
    expect(pages >= len(completed) / size, f"{pages} pages")


main()
