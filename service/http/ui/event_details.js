// What is known of one row of a history: its events, one under the other.

import { duration, time } from "./format.js";
import { h } from "./h.js";
import { facts, failure, orchestrationLink, payload } from "./parts.js";

const PAYLOADS = ["input", "output"];
const SHOWN_ELSEWHERE = new Set(["kind", "time", "sequence", "event_id", "failure", "scheduled_id",
  ...PAYLOADS]);

export const kindWords = (kind) => {
  const words = String(kind).replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
};

function text(value) {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

// One event of the orchestration `id`.
export function eventDetails(id, event) {
  const others = Object.entries(event).filter(([name, value]) =>
    !SHOWN_ELSEWHERE.has(name) && text(value) !== "");
  return h("section", { class: "event" },
    h("h3", null, kindWords(event.kind), " ", h("span", { class: "quiet" }, `#${event.sequence}`)),
    facts([
      ["At", time(event.time, { fine: true })],
      ...others.map(([name, value]) => [kindWords(name),
        name === "instance_id" && !String(value).startsWith("@") ? orchestrationLink(value)
          : name.endsWith("_time") ? time(value, { fine: true }) : text(value)]),
    ]),
    failure("Failed", event.failure),
    PAYLOADS.map((field) => payload(kindWords(field), event[field],
      { id, event: event.sequence, field })));
}

export function rowDetails(id, row, close) {
  return h("aside", { class: "details", "aria-label": `${row.kind} ${row.name}` },
    h("header", null,
      h("h2", { tabindex: -1 }, `${row.kind} `, h("span", { class: "name" }, row.name)),
      h("button", { type: "button", class: "close", "aria-label": "Close the details",
        onclick: close }, "✕")),
    row.state === "point" ? null : h("p", { class: "quiet" },
      row.state === "pending" ? "It goes on." : `It took ${duration(row.end - row.begin)}.`,
      row.attempts > 1 ? ` It was tried ${row.attempts} times.` : ""),
    row.events.map((event) => eventDetails(id, event)));
}
