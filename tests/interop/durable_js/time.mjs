// Timers, scheduled starts, and what an orchestrator may know of time and chance.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { whenAny } from "@microsoft/durabletask-js";
import {
  count, hub, kinds, newId, output, range, run, sleep, status, together, untilStatus,
} from "./hub.mjs";

const seen = new Map(); // What each execution of an orchestrator saw, by instance.

function remember(id, what) {
  seen.set(id, [...(seen.get(id) ?? []), what]);
}

const orchestrators = {
  sleeper: async function* (ctx, seconds) {
    const asleep = ctx.currentUtcDateTime.getTime();
    yield ctx.createTimer(seconds);
    return ctx.currentUtcDateTime.getTime() - asleep;
  },
  sleeperUntil: async function* (ctx, date) {
    yield ctx.createTimer(new Date(date));
    return ctx.currentUtcDateTime.getTime();
  },
  inOrder: async function* (ctx) {
    const order = [];
    const timers = new Map([0.3, 0.1, 0.2, 0].map((s) => [ctx.createTimer(s), s]));
    while (timers.size > 0) {
      const first = yield whenAny([...timers.keys()]);
      order.push(timers.get(first));
      timers.delete(first);
    }
    return order;
  },
  cancelling: async function* (ctx) {
    ctx.createTimer(3600).cancel();
    yield ctx.callActivity("nothing");
    return "done";
  },
  ticking: async function* (ctx) {
    const times = [ctx.currentUtcDateTime.getTime()];
    for (const i of range(10)) {
      yield i % 2 ? ctx.callActivity("nothing") : ctx.createTimer(0);
      times.push(ctx.currentUtcDateTime.getTime());
    }
    return times;
  },
  chancy: async function* (ctx) {
    const before = [ctx.newGuid(), ctx.newGuid(), ctx.currentUtcDateTime.toISOString()];
    yield ctx.callActivity("nothing");
    const between = [ctx.newGuid(), ctx.currentUtcDateTime.toISOString()];
    yield ctx.createTimer(0.05);
    remember(ctx.instanceId, [...before, ...between]);
    yield ctx.callActivity("nothing");
    return [...before, ...between, ctx.newGuid()];
  },
  replayed: async function* (ctx) {
    const first = ctx.isReplaying;
    yield ctx.callActivity("nothing");
    return [first, ctx.isReplaying];
  },
  awaiting: async function* (ctx) {
    return yield ctx.waitForExternalEvent("go");
  },
};

const client = hub({ orchestrators, activities: { nothing: async () => {} } });
const soon = (ms) => new Date(Date.now() + ms);

describe("time", together, () => {
  test("a timer fires, and never early", async () => {
    const start = Date.now();
    const slept = output(await run(client, "sleeper", 0.5));
    assert.ok(slept >= 500 && slept <= 10_000, `the orchestrator slept ${slept} ms`);
    assert.ok(Date.now() - start >= 500);
  });

  test("a timer may be set to a moment", async () => {
    const date = soon(400);
    const woken = output(await run(client, "sleeperUntil", date.toISOString()));
    assert.ok(woken >= date.getTime(), `woken ${date.getTime() - woken} ms early`);
  });

  test("a timer of the past fires at once", async () => {
    output(await run(client, "sleeperUntil", "2001-01-01T00:00:00Z"));
  });

  test("timers fire in the order of their times", async () => {
    assert.deepEqual(output(await run(client, "inOrder")), [0, 0.1, 0.2, 0.3]);
  });

  test("100 timers at once all fire", async () => {
    const states = await Promise.all(range(100).map(() => run(client, "sleeper", 0.2)));
    for (const state of states) assert.ok(output(state) >= 200);
  });

  test("a timer that is cancelled in its turn is never set", async () => {
    const state = await run(client, "cancelling");
    assert.equal(output(state), "done");
    assert.equal(count(await kinds(client, state.instanceId), "TimerCreated"), 0);
  });

  test("an orchestrator's clock goes forward with every turn", async () => {
    const times = output(await run(client, "ticking"));
    for (const i of range(times.length - 1))
      assert.ok(times[i] < times[i + 1], `turns at ${times}`);
  });

  test("a replay sees the same time and the same random ids", async () => {
    const state = await run(client, "chancy");
    const last = output(state);
    const replays = seen.get(state.instanceId);
    assert.ok(replays.length >= 2);
    for (const replay of replays) assert.deepEqual(replay, last.slice(0, 5));
    const ids = last.filter((text) => !text.endsWith("Z"));
    assert.equal(new Set(ids).size, 4);
    for (const id of ids) assert.match(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  test("two instances have different random ids", async () => {
    const [a, b] = await Promise.all([run(client, "chancy"), run(client, "chancy")]);
    assert.notEqual(output(a)[0], output(b)[0]);
  });

  test("an orchestrator knows whether it replays", async () => {
    assert.deepEqual(output(await run(client, "replayed")), [true, false]);
  });

  test("a start in the future stays pending until then", async () => {
    const startAt = soon(5000);
    const id = await client.scheduleNewOrchestration("sleeper", 0, { startAt });
    const early = await client.getOrchestrationState(id);
    assert.equal(early.runtimeStatus, status.PENDING);
    const started = await client.waitForOrchestrationStart(id);
    assert.ok(Date.now() >= startAt.getTime(), "it started early");
    assert.notEqual(started.runtimeStatus, status.PENDING);
    output(await client.waitForOrchestrationCompletion(id));
  });

  test("a start in the past is a start now", async () => {
    output(await run(client, "sleeper", 0, { startAt: new Date("2001-01-01T00:00:00Z") }));
  });

  test("an event for one that has not started yet waits for it", async () => {
    const id = await client.scheduleNewOrchestration("awaiting", 0, { startAt: soon(5000) });
    await client.raiseOrchestrationEvent(id, "go", "at last");
    assert.equal((await client.getOrchestrationState(id)).runtimeStatus, status.PENDING);
    assert.equal(output(await client.waitForOrchestrationCompletion(id)), "at last");
  });

  test("one that has not started yet can be terminated at once", async () => {
    const id = await client.scheduleNewOrchestration("awaiting", 0, { startAt: soon(3.6e6) });
    await client.terminateOrchestration(id, "too late");
    await untilStatus(client, id, status.TERMINATED);
  });

  test("the history says when a timer was to fire, and that it did", async () => {
    const id = newId("history");
    const state = await run(client, "sleeper", 0.1, id);
    const events = await client.getOrchestrationHistory(state.instanceId);
    const created = events.find((event) => event.type === "TimerCreated");
    const fired = events.find((event) => event.type === "TimerFired");
    assert.equal(fired.timerId, created.eventId);
    assert.deepEqual(fired.fireAt, created.fireAt);
    const turn = events[events.indexOf(fired) - 1];
    assert.equal(turn.type, "OrchestratorStarted");
    assert.ok(turn.timestamp >= created.fireAt);
  });

  test("timers that nobody waits for do not hold an orchestration", async () => {
    const state = await run(client, "inOrder");
    await sleep(400);
    const again = await client.getOrchestrationState(state.instanceId);
    assert.deepEqual(again.lastUpdatedAt, state.lastUpdatedAt);
  });
});
