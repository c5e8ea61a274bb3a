// What can be done to orchestrations and contexts: what each verb says before it is done.

import { post, segment } from "./api.js";
import { ask, jsonProblem } from "./dialogs.js";

const ENDED = ["COMPLETED", "FAILED", "TERMINATED", "DAMAGED"];
export const hasEnded = (status) => ENDED.includes(status);

const at = (id) => `orchestrations/${segment(id)}`;
const value = (text) => (text.trim() === "" ? undefined : text.trim());
export const option = (name, text) => (text === undefined ? [] : [`${name}=${text}`]);
// An ID that begins with a dash is no option.
export const words = (verb, options, ...rest) => ["leasehold", "orchestration", verb, ...options,
  ...(rest.some((word) => word.startsWith("-")) ? ["--", ...rest] : rest)];

export const REASON = { name: "reason", label: "Reason", hint: "The history records it." };
export const RECURSIVE = { name: "recursive", kind: "checkbox",
  label: "Their sub-orchestrations, too, and theirs" };

function withReason(verb, confirm, says, o, done) {
  ask({
    title: `${confirm} ${o.instance_id}`, confirm, says, fields: [REASON],
    command: (v) => words(verb, option("--reason", value(v.reason)), o.instance_id),
    run: async (v) => {
      await post(`${at(o.instance_id)}:${verb}`, { reason: value(v.reason) });
      done(`${confirm}: asked for.`);
    },
  });
}

function raise(o, done) {
  ask({
    title: `Raise an event for ${o.instance_id}`, confirm: "Raise",
    says: "The event is queued, and delivered when the orchestrator asks for one of its name.",
    fields: [
      { name: "event", label: "Event name", required: true },
      { name: "input", label: "Input (JSON)", kind: "textarea" },
    ],
    command: (v) => words("raise-event", option("--input", value(v.input)), o.instance_id,
      v.event || "EVENT"),
    check: (v) => (v.event === "" ? "The event needs a name." : jsonProblem(v.input, "The input")),
    run: async (v) => {
      await post(`${at(o.instance_id)}:raise-event`, { name: v.event, input: value(v.input) });
      done(`Raised ${v.event}.`);
    },
  });
}

function terminate(o, done) {
  ask({
    title: `Terminate ${o.instance_id}`, confirm: "Terminate", danger: true,
    says: "It ends with its next turn, whatever it waits for. What its activities have already " +
      "done stays done; children go on. It cannot be resumed, but it can be started again.",
    fields: [{ name: "output", label: "Output (JSON)", kind: "textarea",
      hint: "Becomes the orchestration's output." }],
    command: (v) => words("terminate", option("--result", value(v.output)), o.instance_id),
    check: (v) => jsonProblem(v.output, "The output"),
    run: async (v) => {
      await post(`${at(o.instance_id)}:terminate`, { output: value(v.output) });
      done("Terminate: asked for.");
    },
  });
}

function restart(o, done) {
  ask({
    title: `Restart ${o.instance_id}`, confirm: "Restart",
    says: "It starts again under the same ID, with the name, input, version and tags of its last " +
      "run. That run is replaced.",
    command: () => words("restart", [], o.instance_id),
    run: async () => {
      await post(`${at(o.instance_id)}:restart`);
      done("Restarted.");
    },
  });
}

function purge(o, done) {
  ask({
    title: `Purge ${o.instance_id}`, confirm: "Purge", danger: true,
    says: "The orchestration and its history are deleted for good, with all its runs, and its ID " +
      "is free again. This cannot be undone.",
    command: () => words("purge", [], o.instance_id),
    run: async () => {
      await post(`${at(o.instance_id)}:purge`);
      done("Purged.", "/ui/orchestrations");
    },
  });
}

// The verbs that fit an orchestration's status: [{name, run(done)}].
export function orchestrationVerbs(o) {
  const verbs = [];
  const add = (name, run, danger) => verbs.push({ name, run, danger });
  if (!hasEnded(o.status)) {
    add("Raise event", (done) => raise(o, done));
    if (o.status === "SUSPENDED")
      add("Resume", (done) => withReason("resume", "Resume",
        "It goes on. Events and results that were queued meanwhile are delivered.", o, done));
    else
      add("Suspend", (done) => withReason("suspend", "Suspend",
        "It pauses: activities that run go on, and their results and events are queued until it " +
        "is resumed.", o, done));
    add("Terminate", (done) => terminate(o, done), true);
  } else {
    if (o.status === "FAILED")
      add("Rewind", (done) => withReason("rewind", "Rewind",
        "It goes on from its last successful step: failed activities run again, and failed " +
        "children are rewound, too.", o, done));
    if (o.status !== "DAMAGED") add("Restart", (done) => restart(o, done));
    add("Purge", (done) => purge(o, done), true);
  }
  return verbs;
}

const IF_ACTIVE = [["FAIL", "refuse"], ["ATTACH", "use it"], ["TERMINATE", "end it, start anew"]];
const IF_FINISHED = [["FAIL", "refuse"], ["ATTACH", "use it"], ["REPLACE", "replace it"]];

// Starts an orchestration; `like`: {name, input, instance_id} to begin with.
export function start(like, done) {
  ask({
    title: "Start an orchestration", confirm: "Start",
    says: (v) => (v.id
      ? "There is at most one orchestration of an ID. What happens if there is one already, you " +
        "choose below."
      : "The server makes an ID for it."),
    fields: [
      { name: "name", label: "Name of the orchestrator", value: like.name, required: true },
      { name: "id", label: "Instance ID", value: like.instance_id,
        hint: "Empty: the server makes one." },
      { name: "input", label: "Input (JSON)", kind: "textarea", value: like.input },
      { name: "active", label: "If one with this ID is active", kind: "select",
        options: IF_ACTIVE, value: "FAIL" },
      { name: "finished", label: "If one with this ID has ended", kind: "select",
        options: IF_FINISHED, value: like.instance_id ? "REPLACE" : "FAIL" },
    ],
    command: (v) => words("start", [
      ...option("--id", v.id || undefined), ...option("--input", value(v.input)),
      ...(v.active === "FAIL" ? [] : [`--if-active=${v.active.toLowerCase()}`]),
      ...(v.finished === "FAIL" ? [] : [`--if-finished=${v.finished.toLowerCase()}`]),
    ], v.name || "NAME"),
    check: (v) => (v.name === "" ? "It needs the name of an orchestrator."
      : jsonProblem(v.input, "The input")),
    run: async (v) => {
      const receipt = await post("orchestrations", {
        name: v.name, instance_id: v.id || undefined, input: value(v.input),
        if_active: v.active, if_finished: v.finished,
      });
      done(receipt);
    },
  });
}

export function release(context, done) {
  ask({
    title: `Release ${context.instance_id}`, confirm: "Release", danger: true,
    says: (v) => (v.force
      ? "The context is closed now. The calls that keep it busy are ended with ABORTED."
      : "The context is closed now, if nobody uses it; the next call opens a new one. A busy " +
        "context is left as it is."),
    fields: [{ name: "force", label: "Even if it is busy", kind: "checkbox" }],
    command: (v) => ["leasehold", "instances", "release", ...(v.force ? ["--force"] : []),
      ...(context.instance_id.startsWith("-") ? ["--"] : []), context.instance_id],
    run: async (v) => {
      await post(`contexts/${segment(context.instance_id)}:release`, { force: v.force });
      done(`Released ${context.instance_id}.`);
    },
  });
}
