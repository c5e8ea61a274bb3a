// Small things that several pages show.

import { download, isGone, segment } from "./api.js";
import { bytes, duration, prettyJson } from "./format.js";
import { h } from "./h.js";
import { serverNow } from "./live.js";

// Statuses and states: an icon, and always the word.
const STATUS = {
  PENDING: ["○", "wait"], RUNNING: ["▶", "run"], SUSPENDED: ["Ⅱ", "hold"],
  COMPLETED: ["✓", "good"], FAILED: ["✕", "bad"], TERMINATED: ["■", "ended"],
  DAMAGED: ["⚠", "bad"],
  OPENING: ["○", "wait"], BUSY: ["▶", "run"], IDLE: ["◔", "hold"], CLOSING: ["■", "ended"],
};

// In the order in which pages list them.
export const STATUSES = ["PENDING", "RUNNING", "SUSPENDED", "COMPLETED", "FAILED", "TERMINATED"];

export function status(word) {
  const [icon, tone] = Object.hasOwn(STATUS, word) ? STATUS[word] : ["•", "ended"];
  return h("span", { class: `status ${tone}` },
    h("span", { "aria-hidden": "true", class: "icon" }, icon),
    h("span", { class: "word" }, String(word ?? "unknown")));
}

export const contextPath = (id) => `/ui/contexts/${encodeURIComponent(id)}`;
export const orchestrationPath = (id) => `/ui/orchestrations/${encodeURIComponent(id)}`;

// Long names are cut in the middle of the page by CSS; the title has them whole.
export const link = (href, text) => h("a", { href, class: "name", title: text }, text);

export const orchestrationLink = (id) => link(orchestrationPath(id), id);
export const contextLink = (id) => link(contextPath(id), id);

// The others that have this tag.
export const tagLink = (key, value) =>
  h("a", { class: "tag", href: `/ui/orchestrations?tag=${encodeURIComponent(`${key}=${value}`)}` },
    `${key}=${value}`);

// [["label", value], ...] without the values that are not there.
export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs
    .filter(([, value]) => value !== undefined && value !== null && value !== "")
    .map(([label, value]) => h("div", null, h("dt", null, label), h("dd", null, value))));
}

// ---- Leases -------------------------------------------------------------------

// The milliseconds that a context's lease still runs; undefined: it does not run.
export function leaseLeft(context) {
  const now = serverNow();
  if (context.lease_deadline_ms === undefined || now === undefined) return undefined;
  return Math.max(0, context.lease_deadline_ms - now);
}

const leaseText = (left) => (left < 10000 ? `${(left / 1000).toFixed(1)} s` : duration(left));

// A bar that runs down by CSS alone, and the time beside it.
export function lease(context) {
  const left = leaseLeft(context);
  if (left === undefined)
    return h("span", { class: "lease quiet" }, context.state === "BUSY" ? "held" : "no lease");
  const whole = Math.max(1, context.idle_timeout_ms ?? left);
  return h("span", { class: "lease" },
    h("span", { class: "bar", "aria-hidden": "true" }, h("span", {
      class: "fill",
      style: { "animation-duration": `${whole}ms`, "animation-delay": `${left - whole}ms` },
    })),
    h("span", { class: "left", "data-deadline": context.lease_deadline_ms }, leaseText(left)));
}

// The times beside the bars that are in the page, four times a second.
export function refreshLeases(root) {
  const now = serverNow();
  if (now === undefined) return;
  for (const node of root.querySelectorAll("[data-deadline]")) {
    const text = leaseText(Math.max(0, Number(node.dataset.deadline) - now));
    if (node.textContent !== text) node.textContent = text;
  }
}

export const pinsText = (pins) =>
  (pins ?? []).map((pin) => (Number(pin.count) === 1 ? pin.kind : `${pin.count} × ${pin.kind}`))
    .join(", ");

// ---- Payloads and failures ------------------------------------------------------

export function copyButton(text, label = "Copy") {
  const button = h("button", { type: "button", class: "small", onclick: copy }, label);
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed to copy";
    }
    setTimeout(() => { button.textContent = label; }, 2000);
  }
  return button;
}

// source: {id, event, field}, from where a payload that was cut can be had whole.
export function payload(label, value, source) {
  if (value === undefined || value === null) return null;
  const cut = typeof value === "object" && value.$truncated;
  const text = cut ? String(value.head) : String(value);
  return h("section", { class: "payload" },
    h("h3", null, label,
      cut ? h("span", { class: "quiet" }, ` the first ${bytes(text.length)} of ${bytes(value.bytes)}`)
        : null,
      h("span", { class: "buttons" },
        cut ? h("button", { type: "button", class: "small", onclick: whole }, "Download all")
          : copyButton(text))),
    h("pre", { tabindex: 0, "aria-label": label }, cut ? text : prettyJson(text)));
  function whole(event) {
    const query = { field: source.field };
    if (source.event !== undefined) query.event = source.event;
    event.currentTarget.disabled = true;
    const button = event.currentTarget;
    download(`orchestrations/${segment(source.id)}/payload`, query, `${source.field}.txt`)
      .catch((error) => button.after(h("span", { class: "error" }, ` ${error.message}`)))
      .finally(() => { button.disabled = false; });
  }
}

// What went wrong, and what caused it: words first, the stack on demand.
export function failure(what, given) {
  if (!given) return null;
  const causes = [];
  for (let f = given; f && causes.length < 20; f = f.cause) causes.push(f);
  const head = causes[0];
  const stack = causes.map((f) => f.stack_trace).filter(Boolean).join("\n\nCaused by:\n");
  return h("section", { class: "failure", role: "group", "aria-label": "Failure" },
    h("p", null, h("strong", null, `${what}: `), head.message || head.type || "no message"),
    head.type ? h("p", { class: "quiet" }, head.type) : null,
    causes.slice(1).map((f) => h("p", null, "because of ", h("strong", null, f.type || "a failure"),
      `: ${f.message ?? ""}`)),
    stack ? h("details", null, h("summary", null, "Stack"), h("pre", { tabindex: 0 }, stack),
      copyButton(stack, "Copy the stack")) : null);
}

// ---- States of a page --------------------------------------------------------------

export function problem(error, retry) {
  if (isGone(error)) return h("p");
  return h("section", { class: "problem", role: "alert" },
    h("p", null, error.message),
    retry ? h("button", { type: "button", onclick: retry }, "Try again") : null);
}

export const loading = () => h("p", { class: "quiet", role: "status" }, "Loading…");
