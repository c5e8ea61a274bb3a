// Many instances at once: queries and lists, by filter and page by page.

import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import {
  hub, newId, range, run, sleep, status, together, untilCustomStatus,
} from "./hub.mjs";

const orchestrators = {
  done: async (_, input) => input,
  failing: async () => {
    throw new Error("as it must");
  },
  awaiting: async function* (ctx) {
    ctx.setCustomStatus("waiting");
    return yield ctx.waitForExternalEvent("go");
  },
};

const client = hub({ orchestrators });

const prefix = newId("q");
const completed = range(7).map((i) => `${prefix}-completed-${i}`);
const failed = range(3).map((i) => `${prefix}-failed-${i}`);
const running = range(4).map((i) => `${prefix}-running-${i}`);
let middle; // Of time: those that end well are older, the others younger.

before(async () => {
  for (const id of completed) await run(client, "done", { id }, { instanceId: id });
  await sleep(20);
  middle = new Date();
  await sleep(20);
  for (const id of failed)
    await run(client, "failing", 1, { instanceId: id, tags: { kind: "bad" } });
  for (const id of running) {
    await client.scheduleNewOrchestration("awaiting", 1, id);
    await untilCustomStatus(client, id, "waiting");
  }
});

const mine = (ids) => ids.filter((id) => id.startsWith(prefix)).sort();

async function query(filter) {
  const found = [];
  for await (const state of client.getAllInstances({ instanceIdPrefix: prefix, ...filter }))
    found.push(state);
  return found;
}

const queried = async (filter) => (await query(filter)).map((state) => state.instanceId).sort();

async function listed(filter) {
  const ids = [];
  let page, pages = 0;
  do {
    page = await client.listInstanceIds({ ...filter, lastInstanceKey: page?.continuationToken });
    ids.push(...page.values);
    ++pages;
  } while (page.hasMoreResults);
  return { ids: ids.filter((id) => id.startsWith(prefix)), pages };
}

describe("queries", together, () => {
  test("without a filter everything is there", async () => {
    const found = [];
    for await (const state of client.getAllInstances()) found.push(state.instanceId);
    assert.deepEqual(mine(found), mine([...completed, ...failed, ...running]));
  });

  test("by prefix of the id", async () => {
    assert.deepEqual(await queried(), [...completed, ...failed, ...running].sort());
    assert.deepEqual(await queried({ instanceIdPrefix: `${prefix}-f` }), failed);
    assert.deepEqual(await queried({ instanceIdPrefix: newId("nobody") }), []);
  });

  test("by status, one or several", async () => {
    assert.deepEqual(await queried({ statuses: [status.COMPLETED] }), completed);
    assert.deepEqual(await queried({ statuses: [status.RUNNING] }), running);
    assert.deepEqual(await queried({ statuses: [status.FAILED, status.RUNNING] }),
      [...failed, ...running]);
    assert.deepEqual(await queried({ statuses: [status.SUSPENDED] }), []);
  });

  test("by time of creation", async () => {
    assert.deepEqual(await queried({ createdTo: middle }), completed);
    assert.deepEqual(await queried({ createdFrom: middle }), [...failed, ...running]);
    assert.deepEqual(await queried({ createdFrom: new Date(Date.now() + 3.6e6) }), []);
    assert.deepEqual(await queried({ createdFrom: middle, statuses: [status.COMPLETED] }), []);
  });

  test("names of task hubs are no filter", async () => {
    assert.deepEqual(await queried({ taskHubNames: ["other"] }), await queried());
  });

  for (const pageSize of [1, 3, 14, 15]) {
    test(`pages of ${pageSize} hold each instance once`, async () => {
      const ids = [];
      const all = client.getAllInstances({ instanceIdPrefix: prefix });
      for await (const page of all.asPages(undefined, pageSize)) {
        assert.ok(page.values.length <= pageSize);
        ids.push(...page.values.map((state) => state.instanceId));
      }
      assert.deepEqual(ids.sort(), [...completed, ...failed, ...running].sort());
    });
  }

  test("a page's token goes on where the page ended", async () => {
    const pages = (token) => client.getAllInstances({ instanceIdPrefix: prefix }).asPages(token, 5);
    const first = (await pages()[Symbol.asyncIterator]().next()).value;
    const rest = [];
    for await (const page of pages(first.continuationToken))
      rest.push(...page.values.map((state) => state.instanceId));
    assert.deepEqual([...first.values.map((state) => state.instanceId), ...rest].sort(),
      await queried());
  });

  test("a state has what a single look would have", async () => {
    for (const id of [completed[0], failed[0], running[0]]) {
      const [found] = await query({ instanceIdPrefix: id, fetchInputsAndOutputs: true });
      assert.deepEqual(found, await client.getOrchestrationState(id));
    }
  });

  test("payloads only if they are asked for", async () => {
    const [found] = await query({ instanceIdPrefix: completed[0] });
    assert.equal(found.serializedInput, undefined);
    assert.equal(found.serializedOutput, undefined);
    const [whole] = await query({ instanceIdPrefix: completed[0], fetchInputsAndOutputs: true });
    assert.equal(whole.serializedInput, JSON.stringify({ id: completed[0] }));
    assert.equal(whole.serializedOutput, JSON.stringify({ id: completed[0] }));
  });
});

describe("lists of ids", together, () => {
  test("hold what has ended, in the order of their ends", async () => {
    assert.deepEqual((await listed()).ids, [...completed, ...failed]);
  });

  test("by status", async () => {
    assert.deepEqual((await listed({ runtimeStatus: [status.FAILED] })).ids, failed);
    assert.deepEqual((await listed({ runtimeStatus: [status.TERMINATED] })).ids, []);
  });

  test("by time of the end", async () => {
    assert.deepEqual((await listed({ completedTimeTo: middle })).ids, completed);
    assert.deepEqual((await listed({ completedTimeFrom: middle })).ids, failed);
  });

  for (const pageSize of [1, 4, 10]) {
    test(`pages of ${pageSize} hold each id once`, async () => {
      const { ids, pages } = await listed({ pageSize });
      assert.deepEqual(ids, [...completed, ...failed]);
      assert.ok(pages >= 10 / pageSize);
    });
  }
});
