// One verb for many orchestrations: what is selected, what the dialog says, what is done, and
// what a shell does with the command line.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, test } from "node:test";
import { accessible, PHONE, seen, tappable, visit } from "./browser.mjs";
import { fixture, orchestration, pretty, Writer } from "./fixture.mjs";
import { MockServer } from "./mock_server.mjs";

const { batchCommand, fitting, runEach, BATCH_VERBS } =
  await import("../../service/http/ui/batch.js");

let server;
beforeEach(async () => { server = await new MockServer(fixture()).start(); });
afterEach(() => server.stop());

const LIST = "/ui/orchestrations?name=Batch";
const REFUSED = /404|409|50\d|ERR_/;
const dialogOf = (page) => page.getByRole("dialog");
const commandOf = (page) => dialogOf(page).getByLabel("Command line").textContent();
const confirm = (page) => dialogOf(page).locator("button[type=submit]").click();
const button = (page, name) => page.getByRole("button", { name, exact: true });
const posted = () => server.posts.splice(0).map(({ path }) => path.slice("orchestrations/".length)).sort();
const put = (id, more) => server.data.orchestrations.set(id,
  pretty(orchestration(id, more), new Writer().add("execution_started", { name: "ProcessOrder" })));

test("rows are selected by hand, and the dialog says what will be done to which", async () => {
  await visit(server.url, LIST, async (page) => {
    await page.getByLabel("Select batch-0003").check();
    await page.getByLabel("Select batch-0001").check();
    await seen(page, "2 selected");
    await button(page, "Purge…").click();
    const dialog = dialogOf(page);
    await dialog.getByRole("heading", { name: "Purge 2 orchestrations" }).waitFor();
    await dialog.getByText("This cannot be undone").waitFor();
    assert.deepEqual(await dialog.locator(".first-ids li").allTextContents(), ["batch-0001", "batch-0003"]);
    assert.equal(await commandOf(page),
      'for id in batch-0001 batch-0003; do\n  leasehold orchestration purge -- "$id"\ndone');
    await accessible(page);
    assert.equal(server.posts.length, 0, "nothing is done before it is confirmed");
    await button(page, "Purge 2").click();
    await seen(page, "2 of 2 orchestrations were purged.");
    await accessible(page);
    assert.deepEqual(posted(), ["batch-0001:purge", "batch-0003:purge"]);
    await button(page, "Close").click();
    await page.getByLabel("Select batch-0003").waitFor({ state: "detached" });
    await page.locator('table[aria-rowcount="101"]').waitFor();
    assert.equal(await page.locator("input[data-select]:checked").count(), 0);
  });
});

test("those that a verb does not fit are left as they are, and that is said", async () => {
  await visit(server.url, "/ui/orchestrations?prefix=order", async (page) => {
    await page.getByLabel("All 2 shown").check();
    await button(page, "Suspend…").click();
    await dialogOf(page).getByText("1 other that is selected will be left as it is: only those that are " +
      "pending or running can be suspended.").waitFor();
    await dialogOf(page).getByLabel("Reason").fill("it's late");
    assert.equal(await commandOf(page), `leasehold orchestration suspend '--reason=it'\\''s late' order-1`);
    await confirm(page);
    await seen(page, "1 of 1 orchestration was told to pause.");
    assert.deepEqual(server.posts.splice(0),
      [{ path: "orchestrations/order-1:suspend", body: { reason: "it's late" } }]);
    await button(page, "Close").click();
    await page.getByRole("row", { name: /order-1 .*suspended/i }).waitFor();
    await page.getByLabel("Select order-1:ship").check();
    await button(page, "Resume…").click();
    await seen(page, "Nothing that is selected can be resumed: only those that are suspended can be resumed.");
    await button(page, "Close").click();
    assert.equal(server.posts.length, 0);
  });
});

test("all that match the filter, shown or not", async () => {
  for (let i = 0; i < 230; ++i) put(`job-${String(i).padStart(3, "0")}`, {});
  put("job-done", { status: "COMPLETED" });
  await visit(server.url, "/ui/orchestrations?prefix=job-&from=2020-01-01T00%3A00%3A00.000Z", async (page) => {
    await page.getByLabel("All 100 shown").waitFor();
    await button(page, "Select all that match").click();
    await button(page, "Terminate…").click();
    const dialog = dialogOf(page);
    await dialog.getByRole("heading", { name: "Terminate 230 orchestrations" }).waitFor();
    assert.deepEqual(await dialog.locator(".facts dt").allTextContents(), ["ID begins with", "Created from"]);
    assert.equal(await dialog.locator(".first-ids li").count(), 10);
    await dialog.getByText("and 220 more").waitFor();
    await dialog.getByText("their sub-orchestrations go on").waitFor();
    await dialog.getByLabel("Their sub-orchestrations, too").check();
    await dialog.getByText("their sub-orchestrations end, too").waitFor();
    assert.equal(await commandOf(page), "leasehold orchestration list --output=json " +
      "--status=pending,running,suspended --id-prefix=job- --created-from=2020-01-01T00:00:00.000Z |\n" +
      `  jq -j '.instance_id + "\\u0000"' |\n` +
      "  xargs -0 -r -n1 -P4 leasehold orchestration terminate --recursive --");
    await confirm(page);
    await seen(page, "230 of 230 orchestrations were told to end.");
    assert.equal(server.posts.length, 230);
    assert.deepEqual(server.posts[0].body, { recursive: true });
    assert.ok(server.posts.every(({ path }) => /:terminate$/.test(path) && !path.includes("job-done")));
  });
});

test("a purge of all that match is one command, and as many as four run at once", async () => {
  let running = 0, most = 0;
  const verb = server.verb;
  server.verb = async (...of) => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 5));
    running -= 1;
    return verb.apply(server, of);
  };
  await visit(server.url, "/ui/orchestrations?prefix=batch-00", async (page) => {
    await page.getByLabel("All 100 shown").check();
    await button(page, "Select all that match").click();
    await button(page, "Purge…").click();
    await dialogOf(page).getByRole("heading", { name: "Purge 100" }).waitFor();
    assert.equal(await commandOf(page), "leasehold orchestration purge --id-prefix=batch-00");
    await confirm(page);
    await seen(page, "100 of 100 orchestrations were purged.");
    assert.equal(most, 4);
    await button(page, "Close").click();
    await seen(page, "No orchestration matches.");
  });
});

test("what failed is listed with its reason, and can be tried again", async () => {
  const verb = server.verb;
  let broken = true;
  server.verb = (kind, target, body) => (broken && /0002|0005/.test(target)
    ? [409, { code: "FAILED_PRECONDITION", message: `${target.slice(0, 10)} is held by a test` }]
    : verb.call(server, kind, target, body));
  await visit(server.url, "/ui/orchestrations?prefix=batch-000", { expected: REFUSED }, async (page) => {
    await page.getByLabel("All 10 shown").check();
    await button(page, "Purge…").click();
    await confirm(page);
    await seen(page, "8 of 10 orchestrations were purged, 2 failed.");
    const failed = await dialogOf(page).getByLabel("What failed").locator("li").allTextContents();
    assert.deepEqual(failed.sort(), ["batch-0002batch-0002 is held by a test", "batch-0005batch-0005 is held by a test"]);
    await accessible(page);
    broken = false;
    server.posts.length = 0;
    await button(page, "Try again with 2").click();
    await seen(page, "2 of 2 orchestrations were purged.");
    assert.deepEqual(posted(), ["batch-0002:purge", "batch-0005:purge"]);
  });
});

test("a link of what failed is followed, and the dialog does not stay in its way", async () => {
  server.verb = () => [409, { code: "FAILED_PRECONDITION", message: "held by a test" }];
  await visit(server.url, "/ui/orchestrations?prefix=batch-000", { expected: REFUSED }, async (page) => {
    await page.getByLabel("Select batch-0004").check();
    await button(page, "Purge…").click();
    await confirm(page);
    await dialogOf(page).getByRole("link", { name: "batch-0004" }).click();
    await page.getByRole("heading", { name: "Orchestration batch-0004" }).waitFor();
    assert.equal(await dialogOf(page).count(), 0);
  });
});

test("it can be stopped: by its button, and by the keyboard", async () => {
  const verb = server.verb;
  for (const stop of [(page) => button(page, "Stop").click(), (page) => page.keyboard.press("Escape")]) {
    let open, left = 6;
    const gate = new Promise((resolve) => { open = resolve; });
    server.verb = async (...of) => {
      if (left-- <= 0) await gate;
      return verb.apply(server, of);
    };
    await visit(server.url, LIST, async (page) => {
      await button(page, "Select all that match").click();
      await button(page, "Purge…").click();
      const total = Number(/\d+/.exec(await dialogOf(page).getByRole("heading").textContent())[0]);
      await confirm(page);
      await seen(page, `6 of ${total} done`);
      await accessible(page);
      await stop(page);
      await button(page, "Stopping…").waitFor();
      open();
      await seen(page, `Stopped, as you asked. 10 of ${total} orchestrations were purged, and ${total - 10} ` +
        "were left as they were.");
      await button(page, `Try again with ${total - 10}`).waitFor();
      assert.equal(posted().length, 10);
      await page.keyboard.press("Escape");
      await dialogOf(page).waitFor({ state: "detached" });
    });
  }
});

test("the server is asked what matches before anything is done, and once more if it takes long", async () => {
  const runBatch = server.runBatch, asked = [];
  // The first run has time for one of them.
  server.runBatch = async (response, token, batch, body) => {
    asked.push(batch.ids.length);
    if (asked.length > 1) return runBatch.call(server, response, token, batch, body);
    const rest = batch.ids.slice(1);
    await server.verb("orchestrations", `${batch.ids[0]}:${batch.verb}`, body);
    response.writeHead(200, { "Content-Type": "application/x-ndjson" });
    response.write(`{"done":1,"failed":0}\n{"finished":true,"done":1,"failed":0,"left":${rest.length},"more":true,`);
    response.end(`"why":"time","rest":${JSON.stringify({ matched: rest.length,
      token: server.keep({ verb: batch.verb, ids: rest }) })}}\n`);
  };
  await visit(server.url, "/ui/orchestrations?prefix=batch-000", async (page) => {
    await page.getByLabel("All 10 shown").waitFor();
    await button(page, "Select all that match").click();
    await button(page, "Purge…").click();
    await dialogOf(page).getByRole("heading", { name: "Purge 10" }).waitFor();
    assert.deepEqual([server.tokens.size, asked], [1, []]);
    await confirm(page);
    await seen(page, "10 of 10 orchestrations were purged.");
    assert.deepEqual(asked, [10, 9]);
  });
});

test("an event for many, and many started again", async () => {
  await visit(server.url, "/ui/orchestrations?prefix=order-1", async (page) => {
    await page.getByLabel("Select order-1", { exact: true }).check();
    await button(page, "Raise event…").click();
    await dialogOf(page).getByRole("heading", { name: "Raise an event for 1 orchestration" }).waitFor();
    await dialogOf(page).getByLabel("Event name").fill("go on");
    await dialogOf(page).getByLabel("Input (JSON)").fill("[1]");
    assert.equal(await commandOf(page), "leasehold orchestration raise-event '--input=[1]' order-1 'go on'");
    await confirm(page);
    await seen(page, "1 of 1 orchestration was sent the event.");
    assert.deepEqual(server.posts.splice(0),
      [{ path: "orchestrations/order-1:raise-event", body: { name: "go on", input: "[1]" } }]);
    await button(page, "Close").click();
    await page.getByLabel("Select order-1:ship").check();
    await button(page, "Restart…").click();
    assert.equal(await commandOf(page), "leasehold orchestration restart order-1:ship");
    await confirm(page);
    await seen(page, "1 of 1 orchestration was started again.");
    assert.deepEqual(posted(), ["order-1:ship:restart"]);
  });
});

test("a server that goes away ends it at once", async () => {
  const verb = server.verb;
  let n = 0;
  server.verb = (...of) => {
    if (++n === 20) server.server.closeAllConnections(), server.server.close();
    return verb.apply(server, of);
  };
  await visit(server.url, LIST, { expected: REFUSED }, async (page) => {
    await button(page, "Select all that match").click();
    await button(page, "Purge…").click();
    await confirm(page);
    await seen(page, "Stopped: the dashboard cannot reach the server.");
    const end = await dialogOf(page).getByRole("status").textContent();
    const [, worked, total] = /At least (\d+) of (\d+) orchestrations/.exec(end);
    assert.ok(Number(worked) < 20 && Number(total) === 240, end);
    await button(page, "Close").click();
  });
});

test("by keyboard: x selects a row, the dialog says first what it will do", async () => {
  await visit(server.url, LIST, async (page) => {
    await seen(page, "batch-0001");
    for (const key of ["j", "x", "j", "j", "x", "x", "k", "x"]) await page.keyboard.press(key);
    await seen(page, "2 selected");
    assert.deepEqual(await page.locator("input[data-select]:checked").evaluateAll((all) =>
      all.map((box) => box.dataset.select)), ["batch-0000", "batch-0001"]);
    await page.getByLabel("Select batch-0009").click({ modifiers: ["Shift"] });
    await seen(page, "10 selected");
    await button(page, "Purge…").focus();
    await page.keyboard.press("Enter");
    await dialogOf(page).getByRole("heading", { name: "Purge 10" }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.tagName), "H2");
    await page.keyboard.press("Escape");
    await dialogOf(page).waitFor({ state: "detached" });
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Purge…");
    assert.equal(server.posts.length, 0);
    await button(page, "Select none").click();
    assert.equal(await page.locator("input[data-select]:checked").count(), 0);
  });
});

test("what is selected stays so while rows change, and not when the filter does", async () => {
  await visit(server.url, "/ui/orchestrations?name=Batch&prefix=batch-000", async (page) => {
    const box = page.getByLabel("Select batch-0004");
    await box.check();
    server.data.orchestrations.get("batch-0004").state.status = "FAILED";
    await page.getByRole("row", { name: /batch-0004 .*failed/i }).waitFor();
    assert.equal(await box.isChecked(), true);
    assert.equal(await page.evaluate(() => document.activeElement.dataset.select), "batch-0004");
    await page.getByLabel("ID begins with").fill("batch-00");
    await page.getByLabel("ID begins with").press("Enter");
    await page.locator('table[aria-rowcount="101"]').waitFor();
    assert.equal(await box.isChecked(), false);
    await button(page, "Select all that match").click();
    await page.getByLabel("Select batch-0000").uncheck();
    await seen(page, "99 selected");
  });
});

test("on a phone, dark: rows are selected, and everything of the dialog can be reached", async () => {
  await visit(server.url, LIST, { viewport: PHONE, colorScheme: "dark" }, async (page) => {
    await page.getByLabel("Select batch-0000").check();
    await accessible(page);
    await tappable(page);
    await button(page, "Purge…").click();
    await accessible(page);
    await tappable(page);
    await confirm(page);
    await seen(page, "1 of 1 orchestration was purged.");
    await tappable(page);
  });
});

// ---- Without a browser -------------------------------------------------------------

test("a verb fits what the filter asks for, or nothing", () => {
  assert.deepEqual(fitting(BATCH_VERBS.purge, ""), ["COMPLETED", "FAILED", "TERMINATED"]);
  assert.deepEqual(fitting(BATCH_VERBS.purge, "RUNNING,FAILED"), ["FAILED"]);
  assert.deepEqual(fitting(BATCH_VERBS.resume, "RUNNING"), []);
});

test("requests that the server puts off are made again; others are not", async () => {
  const tries = new Map(), failed = [];
  const run = async (item) => {
    const n = (tries.get(item) ?? 0) + 1;
    tries.set(item, n);
    if (item === "busy" && n < 3) throw Object.assign(new Error("later"), { status: 429, retryAfterMs: 1 });
    if (item === "wrong") throw Object.assign(new Error("no"), { status: 409 });
  };
  const begun = await runEach(["a", "busy", "wrong"], run, { signal: new AbortController().signal,
    told: (item, error) => { if (error) failed.push(item); } });
  assert.deepEqual([begun, [...tries], failed], [3, [["a", 1], ["busy", 3], ["wrong", 1]], ["wrong"]]);
});

// What a shell calls: the words of each call of `leasehold` that changes something.
function calls(command, list) {
  const folder = mkdtempSync(`${tmpdir()}/leasehold-batch-`);
  try {
    writeFileSync(`${folder}/list`, list.map((o) => `${JSON.stringify(o)}\n`).join(""));
    writeFileSync(`${folder}/leasehold`, '#!/bin/bash\nhere=${0%/*}\n' +
      'if [[ $2 == list ]]; then cat "$here/list"; printf "%s\\n" "${*:2}" >"$here/listed"; exit; fi\n' +
      'printf "%s|" "$@" >>"$here/called.$$"; echo >>"$here/called.$$"\n', { mode: 0o755 });
    execFileSync("bash", ["-c", `set -o pipefail; ${command}; cat ${folder}/called.* >${folder}/all || true`],
      { env: { PATH: `${folder}:/usr/bin:/bin`, LC_ALL: "C.UTF-8" }, stdio: ["ignore", "pipe", "ignore"] });
    return readFileSync(`${folder}/all`, "utf8").split("\n").filter(Boolean).sort();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("the command lines do in a shell what the dialog does", () => {
  const odd = ["-x", "a b", "it's", "$(id)`id`", 'q"q\\', "ü€"];
  assert.deepEqual(calls(batchCommand("suspend", { ids: odd }, { reason: "no; $x" }), []),
    odd.map((id) => `orchestration|suspend|--reason=no; $x|--|${id}|`).sort());
  const list = [...odd.map((id) => ({ instance_id: id, name: "It's $n", tags: { team: "a=b" } })),
    { instance_id: "other", name: "Else", tags: { team: "a=b" } }, { instance_id: "none", name: "It's $n" }];
  const done = (id) => `orchestration|resume|--|${id}|`;
  const resume = (filter) => calls(batchCommand("resume", { filter }, {}), list);
  assert.deepEqual(resume({ prefix: "x" }), [...odd, "other", "none"].map(done).sort());
  assert.deepEqual(resume({ name: "It's $n" }), [...odd, "none"].map(done).sort());
  assert.deepEqual(resume({ name: "It's $n", tag: "team=a=b" }), odd.map(done).sort());
  assert.deepEqual(resume({ tag: "team" }), [...odd, "other"].map(done).sort());
  assert.deepEqual(resume({ tag: "team=red" }), []);
  assert.deepEqual(batchCommand("purge", { filter: {} }, { recursive: true }),
    "leasehold orchestration purge --all --recursive");
  assert.deepEqual(batchCommand("purge", { filter: { status: "RUNNING,FAILED", to: "2024-10-04T17:46:40.000Z" } }, {}),
    "leasehold orchestration purge --status=failed --created-to=2024-10-04T17:46:40.000Z");
  const send = { event: "go on", input: "1" };
  assert.deepEqual(calls(batchCommand("raise-event", { ids: odd }, send), []),
    odd.map((id) => `orchestration|raise-event|--input=1|--|${id}|go on|`).sort());
  assert.deepEqual(calls(batchCommand("raise-event", { filter: { prefix: "x" } }, send), list),
    [...odd, "other", "none"].map((id) => `orchestration|raise-event|--input=1|--|${id}|go on|`).sort());
  assert.match(batchCommand("purge", { filter: { name: "Batch" } }, {}),
    /list --output=json --status=completed,failed,terminated \|\n {2}jq .* purge --$/s);
});
