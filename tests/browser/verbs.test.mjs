// Each verb says what it will do and what its command line is, and does just that.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, PHONE, seen, tappable, visit } from "./browser.mjs";
import { fixture } from "./fixture.mjs";
import { MockServer } from "./mock_server.mjs";

let server;
before(async () => { server = await new MockServer(fixture()).start(); });
after(() => server.stop());

// [path, verb, what it says, fields, command line, what is sent, what is seen then]
const VERBS = [
  ["orchestrations/order-1", "Raise event", "queued", { "Event name": "Go", "Input (JSON)": '{"a": 1}' },
    `leasehold orchestration raise-event '--input={"a": 1}' order-1 Go`,
    ["orchestrations/order-1:raise-event", { name: "Go", input: '{"a": 1}' }], "Event Go"],
  ["orchestrations/order-1", "Suspend", "It pauses", { Reason: "it's late" },
    `leasehold orchestration suspend '--reason=it'\\''s late' order-1`,
    ["orchestrations/order-1:suspend", { reason: "it's late" }], "suspended"],
  ["orchestrations/order-1", "Resume", "It goes on", {}, "leasehold orchestration resume order-1",
    ["orchestrations/order-1:resume", {}], "running"],
  ["orchestrations/order-1", "Terminate", "ends with its next turn", { "Output (JSON)": "3" },
    "leasehold orchestration terminate --result=3 order-1",
    ["orchestrations/order-1:terminate", { output: "3" }], "terminated"],
  ["orchestrations/import-7", "Rewind", "last successful step", {}, "leasehold orchestration rewind import-7",
    ["orchestrations/import-7:rewind", {}], "running"],
  ["orchestrations/fan-1", "Restart", "starts again under the same ID", {},
    "leasehold orchestration restart fan-1", ["orchestrations/fan-1:restart", {}], "pending"],
  ["orchestrations/batch-0001", "Purge", "deleted for good", {}, "leasehold orchestration purge batch-0001",
    ["orchestrations/batch-0001:purge", {}], "Start an orchestration"],
  ["orchestrations", "Start an orchestration…", "The server makes an ID", { "Name of the orchestrator": "Hello" },
    "leasehold orchestration start Hello",
    ["orchestrations", { name: "Hello", if_active: "FAIL", if_finished: "FAIL" }], "made-by-the-server"],
  ["orchestrations/batch-0002", "Start again…", "at most one orchestration", { "Input (JSON)": "[2]" },
    "leasehold orchestration start --id=batch-0002 '--input=[2]' --if-finished=replace Batch",
    ["orchestrations", { name: "Batch", instance_id: "batch-0002", input: "[2]", if_active: "FAIL",
      if_finished: "REPLACE" }], "pending"],
  ["contexts/room-2", "Release…", "if nobody uses it", {}, "leasehold instances release room-2",
    ["contexts/room-2:release", { force: false }], "There is no context of this ID"],
];

for (const [path, verb, says, fields, command, [sentTo, body], then] of VERBS) {
  test(`${verb} on ${path}`, async () => {
    await visit(server.url, `/ui/${path}`, { expected: /404/ }, async (page) => {
      await page.getByRole("button", { name: verb, exact: true }).click();
      const dialog = page.getByRole("dialog");
      for (const [label, text] of Object.entries(fields)) await dialog.getByLabel(label).fill(text);
      await dialog.getByText(says).waitFor();
      assert.equal(await dialog.getByLabel("Command line").textContent(), command);
      await accessible(page);
      assert.equal(server.posts.length, 0, "nothing is done before it is confirmed");
      await dialog.locator("button[type=submit]").click();
      await dialog.waitFor({ state: "detached" });
      assert.deepEqual(server.posts.splice(0), [{ path: sentTo, body }]);
      await seen(page, then);
    });
  });
}

test("a verb that is refused says why, and can be mended", async () => {
  await visit(server.url, "/ui/contexts/room-1", { expected: /404|409/ }, async (page) => {
    await page.getByRole("button", { name: "Release…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Release" }).click();
    await dialog.getByText('context "room-1" is busy').waitFor();
    await dialog.getByLabel("Even if it is busy").check();
    await dialog.getByText("ended with ABORTED").waitFor();
    assert.match(await dialog.getByLabel("Command line").textContent(), /release --force room-1$/);
    await dialog.getByRole("button", { name: "Release" }).click();
    await seen(page, "There is no context of this ID");
    server.posts.length = 0;
  });
});

test("what cannot be right is not sent", async () => {
  await visit(server.url, "/ui/orchestrations/nightly", async (page) => {
    await page.getByRole("button", { name: "Raise event" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Event name").fill("X");
    await dialog.getByLabel("Input").fill("{not json");
    await dialog.getByRole("button", { name: "Raise" }).click();
    await dialog.getByText("The input is not valid JSON").waitFor();
    await dialog.getByRole("button", { name: "Cancel" }).click();
    assert.equal(server.posts.length, 0);
  });
});

test("the sign-in can be used by everybody, wide and on a phone", async () => {
  server.token = "lh_1_secret";
  try {
    for (const look of [{ colorScheme: "light" }, { colorScheme: "dark", viewport: PHONE }])
      await visit(server.url, "/ui/", { ...look, expected: /401/ }, async (page) => {
        const token = page.getByLabel("Token");
        await token.waitFor();
        await accessible(page);
        assert.ok(await token.evaluate((node) => node === document.activeElement), "it can be typed at once");
        if (look.viewport) await tappable(page);
        await token.fill("lh_1_secret");
        await page.keyboard.press("Enter");
        await page.getByTitle("ann@example.com (default)").and(page.getByText("Sign out")).waitFor();
        await page.getByRole("navigation").getByRole("link", { name: "Workers" }).waitFor();
        await accessible(page);
        if (look.viewport) {
          await seen(page, "ann@example.com (default)");
          await tappable(page);
        }
      });
  } finally {
    server.token = undefined;
  }
});

test("a server that asks who calls: a token opens a session, which no script sees", async () => {
  server.token = "lh_1_secret";
  try {
    await visit(server.url, "/ui/orchestrations", { expected: /401/ }, async (page) => {
      await page.getByLabel("Token").fill("wrong");
      await page.getByRole("button", { name: "Sign in" }).click();
      await seen(page, "not a token of mine");
      await page.getByLabel("Token").fill("lh_1_secret");
      await page.getByRole("button", { name: "Sign in" }).click();
      await seen(page, "batch-0000");
      await page.reload();
      await seen(page, "batch-0000");
      assert.equal(await page.getByRole("dialog").count(), 0);
      assert.equal(await page.evaluate(() =>
        JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + document.cookie), "{}{}");
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByLabel("Token").waitFor();
    });
  } finally {
    server.token = undefined;
  }
});
