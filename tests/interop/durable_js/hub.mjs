// What the programs of this folder share: a client and a worker of the SDK on the
// server whose address is the first argument.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before } from "node:test";
import {
  NoOpLogger, OrchestrationStatus, TaskHubGrpcClient, TaskHubGrpcWorker,
} from "@microsoft/durabletask-js";

export const address = process.argv[2];
export const status = OrchestrationStatus;
export const code = { INVALID_ARGUMENT: 3, NOT_FOUND: 5, ALREADY_EXISTS: 6 }; // gRPC's

// The tests of a file run side by side: most of their time is waiting.
export const together = { concurrency: 100, timeout: 120_000 };

// SDK_LOG=1 lets the SDK say what it does.
const logger = process.env.SDK_LOG ? undefined : new NoOpLogger();

export function newClient(options = {}) {
  return new TaskHubGrpcClient({ hostAddress: address, logger, ...options });
}

export function newWorker({
  orchestrators = {}, activities = {}, entities = {}, ...options
}) {
  const worker = new TaskHubGrpcWorker({ hostAddress: address, logger, ...options });
  for (const [name, run] of Object.entries(orchestrators))
    worker.addNamedOrchestrator(name, run);
  for (const [name, run] of Object.entries(activities)) worker.addNamedActivity(name, run);
  for (const [name, make] of Object.entries(entities)) worker.addNamedEntity(name, make);
  return worker;
}

// A worker while the file's tests run, and a client, which it gives.
export function hub(programs = {}) {
  const client = newClient();
  const worker = newWorker(programs);
  before(() => worker.start());
  after(() => Promise.all([worker.stop(), client.stop()]));
  return client;
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const range = (n) => Array.from({ length: n }, (_, i) => i);
export const newId = (name) => `${name}-${randomUUID().slice(0, 8)}`;
export const parse = (text) => (text === undefined ? undefined : JSON.parse(text));

// Starts one and waits for its end: its state.
export async function run(client, orchestrator, input, options) {
  const id = await client.scheduleNewOrchestration(orchestrator, input, options);
  return client.waitForOrchestrationCompletion(id);
}

// What one returned that has to have completed.
export function output(state) {
  assert.equal(status[state.runtimeStatus], "COMPLETED",
    `${state.instanceId}: ${state.failureDetails?.message}`);
  return parse(state.serializedOutput);
}

// The state once it is so.
export async function until(client, id, condition, what) {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(20)) {
    const state = await client.getOrchestrationState(id);
    if (state && condition(state)) return state;
  }
  assert.fail(`waited for ${id}: ${what ?? condition}`);
}

export const untilStatus = (client, id, wanted) =>
  until(client, id, (s) => s.runtimeStatus === wanted, status[wanted]);

export const untilCustomStatus = (client, id, wanted) =>
  until(client, id, (s) => s.serializedCustomStatus === JSON.stringify(wanted),
    `custom status ${JSON.stringify(wanted)}`);

// The kinds of events in its history.
export async function kinds(client, id) {
  return (await client.getOrchestrationHistory(id)).map((event) => event.type);
}

export const count = (list, wanted) => list.filter((one) => one === wanted).length;

// The call, again and again while there is no server. Whether it was needed.
export async function insist(call) {
  for (let again = false; ; again = true, await sleep(100)) {
    try {
      await call();
      return again;
    } catch (error) {
      if (again && error.code === code.ALREADY_EXISTS) return again; // It was heard.
      if (error.code !== 14 && error.code !== 1) throw error; // UNAVAILABLE, CANCELLED
    }
  }
}
