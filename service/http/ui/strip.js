// The strip of an ID over time: its contexts above, the runs of its orchestration below, and
// who asked for one. It shows that no two overlap.
//
// Of many, the newest are drawn, and the others counted. The same as a table has everything
// that the server still knows.

import { get, isGone } from "./api.js";
import { count, duration, plural, time, whenZone } from "./format.js";
import { fill, h, s } from "./h.js";
import { ticks } from "./history.js";
import { orchestrationLink, status } from "./parts.js";

const DRAWN = 20, ROWS = 10;
const PAUSE_MS = 1000;  // Between two reads, however much happens.
const LEAST = 0.35;     // Percent: what is shorter is still seen.

// Results of starts: a sign, and always the word.
const RESULTS = { STARTED: ["▲", "started"], ATTACHED: ["●", "attached"], REPEATED: ["↻", "repeated"],
  REFUSED: ["✕", "refused"], FAILED: ["⚠", "failed"] };
const resultOf = (start) =>
  (Object.hasOwn(RESULTS, start.result) ? RESULTS[start.result] : ["•", String(start.result)]);
const LOOKS = { COMPLETED: "turn", FAILED: "bad", TERMINATED: "over" };

// ---- What is known, without a page ------------------------------------------------------

const ms = (at) => (at ? Date.parse(at) : undefined);

// The lists of an answer with times in milliseconds: {contexts, runs, starts, now}, each from
// the oldest to the newest. `begin` and `end` are missing where they are not known or not yet.
export function stripFrom(answer) {
  const span = (entry) => ({ ...entry, begin: ms(entry.create_time), end: ms(entry.end_time) });
  const before = (n) => Number(n ?? 0);
  return {
    contexts: (answer.contexts ?? []).map(span), runs: (answer.runs ?? []).map(span),
    starts: (answer.starts ?? []).map((start) => ({ ...start, begin: ms(start.time) })),
    before: { contexts: before(answer.contexts_before), runs: before(answer.runs_before),
      starts: before(answer.starts_before) },
    now: ms(answer.server_time),
  };
}

// How many of the spans began before an earlier one had ended.
export function overlaps(spans) {
  let found = 0, until = -Infinity;
  for (const { begin, end } of spans) {
    if (begin === undefined) continue;
    if (begin < until) found += 1;
    until = Math.max(until, end ?? Infinity);
  }
  return found;
}

// What is drawn: the newest of each, from when on, and how many are not.
export function drawn(strip, most = DRAWN) {
  const lanes = {}, cut = [];
  let begin = Infinity;
  for (const name of ["contexts", "runs", "starts"]) {
    const all = strip[name], shown = all.slice(-most);
    const first = shown.find((one) => one.begin !== undefined)?.begin;
    if (first !== undefined) begin = Math.min(begin, first);
    if (first !== undefined && (all.length > shown.length || strip.before[name] > 0)) cut.push(first);
    lanes[name] = shown;
  }
  // Where the older ones of a lane are missing, nothing is drawn of the others either.
  if (cut.length) begin = Math.max(...cut);
  if (!Number.isFinite(begin)) begin = strip.now;
  const left = {};
  for (const [name, shown] of Object.entries(lanes)) {
    lanes[name] = shown.filter((one) => (name === "starts" ? one.begin : one.end ?? strip.now) >= begin);
    left[name] = strip.before[name] + strip[name].length - lanes[name].length;
  }
  return { lanes, left, begin, end: Math.max(strip.now, begin + 1) };
}

// Each bar's {x, width} in percent: long enough to be seen, and never over the next one's
// beginning, unless the two do overlap.
export function bars(spans, begin, end) {
  const x = (at) => Math.max(0, Math.min(100, ((at - begin) / (end - begin)) * 100));
  return spans.map((span, i) => {
    const left = x(span.begin ?? begin), until = span.end ?? end;
    let right = Math.max(x(until), left + LEAST);
    const next = spans[i + 1]?.begin;
    if (next !== undefined && next >= until) right = Math.min(right, Math.max(x(next), left));
    return { x: left, width: Math.max(right - left, 0.05) };
  });
}

export const whoOf = (start) =>
  [start.identity || "somebody", start.peer && `from ${start.peer}`].filter(Boolean).join(" ");

// ---- The section of a page -----------------------------------------------------------------

// {node, changed}: the section, and what to call when the server says that there is news.
// `open`: whether the table is.
export function stripSection(page, path, { open = false } = {}) {
  const sentence = h("p"), known = h("p", { class: "quiet span" });
  const picture = h("div", { class: "strip-picture", role: "img" });
  const body = h("tbody", { role: "rowgroup" });
  const summary = h("summary");
  const more = h("button", { type: "button", onclick: () => { all = true; drawTable(); } });
  const details = h("details", { open }, summary, table(body), more);
  const node = h("section", { class: "strip", "aria-labelledby": "strip-title", hidden: true },
    h("h2", { id: "strip-title" }, "One at a time"), sentence, legend(), picture, known, details);
  let answer, strip, read = 0, reading = false, again, all = false, at;

  load();
  page.every(PAUSE_MS, () => { if (strip && isOpen(strip)) drawPicture(); });
  page.onLeave(() => clearTimeout(again));
  page.onLeave(whenZone(() => { if (strip) draw(); }));
  return { node, changed };

  // Once in a while, and once more if something has changed since.
  function changed() {
    if (again !== undefined) return;
    again = setTimeout(() => {
      again = undefined;
      load();
    }, Math.max(0, read + PAUSE_MS - performance.now()));
  }

  async function load() {
    if (reading) return changed();
    reading = true;
    try {
      const next = await get(path, {}, page.signal);
      read = performance.now();
      answer = next;
      strip = stripFrom(answer);
      at = read;
      draw();
    } catch (error) {
      read = performance.now();
      if (isGone(error)) return undefined;
      // Nothing is known of the ID; or the page says already that the server is away.
      if (error.status === 404) node.hidden = true;
    } finally {
      reading = false;
    }
    return undefined;
  }

  function draw() {
    node.hidden = false;
    fill(sentence, ...verdict(strip));
    fill(known, ...knownSince(answer, strip));
    drawPicture();
    drawTable();
  }

  function drawPicture() {
    const now = strip.now + (performance.now() - at);
    const what = drawn({ ...strip, now });
    picture.setAttribute("aria-label", words(strip));
    fill(picture, lane("Contexts", "contexts", what, contextBar), lane("Runs", "runs", what, runBar),
      lane("Starts", "starts", what), axis(what));
  }

  function drawTable() {
    const rows = rowsOf(strip);
    const shown = all ? rows : rows.slice(0, ROWS);
    fill(summary, `Who, when and how: ${plural(rows.length, "entry", "entries")}`);
    fill(body, shown.map((row) => h("tr", { role: "row" }, ["What", "From", "To", "How"].map((label, i) =>
      h("td", { role: "cell", "data-label": label }, row[i])))));
    more.hidden = shown.length === rows.length;
    fill(more, `Show all ${count(rows.length)}`);
  }
}

const isOpen = ({ contexts, runs }) => [...contexts, ...runs].some((one) => one.end === undefined);

function table(body) {
  return h("table", { class: "strip-rows", "aria-label": "One at a time, as a table", role: "table" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ["What", "From", "To", "How"].map((label) =>
      h("th", { scope: "col", role: "columnheader" }, label)))), body);
}

function legend() {
  return h("p", { class: "legend" }, Object.values(RESULTS).filter(([, word]) => word !== "failed")
    .map(([sign, word]) => h("span", null,
      h("span", { class: `mark ${word}`, "aria-hidden": "true" }, sign), ` ${word}`)));
}

// ---- Words -----------------------------------------------------------------------------

function verdict(strip) {
  const contexts = overlaps(strip.contexts), runs = overlaps(strip.runs);
  if (contexts + runs === 0) return ["No two contexts and no two runs of this ID overlap."];
  const what = [contexts && plural(contexts, "context", "contexts"), runs && plural(runs, "run", "runs")];
  return [h("strong", { class: "error" },
    `⚠ ${what.filter(Boolean).join(" and ")} began before the one before had ended.`)];
}

function words(strip) {
  const of = (name, one, many) => plural(strip.before[name] + strip[name].length, one, many);
  return `${of("contexts", "context", "contexts")}, ${of("runs", "run", "runs")}, ` +
    `${of("starts", "start", "starts")}; ` +
    `${overlaps(strip.contexts) + overlaps(strip.runs) ? "some overlap" : "no two overlap"}`;
}

function knownSince(answer, strip) {
  const restarted = answer.since_time === answer.server_start_time;
  const before = Object.entries(strip.before).filter(([, n]) => n > 0)
    .map(([name, n]) => `${count(n)} ${name}`).join(", ");
  return ["Recorded since ", time(answer.since_time),
    restarted ? ", when the server started" : "; what was before is forgotten",
    before ? `. Only counted, as they are older than these: ${before}` : "",
    strip.runs.some((run) => run.continues)
      ? ". Runs that were continued as new before are not known" : "", "."];
}

// The rows of the table, the newest first: [what, from, to, how].
function rowsOf(strip) {
  const begun = new Map(strip.starts.filter((start) => start.result === "STARTED")
    .map((start) => [start.execution_id, start]));
  const rows = [
    ...strip.contexts.map((one) => [one, [`Context ${one.generation}`, time(one.create_time, { fine: true }),
      until(one), one.end === undefined ? "open" : one.reason ?? ""]]),
    ...strip.runs.map((one) => [one, [h("span", null, "Run ", h("code", null, one.execution_id)),
      one.create_time ? time(one.create_time, { fine: true }) : "before that", until(one),
      [runStatus(one), " ", byWhom(one, begun.get(one.execution_id))]]]),
    ...strip.starts.map((one) => [one, [h("span", { class: `mark ${resultOf(one)[1]}` },
      h("span", { "aria-hidden": "true" }, resultOf(one)[0]), ` Start: ${resultOf(one)[1]}`),
    time(one.time, { fine: true }), "",
    [whoOf(one), one.code ? `: ${one.code}` : "",
      one.execution_id ? [", run ", h("code", null, one.execution_id)] : ""]]]),
  ];
  // A start comes after the run that it began, and so above it.
  return rows.map(([one, row], i) => ({ at: one.begin ?? -Infinity, i, row }))
    .sort((a, b) => b.at - a.at || b.i - a.i).map(({ row }) => row);
}

const until = (one) => (one.end === undefined ? "now" : [time(one.end_time, { fine: true }),
  one.begin === undefined ? "" : ` (${duration(one.end - one.begin)})`]);

function runStatus(run) {
  if (run.status === "CONTINUED_AS_NEW") return "continued as new";
  if (run.status !== undefined) return status(run.status);
  return run.end === undefined ? "goes on" : "how it ended is not known";
}

function byWhom(run, start) {
  if (start) return `started by ${whoOf(start)}`;
  if (run.parent_instance_id) return ["started by ", orchestrationLink(run.parent_instance_id)];
  return "";
}

// ---- The picture -------------------------------------------------------------------------

function lane(label, name, { lanes, left, begin, end }, bar) {
  const ones = lanes[name];
  const places = bars(ones, begin, end);
  return h("div", { class: "strip-lane", "aria-hidden": "true" },
    h("span", { class: "strip-name" }, label,
      left[name] > 0 ? h("span", { class: "quiet" }, ` ${count(left[name])} before`) : null),
    s("svg", { class: "picture", width: "100%", height: 26 },
      bar ? ones.map((one, i) => bar(one, places[i])) : ones.map((one, i) => mark(one, places[i]))));
}

function box(look, { x, width }, one, title, label) {
  const open = one.end === undefined ? " open" : "";
  return s("g", null,
    s("rect", { x: `${x}%`, width: `${width}%`, y: 3, height: 20, rx: 2, class: `bar ${look}${open}` },
      s("title", null, title)),
    width > 14 ? s("text", { x: `${x + width / 2}%`, y: 17, "text-anchor": "middle", class: "in-bar" }, label)
      : null);
}

const lasted = (one) => (one.end === undefined || one.begin === undefined ? "" : `, ${duration(one.end - one.begin)}`);

function contextBar(one, place) {
  return box("context", place, one,
    `Context ${one.generation}: ${one.end === undefined ? "open" : one.reason ?? ""}${lasted(one)}`,
    String(one.generation).slice(-6));
}

function runBar(one, place) {
  const look = one.end === undefined ? "run" : LOOKS[one.status] ?? "next";
  return box(look, place, one, `Run ${one.execution_id}: ${String(one.status ?? "").toLowerCase()}${lasted(one)}`,
    String(one.execution_id).slice(0, 8));
}

function mark(one, { x }) {
  const [sign, word] = resultOf(one);
  return s("text", { x: `${Math.max(1, Math.min(99, x))}%`, y: 18, "text-anchor": "middle",
    class: `mark ${Object.hasOwn(RESULTS, one.result) ? word : ""}` }, sign,
  s("title", null, `${word}: ${whoOf(one)}`));
}

function axis({ begin, end }) {
  const span = end - begin;
  const marks = ticks(span, 4);
  return h("div", { class: "strip-lane", "aria-hidden": "true" }, h("span", { class: "strip-name" }),
    s("svg", { class: "axis", width: "100%", height: 20 }, marks.map((at, i) => {
      const x = (at / span) * 100;
      return s("text", { x: `${x}%`, y: 14,
        "text-anchor": i === 0 ? "start" : x > 90 ? "end" : "middle" }, at === 0 ? "0" : `+${duration(at)}`);
    })));
}
