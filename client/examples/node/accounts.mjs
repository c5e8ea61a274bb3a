// Two accounts that are entities, and transfers that nobody sees half done.
//
// usage: accounts.mjs ADDRESS

import { randomUUID } from "node:crypto";
import {
  EntityInstanceId, NoOpLogger, TaskEntity, TaskHubGrpcClient, TaskHubGrpcWorker,
} from "@microsoft/durabletask-js";
import { credentials } from "./credentials.cjs";

// Operations on an account run one after the other.
class Account extends TaskEntity {
  initializeState() {
    return { balance: 0 };
  }
  deposit(amount) {
    this.state.balance += amount;
  }
  withdraw(amount) {
    if (this.state.balance < amount) // Changes nothing.
      throw new Error(`there are only ${this.state.balance}`);
    this.state.balance -= amount;
  }
  balance() {
    return this.state.balance;
  }
}

const account = (key) => new EntityInstanceId("Account", key);

async function* transfer(ctx, { from, to, amount }) {
  const [source, target] = [account(from), account(to)];
  const lock = yield ctx.entities.lockEntities(source, target);
  yield ctx.entities.callEntity(source, "withdraw", amount);
  yield ctx.entities.callEntity(target, "deposit", amount);
  const left = yield ctx.entities.callEntity(source, "balance");
  const there = yield ctx.entities.callEntity(target, "balance");
  lock.release(); // It would end with the orchestration, too.
  return `${left} and ${there}`;
}

const options = {
  hostAddress: process.argv[2], credentials: credentials(), logger: new NoOpLogger(),
};
const worker = new TaskHubGrpcWorker(options);
worker.addNamedEntity("Account", () => new Account());
worker.addOrchestrator(transfer);
await worker.start();

const client = new TaskHubGrpcClient(options);
const [alice, bob] = ["alice", "bob"].map((name) => `${name}-${randomUUID()}`);
await client.signalEntity(account(alice), "deposit", 100);
for (const amount of [30, 80]) {
  const id = await client.scheduleNewOrchestration(transfer, { from: alice, to: bob, amount });
  const state = await client.waitForOrchestrationCompletion(id);
  console.log(`transfer of ${amount}: ${JSON.parse(state.serializedOutput ?? '"not done"')}`);
}
await Promise.all([worker.stop(), client.stop()]);
