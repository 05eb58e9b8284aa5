// What everybody should know of now, at the top of each page, the last to come last.
import { el, find, say } from "./dom.js";

const shown = new Map(); // by name: its node

// Without words there is none. `detail` may change each time it is looked at: it is read aloud once, with the rest.
export function banner(name, { kind = "warn", detail } = {}, ...words) {
  const before = shown.get(name);
  if (!words.length) {
    before?.remove();
    shown.delete(name);
    return;
  }
  const said = words.filter((word) => typeof word === "string").join("");
  const node = before?.dataset.said === said ? before : el("p", { data: { said } }, words, " ", el("span", { "aria-live": "off" }));
  node.className = `banner ${kind}`;
  say(node.lastElementChild, detail ? `(${detail})` : "");
  if (node === before) return;
  if (before) before.replaceWith(node);
  else find("#banners").append(node);
  shown.set(name, node);
}
