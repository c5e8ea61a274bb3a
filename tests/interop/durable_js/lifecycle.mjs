// The life of an instance seen from outside: start, look, suspend, end, start again.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PurgeInstanceCriteria } from "@microsoft/durabletask-js";
import {
  code, hub, newClient, newId, output, parse, range, run, sleep, status, together,
  untilCustomStatus, untilStatus,
} from "./hub.mjs";

const orchestrators = {
  echo: async function* (ctx, input) {
    return yield ctx.callActivity("echo", input);
  },
  failing: async () => {
    throw new Error("as it must");
  },
  awaiting: async function* (ctx) {
    ctx.setCustomStatus("waiting");
    return yield ctx.waitForExternalEvent("go");
  },
  collecting: async function* (ctx) {
    const got = [];
    while (got.length < 3) {
      ctx.setCustomStatus(got.length);
      got.push(yield ctx.waitForExternalEvent("item"));
    }
    return got;
  },
  versioned: async (ctx) => [ctx.version, ctx.compareVersionTo("2.0.0") >= 0],
};

const client = hub({ orchestrators, activities: { echo: async (_, input) => input } });

const start = (name, input, id = newId(name), more = {}) =>
  client.scheduleNewOrchestration(name, input, { instanceId: id, ...more });
const stateOf = (id) => client.getOrchestrationState(id);
const end = (id) => client.waitForOrchestrationCompletion(id);
const raise = (id, name, data) => client.raiseOrchestrationEvent(id, name, data);

// One in each state that an instance can be left in.
const leftIn = {
  COMPLETED: async () => (await run(client, "echo", 1)).instanceId,
  FAILED: async () => (await run(client, "failing")).instanceId,
  TERMINATED: async () => {
    const id = await start("awaiting");
    await client.terminateOrchestration(id);
    return (await end(id)).instanceId;
  },
  RUNNING: async () => {
    const id = await start("awaiting");
    await untilCustomStatus(client, id, "waiting");
    return id;
  },
  SUSPENDED: async () => {
    const id = await leftIn.RUNNING();
    await client.suspendOrchestration(id);
    await untilStatus(client, id, status.SUSPENDED);
    return id;
  },
  PENDING: async () =>
    start("awaiting", 1, newId("later"), { startAt: new Date(Date.now() + 3.6e6) }),
};
const ENDED = ["COMPLETED", "FAILED", "TERMINATED"];
const ACTIVE = ["RUNNING", "SUSPENDED", "PENDING"];

describe("start and look", together, () => {
  test("the state says what is known", async () => {
    const before = Date.now();
    const id = await start("awaiting", { a: 1 }, newId("known"), { tags: { room: "7", "": "x" } });
    const started = await client.waitForOrchestrationStart(id, true);
    assert.equal(started.instanceId, id);
    assert.equal(started.name, "awaiting");
    assert.equal(started.runtimeStatus, status.RUNNING);
    assert.deepEqual(parse(started.serializedInput), { a: 1 });
    assert.equal(started.serializedOutput, undefined);
    assert.deepEqual(started.tags, { room: "7", "": "x" });
    assert.ok(Math.abs(started.createdAt - before) < 60_000, `created ${started.createdAt}`);
    await raise(id, "go", "done");
    const ended = await end(id);
    assert.equal(output(ended), "done");
    assert.deepEqual(ended.createdAt, started.createdAt);
    assert.ok(ended.lastUpdatedAt >= ended.createdAt);
    assert.deepEqual(await stateOf(id), ended);
  });

  test("payloads are left out if they are not asked for", async () => {
    const { instanceId } = await run(client, "echo", "text");
    const state = await client.getOrchestrationState(instanceId, false);
    assert.equal(state.runtimeStatus, status.COMPLETED);
    assert.equal(state.serializedInput, undefined);
    assert.equal(state.serializedOutput, undefined);
  });

  test("an instance that does not exist is undefined, at once", async () => {
    const id = newId("nobody");
    assert.equal(await stateOf(id), undefined);
    assert.equal(await client.waitForOrchestrationStart(id), undefined);
    assert.equal(await end(id), undefined);
    assert.deepEqual(await client.getOrchestrationHistory(id), []);
  });

  test("an id that is not given is made", async () => {
    const [a, b] = [await run(client, "echo", 1), await run(client, "echo", 2)];
    assert.notEqual(a.instanceId, b.instanceId);
  });

  for (const id of ["Zoë/東京?x=1#%20 'a'", "a@b", "A", "a", "0"]) {
    test(`the id ${id} is one like any other`, async () => {
      assert.equal(await start("echo", id, id), id);
      assert.equal(output(await end(id)), id);
    });
  }

  test("an id of 100 characters is taken, a longer one refused", async () => {
    const id = newId("long").padEnd(100, "x");
    await start("echo", 1, id);
    await assert.rejects(start("echo", 1, `${id}x`),
      { code: code.INVALID_ARGUMENT, details: /length/ });
  });

  test("a start without a name is refused", async () => {
    await assert.rejects(start("", 1, newId("nameless")), { code: code.INVALID_ARGUMENT });
  });

  test("a version is told to the orchestrator", async () => {
    const versioned = (version) => run(client, "versioned", 1, { version });
    assert.deepEqual(output(await versioned("2.1.0")), ["2.1.0", true]);
    assert.deepEqual(output(await versioned("1.9")), ["1.9", false]);
    assert.deepEqual(output(await versioned(undefined)), ["", false]);
  });

  test("a client may have a version for all that it starts", async () => {
    const other = newClient({ defaultVersion: "4.0" });
    const id = await other.scheduleNewOrchestration("versioned");
    assert.deepEqual(output(await end(id)), ["4.0", true]);
    await other.stop();
  });

  test("a wait that runs out is an error of the client; the instance goes on", async () => {
    const id = await start("awaiting");
    await assert.rejects(client.waitForOrchestrationCompletion(id, true, 0.2),
      { name: "TimeoutError" });
    await raise(id, "go", 1);
    assert.equal(output(await end(id)), 1);
  });

  test("everybody who waits is answered", async () => {
    const id = await start("awaiting");
    const waiting = range(30).map(() => end(id));
    await untilCustomStatus(client, id, "waiting");
    await raise(id, "go", 5);
    for (const state of await Promise.all(waiting)) assert.equal(output(state), 5);
  });

  test("200 started at once all end", async () => {
    const states = await Promise.all(range(200).map((i) => run(client, "echo", i)));
    assert.deepEqual(states.map(output), range(200));
  });

  test("the history tells the whole story in order", async () => {
    const { instanceId } = await run(client, "echo", "x");
    const events = await client.getOrchestrationHistory(instanceId);
    assert.deepEqual(events.map((event) => event.type), [
      "OrchestratorStarted", "ExecutionStarted", "TaskScheduled",
      "OrchestratorStarted", "TaskCompleted", "ExecutionCompleted"]);
    assert.deepEqual(events.map((event) => event.eventId), [-1, -1, 1, -1, -1, 2]);
    assert.equal(events[1].name, "echo");
    assert.equal(events[1].orchestrationInstance.instanceId, instanceId);
    assert.equal(events[4].result, '"x"');
    for (const { timestamp } of events) assert.ok(timestamp.getTime() > Date.now() - 600_000);
  });
});

describe("the same id again", together, () => {
  for (const name of ACTIVE) {
    test(`while one is ${name} it is ALREADY_EXISTS`, async () => {
      const id = await leftIn[name]();
      await assert.rejects(start("echo", 1, id),
        { code: code.ALREADY_EXISTS, details: /orchestration instance already exists/ });
      assert.equal((await stateOf(id)).runtimeStatus, status[name]);
    });
  }

  for (const name of ENDED) {
    test(`after one has ${name} a new one takes its place`, async () => {
      const id = await leftIn[name]();
      const old = await stateOf(id);
      assert.equal(await start("echo", "new", id), id);
      const state = await end(id);
      assert.equal(output(state), "new");
      assert.equal(state.failureDetails, undefined);
      assert.equal(state.serializedCustomStatus, undefined);
      assert.ok(state.createdAt >= old.createdAt);
      assert.equal((await client.getOrchestrationHistory(id)).length, 6);
    });
  }

  test("of 20 who start it at once, one does", async () => {
    const id = newId("race");
    const tries = await Promise.allSettled(range(20).map((i) => start("awaiting", i, id)));
    assert.equal(tries.filter((one) => one.status === "fulfilled").length, 1);
    for (const { reason } of tries.filter((one) => one.status === "rejected"))
      assert.equal(reason.code, code.ALREADY_EXISTS);
    await client.terminateOrchestration(id);
  });
});

describe("suspend and resume", together, () => {
  test("one that is suspended does nothing until it is resumed", async () => {
    const id = await start("collecting");
    await raise(id, "item", 1);
    await untilCustomStatus(client, id, 1);
    await client.suspendOrchestration(id);
    await untilStatus(client, id, status.SUSPENDED);
    await raise(id, "item", 2);
    await sleep(300);
    const state = await stateOf(id);
    assert.equal(state.runtimeStatus, status.SUSPENDED);
    assert.equal(state.serializedCustomStatus, "1");
    await client.resumeOrchestration(id);
    await untilCustomStatus(client, id, 2);
    assert.equal((await stateOf(id)).runtimeStatus, status.RUNNING);
    await raise(id, "item", 3);
    assert.deepEqual(output(await end(id)), [1, 2, 3]);
  });

  test("suspending twice and resuming once is resumed", async () => {
    const id = await leftIn.SUSPENDED();
    await client.suspendOrchestration(id);
    await raise(id, "go", 1);
    await client.resumeOrchestration(id);
    assert.equal(output(await end(id)), 1);
  });

  test("resuming one that runs is no harm", async () => {
    const id = await leftIn.RUNNING();
    await client.resumeOrchestration(id);
    await raise(id, "go", 1);
    assert.equal(output(await end(id)), 1);
  });

  test("one that is suspended can be terminated", async () => {
    const id = await leftIn.SUSPENDED();
    await client.terminateOrchestration(id, "enough");
    const state = await end(id);
    assert.equal(state.runtimeStatus, status.TERMINATED);
    assert.equal(parse(state.serializedOutput), "enough");
  });
});

describe("ends", together, () => {
  test("a termination has an output", async () => {
    const id = await leftIn.RUNNING();
    await client.terminateOrchestration(id, { why: ["enough"] });
    const state = await end(id);
    assert.equal(state.runtimeStatus, status.TERMINATED);
    assert.deepEqual(parse(state.serializedOutput), { why: ["enough"] });
  });

  for (const name of ENDED) {
    test(`what is ${name} stays so`, async () => {
      const id = await leftIn[name]();
      const state = await stateOf(id);
      await client.terminateOrchestration(id, "again");
      await client.suspendOrchestration(id);
      await client.resumeOrchestration(id);
      await sleep(100);
      assert.deepEqual(await stateOf(id), state);
    });
  }

  for (const call of ["terminate", "suspend", "resume"]) {
    test(`to ${call} one that does not exist is NOT_FOUND`, async () => {
      await assert.rejects(client[`${call}Orchestration`](newId("nobody")),
        { code: code.NOT_FOUND });
    });
  }
});

describe("purge", together, () => {
  for (const name of ENDED) {
    test(`one that is ${name} can be purged, and is gone`, async () => {
      const id = await leftIn[name]();
      assert.equal((await client.purgeOrchestration(id)).deletedInstanceCount, 1);
      assert.equal(await stateOf(id), undefined);
      assert.deepEqual(await client.getOrchestrationHistory(id), []);
      assert.equal((await client.purgeOrchestration(id)).deletedInstanceCount, 0);
      assert.equal(output(await run(client, "echo", "again", id)), "again");
    });
  }

  for (const name of ACTIVE) {
    test(`one that is ${name} stays`, async () => {
      const id = await leftIn[name]();
      assert.equal((await client.purgeOrchestration(id)).deletedInstanceCount, 0);
      assert.equal((await stateOf(id)).runtimeStatus, status[name]);
    });
  }
});

describe("restart", together, () => {
  for (const name of ENDED) {
    test(`one that is ${name} runs again under its id`, async () => {
      const id = await leftIn[name]();
      const old = await stateOf(id);
      assert.equal(await client.restartOrchestration(id), id);
      if (name === "TERMINATED") await raise(id, "go", 1);
      const state = await end(id);
      assert.equal(state.name, old.name);
      assert.equal(state.serializedInput, old.serializedInput);
      assert.equal(state.runtimeStatus, name === "FAILED" ? status.FAILED : status.COMPLETED);
    });
  }

  for (const name of ["COMPLETED", "RUNNING"]) {
    test(`one that is ${name} can run again under a new id`, async () => {
      const id = await leftIn[name]();
      const other = await client.restartOrchestration(id, true);
      assert.notEqual(other, id);
      assert.equal((await stateOf(id)).runtimeStatus, status[name]);
      if (name === "RUNNING") await raise(other, "go", 1);
      const state = await end(other);
      output(state);
      assert.equal(state.serializedInput, (await stateOf(id)).serializedInput);
    });
  }

  test("one that runs cannot be restarted under its id", async () => {
    await assert.rejects(client.restartOrchestration(await leftIn.RUNNING()),
      /cannot be restarted/);
  });

  test("one that does not exist cannot be restarted", async () => {
    await assert.rejects(client.restartOrchestration(newId("nobody")), /was not found/);
  });
});

// Last and alone: it purges what it finds.
test("a purge by filter takes what it says, and no other", async () => {
  const purge = async (from, to, statuses) => {
    const criteria = new PurgeInstanceCriteria();
    criteria.setCreatedTimeFrom(from);
    criteria.setCreatedTimeTo(to);
    criteria.setRuntimeStatusList(statuses);
    return (await client.purgeOrchestration(criteria)).deletedInstanceCount;
  };
  const ids = {};
  await sleep(20);
  const from = new Date();
  await sleep(20);
  for (const name of [...ENDED, ...ACTIVE]) ids[name] = await leftIn[name]();
  await sleep(20);
  const to = new Date();
  await sleep(20);
  const later = await leftIn.COMPLETED();
  const left = async () => {
    const there = [];
    for (const [name, id] of Object.entries(ids)) if (await stateOf(id)) there.push(name);
    return there;
  };
  assert.equal(await purge(from, to, [status.FAILED]), 1);
  assert.deepEqual(await left(), ["COMPLETED", "TERMINATED", ...ACTIVE]);
  assert.equal(await purge(from, to, [status.RUNNING]), 0);
  assert.equal(await purge(from, to, []), 2);
  assert.deepEqual(await left(), ACTIVE);
  assert.ok(await stateOf(later));
  assert.ok((await purge(undefined, undefined, [])) > 1);
  assert.equal(await stateOf(later), undefined);
  assert.deepEqual(await left(), ACTIVE);
});
