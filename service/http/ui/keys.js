// The keyboard: / search, j k rows, x selects, Enter opens, Esc closes, ? says so. An ID that
// is pasted is gone to.

import { dialog } from "./dialogs.js";
import { h } from "./h.js";

const KEYS = [
  ["/", "to the search"], ["j", "next row"], ["k", "row before"], ["Enter", "open the row"],
  ["x", "select the row, in a list of orchestrations"],
  ["Esc", "close what is open, or leave the field"], ["Ctrl V", "paste an ID to go to it"], ["?", "this help"],
];

export function showKeys() {
  dialog("Keys", h("div", null,
    h("dl", { class: "facts keys" }, KEYS.map(([key, what]) =>
      h("div", null, h("dt", null, h("kbd", null, key)), h("dd", null, what)))),
    h("form", { method: "dialog" }, h("button", { type: "submit", class: "primary" }, "Close"))));
}

const PASTED_MAX = 1000;
const isWriting = (node) => node.closest?.("input:not([type=checkbox]), textarea, select");

export function listenForKeys(router, search) {
  document.addEventListener("paste", (event) => {
    if (document.querySelector("dialog[open]") || isWriting(event.target)) return;
    const text = event.clipboardData.getData("text").trim();
    if (text === "" || text.length > PASTED_MAX || text.includes("\n")) return;
    event.preventDefault();
    search.value = text;
    search.form.requestSubmit();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]")) return;  // It has keys of its own.
    const writing = isWriting(event.target);
    if (event.key === "Escape") {
      if (!router.page?.escape?.() && writing) writing.blur();
      return;
    }
    if (writing) return;
    const act = {
      "/": () => { search.focus(); search.select(); },
      "j": () => router.page?.rows?.move(1),
      "k": () => router.page?.rows?.move(-1),
      "x": () => router.page?.select?.(event.target),
      "?": showKeys,
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
