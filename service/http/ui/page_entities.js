// The entities: their states, who waits and who has locked them.

import { get, segment } from "./api.js";
import { time } from "./format.js";
import { fill, h } from "./h.js";
import { contextLink, facts, link, loading, orchestrationLink, payload, problem } from "./parts.js";
import { Table } from "./table.js";

const PAGE = 100;
const path = (id) => `/ui/entities/${encodeURIComponent(id)}`;

export function entitiesPage(page) {
  const table = new Table({
    label: "Entities", key: (e) => e.instance_id, heights: { wide: 44, phone: 164 },
    empty: "No entity matches.",
    columns: [
      { label: "Entity", main: true, cell: (e) => link(path(e.instance_id), e.instance_id) },
      { label: "State", cell: (e) => (e.exists ? "there" : "none") },
      { label: "Waiting", number: true, cell: (e) => e.waiting_count ?? 0 },
      { label: "Locked by", line: true, cell: (e) => (e.lock ? orchestrationLink(e.lock.holder) : "") },
      { label: "Changed", line: true, cell: (e) => time(e.update_time) },
    ],
  });
  const prefix = h("input", { type: "search", id: "filter-prefix", autocomplete: "off",
    spellcheck: "false", onchange: apply });
  prefix.value = page.query.get("prefix") ?? "";
  const more = h("button", { type: "button", hidden: true, onclick: () => load(cursor) }, "Load more");
  const trouble = h("div");
  let rows = [], cursor;
  page.show(page.heading("Entities"),
    h("form", { class: "filters", onsubmit: (event) => {
      event.preventDefault();
      apply();
    } }, h("span", { class: "field" }, h("label", { for: "filter-prefix" }, "ID begins with"), prefix)),
    trouble, table.node, h("p", { class: "more" }, more));
  page.onLeave(() => table.stop());
  page.rows = table;
  load();

  function apply() {
    page.setQuery({ prefix: prefix.value || undefined });
    load();
  }

  async function load(from) {
    try {
      const answer = await get("entities", { prefix: prefix.value, limit: PAGE, cursor: from },
        page.signal);
      rows = from ? [...rows, ...answer.entities] : answer.entities;
      cursor = answer.next_cursor;
      more.hidden = !cursor;
      fill(trouble);
      table.setRows(rows);
    } catch (error) {
      fill(trouble, problem(error, load));
    }
  }
}

export function entityPage(page, { id }) {
  const body = h("div", null, loading());
  let drawn = "";
  page.show(page.heading("Entity", id), body);
  load();
  page.every(3000, load);

  async function load() {
    try {
      const { entity } = await get(`entities/${segment(id)}`, {}, page.signal);
      const text = JSON.stringify(entity);
      if (text === drawn) return;
      drawn = text;
      fill(body, facts([
        ["State", entity.exists ? "there" : "none"],
        ["Waiting for it", entity.waiting_count], ["Changed", time(entity.update_time)],
        ["Why nothing runs", entity.waiting_for], ["Context", contextLink(id)],
        ["Locked by", entity.lock && orchestrationLink(entity.lock.holder)],
        ["Locked since", entity.lock && time(entity.lock.lock_time)],
        ["Lock ends", entity.lock && time(entity.lock.expire_time)],
      ]), h("h2", { class: "unseen" }, "Payloads"), payload("State", entity.state, { id, field: "state" }));
    } catch (error) {
      fill(body, problem(error, load));
    }
  }
}
