// What /metrics says, in Prometheus' text form, and what of it somebody wants to read.

import { bytes, count, duration, plural, time } from "./format.js";

const ESCAPES = { "\\n": "\n", "\\\\": "\\", '\\"': '"' };

// A map: name -> [{labels, value}]. Lines that are not samples are left out.
export function samples(text) {
  const found = new Map();
  for (const line of text.split("\n")) {
    const [, name, labels = "", value] = /^([\w:]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) continue;
    const named = Object.fromEntries([...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(
      ([, label, raw]) => [label, raw.replace(/\\[n"\\]/g, (escape) => ESCAPES[escape])]));
    if (!found.has(name)) found.set(name, []);
    found.get(name).push({ labels: named, value: Number(value) });
  }
  return found;
}

// Undefined if the server does not tell them, for example because the caller may not see them.
export async function metrics(signal) {
  const response = await fetch("/metrics", { signal, cache: "no-store" });
  return response.ok ? samples(await response.text()) : undefined;
}

// Pairs of a name and what is to be seen, as far as the caller may see it.
export function serverFacts(found) {
  const of = (name) => found.get(`leasehold_${name}`) ?? [];
  const one = (name) => found.get(name)?.[0]?.value;
  const sum = (list) => list.reduce((all, { value }) => all + value, 0);
  const each = (list, label, show) => list.map(({ labels, value }) => `${labels[label]} ${show(value)}`).join(", ");
  const some = (list, show) => (list.length ? show(list) : undefined);
  const above = (list) => list.filter(({ value }) => value > 0);
  const hit = above([...of("limits_hit_total"), ...of("tenant_limits_hit_total")]);
  const writable = one("leasehold_store_writable"), memory = one("process_resident_memory_bytes");
  const expiry = of("tls_certificate_expiry_timestamp_seconds"), files = one("process_open_fds");
  return [
    ["Commit", of("build_info")[0]?.labels.commit],
    ["Store", some(of("store_bytes"), (list) => `${bytes(sum(list))}: ${each(list, "file", bytes)}`)],
    ["Store can be written", writable === undefined ? undefined : writable ? "yes" : "no"],
    ["Commits since the start", some(of("commits_total"), (list) => count(sum(list)) +
      (sum(of("commits_failed_total")) ? `, ${count(sum(of("commits_failed_total")))} failed` : ""))],
    ["Memory", memory === undefined ? undefined : bytes(memory)],
    ["CPU time", some(found.get("process_cpu_seconds_total") ?? [], ([cpu]) => duration(cpu.value * 1000))],
    ["Open files", files === undefined ? undefined : `${count(files)} of ${count(one("process_max_fds"))}`],
    ["Connections", some(of("connections"), (list) => each(list, "listener", count))],
    ["Connections refused", some(above(of("connections_refused_total")), (list) => list.map(
      ({ labels, value }) => `${labels.listener} ${labels.reason} ${count(value)}`).join(", "))],
    ["Certificates expire", some(expiry, (list) => list.map(({ labels, value }, i) =>
      [i ? ", " : "", `${labels.listener} `, time(new Date(value * 1000))]))],
    ["Refused by limits", some(hit, (list) => each(list, "limit", (n) => plural(n, "time", "times")))],
    ["Refused by overload", some(above(of("overload_refused_total")), (list) => each(list, "class", count))],
  ];
}
