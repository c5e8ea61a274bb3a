// The strip of an ID: what is drawn of many, that an overlap is seen, that news come by
// themselves, and that it can be read without eyes and without a mouse.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bars, drawn, overlaps, stripFrom } from "../../service/http/ui/strip.js";
import { accessible, PHONE, seen, tappable, visit } from "./browser.mjs";
import { BEGIN, eternalStrip, fixture, orderStrip, strip } from "./fixture.mjs";
import { MockServer } from "./mock_server.mjs";

let server;
before(async () => { server = await new MockServer(fixture()).start(); });
after(() => server.stop());

const keep = async (page, name) => {
  if (process.env.LEASEHOLD_SCREENSHOTS)
    await page.locator(".strip").screenshot({ path: `${process.env.LEASEHOLD_SCREENSHOTS}/${name}.png` });
};

test("spans that touch do not overlap; those that do are counted", () => {
  assert.equal(overlaps([{ begin: 1, end: 5 }, { begin: 5, end: 9 }, { begin: 9 }]), 0);
  assert.equal(overlaps([{ begin: 1, end: 5 }, { begin: 4, end: 9 }]), 1);
  assert.equal(overlaps([{ begin: 1 }, { begin: 4, end: 9 }]), 1);
  assert.equal(overlaps([{ begin: 1, end: 9 }, { begin: 2, end: 3 }, { begin: 4, end: 5 }]), 2);
  assert.equal(overlaps([{ end: 5 }, { begin: 4, end: 9 }]), 0, "when the first began is not known");
});

test("of many runs the newest are drawn, and the others counted", () => {
  const { lanes, left, begin, end } = drawn(stripFrom(eternalStrip()));
  assert.equal(lanes.runs.length, 20);
  assert.equal(lanes.runs[0].execution_id, "e80");
  assert.equal(left.runs, 4092);
  assert.equal(begin, BEGIN - 14000);
  assert.equal(end, BEGIN + 6000);
  assert.deepEqual([lanes.contexts.length, left.contexts], [1, 0], "one that was open before is still seen");
  const few = drawn(stripFrom(orderStrip()));
  assert.deepEqual([few.lanes.contexts.length, few.lanes.runs.length, few.lanes.starts.length], [3, 2, 5]);
  assert.equal(few.begin, BEGIN - 50000);
});

test("no bar is drawn over the next one, however short it is", () => {
  const spans = Array.from({ length: 5 }, (_, i) => ({ begin: i, end: i + 1 }));
  const places = bars([...spans, { begin: 99999 }], 0, 100000);
  places.slice(1).forEach((place, i) => assert.ok(places[i].x <= place.x, `bar ${i}`));
  const [one, two] = bars([{ begin: 0, end: 60 }, { begin: 40, end: 100 }], 0, 100);
  assert.ok(one.x + one.width > two.x, "two that overlap are seen to");
});

for (const look of [{ colorScheme: "light" }, { colorScheme: "dark" }, { colorScheme: "light", viewport: PHONE },
  { colorScheme: "dark", viewport: PHONE }]) {
  const name = `${look.colorScheme}-${look.viewport ? "phone" : "wide"}`;
  test(`it is whole and accessible: ${name}`, async () => {
    await visit(server.url, "/ui/contexts/order-1", look, async (page) => {
      await seen(page, "No two contexts and no two runs of this ID overlap.");
      assert.equal(await page.locator(".strip-picture").getAttribute("aria-label"),
        "3 contexts, 2 runs, 5 starts; no two overlap");
      assert.equal(await page.locator(".strip-picture rect").count(), 5);
      assert.equal(await page.locator(".strip-rows tbody tr").count(), 10);
      await accessible(page);
      if (look.viewport) await tappable(page);
      await keep(page, `strip-${name}`);
    });
    await visit(server.url, "/ui/orchestrations/nightly", { ...look, expected: /404/ }, async (page) => {
      await seen(page, "4\u202f092 before");
      assert.equal(await page.locator(".strip-picture rect").count(), 21);
      await accessible(page);
      if (look.viewport) await tappable(page);
      await keep(page, `strip-eternal-${name}`);
    });
  });
}

test("an overlap is said, and not drawn away", async () => {
  server.data.strips.set("room-2", strip("room-2", { contexts: [["5", -9000, -3000, "idle"], ["6", -4000]] }));
  await visit(server.url, "/ui/contexts/room-2", { expected: /404/ }, async (page) => {
    await seen(page, "1 context began before the one before had ended.");
    assert.ok((await page.locator(".strip-picture").getAttribute("aria-label")).includes("some overlap"));
  });
});

test("the table opens by keyboard, and shows all when it is asked to", async () => {
  await visit(server.url, "/ui/orchestrations/nightly", { expected: /404/ }, async (page) => {
    const rows = page.locator(".strip-rows tbody tr");
    await page.locator(".strip summary").focus();
    await page.keyboard.press("Enter");
    await seen(page, "continued as new");
    assert.equal(await rows.count(), 10);
    await page.getByRole("button", { name: "Show all 101" }).focus();
    await page.keyboard.press("Enter");
    await rows.nth(100).waitFor();
    assert.equal(await rows.count(), 101);
    await seen(page, "e0", { exact: true });
  });
});

test("a start that is told \"attached\" appears by itself", async () => {
  await visit(server.url, "/ui/contexts/order-1", async (page) => {
    await seen(page, "Start: attached");
    const next = orderStrip();
    next.starts.push({ result: "ATTACHED", time: new Date(BEGIN + 5000).toISOString(), identity: "carol",
      execution_id: "order-1-run-1" });
    server.putStrip("order-1", next);
    await seen(page, "carol, run order-1-run-1");
  });
  server.data.strips.set("order-1", orderStrip());
});

test("without a strip the page is whole, and says nothing of it", async () => {
  server.strip = () => undefined;
  await visit(server.url, "/ui/contexts/room-1", { expected: /404/ }, async (page) => {
    await seen(page, "call");
    assert.equal(await page.locator(".strip").isVisible(), false);
  });
  delete server.strip;
});
