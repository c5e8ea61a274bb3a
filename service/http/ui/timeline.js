// The picture of a history: a lane for each row, drawn as SVG, only those in sight.

import { count, duration, time } from "./format.js";
import { fill, h, s } from "./h.js";
import { coarse, density, layout, ticks } from "./history.js";
import { inSight } from "./table.js";

const PHONE = matchMedia("(max-width: 600px)");
const ICONS = { pending: "▶", done: "✓", failed: "✕", point: "•" };
const BINS = 200;

const LEGEND = [["turn", "turn of the orchestrator"], ["run", "from scheduled to ended"],
  ["wait", "waiting"], ["bad", "failed attempt"]];

export class Timeline {
  // pick(row): it was chosen. child(id): a promise of its History.
  constructor({ pick, child }) {
    this.pick = pick;
    this.child = child;
    this.children = new Map();  // Row key -> History.
    this.opened = new Set();
    this.items = [];
    this.axis = s("svg", { class: "axis", "aria-hidden": "true", height: 22, width: "100%" });
    this.list = h("ol", { class: "lanes" });
    this.above = h("li", { class: "spacer", "aria-hidden": "true" });
    this.below = h("li", { class: "spacer", "aria-hidden": "true" });
    this.caption = h("p", { class: "quiet span" });
    this.node = h("div", { class: "timeline" }, this.patterns(), this.legend(), this.caption,
      h("div", { class: "axis-row" }, this.axis), this.list);
    this.onScroll = () => this.schedule();
    window.addEventListener("scroll", this.onScroll, { passive: true });
    window.addEventListener("resize", this.onScroll);
  }

  stop() {
    window.removeEventListener("scroll", this.onScroll);
    window.removeEventListener("resize", this.onScroll);
  }

  patterns() {
    return s("svg", { width: 0, height: 0, "aria-hidden": "true", class: "defs" },
      s("defs", null, s("pattern", {
        id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse",
        patternTransform: "rotate(45)",
      }, s("rect", { width: 6, height: 6, class: "hatch-ground" }),
      s("rect", { width: 2, height: 6, class: "hatch-line" }))));
  }

  legend() {
    return h("p", { class: "legend" }, LEGEND.map(([what, label]) => h("span", null,
      s("svg", { width: 22, height: 12, "aria-hidden": "true" }, bar(what, 0, 22, 0, 12)), label)));
  }

  // match: which rows to show; undefined: all.
  show(history, now, match) {
    this.history = history;
    this.begin = history.begin ?? now;
    this.now = history.end ?? Math.max(now, history.latest);
    // What has been silent for long is not drawn to scale: the rest would be a dot.
    const span = history.latest - this.begin;
    this.end = Math.max(this.begin + 1, Math.min(this.now, history.latest + span + 60000));
    this.match = match;
    this.items = layout(history, {
      opened: this.opened, inside: (row) => this.children.get(row.key), match,
    });
    fill(this.caption, "From ", time(new Date(this.begin).toISOString(), { fine: true }),
      `, ${duration(this.end - this.begin)}`,
      this.now > this.end ? `; nothing happened in the ${duration(this.now - this.end)} since` : "");
    this.drawAxis();
    this.draw();
  }

  x(at) {
    return Math.max(0, Math.min(100, ((at - this.begin) / (this.end - this.begin)) * 100));
  }

  drawAxis() {
    const span = this.end - this.begin;
    this.marks = ticks(span, PHONE.matches ? 3 : 7).map((at) => (at / span) * 100);
    fill(this.axis, ticks(span, PHONE.matches ? 3 : 7).map((at, i) => s("text", {
      x: `${this.marks[i]}%`, y: 15,
      "text-anchor": i === 0 ? "start" : this.marks[i] > 94 ? "end" : "middle",
    }, at === 0 ? "0" : `+${duration(at)}`)));
  }

  schedule() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    if (!this.history) return;
    const height = PHONE.matches ? 66 : 32;
    this.list.style.setProperty("--row", `${height}px`);
    const { begin, end } = inSight(this.list, this.items.length, height);
    const focused = document.activeElement?.closest?.("li[data-key]")?.dataset.key;
    const lanes = this.items.slice(begin, end).map((item) => this.lane(item));
    this.above.style.setProperty("height", `${begin * height}px`);
    this.below.style.setProperty("height", `${(this.items.length - end) * height}px`);
    fill(this.list, begin > 0 && this.above, lanes, end < this.items.length && this.below);
    if (focused)
      lanes.find((lane) => lane.dataset.key === focused)?.querySelector("button")
        ?.focus({ preventScroll: true });
  }

  lane({ row, depth, history }) {
    return h("li", { class: `lane ${row.state ?? "band"}`, "data-key": row.key },
      h("div", { class: "lane-name", style: { "--depth": depth } },
        row.band ? this.bandButton(row) : this.rowButtons(row)),
      row.band ? this.bandPicture(row) : this.picture(row, history));
  }

  bandButton(band) {
    const failed = band.rows.filter((row) => row.state === "failed").length;
    const open = this.opened.has(band.key);
    return h("button", {
      type: "button", class: "pick", "aria-expanded": String(open),
      onclick: () => this.toggle(band.key),
    }, h("span", { "aria-hidden": "true", class: "icon" }, open ? "▾" : "▸"),
    `${count(band.rows.length)} × ${band.kind.toLowerCase()} `, h("strong", null, band.name),
    failed ? h("span", { class: "failed-count" }, ` · ${count(failed)} failed`) : null);
  }

  rowButtons(row) {
    const label = `${row.kind} ${row.name}`;
    const open = this.opened.has(row.key);
    return [
      h("button", { type: "button", class: "pick", title: label, onclick: () => this.pick(row) },
        h("span", { "aria-hidden": "true", class: "icon" }, ICONS[row.state]),
        h("span", { class: "kind" }, `${row.kind} `), h("strong", null, row.name),
        row.attempts > 1 ? ` · ${row.attempts} attempts` : null,
        h("span", { class: "unseen" }, `, ${this.words(row)}`)),
      row.child ? h("button", {
        type: "button", class: "unfold", "aria-expanded": String(open),
        "aria-label": `Show the history of ${row.child} here`,
        onclick: () => this.openChild(row),
      }, open ? "▾" : "▸") : null,
    ];
  }

  words(row) {
    if (row.state === "point") return "happened";
    const state = { pending: "goes on", done: "done", failed: "failed" }[row.state];
    return `${state}, ${duration((row.end ?? this.now) - row.begin)}`;
  }

  grid() {
    return this.marks.map((x) => s("line", { x1: `${x}%`, x2: `${x}%`, y1: 0, y2: "100%",
      class: "tick" }));
  }

  picture(row, history) {
    const parts = row.state === "point"
      ? s("circle", { cx: `${this.x(row.begin)}%`, cy: "50%", r: 5, class: "point" })
      : coarse(row.parts, this.begin, this.end).map((part) => {
        const left = this.x(part.begin), right = this.x(part.end ?? this.end);
        const what = row === history.self && part.what === "run" ? "turn" : part.what;
        return bar(what, `${left}%`, `${Math.max(0.25, right - left)}%`, "22%", "56%",
          part.end === undefined);
      });
    return s("svg", { class: "picture", "aria-hidden": "true", width: "100%", height: "100%" },
      this.grid(), this.open(row, history), parts);
  }

  // What the orchestration itself does since its last turn.
  open(row, history) {
    if (row !== history.self || row.end !== undefined || history.free === undefined) return null;
    const begin = history.turn ?? history.free, left = this.x(begin);
    return bar(history.turn !== undefined ? "turn" : "wait", `${left}%`, `${100 - left}%`, "22%",
      "56%", true);
  }

  bandPicture(band) {
    const { counts, failed, most } = density(band.rows, this.begin, this.end, BINS);
    const y = (n) => 28 - (n / Math.max(1, most)) * 24;
    let path = "M0 28";
    counts.forEach((n, i) => { path += `L${i} ${y(n)}L${i + 1} ${y(n)}`; });
    return s("svg", { class: "picture", "aria-hidden": "true", width: "100%", height: "100%",
      viewBox: `0 0 ${BINS} 32`, preserveAspectRatio: "none" },
    s("path", { d: `${path}L${BINS} 28Z`, class: "density" }),
    [...failed].map((yes, i) => yes && s("rect", { x: i, y: 28, width: 1, height: 4,
      class: "bar bad" })));
  }

  toggle(key) {
    if (!this.opened.delete(key)) this.opened.add(key);
    this.show(this.history, this.now, this.match);
  }

  async openChild(row) {
    if (!this.opened.has(row.key) && !this.children.has(row.key)) {
      try {
        this.children.set(row.key, await this.child(row.child));
      } catch (error) {
        this.pick(row, error);
        return;
      }
    }
    this.toggle(row.key);
  }
}

function bar(what, x, width, y, height, open = false) {
  return s("rect", { x, y, width, height, rx: 2, class: `bar ${what}${open ? " open" : ""}`,
    fill: what === "wait" ? "url(#hatch)" : undefined });
}
