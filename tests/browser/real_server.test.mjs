// The dashboard that leasehold-server serves, over its own API. browser_test.py starts the
// server, and tells its URL, and the command line that talks to it:
//   LEASEHOLD_URL, LEASEHOLD_CLI, LEASEHOLD_ADDRESS

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { dirname } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { accessible, seen, visit } from "./browser.mjs";
import { fixture } from "./fixture.mjs";
import { MockServer } from "./mock_server.mjs";
import { firstEvent, shape } from "./shapes.mjs";

const { LEASEHOLD_URL: url, LEASEHOLD_CLI: cli, LEASEHOLD_ADDRESS: address } = process.env;
const leasehold = (...args) => promisify(execFile)(cli, [`--address=${address}`, ...args]);
const MISSING = /404/;  // What this server does not have to show.

const status = (page, word) => page.locator(".verbs .status", { hasText: word }).waitFor();

// Does a verb of the page's orchestration, with nothing filled in.
async function verb(page, name) {
  await page.locator(".verbs").getByRole("button", { name, exact: true }).click();
  await page.getByRole("dialog").locator("button[type=submit]").click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
}

const live = (page) => page.locator(".live.live").waitFor();

test("it is served with the headers that protect it, and asked for again", async () => {
  const page = await fetch(`${url}/ui/contexts/any`);
  assert.equal(page.status, 200);
  assert.match(page.headers.get("content-security-policy"), /require-trusted-types-for 'script'/);
  assert.equal(page.headers.get("x-content-type-options"), "nosniff");
  const script = await fetch(`${url}/ui/assets/app.js`);
  const etag = script.headers.get("etag");
  assert.equal(script.headers.get("cache-control"), "no-cache");
  assert.equal((await fetch(`${url}/ui/assets/app.js`, { headers: { "If-None-Match": etag } })).status, 304);
  const root = await fetch(`${url}/`, { redirect: "manual" });
  assert.deepEqual([root.status, root.headers.get("location")], [302, "/ui/"]);
  assert.equal((await fetch(`${url}/favicon.svg`)).headers.get("content-type"), "image/svg+xml");
});

test("a context appears, its lease runs down, and it leaves, without a reload", async () => {
  await visit(url, "/ui/contexts", { expected: MISSING }, async (page) => {
    await live(page);
    await leasehold("instances", "create", "brief", "--idle-timeout=2s");
    const row = page.getByRole("row", { name: /brief/ });
    await row.waitFor();
    await row.locator(".left").waitFor();
    await row.waitFor({ state: "detached" });
  });
});

test("a context is released from its page", async () => {
  await leasehold("instances", "create", "to release/1", "--idle-timeout=60s");
  await visit(url, "/ui/contexts/to%20release%2F1", { expected: MISSING }, async (page) => {
    await page.getByRole("button", { name: "Release…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Release" }).click();
    await seen(page, "There is no context of this ID");
  });
});

test("the strip of an ID fills while somebody looks", async () => {
  await leasehold("orchestration", "start", "NoSuch", "--id=one-strip");
  await visit(url, "/ui/contexts/one-strip", { expected: MISSING }, async (page) => {
    await seen(page, "Start: started");
    await seen(page, "No two contexts and no two runs of this ID overlap.");
    await seen(page, "when the server started");
    await live(page);
    await leasehold("orchestration", "start", "NoSuch", "--id=one-strip").then(
      () => assert.fail("it was started twice"), () => {});
    await seen(page, "Start: refused");
    await seen(page, "ALREADY_EXISTS");
    await accessible(page);
  });
});

test("an orchestration is started, seen, terminated, purged", async () => {
  await visit(url, "/ui/orchestrations", { expected: MISSING }, async (page) => {
    await page.getByRole("button", { name: "Start an orchestration…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name of the orchestrator").fill("NoSuch");
    await dialog.getByLabel("Instance ID").fill("by-hand");
    await dialog.getByLabel("Input").fill('{"n": 12345678901234567890}');
    await dialog.getByRole("button", { name: "Start", exact: true }).click();
    await page.waitForURL(/by-hand$/);
    await seen(page, "12345678901234567890");
    await status(page, "PENDING");
    await accessible(page);
    await verb(page, "Terminate");
    await status(page, "TERMINATED");
    await verb(page, "Purge");
    await page.waitForURL(/\/ui\/orchestrations$/);
    await leasehold("orchestration", "status", "by-hand").then(
      () => assert.fail("it is still there"), () => {});
  });
});

test("the mock server answers as the real one: figures, and batches", async () => {
  const mock = await new MockServer(fixture()).start();
  try {
    await leasehold("orchestration", "start", "Counter", "--id=shape-1");
    const json = async (base, path, body) => (await fetch(`${base}/api/v1/${path}`, body === undefined ? {} : {
      method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } })).json();
    const both = async (ask) => [await ask(url), await ask(mock.url)];
    const same = ([real, mocked], names) => assert.deepEqual(shape(mocked, names), shape(real, names));
    same(await both((base) => firstEvent(base, "stats", "stats")), ["orchestrations"]);
    same(await both((base) => json(base, "stats?window=10m")), ["orchestrations"]);
    // Nothing has failed yet: what is looked at is there in both.
    const looked = [await json(url, "orchestrations:batch", { verb: "suspend", filter: { prefix: "shape-" } }),
      await json(mock.url, "orchestrations:batch", { verb: "suspend", filter: { prefix: "order-1" } })];
    assert.deepEqual(looked.map(({ matched }) => matched), [1, 1]);
    for (const each of looked) each.token = "a token";
    same(looked);
    const lines = async (base, verb, ids) => {
      const { token } = await json(base, "orchestrations:batch", { verb, instance_ids: ids });
      const response = await fetch(`${base}/api/v1/orchestrations:batch`, { method: "POST",
        body: JSON.stringify({ token, request: {} }), headers: { "Content-Type": "application/json" } });
      const all = (await response.text()).split("\n").filter(Boolean).map((line) => JSON.parse(line));
      const last = all.at(-1);
      if (last.rest) last.rest.token = "a token";
      return [response.headers.get("Content-Type"), last, all.find((line) => line.instance_id)];
    };
    same(await both((base) => lines(base, "suspend", [base === url ? "shape-1" : "order-1"])));
    same(await both((base) => lines(base, "suspend", ["there is none"])));
  } finally {
    await mock.stop();
  }
});

test("many orchestrations are terminated at once, and purged by the command line that the dialog shows", async () => {
  for (let i = 0; i < 12; ++i)
    await leasehold("orchestration", "start", "Counter", `--id=many ${i}`, "--tag=team=blue");
  await leasehold("orchestration", "start", "NoSuch", "--id=alone");
  await visit(url, "/ui/orchestrations?prefix=many&tag=team%3Dblue", { expected: MISSING }, async (page) => {
    await page.getByRole("button", { name: "Select all that match" }).click();
    await page.getByRole("button", { name: "Suspend…" }).click();
    const dialog = page.getByRole("dialog");
    const line = () => dialog.getByLabel("Command line").textContent();
    const shell = (command) => promisify(execFile)("bash", ["-c", `set -o pipefail; ${command}`], { env: {
      PATH: `${dirname(cli)}:/usr/bin:/bin`, LEASEHOLD_ADDRESS: address } });
    const left = async (status) => (await leasehold("orchestration", "list", "--id-prefix=many",
      `--status=${status}`, "--output=json")).stdout.split("\n").filter(Boolean).length;
    const until = async (status, n) => {
      for (let i = 0; i < 100 && await left(status) !== n; ++i) await new Promise((r) => setTimeout(r, 100));
      assert.equal(await left(status), n, status);
    };
    await until("running", 12);
    await shell(await line());
    await until("suspended", 12);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Terminate…" }).click();
    await dialog.getByRole("button", { name: "Terminate 12" }).click();
    await seen(page, "12 of 12 orchestrations were told to end.");
    await until("terminated", 12);
    await page.keyboard.press("Escape");
    await page.getByLabel("Tag").fill("");
    await page.getByLabel("Tag").press("Enter");
    await page.getByRole("button", { name: "Select all that match" }).click();
    await page.getByRole("button", { name: "Purge…" }).click();
    assert.equal(await line(), "leasehold orchestration purge --id-prefix=many");
    await shell(await line());
    assert.equal(await left("terminated"), 0);
    await dialog.getByRole("button", { name: "Purge 12" }).click();
    await seen(page, "0 of 12 orchestrations were purged, 12 failed.");
    await seen(page, "there is no orchestration");
  });
  await leasehold("orchestration", "status", "alone");
});

test("orchestrations of the built-in worker: history, children, custom status, live", async () => {
  await leasehold("orchestration", "start", "FanOutEcho", "--id=fan-1", '--input=["a","b"]', "--wait");
  await visit(url, "/ui/orchestrations/fan-1", { expected: MISSING }, async (page) => {
    await status(page, "COMPLETED");
    await page.getByRole("button", { name: /Child EchoSequence ?, done/ }).first().waitFor();
    await page.getByRole("button", { name: /Show the history/ }).first().click();
    await page.getByRole("button", { name: /Activity Echo ?, done/ }).first().waitFor();
    await accessible(page);
  });
  await leasehold("orchestration", "start", "Counter", "--id=count-1");
  await visit(url, "/ui/orchestrations/count-1", { expected: MISSING }, async (page) => {
    await live(page);
    await leasehold("orchestration", "raise-event", "count-1", "operation", '--input={"add":41}');
    await page.getByLabel("Custom status").filter({ hasText: "41" }).waitFor();
    await page.getByRole("button", { name: /Event operation/ }).first().waitFor();
    await verb(page, "Suspend");
    await status(page, "SUSPENDED");
    await verb(page, "Resume");
    await status(page, "RUNNING");
    await leasehold("orchestration", "raise-event", "count-1", "operation", '--input="end"');
    await status(page, "COMPLETED");
    await page.getByRole("button", { name: "Purge" }).waitFor();
  });
});
