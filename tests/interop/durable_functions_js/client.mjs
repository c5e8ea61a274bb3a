// The client that a Functions app gets, with the answer of a start as its URLs, or with
// the address that SDKs of other languages are given: node client.mjs ORIGIN

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import functions from "@azure/functions";
import * as df from "durable-functions";

const { HttpRequest, InvocationContext } = functions;
const origin = process.argv[2];
const prefix = `${origin}/runtime/webhooks/durabletask`;
// What getClient would put in the place of our origin, were this not set.
process.env.WEBSITE_HOSTNAME = new URL(origin).host;

// Clients cut the ID out of these as text.
const placeholder = "INSTANCE_ID";
const started = await fetch(`${prefix}/orchestrators/Counter/${placeholder}`, {
  method: "POST",
  body: "0",
});
const managementUrls = await started.json();

function clientWith(more) {
  const input = df.input.durableClient();
  const context = new InvocationContext({ options: { extraInputs: [input] } });
  context.extraInputs.set(input, {
    taskHubName: "default",
    creationUrls: {
      createNewInstancePostUri:
        `${prefix}/orchestrators/{functionName}[/{instanceId}]?taskHub=default`,
    },
    managementUrls,
    baseUrl: prefix,
    requiredQueryStringParameters: "taskHub=default",
    ...more,
  });
  return df.getClient(context);
}

async function until(what, condition) {
  for (let i = 0; i < 600; ++i) {
    const found = await condition();
    if (found) return found;
    await sleep(50);
  }
  assert.fail(`waited in vain for ${what}`);
}

const { Completed, Pending, Running, Suspended, Terminated } = df.OrchestrationRuntimeStatus;

for (const [how, more] of [
  ["by the URLs of a start", {}],
  ["by rpcBaseUrl", { rpcBaseUrl: `${origin}/durabletask/` }],
]) {
  const client = clientWith(more);
  let count = 0;
  const newId = () => `js ${how} ${++count}`;
  const is = (id, status) =>
    until(status, async () => {
      const found = await client.getStatus(id);
      return found.runtimeStatus === status && found;
    });

  describe(how, { concurrency: 1 }, () => {
    test("starts, and the status has input, output and times", async () => {
      const id = newId();
      assert.equal(await client.startNew("Ping", { instanceId: id, input: { n: [1] } }), id);
      const status = await is(id, Completed);
      assert.equal(status.name, "Ping");
      assert.equal(status.instanceId, id);
      assert.deepEqual(status.input, { n: [1] });
      assert.deepEqual(status.output, { n: [1] });
      assert.ok(status.createdTime instanceof Date && status.lastUpdatedTime >= status.createdTime);
    });

    test("starts without an ID and without an input", async () => {
      const id = await client.startNew("Ping");
      assert.ok(id);
      assert.equal((await is(id, Completed)).output, ""); // Ping's is as empty as its input.
    });

    test("a second start of an active ID is refused", async () => {
      const id = newId();
      await client.startNew("nobody's", { instanceId: id });
      await assert.rejects(client.startNew("nobody's", { instanceId: id }), /409/);
      assert.equal((await client.getStatus(id)).runtimeStatus, Pending);
    });

    test("events, custom status, suspend, resume, terminate", async () => {
      const id = newId();
      await client.startNew("Counter", { instanceId: id, input: 1 });
      await client.raiseEvent(id, "operation", { add: 4 });
      await until("5", async () => (await client.getStatus(id)).customStatus === 5);
      await client.suspend(id, "a rest");
      await is(id, Suspended);
      await client.resume(id, "go on");
      await is(id, Running);
      await client.terminate(id, "enough of it");
      assert.equal((await is(id, Terminated)).output, "enough of it");
      // For one that has ended these do nothing, and for an unknown one they fail.
      await client.raiseEvent(id, "operation", "incr");
      await client.terminate(id, "again");
      await assert.rejects(client.raiseEvent("missing", "operation"), /No instance/);
      await assert.rejects(client.terminate("missing", ""), /No instance/);
    });

    test("an event without data", async () => {
      const id = newId();
      await client.startNew("nobody's", { instanceId: id });
      await client.raiseEvent(id, "nothing", undefined);
    });

    test("a rewind of one that has not failed is refused", async () => {
      const id = newId();
      await client.startNew("Ping", { instanceId: id });
      await is(id, Completed);
      await assert.rejects(client.rewind(id, "why"));
      await assert.rejects(client.rewind("missing", "why"));
    });

    test("the history, with outputs", async () => {
      const id = newId();
      await client.startNew("EchoSequence", { instanceId: id, input: ["x", "y"] });
      await is(id, Completed);
      // The client's own class drops what the API calls historyEvents; users append to its URL.
      const { statusQueryGetUri } = client.createHttpManagementPayload(id);
      const answer = await fetch(`${statusQueryGetUri}&showHistory=true&showHistoryOutput=true`);
      const { historyEvents } = await answer.json();
      const done = historyEvents.filter((event) => event.EventType === "TaskCompleted");
      assert.deepEqual(done.map((event) => [event.FunctionName, event.Result.text]),
        [["Echo", "x"], ["Echo", "y"]]);
    });

    test("lists and purges, by status and time", async () => {
      const before = new Date();
      const ids = [newId(), newId()];
      for (const id of ids) await client.startNew("Ping", { instanceId: id });
      for (const id of ids) await is(id, Completed);
      const filter = { createdTimeFrom: before, runtimeStatus: [Completed] };
      const found = await client.getStatusBy(filter);
      assert.deepEqual(found.map((status) => status.instanceId).sort(), ids);
      assert.ok((await client.getStatusAll()).length > 2);
      assert.equal((await client.purgeInstanceHistory(ids[0])).instancesDeleted, 1);
      assert.equal((await client.purgeInstanceHistory(ids[0])).instancesDeleted, 0);
      assert.equal((await client.purgeInstanceHistoryBy(filter)).instancesDeleted, 1);
      assert.equal((await client.purgeInstanceHistoryBy(filter)).instancesDeleted, 0);
      await assert.rejects(client.getStatus(ids[1]), /404/);
    });

    test("waits for the end, or answers with the URLs of the instance", async () => {
      const request = new HttpRequest({ method: "POST", url: `${origin}/api/mine` });
      const id = newId();
      await client.startNew("Ping", { instanceId: id, input: 7 });
      const ended = await client.waitForCompletionOrCreateCheckStatusResponse(request, id);
      assert.deepEqual([ended.status, await ended.json()], [200, 7]);
      const open = newId();
      await client.startNew("nobody's", { instanceId: open });
      const urls = await client.waitForCompletionOrCreateCheckStatusResponse(request, open, {
        timeoutInMilliseconds: 100,
        retryIntervalInMilliseconds: 50,
      });
      assert.equal(urls.status, 202);
      const { statusQueryGetUri } = await urls.json();
      assert.equal((await (await fetch(statusQueryGetUri)).json()).instanceId, open);
    });

    test("entities: signals, states", async () => {
      const entity = new df.EntityId("Counter", newId().replaceAll(" ", "-"));
      assert.equal((await client.readEntityState(entity)).entityExists, false);
      await client.signalEntity(entity, "add", 3);
      const state = await until("a state", async () => {
        const read = await client.readEntityState(entity);
        return read.entityExists && read;
      });
      assert.equal(state.entityState, 3);
    });
  });
}
