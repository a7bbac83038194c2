// Requests to the server, and error messages for people.

const NOT_LOADED = {
  401: "You are no longer signed in.",
  404: "The server does not have what this page asked for.",
  503: "Nothing can be loaded: Redis is unavailable.",
};

const NOT_SENT = {
  401: "You are no longer signed in.",
  403: "You can look but not respond: that needs the role operator.",
  404: "The server does not know this alert.",
  409: "This alert is no longer open.",
  429: "Too many attempts. Wait a moment.",
  503: "Your response could not be sent: Kafka or Redis is unavailable. Try again.",
};

export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Time limit for a request, in milliseconds. */
const TIMEOUT_MS = 30_000;

let csrf = "";

async function ask(path, options = {}) {
  let response;
  let body = null;
  try {
    response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS), ...options });
    if (response.ok && response.headers.get("Content-Type")?.includes("json")) body = await response.json();
  } catch {
    throw new Refusal(0, "The server does not respond.");
  }
  if (!response.ok) throw new Refusal(response.status, (options.method ? NOT_SENT : NOT_LOADED)[response.status] ?? `The server refused (${response.status}).`);
  return body;
}

const get = (path, parameters = {}) => ask(`${path}?${new URLSearchParams(parameters)}`);

const send = (path, body) =>
  ask(path, {
    method: "POST",
    headers: { "X-CSRF-Token": csrf, ...(body && { "Content-Type": "application/json" }) },
    body: body && JSON.stringify(body),
  });

/** A session ends after some hours or with the server; the page then continues in a new one. */
async function post(path, body) {
  try {
    return await send(path, body);
  } catch (refusal) {
    if (refusal.status !== 403) throw refusal;
    await session();
    return send(path, body);
  }
}

export async function session() {
  const found = await ask("api/session");
  csrf = found.csrf;
  return found;
}

export const login = (user, password) => post("api/login", { user, password });
export const logout = () => post("api/logout");
/** Largest number of open alerts that the server lists. */
export const MOST_ALERTS = 1000;
export const openAlerts = async () => (await get("api/alerts", { limit: MOST_ALERTS })).features;
export const detail = (id) => get(`api/alerts/${encodeURIComponent(id)}`);
export const revisions = async (id) => (await get(`api/alerts/${encodeURIComponent(id)}/revisions`)).features;
export const acknowledge = (id) => post(`api/alerts/${encodeURIComponent(id)}/acknowledge`);
export const take = (id) => post(`api/alerts/${encodeURIComponent(id)}/take`);
export const outcome = (id, value) => post(`api/alerts/${encodeURIComponent(id)}/outcome`, { outcome: value });
export const usual = (area) => get("api/usual", { area });
export const layer = (name) => get(`api/layers/${encodeURIComponent(name)}`);
export const shift = (since, area) => get("api/shift", { since, ...(area && { area }) });
