// Live updates: one stream of events a page, read by fetch.
//
// The stream is closed while the page is hidden (browsers open six connections to a
// server, for all tabs together), and comes back by itself: after a restart of the
// server too. Not EventSource: that cannot send a token.

import { isGone, request } from "./api.js";

const SILENCE_MS = 40000;  // The server says something every 15 s.
const LONG_MS = 5000;
const RETRY_MIN_MS = 500, RETRY_MAX_MS = 10000;

// The server's monotonic clock, by which leases end. The smallest difference seen is
// the one of the message that travelled fastest.
let offset = Infinity;
export function noteServerTime(nowMs) {
  if (typeof nowMs === "number") offset = Math.min(offset, performance.now() - nowMs);
}
export function serverNow() {
  return Number.isFinite(offset) ? performance.now() - offset : undefined;
}

// Calls take(event, data) for each event in the bytes of `reader`.
export class EventReader {
  constructor(take) {
    this.take = take;
    this.rest = "";
    this.decoder = new TextDecoder();
    this.clear();
  }
  clear() {
    this.event = "message";
    this.data = [];
  }
  push(bytes) {
    const lines = (this.rest + this.decoder.decode(bytes, { stream: true })).split("\n");
    this.rest = lines.pop();
    for (const line of lines) this.line(line.endsWith("\r") ? line.slice(0, -1) : line);
  }
  line(line) {
    if (line === "") {
      if (this.data.length) this.take(this.event, this.data.join("\n"));
      this.clear();
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.event = value;
    else if (field === "data") this.data.push(value);
  }
}

export class Live {
  // handlers: {contexts, orchestration, strip, stats, lagged, end}, each (data) => void.
  // tell(state): "live", "connecting", "paused", "off" and, with it, a reason.
  constructor(topics, handlers, tell) {
    this.topics = topics;
    this.handlers = handlers;
    this.tell = tell;
    this.failures = 0;
    this.onVisible = () => {
      if (document.hidden) this.pause();
      else if (!this.running) this.run();
    };
    document.addEventListener("visibilitychange", this.onVisible);
    if (document.hidden) this.tell("paused");
    else this.run();
  }

  pause() {
    clearTimeout(this.timer);
    this.abort?.abort();
    this.running = false;
    this.tell("paused");
  }

  stop() {
    document.removeEventListener("visibilitychange", this.onVisible);
    this.stopped = true;
    clearTimeout(this.timer);
    this.abort?.abort();
  }

  async run() {
    this.running = true;
    const abort = this.abort = new AbortController();
    try {
      const begin = performance.now();
      await this.read(abort);
      // Where it has to know who asks, the server ends streams now and then, to ask again.
      if (performance.now() - begin > LONG_MS && !abort.signal.aborted) await this.run();
      else this.again(abort, "the server ended the stream");
    } catch (error) {
      if (isGone(error) && !abort.silent) return;  // Paused or stopped.
      if ([400, 401, 403, 404, 501].includes(error.status)) {
        this.running = false;
        this.tell("off", error.message);
        return;
      }
      this.again(abort, error.message);
    }
  }

  again(abort, reason) {
    if (this.stopped || (abort.signal.aborted && !abort.silent)) return;
    const wait = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** this.failures);
    this.failures += 1;
    this.tell("connecting", reason);
    this.timer = setTimeout(() => this.run(), wait * (0.75 + Math.random() / 2));
  }

  async read(abort) {
    const guard = () => setTimeout(() => {
      abort.silent = true;
      abort.abort();
    }, SILENCE_MS);
    let silence = guard();
    try {
      const path = `events?${new URLSearchParams(this.topics.map((topic) => ["topics", topic]))}`;
      const response = await request(path, { signal: abort.signal, accept: "text/event-stream" });
      this.failures = 0;
      offset = Infinity;  // Another server, perhaps, with another clock.
      this.tell("live");
      const events = new EventReader((event, data) => this.take(event, data));
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = guard();
        events.push(value);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  take(event, text) {
    if (this.stopped) return;
    const data = JSON.parse(text);
    noteServerTime(data.server_now_ms);
    this.handlers[event]?.(data);
  }
}
