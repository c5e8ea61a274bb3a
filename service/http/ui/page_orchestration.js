// One orchestration: what it is and what can be done to it first, then its history.

import { get, request, save, segment } from "./api.js";
import { runEach } from "./batch.js";
import { ask } from "./dialogs.js";
import { plural, time } from "./format.js";
import { fill, h } from "./h.js";
import { History } from "./history.js";
import { eventDetails, kindWords, rowDetails } from "./event_details.js";
import { explain } from "./explain.js";
import {
  contextLink, copyButton, facts, failure, loading, orchestrationLink, payload, problem, status,
  tagLink,
} from "./parts.js";
import { stripSection } from "./strip.js";
import { Table } from "./table.js";
import { Timeline } from "./timeline.js";
import { hasEnded, orchestrationVerbs, start, words } from "./verbs.js";

const PAGE = 1000;
const CHILD_EVENTS_MAX = 5000;

export function orchestrationPage(page, { id }) {
  const at = `orchestrations/${segment(id)}`;
  const head = h("div", null, loading());
  const why = h("div");
  const strip = stripSection(page, `${at}/strip`);
  const picture = new Timeline({ pick, child: loadChild });
  const progress = h("p", { class: "quiet", role: "status" });
  const trouble = h("div");
  const side = h("div", { class: "side" });
  const search = h("input", { type: "search", placeholder: "Search in the history",
    "aria-label": "Search in the history", oninput: () => draw(true) });
  const failedOnly = h("input", { type: "checkbox", onchange: () => draw(true) });
  const events = new Table({
    label: "Events", key: (event) => event.sequence, heights: { wide: 44, phone: 116 },
    empty: "No event matches.",
    columns: [
      { label: "#", number: true, width: "5rem", cell: (e) => e.sequence },
      { label: "Event", main: true, cell: (e) => h("button", { type: "button", class: "linklike",
        onclick: () => pickEvent(e) }, kindWords(e.kind)) },
      { label: "Name", cell: (e) => e.name ?? e.operation ?? e.reason ?? "" },
      { label: "Time", width: "15rem", line: true, cell: (e) => time(e.time, { fine: true }) },
    ],
  });
  events.node.hidden = true;
  // after: where the part of the history that is not here yet begins.
  let history = new History(), after, orchestration, loadingHistory, again = false, execution;
  let wanted = page.query.get("event"), lastDraw = 0;

  const views = h("div", { class: "switch", role: "group", "aria-label": "How to show the history" },
    viewButton("Picture", true), viewButton("Events", false));
  page.show(
    page.heading("Orchestration", id, copyButton(id, "Copy ID")), head, why, strip.node,
    h("section", { class: "history", "aria-labelledby": "history-title" },
      h("div", { class: "bar-row" }, h("h2", { id: "history-title" }, "History"), views, search,
        h("label", { class: "check" }, failedOnly, "Failed only"),
        h("button", { type: "button", onclick: askToSave }, "Save as JSON…")),
      progress, trouble,
      h("div", { class: "with-side" }, h("div", { class: "grow" }, picture.node, events.node), side)));
  page.onLeave(() => { picture.stop(); events.stop(); });
  page.rows = events;

  load();
  page.live([`orchestration:${id}`, `strip:${id}`], {
    strip: strip.changed,
    orchestration: (data) => {
      if (data.gone) {
        if (orchestration) gone();
        return;
      }
      update(data.orchestration);
      loadHistory();
    },
  });
  page.every(1000, () => {
    if (orchestration && !hasEnded(orchestration.status) && !picture.node.hidden) draw();
  });
  page.every(5000, () => {  // A worker may have come: nothing of it is in the history.
    if (orchestration && !hasEnded(orchestration.status)) explain(why, `${at}/explain`, page);
  });
  page.onEscape(() => (side.firstChild ? (closeSide(), true) : false));

  function viewButton(label, isPicture) {
    return h("button", { type: "button", "aria-pressed": String(isPicture), onclick: (event) => {
      picture.node.hidden = !isPicture;
      events.node.hidden = isPicture;
      for (const other of views.children)
        other.setAttribute("aria-pressed", String(other === event.currentTarget));
      draw(true);
    } }, label);
  }

  async function load() {
    try {
      const answer = await get(at, {}, page.signal);
      update(answer.orchestration);
      loadHistory();
    } catch (error) {
      fill(head, problem(error, load));
    }
  }

  function gone() {
    orchestration = undefined;
    fill(why);
    fill(head, h("section", { class: "problem", role: "status" },
      h("p", null, "It has been purged: there is no orchestration of this ID any more.")));
  }

  function update(state) {
    const before = orchestration;
    // The stream's summary leaves out payloads; what is known of them stays until the end.
    orchestration = { ...before, ...state };
    const ended = hasEnded(state.status) && before && !hasEnded(before.status);
    if (execution !== undefined && state.execution_id && state.execution_id !== execution) {
      orchestration = state;
      restartHistory();
    }
    execution = state.execution_id ?? execution;
    if (before && before.status !== state.status) page.say(`It is ${state.status.toLowerCase()}.`);
    if (ended && state.output === undefined)
      get(at, {}, page.signal).then((answer) => {
        orchestration = answer.orchestration;
        drawHead();
      }, () => {});
    drawHead();
    if (hasEnded(state.status)) fill(why);
    else explain(why, `${at}/explain`, page);
  }

  function drawHead() {
    const o = orchestration;
    const done = (said, to) => {
      page.say(said);
      if (to) page.navigate(to);
      else load();
    };
    fill(head,
      h("div", { class: "bar-row verbs" }, status(o.status),
        orchestrationVerbs(o).map((verb) => h("button", {
          type: "button", class: verb.danger ? "danger" : undefined, onclick: () => verb.run(done),
        }, verb.name)),
        h("button", { type: "button", onclick: () => start({
          name: o.name, instance_id: hasEnded(o.status) ? o.instance_id : "",
          input: typeof o.input === "string" ? o.input : "",
        }, (receipt) => done("Started.", `/ui/orchestrations/${encodeURIComponent(receipt.instance_id)}`)) },
        "Start again…")),
      o.status === "FAILED" || o.failure ? failure("Failed", o.failure ?? {}) : null,
      facts([
        ["Name", o.name], ["Version", o.version],
        ["Execution", h("span", null, h("code", null, o.execution_id), " ", copyButton(o.execution_id ?? ""))],
        ["Created", time(o.create_time)], ["Last turn", time(o.update_time)],
        ["Ended", o.end_time && time(o.end_time)],
        ["Parent", o.parent_instance_id && orchestrationLink(o.parent_instance_id)],
        ["Context", contextLink(o.instance_id)],
        ["Tags", Object.entries(o.tags ?? {}).map(([k, v]) => tagLink(k, v))],
      ].filter(([, v]) => !(Array.isArray(v) && v.length === 0))),
      h("h2", { class: "unseen" }, "Payloads"),
      h("div", { class: "payloads" },
        payload("Custom status", o.custom_status, { id, field: "custom_status" }),
        payload("Input", o.input, { id, field: "input" }),
        payload("Output", o.output, { id, field: "output" })));
  }

  // Fetches what is new; one at a time.
  async function loadHistory() {
    if (loadingHistory) {
      again = true;
      return;
    }
    loadingHistory = true;
    try {
      do {
        again = false;
        await fetchPages();
      } while (again);
      fill(trouble);
    } catch (error) {
      fill(trouble, problem(error, loadHistory));
    } finally {
      loadingHistory = false;
      draw(true);
    }
  }

  async function fetchPages() {
    for (;;) {
      const into = history;
      let answer;
      try {
        answer = await get(`${at}/history`, { after, limit: PAGE }, page.signal);
      } catch (error) {
        if (error.status !== 409 || after === undefined) throw error;
        restartHistory();  // That execution has been replaced.
        continue;
      }
      if (into !== history) continue;  // Another execution has begun.
      into.add(answer.events);
      after = answer.next_after;
      draw(!answer.more);
      if (!answer.more) return;
    }
  }

  function restartHistory() {
    history = new History();
    after = undefined;
  }

  function draw(now = false) {
    if (!now && performance.now() - lastDraw < 400) return;
    lastDraw = performance.now();
    const text = search.value.toLowerCase(), failed = failedOnly.checked;
    const match = text || failed ? (row) => (!failed || row.state === "failed") &&
      (!text || `${row.kind} ${row.name} ${row.detail ?? ""}`.toLowerCase().includes(text)) : undefined;
    if (!picture.node.hidden) picture.show(history, Date.now(), match);
    if (!events.node.hidden)
      events.setRows(match ? history.rows.filter(match).flatMap((row) => row.events) : history.events);
    fill(progress, `${plural(history.events.length, "event", "events")}${loadingHistory ? ", loading…" : ""}`);
    if (wanted) pickWanted();
  }

  function pickWanted() {
    const event = history.events.find((e) => e.sequence === wanted);
    if (!event) return;
    wanted = undefined;
    const row = history.rows.find((r) => r.events.includes(event));
    if (row) pick(row);
    else pickEvent(event);
  }

  function pick(row, error) {
    page.setQuery({ event: row.events[0].sequence });
    fill(side, rowDetails(id, row, closeSide));
    if (error) side.firstChild.append(problem(error));
    side.querySelector("h2").focus();
  }

  function pickEvent(event) {
    page.setQuery({ event: event.sequence });
    fill(side, h("aside", { class: "details", "aria-label": kindWords(event.kind) },
      h("header", null, h("h2", { tabindex: -1 }, "Event"), h("button", { type: "button",
        class: "close", "aria-label": "Close the details", onclick: closeSide }, "✕")),
      eventDetails(id, event)));
    side.querySelector("h2").focus();
  }

  function closeSide() {
    fill(side);
    page.setQuery({ event: undefined });
  }

  async function loadChild(child) {
    const inside = new History();
    let from, more;
    do {
      const answer = await get(`orchestrations/${segment(child)}/history`,
        { after: from, limit: PAGE }, page.signal);
      inside.add(answer.events);
      from = answer.next_after;
      more = answer.more;
    } while (more && inside.events.length < CHILD_EVENTS_MAX);
    return inside;
  }

  function askToSave() {
    const cut = cutPayloads(history.events).length;
    ask({
      title: "Save the history", confirm: "Save",
      says: `${plural(history.events.length, "event", "events")} as JSON. The command line writes ` +
        "them in the form that a test can replay.",
      fields: cut === 0 ? [] : [{ name: "whole", kind: "checkbox", value: true,
        label: `Whole payloads: ${plural(cut, "is", "are")} cut here` }],
      command: () => words("history", ["--export=history.jsonl"], id),
      run: async (v) => {
        if (loadingHistory) throw new Error("The history is still loading. Try again when it is here.");
        const events = structuredClone(history.events);
        if (v.whole) await fetchWhole(events);
        save(new Blob([JSON.stringify({ instance_id: id, events }, null, 1)],
          { type: "application/json" }), "history.json");
      },
    });
  }

  async function fetchWhole(events) {
    const stop = new AbortController();
    let failed;
    await runEach(cutPayloads(events), async ({ event, field }) => {
      const query = new URLSearchParams({ event: event.sequence, field });
      event[field] = await (await request(`${at}/payload?${query}`)).text();
    }, { signal: stop.signal, told: (_, error) => {
      failed ??= error;
      if (error) stop.abort();
    } });
    if (failed) throw failed;
  }
}

// Of which only the beginning is here.
function cutPayloads(events) {
  return events.flatMap((event) => ["input", "output"]
    .filter((field) => event[field]?.$truncated).map((field) => ({ event, field })));
}
