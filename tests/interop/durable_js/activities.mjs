// Activities: what goes in and comes out, many at once, failures, retries.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RetryPolicy, whenAll, whenAny } from "@microsoft/durabletask-js";
import { count, hub, kinds, newId, output, parse, range, run, status, together } from "./hub.mjs";

const attempts = new Map(); // How often an activity was tried, by a key of its input.

function attempt(key) {
  attempts.set(key, (attempts.get(key) ?? 0) + 1);
  return attempts.get(key);
}

class OutOfStock extends Error {
  name = "OutOfStock";
}

const activities = {
  addOne: async (_, n) => n + 1,
  echo: async (_, input) => input,
  kindOf: async (_, input) => (input === null ? "null" : typeof input),
  whoCalls: async (ctx) => ({ id: ctx.orchestrationId, task: ctx.taskId }),
  notAsync: (_, n) => -n,
  failing: async (_, message) => {
    throw new OutOfStock(message);
  },
  failingUntil: async (_, { key, good }) => {
    if (attempt(key) < good) throw new OutOfStock(`attempt ${attempts.get(key)}`);
    return attempts.get(key);
  },
};

const orchestrators = {
  chain: async function* (ctx, n) {
    for (const _ of range(5)) n = yield ctx.callActivity("addOne", n);
    return n;
  },
  noTasks: async (ctx, input) => ({ id: ctx.instanceId, input }),
  passOn: async function* (ctx, input) {
    return [yield ctx.callActivity("echo", input), yield ctx.callActivity("kindOf", input)];
  },
  fanOut: async function* (ctx, n) {
    return yield whenAll(range(n).map((i) => ctx.callActivity("addOne", i)));
  },
  callers: async function* (ctx) {
    return yield whenAll([ctx.callActivity("whoCalls"), ctx.callActivity("whoCalls")]);
  },
  negate: async function* (ctx, n) {
    return yield ctx.callActivity("notAsync", n);
  },
  firstOfTwo: async function* (ctx) {
    const slow = ctx.createTimer(3600);
    const quick = ctx.callActivity("echo", "quick");
    const first = yield whenAny([slow, quick]);
    return first === quick ? yield ctx.callActivity("echo", "then this") : "slow";
  },
  failing: async function* (ctx, message) {
    yield ctx.callActivity("failing", message);
  },
  throwing: async function* (ctx, message) {
    yield ctx.callActivity("echo", 1);
    throw new OutOfStock(message);
  },
  forgiving: async function* (ctx, message) {
    try {
      yield ctx.callActivity("failing", message);
    } catch (error) {
      const { errorType, message: text, stackTrace } = error.details;
      return { name: error.name, errorType, text, stack: stackTrace.includes("OutOfStock") };
    }
  },
  allOfThem: async function* (ctx) {
    try {
      yield whenAll([ctx.callActivity("failing", "a"), ctx.callActivity("addOne", 1),
        ctx.callActivity("failing", "b")]);
    } catch (error) {
      return error.message;
    }
  },
  retrying: async function* (ctx, { key, good, most }) {
    const retry = new RetryPolicy({
      maxNumberOfAttempts: most, firstRetryIntervalInMilliseconds: 20, backoffCoefficient: 2 });
    return yield ctx.callActivity("failingUntil", { key, good }, { retry });
  },
  retryingSome: async function* (ctx, key) {
    const retry = new RetryPolicy({
      maxNumberOfAttempts: 5, firstRetryIntervalInMilliseconds: 20,
      handleFailure: (failure) => failure.errorType !== "OutOfStock" });
    return yield ctx.callActivity("failingUntil", { key, good: 3 }, { retry });
  },
  retryingByHand: async function* (ctx, { key, delay }) {
    const retry = (context) => context.lastAttemptNumber < 4 && delay;
    return yield ctx.callActivity("failingUntil", { key, good: 3 }, { retry });
  },
  labelled: async function* (ctx) {
    return yield ctx.callActivity("echo", 1, { tags: { shelf: "3" }, version: "2.1" });
  },
  callsNobody: async function* (ctx) {
    yield ctx.callActivity("nobody");
  },
};

const client = hub({ orchestrators, activities });

describe("activities", together, () => {
  test("a chain passes each result on", async () => {
    assert.equal(output(await run(client, "chain", 1)), 6);
  });

  test("an orchestrator without any activity completes at once", async () => {
    const state = await run(client, "noTasks", [1]);
    assert.deepEqual(output(state), { id: state.instanceId, input: [1] });
  });

  test("an activity may be a plain function", async () => {
    assert.equal(output(await run(client, "negate", 3)), -3);
  });

  for (const value of [null, false, 0, -1.5e300, 2 ** 53 - 1, "", " ", "null", '"\\\n\u0000',
    "Zoë 東京 🍎", [], {}, [1, [2, { three: [null] }]], { "": { a: "b" } }]) {
    test(`${JSON.stringify(value)} comes through as it is`, async () => {
      const state = await run(client, "passOn", value);
      assert.deepEqual(output(state), [value, value === null ? "null" : typeof value]);
      assert.deepEqual(parse(state.serializedInput), value);
    });
  }

  test("nothing comes through as nothing", async () => {
    assert.deepEqual(output(await run(client, "passOn")), [null, "undefined"]);
  });

  test("a payload of 512 KiB comes through", async () => {
    const text = "ä".repeat(2 ** 18);
    assert.equal(output(await run(client, "passOn", text))[0], text);
  });

  test("100 at once: all results, in the order of the calls", async () => {
    assert.deepEqual(output(await run(client, "fanOut", 100)), range(101).slice(1));
  });

  test("an activity knows its orchestration and its number in it", async () => {
    const state = await run(client, "callers");
    assert.deepEqual(output(state),
      [{ id: state.instanceId, task: 1 }, { id: state.instanceId, task: 2 }]);
  });

  test("whenAny goes on with the first", async () => {
    assert.equal(output(await run(client, "firstOfTwo")), "then this");
  });

  test("a failure nobody catches fails the orchestration, with its details", async () => {
    const state = await run(client, "failing", "no apples");
    assert.equal(state.runtimeStatus, status.FAILED);
    assert.equal(state.failureDetails.errorType, "TaskFailedError");
    assert.match(state.failureDetails.message, /no apples/);
    assert.equal(state.serializedOutput, undefined);
    assert.throws(() => state.raiseIfFailed(), /no apples/);
  });

  test("an error of the orchestrator itself fails it, with type, text and stack", async () => {
    const state = await run(client, "throwing", "no pears");
    assert.equal(state.runtimeStatus, status.FAILED);
    assert.equal(state.failureDetails.errorType, "OutOfStock");
    assert.equal(state.failureDetails.message, "no pears");
    assert.match(state.failureDetails.stackTrace, /throwing/);
  });

  test("a failure can be caught, and says what it was", async () => {
    assert.deepEqual(output(await run(client, "forgiving", "no plums")), {
      name: "TaskFailedError", errorType: "OutOfStock", text: "no plums", stack: true });
  });

  test("a failure that was caught is in the history", async () => {
    const { instanceId } = await run(client, "forgiving", "no figs");
    const failed = (await client.getOrchestrationHistory(instanceId))
      .find((event) => event.type === "TaskFailed");
    assert.equal(failed.taskScheduledId, 1);
    assert.equal(failed.failureDetails.errorType, "OutOfStock");
    assert.equal(failed.failureDetails.message, "no figs");
  });

  test("whenAll waits for all, and tells all failures", async () => {
    const text = output(await run(client, "allOfThem"));
    assert.match(text, /2 of 3 tasks .*: a; .*: b/);
  });

  test("an activity that fails twice is tried three times, a timer between", async () => {
    const key = newId("twice");
    const state = await run(client, "retrying", { key, good: 3, most: 5 });
    assert.equal(output(state), 3);
    const events = await kinds(client, state.instanceId);
    assert.equal(count(events, "TaskScheduled"), 3);
    assert.equal(count(events, "TaskFailed"), 2);
    assert.equal(count(events, "TimerFired"), 2);
  });

  test("retries end with the last attempt's failure", async () => {
    const key = newId("ever");
    const state = await run(client, "retrying", { key, good: 99, most: 3 });
    assert.equal(state.runtimeStatus, status.FAILED);
    assert.match(state.failureDetails.message, /attempt 3/);
    assert.equal(attempts.get(key), 3);
  });

  test("a policy may refuse to retry", async () => {
    const key = newId("refused");
    const state = await run(client, "retryingSome", key);
    assert.equal(state.runtimeStatus, status.FAILED);
    assert.equal(attempts.get(key), 1);
  });

  for (const delay of [true, 30]) {
    test(`retries by hand (${delay}) are carried out`, async () => {
      const key = newId("by-hand");
      const state = await run(client, "retryingByHand", { key, delay });
      assert.equal(output(state), 3);
      assert.equal(count(await kinds(client, state.instanceId), "TimerFired"),
        delay === true ? 0 : 2);
    });
  }

  test("tags and version of an activity are in the history", async () => {
    const { instanceId } = await run(client, "labelled");
    const scheduled = (await client.getOrchestrationHistory(instanceId))
      .find((event) => event.type === "TaskScheduled");
    assert.deepEqual(scheduled.tags, { shelf: "3" });
    assert.equal(scheduled.version, "2.1");
  });

  test("an activity that no worker has registered fails", async () => {
    const state = await run(client, "callsNobody");
    assert.equal(state.runtimeStatus, status.FAILED);
    assert.match(state.failureDetails.message, /nobody/);
  });

  test("an orchestrator that no worker has registered fails", async () => {
    const state = await run(client, "nobody");
    assert.equal(state.runtimeStatus, status.FAILED);
    assert.match(state.failureDetails.message, /nobody/);
  });
});
