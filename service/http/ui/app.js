// The shell around the pages: navigation, search, sign-in, the state of the stream.

import { ApiError, get, segment, signIn, signOut, whenUnknown } from "./api.js";
import { dialog } from "./dialogs.js";
import { currentZone, refreshTimes, setZone, zones } from "./format.js";
import { fill, h } from "./h.js";
import { listenForKeys, showKeys } from "./keys.js";
import { contextPage } from "./page_context.js";
import { contextsPage } from "./page_contexts.js";
import { entitiesPage, entityPage } from "./page_entities.js";
import { orchestrationPage } from "./page_orchestration.js";
import { orchestrationsPage } from "./page_orchestrations.js";
import { overviewPage } from "./page_overview.js";
import { serverPage } from "./page_server.js";
import { workersPage } from "./page_workers.js";
import { Router } from "./router.js";

const ROUTES = [
  [/^\/$/, overviewPage],
  [/^\/contexts$/, contextsPage],
  [/^\/contexts\/(?<id>[^/]+)$/, contextPage],
  [/^\/orchestrations$/, orchestrationsPage],
  [/^\/orchestrations\/(?<id>[^/]+)$/, orchestrationPage],
  [/^\/entities$/, entitiesPage],
  [/^\/entities\/(?<id>[^/]+)$/, entityPage],
  [/^\/workers$/, workersPage],
  [/^\/server$/, serverPage],
];
const NAVIGATION = [
  ["/", "Overview"], ["/contexts", "Contexts"], ["/orchestrations", "Orchestrations"],
  ["/entities", "Entities"], ["/workers", "Workers"], ["/server", "Server"],
];
// Not every server has these to show.
const OPTIONAL = ["/entities", "/workers"];
const ZONE_NAMES = { local: "Local time", utc: "UTC", relative: "Relative" };
const LIVE = {
  live: ["●", "live"], connecting: ["◌", "reconnecting"], paused: ["Ⅱ", "paused"],
  off: ["○", "no live updates"], none: ["", ""],
};

const links = new Map(NAVIGATION.map(([path, label]) =>
  [path, h("a", { href: `/ui${path}`, hidden: OPTIONAL.includes(path) }, label)]));
const live = h("span", { class: "live", role: "status" });
const region = h("div", { class: "unseen", "aria-live": "polite" });
const main = h("main", { id: "main" });
const search = h("input", { type: "search", name: "id", placeholder: "Go to an ID ( / )",
  "aria-label": "Go to an ID", autocomplete: "off", spellcheck: "false", enterkeyhint: "go" });
const zone = h("select", { "aria-label": "Times in", onchange: () => setZone(zone.value) },
  zones.map((name) => h("option", { value: name, selected: name === currentZone() },
    ZONE_NAMES[name])));
const account = h("span", { class: "account" });

document.body.append(
  h("a", { class: "skip", href: "#main" }, "To the content"),
  h("header", { class: "top" },
    h("a", { class: "brand", href: "/ui/" }, "Leasehold"),
    h("nav", { "aria-label": "Pages" }, [...links.values()]),
    h("form", { class: "go", role: "search", onsubmit: go }, search),
    h("div", { class: "tools" }, live, zone,
      h("button", { type: "button", class: "help", "aria-label": "Keys", onclick: showKeys }, "?")),
    account),
  main, region);

const router = new Router({ routes: ROUTES, main, say, tellLive, moved });
listenForKeys(router, search);
setInterval(() => { if (currentZone() === "relative" && !document.hidden) refreshTimes(document); },
  5000);

function say(text) {
  fill(region, text);
}

let liveState;
function tellLive(state, reason) {
  const [icon, word] = LIVE[state];
  live.className = `live ${state}`;
  if (reason) live.title = reason;
  else live.removeAttribute("title");
  if (state === liveState) return;
  liveState = state;
  fill(live, h("span", { "aria-hidden": "true" }, icon), word ? ` ${word}` : "");
}

function moved(path) {
  const section = `/${path.split("/")[1]}`;
  for (const [to, link] of links) {
    if (to === section) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// An ID that is known is gone to; else it is taken for the beginning of some.
async function go(event) {
  event.preventDefault();
  const id = search.value;
  if (id === "") return;
  const path = encodeURIComponent(id);
  const has = async (kind) => {
    try {
      await get(`${kind}/${segment(id)}`);
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return false;
    }
  };
  if (await has("orchestrations")) router.navigate(`/ui/orchestrations/${path}`);
  else if (await has("contexts")) router.navigate(`/ui/contexts/${path}`);
  else router.navigate(`/ui/orchestrations?prefix=${path}`);
  search.value = "";
}

// ---- Who asks ---------------------------------------------------------------------

let signedIn = false;

function askWho() {
  if (document.querySelector("dialog.sign-in")) return;
  const token = h("input", { type: "password", id: "token", name: "token", autocomplete: "off",
    required: true });
  const error = h("p", { class: "error", role: "alert" },
    signedIn ? "The session has ended." : "");
  const node = dialog("Sign in", h("form", { method: "dialog", onsubmit: submit },
    h("p", null, "This server asks who calls. Paste a token: the browser stays signed in for "
      + "12 hours, and keeps a session instead of the token."),
    h("p", { class: "field" }, h("label", { for: "token" }, "Token"), token), error,
    h("p", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, "Sign in"))));
  node.classList.add("sign-in");
  token.focus();

  async function submit(event) {
    event.preventDefault();
    try {
      await signIn(token.value.trim());
      const who = await get("whoami");
      node.close();
      known(who);
      router.open();
    } catch (failed) {
      fill(error, failed.message);
    }
  }
}

function showAccount(who) {
  signedIn = who.session;
  const name = `${who.name ?? ""} (${who.tenant})`.trim();
  fill(account, who.session ? [h("span", { class: "who", title: name }, name),
    h("button", { type: "button", title: name, onclick: async () => {
      await signOut();
      location.reload();
    } }, "Sign out")] : null);
}

// What depends on who asks.
function known(who) {
  showAccount(who);
  for (const path of OPTIONAL)
    get(path.slice(1), { limit: 1 }).then(() => { links.get(path).hidden = false; }, () => {});
}

async function begin() {
  whenUnknown(askWho);
  router.open(false);
  try {
    known(await get("whoami"));
  } catch {
    // The page says what is wrong.
  }
}
begin();
