// What needs no browser: how a history becomes rows, and how texts are written.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fanOut, METRICS, orderHistory, UNSEEN, UNSEEN_SHOWN, Writer } from "./fixture.mjs";

const ui = (name) => import(`../../service/http/ui/${name}.js`);
const { coarse, density, FOLD, History, layout, ticks } = await ui("history");
const { bytes, duration, prettyJson, shellWord } = await ui("format");
const { shown } = await ui("h");
const { EventReader } = await ui("live");
const { segment } = await ui("api");
const { samples, serverFacts } = await ui("metrics");

function rowsOf(writer) {
  const history = new History();
  history.add(writer.events);
  return history;
}
const closed = { opened: new Set(), inside: () => undefined };

test("activities, timers, children, events: a row each, with its times", () => {
  const { rows, self } = rowsOf(orderHistory());
  assert.deepEqual(rows.filter((r) => !r.hidden).map((r) => `${r.kind} ${r.name} ${r.state}`), [
    "Orchestration ProcessOrder pending", "Activity Reserve done", "Activity Charge done",
    "Child Ship done", "Event Approved point", "Activity Notify pending"]);
  const reserve = rows.find((r) => r.name === "Reserve");
  assert.equal(reserve.end - reserve.begin, 615);
  assert.deepEqual(self.parts.slice(0, 2).map((p) => p.what), ["wait", "run"]);
});

test("a retry is one row: attempts, and the wait between them", () => {
  const charge = rowsOf(orderHistory()).rows.find((r) => r.name === "Charge");
  assert.equal(charge.attempts, 2);
  assert.deepEqual(charge.parts.map((p) => p.what), ["bad", "wait", "run"]);
  assert.deepEqual(charge.events.map((e) => e.kind), ["activity_scheduled", "activity_failed",
    "timer_created", "timer_fired", "activity_scheduled", "activity_completed"]);
});

test("a retry under the same event ID is one row, too", () => {
  const w = new Writer().add("execution_started", { name: "A" });
  const plan = (at) => w.after(at).add("activity_scheduled", { event_id: 4, name: "X" });
  plan(1);
  w.after(10).add("activity_failed", { scheduled_id: 4, failure: {} });
  plan(10);
  w.after(10).add("activity_completed", { scheduled_id: 4 });
  const [, row, ...more] = rowsOf(w).rows;
  assert.deepEqual([row.attempts, row.state, more.length], [2, "done", 0]);
});

test("the same work after a failure without a pause is other work", () => {
  const w = new Writer().add("execution_started", { name: "A" });
  const one = w.schedule("activity_scheduled", { name: "X" });
  w.after(10).add("activity_failed", { scheduled_id: one, failure: {} });
  w.schedule("activity_scheduled", { name: "X" });
  assert.deepEqual(rowsOf(w).rows.map((r) => r.attempts), [undefined, 1, 1]);
});

test("entities: calls by their request, locks from their wait to the last unlock", () => {
  const w = new Writer().add("execution_started", { name: "A" });
  w.schedule("entity_called", { instance_id: "@c@a", operation: "add", request_id: "r1" });
  w.after(5).add("entity_call_failed", { request_id: "r1", failure: { message: "no" } });
  w.schedule("entity_lock_requested", { instance_ids: ["@c@a", "@c@b"], section_id: "s" });
  w.after(5).add("entity_lock_granted", { section_id: "s" });
  w.after(5).add("entity_unlocked", { section_id: "s" });
  w.after(5).add("entity_unlocked", { section_id: "s" });
  const [, call, lock] = rowsOf(w).rows;
  assert.deepEqual([call.state, call.failure.message], ["failed", "no"]);
  assert.deepEqual(lock.parts.map((p) => [p.what, p.end - p.begin]), [["wait", 5], ["run", 10]]);
  assert.equal(lock.state, "done");
});

test("ends of what never began, and kinds nobody knows, change nothing", () => {
  const w = new Writer().add("activity_completed", { scheduled_id: 9 })
    .add("entity_lock_granted", { section_id: "?" }).add("turn_completed").add("from_the_future")
    .add("constructor").add("timer_fired", { scheduled_id: 3 });
  assert.deepEqual(rowsOf(w).rows, []);
});

test("more than 500 of one name are a band, which opens", () => {
  const history = rowsOf(fanOut(FOLD + 1));
  const items = layout(history, closed);
  assert.equal(items.length, 2);
  assert.equal(items[1].row.rows.length, FOLD + 1);
  assert.equal(layout(history, { ...closed, opened: new Set([items[1].row.key]) }).length, FOLD + 3);
  assert.equal(layout(rowsOf(fanOut(FOLD)), closed).length, FOLD + 1);
});

test("a band shows how many went on, and where some failed", () => {
  const rows = [{ begin: 0, end: 50, state: "done" }, { begin: 0, end: 99, state: "failed" }];
  const { counts, failed, most } = density(rows, 0, 100, 10);
  assert.deepEqual([...counts], [2, 2, 2, 2, 2, 2, 1, 1, 1, 1]);
  assert.deepEqual([most, [...failed].indexOf(1)], [2, 9]);
});

test("thousands of turns are drawn as at most a thousand parts", () => {
  const parts = Array.from({ length: 20000 }, (_, i) => ({ begin: i, end: i + 1, what: i % 2 ? "run" : "wait" }));
  const drawn = coarse(parts, 0, 20000);
  assert.ok(drawn.length <= 1001, `${drawn.length}`);
  assert.equal(drawn[drawn.length - 1].end, 20000);
});

test("an axis has round steps", () => {
  assert.deepEqual(ticks(6300, 7), [0, 1000, 2000, 3000, 4000, 5000, 6000]);
  assert.ok(ticks(4e11, 7).length <= 8);
});

test("JSON is laid out without a change: big numbers, doubled keys, escapes", () => {
  assert.equal(prettyJson('{"a":12345678901234567890,"a":[1,{}],"b":"x\\"{,:"}'),
    '{\n  "a": 12345678901234567890,\n  "a": [\n    1,\n    {}\n  ],\n  "b": "x\\"{,:"\n}');
  assert.equal(prettyJson("not { json"), "not { json");
  assert.equal(prettyJson("[]"), "[]");
});

test("words of a command line come back from a shell as they were", async () => {
  const { execFileSync } = await import("node:child_process");
  for (const word of ["plain", "two words", "it's", "$(id) `id` \\", 'a"b', UNSEEN, "ü\n\t€𝄞", "", "-x"]) {
    const said = execFileSync("bash", ["-c", `printf %s ${shellWord(word)}`],
      { env: { LC_ALL: "C.UTF-8" }, stdio: ["ignore", "pipe", "inherit"] }).toString();
    assert.equal(said, word);
    assert.equal(shown(shellWord(word)), shellWord(word), "nothing in it is hidden");
  }
});

test("what cannot be seen is shown", () => {
  assert.equal(shown(UNSEEN), UNSEEN_SHOWN);
  assert.equal(shown("a\ud800b\u{e0041}\u0000"), "a\\u{d800}b\\u{e0041}\\u{0}");
  assert.equal(shown("Grüße 日本 𝄞 é\n\t"), "Grüße 日本 𝄞 é\n\t");
});

test("durations and sizes have two units at most", () => {
  assert.deepEqual([0, 5, 950, 1500, 61000, 3723000, 90061000].map(duration),
    ["0 ms", "5.0 ms", "950 ms", "1.5 s", "1 min 1 s", "1 h 2 min", "1 d 1 h"]);
  assert.deepEqual([5, 4096, 3 << 20].map(bytes), ["5 bytes", "4.0 KiB", "3.0 MiB"]);
});

test("events are read however their bytes are cut", () => {
  const text = 'retry: 2000\n\n: comment\n\nid: 1\nevent: stats\ndata: {"ü":1}\n\nevent: a\r\ndata: x\r\ndata:y\r\n\r\n';
  const all = new TextEncoder().encode(text);
  for (let size = 1; size < all.length; ++size) {
    const got = [];
    const reader = new EventReader((event, data) => got.push([event, data]));
    for (let i = 0; i < all.length; i += size) reader.push(all.subarray(i, i + size));
    assert.deepEqual(got, [["stats", '{"ü":1}'], ["a", "x\ny"]]);
  }
});

test("an ID is one segment of a path", () => {
  assert.equal(segment("a/b c?#"), "a%2Fb%20c%3F%23");
  assert.throws(() => segment(".."), /browsers cannot ask/);
});

test("metrics are read with their labels and escapes, and what is nothing is not shown", () => {
  const found = samples(METRICS);
  assert.deepEqual(found.get("leasehold_connections"), [{ labels: { listener: "grpc" }, value: 3 },
    { labels: { listener: "http" }, value: 1 }]);
  assert.equal(found.get("leasehold_build_info")[0].labels.commit, 'a "b\\c\n');
  delete found.get("leasehold_build_info")[0].labels.commit;
  found.delete("leasehold_tls_certificate_expiry_timestamp_seconds");  // It needs a page.
  assert.deepEqual(Object.fromEntries(serverFacts(found).filter(([, value]) => value !== undefined)), {
    Store: "3.0 MiB: database 4.0 KiB, log 3.0 MiB", "Store can be written": "yes", Memory: "37.5 MiB",
    "CPU time": "1 min 1 s", "Open files": "35 of 20\u202f000", Connections: "grpc 3, http 1",
    "Connections refused": "grpc not_tls 2", "Refused by limits": "waits 1 time" });
  assert.deepEqual(serverFacts(samples("")).filter(([, value]) => value !== undefined), []);
});
