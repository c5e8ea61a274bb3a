// One context: its lease, what keeps it busy, and why.

import { get, segment } from "./api.js";
import { duration, time } from "./format.js";
import { explain } from "./explain.js";
import { fill, h } from "./h.js";
import { noteServerTime } from "./live.js";
import { copyButton, facts, lease, loading, orchestrationLink, problem, status } from "./parts.js";
import { stripSection } from "./strip.js";
import { release } from "./verbs.js";

export function contextPage(page, { id }) {
  const body = h("div", null, loading());
  const why = h("div");
  const related = h("div");
  const at = `contexts/${segment(id)}`;
  const strip = stripSection(page, `${at}/strip`, { open: true });
  let current;
  page.show(page.heading("Context", id, copyButton(id, "Copy ID")), body, why, strip.node, related);
  page.every(250, page.refreshLeases);
  load();
  findOrchestration();
  page.live([`contexts:${id}`, `strip:${id}`], { strip: strip.changed, contexts: (data) => {
    const mine = (list) => (list ?? []).find((c) => c.instance_id === id);
    const changed = mine(data.snapshot) ?? mine(data.changed);
    if (changed) update(changed);
    const gone = mine(data.closed);
    if (gone && (!changed) && (!current || BigInt(gone.generation) >= BigInt(current.generation)))
      closed(gone.reason);
    if (data.snapshot && !changed && current) closed("");
  } });

  async function load() {
    try {
      const answer = await get(at, {}, page.signal);
      noteServerTime(answer.server_now_ms);
      update(answer.context);
    } catch (error) {
      if (error.status === 404) closed("");
      else fill(body, problem(error, load));
    }
  }

  async function findOrchestration() {
    try {
      const { orchestration } = await get(`orchestrations/${segment(id)}`, {}, page.signal);
      fill(related, h("section", null, h("h2", null, "Orchestration of this ID"),
        facts([["Instance ID", orchestrationLink(id)], ["Name", orchestration.name],
          ["Status", status(orchestration.status)]])));
    } catch {
      fill(related);  // There is none.
    }
  }

  function closed(reason) {
    current = undefined;
    fill(why);
    fill(body, h("section", { class: "problem", role: "status" },
      h("p", null, `There is no context of this ID${reason ? `: it was closed (${reason})` : ""}. ` +
        "The next call opens one.")));
  }

  function update(context) {
    const first = !current || current.state !== context.state;
    current = context;
    fill(body,
      h("div", { class: "bar-row verbs" }, status(context.state),
        h("button", { type: "button", class: "danger", onclick: () => release(context, (said) => {
          page.say(said);
          load();
        }) }, "Release…")),
      h("div", { class: "big-lease" }, lease(context)),
      facts([
        ["Generation", context.generation],
        ["Idle timeout", context.idle_timeout_ms === undefined ? undefined : duration(context.idle_timeout_ms)],
        ["Created", time(context.create_time)], ["Last use", time(context.last_use_time)],
      ]),
      h("section", null, h("h2", null, "Kept busy by"),
        (context.pins ?? []).length === 0 ? h("p", { class: "quiet" }, "nothing: its lease runs")
          : h("ul", null, context.pins.map((pin) => h("li", null, `${pin.count} × ${pin.kind}`)))),
      (context.extensions ?? []).length === 0 ? null
        : h("section", null, h("h2", null, "Extensions"),
          h("ul", null, context.extensions.map((name) => h("li", null, h("code", null, name))))));
    if (first) explain(why, `${at}/explain`, page);
  }
}
