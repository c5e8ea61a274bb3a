// A server for the dashboard that does what a test wants: /ui from the sources, /api/v1 from
// a fixture. What the real one does is tested against the real one (real_server.test.mjs).

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { BATCH_VERBS } from "../../service/http/ui/batch.js";
import { BEGIN, context, orchestration, pretty, strip, Writer } from "./fixture.mjs";

const UI = fileURLToPath(new URL("../../service/http/ui/", import.meta.url));
const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8", svg: "image/svg+xml" };

// As service/http/http_door.cc sends them.
export const SESSION = "a-session";
const SECURITY_HEADERS = {
  "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
    "require-trusted-types-for 'script'; trusted-types 'none'",
  "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
};

const ENDS = { terminate: "TERMINATED", suspend: "SUSPENDED", resume: "RUNNING", rewind: "RUNNING",
  restart: "PENDING" };

export class MockServer {
  constructor(data) {
    this.data = data;
    this.posts = [];        // [{path, body}]
    this.token = undefined; // Set: only who brings it is let in.
    this.streams = new Set();
    this.born = performance.now();
    this.calls = { ok: 1000, failed: 3, refused: 2, cancelled: 1 };
    this.points = [];
    this.tokens = new Map();  // Of batches that were looked at.
    this.running = new Map(); // And of those that run: {stopped}.
  }

  // The same port again after a stop: a server that was restarted.
  async start() {
    this.server = createServer((request, response) => this.serve(request, response));
    await new Promise((resolve) => this.server.listen(this.port ?? 0, "127.0.0.1", resolve));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
    this.born = performance.now();
    this.ticker = setInterval(() => {
      this.calls.ok += 37;
      this.calls.failed += 2;
      this.push("stats", "stats", this.stats());
    }, 1000);
    return this;
  }

  async stop() {
    clearInterval(this.ticker);
    this.streams.clear();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  now() {
    return performance.now() - this.born;
  }

  serve(request, response) {
    const [path, query = ""] = request.url.split("?");
    if (path.startsWith("/api/v1/") || path === "/login" || path === "/logout") {
      let body = "";
      request.on("data", (part) => { body += part; });
      request.on("end", () => {
        if (path.startsWith("/log")) this.session(response, path, JSON.parse(body));
        else this.api(request, response, path.slice(8), new URLSearchParams(query), body);
      });
      return;
    }
    if (path === "/metrics") {
      response.writeHead(this.data.metrics ? 200 : 403, { "Content-Type": "text/plain; version=0.0.4" });
      response.end(this.data.metrics);
      return;
    }
    const name = path === "/favicon.svg" ? "favicon.svg" : /^\/ui\/assets\/([\w.]+)$/.exec(path)?.[1];
    const file = name ?? (path.startsWith("/ui/") && !path.startsWith("/ui/assets/") ? "index.html" : undefined);
    if (!file) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { ...SECURITY_HEADERS, "Content-Type": TYPES[file.split(".").pop()] });
    response.end(readFileSync(UI + file));
  }

  session(response, path, body) {
    const lets = path === "/logout" || body.token === this.token;
    response.writeHead(lets ? 204 : 401, lets ? { ...SECURITY_HEADERS,
      "Set-Cookie": `leasehold=${path === "/login" ? SESSION : ""}; Path=/; HttpOnly; SameSite=Strict`
        + (path === "/login" ? "" : "; Max-Age=0") } : { "Content-Type": "application/json" });
    response.end(lets ? "" : JSON.stringify({ code: "UNAUTHENTICATED", message: "not a token of mine" }));
  }

  api(request, response, path, query, body) {
    const answer = (status, json) => {
      response.writeHead(status, { ...SECURITY_HEADERS, "Content-Type": "application/json",
        "Cache-Control": "no-store" });
      response.end(JSON.stringify(json));
    };
    const known = !this.token || request.headers.cookie === `leasehold=${SESSION}`;
    const whoami = { ...this.data.whoami, version: this.data.version };
    if (path === "whoami" && !this.token) return answer(200, whoami);
    if (!known) return answer(401, { code: "UNAUTHENTICATED", message: "who calls? bring a token" });
    if (path === "whoami")
      return answer(200, { ...whoami, authenticated: true, session: true });
    if (path === "events") return this.stream(request, response, query.getAll("topics"));
    const [kind, ...rest] = path.split("/").map(decodeURIComponent);
    if (path === "orchestrations:batch") return this.batch(response, answer, JSON.parse(body));
    if (path === "stats")
      return answer(200, { stats: this.stats(), window_ms: 600000, points: this.points });
    if (request.method === "POST") {
      this.posts.push({ path: decodeURIComponent(path), body: body ? JSON.parse(body) : undefined });
      // A test may put a slower one in its place.
      return Promise.resolve(this.verb(kind, rest.join("/"), body ? JSON.parse(body) : {}))
        .then((done) => answer(...done));
    }
    return answer(...this.read(kind, rest, query));
  }

  read(kind, [id, part], query) {
    const no = (what) => [404, { code: "NOT_FOUND", message: `there is no ${what} "${id}"` }];
    if (kind === "workers") return [200, { workers: this.data.workers }];
    if (part === "explain") {
      const found = this.data.explanations.get(`${kind}/${id}`);
      return found ? [200, found] : [200, {}];
    }
    if (part === "strip") {
      const found = this.strip(id);
      return found ? [200, found] : no("strip");
    }
    if (kind === "contexts") {
      if (id === undefined) return [200, { contexts: this.contexts(query.get("prefix") ?? ""),
        server_now_ms: this.now() }];
      const found = this.data.contexts.get(id);
      return found ? [200, { context: this.row(found), server_now_ms: this.now() }] : no("context");
    }
    if (kind === "entities") {
      if (id === undefined) return [200, { entities: [...this.data.entities.values()].map(({ state, ...e }) => e) }];
      const found = this.data.entities.get(id);
      return found ? [200, { entity: found }] : no("entity");
    }
    if (kind === "orchestrations:count") return [200, this.count(query)];
    if (kind !== "orchestrations") return no("such thing");
    if (id === undefined) return [200, this.list(query)];
    const found = this.data.orchestrations.get(id);
    if (!found) return no("orchestration");
    if (part === "history") {
      const from = Number(query.get("after") ?? 0), limit = Number(query.get("limit") ?? 1000);
      const events = found.history.slice(from, from + limit);
      const last = from + events.length;
      return [200, { events, execution_id: found.state.execution_id, next_after: String(last),
        more: last < found.history.length }];
    }
    if (part === "payload") return [200, "the whole payload"];
    return [200, { orchestration: found.state }];
  }

  strip(id) {
    const set = this.data.strips?.get(id);
    const open = this.data.contexts.get(id), run = this.data.orchestrations.get(id)?.state;
    if (set || (!open && !run)) return set;
    return { ...strip(id), contexts: open ? [{ generation: open.generation, create_time: open.create_time }] : [],
      runs: run ? [{ execution_id: run.execution_id, create_time: run.create_time, end_time: run.end_time,
        status: run.status }] : [] };
  }

  matching(query) {
    const statuses = (query.get("status") ?? "").split(",").filter(Boolean);
    const tags = query.getAll("tag").filter(Boolean);
    return [...this.data.orchestrations.values()].map((o) => {
      const { input, output, ...summary } = o.state;
      return summary;
    }).filter((o) => (!statuses.length || statuses.includes(o.status)) &&
      (!query.get("name") || o.name === query.get("name")) &&
      o.instance_id.startsWith(query.get("prefix") ?? "") &&
      tags.every((tag) => Object.entries(o.tags ?? {}).some(([key, value]) =>
        tag === key || tag === `${key}=${value}`)) &&
      (!query.get("from") || o.create_time >= query.get("from")) &&
      (!query.get("to") || o.create_time <= query.get("to")));
  }

  // The cursor is where the last row was, as the server's is: rows may come and go between.
  list(query) {
    const newest = query.get("order") === "newest", cursor = query.get("cursor");
    const place = (o) => `${o.create_time} ${o.instance_id}`;
    const all = this.matching(query).sort((a, b) => (place(a) < place(b) === newest ? 1 : -1))
      .filter((o) => !cursor || (newest ? place(o) < cursor : place(o) > cursor));
    const page = all.slice(0, Number(query.get("limit") ?? 100));
    return { orchestrations: page, next_cursor: page.length < all.length ? place(page.at(-1)) : undefined };
  }

  count(query) {
    const by = {};
    for (const { status } of this.matching(query)) by[status] = (by[status] ?? 0) + 1;
    return { counts: Object.entries(by).map(([status, n]) => ({ status, count: String(n) })), complete: true };
  }

  verb(kind, target, body) {
    if (kind === "orchestrations" && target === "") {
      const id = body.instance_id ?? "made-by-the-server";
      this.data.orchestrations.set(id, pretty(orchestration(id, { name: body.name, status: "PENDING",
        input: body.input, create_time: new Date(BEGIN + 1e6).toISOString() }),
      new Writer().add("execution_started", { name: body.name, input: body.input })));
      return [202, { instance_id: id, execution_id: "run", created: true }];
    }
    const colon = target.lastIndexOf(":"), id = target.slice(0, colon), verb = target.slice(colon + 1);
    if (verb === "release") {
      const found = this.data.contexts.get(id);
      if (!found) return [404, { code: "NOT_FOUND", message: `there is no context "${id}"` }];
      if (found.state === "BUSY" && !body.force)
        return [409, { code: "FAILED_PRECONDITION", message: `context "${id}" is busy` }];
      this.closeContext(id, "released");
      return [200, {}];
    }
    const found = this.data.orchestrations.get(id);
    if (!found) return [404, { code: "NOT_FOUND", message: `there is no orchestration "${id}"` }];
    if (verb === "purge") this.data.orchestrations.delete(id);
    if (ENDS[verb]) this.change(id, { status: ENDS[verb] });
    if (verb === "raise-event") this.append(id, "event_raised", { name: body.name, input: body.input });
    return [202, verb === "restart" ? { instance_id: id } : {}];
  }

  // ---- What changes while somebody looks ---------------------------------------------

  row({ lease_in_ms, ...rest }) {
    return lease_in_ms === undefined ? rest : { ...rest, lease_deadline_ms: lease_in_ms };
  }

  contexts(prefix) {
    return [...this.data.contexts.values()].filter((c) => c.instance_id.startsWith(prefix))
      .map((c) => this.row(c));
  }

  stats() {
    const by = {};
    for (const { state } of this.data.orchestrations.values()) by[state.status] = (by[state.status] ?? 0) + 1;
    const contexts = [...this.data.contexts.values()], now = Math.round(this.now());
    const open = contexts.length, busy = contexts.filter((c) => c.state === "BUSY").length;
    const calls = Object.fromEntries(Object.entries(this.calls).map(([name, n]) => [name, String(n)]));
    if (!(now - this.points.at(-1)?.at_ms < 900)) this.points.push({ at_ms: now, open, calls });
    return { server_now_ms: now, uptime_ms: now + 3723000, contexts: { open, busy, idle: open - busy },
      orchestrations: by, workers: this.data.workers.length, calls };
  }

  // ---- Batches -------------------------------------------------------------------------

  batch(response, answer, { verb, filter, instance_ids: ids, token, request, stop }) {
    if (token === undefined) return answer(200, this.lookAt(verb, filter, ids));
    const wrong = [404, { code: "NOT_FOUND", message: "token: it is not known here" }];
    if (stop) {
      const run = this.running.get(token);
      if (run) run.stopped = true;
      return answer(...(run ? [200, {}] : wrong));
    }
    const asked = this.tokens.get(token);
    if (!asked) return answer(...wrong);
    this.tokens.delete(token);
    return this.runBatch(response, token, asked, request ?? {});
  }

  lookAt(verb, filter = {}, given) {
    const ids = given ?? this.fitting(verb, filter);
    return { matched: ids.length, token: this.keep({ verb, ids }), first: ids.slice(0, 10), expires_in_ms: 300000 };
  }

  keep(asked) {
    const token = `token-${this.tokens.size}-${Math.random()}`;
    this.tokens.set(token, asked);
    return token;
  }

  fitting(verb, { status, ...rest }) {
    const fits = BATCH_VERBS[verb].fits;
    const words = fits.filter((word) => !status || status.split(",").includes(word));
    if (words.length === 0) return [];
    const query = new URLSearchParams(Object.entries({ ...rest, status: words.join(","), limit: "100000" })
      .filter(([, value]) => value));
    return this.list(query).orchestrations.map((o) => o.instance_id);
  }

  async runBatch(response, token, { verb, ids }, body) {
    response.writeHead(200, { ...SECURITY_HEADERS, "Content-Type": "application/x-ndjson", "Cache-Control": "no-store" });
    const tell = (line) => response.write(`${JSON.stringify(line)}\n`);
    const run = { stopped: false }, failures = [];
    this.running.set(token, run);
    let next = 0, done = 0;
    const lane = async () => {
      while (next < ids.length && !run.stopped && !response.destroyed) {
        const id = ids[next++];
        this.posts.push({ path: `orchestrations/${id}:${verb}`, body });
        const [status, said] = await this.verb("orchestrations", `${id}:${verb}`, body);
        if (status < 400) done += 1;
        else {
          failures.push(id);
          tell({ instance_id: id, code: said.code, message: said.message });
        }
        tell({ done, failed: failures.length });
      }
    };
    await Promise.all(Array.from({ length: 4 }, lane));
    this.running.delete(token);
    const rest = [...failures, ...ids.slice(next)];
    tell({ finished: true, done, failed: failures.length, left: ids.length - next,
      ...(run.stopped ? { why: "it was stopped" } : {}),
      ...(rest.length ? { rest: { matched: rest.length, token: this.keep({ verb, ids: rest }) } } : {}) });
    response.end();
  }

  stream(request, response, topics) {
    response.writeHead(200, { ...SECURITY_HEADERS, "Content-Type": "text/event-stream",
      "Cache-Control": "no-store" });
    response.write("retry: 2000\n\n");
    if (topics.includes("stats")) this.write({ response }, "stats", this.stats());
    const stream = { topics, response };
    this.streams.add(stream);
    response.on("close", () => this.streams.delete(stream));
    for (const topic of topics) {
      const prefix = /^contexts:(.*)$/s.exec(topic)?.[1];
      if (prefix !== undefined)
        this.write(stream, "contexts", { snapshot: this.contexts(prefix), server_now_ms: this.now() });
    }
  }

  write(stream, event, data) {
    stream.response.write(`id: 1\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  push(topic, event, data) {
    for (const stream of this.streams)
      if (stream.topics.some((t) => t === topic || (t.startsWith("contexts:") &&
        topic.startsWith(t)))) this.write(stream, event, data);
  }

  putContext(id, more) {
    const lease = more.lease_in_ms === undefined ? {} : { lease_in_ms: this.now() + more.lease_in_ms };
    const next = { ...(this.data.contexts.get(id) ?? context(id)), ...more, ...lease };
    this.data.contexts.set(id, next);
    this.push(`contexts:${id}`, "contexts", { changed: [this.row(next)], closed: [], server_now_ms: this.now() });
  }

  // Something has been recorded of the ID.
  putStrip(id, next) {
    this.data.strips.set(id, next);
    this.push(`strip:${id}`, "strip", { instance_id: id, version: "2" });
  }

  closeContext(id, reason) {
    const { generation } = this.data.contexts.get(id);
    this.data.contexts.delete(id);
    this.push(`contexts:${id}`, "contexts", { changed: [], closed: [{ instance_id: id, generation, reason }],
      server_now_ms: this.now() });
  }

  change(id, more) {
    const found = this.data.orchestrations.get(id);
    Object.assign(found.state, more);
    this.push(`orchestration:${id}`, "orchestration", { orchestration: found.state,
      history_sequence: String(found.history.length) });
  }

  append(id, kind, fields, { event_id = -1, at = Date.now() } = {}) {
    const found = this.data.orchestrations.get(id);
    found.history.push({ event_id, sequence: String(found.history.length + 1),
      time: new Date(at).toISOString(), kind, ...fields });
    this.change(id, {});
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { fixture, hostileFixture } = await import("./fixture.mjs");
  const server = new MockServer(process.argv[2] === "hostile" ? hostileFixture() : fixture());
  await server.start();
  console.log(`${server.url}/ui/`);
}
