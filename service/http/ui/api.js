// Requests to /api/v1, and the session they are made in.
//
// The browser keeps the session's cookie, which no script can read; pages of other
// origins cannot have it sent.

const PREFIX = "/api/v1/";

async function session(path, body) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body), cache: "no-store",
    });
  } catch {
    throw new ApiError(0, "UNAVAILABLE", "the dashboard cannot reach the server");
  }
  if (!response.ok) throw await errorOf(response);
}

// Opens a session as whoever has that token.
export const signIn = (token) => session("/login", { token });
export const signOut = () => session("/logout", {});

// Told when the server asks who calls (401).
let onUnknown = () => {};
export const whenUnknown = (hook) => { onUnknown = hook; };

export class ApiError extends Error {
  // retryAfterMs: when to try again, if the server says so.
  constructor(status, code, message, retryAfterMs) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

export const isGone = (error) => error.name === "AbortError";

async function errorOf(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // A proxy's answer, or an empty one.
  }
  return new ApiError(response.status, String(body.code ?? ""),
    String(body.message ?? body.Message ?? `the server answers ${response.status}`),
    1000 * Number(response.headers.get("Retry-After")) || undefined);
}

export async function request(path, { method = "GET", body, signal, accept } = {}) {
  const headers = {};
  if (accept) headers.Accept = accept;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(PREFIX + path, {
      method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
    });
  } catch (error) {
    if (isGone(error)) throw error;
    throw new ApiError(0, "UNAVAILABLE", "the dashboard cannot reach the server");
  }
  if (response.ok) return response;
  const error = await errorOf(response);
  if (response.status === 401) onUnknown(error);
  throw error;
}

export async function get(path, query = {}, signal) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== "") params.set(name, value);
  const text = params.toString();
  const response = await request(text ? `${path}?${text}` : path, { signal });
  return response.json();
}

export async function post(path, body = {}, signal) {
  const response = await request(path, { method: "POST", body, signal });
  const text = await response.text();
  return text ? JSON.parse(text) : {};
}

// The same, where the answer is a line of JSON at a time: take(value) for each.
export async function postLines(path, body, take, signal) {
  const response = await request(path, { method: "POST", body, signal });
  const reader = response.body.getReader(), decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      if (isGone(error)) throw error;
      throw new ApiError(0, "UNAVAILABLE", "the dashboard cannot reach the server");
    }
    if (part.done) return;
    const lines = (rest + decoder.decode(part.value, { stream: true })).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line) take(JSON.parse(line));
  }
}

// An ID as one segment of a path. Browsers take "." and ".." for folders, however they
// are written.
export function segment(id) {
  if (id === "." || id === "..")
    throw new ApiError(0, "INVALID_ARGUMENT",
      `browsers cannot ask for an ID "${id}"; use the command line`);
  return encodeURIComponent(id);
}

// Saves a payload that is too long to show.
export async function download(path, query, name) {
  const response = await request(`${path}?${new URLSearchParams(query)}`);
  save(await response.blob(), name);
}

export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.setAttribute("href", url);
  link.setAttribute("download", name);
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
