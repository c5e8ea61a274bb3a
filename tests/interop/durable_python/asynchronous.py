"""The SDK's client of asyncio: every call of it."""

import asyncio
import threading
from datetime import timedelta

from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationQuery

from hub import (
    ADDRESS, COMPLETED, FAILED, LOGGER, PATIENCE_S, PENDING, RUNNING, SUSPENDED, TERMINATED,
    activity, contains, equal, expect, failure, main, new_id, orchestrator, output, refused,
    soon, test)

broken = set()


def new_client():
    return AsyncTaskHubGrpcClient(host_address=ADDRESS, logger=LOGGER)


@activity
def step(_, key):
    if key in broken:
        raise OSError(f"{key} is broken")
    return key


@orchestrator
def steps(ctx, key):
    return (yield ctx.call_activity(step, input=key))


@orchestrator
def awaiting(ctx, _):
    ctx.set_custom_status("waiting")
    return (yield ctx.wait_for_external_event("go"))


loop = asyncio.new_event_loop()  # Of all tests: gRPC's library has one of them in mind.
threading.Thread(target=loop.run_forever, daemon=True).start()


def with_client(sentence):
    """A test whose body is a coroutine, and has a client."""
    def register(body):
        async def with_client():
            async with new_client() as client:
                await body(client)
        test(sentence)(
            lambda: asyncio.run_coroutine_threadsafe(with_client(), loop).result())
        return body
    return register


async def refusal(code, call):
    """The text of the error that a call ends with."""
    error = (await asyncio.gather(call, return_exceptions=True))[0]

    def again():
        if isinstance(error, BaseException):
            raise error
        return error
    return refused(code, again)


async def end(client, id):
    return await client.wait_for_orchestration_completion(id, timeout=PATIENCE_S)


async def until(client, id, status):
    async with asyncio.timeout(PATIENCE_S):
        while (await client.get_orchestration_state(id)).runtime_status != status:
            await asyncio.sleep(0.02)


@with_client("starts, waits, looks")
async def _(client):
    id = await client.schedule_new_orchestration(
        steps, input="東京", instance_id=new_id("async"), tags={"a": "b"}, version="1.0")
    await client.wait_for_orchestration_start(id)
    equal(output(await end(client, id)), "東京")
    state = await client.get_orchestration_state(id, fetch_payloads=False)
    equal([state.runtime_status, state.serialized_input], [COMPLETED, None])
    story = await client.get_orchestration_history(id)
    equal([story[1].tags, story[1].version, len(story)], [{"a": "b"}, "1.0", 6])


@with_client("100 at once all end")
async def _(client):
    async def run(n):
        return output(await end(client, await client.schedule_new_orchestration(
            "steps", input=n)))
    equal(await asyncio.gather(*map(run, range(100))), list(range(100)))


@with_client("what does not exist is None, or NOT_FOUND")
async def _(client):
    id = new_id("nobody")
    for look in (client.get_orchestration_state, client.wait_for_orchestration_start,
                 client.wait_for_orchestration_completion):
        equal(await look(id), None)
    for call in (client.get_orchestration_history, client.terminate_orchestration,
                 client.suspend_orchestration, client.resume_orchestration,
                 client.restart_orchestration):
        await refusal("NOT_FOUND", call(id))
    await refusal("NOT_FOUND", client.raise_orchestration_event(id, "go"))


@with_client("a wait that runs out is a TimeoutError; a wait that is given up does no harm")
async def _(client):
    id = await client.schedule_new_orchestration("awaiting")
    try:
        await client.wait_for_orchestration_completion(id, timeout=0.2)
    except TimeoutError:
        pass
    else:
        expect(False, "it did not run out")
    waiting = asyncio.create_task(end(client, id))
    await until(client, id, RUNNING)
    waiting.cancel()
    await client.raise_orchestration_event(id, "go", data=[1])
    equal(output(await end(client, id)), [1])


@with_client("suspends, resumes, raises events, terminates")
async def _(client):
    id = await client.schedule_new_orchestration("awaiting")
    await until(client, id, RUNNING)
    await client.suspend_orchestration(id, reason="a break")
    await until(client, id, SUSPENDED)
    await client.resume_orchestration(id, reason="on")
    await client.raise_orchestration_event(id, "go", data="done")
    equal(output(await end(client, id)), "done")
    id = await client.schedule_new_orchestration("awaiting", start_at=soon(3600))
    equal((await client.get_orchestration_state(id)).runtime_status, PENDING)
    await client.terminate_orchestration(id, output="enough")
    state = await end(client, id)
    equal([state.runtime_status, state.get_output()], [TERMINATED, "enough"])


@with_client("queries and lists, page by page")
async def _(client):
    prefix = new_id("query")
    ids = [f"{prefix}-{n}" for n in range(7)]
    for n, id in enumerate(ids):
        await client.schedule_new_orchestration("steps", input=n, instance_id=id)
    for id in ids:
        await end(client, id)
    states = await client.get_all_orchestration_states(OrchestrationQuery(
        instance_id_prefix=prefix, max_instance_count=3, runtime_status=[COMPLETED],
        fetch_inputs_and_outputs=True))
    equal(sorted((s.instance_id, s.get_output()) for s in states), list(zip(ids, range(7))))
    listed, token = [], None
    while True:
        page = await client.list_instance_ids(page_size=2, continuation_token=token)
        listed += page.items
        token = page.continuation_token
        if not token:
            break
    equal(sorted(id for id in listed if id.startswith(prefix)), ids)


@with_client("restarts, purges")
async def _(client):
    id = await client.schedule_new_orchestration("steps", input=1)
    await end(client, id)
    equal(await client.restart_orchestration(id), id)
    equal(output(await end(client, id)), 1)
    other = await client.restart_orchestration(id, restart_with_new_instance_id=True)
    equal(output(await end(client, other)), 1)
    for one in (id, other):
        equal((await client.purge_orchestration(one)).deleted_instance_count, 1)
        equal(await client.get_orchestration_state(one), None)
    purged = await client.purge_orchestrations_by(
        created_time_from=soon(3600), timeout=timedelta(seconds=30), recursive=True)
    equal([purged.deleted_instance_count, purged.is_complete], [0, True])


@with_client("rewinds")
async def _(client):
    key = new_id("step")
    broken.add(key)
    id = await client.schedule_new_orchestration("steps", input=key)
    contains(failure(await end(client, id)).message, "is broken")
    broken.remove(key)
    await client.rewind_orchestration(id, reason="mended")
    equal(output(await end(client, id)), key)
    contains(await refusal("FAILED_PRECONDITION", client.rewind_orchestration(id)),
             "does not allow rewinding")


@with_client("several clients in one loop, one of them closed amid a wait")
async def _(client):
    id = await client.schedule_new_orchestration("awaiting")
    async with new_client() as other:
        waiting = asyncio.create_task(end(other, id))
        await until(other, id, RUNNING)
    await asyncio.gather(waiting, return_exceptions=True)
    await client.raise_orchestration_event(id, "go", data=1)
    state = await end(client, id)
    expect(state.runtime_status != FAILED, "the closed client did harm")
    equal(output(state), 1)


main()
