// Each page says what its server has, and can be used by everybody: wide and on a phone,
// light and dark, by keyboard.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { accessible, PHONE, seen, tappable, visit } from "./browser.mjs";
import { BEGIN, fixture, orchestration, pretty, Writer } from "./fixture.mjs";
import { MockServer } from "./mock_server.mjs";

let server;
before(async () => { server = await new MockServer(fixture()).start(); });
after(() => server.stop());

const PAGES = {
  "/ui/": ["Overview", "contexts open", "a.csv: line 3 has 4 columns, not 5", "NoSuch"],
  "/ui/contexts": ["Contexts", "room-1", "call, 2 × hold", "cart/9 ü"],
  "/ui/contexts/order-1": ["Context order-1", "1 × work-item", "leasehold::OrchestrationInstance", "ProcessOrder",
    "No two contexts and no two runs of this ID overlap.", "when the server started", "Context 12",
    "started by ann@example.com from ipv4:10.0.0.7:40112", "somebody from ipv4:10.0.0.9:1: ALREADY_EXISTS"],
  "/ui/orchestrations": ["Orchestrations", "batch-0000", "The newest 100 orchestrations."],
  "/ui/orchestrations/order-1?event=9": ["ProcessOrder", "team=blue", "12345678901234567890", "2 attempts",
    "the bank does not answer"],
  "/ui/orchestrations/import-7": ["Failed:", "ParseError", "Rewind"],
  "/ui/orchestrations/nightly": ["One at a time", "4\u202f092 before", "what was before is forgotten",
    "4\u202f012 runs"],
  "/ui/orchestrations/waiting-1": ["no connected worker takes the orchestrator"],
  "/ui/entities": ["@counter@a", "order-1"],
  "/ui/entities/@counter@a": ["Entity @counter@a", "7"],
  "/ui/workers": ["2 workers are connected.", "17 of 20 slots in use", "durabletask-python/1.12.0"],
  "/ui/server": ["0.1.0", "operator", "2 refused, 1 cancelled", "database 4.0 KiB, log 3.0 MiB",
    "grpc 2027-11-30"],
  "/ui/nowhere": ["No such page"],
};

const LOOKS = [{ colorScheme: "light" }, { colorScheme: "dark", viewport: PHONE }];
for (const [path, texts] of Object.entries(PAGES)) {
  test(`${path} is whole and accessible`, async () => {
    for (const look of LOOKS) {
      await visit(server.url, path, { ...look, expected: /404/ }, async (page) => {
        for (const text of texts) await seen(page, text);
        await accessible(page);
        if (look.viewport === PHONE) await tappable(page);
      });
    }
  });
}

test("a start that is scheduled waits for its time, and not for a worker", async () => {
  const data = fixture();
  const iso = (ms) => new Date(ms).toISOString();
  for (const [id, at] of [["tomorrow-1", BEGIN + 86400000], ["due-1", BEGIN - 120000]]) {
    data.orchestrations.set(id, pretty(orchestration(id, { name: "Scheduled", status: "PENDING",
      create_time: iso(BEGIN - 600000), scheduled_start_time: iso(at) }), new Writer()));
  }
  const scheduled = await new MockServer(data).start();
  await visit(scheduled.url, "/ui/", async (page) => {
    await seen(page, "due-1");
    assert.equal(await page.getByText("tomorrow-1").count(), 0);
  }).finally(() => scheduled.stop());
});

test("filters stand in the URL, and come back with it", async () => {
  await visit(server.url, "/ui/orchestrations", async (page) => {
    await page.getByRole("button", { name: "failed" }).click();
    await page.waitForURL(/status=FAILED/);
    await page.getByRole("link", { name: "batch-0000" }).waitFor({ state: "detached" });
    await page.reload();
    assert.equal(await page.getByRole("button", { name: "failed" }).getAttribute("aria-pressed"), "true");
    assert.equal(await page.locator("tbody tr[data-index]").count(), 1);
    await page.goto(`${server.url}/ui/orchestrations?prefix=order-1%3A`);
    await seen(page, "order-1:ship");
    assert.equal(await page.getByLabel("ID begins with").inputValue(), "order-1:");
  });
});

test("a list goes on when it is asked to", async () => {
  await visit(server.url, "/ui/orchestrations?prefix=batch-", async (page) => {
    await seen(page, "The newest 100 orchestrations.");
    assert.equal(await page.locator("table").getAttribute("aria-rowcount"), "101");
    assert.equal(await page.locator('tr[data-index="0"] a').textContent(), "batch-0000");
    for (const rows of ["201", "241"]) {
      await page.getByRole("button", { name: "Load more" }).click();
      await page.locator(`table[aria-rowcount="${rows}"]`).waitFor();
    }
    assert.equal(await page.getByRole("button", { name: "Load more" }).count(), 0);
    await page.keyboard.press("End");
    assert.equal(await page.locator('tr[data-index="239"] a').textContent(), "batch-0239");
  });
});

test("statuses are counted among all that match the other filters", async () => {
  await visit(server.url, "/ui/orchestrations?prefix=order", async (page) => {
    const chip = (word) => page.getByRole("group", { name: "Status" }).getByRole("button", { name: word });
    const counts = async () => Promise.all(["running", "completed", "failed"].map(async (word) =>
      /\d*$/.exec(await chip(word).textContent())[0]));
    await chip("running 1").waitFor();
    assert.deepEqual(await counts(), ["1", "1", "0"]);
    await chip("completed").click();
    await page.locator('table[aria-rowcount="2"]').waitFor();
    assert.deepEqual(await counts(), ["1", "1", "0"]);
    await page.goto(`${server.url}/ui/orchestrations?tag=team%3Dblue`);
    await page.locator('table[aria-rowcount="2"]').waitFor();
    await chip("completed 0").waitFor();
    assert.deepEqual(await counts(), ["1", "0", "0"]);
  });
});

test("the keys: search, rows, open, close, help", async () => {
  await visit(server.url, "/ui/orchestrations", { expected: /404/ }, async (page) => {
    await seen(page, "batch-0000");
    await page.keyboard.press("?");
    await seen(page, "next row");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    for (const key of ["j", "j", "j", "k"]) await page.keyboard.press(key);
    const focused = () => page.evaluate(() => document.activeElement.textContent);
    const second = await page.locator('tr[data-index="1"] a').textContent();
    assert.equal(await focused(), second);
    for (let i = 0; i < 60; ++i) await page.keyboard.press("j");
    assert.equal(await focused(), await page.locator('tr[data-index="61"] a').textContent());
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/ui\/orchestrations\/batch-/);
    assert.match(await focused(), /^Orchestration batch-/);
    await page.keyboard.press("/");
    await page.keyboard.type("order-1");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/ui\/orchestrations\/order-1$/);
    await page.keyboard.press("/");
    await page.keyboard.type("cart/9 ü");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/ui\/contexts\/cart%2F9%20%C3%BC$/);
    await seen(page, "Context cart/9 ü");
  });
});

test("times are in the zone that was chosen, on all pages and after a reload", async () => {
  await visit(server.url, "/ui/orchestrations", async (page) => {
    const first = page.locator("tbody time").first();
    await first.waitFor();
    const at = new Date(await first.getAttribute("datetime"));
    const iso = at.toISOString();
    const berlin = new Intl.DateTimeFormat("sv-SE", { timeZone: "Europe/Berlin", dateStyle: "short",
      timeStyle: "medium" }).format(at);
    assert.equal(await first.textContent(), berlin);
    await page.getByLabel("Times in").selectOption("utc");
    assert.equal(await first.textContent(), `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`);
    await page.reload();
    await first.waitFor();
    assert.match(await first.textContent(), / UTC$/);
    await page.getByRole("link", { name: "Workers" }).click();
    assert.match(await page.locator("main time").first().textContent(), / UTC$/);
    await page.getByLabel("Times in").selectOption("relative");
    assert.match(await page.locator("main time").first().textContent(), / ago$/);
  });
});

test("times of the filter are in the chosen zone, and say so", async () => {
  await visit(server.url, "/ui/orchestrations?from=2026-07-01T10%3A00%3A30.000Z", async (page) => {
    const from = page.getByLabel("Created from");
    assert.equal(await from.inputValue(), "2026-07-01T12:00");
    await page.getByLabel("Times in").selectOption("utc");
    assert.equal(await page.getByLabel("Created from (UTC)").inputValue(), "2026-07-01T10:00");
    await page.getByLabel("Name").fill("Batch");
    await page.getByLabel("Name").press("Enter");
    await page.waitForURL(/name=Batch/);
    assert.match(page.url(), /from=2026-07-01T10%3A00%3A30.000Z/, "what nobody has changed stays");
    await from.fill("2026-07-01T11:00");
    await from.press("Enter");
    await page.waitForURL(/from=2026-07-01T11%3A00%3A00.000Z/);
  });
});

test("a tag leads to the others that have it", async () => {
  await visit(server.url, "/ui/orchestrations/order-1", { expected: /404/ }, async (page) => {
    await page.getByRole("link", { name: "team=blue" }).click();
    await page.waitForURL(/tag=team%3Dblue/);
    await page.locator('table[aria-rowcount="2"]').waitFor();
    await seen(page, "order-1");
    await page.getByLabel("Tag").fill("team=red");
    await page.getByLabel("Tag").press("Enter");
    await seen(page, "No orchestration matches.");
  });
});

test("an ID that is pasted is gone to, and one that is shown is copied", async () => {
  const options = { expected: /404/, permissions: ["clipboard-read", "clipboard-write"] };
  await visit(server.url, "/ui/orchestrations/order-1:ship", options, async (page) => {
    await page.getByRole("button", { name: "Copy ID" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    await page.goto(`${server.url}/ui/`);
    await seen(page, "Needs attention");
    await page.keyboard.press("Control+V");
    await page.waitForURL(/\/ui\/orchestrations\/order-1%3Aship$/);
    await page.evaluate(() => navigator.clipboard.writeText("room-2\n"));
    await page.getByLabel("Failed only").focus();
    await page.keyboard.press("Control+V");
    await page.waitForURL(/\/ui\/contexts\/room-2$/);
  });
});

test("on a phone everything of an orchestration can be tapped", async () => {
  await visit(server.url, "/ui/orchestrations/order-1", { viewport: PHONE }, async (page) => {
    await page.getByRole("button", { name: "Show the history of order-1:ship here" }).click();
    await page.getByRole("button", { name: /Activity Pack/ }).waitFor();
    await tappable(page);
    await page.getByRole("button", { name: /Activity Charge/ }).click();
    await seen(page, "2 attempts");
    await tappable(page);
    await accessible(page);
    await page.getByRole("button", { name: "Close the details" }).click();
    await page.getByRole("button", { name: "Events", exact: true }).click();
    await page.getByRole("button", { name: "Timer created" }).waitFor();
    await tappable(page);
    await page.getByRole("button", { name: "Terminate" }).click();
    await tappable(page);
    await accessible(page);
  });
});

test("the picture: bands open, children unfold, details have payloads", async () => {
  await visit(server.url, "/ui/orchestrations/fan-1", async (page) => {
    const band = page.getByRole("button", { name: /800 × activity Work/ });
    await band.waitFor();
    assert.match(await band.textContent(), /3 failed/);
    await band.click();
    await page.getByRole("button", { name: /Activity Work ?, failed/ }).first().click();
    await seen(page, "no. 1");
    assert.match(page.url(), /event=/);
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("aside").count(), 0);
    await page.getByLabel("Failed only").check();
    assert.equal(await page.locator("li.lane").count(), 4);
  });
  await visit(server.url, "/ui/orchestrations/order-1", async (page) => {
    await page.getByRole("button", { name: "Show the history of order-1:ship here" }).click();
    await page.getByRole("button", { name: /Activity Pack/ }).waitFor();
    await page.getByRole("button", { name: "Events", exact: true }).click();
    await page.getByRole("button", { name: "Timer created" }).click();
    await seen(page, "Fire time");
    await page.getByLabel("Search in the history").fill("charge");
    await page.locator('table[aria-label="Events"][aria-rowcount="7"]').waitFor();
  });
});

test("what is too long to show is downloaded whole", async () => {
  await visit(server.url, "/ui/orchestrations/fan-1", async (page) => {
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download all" }).click();
    assert.equal((await download).suggestedFilename(), "output.txt");
    const events = server.data.orchestrations.get("fan-1").history;
    const cut = events.at(-1);
    const { output } = cut;
    cut.output = { $truncated: true, bytes: 9000, head: "[" };
    await page.reload();
    await seen(page, /^1\s\d\d\d events$/);
    await page.getByRole("button", { name: "Save as JSON…" }).click();
    const dialog = page.getByRole("dialog");
    assert.equal(await dialog.getByLabel("Command line").textContent(),
      "leasehold orchestration history --export=history.jsonl fan-1");
    await dialog.getByLabel("Whole payloads: 1 is cut here").waitFor();
    await accessible(page);
    const history = page.waitForEvent("download");
    await dialog.getByRole("button", { name: "Save" }).click();
    assert.equal((await history).suggestedFilename(), "history.json");
    const saved = JSON.parse(readFileSync(await (await history).path(), "utf8"));
    assert.deepEqual([saved.instance_id, saved.events.length, saved.events.at(-1).output],
      ["fan-1", events.length, '"the whole payload"']);
    cut.output = output;
  });
});

test("who moves little sees numbers for bars", async () => {
  server.putContext("room-3", { lease_in_ms: 20000 });
  await visit(server.url, "/ui/contexts/room-3", { reducedMotion: "reduce", expected: /404/ }, async (page) => {
    const left = page.locator("[data-deadline]").first();
    await left.waitFor();
    assert.equal(await page.locator(".lease .bar").first().isVisible(), false);
    const before = await left.textContent();
    await page.waitForFunction((text) =>
      document.querySelector("[data-deadline]").textContent !== text, before);
  });
});
