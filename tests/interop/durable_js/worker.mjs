// A worker as a process of its own, to be killed: worker.mjs ADDRESS LABEL [STUCK...]
//
// Says `LABEL NAME` for whatever it begins. What is named in STUCK (`turn`, `task`) it
// never ends.

import { range, newWorker } from "./hub.mjs";
import { whenAll } from "@microsoft/durabletask-js";

const [, , , label, ...stuck] = process.argv;

async function begin(name) {
  console.log(`${label} ${name}`);
  if (stuck.includes(name)) await new Promise(() => {});
}

const orchestrators = {
  killable: async function* (ctx, n) {
    if (!ctx.isReplaying) await begin("turn");
    return yield whenAll(range(n).map((i) => ctx.callActivity("killable", i)));
  },
};

const activities = {
  killable: async (_, i) => {
    await begin("task");
    return i;
  },
};

await newWorker({ orchestrators, activities, workItemFilters: "auto" }).start();
setInterval(() => {}, 1000); // Lives while it has nothing to do.
