// Health as a row of named lights, each with its reason.
import { el, fill, find, say } from "./dom.js";
import { when } from "./time.js";

const NAMES = { novitaApi: "Novita", jobQueue: "Work queue", cache: "Catalogue", migrationService: "Recovery", autoStop: "Auto-stop", redis: "Store" };
const SHAPES = { up: "well", degraded: "not well", down: "down", disabled: "off" };

const STORES = { redis: "shared Redis", embedded: "private store", fallback: "private store, while the shared one is out" };

function reason(name, health) {
  const dependency = health.dependencies?.[name];
  const { autoStop, redis, upstream } = health;
  if (dependency?.detail) return [dependency.detail];
  if (name === "novitaApi" && upstream && upstream.circuit !== "closed") return [`circuit breaker ${upstream.circuit}`];
  if (name === "novitaApi" && dependency?.responseTimeMs !== undefined) return [`answers in ${Math.round(dependency.responseTimeMs)} ms`];
  if (name === "autoStop" && autoStop?.nextCheckAt) return ["next check ", when(autoStop.nextCheckAt, "in")];
  if (name === "redis" && redis) return [STORES[redis.mode]];
  if (dependency?.lastChecked) return ["looked at ", when(dependency.lastChecked)];
  return [];
}

export function showLights(health) {
  say(find("#verdict"), health.status);
  fill(find("#lights"), Object.entries(health.services).map(([name, verdict]) => el("li", {},
    el("span", { class: `light ${verdict}` }, el("b", {}, NAMES[name] ?? name)),
    el("span", { class: "soft what" }, SHAPES[verdict] ?? verdict, reason(name, health).length ? [" – ", reason(name, health)] : ""))));
}
