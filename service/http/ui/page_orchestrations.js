// The list of orchestrations. What it is filtered by stands in the URL.

import { get } from "./api.js";
import { plural, time } from "./format.js";
import { fill, h } from "./h.js";
import { orchestrationLink, problem, status, STATUSES } from "./parts.js";
import { Table } from "./table.js";
import { start } from "./verbs.js";

const PAGE = 100;
const READS = 20;
const REFRESH_MS = 5000;

export function orchestrationsPage(page) {
  const filter = () => Object.fromEntries(
    ["status", "name", "prefix", "from", "to"].map((name) => [name, page.query.get(name) ?? ""]));
  const chosen = new Set(filter().status.split(",").filter(Boolean));
  const table = new Table({
    label: "Orchestrations", key: (o) => `${o.instance_id} ${o.execution_id}`,
    empty: "No orchestration matches.",
    columns: [
      { label: "Instance ID", main: true, width: "34%", cell: (o) => orchestrationLink(o.instance_id) },
      { label: "Status", width: "9rem", cell: (o) => status(o.status) },
      { label: "Name", cell: (o) => h("span", { class: "name", title: o.name }, o.name) },
      { label: "Created", width: "12.5rem", line: true, cell: (o) => time(o.create_time) },
      { label: "Last turn", width: "12.5rem", line: true, cell: (o) => time(o.update_time) },
    ],
  });
  const counts = new Map();
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Status" },
    STATUSES.map((word) => {
      const number = h("span", { class: "quiet" });
      counts.set(word, number);
      return h("button", { type: "button", "aria-pressed": String(chosen.has(word)),
        onclick: (event) => toggle(word, event.currentTarget) }, status(word), number);
    }));
  const fields = ["prefix", "name", "from", "to"].map((name) => {
    const label = { prefix: "ID begins with", name: "Name", from: "Created from", to: "Created to" }[name];
    const input = h("input", { type: name === "prefix" || name === "name" ? "search" : "datetime-local",
      id: `filter-${name}`, name, autocomplete: "off", spellcheck: "false" });
    input.value = name === "from" || name === "to" ? localTime(filter()[name]) : filter()[name];
    input.addEventListener("change", () => apply());
    return h("span", { class: "field" }, h("label", { for: `filter-${name}` }, label), input);
  });
  const fresh = h("button", { type: "button", class: "fresh", hidden: true, onclick: showFresh });
  const more = h("button", { type: "button", hidden: true, onclick: loadMore }, "Load more");
  const trouble = h("div");
  const part = h("p", { class: "quiet" });
  let rows = [], newer = [], cursor, generation = 0;

  page.show(
    page.heading("Orchestrations"),
    h("div", { class: "bar-row" }, chips,
      h("button", { type: "button", class: "primary", onclick: () => start({}, (receipt) =>
        page.navigate(`/ui/orchestrations/${encodeURIComponent(receipt.instance_id)}`)) },
      "Start an orchestration…")),
    h("form", { class: "filters", onsubmit: (event) => {
      event.preventDefault();
      apply();
    } }, fields),
    trouble, part, h("p", { class: "fresh-row" }, fresh), table.node, h("p", { class: "more" }, more));
  page.onLeave(() => table.stop());
  page.rows = table;
  load();
  page.every(REFRESH_MS, refresh);
  page.live(["stats"], { stats: (data) => {
    for (const [word, node] of counts)
      if (data.orchestrations?.[word] !== undefined) fill(node, ` ${data.orchestrations[word]}`);
  } });

  function toggle(word, button) {
    if (!chosen.delete(word)) chosen.add(word);
    button.setAttribute("aria-pressed", String(chosen.has(word)));
    apply();
  }

  function apply() {
    const query = { status: [...chosen].join(",") || undefined };
    for (const field of fields) {
      const input = field.querySelector("input");
      query[input.name] = input.type === "datetime-local" && input.value
        ? new Date(input.value).toISOString() : input.value || undefined;
    }
    page.setQuery(query);
    load();
  }

  // A page, from `from` on. The server may have to look at many that do not match: then its
  // answers are short, and we ask on.
  async function read(from) {
    const found = [];
    for (let i = 0; i < READS; ++i) {
      const answer = await get("orchestrations", { ...filter(), limit: PAGE, cursor: from },
        page.signal);
      found.push(...answer.orchestrations);
      from = answer.next_cursor;
      if (!from || found.length >= PAGE / 2) break;
    }
    return { found, next: from };
  }

  async function load() {
    const mine = ++generation;
    try {
      const { found, next } = await read();
      if (mine !== generation) return;
      rows = found;
      newer = [];
      cursor = next;
      fill(trouble);
      draw();
    } catch (error) {
      fill(trouble, problem(error, load));
    }
  }

  function draw() {
    rows.sort((a, b) => (a.create_time < b.create_time ? 1 : a.create_time > b.create_time ? -1 : 0));
    table.setRows(rows);
    fill(part, cursor ? `${plural(rows.length, "orchestration", "orchestrations")}, those that were ` +
      "started first; filter, or load more, to see later ones" : "");
    more.hidden = !cursor;
    fresh.hidden = newer.length === 0;
    fill(fresh, `${plural(newer.length, "new one", "new ones")} ↑`);
  }

  async function loadMore() {
    const mine = generation;
    more.disabled = true;
    try {
      const { found, next } = await read(cursor);
      if (mine !== generation) return;
      rows = [...rows, ...found];
      cursor = next;
      draw();
    } catch (error) {
      fill(trouble, problem(error, loadMore));
    } finally {
      more.disabled = false;
    }
  }

  // Rows that are shown change where they stand; new ones wait until they are asked for.
  async function refresh() {
    const mine = generation;
    let answer;
    try {
      answer = await get("orchestrations", { ...filter(), limit: PAGE }, page.signal);
    } catch {
      return;  // The header says that the server is away; the rows stay.
    }
    if (mine !== generation) return;
    const places = new Map(rows.map((row, i) => [table.key(row), i]));
    newer = [];
    let changed = false;
    for (const row of answer.orchestrations) {
      const place = places.get(table.key(row));
      if (place === undefined) {
        newer.push(row);
      } else if (JSON.stringify(rows[place]) !== JSON.stringify(row)) {
        if (!changed) rows = [...rows];
        rows[place] = row;
        changed = true;
      }
    }
    // What lies past the last row that is shown is not new.
    const last = rows[rows.length - 1];
    if (last) newer = newer.filter((row) => row.create_time >= last.create_time);
    else if (newer.length) [rows, newer, changed] = [newer, [], true];
    if (changed || newer.length || !fresh.hidden) draw();
  }

  function showFresh() {
    const ids = new Set(newer.map((row) => row.instance_id));
    rows = [...newer, ...rows.filter((row) => !ids.has(row.instance_id))];
    newer = [];
    draw();
    window.scrollTo(0, 0);
  }
}

function localTime(text) {
  const date = new Date(text);
  if (!text || Number.isNaN(date.getTime())) return "";
  return new Date(date.getTime() - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}
