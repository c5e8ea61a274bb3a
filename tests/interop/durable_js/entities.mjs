// Entities: signals, calls, locks, and what they do to others.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EntityInstanceId, TaskEntity } from "@microsoft/durabletask-js";
import {
  hub, newId, output, range, run, sleep, status, together, untilCustomStatus,
} from "./hub.mjs";

class Tally extends TaskEntity {
  initializeState() {
    return { value: 0 };
  }
  add(n) {
    this.state.value += n;
    return this.state.value;
  }
  // Shows in which order operations came.
  append(digit) {
    this.state.value = this.state.value * 10 + digit;
  }
  get() {
    return this.state.value;
  }
  breaks() {
    this.state.value = 1000;
    throw new Error("it broke");
  }
  reset() {
    this.state = null;
  }
  addsTo(key) {
    this.context.signalEntity(counterOf(key), "add", 1);
  }
  appendsLater(ms) {
    this.context.signalEntity(this.context.id, "append", 1,
      { signalTime: new Date(Date.now() + ms) });
  }
  starts(id) {
    this.context.scheduleNewOrchestration("adds", id, { instanceId: id });
  }
}

const counterOf = (key) => new EntityInstanceId("tally", key);

const orchestrators = {
  adds: async function* (ctx, key) {
    const first = yield ctx.entities.callEntity(counterOf(key), "add", 2);
    ctx.entities.signalEntity(counterOf(key), "add", 3);
    return [first, yield ctx.entities.callEntity(counterOf(key), "get")];
  },
  isToldOfFailures: async function* (ctx, key) {
    try {
      yield ctx.entities.callEntity(counterOf(key), "breaks");
    } catch (error) {
      return [error.message, yield ctx.entities.callEntity(counterOf(key), "get")];
    }
  },
  transfers: async function* (ctx, [from, to]) {
    const lock = yield ctx.entities.lockEntities(counterOf(from), counterOf(to));
    const had = yield ctx.entities.callEntity(counterOf(from), "get");
    yield ctx.entities.callEntity(counterOf(from), "add", -1);
    yield ctx.entities.callEntity(counterOf(to), "add", 1);
    lock.release();
    return had;
  },
  addsLater: async function* (ctx, key) {
    const signalTime = new Date(ctx.currentUtcDateTime.getTime() + 3000);
    ctx.entities.signalEntity(counterOf(key), "add", 1, { signalTime });
    return yield ctx.entities.callEntity(counterOf(key), "get");
  },
  flies: async function* (ctx, key) {
    yield ctx.entities.callEntity(counterOf(key), "fly");
  },
  addsToAll: async function* (ctx, { keys, thenFails }) {
    const lock = yield ctx.entities.lockEntities(...keys.map(counterOf));
    const values = [];
    for (const key of keys)
      values.push(yield ctx.entities.callEntity(counterOf(key), "add", 1));
    if (thenFails) throw new Error("it broke");
    lock.release();
    return values;
  },
  holds: async function* (ctx, key) {
    yield ctx.entities.lockEntities(counterOf(key));
    ctx.setCustomStatus("holds");
    yield ctx.waitForExternalEvent("go");
  },
};

const client = hub({ orchestrators, entities: { tally: () => new Tally() } });

const signal = (key, name, input, options) =>
  client.signalEntity(counterOf(key), name, input, options);

async function value(key) {
  const entity = await client.getEntity(counterOf(key));
  return entity?.state?.value;
}

async function untilValue(key, wanted) {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(20))
    if ((await value(key)) === wanted) return;
  assert.fail(`waited for ${key} to be ${wanted}; it is ${await value(key)}`);
}

describe("entities", together, () => {
  test("a signal creates one, and many come in order", async () => {
    const key = newId("many");
    assert.equal(await client.getEntity(counterOf(key)), undefined);
    for (const n of range(101)) await signal(key, "add", n);
    await untilValue(key, 5050);
  });

  test("a delayed signal comes when it is due", async () => {
    const key = newId("delayed");
    await signal(key, "append", 1, { signalTime: new Date(Date.now() + 3000) });
    await signal(key, "append", 2);
    await untilValue(key, 21);
  });

  test("so do those of orchestrators and of entities", async () => {
    const [key, own] = [newId("orchestrated"), newId("own")];
    assert.equal(output(await run(client, "addsLater", key)), 0);
    await signal(own, "appendsLater", 3000);
    await signal(own, "append", 2);
    await untilValue(key, 1);
    await untilValue(own, 21);
  });

  test("an orchestrator calls and signals", async () => {
    const key = newId("called");
    assert.deepEqual(output(await run(client, "adds", key)), [2, 5]);
    assert.deepEqual(output(await run(client, "adds", key)), [7, 10]);
  });

  test("a failed operation fails its caller and leaves the state", async () => {
    const key = newId("broken");
    await signal(key, "add", 7);
    await untilValue(key, 7);
    const [text, after] = output(await run(client, "isToldOfFailures", key));
    assert.match(text, /it broke/);
    assert.equal(after, 7);
  });

  test("an operation that there is not fails its caller", async () => {
    const state = await run(client, "flies", newId("none"));
    assert.equal(state.runtimeStatus, status.FAILED);
    assert.match(state.failureDetails.message, /fly/);
  });

  test("one signals another, and starts an orchestration", async () => {
    const [key, other, id] = [newId("sends"), newId("told"), newId("started")];
    await signal(key, "addsTo", other);
    await untilValue(other, 1);
    await signal(key, "starts", id);
    await untilValue(id, 5);
    assert.deepEqual(output(await client.waitForOrchestrationCompletion(id)), [2, 5]);
  });

  test("one without a state is gone", async () => {
    const key = newId("gone");
    await signal(key, "add", 1);
    await untilValue(key, 1);
    await signal(key, "reset");
    await untilValue(key, undefined);
    assert.equal(await client.getEntity(counterOf(key)), undefined);
  });

  test("critical sections run one after the other, and nothing is lost", async () => {
    const [a, b] = [newId("a"), newId("b")];
    await signal(a, "add", 20);
    await untilValue(a, 20);
    const states = await Promise.all(range(20).map((n) =>
      run(client, "transfers", n % 2 ? [a, b] : [b, a])));
    for (const state of states) output(state);
    await untilValue(a, 20);
    await untilValue(b, 0);
  });

  test("a lock ends when its holder is terminated", async () => {
    const key = newId("held");
    const id = await client.scheduleNewOrchestration("holds", key);
    await untilCustomStatus(client, id, "holds");
    await signal(key, "add", 1);
    assert.equal(await value(key), undefined);
    await client.terminateOrchestration(id);
    const state = await client.waitForOrchestrationCompletion(id);
    assert.equal(state.runtimeStatus, status.TERMINATED);
    await untilValue(key, 1);
  });

  test("a lock says who holds it, and how much waits for it", async () => {
    const key = newId("shown");
    await signal(key, "add", 1);
    await untilValue(key, 1);
    const id = await client.scheduleNewOrchestration("holds", key);
    await untilCustomStatus(client, id, "holds");
    for (const n of range(3)) await signal(key, "add", n);
    const held = await client.getEntity(counterOf(key));
    assert.deepEqual([held.lockedBy, held.backlogQueueSize], [id, 3]);
    await client.raiseOrchestrationEvent(id, "go");
    output(await client.waitForOrchestrationCompletion(id));
    await untilValue(key, 4);
    assert.equal((await client.getEntity(counterOf(key))).lockedBy, undefined);
  });

  test("what fails with its locks gives them back; what it did stays", async () => {
    const keys = range(3).map(() => newId("failing"));
    const state = await run(client, "addsToAll", { keys, thenFails: true });
    assert.equal(state.runtimeStatus, status.FAILED);
    assert.deepEqual(output(await run(client, "addsToAll", { keys })), [2, 2, 2]);
  });

  test("many lock many, in any order", async () => {
    const keys = range(10).map(() => newId("many"));
    const states = await Promise.all(range(30).map((n) => run(client, "addsToAll",
      { keys: [...keys.slice(n % 10), ...keys.slice(0, n % 10)] })));
    assert.deepEqual(states.map(output).sort((a, b) => a[0] - b[0]),
      range(30).map((n) => Array(10).fill(n + 1)));
  });

  test("a purge takes the state, and there is nothing to clean", async () => {
    const key = newId("purged");
    await signal(key, "add", 1);
    await untilValue(key, 1);
    const { deletedInstanceCount } = await client.purgeOrchestration(`@tally@${key}`);
    assert.equal(deletedInstanceCount, 1);
    assert.equal(await value(key), undefined);
    const { emptyEntitiesRemoved, orphanedLocksReleased } = await client.cleanEntityStorage();
    assert.deepEqual([emptyEntitiesRemoved, orphanedLocksReleased], [0, 0]);
  });

  test("they are listed by prefix, with their states", async () => {
    const prefix = newId("list");
    for (const n of range(7)) await signal(`${prefix}-${n}`, "add", n + 1);
    await untilValue(`${prefix}-6`, 7);
    for (const n of range(7)) await untilValue(`${prefix}-${n}`, n + 1);
    const found = [];
    for await (const entity of client.getEntities({
      instanceIdStartsWith: `@tally@${prefix}`, includeState: true, pageSize: 2,
    })) found.push([entity.id.key, entity.state.value]);
    assert.deepEqual(found, range(7).map((n) => [`${prefix}-${n}`, n + 1]));
  });
});
