// The history of an orchestration as rows of a picture: what began, what it waited for,
// how it ended. Knows nothing of the page.
//
// A row: {key, kind, name, detail, begin, end, state, parts, events, child, failure}; times
// are milliseconds, `end` is missing while it goes on. Its parts are {begin, end, what}:
//   wait   nothing runs: a timer, a lock's line, the pause before another attempt
//   run    between its scheduling and its end; of the orchestration itself: its turns
//   bad    an attempt that failed
// State: pending, done, failed, point (something that only happened).
//
// An activity that failed and was scheduled again, after a timer, with the same name and
// input is one row with several attempts: SDKs write a retry in that way.

const milliseconds = (at) => (at ? Date.parse(at) : undefined);
const sameWork = (event) => `${event.name}\n${JSON.stringify(event.input ?? null)}`;

const POINTS = {
  event_raised: (e) => ["Event", e.name],
  event_sent: (e) => ["Event sent", e.name, `to ${e.instance_id}`],
  entity_signaled: (e) => ["Signal", e.operation, e.instance_id],
  execution_suspended: (e) => ["Suspended", e.reason || "no reason given"],
  execution_resumed: (e) => ["Resumed", e.reason || "no reason given"],
  execution_terminated: () => ["Terminated", "asked for"],
  execution_rewound: (e) => ["Rewound", e.reason || "no reason given"],
  other: (e) => ["Other", `event ${e.number}`],
};

// Those that History has a method for.
const TAKEN = new Set([
  "execution_started", "execution_completed", "turn_started", "turn_completed",
  "activity_scheduled", "activity_completed", "activity_failed", "sub_orchestration_started",
  "sub_orchestration_completed", "sub_orchestration_failed", "timer_created", "timer_fired",
  "entity_called", "entity_call_completed", "entity_call_failed", "entity_lock_requested",
  "entity_lock_granted", "entity_unlocked",
]);

export class History {
  constructor() {
    this.rows = [];
    this.events = [];
    this.begin = undefined;
    this.end = undefined;
    this.latest = 0;
    this.self = undefined;
    this.scheduled = new Map();  // Event ID -> row.
    this.requests = new Map();   // Entities' request or section ID -> row.
    this.failed = new Map();     // sameWork -> rows that may be tried again.
    this.timers = [];            // Rows of timers that no retry has claimed.
  }

  add(events) {
    for (const event of events) {
      this.events.push(event);
      const at = milliseconds(event.time) ?? this.latest;
      this.latest = Math.max(this.latest, at);
      this.begin ??= at;
      this.take(event, at);
    }
  }

  take(event, at) {
    if (Object.hasOwn(POINTS, event.kind)) this.addPoint(event, at, ...POINTS[event.kind](event));
    else if (TAKEN.has(event.kind)) this[event.kind](event, at);
  }

  row(kind, name, event, at, more) {
    const row = {
      key: `${kind} ${event.sequence}`, kind, name: name || "no name", begin: at,
      state: "pending", parts: [], events: [event], ...more,
    };
    this.rows.push(row);
    return row;
  }

  addPoint(event, at, kind, name, detail) {
    this.row(kind, name, event, at, { end: at, state: "point", detail });
  }

  // ---- The orchestration itself -------------------------------------------------

  execution_started(event, at) {
    this.self = this.row("Orchestration", event.name, event, at, { detail: event.version });
    this.free = at;  // Since when no turn runs.
  }
  turn_started(event, at) {
    if (!this.self || this.turn !== undefined) return;
    if (at > this.free) this.self.parts.push({ begin: this.free, end: at, what: "wait" });
    this.turn = at;
  }
  turn_completed(event, at) {
    if (!this.self || this.turn === undefined) return;
    this.self.parts.push({ begin: this.turn, end: at, what: "run" });
    this.turn = undefined;
    this.free = at;
  }
  execution_completed(event, at) {
    this.end = at;
    if (!this.self) return;
    this.turn_completed(event, at);
    this.self.events.push(event);
    this.self.end = at;
    this.self.state = event.status === "COMPLETED" ? "done" : "failed";
    this.self.failure = event.failure;
  }

  // ---- Activities -----------------------------------------------------------------

  activity_scheduled(event, at) {
    const row = this.retried(event, at) ?? this.row("Activity", event.name, event, at,
      { attempts: 0 });
    row.attempts += 1;
    row.state = "pending";
    row.end = undefined;
    row.open = { begin: at, what: "run" };
    row.parts.push(row.open);
    this.scheduled.set(event.event_id, row);
  }

  // The row that this is another attempt of.
  retried(event, at) {
    const rows = this.failed.get(sameWork(event));
    if (!rows?.length) return undefined;
    const again = rows.findIndex((row) => row.events[0].event_id === event.event_id);
    let row = again >= 0 ? rows[again] : undefined;
    const since = (row ?? rows[0]).end;
    const pause = this.timers.findIndex((timer) =>
      timer.state === "done" && timer.begin >= since && timer.end <= at);
    if (!row && pause < 0) return undefined;
    row ??= rows[0];
    rows.splice(Math.max(0, again), 1);
    if (pause >= 0) {
      const [timer] = this.timers.splice(pause, 1);
      timer.hidden = true;
      row.events.push(...timer.events);
    }
    row.parts.push({ begin: row.end, end: at, what: "wait" });
    row.events.push(event);
    return row;
  }

  // Ends a row, if there is one.
  close(row, event, at, failed) {
    if (!row) return;
    row.events.push(event);
    row.end = at;
    row.state = failed ? "failed" : "done";
    row.failure = failed ? event.failure : undefined;
    if (row.open) {
      row.open.end = at;
      if (failed) row.open.what = "bad";
      row.open = undefined;
    }
  }
  ended(event, at, failed) { this.close(this.scheduled.get(event.scheduled_id), event, at, failed); }
  activity_completed(event, at) { this.ended(event, at, false); }
  activity_failed(event, at) {
    this.ended(event, at, true);
    const row = this.scheduled.get(event.scheduled_id);
    if (!row) return;
    const key = sameWork(row.events[0]);
    if (!this.failed.has(key)) this.failed.set(key, []);
    this.failed.get(key).push(row);
  }

  // ---- Children, timers, entities ---------------------------------------------------

  sub_orchestration_started(event, at) {
    const row = this.row("Child", event.name, event, at,
      { child: event.instance_id, detail: event.instance_id });
    row.open = { begin: at, what: "run" };
    row.parts.push(row.open);
    this.scheduled.set(event.event_id, row);
  }
  sub_orchestration_completed(event, at) { this.ended(event, at, false); }
  sub_orchestration_failed(event, at) { this.ended(event, at, true); }

  timer_created(event, at) {
    const row = this.row("Timer", "timer", event, at, { due: milliseconds(event.fire_time) });
    row.open = { begin: at, what: "wait" };
    row.parts.push(row.open);
    this.scheduled.set(event.event_id, row);
    this.timers.push(row);
  }
  timer_fired(event, at) { this.ended(event, at, false); }

  entity_called(event, at) {
    const row = this.row("Entity", event.operation, event, at, { detail: event.instance_id });
    row.open = { begin: at, what: "run" };
    row.parts.push(row.open);
    this.requests.set(event.request_id, row);
  }
  requested(event, at, failed) {
    this.close(this.requests.get(event.request_id), event, at, failed);
  }
  entity_call_completed(event, at) { this.requested(event, at, false); }
  entity_call_failed(event, at) { this.requested(event, at, true); }

  entity_lock_requested(event, at) {
    const ids = event.instance_ids ?? [];
    const row = this.row("Lock", ids.join(", "), event, at, { locked: ids.length });
    row.open = { begin: at, what: "wait" };
    row.parts.push(row.open);
    this.requests.set(event.section_id, row);
  }
  entity_lock_granted(event, at) {
    const row = this.requests.get(event.section_id);
    if (!row?.open) return;
    row.events.push(event);
    row.open.end = at;
    row.open = { begin: at, what: "run" };
    row.parts.push(row.open);
  }
  entity_unlocked(event, at) {
    const row = this.requests.get(event.section_id);
    if (!row?.open) return;
    row.events.push(event);
    row.locked -= 1;
    if (row.locked > 0) return;
    row.open.end = at;
    row.open = undefined;
    row.end = at;
    row.state = "done";
  }
}

// ---- What a picture needs ---------------------------------------------------------

// More siblings of one name than this are drawn as one band.
export const FOLD = 500;

const groupOf = (row) => `${row.kind}\n${row.name}`;

// The rows to draw, in order: rows, and bands {band: true, key, kind, name, rows}.
// opened: keys of bands and children that are open; inside(row): the History of a child.
export function layout(history, { opened, inside, match, depth = 0 }) {
  const all = history.rows.filter((row) => !row.hidden);
  const rows = match ? all.filter((row) => row === history.self || match(row)) : all;
  const groups = new Map();
  for (const row of rows) {
    if (row.state === "point" && row.kind !== "Event") continue;
    const key = groupOf(row);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  const out = [], folded = new Set();
  const add = (row, deeper = 0) => {
    out.push({ row, depth: depth + deeper, history });
    const child = row.child && opened.has(row.key) ? inside(row) : undefined;
    if (child && depth < 8)
      out.push(...layout(child, { opened, inside, match: undefined, depth: depth + deeper + 1 }));
  };
  for (const row of rows) {
    const key = groupOf(row), group = groups.get(key) ?? [];
    if (group.length <= FOLD) {
      add(row);
    } else if (!folded.has(key)) {
      folded.add(key);
      const band = { band: true, key: `band ${key} ${depth}`, kind: row.kind, name: row.name,
        rows: group };
      out.push({ row: band, depth, history });
      if (opened.has(band.key)) for (const member of group) add(member, 1);
    }
  }
  return out;
}

// Parts that would be thinner than a thousandth of the picture are drawn together.
export function coarse(parts, begin, end) {
  if (parts.length <= 400) return parts;
  const least = (end - begin) / 1000;
  const out = [];
  for (const part of parts) {
    const last = out[out.length - 1];
    if (last && part.begin - last.begin < least) {
      last.end = part.end;
      if (part.what !== "wait") last.what = part.what;
    } else {
      out.push({ ...part });
    }
  }
  return out;
}

// How many of `rows` were going on, in `bins` equal slices of time, and in which of them
// some failed.
export function density(rows, begin, end, bins) {
  const change = new Float64Array(bins + 1), failed = new Uint8Array(bins);
  const bin = (at) => Math.max(0, Math.min(bins - 1,
    Math.floor(((at - begin) / Math.max(1, end - begin)) * bins)));
  for (const row of rows) {
    change[bin(row.begin)] += 1;
    change[bin(row.end ?? end) + 1] -= 1;
    if (row.state === "failed") failed[bin(row.end)] = 1;
  }
  const counts = new Float64Array(bins);
  let now = 0, most = 0;
  for (let i = 0; i < bins; ++i) {
    now += change[i];
    counts[i] = now;
    most = Math.max(most, now);
  }
  return { counts, failed, most };
}

// Round steps for an axis: about `wanted` of them in `span` milliseconds.
export function ticks(span, wanted) {
  const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 3e4, 6e4, 12e4,
    3e5, 6e5, 12e5, 18e5, 36e5, 72e5, 216e5, 432e5, 864e5, 1728e5, 6048e5];
  const step = steps.find((s) => span / s <= wanted) ?? Math.ceil(span / wanted / 864e5) * 864e5;
  const out = [];
  for (let at = 0; at <= span; at += step) out.push(at);
  return out;
}
