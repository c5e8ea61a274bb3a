// Attacks in every field that a user, a worker or a tenant may choose stay text, on every
// page and in every dialog; what would be unseen is seen.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MARKUP, ATTACK, UNSEEN, UNSEEN_SHOWN, hostileFixture } from "./fixture.mjs";
import { accessible, seen, visit } from "./browser.mjs";
import { MockServer } from "./mock_server.mjs";

let server;
before(async () => { server = await new MockServer(hostileFixture()).start(); });
after(() => server.stop());

const id = encodeURIComponent(ATTACK);
const PAGES = ["/ui/", "/ui/contexts", `/ui/contexts/${id}`, "/ui/orchestrations", `/ui/orchestrations/${id}`,
  "/ui/entities", `/ui/entities/${id}`, "/ui/workers", "/ui/server", `/ui/no/${id}`,
  `/ui/orchestrations?name=${id}&status=${id}&prefix=${id}&from=${id}`, `/ui/contexts?state=${id}&sort=constructor`];

// Nothing of the attacks has become an element or a handler, and nothing of it is unseen.
async function harmless(page) {
  const found = await page.evaluate((unseen) => ({
    images: document.querySelectorAll("img, iframe, object, embed, form[action], base, meta[http-equiv]").length,
    scripts: document.querySelectorAll("script").length,
    handlers: [...document.querySelectorAll("*")].filter((node) =>
      [...node.attributes].some((a) => a.name.startsWith("on"))).length,
    links: [...document.querySelectorAll("[href]")].filter((node) =>
      node.href.baseVal === undefined && !node.href.startsWith(location.origin)).map((node) => node.href),
    unseen: [...document.querySelectorAll("body *")].filter((node) => [...node.childNodes].some((child) =>
      child.nodeType === Node.TEXT_NODE && child.data.includes(unseen))).length,
  }), UNSEEN);
  assert.deepEqual(found, { images: 0, scripts: 1, handlers: 0, links: [], unseen: 0 });
}

for (const path of PAGES) {
  test(`${path.replace(id, "ATTACK").slice(0, 60)} shows attacks as text`, async () => {
    await visit(server.url, path, { expected: /404/ }, async (page) => {
      await page.locator("h1").waitFor();
      if (!path.includes("state=") && !path.includes("name=") && path !== "/ui/server")
        await seen(page, path.startsWith("/ui/no/") ? "No such page" : MARKUP);
      await harmless(page);
    });
  });
}

test("a strip shows attacks in IDs, identities, peers and reasons as text", async () => {
  for (const path of [`/ui/contexts/${id}`, `/ui/orchestrations/${id}`]) {
    await visit(server.url, path, { expected: /404/ }, async (page) => {
      await page.locator(".strip-picture rect").first().waitFor();
      if (path.includes("orchestrations")) await page.locator(".strip summary").click();
      await page.locator(".strip-rows tbody tr").nth(6).waitFor();
      const text = await page.locator(".strip-rows").textContent();
      for (const part of [`from ${MARKUP}`, `started by ${MARKUP}`, "Start: constructor", UNSEEN_SHOWN])
        assert.ok(text.includes(part), `${part} is in ${text}`);
      assert.equal(await page.evaluate((unseen) => [...document.querySelectorAll(".strip title")]
        .some((node) => node.textContent.includes(unseen)), UNSEEN), false);
      await harmless(page);
      await accessible(page);
    });
  }
});

test("the unseen is shown: in a name, a title, a command line", async () => {
  await visit(server.url, `/ui/orchestrations/${id}`, async (page) => {
    await seen(page, UNSEEN_SHOWN);
    const verbs = page.locator(".verbs button");
    const names = await verbs.allTextContents();
    assert.ok(names.length >= 4, String(names));
    for (const name of names) {
      await page.locator(".verbs").getByRole("button", { name, exact: true }).click();
      const command = await page.getByLabel("Command line").textContent();
      assert.ok(/^[\x20-\x7e]*$/.test(command), command);
      assert.ok(command.includes("\\u202e"), command);
      await harmless(page);
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    }
  });
});

test("a verb for many shows attacks in IDs, filters and refusals as text", async () => {
  const verb = server.verb;
  server.verb = () => [409, { code: "FAILED_PRECONDITION", message: ATTACK }];
  await visit(server.url, `/ui/orchestrations?name=${id}`, { expected: /409/ }, async (page) => {
    await page.getByRole("button", { name: "Select all that match" }).click();
    await page.getByRole("button", { name: "Purge…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Purge 1" }).waitFor();
    const command = await dialog.getByLabel("Command line").textContent();
    assert.ok(command.includes("\\u202e"), command);
    await harmless(page);
    await dialog.getByRole("button", { name: "Purge 1" }).click();
    await seen(page, "0 of 1 orchestration was");
    await harmless(page);
  });
  server.verb = verb;
});

test("each row of a hostile history has details that are text", async () => {
  await visit(server.url, `/ui/orchestrations/${id}`, { expected: /404/ }, async (page) => {
    await page.locator("li.lane .pick").first().waitFor();
    const rows = await page.locator("li.lane .pick").count();
    assert.ok(rows >= 9, `${rows} rows`);
    for (let i = 0; i < rows; ++i) {
      await page.locator("li.lane .pick").nth(i).click();
      await page.locator("aside").waitFor();
      await harmless(page);
    }
    await page.locator(".unfold").click();  // A child that is itself: no end, but for our bound.
    await harmless(page);
    await accessible(page);
  });
});

test("h() refuses handlers as text, foreign links, and HTML", async () => {
  await visit(server.url, "/ui/server", async (page) => {
    const refused = await page.evaluate(async () => {
      const { h } = await import("/ui/assets/h.js");
      const tries = [
        () => h("a", { href: "javascript:alert(1)" }), () => h("a", { href: "//evil.example/" }),
        () => h("a", { href: "https://evil.example/" }), () => h("p", { onclick: "alert(1)" }),
        () => h("p", { srcdoc: "x" }), () => h("p", { innerHTML: "x" }), () => h("img", { src: "x" }),
        () => { document.body.innerHTML = "<b>x</b>"; },
      ];
      return tries.map((attempt) => {
        try {
          attempt();
          return "let through";
        } catch (error) {
          return error.constructor.name;
        }
      });
    });
    assert.deepEqual(refused, Array(8).fill("TypeError"));
  }).catch((error) => {
    // The policy's own report of the last try is what we want to see.
    if (!/TrustedHTML|trusted/i.test(error.message) || /let through/.test(error.message)) throw error;
  });
});
