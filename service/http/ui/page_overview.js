// What goes on, and what needs somebody.

import { get } from "./api.js";
import { Chart, WINDOW_MS } from "./chart.js";
import { count, duration, time } from "./format.js";
import { fill, h } from "./h.js";
import { orchestrationLink, problem, status, STATUSES } from "./parts.js";

const LATE_MS = 60000;  // So long a start should not wait for a worker.
const SHOWN = 5;
// How calls end, as the server counts them.
const OUTCOMES = ["ok", "failed", "refused", "cancelled"];

function tile(label, value, href, tone) {
  return h("a", { class: `tile${tone ? ` ${tone}` : ""}`, href },
    h("span", { class: "number" }, value), h("span", null, label));
}

export function overviewPage(page) {
  const tiles = h("div", { class: "tiles" });
  const calls = new Chart("Calls a second", (v) => count(v < 10 ? Math.round(v * 10) / 10 : Math.round(v)), OUTCOMES);
  const open = new Chart("Contexts", (v) => count(Math.round(v)));
  calls.node.hidden = open.node.hidden = true;
  const attention = h("div", null);
  let before;
  let early = [];  // What the stream told before the past was known.
  page.show(page.heading("Overview"), tiles,
    h("div", { class: "charts" }, calls.node, open.node),
    h("section", null, h("h2", null, "Needs attention"), attention));
  look();
  page.every(10000, look);
  past();
  page.live(["stats"], { stats: take });

  function take(stats) {
    const contexts = stats.contexts ?? {}, by = stats.orchestrations;
    fill(tiles,
      contexts.open === undefined ? null : tile("contexts open", count(contexts.open), "/ui/contexts"),
      contexts.busy === undefined ? null : tile("of them busy", count(contexts.busy), "/ui/contexts?state=BUSY"),
      stats.workers === undefined ? null : tile(Number(stats.workers) === 1 ? "worker" : "workers", count(stats.workers), "/ui/workers",
        Number(stats.workers) === 0 && Number(by?.PENDING) > 0 ? "bad" : ""),
      by ? STATUSES.filter((word) => by[word] !== undefined).map((word) =>
        tile(word.toLowerCase(), count(by[word]), `/ui/orchestrations?status=${word}`,
          word === "FAILED" && Number(by[word]) > 0 ? "bad" : "")) : null,
      stats.uptime_ms === undefined ? null : tile("up", duration(stats.uptime_ms), "/ui/server"));
    const point = { at_ms: stats.server_now_ms, open: contexts.open, calls: stats.calls };
    early?.push(point);
    chart(point);
    for (const each of [calls, open]) each.draw();
  }

  // What was before somebody looked here. Calls are counted since the server began.
  async function past(tries = 5) {
    try {
      const { points } = await get("stats", { window: `${WINDOW_MS / 1000}s` }, page.signal);
      const begin = early[0]?.at_ms ?? Infinity;
      const all = [...points.filter((point) => Number(point.at_ms) < Number(begin)), ...early];
      early = undefined;
      calls.clear();
      open.clear();
      before = undefined;
      all.forEach(chart);
      for (const each of [calls, open]) each.draw();
    } catch {
      // Meanwhile charts begin with what the stream tells.
      if (tries > 1 && !page.signal.aborted) setTimeout(() => past(tries - 1), 2000);
      else early = undefined;
    }
  }

  function chart(point) {
    const seconds = (point.at_ms - before?.at_ms) / 1000;
    const made = OUTCOMES.map((name) => Number(point.calls?.[name]) - Number(before?.calls?.[name]));
    // Another server counts from zero.
    if (seconds > 0.2 && made.every((n) => n >= 0)) {
      calls.node.hidden = false;
      calls.add(point.at_ms, made.map((n) => n / seconds));
    }
    if (point.open !== undefined && !(seconds < 0.2 && seconds >= 0)) {
      open.node.hidden = false;
      open.add(point.at_ms, Number(point.open));
    }
    if (!(seconds < 0.2 && seconds >= 0)) before = point;
  }

  async function look() {
    try {
      const ask = (status, order) => get("orchestrations", { status, order, limit: 100 }, page.signal);
      const [failed, pending, suspended] = await Promise.all([ask("FAILED", "newest"),
        ask("PENDING", "oldest"), ask("SUSPENDED", "newest")]);
      // One that is to start later waits for its time.
      const late = pending.orchestrations.filter((o) =>
        Date.now() - Date.parse(o.scheduled_start_time ?? o.create_time) > LATE_MS);
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
