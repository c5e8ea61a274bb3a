// The connected workers: what they take, and how busy they are.

import { get } from "./api.js";
import { plural, time } from "./format.js";
import { fill, h } from "./h.js";
import { facts, loading, problem } from "./parts.js";

const REFRESH_MS = 3000;
const NAMES = 12;

function slots(work) {
  const used = Number(work.slots_used ?? 0), all = Number(work.slots ?? 0);
  return h("span", { class: "slots" },
    all > 0 ? h("span", { class: "bar", "aria-hidden": "true" },
      h("span", { class: "fill", style: { width: `${Math.min(100, (used / all) * 100)}%` } })) : null,
    all > 0 ? `${used} of ${all} slots in use` : `${used} in use`);
}

function names(work) {
  if (work.all) return "any name";
  const list = work.names ?? [];
  const rest = Number(work.name_count ?? list.length) - Math.min(NAMES, list.length);
  return [list.slice(0, NAMES).map((n) => [h("code", null, n.name ?? n,
    (n.versions ?? []).length ? ` ${n.versions.join(", ")}` : ""), " "]),
  rest > 0 ? `and ${rest} more` : null, list.length === 0 ? "nothing" : null];
}

function card(worker) {
  return h("li", { class: "card" },
    h("h2", null, h("span", { class: "name" }, worker.address ?? `worker ${worker.worker_id}`),
      worker.silent ? h("span", { class: "status bad" }, "⚠ silent") : null),
    (worker.work ?? []).map((work) => h("div", { class: "work" }, h("h3", null, work.kind),
      slots(work), h("p", null, names(work)))),
    facts([
      ["SDK", worker.sdk], ["Library", worker.user_agent], ["Identity", worker.identity],
      ["Connected", time(worker.connect_time)], ["Last answer", time(worker.last_seen_time)],
      ["Worker", worker.worker_id],
      ["Unknown names", Number(worker.unknown_name_count) ? worker.unknown_name_count : undefined],
    ]));
}

export function workersPage(page) {
  const total = h("p", { class: "quiet" });
  const list = h("ul", { class: "cards" }, h("li", null, loading()));
  const trouble = h("div");
  let drawn = "";
  page.show(page.heading("Workers"), trouble, total, list);
  load();
  page.every(REFRESH_MS, load);

  async function load() {
    try {
      const answer = await get("workers", {}, page.signal);
      fill(trouble);
      const text = JSON.stringify(answer.workers);
      if (text === drawn) return;  // What is read stays as it is.
      drawn = text;
      const n = answer.workers.length;
      fill(total, n === 0
        ? "No worker is connected. Orchestrations wait until one connects that takes them."
        : `${plural(n, "worker is", "workers are")} connected.`);
      fill(list, answer.workers.map(card));
    } catch (error) {
      fill(trouble, problem(error, load));
    }
  }
}
