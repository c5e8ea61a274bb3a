// Entities that outlive their workers and their server: bank.mjs ADDRESS [worker]
//
// Without `worker`: moves money between accounts until its standard input ends, and says
// `done` once all is as it should be, however often the server and the workers have been
// killed meanwhile. Each of them is a process of its own, says `did` for each operation,
// and ends with the process that has its standard input.

import assert from "node:assert/strict";
import { EntityInstanceId, TaskEntity } from "@microsoft/durabletask-js";
import { insist, newClient, newId, newWorker, output, range, sleep } from "./hub.mjs";

const ACCOUNTS = 4;
const TRANSFERS = 60; // At least, and as many signals.

const of = (key) => new EntityInstanceId("account", key);
const ledger = new EntityInstanceId("ledger", "1");

class List extends TaskEntity {
  initializeState() {
    return { entries: [] };
  }
}

// What came in, by id; each entry is told to the ledger and has a receipt.
class Account extends List {
  async enter({ id, n }) {
    await sleep(10);
    console.log("did");
    this.state.entries.push({ id, n });
    this.context.signalEntity(ledger, "enter", id);
    this.context.scheduleNewOrchestration("receipt", id,
      { instanceId: `receipt-${this.context.id.key}-${id}` });
    return this.state.entries.length;
  }
}

class Ledger extends List {
  enter(id) {
    this.state.entries.push(id);
  }
}

const orchestrators = {
  receipt: async (_, id) => id,
  transfer: async function* (ctx, { id, from, to, n }) {
    const lock = yield ctx.entities.lockEntities(of(from), of(to));
    const before = yield ctx.entities.callEntity(of(from), "enter", { id, n: -n });
    const after = yield ctx.entities.callEntity(of(to), "enter", { id, n });
    lock.release();
    return [before, after];
  },
};

async function serve() {
  const entities = { account: () => new Account(), ledger: () => new Ledger() };
  await newWorker({ orchestrators, entities }).start();
  process.stdin.on("end", () => process.exit(0)).resume();
}

async function moveMoney() {
  const client = newClient();
  const entries = async (id) => {
    let found;
    await insist(async () => {
      found = await client.getEntity(id);
    });
    return found?.state?.entries ?? [];
  };
  const until = async (condition, what) => {
    for (const end = Date.now() + 60_000; Date.now() < end; await sleep(50))
      if (await condition()) return;
    assert.fail(what);
  };
  const result = async (id) => {
    let state;
    await insist(async () => {
      state = await client.waitForOrchestrationCompletion(id, true, 300);
    });
    assert.ok(state, `${id} is lost`);
    return output(state);
  };

  const bank = newId("bank");
  const keys = range(ACCOUNTS).map((n) => `${bank}-${n}`);
  const signals = Object.fromEntries(keys.map((key) => [key, []]));
  const transfers = [];
  const repeated = new Set(); // Signals that may have been heard twice.
  let enough = false;
  process.stdin.on("end", () => (enough = true)).resume();
  for (let n = 0; n < TRANSFERS || !enough; n++) {
    const from = n % ACCOUNTS;
    const to = (n + 1 + (Math.floor(n / ACCOUNTS) % (ACCOUNTS - 1))) % ACCOUNTS;
    const transfer = { id: `t-${n}`, from: keys[from], to: keys[to], n: n + 1 };
    const transferId = `${bank}-t-${n}`;
    await insist(async () => {  // Once it has ended, a start would run it again.
      if (await client.getOrchestrationState(transferId, false)) return;
      await client.scheduleNewOrchestration("transfer", transfer, transferId);
    });
    transfers.push(transfer);
    const [key, id] = [keys[from], `s-${n}`];
    if (await insist(() => client.signalEntity(of(key), "enter", { id, n: 1 })))
      repeated.add(id);
    signals[key].push(id);
    await sleep(50);
  }
  for (const { id } of transfers) await result(`${bank}-${id}`);

  const all = [];
  for (const key of keys) {
    await until(async () => {
      const ids = (await entries(of(key))).map(({ id }) => id);
      return signals[key].every((id) => ids.includes(id));
    }, `all signals to ${key}`);
    const found = await entries(of(key));
    const ids = found.map(({ id }) => id);
    const wanted = transfers.flatMap(({ id, from, to, n }) =>
      [...(from === key ? [{ id, n: -n }] : []), ...(to === key ? [{ id, n }] : [])]);
    const byId = (a, b) => Number(a.id.slice(2)) - Number(b.id.slice(2));
    assert.deepEqual(found.filter(({ id }) => id.startsWith("t-")).sort(byId),
      wanted.sort(byId), `transfers of ${key}, each once`);
    const told = ids.filter((id) => id.startsWith("s-"));
    assert.deepEqual([...new Set(told)], signals[key], `signals to ${key}, in order`);
    for (const id of signals[key])
      if (!repeated.has(id)) assert.equal(told.filter((one) => one === id).length, 1, id);
    for (const id of new Set(ids)) assert.equal(await result(`receipt-${key}-${id}`), id);
    all.push(...ids);
  }
  await until(async () => (await entries(ledger)).length >= all.length, "the ledger has all");
  assert.deepEqual((await entries(ledger)).sort(), all.sort(), "entries of the ledger");
  console.log("done");
  process.exit(0);
}

await (process.argv[3] === "worker" ? serve() : moveMoney());
