// What changes while somebody looks: no reload, no row that jumps, no stream for nobody.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { seen, visit } from "./browser.mjs";
import { fixture, orchestration, pretty, Writer } from "./fixture.mjs";
import { MockServer } from "./mock_server.mjs";

let server;
beforeEach(async () => { server = await new MockServer(fixture()).start(); });
afterEach(() => server.stop());

const live = (page) => page.locator(".live.live").waitFor();
const AWAY = /ERR_|net::|Failed to load resource/;

test("charts show what was before somebody looked, and how calls end", async () => {
  server.points = Array.from({ length: 60 }, (_, i) => ({ at_ms: Math.round(server.now()) - 60000 + i * 1000, open: i,
    calls: { ok: String(i * 10), failed: String(i), refused: "0", cancelled: "0" } }));
  server.calls = { ok: 600, failed: 60, refused: 0, cancelled: 0 };
  await visit(server.url, "/ui/", async (page) => {
    await live(page);
    const calls = page.getByRole("img", { name: /Calls a second: now ok .*, failed .*, refused 0, cancelled 0, at most/ });
    await calls.waitFor();
    const points = () => calls.locator("polyline.line-1").getAttribute("points");
    while ((await points()).split(" ").length < 60) await page.waitForTimeout(50);
    await page.locator(".chart .key", { hasText: "refused" }).waitFor();
    await page.getByRole("img", { name: /^Contexts: now 5, at most 59$/ }).waitFor();
    await page.locator(".tile", { hasText: "completed" }).filter({ hasText: "242" }).waitFor();
  });
});

test("a lease counts to zero and its context leaves", async () => {
  await visit(server.url, "/ui/contexts", async (page) => {
    await live(page);
    server.putContext("short", { lease_in_ms: 900, idle_timeout_ms: 900 });
    const row = page.getByRole("row", { name: /short/ });
    await row.getByText("0.0 s").waitFor();
    const width = await row.locator(".fill").evaluate((node) => node.getBoundingClientRect().width);
    assert.equal(width, 0);
    server.closeContext("short", "idle");
    await row.waitFor({ state: "detached" });
  });
});

test("a renewal fills the bar again; a call makes the row busy", async () => {
  await visit(server.url, "/ui/contexts/room-3", { expected: /404/ }, async (page) => {
    await live(page);
    server.putContext("room-3", { lease_in_ms: 20000 });
    await page.locator(".big-lease").getByText(/^(20|19|18) s$/).waitFor();
    server.putContext("room-3", { state: "BUSY", lease_in_ms: undefined, pins: [{ kind: "join", count: "3" }] });
    await seen(page, "3 × join");
    server.closeContext("room-3", "evicted");
    await seen(page, "it was closed (evicted)");
  });
});

test("the end of an older context does not take its successor away", async () => {
  await visit(server.url, "/ui/contexts", async (page) => {
    await live(page);
    server.putContext("room-2", { generation: "9" });
    server.push("contexts:room-2", "contexts", { closed: [{ instance_id: "room-2", generation: "7", reason: "idle" }],
      server_now_ms: server.now() });
    server.putContext("zz-last", {});
    await page.getByRole("row", { name: /zz-last/ }).waitFor();
    assert.equal(await page.getByRole("row", { name: /room-2/ }).count(), 1);
  });
});

test("a fan-out grows on the page, and ends in words", async () => {
  const id = "growing";
  server.data.orchestrations.set(id, pretty(orchestration(id, { name: "Grow" }),
    new Writer().add("execution_started", { name: "Grow" })));
  await visit(server.url, `/ui/orchestrations/${id}`, async (page) => {
    await live(page);
    for (let i = 0; i < 5; ++i) {
      server.append(id, "activity_scheduled", { name: `Step${i}` }, { event_id: i });
      await page.getByRole("button", { name: new RegExp(`Activity Step${i} ?, goes on`) }).waitFor();
    }
    server.append(id, "activity_completed", { scheduled_id: 0, output: "1" });
    await page.getByRole("button", { name: /Activity Step0 ?, done/ }).waitFor();
    server.append(id, "execution_completed", { status: "FAILED" });
    server.change(id, { status: "FAILED", failure: { type: "Error", message: "all was in vain" } });
    await seen(page, "all was in vain");
    await page.getByRole("button", { name: "Rewind" }).waitFor();
    assert.match(await page.locator("[aria-live]").textContent(), /failed/);
  });
});

test("another execution of the ID begins its picture anew", async () => {
  await visit(server.url, "/ui/orchestrations/nightly", async (page) => {
    await live(page);
    await page.getByRole("button", { name: /Suspended holiday/ }).waitFor();
    server.data.orchestrations.get("nightly").history =
      new Writer().add("execution_started", { name: "Again" }).events;
    server.change("nightly", { execution_id: "run-2", status: "RUNNING", name: "Again" });
    await page.getByRole("button", { name: /Orchestration Again/ }).waitFor();
    await page.getByRole("button", { name: /Suspended holiday/ }).waitFor({ state: "detached" });
  });
});

test("new orchestrations wait above the list until they are asked for", async () => {
  for (let i = 0; i < 200; ++i) server.data.orchestrations.delete(`batch-${String(i).padStart(4, "0")}`);
  await visit(server.url, "/ui/orchestrations", async (page) => {
    await seen(page, "batch-0200");
    const first = await page.locator('tr[data-index="0"] a').textContent();
    server.data.orchestrations.set("newest", pretty(orchestration("newest",
      { create_time: new Date(Date.now() + 1000).toISOString() }), new Writer()));
    server.data.orchestrations.get("order-1").state.status = "SUSPENDED";
    await page.getByRole("button", { name: "1 new one" }).waitFor();
    assert.equal(await page.locator('tr[data-index="0"] a').textContent(), first);
    await page.getByRole("row", { name: /order-1 .*suspended/i }).waitFor();
    await page.getByRole("button", { name: "1 new one" }).click();
    assert.equal(await page.locator('tr[data-index="0"] a').textContent(), "newest");
  });
});

test("new orchestrations are seen past the first page, too", async () => {
  const put = (id, ahead) => server.data.orchestrations.set(id, pretty(orchestration(id,
    { name: "Batch", create_time: new Date(Date.now() + ahead).toISOString() }), new Writer()));
  await visit(server.url, "/ui/orchestrations?prefix=b", async (page) => {
    for (const rows of ["201", "241"]) {
      await page.getByRole("button", { name: "Load more" }).click();
      await page.locator(`table[aria-rowcount="${rows}"]`).waitFor();
    }
    for (let i = 0; i < 120; ++i) put(`born-${i}`, 1000 + i);
    await page.getByRole("button", { name: "120 new ones" }).waitFor();
    await page.locator('table[aria-rowcount="241"]').waitFor();
    await page.getByRole("button", { name: "120 new ones" }).click();
    await page.locator('table[aria-rowcount="361"]').waitFor();
    assert.equal(await page.locator('tr[data-index="0"] a').textContent(), "born-119");
    put("born-last", 5000);
    await page.getByRole("button", { name: "1 new one" }).waitFor();
  });
});

test("if more are new than can be read at once, the list begins again", async () => {
  const put = (i) => server.data.orchestrations.set(`many-${i}`, pretty(orchestration(`many-${i}`,
    { name: "Many", create_time: new Date(Date.now() + 10000 + i).toISOString() }), new Writer()));
  put(0);
  await visit(server.url, "/ui/orchestrations?prefix=many", async (page) => {
    await seen(page, "many-0");
    for (let i = 1; i <= 620; ++i) put(i);
    await page.getByRole("button", { name: "more than 500 new ones" }).click();
    await page.locator('table[aria-rowcount="101"]').waitFor();
    assert.equal(await page.locator('tr[data-index="0"] a').textContent(), "many-620");
    await page.getByRole("button", { name: "Load more" }).click();
    await page.locator('table[aria-rowcount="201"]').waitFor();
  });
  for (let i = 0; i <= 620; ++i) server.data.orchestrations.delete(`many-${i}`);
});

test("after a restart of the server the page comes back by itself", async () => {
  await visit(server.url, "/ui/contexts", { expected: AWAY }, async (page) => {
    await live(page);
    server.data.contexts.delete("room-1");
    server.data.contexts.set("born-later", { ...server.data.contexts.get("room-2"), instance_id: "born-later" });
    await server.stop();
    await page.locator(".live.connecting").waitFor();
    assert.equal(await page.getByRole("row", { name: /room-1/ }).count(), 1, "what was known stays");
    await server.start();
    await live(page);
    await page.getByRole("row", { name: /born-later/ }).waitFor();
    assert.equal(await page.getByRole("row", { name: /room-1/ }).count(), 0);
  });
});

test("a hidden page has no stream, and a page that is left has none", async () => {
  await visit(server.url, "/ui/contexts", async (page) => {
    await live(page);
    const until = async (n) => {
      for (let i = 0; server.streams.size !== n && i < 500; ++i) await new Promise((r) => setTimeout(r, 10));
      assert.equal(server.streams.size, n);
    };
    const hide = (hidden) => page.evaluate((value) => {
      Object.defineProperty(document, "hidden", { value, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
    await until(1);
    await hide(true);
    await until(0);
    await page.locator(".live.paused").waitFor();
    await hide(false);
    await until(1);
    await page.getByRole("link", { name: "Workers" }).click();
    await until(0);
    await page.goBack();
    await until(1);
  });
});

test("a stream that is refused is said, and not asked for again and again", async () => {
  const stream = server.stream;
  let asked = 0;
  server.stream = (_, response) => {
    asked += 1;
    response.writeHead(404, { "Content-Type": "application/json" });
    response.end('{"message":"no streams here"}');
  };
  await visit(server.url, "/ui/contexts", { expected: AWAY }, async (page) => {
    await page.locator(".live.off").waitFor();
    await page.getByRole("row", { name: /room-1/ }).waitFor();
    await page.waitForTimeout(1500);
    assert.equal(asked, 1);
  });
  server.stream = stream;
});
