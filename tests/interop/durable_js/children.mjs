// Orchestrations that start others: results, failures, ids, what ends with whom.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RetryPolicy, terminateOptions, whenAll } from "@microsoft/durabletask-js";
import {
  count, hub, kinds, newId, output, range, run, sleep, status, together, untilStatus,
} from "./hub.mjs";

const attempts = new Map();

const orchestrators = {
  double: async function* (ctx, n) {
    return yield ctx.callActivity("twice", n);
  },
  family: async function* (ctx) {
    return { self: ctx.instanceId, parent: ctx.parent, version: ctx.version };
  },
  calls: async function* (ctx, { name, input, options }) {
    return yield ctx.callSubOrchestrator(name, input, options);
  },
  callsMany: async function* (ctx, n) {
    return yield whenAll(range(n).map((i) => ctx.callSubOrchestrator("double", i)));
  },
  nested: async function* (ctx, depth) {
    if (depth === 0) return [ctx.instanceId];
    return [ctx.instanceId, ...(yield ctx.callSubOrchestrator("nested", depth - 1))];
  },
  failing: async function* (ctx, message) {
    yield ctx.callActivity("twice", 1);
    throw new RangeError(message);
  },
  forgiving: async function* (ctx, { name, input, options }) {
    try {
      return yield ctx.callSubOrchestrator(name, input, options);
    } catch (error) {
      return { name: error.name, type: error.details.errorType, text: error.details.message };
    }
  },
  failingUntil: async function* (ctx, { key, good }) {
    const attempt = yield ctx.callActivity("attempt", key);
    if (attempt < good) throw new Error(`attempt ${attempt}`);
    return [attempt, ctx.instanceId];
  },
  retrying: async function* (ctx, { key, good, instanceId }) {
    const retry = new RetryPolicy({
      maxNumberOfAttempts: 4, firstRetryIntervalInMilliseconds: 20 });
    return yield ctx.callSubOrchestrator("failingUntil", { key, good }, { retry, instanceId });
  },
  countdown: async function* (ctx, n) {
    yield ctx.callActivity("twice", n);
    if (n === 0) return `done, child of ${ctx.parent.name}`;
    ctx.continueAsNew(n - 1, true);
  },
  awaiting: async function* (ctx) {
    return yield ctx.waitForExternalEvent("go");
  },
  holder: async function* (ctx, ids) {
    return yield whenAll(ids.map((instanceId) =>
      ctx.callSubOrchestrator("awaiting", undefined, { instanceId })));
  },
};

const activities = {
  twice: async (_, n) => 2 * n,
  attempt: async (_, key) => {
    attempts.set(key, (attempts.get(key) ?? 0) + 1);
    return attempts.get(key);
  },
};

const client = hub({ orchestrators, activities });

const start = (name, input, id = newId(name)) =>
  client.scheduleNewOrchestration(name, input, id);
const stateOf = (id) => client.getOrchestrationState(id);

describe("children", together, () => {
  test("a child's result reaches its parent", async () => {
    const state = await run(client, "calls", { name: "double", input: 21 });
    assert.equal(output(state), 42);
    const events = await kinds(client, state.instanceId);
    assert.equal(count(events, "SubOrchestrationInstanceCreated"), 1);
    assert.equal(count(events, "SubOrchestrationInstanceCompleted"), 1);
  });

  test("a child knows its parent, and an orphan that it has none", async () => {
    const state = await run(client, "calls", { name: "family" });
    const { self, parent } = output(state);
    assert.deepEqual(parent,
      { name: "calls", instanceId: state.instanceId, taskScheduledId: 1 });
    assert.equal((await stateOf(self)).runtimeStatus, status.COMPLETED);
    assert.equal(output(await run(client, "family")).parent, undefined);
  });

  test("a child gets the id it is given", async () => {
    const instanceId = newId("given");
    const input = { name: "double", input: 4, options: { instanceId } };
    assert.equal(output(await run(client, "calls", input)), 8);
    assert.equal(output(await stateOf(instanceId)), 8);
    assert.equal((await stateOf(instanceId)).name, "double");
  });

  test("a child gets tags and version", async () => {
    const instanceId = newId("labelled");
    const options = { instanceId, tags: { kind: "child" }, version: "3.1" };
    const family = output(await run(client, "calls", { name: "family", options }));
    assert.equal(family.version, "3.1");
    assert.deepEqual((await stateOf(instanceId)).tags, { kind: "child" });
  });

  test("30 children at once", async () => {
    assert.deepEqual(output(await run(client, "callsMany", 30)), range(30).map((i) => 2 * i));
  });

  test("children of children, six deep", async () => {
    const ids = output(await run(client, "nested", 6));
    assert.equal(new Set(ids).size, 7);
  });

  test("a child that fails fails its parent", async () => {
    const state = await run(client, "calls", { name: "failing", input: "too far" });
    assert.equal(state.runtimeStatus, status.FAILED);
    assert.match(state.failureDetails.message, /too far/);
  });

  test("a child's failure can be caught, and says what it was", async () => {
    const state = await run(client, "forgiving", { name: "failing", input: "too far" });
    assert.deepEqual(output(state),
      { name: "TaskFailedError", type: "RangeError", text: "too far" });
  });

  for (const instanceId of [undefined, newId("again")]) {
    test(`a child that fails is tried again under its ${instanceId ? "given" : "own"} id`,
      async () => {
        const state = await run(client, "retrying", { key: newId("key"), good: 3, instanceId });
        const [attempt, id] = output(state);
        assert.equal(attempt, 3);
        if (instanceId) assert.equal(id, instanceId);
        assert.equal((await stateOf(id)).runtimeStatus, status.COMPLETED);
        assert.equal(count(await kinds(client, state.instanceId),
          "SubOrchestrationInstanceFailed"), 2);
      });
  }

  test("a child under the id of one that runs fails, and that one goes on", async () => {
    const instanceId = await start("awaiting");
    await client.waitForOrchestrationStart(instanceId);
    const input = { name: "double", input: 1, options: { instanceId } };
    const state = await run(client, "forgiving", input);
    assert.equal(output(state).name, "TaskFailedError");
    await client.raiseOrchestrationEvent(instanceId, "go", "on");
    assert.equal(output(await client.waitForOrchestrationCompletion(instanceId)), "on");
  });

  test("a child that goes on as new answers its parent at its end", async () => {
    const state = await run(client, "calls", { name: "countdown", input: 5 });
    assert.equal(output(state), "done, child of calls");
  });

  test("a child that is terminated is a failure to its parent", async () => {
    const instanceId = newId("victim");
    const id = await start("forgiving", { name: "awaiting", options: { instanceId } });
    await untilStatus(client, instanceId, status.RUNNING);
    await client.terminateOrchestration(instanceId, "enough");
    const state = await client.waitForOrchestrationCompletion(id);
    assert.equal(output(state).name, "TaskFailedError");
  });

  test("an event can be raised for a child by its id", async () => {
    const [a, b] = [newId("a"), newId("b")];
    const id = await start("holder", [a, b]);
    for (const child of [a, b]) {
      await untilStatus(client, child, status.RUNNING);
      await client.raiseOrchestrationEvent(child, "go", child);
    }
    assert.deepEqual(output(await client.waitForOrchestrationCompletion(id)), [a, b]);
  });

  test("a recursive termination ends children and children's children", async () => {
    const [a, b, grandchild] = [newId("a"), newId("b"), newId("grandchild")];
    const id = await start("calls", { name: "holder", input: [a, b] }, newId("top"));
    const other = await start("calls",
      { name: "calls", input: { name: "awaiting", options: { instanceId: grandchild } } });
    for (const child of [a, b, grandchild]) await untilStatus(client, child, status.RUNNING);
    const options = terminateOptions({ output: "all", recursive: true });
    for (const top of [id, other]) await client.terminateOrchestration(top, options);
    for (const one of [id, other, a, b, grandchild]) {
      const state = await client.waitForOrchestrationCompletion(one);
      assert.equal(state.runtimeStatus, status.TERMINATED, one);
      assert.equal(state.serializedOutput, '"all"');
    }
  });

  test("a termination that is not recursive leaves children alone", async () => {
    const child = newId("child");
    const id = await start("holder", [child]);
    await untilStatus(client, child, status.RUNNING);
    await client.terminateOrchestration(id);
    await untilStatus(client, id, status.TERMINATED);
    await sleep(200);
    assert.equal((await stateOf(child)).runtimeStatus, status.RUNNING);
    await client.raiseOrchestrationEvent(child, "go", "on");
    assert.equal(output(await client.waitForOrchestrationCompletion(child)), "on");
  });

  for (const recursive of [true, false]) {
    test(`a ${recursive ? "" : "non-"}recursive purge ${recursive ? "takes" : "leaves"} children`,
      async () => {
        const ids = output(await run(client, "nested", 2));
        const purged = await client.purgeOrchestration(ids[0], { recursive });
        assert.equal(purged.deletedInstanceCount, recursive ? 3 : 1);
        const left = await Promise.all(ids.map(stateOf));
        assert.deepEqual(left.map((state) => state !== undefined),
          recursive ? [false, false, false] : [false, true, true]);
      });
  }
});
