// Health as a row of named lights, one for each part that is judged, each with its reason.
import { cause, isWell, titleOf } from "./dependencies.js";
import { el, fill, find, say } from "./dom.js";
import { when } from "./time.js";

const SHAPES = { up: "well", degraded: "not well", down: "down", disabled: "off" };
const STORES = { redis: "shared Redis", embedded: "private store", fallback: "private store, while the shared one is out" };

// What is worth knowing of one that is well.
const FIGURES = {
  novitaApi: (_, { responseTimeMs }) => responseTimeMs !== undefined && [`answers in ${Math.round(responseTimeMs)} ms`],
  store: ({ redis }) => redis && [STORES[redis.mode]],
  queue: ({ queue }) => queue && [queue.size ? `${queue.size} in it` : "empty"],
  autoStop: ({ autoStop }) => autoStop?.nextCheckAt && ["next check ", when(autoStop.nextCheckAt, "in")],
  sync: ({ sync }) => sync?.nextSync && ["next ", when(sync.nextSync, "in")],
};

function reason(name, health) {
  const dependency = health.dependencies[name];
  if (dependency.detail) return [dependency.detail];
  const other = cause(name, health.dependencies);
  if (other) return [`the ${titleOf(other).toLowerCase()} is`];
  const figure = dependency.status === "up" && FIGURES[name]?.(health, dependency);
  return figure || (dependency.lastChecked ? ["looked at ", when(dependency.lastChecked)] : []);
}

export function showLights(health) {
  say(find("#verdict"), health.status);
  fill(find("#lights"), Object.entries(health.dependencies ?? {}).map(([name, dependency]) => {
    const told = reason(name, health);
    return el("li", {},
      el("span", { class: `light ${dependency.status}` }, el("b", {}, titleOf(name))),
      el("span", { class: isWell(dependency) ? "soft what" : "what" }, SHAPES[dependency.status], told.length ? [" – ", told] : ""));
  }));
}
