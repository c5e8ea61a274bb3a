// Several workers: who gets what, who is gone, who takes over.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, describe, test } from "node:test";
import { createInterface } from "node:readline";
import { VersionFailureStrategy, VersionMatchStrategy, whenAll } from "@microsoft/durabletask-js";
import {
  address, newClient, newId, newWorker, output, range, run, sleep, status, together,
} from "./hub.mjs";

const client = newClient();
after(() => client.stop());

// Runs the body while these workers run. Each has filters of what it registers,
// unless it says otherwise, so that tests do not take each other's work.
async function withWorkers(workers, body) {
  const all = workers.map((one) => newWorker({ workItemFilters: "auto", ...one }));
  await Promise.all(all.map((worker) => worker.start()));
  try {
    return await body(...all);
  } finally {
    await Promise.all(all.map((worker) => worker.stop().catch(() => {}))); // Or is stopped.
  }
}

// A worker in a process of its own.
class Process {
  constructor(label, ...stuck) {
    this.said = [];
    this.process = spawn(process.execPath,
      [new URL("worker.mjs", import.meta.url).pathname, address, label, ...stuck],
      { stdio: ["ignore", "pipe", "inherit"] });
    createInterface(this.process.stdout).on("line", (line) => this.said.push(line));
  }

  async kill() {
    this.process.kill("SIGKILL");
    if (this.process.exitCode === null && this.process.signalCode === null)
      await once(this.process, "exit");
  }
}

const start = (name, input, options) => client.scheduleNewOrchestration(name, input, options);
const end = (id) => client.waitForOrchestrationCompletion(id);
const stays = async (id, wanted) => {
  await sleep(400);
  assert.equal((await client.getOrchestrationState(id)).runtimeStatus, wanted);
};
const strict = (version, failureStrategy = VersionFailureStrategy.Reject) =>
  ({ versioning: { version, matchStrategy: VersionMatchStrategy.Strict, failureStrategy } });

describe("workers", together, () => {
  test("work waits for a worker", async () => {
    const id = await start("patient", 1);
    await stays(id, status.PENDING);
    await withWorkers([{ orchestrators: { patient: async (_, n) => n } }], async () => {
      assert.equal(output(await end(id)), 1);
    });
  });

  test("two workers share the work", async () => {
    const did = { a: 0, b: 0 };
    const worker = (label) => ({
      orchestrators: {
        shared: async function* (ctx) {
          return yield whenAll(range(40).map((i) => ctx.callActivity("share", i)));
        },
      },
      activities: {
        share: async (_, i) => {
          ++did[label];
          await sleep(20);
          return i;
        },
      },
    });
    await withWorkers([worker("a"), worker("b")], async () => {
      await sleep(300); // Both are there.
      const states = await Promise.all(range(5).map(() => run(client, "shared")));
      for (const state of states) assert.deepEqual(output(state), range(40));
    });
    assert.equal(did.a + did.b, 200);
    assert.ok(did.a > 20 && did.b > 20, `unfair: ${JSON.stringify(did)}`);
  });

  test("one worker may have orchestrators, another their activities", async () => {
    const orchestrators = {
      split: async function* (ctx, n) {
        return yield ctx.callActivity("splitActivity", n);
      },
    };
    const activities = { splitActivity: async (_, n) => n + 1 };
    await withWorkers([{ orchestrators }], async () => {
      const id = await start("split", 1);
      await client.waitForOrchestrationStart(id);
      await stays(id, status.RUNNING); // Nobody has the activity.
      await withWorkers([{ activities }], async () => assert.equal(output(await end(id)), 2));
    });
  });

  test("a worker gets only what it asks for, in any case of the name", async () => {
    const orchestrators = { wanted: async () => 1, unwanted: async () => 2 };
    const workItemFilters = { orchestrations: [{ name: "WANTED" }] };
    await withWorkers([{ orchestrators, workItemFilters }], async () => {
      const unwanted = await start("unwanted");
      assert.equal(output(await run(client, "wanted")), 1);
      await stays(unwanted, status.PENDING);
    });
  });

  test("a filter may ask for versions, and for none", async () => {
    const worker = (label, versions) => ({
      orchestrators: { choosy: async (ctx) => `${label}: ${ctx.version}` },
      workItemFilters: { orchestrations: [{ name: "choosy", versions }] },
    });
    await withWorkers([worker("a", ["1.0", "1.5"]), worker("b", ["2.0", ""])], async () => {
      const results = await Promise.all(["1.0", "1.5", "2.0", undefined].map(
        async (version) => output(await run(client, "choosy", 0, { version }))));
      assert.deepEqual(results, ["a: 1.0", "a: 1.5", "b: 2.0", "b: "]);
      await stays(await start("choosy", 0, { version: "3.0" }), status.PENDING);
    });
  });

  test("an activity without a version goes with that of its orchestration", async () => {
    const worker = (version) => ({
      ...strict(version),
      orchestrators: {
        release: async function* (ctx) {
          return yield whenAll(range(5).map(() => ctx.callActivity("whoAmI")));
        },
      },
      activities: { whoAmI: async () => version },
    });
    await withWorkers([worker("1.0"), worker("2.0")], async () => {
      for (const version of ["1.0", "2.0"])
        assert.deepEqual(output(await run(client, "release", 0, { version })),
          range(5).map(() => version));
    });
  });

  test("what a worker gives back for its version another takes", async () => {
    const worker = (version) => ({
      ...strict(version),
      orchestrators: { returned: async () => version },
      workItemFilters: { orchestrations: [{ name: "returned" }] }, // Of any version.
    });
    await withWorkers([worker("1.0"), worker("2.0")], async () => {
      const results = await Promise.all(range(10).map(async (i) =>
        output(await run(client, "returned", 0, { version: i % 2 ? "1.0" : "2.0" }))));
      assert.deepEqual(results, range(10).map((i) => (i % 2 ? "1.0" : "2.0")));
    });
  });

  test("a worker may fail what is not of its version", async () => {
    const worker = {
      ...strict("1.0", VersionFailureStrategy.Fail),
      orchestrators: { mismatched: async () => 1 },
      workItemFilters: { orchestrations: [{ name: "mismatched" }] },
    };
    await withWorkers([worker], async () => {
      const state = await run(client, "mismatched", 0, { version: "2.0" });
      assert.equal(state.runtimeStatus, status.FAILED);
      assert.equal(state.failureDetails.errorType, "VersionMismatch");
    });
  });

  test("a worker that stops ends what it has begun, once", async () => {
    let begun = 0;
    const orchestrators = {
      farewell: async function* (ctx) {
        return yield ctx.callActivity("slowly");
      },
    };
    const activities = {
      slowly: async () => {
        ++begun;
        await sleep(700);
        return "done";
      },
    };
    const id = await start("farewell");
    await withWorkers([{ orchestrators, activities }], async (worker) => {
      while (begun === 0) await sleep(10);
      await worker.stop();
    });
    await withWorkers([{ orchestrators, activities }], async () => {
      assert.equal(output(await end(id)), "done");
    });
    assert.equal(begun, 1);
  });

  test("a worker that is gone and comes back goes on", async () => {
    const worker = {
      orchestrators: {
        resumed: async function* (ctx) {
          const events = [];
          while (events.length < 2) events.push(yield ctx.waitForExternalEvent("go"));
          return events;
        },
      },
    };
    const id = await start("resumed");
    await withWorkers([worker], async () => {
      await client.waitForOrchestrationStart(id);
      await client.raiseOrchestrationEvent(id, "go", 1);
    });
    await client.raiseOrchestrationEvent(id, "go", 2);
    await stays(id, status.RUNNING);
    await withWorkers([worker], async () => assert.deepEqual(output(await end(id)), [1, 2]));
  });
});

for (const what of ["turn", "task"]) {
  test(`a worker is killed in the middle of a ${what}: another does its work`, async () => {
    const [stuck, good] = [new Process("stuck", what), new Process("good")];
    try {
      const ids = [];
      const both = () => stuck.said.includes(`stuck ${what}`) && good.said.includes("good task");
      for (const end = Date.now() + 60_000; !both(); await sleep(50)) {
        assert.ok(Date.now() < end, `one gets nothing: ${stuck.said} ${good.said}`);
        ids.push(await start("killable", 10, { instanceId: newId("killable") }));
      }
      await stuck.kill();
      for (const id of ids) assert.deepEqual(output(await end(id)), range(10));
    } finally {
      await Promise.all([stuck.kill(), good.kill()]);
    }
  });
}
