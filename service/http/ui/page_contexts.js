// The contexts, with their leases running down. One stream keeps the list.

import { get } from "./api.js";
import { plural, time } from "./format.js";
import { fill, h } from "./h.js";
import { noteServerTime } from "./live.js";
import { contextLink, lease, pinsText, problem, status } from "./parts.js";
import { Table } from "./table.js";

const STATES = ["BUSY", "IDLE", "OPENING", "CLOSING"];
const SORTS = [["lease", "Lease ends next"], ["id", "Instance ID"], ["use", "Last used"]];

// Those that end next come first; then those whose lease does not run.
const ORDERS = {
  lease: (a, b) => (a.lease_deadline_ms ?? Infinity) - (b.lease_deadline_ms ?? Infinity) || byId(a, b),
  id: (a, b) => byId(a, b),
  use: (a, b) => String(b.last_use_time ?? "").localeCompare(String(a.last_use_time ?? "")) || byId(a, b),
};
const byId = (a, b) => (a.instance_id < b.instance_id ? -1 : a.instance_id > b.instance_id ? 1 : 0);

export function contextsPage(page) {
  const contexts = new Map();  // Instance ID -> Context.
  const query = (name, other = "") => page.query.get(name) ?? other;
  const table = new Table({
    label: "Contexts", key: (c) => c.instance_id, heights: { wide: 44, phone: 172 },
    empty: "No context is open that matches. A call with a new instance ID opens one.",
    columns: [
      { label: "Instance ID", main: true, width: "26%", cell: (c) => contextLink(c.instance_id) },
      { label: "State", width: "11%", cell: (c) => status(c.state) },
      { label: "Lease", cell: lease, wide: true, width: "22%" },
      { label: "Kept busy by", line: true, cell: (c) => pinsText(c.pins) },
      { label: "Generation", number: true, width: "9rem", cell: (c) => c.generation },
      { label: "Last use", width: "12.5rem", line: true, cell: (c) => time(c.last_use_time) },
    ],
  });
  const total = h("p", { class: "quiet" });
  const trouble = h("div");
  const prefix = h("input", { type: "search", id: "filter-prefix", autocomplete: "off",
    spellcheck: "false", onchange: restart });
  prefix.value = query("prefix");
  const state = h("select", { id: "filter-state", onchange: keep },
    h("option", { value: "" }, "any"),
    STATES.map((word) => h("option", { value: word, selected: word === query("state") }, word)));
  const sort = h("select", { id: "filter-sort", onchange: keep }, SORTS.map(([value, label]) =>
    h("option", { value, selected: value === query("sort", "lease") }, label)));
  let cut = 0;

  page.show(
    page.heading("Contexts"),
    h("form", { class: "filters", onsubmit: (event) => {
      event.preventDefault();
      restart();
    } },
    h("span", { class: "field" }, h("label", { for: "filter-prefix" }, "ID begins with"), prefix),
    h("span", { class: "field" }, h("label", { for: "filter-state" }, "State"), state),
    h("span", { class: "field" }, h("label", { for: "filter-sort" }, "Order"), sort)),
    trouble, total, table.node);
  page.onLeave(() => table.stop());
  page.rows = table;
  page.every(250, page.refreshLeases);
  // Rows stay where they are while the mouse is over them.
  table.node.addEventListener("pointerleave", draw);
  load();
  listen();

  function keep() {
    page.setQuery({
      prefix: prefix.value || undefined, state: state.value || undefined,
      sort: sort.value === "lease" ? undefined : sort.value,
    });
    draw(true);
  }

  function restart() {
    keep();
    contexts.clear();
    load();
    listen();
  }

  async function load() {
    try {
      const answer = await get("contexts", { prefix: prefix.value, limit: 1000 }, page.signal);
      noteServerTime(answer.server_now_ms);
      for (const context of answer.contexts)
        if (!contexts.has(context.instance_id)) contexts.set(context.instance_id, context);
      if (answer.next_cursor) cut ||= contexts.size;
      fill(trouble);
      draw(true);
    } catch (error) {
      fill(trouble, problem(error, load));
    }
  }

  function listen() {
    page.live([`contexts:${prefix.value}`], { contexts: (data) => {
      if (data.snapshot) {
        contexts.clear();
        for (const context of data.snapshot) contexts.set(context.instance_id, context);
        cut = data.truncated ? data.total ?? data.snapshot.length : 0;
      }
      for (const context of data.changed ?? []) contexts.set(context.instance_id, context);
      for (const gone of data.closed ?? []) {
        // A successor may be there already.
        const known = contexts.get(gone.instance_id);
        if (known && BigInt(known.generation) <= BigInt(gone.generation))
          contexts.delete(gone.instance_id);
      }
      draw();
    } });
  }

  function draw(reorder = false) {
    let rows = [...contexts.values()];
    if (state.value) rows = rows.filter((c) => c.state === state.value);
    if (reorder !== true && table.rows.length && table.node.matches(":hover")) {
      const places = new Map(table.rows.map((c, i) => [c.instance_id, i]));
      rows.sort((a, b) => (places.get(a.instance_id) ?? Infinity) - (places.get(b.instance_id) ?? Infinity) ||
        byId(a, b));
    } else {
      rows.sort(ORDERS[sort.value] ?? ORDERS.lease);
    }
    table.setRows(rows);
    fill(total, plural(rows.length, "context", "contexts"),
      cut ? `, of ${cut} or more: filter by ID to see the others` : "");
  }
}
