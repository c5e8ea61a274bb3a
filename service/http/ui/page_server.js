// The server, what it counts of itself, and who asks.

import { get } from "./api.js";
import { count, duration } from "./format.js";
import { fill, h } from "./h.js";
import { metrics, serverFacts } from "./metrics.js";
import { facts, loading, problem } from "./parts.js";

export function serverPage(page) {
  const server = h("div", null, loading()), own = h("div"), you = h("div");
  let version;
  page.show(page.heading("Server"), server, own, you);
  load();
  look();
  page.every(10000, look);
  page.live(["stats"], { stats: draw });

  async function load() {
    try {
      const who = await get("whoami", {}, page.signal);
      version = who.version;
      draw({});
      fill(you, h("section", null, h("h2", null, "You"), facts([
        ["Known", who.authenticated ? "yes" : "no: this server does not ask who calls"],
        ["Name", who.name], ["Tenant", who.tenant], ["Roles", (who.roles ?? []).join(", ")],
      ])));
    } catch (error) {
      fill(server, problem(error, load));
    }
  }

  // With a policy, what is of all tenants is for those with `server_stats`.
  async function look() {
    try {
      const found = await metrics(page.signal);
      const shown = serverFacts(found ?? new Map()).filter(([, value]) => value !== undefined);
      fill(own, shown.length ? h("section", null, h("h2", null, "Process and store"), facts(shown)) : null);
    } catch {
      // The stream says whether the server is there.
    }
  }

  // How calls end, as the server counts them.
  function callsText(calls) {
    const all = Object.values(calls).reduce((sum, n) => sum + Number(n), 0);
    const others = Object.entries(calls).filter(([how, n]) => how !== "ok" && Number(n) > 0)
      .map(([how, n]) => `${count(n)} ${how}`);
    return others.length ? `${count(all)}: ${others.join(", ")}` : count(all);
  }

  function draw(stats) {
    const by = stats.orchestrations ?? {};
    fill(server, facts([
      ["Version", version],
      ["Up for", stats.uptime_ms === undefined ? undefined : duration(stats.uptime_ms)],
      ["Calls since its start", stats.calls === undefined ? undefined : callsText(stats.calls)],
      ["Contexts open", stats.contexts?.open === undefined ? undefined : count(stats.contexts.open)],
      ["Workers", stats.workers === undefined ? undefined : count(stats.workers)],
      ...Object.entries(by).map(([word, n]) => [`Orchestrations ${word.toLowerCase()}`, count(n)]),
    ]));
  }
}
