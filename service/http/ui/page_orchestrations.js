// The list of orchestrations, the newest first. What it is filtered by stands in the URL.

import { get } from "./api.js";
import { batch, BATCH_VERBS } from "./batch.js";
import { count, currentZone, plural, time, whenZone } from "./format.js";
import { fill, h } from "./h.js";
import { orchestrationLink, problem, status, STATUSES } from "./parts.js";
import { Selection } from "./selection.js";
import { Table } from "./table.js";
import { start } from "./verbs.js";

const PAGE = 100;
const READS = 20;
const NEW_READS = 5;
const REFRESH_MS = 5000;
const COUNT_SHARE = 20;  // Between two counts passes as many times what the last one took.
const FILTERS = ["status", "name", "prefix", "tag", "from", "to"];
const LABELS = { prefix: "ID begins with", name: "Name", tag: "Tag (KEY=VALUE or KEY)",
  from: "Created from", to: "Created to" };
const isTime = (name) => name === "from" || name === "to";

export function orchestrationsPage(page) {
  const filter = () => Object.fromEntries(
    FILTERS.map((name) => [name, page.query.get(name) ?? ""]));
  const chosen = new Set(filter().status.split(",").filter(Boolean));
  const selection = new Selection({ id: (o) => o.instance_id,
    verbs: Object.entries(BATCH_VERBS).map(([name, { name: label, danger }]) =>
      ({ name: label, danger, run: () => act(name) })) });
  const table = new Table({
    label: "Orchestrations", key: (o) => `${o.instance_id} ${o.execution_id}`,
    empty: "No orchestration matches.",
    columns: [
      selection.column(),
      { label: "Instance ID", main: true, width: "32%", cell: (o) => orchestrationLink(o.instance_id) },
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
  const fields = ["prefix", "name", "tag", "from", "to"].map((name) => {
    const input = h("input", { type: isTime(name) ? "datetime-local" : "search",
      id: `filter-${name}`, name, autocomplete: "off", spellcheck: "false" });
    input.addEventListener("change", () => apply());
    return h("span", { class: "field" }, h("label", { for: `filter-${name}` }), input);
  });
  const fresh = h("button", { type: "button", class: "fresh", hidden: true, onclick: showFresh });
  const more = h("button", { type: "button", hidden: true, onclick: loadMore }, "Load more");
  const trouble = h("div");
  const part = h("p", { class: "quiet" });
  // cursor: where the part of the list begins that is not here; counted: how many there are
  // by status; gap: there are more new ones than are here.
  let rows = [], newer = [], gap = false, counted, countAgain = 0, cursor, generation = 0;

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
    trouble, part, selection.node, h("p", { class: "fresh-row" }, fresh), table.node, h("p", { class: "more" }, more));
  page.onLeave(() => table.stop());
  page.rows = table;
  page.select = (node) => {
    const box = node.closest?.("tr")?.querySelector("input[data-select]");
    if (box) selection.toggleKey(box.dataset.select);
  };
  showFilter();
  page.onLeave(whenZone(showFilter));
  load();
  page.every(REFRESH_MS, refresh);
  page.live(["stats"], {});

  // Of all that match, whatever their status.
  async function countMatches() {
    const mine = generation, begun = performance.now();
    const { status: _, ...query } = filter();
    try {
      const answer = await get("orchestrations:count", query, page.signal);
      if (mine !== generation) return;
      counted = { by: Object.fromEntries(answer.counts?.map((one) => [one.status, one.count]) ?? []),
        more: answer.complete ? "" : "+" };
    } catch {
      if (mine !== generation) return;
      counted = undefined;  // The list says what is wrong.
    }
    countAgain = performance.now() + COUNT_SHARE * (performance.now() - begun);
    showCounts();
  }

  function showCounts() {
    for (const [word, node] of counts)
      fill(node, counted ? ` ${count(counted.by[word] ?? 0)}${counted.more}` : "");
  }

  function toggle(word, button) {
    if (!chosen.delete(word)) chosen.add(word);
    button.setAttribute("aria-pressed", String(chosen.has(word)));
    apply();
  }

  function apply() {
    const query = { status: [...chosen].join(",") || undefined }, before = filter();
    for (const field of fields) {
      const input = field.querySelector("input");
      const at = before[input.name];
      query[input.name] = !isTime(input.name) ? input.value || undefined
        : at && input.value === inZone(at) ? at : fromZone(input.value);  // Seconds are kept.
    }
    page.setQuery(query);
    selection.clear();
    load();
  }

  // The fields as the URL has them, with times in the zone that is chosen.
  function showFilter() {
    const now = filter();
    for (const field of fields) {
      const label = field.querySelector("label"), input = field.querySelector("input");
      fill(label, LABELS[input.name], isTime(input.name) && currentZone() === "utc" ? " (UTC)" : "");
      input.value = isTime(input.name) ? inZone(now[input.name]) : now[input.name];
    }
  }

  function act(name) {
    const which = selection.matching ? { filter: filter() } : { rows: selection.selected() };
    batch(name, which, page, () => {
      selection.clear();
      load(rows.length);
    });
  }

  // A page, from `from` on; of `wanted` rows at least, if there are so many. The server may
  // have to look at many that do not match: then its answers are short, and we ask on.
  async function read(from, wanted = PAGE / 2) {
    const query = { ...filter(), order: "newest", limit: PAGE };
    const found = [];
    for (let i = 0; i < READS + wanted / PAGE; ++i) {
      const answer = await get("orchestrations", { ...query, cursor: from }, page.signal);
      found.push(...answer.orchestrations);
      from = answer.next_cursor;
      if (!from || found.length >= wanted) break;
    }
    return { found, next: from };
  }

  async function load(wanted) {
    const mine = ++generation;
    countMatches();
    try {
      const { found, next } = await read(undefined, wanted);
      if (mine !== generation) return;
      rows = found;
      newer = [];
      gap = false;
      cursor = next;
      fill(trouble);
      draw();
    } catch (error) {
      fill(trouble, problem(error, () => load(wanted)));
    }
  }

  function draw() {
    table.setRows(rows);
    selection.setRows(rows);
    fill(part, cursor ? `The newest ${plural(rows.length, "orchestration", "orchestrations")}. ` +
      "Load more, or filter, to see earlier ones." : "");
    more.hidden = !cursor;
    fresh.hidden = newer.length === 0;
    fill(fresh, `${gap ? "more than " : ""}${plural(newer.length, "new one", "new ones")} ↑`);
  }

  async function loadMore() {
    const mine = generation;
    more.disabled = true;
    try {
      const { found, next } = await read(cursor);
      if (mine !== generation) return;
      const shown = new Set(rows.map((row) => table.key(row)));
      rows = [...rows, ...found.filter((row) => !shown.has(table.key(row)))];
      cursor = next;
      draw();
    } catch (error) {
      fill(trouble, problem(error, loadMore));
    } finally {
      more.disabled = false;
    }
  }

  // Rows that are shown change where they stand; new ones wait until they are asked for. The
  // server lists the new ones first: the list is read from there until one is met that is
  // shown. What follows the last row that is shown is not new: it is there to load.
  async function refresh() {
    const mine = generation, found = [];
    const places = new Map(rows.map((row, i) => [table.key(row), i]));
    let met = false, from;
    if (performance.now() >= countAgain) countMatches();
    try {
      for (let i = 0; i < NEW_READS && !met; ++i) {
        const part = await read(from, 1);
        if (mine !== generation) return;
        found.push(...part.found);
        met = part.found.some((row) => places.has(table.key(row)));
        from = part.next;
        if (!from) break;
      }
    } catch {
      return;  // The header says that the server is away; the rows stay.
    }
    const oldest = cursor ? rows.at(-1)?.create_time : undefined;
    newer = [];
    gap = !met && Boolean(from);
    let changed = false;
    for (const row of found) {
      const place = places.get(table.key(row));
      if (place === undefined) {
        if (oldest === undefined || row.create_time > oldest) newer.push(row);
      } else if (JSON.stringify(rows[place]) !== JSON.stringify(row)) {
        if (!changed) rows = [...rows];
        rows[place] = row;
        changed = true;
      }
    }
    if (rows.length === 0 && newer.length) [rows, newer, changed] = [newer, [], true];
    if (changed || newer.length || !fresh.hidden) draw();
  }

  function showFresh() {
    window.scrollTo(0, 0);
    if (gap) return load();
    const ids = new Set(newer.map((row) => row.instance_id));
    rows = [...newer, ...rows.filter((row) => !ids.has(row.instance_id))];
    rows.sort((a, b) => (a.create_time < b.create_time ? 1 : a.create_time > b.create_time ? -1 : 0));
    newer = [];
    draw();
  }
}

// A moment as a field for a date and a time has it, and back.
function inZone(text) {
  const date = new Date(text);
  if (!text || Number.isNaN(date.getTime())) return "";
  const shift = currentZone() === "utc" ? 0 : date.getTimezoneOffset() * 60000;
  return new Date(date.getTime() - shift).toISOString().slice(0, 16);
}
function fromZone(text) {
  return text ? new Date(currentZone() === "utc" ? `${text}Z` : text).toISOString() : undefined;
}
