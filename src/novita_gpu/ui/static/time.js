// Times as people read them: relative, with the exact one on hover, going on by themselves.
import { el, say } from "./dom.js";

let ahead = 0; // by how much the service's clock is ahead of this one, in ms

// From an answer's `Date`, which knows seconds only: a second is no difference.
export function heardTime(header) {
  const told = Date.parse(header ?? "");
  if (Number.isNaN(told)) return;
  const difference = told + 500 - Date.now();
  ahead = Math.abs(difference) < 1500 ? 0 : difference;
}

export const now = () => Date.now() + ahead;

const UNITS = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]];

// Two units at most, such as 2 h 5 min.
export function span(ms) {
  let left = Math.max(0, Math.round(ms / 1000));
  const parts = [];
  for (const [unit, seconds] of UNITS) {
    const many = Math.floor(left / seconds);
    if (many || (unit === "s" && !parts.length)) parts.push(`${many} ${unit}`);
    else if (parts.length) break;
    left -= many * seconds;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
export const exact = (time) => EXACT.format(new Date(time));
export const clock = (time) => new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

const WORDS = {
  ago: (ms) => (ms < 1500 ? "just now" : `${span(ms)} ago`),
  since: (ms) => span(ms),
  until: (ms) => (ms >= -500 ? "due" : span(-ms)),
  in: (ms) => (ms >= -500 ? "now" : `in ${span(-ms)}`),
};
const words = (node) => WORDS[node.dataset.live](now() - Date.parse(node.dateTime));

// `how`: ago, since (how long already), until (how long still), in.
export function when(time, how = "ago") {
  if (!time) return null;
  const node = el("time", { datetime: time, data: { live: how } });
  node.textContent = words(node);
  return node;
}

export function retime(node, time, how = node.dataset.live) {
  if (node.dateTime !== time || node.dataset.live !== how) {
    node.dateTime = time;
    node.removeAttribute("title");
    node.dataset.live = how;
  }
  say(node, words(node));
}

// Each second, of what is on the page and nothing else.
export function tick() {
  for (const node of document.querySelectorAll("time[data-live]")) say(node, words(node));
}
setInterval(tick, 1000);

// The exact time, once somebody points at it: spelling thousands that nobody looks at would take long.
document.addEventListener("pointerover", ({ target }) => {
  if (target.matches("time[data-live]")) target.title ||= exact(target.dateTime);
});
