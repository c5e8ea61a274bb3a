// Which rows of a list are selected, to do something to all of them: some by hand, all
// that are shown, or all that match the filter, shown or not.

import { fill, h } from "./h.js";
import { count } from "./format.js";

export class Selection {
  // id(row) -> text; verbs: [{name, danger, run()}], offered while something is selected.
  constructor({ id, verbs }) {
    this.id = id;
    this.rows = [];
    this.ids = new Set();
    this.matching = false;  // All that match the filter.
    this.shownBox = h("input", { type: "checkbox",
      onchange: () => this.selectShown(this.shownBox.checked) });
    this.shownText = h("span");
    this.number = h("span", { class: "selected" });
    this.said = h("span", { class: "unseen", role: "status" });
    this.verbs = h("div", { class: "acts", role: "group", "aria-label": "With what is selected" },
      this.number, verbs.map((verb) => h("button", { type: "button", class: verb.danger && "danger",
        onclick: verb.run }, `${verb.name}…`)),
      h("button", { type: "button", onclick: () => this.clear() }, "Select none"));
    this.node = h("div", { class: "selection" },
      h("label", { class: "check" }, this.shownBox, this.shownText),
      h("button", { type: "button", class: "linklike match", onclick: () => this.selectMatching() },
        "Select all that match"),
      this.said, this.verbs);
    this.clear();
  }

  // The column of a table that has the checkboxes.
  column() {
    return { label: "Select", select: true, width: "3rem", cell: (row) => {
      const id = this.id(row);
      const box = h("input", { type: "checkbox", "aria-label": `Select ${id}`, "data-select": id,
        onclick: (event) => this.toggle(row, box.checked, event.shiftKey) });
      box.checked = this.has(id);
      return h("label", null, box);
    } };
  }

  has(id) { return this.matching || this.ids.has(id); }
  get any() { return this.matching || this.ids.size > 0; }
  selected() { return this.rows.filter((row) => this.has(this.id(row))); }

  // Only what is shown can be selected by hand.
  setRows(rows) {
    this.rows = rows;
    const shown = new Set(rows.map(this.id));
    for (const id of this.ids) if (!shown.has(id)) this.ids.delete(id);
    this.tell();
  }

  // With the shift key: all from the row that was clicked before to this one.
  toggle(row, on, range) {
    this.pickShown();
    const to = this.rows.indexOf(row);
    const before = this.rows.findIndex((r) => this.id(r) === this.before);
    const from = range && before >= 0 ? before : to;
    for (const r of this.rows.slice(Math.min(from, to), Math.max(from, to) + 1)) {
      if (on) this.ids.add(this.id(r));
      else this.ids.delete(this.id(r));
    }
    this.before = this.id(row);
    this.tell();
  }

  toggleKey(id) {
    const row = this.rows.find((r) => this.id(r) === id);
    if (row) this.toggle(row, !this.has(id), false);
  }

  selectShown(on) {
    this.matching = false;
    this.ids = new Set(on ? this.rows.map(this.id) : []);
    this.tell();
  }

  selectMatching() {
    this.matching = true;
    this.ids.clear();
    this.tell();
  }

  clear() {
    this.matching = false;
    this.ids.clear();
    this.before = undefined;
    this.tell();
  }

  // From all that match to those of them that are shown.
  pickShown() {
    if (!this.matching) return;
    this.matching = false;
    this.ids = new Set(this.rows.map(this.id));
  }

  tell() {
    const all = this.rows.length > 0 && (this.matching || this.ids.size === this.rows.length);
    this.node.hidden = this.rows.length === 0;
    this.shownBox.checked = all;
    this.shownBox.indeterminate = this.any && !all;
    fill(this.shownText, `All ${count(this.rows.length)} shown`);
    const text = this.matching ? "All that match" : `${count(this.ids.size)} selected`;
    fill(this.number, text);
    if (this.said.textContent !== text) fill(this.said, text);
    this.verbs.hidden = !this.any;
    this.node.classList.toggle("any", this.any);
    for (const box of document.querySelectorAll("input[data-select]"))
      box.checked = this.has(box.dataset.select);
  }
}
