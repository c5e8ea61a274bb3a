// Lines over the last minutes, drawn by hand.

import { fill, h, s } from "./h.js";
import { ticks } from "./history.js";

export const WINDOW_MS = 600000;
const WIDTH = 600;

export class Chart {
  // text(value): how a value is written. lines: the names of several; none: a single one.
  constructor(label, text, lines) {
    this.label = label;
    this.text = text;
    this.lines = lines ?? [""];
    this.points = [];
    this.value = h("span", { class: "value" }, "–");
    this.svg = s("svg", { viewBox: `0 0 ${WIDTH} 100`, preserveAspectRatio: "none", role: "img" });
    this.top = h("span", { class: "top quiet", "aria-hidden": "true" });
    this.key = lines ? h("p", { class: "key" }, lines.map((name, i) =>
      h("span", { class: `line-${i}` }, name))) : null;
    this.node = h("figure", { class: "chart" },
      h("figcaption", null, label, " ", this.value), h("div", { class: "plot" }, this.svg, this.top), this.key);
  }

  // values: one, or one for each line, at a time of the server's clock.
  add(atMs, values) {
    // Another server has another clock.
    if (this.points.length && atMs <= this.points[this.points.length - 1].atMs) this.points = [];
    this.points.push({ atMs, values: [values].flat() });
    while (this.points[0].atMs < atMs - WINDOW_MS) this.points.shift();
  }

  clear() {
    this.points = [];
  }

  draw() {
    const last = this.points[this.points.length - 1];
    if (!last) return;
    const all = this.points.flatMap(({ values }) => values);
    const most = Math.max(1, ...all);
    // The first round step above the highest point.
    const steps = ticks(most, 4), step = steps[1] ?? most;
    const top = Math.ceil(most / step) * step;
    const said = this.lines.map((name, i) => `${name ? `${name} ` : ""}${this.text(last.values[i])}`).join(", ");
    fill(this.value, this.text(last.values[0]));
    fill(this.top, this.text(top));
    this.svg.setAttribute("aria-label",
      `${this.label}: now ${said}, at most ${this.text(Math.max(...all))}`);
    const x = ({ atMs }) => (WIDTH * (1 - (last.atMs - atMs) / WINDOW_MS)).toFixed(1);
    // The first line is drawn last: on top.
    fill(this.svg, this.lines.map((_, i) => s("polyline", {
      class: `line line-${i}`, "vector-effect": "non-scaling-stroke",
      points: this.points.map((p) => `${x(p)},${(98 - (p.values[i] / top) * 94).toFixed(1)}`).join(" "),
    })).reverse());
  }
}
