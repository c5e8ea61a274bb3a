// What is large opens at once. Times depend on the machine, so they are printed, and only
// what cannot be slow is judged: how little of it is in the page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { visit } from "./browser.mjs";
import { context, fanOut, fixture, orchestration, pretty, Writer } from "./fixture.mjs";
import { MockServer } from "./mock_server.mjs";

const elements = (page) => page.evaluate(() => document.querySelectorAll("*").length);
const since = (start) => `${Math.round(performance.now() - start)} ms`;

async function serving(data, body) {
  const server = await new MockServer(data).start();
  try {
    await body(server);
  } finally {
    await server.stop();
  }
}

function longHistory(steps) {
  const w = new Writer().add("execution_started", { name: "Long" });
  for (let i = 0; i < steps; ++i) {
    const id = w.after(3).turn(() => w.schedule("activity_scheduled", { name: `Step${i % 50}`, input: "1" }));
    w.after(5).add("activity_completed", { scheduled_id: id, output: "1" });
  }
  return w;
}

test("a history of 20,000 events: header and verbs at once, then the picture", async (t) => {
  const data = fixture();
  data.orchestrations.set("wide", pretty(orchestration("wide", { name: "FanOut" }), fanOut(10000)));
  data.orchestrations.set("long", pretty(orchestration("long", { name: "Long" }), longHistory(5000)));
  await serving(data, async (server) => {
    for (const id of ["wide", "long"]) {
      const start = performance.now();
      await visit(server.url, `/ui/orchestrations/${id}`, async (page) => {
        await page.getByRole("button", { name: "Terminate" }).waitFor();
        t.diagnostic(`${id}: verbs after ${since(start)}`);
        await page.locator("li.lane").nth(1).waitFor();
        t.diagnostic(`${id}: picture after ${since(start)}`);
        await page.getByText(/^20\u202f00\d events$/).waitFor();
        t.diagnostic(`${id}: 20,000 events after ${since(start)}, ${await elements(page)} elements`);
        assert.ok(await elements(page) < 5000);
        const scroll = performance.now();
        await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
        await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
        t.diagnostic(`${id}: scrolled to its end in ${since(scroll)}`);
      });
    }
  });
});

test("10,000 contexts with leases: some rows in the page, and frames enough", async (t) => {
  const data = fixture();
  data.contexts = new Map(Array.from({ length: 10000 }, (_, i) => {
    const id = `room-${i}`;
    return [id, context(id, { lease_in_ms: 60000 + i * 10, idle_timeout_ms: 200000 })];
  }));
  await serving(data, async (server) => {
    const start = performance.now();
    await visit(server.url, "/ui/contexts", async (page) => {
      await page.getByRole("row", { name: /room-0 / }).waitFor();
      t.diagnostic(`rows after ${since(start)}`);
      await page.getByText(/^10\u202f000 contexts/).waitFor();
      const frames = await page.evaluate(() => new Promise((done) => {
        let n = 0;
        const end = performance.now() + 1000;
        const count = () => (performance.now() < end ? (++n, requestAnimationFrame(count)) : done(n));
        requestAnimationFrame(count);
      }));
      t.diagnostic(`${frames} frames in a second, ${await elements(page)} elements`);
      assert.ok(await elements(page) < 2000);
    });
  });
});
