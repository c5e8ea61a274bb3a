// A line over the last minutes, drawn by hand.

import { fill, h, s } from "./h.js";
import { ticks } from "./history.js";

const POINTS = 600;  // At one a second: ten minutes.

export class Chart {
  // text(value): how a value is written.
  constructor(label, text) {
    this.label = label;
    this.text = text;
    this.points = [];
    this.value = h("span", { class: "value" }, "–");
    this.svg = s("svg", { viewBox: `0 0 ${POINTS} 100`, preserveAspectRatio: "none", role: "img" });
    this.top = h("span", { class: "top quiet", "aria-hidden": "true" });
    this.node = h("figure", { class: "chart" },
      h("figcaption", null, label, " ", this.value), h("div", { class: "plot" }, this.svg, this.top));
  }

  add(value) {
    this.points.push(value);
    if (this.points.length > POINTS) this.points.shift();
    this.draw();
  }

  draw() {
    const most = Math.max(1, ...this.points);
    // The first round step above the highest point.
    const steps = ticks(most, 4), step = steps[1] ?? most;
    const top = Math.ceil(most / step) * step;
    const now = this.points[this.points.length - 1];
    const from = POINTS - this.points.length;
    fill(this.value, this.text(now));
    fill(this.top, this.text(top));
    this.svg.setAttribute("aria-label",
      `${this.label}: now ${this.text(now)}, at most ${this.text(Math.max(...this.points))}`);
    fill(this.svg, s("polyline", {
      class: "line", "vector-effect": "non-scaling-stroke",
      points: this.points.map((v, i) => `${from + i},${98 - (v / top) * 94}`).join(" "),
    }));
  }
}
