// External events, custom status, continue-as-new.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { whenAll, whenAny } from "@microsoft/durabletask-js";
import {
  code, count, hub, kinds, newId, output, parse, range, run, status, together, until,
  untilCustomStatus,
} from "./hub.mjs";

const orchestrators = {
  awaitsOne: async function* (ctx, name) {
    ctx.setCustomStatus("waiting");
    return yield ctx.waitForExternalEvent(name);
  },
  awaitsThree: async function* (ctx) {
    const got = [];
    yield ctx.createTimer(0.3);
    for (const _ of range(3)) got.push(yield ctx.waitForExternalEvent("number"));
    return got;
  },
  awaitsDifferent: async function* (ctx) {
    return yield whenAll(["a", "b", "c"].map((name) => ctx.waitForExternalEvent(name)));
  },
  approval: async function* (ctx, seconds) {
    const decision = ctx.waitForExternalEvent("decision");
    const tooLate = ctx.createTimer(seconds);
    const first = yield whenAny([decision, tooLate]);
    if (first !== decision) return "too late";
    tooLate.cancel();
    return decision.getResult();
  },
  tells: async function* (ctx, { to, name, data }) {
    ctx.sendEvent(to, name, data);
    return "told";
  },
  // Two that play: each answers until the count is down.
  player: async function* (ctx, { other, serves }) {
    if (serves) ctx.sendEvent(other, "ball", 20);
    for (;;) {
      const ball = yield ctx.waitForExternalEvent("ball");
      if (ball >= 0) ctx.sendEvent(other, "ball", ball - 1);
      if (ball <= 0) return ball;
    }
  },
  countdown: async function* (ctx, { left, sum }) {
    sum += yield ctx.callActivity("addOne", left);
    if (left === 0) return sum;
    ctx.continueAsNew({ left: left - 1, sum }, false);
  },
  generations: async function* (ctx, { left, ids }) {
    ids = [...ids, yield ctx.callSubOrchestrator("whoAmI")];
    if (left === 0) return ids;
    ctx.continueAsNew({ left: left - 1, ids }, false);
  },
  whoAmI: async (ctx) => ctx.instanceId,
  // For ever, until it is told to end: one event a generation.
  counter: async function* (ctx, { sum, seen }) {
    ctx.setCustomStatus(sum);
    const n = yield ctx.waitForExternalEvent("add");
    if (n === "end") return { sum, seen };
    ctx.continueAsNew({ sum: sum + n, seen: seen + 1 }, true);
  },
  tellsAndGoesOn: async function* (ctx, { to, round }) {
    ctx.sendEvent(to, "round", round);
    if (round < 2) ctx.continueAsNew({ to, round: round + 1 }, true);
    return "never looked at";
  },
  awaitsRounds: async function* (ctx) {
    const got = [];
    for (const _ of range(3)) got.push(yield ctx.waitForExternalEvent("round"));
    return got;
  },
  leavesTimersBehind: async function* (ctx, round) {
    ctx.createTimer(0.05);
    ctx.callActivity("addOne", 1);
    yield ctx.createTimer(0.1);
    if (round === 2) return "done";
    ctx.createTimer(0.01);
    ctx.continueAsNew(round + 1, true);
  },
  reporting: async function* (ctx, values) {
    for (const value of values) {
      ctx.setCustomStatus(value);
      yield ctx.waitForExternalEvent("next");
    }
    return "reported";
  },
  reportsLast: async function* (ctx) {
    ctx.setCustomStatus({ step: 1 });
    yield ctx.callActivity("addOne", 1);
    ctx.setCustomStatus({ step: 2 });
    return "done";
  },
};

const client = hub({ orchestrators, activities: { addOne: async (_, n) => n + 1 } });

const start = (name, input) => client.scheduleNewOrchestration(name, input, newId(name));
const raise = (id, name, data) => client.raiseOrchestrationEvent(id, name, data);
const result = async (id) => output(await client.waitForOrchestrationCompletion(id));

describe("events", together, () => {
  for (const data of ["yes", 0, false, { deep: [1, null] }, "東京", ""]) {
    test(`an event with ${JSON.stringify(data)} reaches one that waits`, async () => {
      const id = await start("awaitsOne", "go");
      await untilCustomStatus(client, id, "waiting");
      await raise(id, "go", data);
      assert.deepEqual(await result(id), data);
    });
  }

  test("an event without data is null", async () => {
    const id = await start("awaitsOne", "go");
    await raise(id, "go");
    assert.equal(await result(id), null);
  });

  test("names of events ignore case", async () => {
    const id = await start("awaitsOne", "Go");
    await raise(id, "gO", 1);
    assert.equal(await result(id), 1);
  });

  test("events raised before they are awaited are kept, in order", async () => {
    const id = await start("awaitsThree");
    for (const n of [1, 2, 3]) await raise(id, "number", n);
    assert.deepEqual(await result(id), [1, 2, 3]);
  });

  test("events of several names, in any order", async () => {
    const id = await start("awaitsDifferent");
    for (const name of ["c", "a", "b"]) await raise(id, name, name);
    assert.deepEqual(await result(id), ["a", "b", "c"]);
  });

  test("an event nobody waits for is no harm", async () => {
    const id = await start("awaitsOne", "go");
    await raise(id, "other", 1);
    await raise(id, "go", 2);
    assert.equal(await result(id), 2);
  });

  test("an event in time wins against its time-out", async () => {
    const id = await start("approval", 3600);
    await raise(id, "decision", "approved");
    assert.equal(await result(id), "approved");
  });

  test("a time-out wins against an event that never comes", async () => {
    assert.equal(output(await run(client, "approval", 0.2)), "too late");
  });

  test("an event to an instance that does not exist is NOT_FOUND", async () => {
    await assert.rejects(raise(newId("nobody"), "go"), { code: code.NOT_FOUND });
  });

  test("an event to one that has ended is dropped", async () => {
    const id = await start("awaitsOne", "go");
    await raise(id, "go", 1);
    assert.equal(await result(id), 1);
    await raise(id, "go", 2);
    assert.equal(await result(id), 1);
  });

  test("one orchestration tells another", async () => {
    const id = await start("awaitsOne", "news");
    assert.equal(output(await run(client, "tells", { to: id, name: "NEWS", data: [1] })), "told");
    assert.deepEqual(await result(id), [1]);
  });

  test("what is told to nobody is dropped", async () => {
    const input = { to: newId("nobody"), name: "news", data: 1 };
    assert.equal(output(await run(client, "tells", input)), "told");
  });

  test("two orchestrations throw a ball to and fro", async () => {
    const [a, b] = [newId("player"), newId("player")];
    await client.scheduleNewOrchestration("player", { other: b, serves: false }, a);
    await client.scheduleNewOrchestration("player", { other: a, serves: true }, b);
    assert.deepEqual([await result(a), await result(b)].sort(), [-1, 0]);
  });
});

describe("continue as new", together, () => {
  test("one goes on as new 20 times, and ends as one instance", async () => {
    const id = await start("countdown", { left: 20, sum: 0 });
    const state = await client.waitForOrchestrationCompletion(id);
    assert.equal(output(state), 231);
    assert.deepEqual(parse(state.serializedInput).left, 0);
    assert.equal(count(await kinds(client, id), "ExecutionStarted"), 1);
    assert.equal(count(await kinds(client, id), "TaskScheduled"), 1);
  });

  test("each generation has children of its own", async () => {
    const ids = output(await run(client, "generations", { left: 4, ids: [] }));
    assert.equal(new Set(ids).size, 5);
  });

  test("no event is lost or doubled over the generations", async () => {
    const id = await start("counter", { sum: 0, seen: 0 });
    for (const n of range(50)) await raise(id, "add", n);
    await Promise.all(range(50).map((n) => raise(id, "add", n)));
    await untilCustomStatus(client, id, 2 * 1225);
    await raise(id, "add", "end");
    assert.deepEqual(await result(id), { sum: 2 * 1225, seen: 100 });
  });

  test("it stays running all the time", async () => {
    const id = await start("counter", { sum: 0, seen: 0 });
    await client.waitForOrchestrationStart(id);
    for (const n of range(20)) {
      await raise(id, "add", n);
      const state = await client.getOrchestrationState(id);
      assert.equal(state.runtimeStatus, status.RUNNING);
    }
    await client.terminateOrchestration(id);
    const state = await client.waitForOrchestrationCompletion(id);
    assert.equal(state.runtimeStatus, status.TERMINATED);
  });

  test("events sent in the turn that goes on as new arrive", async () => {
    const to = await start("awaitsRounds");
    await start("tellsAndGoesOn", { to, round: 0 });
    assert.deepEqual(await result(to), [0, 1, 2]);
  });

  test("timers and activities of the old generation do not reach the new one", async () => {
    assert.equal(output(await run(client, "leavesTimersBehind", 0)), "done");
  });
});

describe("custom status", together, () => {
  test("each value shows while it holds", async () => {
    const values = ["a", 0, false, "", { percent: 50 }, ["東京"]];
    const id = await start("reporting", values);
    for (const value of values) {
      await untilCustomStatus(client, id, value);
      await raise(id, "next");
    }
    const state = await client.waitForOrchestrationCompletion(id);
    assert.equal(output(state), "reported");
    assert.deepEqual(parse(state.serializedCustomStatus), ["東京"]);
  });

  test("one that is not set is not there", async () => {
    const state = await run(client, "whoAmI");
    assert.equal(state.serializedCustomStatus, undefined);
  });

  test("the last one stays after the end", async () => {
    const state = await run(client, "reportsLast");
    assert.deepEqual(parse(state.serializedCustomStatus), { step: 2 });
  });

  test("it stays over a continue-as-new until another is set", async () => {
    const id = await start("counter", { sum: 7, seen: 0 });
    await untilCustomStatus(client, id, 7);
    await raise(id, "add", 1);
    const state = await until(client, id, (s) => s.serializedCustomStatus !== "7");
    assert.equal(state.serializedCustomStatus, "8");
    await raise(id, "add", "end");
    await result(id);
  });
});
