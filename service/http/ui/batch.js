// One verb for many orchestrations: which they are, what will be done to them, the same as
// a command line, how far it is, and what failed.

import { isGone, post, postLines } from "./api.js";
import { ask, dialog, jsonProblem } from "./dialogs.js";
import { count, plural, shellWord, time } from "./format.js";
import { fill, h } from "./h.js";
import { copyButton, facts, orchestrationLink } from "./parts.js";
import { option, REASON, RECURSIVE, words } from "./verbs.js";

const AT_ONCE = 4;
const BATCH = "orchestrations:batch";
const FIRST = 10;
const FAILURES_SHOWN = 200;
const TRIES = 5;
const SLOW_MS = 250;

const many = (n) => plural(n, "orchestration", "orchestrations");
const text = (value) => value?.trim() || undefined;

// fits: the statuses in which it can be done; past: "they can be …"; did: "they were …";
// body, options: of a request and a command line.
const withReason = { fields: [REASON], body: (v) => ({ reason: text(v.reason) }),
  options: (v) => option("--reason", text(v.reason)) };
export const BATCH_VERBS = {
  suspend: { ...withReason, name: "Suspend", past: "suspended", did: "told to pause", fits: ["PENDING", "RUNNING"],
    says: () => "They pause: activities that run go on, and their results and events are queued " +
      "until they are resumed." },
  resume: { ...withReason, name: "Resume", past: "resumed", did: "told to go on",
    fits: ["SUSPENDED"],
    says: () => "They go on. Events and results that were queued meanwhile are delivered." },
  terminate: { name: "Terminate", past: "terminated", did: "told to end", danger: true,
    fits: ["PENDING", "RUNNING", "SUSPENDED"],
    says: (v) => "They end with their next turn, whatever they wait for. What their activities " +
      `have already done stays done; ${v.recursive ? "their sub-orchestrations end, too"
        : "their sub-orchestrations go on"}. They cannot be resumed, but they can be started again.`,
    fields: [{ name: "output", label: "Output (JSON)", kind: "textarea",
      hint: "Becomes the output of each." }, RECURSIVE],
    check: (v) => jsonProblem(v.output, "The output"),
    body: (v) => ({ output: text(v.output), recursive: v.recursive || undefined }),
    options: (v) => [...option("--result", text(v.output)), ...(v.recursive ? ["--recursive"] : [])] },
  purge: { name: "Purge", past: "purged", did: "purged", danger: true,
    fits: ["COMPLETED", "FAILED", "TERMINATED", "DAMAGED"],
    says: (v) => `They and their histories are deleted for good, with all their runs${v.recursive
      ? " and the sub-orchestrations that have ended" : ""}, and their IDs are free again. This ` +
      "cannot be undone.",
    fields: [RECURSIVE],
    body: (v) => ({ recursive: v.recursive || undefined }),
    options: (v) => (v.recursive ? ["--recursive"] : []) },
  restart: { name: "Restart", past: "restarted", did: "started again",
    fits: ["COMPLETED", "FAILED", "TERMINATED"], fields: [],
    says: () => "Each is started again under its own ID, with the input that it had. What it did " +
      "before is kept as an earlier run.",
    body: () => ({}), options: () => [] },
  "raise-event": { name: "Raise event", title: "Raise an event for", past: "sent an event", did: "sent the event",
    fits: ["PENDING", "RUNNING", "SUSPENDED"],
    says: () => "The event is queued for each, and delivered when the orchestrator asks for one of its name.",
    fields: [{ name: "event", label: "Event name", required: true },
      { name: "input", label: "Input (JSON)", kind: "textarea" }],
    check: (v) => (v.event.trim() === "" ? "The event needs a name." : jsonProblem(v.input, "The input")),
    body: (v) => ({ name: v.event.trim(), input: text(v.input) }),
    options: (v) => option("--input", text(v.input)),
    after: (v) => [v.event?.trim() || "EVENT"] },
};

// ---- Which ----------------------------------------------------------------------

// Of the statuses of a filter (none: any), those that a verb can be used in.
export function fitting(verb, status) {
  const asked = (status ?? "").split(",").filter(Boolean);
  return verb.fits.filter((word) => word !== "DAMAGED" && (!asked.length || asked.includes(word)));
}

// ---- The command line ------------------------------------------------------------

const line = (list) => list.map(shellWord).join(" ");

function filterOptions(verb, filter, always) {
  const status = fitting(verb, filter.status).join(",").toLowerCase();
  return [...(filter.status || always ? option("--status", status) : []),
    ...option("--id-prefix", filter.prefix || undefined),
    ...option("--created-from", filter.from || undefined),
    ...option("--created-to", filter.to || undefined)];
}

// What jq selects by, since the command line has no filter for it.
function jqFilter({ name, tag }) {
  const equals = (tag ?? "").indexOf("=");
  const args = [], tests = [];
  if (name) {
    args.push("--arg", "name", name);
    tests.push(".name == $name");
  }
  if (tag) {
    args.push("--arg", "tag", tag);
    let test = "(.tags // {} | has($tag))";
    if (equals > 0) {
      args.push("--arg", "key", tag.slice(0, equals), "--arg", "value", tag.slice(equals + 1));
      test = `(${test} or .tags[$key] == $value)`;
    }
    tests.push(test);
  }
  return [...args, `${tests.length ? `select(${tests.join(" and ")}) | ` : ""}.instance_id + "\\u0000"`];
}

// which: {ids} or {filter}. A shell does with it what the dialog does.
export function batchCommand(name, which, values) {
  const verb = BATCH_VERBS[name], options = verb.options(values), after = verb.after?.(values) ?? [];
  const { ids, filter } = which;
  if (ids?.length === 1) return line(words(name, options, ids[0], ...after));
  if (ids)
    return `for id in ${line(ids)}; do\n  ${line(["leasehold", "orchestration", name, ...options])}` +
      ` -- ${["\"$id\"", ...after.map(shellWord)].join(" ")}\ndone`;
  if (name === "purge" && !filter.name && !filter.tag) {
    const by = filterOptions(verb, filter, false);
    return line(["leasehold", "orchestration", name, ...(by.length ? by : ["--all"]), ...options]);
  }
  // What comes after the ID needs it to have a place of its own.
  const each = after.length ? ["-I{}"] : ["-n1"];
  return [line(["leasehold", "orchestration", "list", "--output=json", ...filterOptions(verb, filter, true)]),
    line(["jq", "-j", ...jqFilter(filter)]),
    line(["xargs", "-0", "-r", ...each, `-P${AT_ONCE}`, "leasehold", "orchestration", name, ...options, "--",
      ...(after.length ? ["{}", ...after] : [])]),
  ].join(" |\n  ");
}

// ---- Asking ----------------------------------------------------------------------

const filterFacts = (filter) => facts([
  ["Status", filter.status?.toLowerCase().replaceAll(",", ", ")], ["ID begins with", filter.prefix],
  ["Name", filter.name], ["Tag", filter.tag], ["Created from", filter.from && time(filter.from)],
  ["Created to", filter.to && time(filter.to)],
]);

// The first of so many.
function firstIds(ids, total) {
  return h("div", { class: "first-ids" },
    h("p", { class: "label" }, total > FIRST ? `The first ${FIRST} of them` : "Their IDs"),
    h("ul", { class: "plain", tabindex: 0, "aria-label": "IDs" },
      ids.slice(0, FIRST).map((id) => h("li", null, h("code", null, id)))),
    total > FIRST ? h("p", { class: "quiet" }, `and ${count(total - FIRST)} more`) : null);
}

const only = (verb) => {
  const fits = verb.fits.map((word) => word.toLowerCase());
  return `only those that are ${fits.slice(0, -1).join(", ")}${fits.length > 1 ? " or " : ""}` +
    `${fits[fits.length - 1]} can be ${verb.past}`;
};

function say(title, ...content) {
  return dialog(title, h("form", { method: "dialog" }, content,
    h("p", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, "Close"))));
}

// which: {rows} that are selected, or {filter}: all that match it, as many as there are now.
// Asks, does it, and calls done() if anything may have changed.
export async function batch(name, which, page, done) {
  const verb = BATCH_VERBS[name];
  const open = [];
  page.onLeave(() => open.forEach((node) => node.close()));
  const ids = which.rows?.filter((o) => verb.fits.includes(o.status)).map((o) => o.instance_id);
  const leftOut = ids ? which.rows.length - ids.length : 0;
  const looked = ids?.length === 0 ? { matched: 0 }
    : await look({ verb: name, filter: which.filter, instance_ids: ids }, page, open);
  if (!looked) return;
  if (looked.matched === 0) {
    open.push(say(`Nothing to ${name}`, h("p", null, `${which.filter ? "None that matches"
      : "Nothing that is selected"} can be ${verb.past}: ${only(verb)}.`)));
    return;
  }
  open.push(ask({
    title: `${verb.title ?? verb.name} ${many(looked.matched)}`,
    confirm: `${verb.name} ${verb.title ? `for ${count(looked.matched)}` : count(looked.matched)}`,
    danger: verb.danger, fields: verb.fields, check: verb.check, says: verb.says,
    more: [
      leftOut ? h("p", null, `${plural(leftOut, "other that is", "others that are")} selected ` +
        `will be left as ${leftOut === 1 ? "it is" : "they are"}: ${only(verb)}.`) : null,
      which.filter ? [h("p", { class: "label" }, "The filter"), anyFilter(which.filter)
        ? filterFacts(which.filter) : h("p", null, "None: all that there are."),
      h("p", { class: "quiet" }, `Of those that match, ${only(verb)}. Those that come to match ` +
        "later are left as they are.")] : null,
      firstIds(looked.first, looked.matched)],
    command: (v) => batchCommand(name, ids ? { ids } : which, v),
    run: async (v) => () => open.push(runInDialog(name, looked, verb.body(v), done)),
  }));
}

const anyFilter = (filter) => Object.values(filter).some(Boolean);

// What matches, and a token for it; undefined: it was cancelled, or the server does not say.
async function look(asked, page, open) {
  const stop = new AbortController();
  page.signal.addEventListener("abort", () => stop.abort());
  let node;
  const slow = setTimeout(() => {
    node = dialog(`${BATCH_VERBS[asked.verb].name} all that match`, h("form", { method: "dialog" },
      h("p", { role: "status" }, "Counting…"),
      h("p", { class: "buttons" }, h("button", { type: "submit" }, "Cancel"))));
    node.addEventListener("close", () => stop.abort());
    open.push(node);
  }, SLOW_MS);
  try {
    const looked = await post(BATCH, asked, stop.signal);
    return stop.signal.aborted ? undefined : looked;
  } catch (error) {
    if (!stop.signal.aborted) open.push(say("It cannot be counted", h("p", null, error.message)));
    return undefined;
  } finally {
    clearTimeout(slow);
    node?.close();
  }
}

// ---- Doing -----------------------------------------------------------------------

const passes = (error) => error.status === 429 || error.status === 503;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function patiently(run, signal) {
  for (let i = 1; ; ++i) {
    try {
      return await run();
    } catch (error) {
      if (!passes(error) || i === TRIES || signal.aborted) throw error;
      await pause(error.retryAfterMs ?? 250 * 2 ** i);
    }
  }
}

// Calls run(item) for each, a few at once, until `signal` ends it: what is running then is
// awaited, and told. Returns how many were begun.
export async function runEach(items, run, { signal, told, atOnce = AT_ONCE }) {
  let next = 0;
  async function lane() {
    while (next < items.length && !signal.aborted) {
      const item = items[next++];
      let error;
      try {
        await patiently(() => run(item), signal);
      } catch (failed) {
        error = failed;
      }
      told(item, error);
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, lane));
  return next;
}

function failureList(failures) {
  if (failures.length === 0) return null;
  return h("section", { class: "failures" },
    h("div", { class: "bar-row" }, h("h3", null, `${count(failures.length)} failed`),
      copyButton(failures.map(({ id, message }) => `${id}\t${message}\n`).join(""), "Copy the list")),
    h("ul", { class: "plain", tabindex: 0, "aria-label": "What failed" },
      failures.slice(0, FAILURES_SHOWN).map(({ id, message }) =>
        h("li", null, orchestrationLink(id), h("p", null, message)))),
    failures.length > FAILURES_SHOWN
      ? h("p", { class: "quiet" }, `and ${count(failures.length - FAILURES_SHOWN)} more`) : null);
}

// looked: {matched, token}; body: of each request.
function runInDialog(name, looked, body, done) {
  const verb = BATCH_VERBS[name], total = looked.matched;
  const stop = new AbortController();
  const bar = h("progress", { max: total, value: 0, "aria-label": "Progress" });
  const soFar = h("p", { class: "so-far" });
  const end = h("p", { role: "status" });
  const list = h("div");
  const buttons = h("p", { class: "buttons" },
    h("button", { type: "button", onclick: () => stopNow() }, "Stop"));
  const node = dialog(`${verb.title ?? verb.name} ${many(total)}`,
    h("div", null, bar, soFar, end, list, buttons), () => !ended);
  // While it runs, the Esc key stops it, and the dialog stays to say how far it came.
  node.addEventListener("cancel", (event) => {
    if (ended) return;
    event.preventDefault();
    stopNow();
  });
  node.addEventListener("close", () => stop.abort());
  buttons.querySelector("button").focus();
  const failures = [];
  let worked = 0, token = looked.token, stopping = false, ended = false;
  tellProgress();
  go();
  return node;

  function tellProgress() {
    const finished = worked + failures.length;
    bar.value = finished;
    fill(soFar, `${count(finished)} of ${count(total)} done` +
      (failures.length ? `, ${count(failures.length)} failed` : ""));
  }

  // The server ends it, and says how far it came.
  async function stopNow() {
    stopping = true;
    const button = buttons.querySelector("button");
    button.disabled = true;
    fill(button, "Stopping…");
    try {
      await post(BATCH, { token, stop: true });
    } catch {
      // It has just ended, or will not be reached: the stream says which.
    }
  }

  // The last line; undefined: there was none.
  async function once(before) {
    let last;
    await postLines(BATCH, { token, request: body }, (told) => {
      if (told.instance_id !== undefined) failures.push({ id: told.instance_id, message: told.message });
      else worked = before + told.done;
      if (told.finished) last = told;
      tellProgress();
    }, stop.signal);
    return last;
  }

  async function go() {
    let last, why;
    try {
      // The server ends what takes long, so that it is asked again, by somebody whom it knows.
      do {
        token = last?.rest.token ?? token;
        last = await once(worked);
      } while (last?.more && !stopping);
      if (!last) why = "Stopped: the server has ended it";
    } catch (error) {
      last = undefined;
      why = `Stopped: ${error.message}`;
      if (isGone(error)) return done();
    }
    why ??= stopping ? "Stopped, as you asked" : `Stopped: ${last.why}`;
    tellEnd(last, why);
    done();
  }

  function tellEnd(last, why) {
    ended = true;
    const left = last?.left ?? total - worked - failures.length;
    fill(end, `${left ? `${why}. ` : ""}${last ? "" : "At least "}${count(worked)} of ${many(total)} ` +
      `${worked === 1 || total === 1 ? "was" : "were"} ${verb.did}` +
      (failures.length ? `, ${count(failures.length)} failed` : "") +
      (left && last ? `, and ${count(left)} ${left === 1 ? "was" : "were"} left as ` +
        `${left === 1 ? "it was" : "they were"}` : "") + ".");
    fill(soFar);
    fill(list, failureList(failures));
    fill(buttons, h("button", { type: "button", class: "primary", onclick: () => node.close() }, "Close"),
      last?.rest ? h("button", { type: "button", onclick: () => {
        node.close();
        runInDialog(name, last.rest, body, done);
      } }, `Try again with ${count(last.rest.matched)}`) : null);
    if (node.isConnected) buttons.querySelector("button").focus();
  }
}
