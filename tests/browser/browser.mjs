// A real browser for the tests. Whatever a page should not do fails the test: errors on its
// console, exceptions, browser dialogs, requests to anybody but its server.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before } from "node:test";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const CHROMIUM = process.env.LEASEHOLD_CHROMIUM ?? "/usr/bin/chromium";

export const WIDE = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

let browser;
before(async () => {
  // Chromium's own sandbox does not work for root; these pages are ours.
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
});
after(() => browser?.close());

// open(url, options, body): a fresh page at `url` of the server at `base`. `expected`: what
// the console may say (that the server is away, say).
export async function visit(base, path, options, body) {
  if (typeof options === "function") [options, body] = [{}, options];
  const { expected, ...settings } = options;
  const context = await browser.newContext({ viewport: WIDE, locale: "en-US", timezoneId: "Europe/Berlin",
    ...settings });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !expected?.test(message.text()))
      wrong.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`exception: ${error.stack}`));
  page.on("dialog", (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!/^(blob:)?http:\/\/127\.0\.0\.1/.test(request.url()) || !request.url().includes(base))
      wrong.push(`foreign request: ${request.url()}`);
  });
  try {
    await page.goto(base + path);
    await body(page, context);
    assert.equal(await page.evaluate("window.hacked"), undefined, "a script of the data has run");
    assert.doesNotMatch(await page.evaluate("document.body.innerText"), /\[object /, "a value that is no text");
    assert.deepEqual(wrong, [], "what the page should not do");
  } catch (error) {
    if (process.env.LEASEHOLD_SCREENSHOTS)
      await page.screenshot({ path: `${process.env.LEASEHOLD_SCREENSHOTS}/failed.png` });
    if (wrong.length) error.message += `\n${wrong.join("\n")}`;
    throw error;
  } finally {
    await context.close();
  }
}

// No violation of WCAG that axe knows.
export async function accessible(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run());
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) =>
    `${n.target} ${n.failureSummary.replaceAll("\n", " ")}`).slice(0, 3).join(" | ")}`), []);
}

// Whatever can be tapped has 40 pixels each way, and the page does not scroll sideways.
export async function tappable(page) {
  const { wide, small } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    small: [...document.querySelectorAll("a, button, input, select, textarea, summary")]
      .filter((node) => node.checkVisibility() && !node.matches(".skip")).map((node) => {
        const box = ((node.type === "checkbox" && node.closest("label")) || node).getBoundingClientRect();
        return { box, name: `${node.tagName} ${node.ariaLabel ?? node.textContent} ${box.width} x ${box.height}` };
      }).filter(({ box }) => box.width < 40 || box.height < 40).map(({ name }) => name),
  }));
  assert.deepEqual(small, [], "too small for a finger");
  assert.ok(wide <= 0, `it scrolls sideways: ${wide} pixels are too many`);
}

export async function seen(page, text, { exact = false } = {}) {
  await page.getByText(text, { exact }).filter({ visible: true }).first().waitFor();
}
