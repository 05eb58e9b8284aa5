// The public API, with this page's session. A change bears the token of the page.
import { heardTime } from "./time.js";

const body = document.body.dataset;
const scopes = new Set((body.scopes ?? "").split(" "));

export const may = (scope) => scopes.has(scope);

// `message` is the API's own; `faults`: of a request that breaks rules, each with its field.
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.message);
    this.status = status;
    this.code = problem.code;
    this.details = problem.details;
    this.retryAfterMs = problem.retryAfterMs;
    this.faults = problem.code === "VALIDATION_ERROR" && Array.isArray(problem.details) ? problem.details : [];
  }
}

export class Unreached extends Error {
  constructor() {
    super("The service cannot be reached.");
    this.code = "UNREACHED";
  }
}

// `crypto.randomUUID` is there over https and on localhost only.
const uuid = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

async function sent(method, path, given, headers) {
  const told = { Accept: "application/json", ...headers };
  if (method !== "GET") told["X-CSRF-Token"] = body.token;
  if (given !== undefined) told["Content-Type"] = "application/json";
  try {
    return await fetch(path, { method, headers: told, body: given === undefined ? undefined : JSON.stringify(given), cache: "no-store" });
  } catch {
    throw new Unreached();
  }
}

async function asked(method, path, given, headers = {}) {
  const answer = await sent(method, path, given, headers);
  heardTime(answer.headers.get("date"));
  if (answer.status === 304) return { is304: true };
  if (answer.status === 401) {
    location.assign(`/ui/login?next=${encodeURIComponent(location.pathname)}${location.hash}`);
    throw new Refusal(401, { code: "UNAUTHORIZED", message: "This session is over." });
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok && !(path === "/health" && told.status)) throw new Refusal(answer.status, told.error ?? { code: "INTERNAL_ERROR", message: `The service answered ${answer.status}.` });
  return { told, etag: answer.headers.get("etag") };
}

export const get = async (path) => (await asked("GET", path)).told;
export const getIfNew = (path, etag) => asked("GET", path, undefined, etag ? { "If-None-Match": etag } : {});
// At most once, however often the connection breaks in between.
export const post = async (path, given = {}) => (await asked("POST", path, given, { "Idempotency-Key": uuid() })).told;
// For what only asks, and changes nothing.
export const ask = async (path, given = {}) => (await asked("POST", path, given)).told;
export const patch = async (path, given) => (await asked("PATCH", path, given)).told;
export const remove = async (path) => (await asked("DELETE", path)).told;

export const leave = async () => {
  await sent("POST", "/ui/logout", {}, {});
  location.assign("/ui/login");
};

// What a route that is not there answers with; its panel is not shown.
export async function getIfThere(path) {
  try {
    return await get(path);
  } catch (error) {
    if (error.status === 404 || error.status === 403) return null;
    throw error;
  }
}

export const query = (fields) => {
  const pairs = Object.entries(fields).flatMap(([name, value]) => (Array.isArray(value) ? value.map((one) => [name, one]) : value === undefined || value === "" ? [] : [[name, value]]));
  return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
};
