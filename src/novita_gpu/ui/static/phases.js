// How long it was in each status, the last ones, as bars.
import { el, fill, find } from "./dom.js";
import { badge } from "./format.js";
import { now, span } from "./time.js";

const SHOWN = 10;
let events = [];

function phases() {
  const found = [];
  for (const { timestamp, data } of events) {
    const status = data.instance?.status;
    if (!status || found.at(-1)?.status === status) continue;
    if (found.length) found.at(-1).until = Date.parse(timestamp);
    found.push({ status, since: Date.parse(timestamp) });
  }
  return found.slice(-SHOWN);
}

export function showPhases(told = events) {
  events = told;
  const found = phases().map((one) => ({ ...one, ms: (one.until ?? now()) - one.since }));
  const longest = Math.max(1, ...found.map((one) => one.ms));
  fill(find("#phases"), found.map(({ status, ms, until }) => el("li", {}, badge(status), el("progress", { max: "1000", value: String(Math.max(8, Math.round((ms / longest) * 1000))), "aria-label": `${status} for ${span(ms)}` }), el("span", { class: until ? "nowrap" : "nowrap soft" }, span(ms)))));
}
setInterval(() => events.length && showPhases(), 1000);
