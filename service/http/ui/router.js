// Which page a path is, and what a page is given: a place, a signal that ends with it,
// timers, the stream, the query in the URL.

import { isGone } from "./api.js";
import { fill, h } from "./h.js";
import { Live } from "./live.js";
import { refreshLeases } from "./parts.js";

export class Page {
  constructor(router, main) {
    this.router = router;
    this.main = main;
    this.abort = new AbortController();
    this.signal = this.abort.signal;
    this.query = new URLSearchParams(location.search);
    this.ends = [];
    this.refreshLeases = () => refreshLeases(main);
  }

  // more: what stands beside it.
  heading(kind, id, ...more) {
    document.title = `${id === undefined ? kind : `${kind} ${id}`} – Leasehold`;
    return h("div", { class: "title" }, h("h1", { tabindex: -1 }, kind,
      id === undefined ? null : [" ", h("span", { class: "name" }, id)]), more);
  }

  show(...nodes) {
    fill(this.main, nodes);
  }

  onLeave(hook) { this.ends.push(hook); }
  onEscape(hook) { this.escape = hook; }
  say(text) { this.router.say(text); }
  navigate(path) { this.router.navigate(path); }

  // Not while the page is hidden: nobody looks.
  every(ms, run) {
    const timer = setInterval(() => { if (!document.hidden) run(); }, ms);
    this.onLeave(() => clearInterval(timer));
  }

  // One stream a page; another takes its place.
  live(topics, handlers) {
    this.stream?.stop();
    const stream = this.stream = new Live(topics, handlers, (state, reason) => {
      if (stream === undefined || stream === this.stream) this.router.tellLive(state, reason);
    });
    if (this.ends.includes(this.stopStream)) return;
    this.stopStream = () => this.stream.stop();
    this.onLeave(this.stopStream);
  }

  setQuery(changes) {
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined) this.query.delete(name);
      else this.query.set(name, value);
    }
    const text = this.query.toString();
    history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
  }

  leave() {
    this.abort.abort();
    for (const end of this.ends) end();
  }
}

export class Router {
  // routes: [[RegExp over the path after /ui, (page, params) => void], ...]
  constructor({ routes, main, say, tellLive, moved }) {
    Object.assign(this, { routes, main, say, tellLive, moved });
    window.addEventListener("popstate", () => this.open());
    document.addEventListener("click", (event) => this.click(event));
    window.addEventListener("unhandledrejection", (event) => {
      if (isGone(event.reason ?? {})) event.preventDefault();  // Its page has been left.
    });
  }

  click(event) {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey ||
        event.shiftKey || event.altKey || link.hasAttribute("download")) return;
    const href = link.getAttribute("href");
    if (href !== "/ui/" && !href.startsWith("/ui/")) return;
    event.preventDefault();
    this.navigate(href);
  }

  navigate(path) {
    history.pushState(null, "", path);
    this.open(true);
  }

  open(focus = true) {
    this.page?.leave();
    const page = this.page = new Page(this, this.main);
    const path = location.pathname.replace(/^\/ui\/?/, "/").replace(/(.)\/$/, "$1");
    this.tellLive("none");
    for (const [pattern, show] of this.routes) {
      const found = pattern.exec(path);
      if (!found) continue;
      let params;
      try {
        params = Object.fromEntries(Object.entries(found.groups ?? {})
          .map(([name, value]) => [name, decodeURIComponent(value)]));
      } catch {
        break;  // Not UTF-8: no name of anything.
      }
      try {
        show(page, params);
      } catch (error) {
        page.show(page.heading("Not possible"), h("p", null, error.message));
      }
      this.arrive(path, focus);
      return;
    }
    page.show(page.heading("No such page"), h("p", null, "There is nothing at ",
      h("code", null, location.pathname), ". ",
    h("a", { class: "lone", href: "/ui/" }, "To the overview")));
    this.arrive(path, focus);
  }

  arrive(path, focus) {
    this.moved(path);
    if (!focus) return;
    window.scrollTo(0, 0);
    this.main.querySelector("h1")?.focus({ preventScroll: true });
  }
}
