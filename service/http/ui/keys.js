// The keyboard: / search, j k rows, Enter opens, Esc closes, ? says so.

import { dialog } from "./dialogs.js";
import { h } from "./h.js";

const KEYS = [
  ["/", "to the search"], ["j", "next row"], ["k", "row before"], ["Enter", "open the row"],
  ["x", "select the row, in a list of orchestrations"],
  ["Esc", "close what is open, or leave the field"], ["?", "this help"],
];

export function showKeys() {
  dialog("Keys", h("div", null,
    h("dl", { class: "facts keys" }, KEYS.map(([key, what]) =>
      h("div", null, h("dt", null, h("kbd", null, key)), h("dd", null, what)))),
    h("form", { method: "dialog" }, h("button", { type: "submit", class: "primary" }, "Close"))));
}

export function listenForKeys(router, search) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]")) return;  // It has keys of its own.
    const writing = event.target.closest?.("input, textarea, select");
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
