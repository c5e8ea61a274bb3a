// The shape of an answer: which members it has, and of which kind each is. The mock server is
// compared with the real one by it, so that pages which work with one work with the other.

// What is not of interest to a shape: names that are data, such as statuses, are given in `names`.
export function shape(value, names = []) {
  if (value === null) return "null";
  if (Array.isArray(value)) return value.length ? [shape(value[0], names)] : [];
  if (typeof value === "string") return /^\d+$/.test(value) ? "number in a text" : "text";
  if (typeof value !== "object") return typeof value;
  return Object.fromEntries(Object.keys(value).sort().map((name) => [name,
    names.includes(name) ? [...new Set(Object.values(value[name]).map((v) => typeof v))] : shape(value[name], names)]));
}

// The data of the first event of that name in a stream.
export async function firstEvent(url, topic, name) {
  const stop = new AbortController();
  const response = await fetch(`${url}/api/v1/events?topics=${topic}`, { signal: stop.signal });
  let text = "";
  try {
    for await (const part of response.body) {
      text += new TextDecoder().decode(part);
      const found = new RegExp(`event: ${name}\\ndata: (.*)\\n\\n`).exec(text);
      if (found) return JSON.parse(found[1]);
    }
  } finally {
    stop.abort();
  }
  throw new Error(`no event ${name} in ${text}`);
}
