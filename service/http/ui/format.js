// How numbers, times and durations are written, the same on all pages.

import { h } from "./h.js";

const ZONES = ["local", "utc", "relative"];
const KEY = "leasehold.zone";

function kept() {
  try {
    const zone = localStorage.getItem(KEY);
    return ZONES.includes(zone) ? zone : "local";
  } catch {
    return "local";  // Storage may be forbidden.
  }
}

let zone = kept();
const hooks = new Set();
export const currentZone = () => zone;
export const zones = ZONES;

export function setZone(to) {
  zone = to;
  try {
    localStorage.setItem(KEY, to);
  } catch {
    // It holds until the page is left.
  }
  refreshTimes(document);
  for (const hook of hooks) hook();
}

// Calls hook() when the zone changes. Returns how to end that.
export function whenZone(hook) {
  hooks.add(hook);
  return () => hooks.delete(hook);
}

const two = (n) => String(n).padStart(2, "0");

function stamp(date, utc, fine) {
  const of = (part) => date[`get${utc ? "UTC" : ""}${part}`]();
  const text = `${of("FullYear")}-${two(of("Month") + 1)}-${two(of("Date"))} ` +
    `${two(of("Hours"))}:${two(of("Minutes"))}:${two(of("Seconds"))}` +
    (fine ? `.${String(of("Milliseconds")).padStart(3, "0")}` : "");
  return utc ? `${text} UTC` : text;
}

export function ago(ms) {
  if (Math.abs(ms) < 1000) return "now";
  return ms > 0 ? `${duration(ms)} ago` : `in ${duration(-ms)}`;
}

function timeText(date, fine) {
  if (zone === "relative") return ago(Date.now() - date.getTime());
  return stamp(date, zone === "utc", fine);
}

// A <time> in the zone that is chosen; the other ways to say it are its title.
export function time(at, { fine = false } = {}) {
  if (!at) return "";
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return String(at);
  return h("time", {
    datetime: date.toISOString(), "data-fine": fine,
    title: `${stamp(date, true, true)}, ${stamp(date, false, true)} here`,
  }, timeText(date, fine));
}

export function refreshTimes(root) {
  for (const node of root.querySelectorAll("time"))
    node.textContent = timeText(new Date(node.dateTime), node.dataset.fine !== undefined);
}

// Coarse enough to read: two units at most.
export function duration(ms) {
  if (ms < 0) ms = 0;
  if (ms < 1000) return `${ms < 10 && ms > 0 ? ms.toFixed(1) : Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.floor(seconds)} s`;
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let rest = Math.floor(seconds);
  const parts = [];
  for (const [name, size] of units) {
    if (parts.length === 2) break;
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n > 0) parts.push(`${n} ${name}`);
    else if (parts.length) break;
  }
  return parts.join(" ");
}

export function bytes(n) {
  if (n < 1024) return `${n} bytes`;
  if (n < 1024 * 1024) return `${(n / 1024).toFixed(1)} KiB`;
  return `${(n / 1024 / 1024).toFixed(1)} MiB`;
}

// 64-bit numbers come as text, and stay exact.
export function count(n) {
  return String(n).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

export const plural = (n, one, many) => `${count(n)} ${Number(n) === 1 ? one : many}`;

// JSON text with line breaks and indents, and not one other character changed: numbers
// that JavaScript cannot hold stay as they are. Text that is not JSON stays as it is.
export function prettyJson(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let out = "", depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g)) {
    if (token === "{" || token === "[") {
      depth += 1;
      out += token + line();
    } else if (token === "}" || token === "]") {
      depth -= 1;
      const opened = out.trimEnd();
      out = (opened.endsWith("{") || opened.endsWith("[") ? opened : out + line()) + token;
    } else if (token === ",") {
      out += `,${line()}`;
    } else {
      out += token === ":" ? ": " : token;
    }
  }
  return out;
}

// A word of a command line, as a shell takes it. Whatever cannot be seen is written by
// its number: what is copied is what was read.
export function shellWord(word) {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  if (/^[\x20-\x7E\n]*$/.test(word)) return `'${word.replaceAll("'", "'\\''")}'`;
  const escaped = [...word].map((c) => {
    if (c === "\\" || c === "'") return `\\${c}`;
    if (c >= " " && c <= "~") return c;
    const code = c.codePointAt(0);
    return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`;
  });
  return `$'${escaped.join("")}'`;
}
