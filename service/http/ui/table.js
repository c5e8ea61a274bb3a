// A table of any length: only the rows in sight are in the page. All rows have one
// height; the page itself scrolls.

import { fill, h } from "./h.js";

const MARGIN = 8;  // Rows above and below what is in sight.
const PHONE = matchMedia("(max-width: 600px)");

// What is in sight of a list of `length` rows that begins at the top of `node`.
export function inSight(node, length, rowHeight) {
  const top = -node.getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(top / rowHeight) - MARGIN);
  const rows = Math.ceil(window.innerHeight / rowHeight) + 2 * MARGIN;
  const begin = Math.min(first, Math.max(0, length - rows));
  return { begin, end: Math.min(length, begin + rows) };
}

export class Table {
  // columns: [{label, cell(row) -> Node or text, main, select, number, width, wide, line}]. The
  // link of `main` opens the row; `select` has a checkbox. On a phone `wide` has a line to
  // itself, and `line` one with its label.
  // key(row) -> text; heights: {wide, phone}, in pixels.
  constructor({ label, columns, key, heights = { wide: 44, phone: 146 }, empty = "" }) {
    this.columns = columns;
    this.key = key;
    this.heights = heights;
    this.rows = [];
    this.shownRows = new Map();  // Key -> {row, tr}.
    this.body = h("tbody", { role: "rowgroup" });
    this.above = this.spacer();
    this.below = this.spacer();
    this.table = h("table", { class: "rows", "aria-label": label, role: "table" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row", "aria-rowindex": 1 },
        columns.map((c) => h("th", {
          scope: "col", role: "columnheader", class: c.number && "number",
          style: c.width && { width: c.width },
        }, c.select ? h("span", { class: "unseen" }, c.label) : c.label)))),
      this.body);
    this.empty = h("p", { class: "empty", hidden: true }, empty);
    this.node = h("div", { class: "table" }, this.table, this.empty);
    this.onScroll = () => this.schedule();
    window.addEventListener("scroll", this.onScroll, { passive: true });
    window.addEventListener("resize", this.onScroll);
  }

  stop() {
    window.removeEventListener("scroll", this.onScroll);
    window.removeEventListener("resize", this.onScroll);
  }

  spacer() {
    return h("tr", { class: "spacer", "aria-hidden": "true" },
      h("td", { colspan: this.columns.length }));
  }

  get rowHeight() {
    return PHONE.matches ? this.heights.phone : this.heights.wide;
  }

  setRows(rows) {
    this.rows = rows;
    this.table.setAttribute("aria-rowcount", rows.length + 1);
    this.empty.hidden = rows.length > 0;
    this.table.hidden = rows.length === 0;
    this.draw();
  }

  schedule() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    const height = this.rowHeight;
    this.table.style.setProperty("--row", `${height}px`);
    const { begin, end } = inSight(this.body, this.rows.length, height);
    const next = new Map();
    const nodes = [];
    for (let i = begin; i < end; ++i) {
      const row = this.rows[i], key = this.key(row);
      let shown = this.shownRows.get(key);
      if (!shown) shown = { tr: h("tr", { role: "row" }), row: undefined };
      if (shown.row !== row) this.fillRow(shown, row);
      shown.tr.setAttribute("aria-rowindex", i + 2);
      shown.tr.dataset.index = i;
      next.set(key, shown);
      nodes.push(shown.tr);
    }
    this.shownRows = next;
    this.above.firstChild.style.setProperty("height", `${begin * height}px`);
    this.below.firstChild.style.setProperty("height", `${(this.rows.length - end) * height}px`);
    this.above.hidden = begin === 0;
    this.below.hidden = end === this.rows.length;
    this.place([this.above, ...nodes, this.below]);
  }

  // Moves only what is not yet in its place: what has the focus keeps it.
  place(nodes) {
    const wanted = new Set(nodes);
    for (const child of [...this.body.children]) if (!wanted.has(child)) child.remove();
    let at = this.body.firstChild;
    for (const node of nodes) {
      if (node === at) at = at.nextSibling;
      else this.body.insertBefore(node, at);
    }
  }

  fillRow(shown, row) {
    const controls = () => [...shown.tr.querySelectorAll("a, button, input")];
    const focused = controls().indexOf(document.activeElement);
    shown.row = row;
    fill(shown.tr, this.columns.map((c) => h("td", {
      role: "cell", "data-label": c.label,
      class: ["number", "main", "select", "wide", "line"].filter((name) => c[name]).join(" ") || undefined,
    }, c.cell(row))));
    if (focused >= 0) controls()[focused]?.focus();
  }

  // For the keys j and k: the row after or before the one that has the focus.
  move(by) {
    const current = document.activeElement?.closest?.("tr[data-index]");
    const from = current && this.body.contains(current) ? Number(current.dataset.index)
      : by > 0 ? this.firstInSight() - 1 : this.firstInSight() + 1;
    const to = Math.max(0, Math.min(this.rows.length - 1, from + by));
    if (this.rows.length === 0) return;
    const height = this.rowHeight;
    const y = this.body.getBoundingClientRect().top + to * height;
    const head = 120;  // The page's header lies over its top.
    if (y < head) window.scrollBy(0, y - head);
    else if (y + height > window.innerHeight)
      window.scrollBy(0, y + height - window.innerHeight + 16);
    this.draw();
    this.body.querySelector(`tr[data-index="${to}"] a`)?.focus({ preventScroll: true });
  }

  firstInSight() {
    return Math.max(0, Math.ceil((80 - this.body.getBoundingClientRect().top) / this.rowHeight));
  }
}
