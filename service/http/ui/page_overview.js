// What goes on, and what needs somebody.

import { get } from "./api.js";
import { Chart } from "./chart.js";
import { count, duration, time } from "./format.js";
import { fill, h } from "./h.js";
import { orchestrationLink, problem, status, STATUSES } from "./parts.js";

const LATE_MS = 60000;  // So long a start should not wait for a worker.
const SHOWN = 5;

function tile(label, value, href, tone) {
  return h("a", { class: `tile${tone ? ` ${tone}` : ""}`, href },
    h("span", { class: "number" }, value), h("span", null, label));
}

export function overviewPage(page) {
  const tiles = h("div", { class: "tiles" });
  const calls = new Chart("Calls a second", (v) => count(Math.round(v)));
  const open = new Chart("Contexts", (v) => count(Math.round(v)));
  calls.node.hidden = open.node.hidden = true;
  const attention = h("div", null);
  let before;
  page.show(page.heading("Overview"), tiles,
    h("div", { class: "charts" }, calls.node, open.node),
    h("section", null, h("h2", null, "Needs attention"), attention));
  look();
  page.every(10000, look);
  page.live(["stats"], { stats: take });

  function take(stats) {
    const contexts = stats.contexts ?? {}, by = stats.orchestrations;
    fill(tiles,
      contexts.open === undefined ? null : tile("contexts open", count(contexts.open), "/ui/contexts"),
      contexts.busy === undefined ? null : tile("of them busy", count(contexts.busy), "/ui/contexts?state=BUSY"),
      stats.workers === undefined ? null : tile("workers", count(stats.workers), "/ui/workers",
        Number(stats.workers) === 0 && Number(by?.PENDING) > 0 ? "bad" : ""),
      by ? STATUSES.filter((word) => by[word] !== undefined).map((word) =>
        tile(word.toLowerCase(), count(by[word]), `/ui/orchestrations?status=${word}`,
          word === "FAILED" && Number(by[word]) > 0 ? "bad" : "")) : null,
      stats.uptime_ms === undefined ? null : tile("up", duration(stats.uptime_ms), "/ui/server"));
    if (stats.calls !== undefined && before?.calls !== undefined) {
      const seconds = (stats.server_now_ms - before.server_now_ms) / 1000;
      const made = Number(stats.calls) - Number(before.calls);
      // Another server counts from zero.
      if (seconds > 0.2 && made >= 0) {
        calls.node.hidden = false;
        calls.add(made / seconds);
      }
    }
    if (contexts.open !== undefined) {
      open.node.hidden = false;
      open.add(Number(contexts.open));
    }
    before = stats;
  }

  async function look() {
    try {
      const ask = (status, order) => get("orchestrations", { status, order, limit: 100 }, page.signal);
      const [failed, pending, suspended] = await Promise.all([ask("FAILED", "newest"),
        ask("PENDING", "oldest"), ask("SUSPENDED", "newest")]);
      const late = pending.orchestrations.filter((o) =>
        Date.now() - Date.parse(o.create_time) > LATE_MS);
      const parts = [
        group("Failed", "FAILED", failed.orchestrations, (o) => o.failure?.message ?? ""),
        group("Waiting for a worker for more than a minute", "PENDING", late, () => ""),
        group("Suspended", "SUSPENDED", suspended.orchestrations, () => ""),
      ].filter(Boolean);
      fill(attention, parts.length ? parts : h("p", { class: "quiet" },
        "Nothing: no orchestration has failed, is suspended, or waits for a worker."));
    } catch (error) {
      fill(attention, problem(error, look));
    }
  }

  function group(title, word, list, text) {
    if (list.length === 0) return null;
    return h("section", { class: "card" }, h("h3", null, status(word), ` ${title}`),
      h("ul", { class: "plain" }, list.slice(0, SHOWN).map((o) => h("li", null,
        orchestrationLink(o.instance_id), " ", h("span", { class: "quiet" }, o.name, " · ",
          time(o.update_time ?? o.create_time)), text(o) ? h("p", { class: "cut" }, text(o)) : null))),
      list.length > SHOWN ? h("p", null, h("a", { href: `/ui/orchestrations?status=${word}` },
        "All of them")) : null);
  }
}
