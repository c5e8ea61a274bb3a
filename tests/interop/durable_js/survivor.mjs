// Work that outlives its server: survivor.mjs ADDRESS
//
// Starts orchestrations of every kind, says `did` for each activity and `done` once all
// have ended as they should, however often the server has been killed meanwhile.

import assert from "node:assert/strict";
import { whenAll } from "@microsoft/durabletask-js";
import { insist, newClient, newId, newWorker, output, range, sleep } from "./hub.mjs";

const EACH = 8; // Orchestrations of a kind.
const STEPS = 40;

const orchestrators = {
  chain: async function* (ctx, n) {
    for (const _ of range(STEPS)) n = yield ctx.callActivity("addOne", n);
    return n;
  },
  sleeper: async function* (ctx, n) {
    for (const _ of range(STEPS)) yield ctx.createTimer(0.1);
    return n;
  },
  parent: async function* (ctx, n) {
    const children = yield whenAll(range(3).map((i) => ctx.callSubOrchestrator("chain", i)));
    return [n, ...children];
  },
  countdown: async function* (ctx, { n, left }) {
    if (left === 0) return n;
    ctx.continueAsNew({ n: yield ctx.callActivity("addOne", n), left: left - 1 }, true);
  },
  collector: async function* (ctx, got) {
    const item = yield ctx.waitForExternalEvent("item");
    if (item === "end") return got;
    ctx.continueAsNew([...got, item], true);
  },
};

const activities = {
  addOne: async (_, n) => {
    await sleep(100);
    console.log("did");
    return n + 1;
  },
};

const wanted = {
  chain: (n) => [n, n + STEPS],
  sleeper: (n) => [n, n],
  parent: (n) => [n, [n, ...range(3).map((i) => i + STEPS)]],
  countdown: (n) => [{ n, left: STEPS }, n + STEPS],
};

const client = newClient();
const worker = newWorker({ orchestrators, activities });
await worker.start();

async function result(id) {
  let state;
  await insist(async () => {
    state = await client.waitForOrchestrationCompletion(id, true, 300);
  });
  assert.ok(state, `${id} is lost`);
  return output(state);
}

const running = [];
for (const [name, make] of Object.entries(wanted)) {
  for (const n of range(EACH)) {
    const [input, expected] = make(n);
    const id = newId(name);
    await insist(() => client.scheduleNewOrchestration(name, input, id));
    running.push([id, expected]);
  }
}
const collector = newId("collector");
await insist(() => client.scheduleNewOrchestration("collector", [], collector));

const repeated = new Set(); // Events that may have been heard twice.
for (const n of range(150)) {
  if (await insist(() => client.raiseOrchestrationEvent(collector, "item", n))) repeated.add(n);
  await sleep(30);
}
await insist(() => client.raiseOrchestrationEvent(collector, "item", "end"));

for (const [id, expected] of running) assert.deepEqual(await result(id), expected, id);
const got = await result(collector);
assert.deepEqual([...new Set(got)], range(150), "events, each and in order");
for (const n of range(150))
  if (!repeated.has(n)) assert.equal(got.filter((m) => m === n).length, 1, `event ${n}`);
console.log("done");
process.exit(0); // Not worker.stop(): what it waits for is over.
