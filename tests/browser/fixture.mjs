// What the mock server serves: a node with contexts, orchestrations and workers, after the
// contract of /api/v1. `hostile` puts attacks into every field that a user controls.

// It began some seconds ago, whenever that is.
export const BEGIN = Date.now() - 6000;
const iso = (ms) => new Date(ms).toISOString();

// What must stay text, and what must be seen.
export const MARKUP = '<img src=x onerror="window.hacked=1">';
export const UNSEEN = "a\u202Eb\u200Bc";
export const UNSEEN_SHOWN = "a\\u{202e}b\\u{200b}c";
export const ATTACK = `${MARKUP}'"><script>window.hacked=1</script>javascript:window.hacked=1 {{7*7}} ${UNSEEN}`;

export function context(id, more = {}) {
  return {
    instance_id: id, generation: "7", state: "IDLE", idle_timeout_ms: 20000, pins: [],
    extensions: ["leasehold::EchoInstance"], create_time: iso(BEGIN), last_use_time: iso(BEGIN + 5000),
    ...more,
  };
}

export function orchestration(id, more = {}) {
  return {
    instance_id: id, execution_id: `${id}-run-1`, name: "ProcessOrder", version: "", status: "RUNNING",
    create_time: iso(BEGIN), update_time: iso(BEGIN + 3000), tags: {}, ...more,
  };
}

// The strip of an ID, as of BEGIN + 6 s. A span is [what, from, to, how], in milliseconds after
// BEGIN; a start [result, at, more].
export function strip(id, { contexts = [], runs = [], starts = [], ...more } = {}) {
  const span = (name, how) => ([what, from, to, ended]) => ({ [name]: what, create_time: iso(BEGIN + from),
    ...(to === undefined ? {} : { end_time: iso(BEGIN + to) }), ...(ended === undefined ? {} : { [how]: ended }) });
  return {
    instance_id: id, contexts: contexts.map(span("generation", "reason")),
    runs: runs.map(span("execution_id", "status")),
    starts: starts.map(([result, at, rest]) => ({ result, time: iso(BEGIN + at), ...rest })),
    contexts_before: "0", runs_before: "0", starts_before: "0", since_time: iso(BEGIN - 60000),
    server_start_time: iso(BEGIN - 60000), server_time: iso(BEGIN + 6000), ...more,
  };
}

export function orderStrip() {
  const ann = { identity: "ann@example.com", peer: "ipv4:10.0.0.7:40112" };
  return strip("order-1", {
    contexts: [["5", -50000, -28000, "idle"], ["9", -20000, -4000, "released"], ["12", -200]],
    runs: [["run-0a1b2c", -50000, -30000, "COMPLETED"], ["order-1-run-1", 0, undefined, "RUNNING"]],
    starts: [["STARTED", -50000, { ...ann, execution_id: "run-0a1b2c" }],
      ["ATTACHED", -41000, { identity: "bob", peer: "ipv6:%5B::1%5D:5000", execution_id: "run-0a1b2c" }],
      ["REFUSED", -35000, { peer: "ipv4:10.0.0.9:1", code: "ALREADY_EXISTS" }],
      ["STARTED", 0, { ...ann, execution_id: "order-1-run-1" }],
      ["ATTACHED", 2000, { identity: "bob", peer: "ipv6:%5B::1%5D:5001", execution_id: "order-1-run-1" }]],
  });
}

// One that goes on for ever: a run a second, the newest hundred of thousands.
export function eternalStrip(id = "nightly") {
  return strip(id, {
    contexts: [["3", -50000]],
    runs: Array.from({ length: 100 }, (_, i) => [`e${i}`, -94000 + i * 1000,
      i === 99 ? undefined : -93000 + i * 1000, i === 99 ? "RUNNING" : "CONTINUED_AS_NEW"]),
    runs_before: "4012", since_time: iso(BEGIN - 3000000),
  });
}

// A writer of histories: at(ms).add(kind, fields).
export class Writer {
  constructor(begin = BEGIN) {
    this.begin = begin;
    this.now = begin;
    this.events = [];
    this.nextId = 0;
  }
  after(ms) {
    this.now += ms;
    return this;
  }
  add(kind, fields = {}) {
    this.events.push({ event_id: -1, sequence: String(this.events.length + 1), time: iso(this.now),
      kind, ...fields });
    return this;
  }
  schedule(kind, fields) {
    const id = this.nextId++;
    this.add(kind, { ...fields, event_id: id });
    return id;
  }
  turn(body) {
    this.add("turn_started");
    const result = body();
    this.after(15).add("turn_completed");
    return result;
  }
}

export function orderHistory(w = new Writer()) {
  w.add("execution_started", { name: "ProcessOrder", input: '{"order":12345678901234567890,"to":"Tokyo"}' });
  w.after(400);
  const reserve = w.turn(() => w.schedule("activity_scheduled", { name: "Reserve", input: '"sku-1"' }));
  w.after(600).add("activity_completed", { scheduled_id: reserve, output: "true" });
  let charge = w.turn(() => w.schedule("activity_scheduled", { name: "Charge", input: '{"amount":42}' }));
  w.after(500).add("activity_failed", { scheduled_id: charge,
    failure: { type: "TimeoutError", message: "the bank does not answer" } });
  const pause = w.turn(() => w.schedule("timer_created", { fire_time: iso(w.now + 1000) }));
  w.after(1000).add("timer_fired", { scheduled_id: pause, fire_time: iso(w.now) });
  charge = w.turn(() => w.schedule("activity_scheduled", { name: "Charge", input: '{"amount":42}' }));
  w.after(700).add("activity_completed", { scheduled_id: charge, output: '"paid"' });
  const ship = w.turn(() => w.schedule("sub_orchestration_started",
    { name: "Ship", instance_id: "order-1:ship", input: "null" }));
  w.after(200).add("event_raised", { name: "Approved", input: '{"by":"Ann"}' });
  w.after(900).add("sub_orchestration_completed", { scheduled_id: ship, output: '"sent"' });
  w.turn(() => w.schedule("activity_scheduled", { name: "Notify", input: "null" }));
  return w;
}

export function fanOut(width, failing = 3) {
  const w = new Writer();
  w.add("execution_started", { name: "FanOut", input: String(width) });
  const ids = w.turn(() => Array.from({ length: width }, (_, i) =>
    w.schedule("activity_scheduled", { name: "Work", input: String(i) })));
  ids.forEach((id, i) => {
    w.after(2);
    if (i > 0 && i <= failing) {
      w.add("activity_failed", { scheduled_id: id, failure: { type: "Error", message: `no. ${i}` } });
    } else {
      w.add("activity_completed", { scheduled_id: id, output: String(i * i) });
    }
  });
  w.turn(() => {});
  w.add("execution_completed", { status: "COMPLETED", output: "[]" });
  return w;
}

function failedHistory(text) {
  const w = new Writer();
  w.add("execution_started", { name: "ImportCustomers", input: '{"file":"a.csv"}' });
  const read = w.after(100).turn(() => w.schedule("activity_scheduled", { name: "ReadFile", input: '"a.csv"' }));
  const failure = { type: "IOError", message: text ?? "a.csv: line 3 has 4 columns, not 5",
    stack_trace: "at readFile (import.js:12)\nat run (worker.js:90)",
    cause: { type: "ParseError", message: "unexpected end of line" } };
  w.after(300).add("activity_failed", { scheduled_id: read, failure });
  w.turn(() => {});
  w.add("execution_completed", { status: "FAILED", failure });
  return { w, failure };
}

export const pretty = (o, w) => ({ state: o, history: w.events });

export function fixture() {
  const contexts = [
    context("room-1", { state: "BUSY", pins: [{ kind: "call", count: "1" }, { kind: "hold", count: "2" }] }),
    context("room-2", { lease_in_ms: 14000 }),
    context("room-3", { lease_in_ms: 6000 }),
    context("order-1", { state: "BUSY", pins: [{ kind: "work-item", count: "1" }], generation: "12",
      extensions: ["leasehold::OrchestrationInstance"] }),
    context("cart/9 ü", { lease_in_ms: 250000, idle_timeout_ms: 300000 }),
  ];
  const { w: failed, failure } = failedHistory();
  const big = "x".repeat(4096);
  const list = [
    pretty(orchestration("order-1", { tags: { team: "blue", region: "eu" },
      custom_status: '{"step":"Notify"}', input: '{"order":12345678901234567890,"to":"Tokyo"}' }), orderHistory()),
    pretty(orchestration("order-1:ship", { name: "Ship", status: "COMPLETED", parent_instance_id: "order-1",
      end_time: iso(BEGIN + 5000), output: '"sent"' }), shipHistory()),
    pretty(orchestration("import-7", { name: "ImportCustomers", status: "FAILED", failure,
      end_time: iso(BEGIN + 500), create_time: iso(BEGIN - 60000) }), failed),
    pretty(orchestration("fan-1", { name: "FanOut", status: "COMPLETED", end_time: iso(BEGIN + 2500),
      input: "800", output: { $truncated: true, bytes: 120000, head: big } }), fanOut(800)),
    pretty(orchestration("nightly", { name: "Nightly", status: "SUSPENDED", create_time: iso(BEGIN - 86400000) }),
      new Writer().add("execution_started", { name: "Nightly" }).add("execution_suspended", { reason: "holiday" })),
    pretty(orchestration("waiting-1", { name: "NoSuch", status: "PENDING", create_time: iso(BEGIN - 600000) }),
      new Writer().add("execution_started", { name: "NoSuch" })),
  ];
  const more = Array.from({ length: 240 }, (_, i) => pretty(
    orchestration(`batch-${String(i).padStart(4, "0")}`, { status: "COMPLETED", name: "Batch",
      create_time: iso(BEGIN - 3600000 - i * 1000), end_time: iso(BEGIN - 3500000), output: "1" }),
    new Writer().add("execution_started", { name: "Batch" })
      .add("execution_completed", { status: "COMPLETED", output: "1" })));
  return {
    contexts: new Map(contexts.map((c) => [c.instance_id, c])),
    orchestrations: new Map([...list, ...more].map((o) => [o.state.instance_id, o])),
    strips: new Map([["order-1", orderStrip()], ["nightly", eternalStrip()]]),
    workers: workers(),
    entities: new Map([["@counter@a", { instance_id: "@counter@a", exists: true, state: "7",
      update_time: iso(BEGIN), waiting_count: "2", lock: { holder: "order-1", section_id: "s1",
        lock_time: iso(BEGIN) } }]]),
    explanations: new Map([["orchestrations/waiting-1", { sentence: "Pending: no connected worker takes the " +
      "orchestrator \"NoSuch\"; 2 are connected.", causes: [{ kind: "NOT_TAKEN", text: "none takes it" }] }]]),
    whoami: { tenant: "default", name: "ann@example.com", roles: ["operator"], authenticated: false },
    version: "0.1.0",
    metrics: METRICS,
  };
}

// As the server writes them, with a name that needs escapes.
export const METRICS = `# HELP leasehold_store_bytes How large the store's files are.
# TYPE leasehold_store_bytes gauge
leasehold_store_bytes{file="database"} 4096
leasehold_store_bytes{file="log"} 3145728
leasehold_store_writable 1
leasehold_connections{listener="grpc"} 3
leasehold_connections{listener="http"} 1
leasehold_connections_refused_total{listener="grpc",reason="silent"} 0
leasehold_connections_refused_total{listener="grpc",reason="not_tls"} 2
leasehold_limits_hit_total{limit="max_contexts"} 0
leasehold_tenant_limits_hit_total{tenant="acme",limit="waits"} 1
leasehold_tls_certificate_expiry_timestamp_seconds{listener="grpc"} 1827609804
leasehold_build_info{version="0.1.0",commit="a \\"b\\\\c\\n",compiler="GNU 12.2.0",grpc="1.51.1"} 1
process_resident_memory_bytes 39272448
process_cpu_seconds_total 61.5
process_open_fds 35
process_max_fds 20000
`;

function shipHistory() {
  const w = new Writer(BEGIN + 3300);
  w.add("execution_started", { name: "Ship", parent_instance_id: "order-1" });
  w.after(300);
  const pack = w.turn(() => w.schedule("activity_scheduled", { name: "Pack", input: "null" }));
  w.after(500).add("activity_completed", { scheduled_id: pack, output: "1" });
  w.turn(() => {});
  w.add("execution_completed", { status: "COMPLETED", output: '"sent"' });
  return w;
}

function workers() {
  return [
    { worker_id: "1", address: "built-in", sdk: "leasehold/0.1.0", built_in: true, connect_time: iso(BEGIN),
      last_seen_time: iso(BEGIN), work: [{ kind: "orchestrator", names: [{ name: "counter" }], name_count: "1",
        slots_used: "0", slots: "100" }] },
    { worker_id: "2", address: "ipv4:10.0.0.7:40112", sdk: "durabletask-python/1.12.0",
      user_agent: "grpc-python/1.71.0", identity: "worker-1", connect_time: iso(BEGIN), last_seen_time: iso(BEGIN + 900),
      work: [{ kind: "orchestrator", all: true, slots_used: "3", slots: "100" },
        { kind: "activity", all: true, slots_used: "17", slots: "20" }] },
  ];
}

// Every text that a user, a worker or a tenant may choose is an attack.
export function hostileFixture() {
  const data = fixture();
  data.contexts = new Map([[ATTACK, context(ATTACK, { pins: [{ kind: ATTACK, count: "1" }],
    extensions: [ATTACK], lease_in_ms: 9000 })]]);
  const failure = { type: ATTACK, message: ATTACK, stack_trace: ATTACK,
    cause: { type: ATTACK, message: ATTACK } };
  const w = new Writer();
  w.add("execution_started", { name: ATTACK, version: ATTACK, input: ATTACK, tags: { [ATTACK]: ATTACK } });
  const one = w.turn(() => w.schedule("activity_scheduled", { name: ATTACK, version: ATTACK, input: ATTACK }));
  w.add("activity_failed", { scheduled_id: one, failure });
  w.schedule("sub_orchestration_started", { name: ATTACK, instance_id: ATTACK, input: ATTACK });
  w.add("event_raised", { name: ATTACK, input: ATTACK });
  w.add("event_sent", { name: ATTACK, instance_id: ATTACK, input: ATTACK });
  w.add("execution_suspended", { reason: ATTACK }).add("execution_resumed", { reason: ATTACK });
  w.schedule("entity_called", { instance_id: `@${ATTACK}@x`, operation: ATTACK, request_id: ATTACK });
  w.schedule("entity_lock_requested", { instance_ids: [ATTACK], section_id: ATTACK });
  w.add("execution_completed", { status: "FAILED", failure });
  const state = orchestration(ATTACK, { name: ATTACK, version: ATTACK, execution_id: ATTACK, status: "FAILED",
    tags: { [ATTACK]: ATTACK }, parent_instance_id: ATTACK, custom_status: ATTACK, failure, input: ATTACK,
    output: ATTACK });
  data.orchestrations = new Map([[ATTACK, pretty(state, w)]]);
  data.workers = [{ worker_id: "1", address: ATTACK, sdk: ATTACK, user_agent: ATTACK, identity: ATTACK,
    work: [{ kind: ATTACK, names: [{ name: ATTACK, versions: [ATTACK] }], name_count: "1", slots: "1" }] }];
  data.entities = new Map([[ATTACK, { instance_id: ATTACK, exists: true, state: ATTACK, waiting_for: ATTACK,
    lock: { holder: ATTACK, section_id: ATTACK } }]]);
  const attacker = { identity: ATTACK, peer: ATTACK, code: ATTACK, execution_id: ATTACK };
  data.strips = new Map([[ATTACK, strip(ATTACK, {
    contexts: [["1", -9000, -8000, ATTACK], ["7", -3000]],
    runs: [[ATTACK, -9000, -8000, ATTACK], [`${ATTACK}2`, -3000, undefined, ATTACK]],
    starts: [["STARTED", -9000, attacker], ["constructor", -3000, attacker], [ATTACK, -1000, attacker]],
  })]]);
  data.strips.get(ATTACK).runs[1].parent_instance_id = ATTACK;
  data.explanations = new Map([[`contexts/${ATTACK}`, { sentence: ATTACK, causes: [{ kind: "CHILD", text: ATTACK, instance_id: ATTACK }, { kind: ATTACK, text: ATTACK }], more_causes: 3 }]]);
  data.whoami = { tenant: ATTACK, name: ATTACK, roles: [ATTACK], authenticated: true, session: true };
  data.version = ATTACK;
  const label = ATTACK.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
  data.metrics = `leasehold_build_info{commit="${label}"} 1\nleasehold_limits_hit_total{limit="${label}"} 1\n`;
  return data;
}
