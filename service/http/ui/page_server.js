// The server and who asks.

import { get } from "./api.js";
import { count, duration } from "./format.js";
import { fill, h } from "./h.js";
import { facts, loading, problem } from "./parts.js";

export function serverPage(page) {
  const server = h("div", null, loading()), you = h("div");
  let version;
  page.show(page.heading("Server"), server, you);
  load();
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

  function draw(stats) {
    const by = stats.orchestrations ?? {};
    fill(server, facts([
      ["Version", version],
      ["Up for", stats.uptime_ms === undefined ? undefined : duration(stats.uptime_ms)],
      ["Calls since its start", stats.calls === undefined ? undefined : count(stats.calls)],
      ["Contexts open", stats.contexts?.open === undefined ? undefined : count(stats.contexts.open)],
      ["Workers", stats.workers === undefined ? undefined : count(stats.workers)],
      ...Object.entries(by).map(([word, n]) => [`Orchestrations ${word.toLowerCase()}`, count(n)]),
    ]));
  }
}
