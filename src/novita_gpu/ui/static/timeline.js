// Everything that happened to it, the newest first, each with its reason.
import { get, query } from "./api.js";
import { el } from "./dom.js";
import { when } from "./time.js";

const PAGE = 1000;
// Facts that the reason or the instance beside it tell as well.
const SAID = new Set(["reason"]);

export const titleOf = (type) => type.split(".").join(" ").replaceAll("_", " ").replace(/^instance /, "");

export function entry(event) {
  const { actor, reason, facts, previousStatus } = event.data;
  const more = Object.entries(facts ?? {}).filter(([name]) => !SAID.has(name)).map(([name, value]) => `${name} ${value}`).join(", ");
  return el("li", {},
    el("span", { class: "soft nowrap" }, when(event.timestamp)),
    el("div", { class: "what" }, el("b", {}, titleOf(event.type)), previousStatus && el("span", { class: "soft" }, ` from ${previousStatus}`), el("span", { class: "soft" }, ` by ${actor}`), reason && el("div", {}, reason), more && el("div", { class: "soft" }, more)));
}

export class Timeline {
  #place;
  #told;
  #events = [];
  #last = 0;

  constructor(place, told) {
    this.#place = place;
    this.#told = told;
  }

  async load(id) {
    let after = 0;
    const found = [];
    do {
      const page = await get(`/api/instances/${id}/events${query({ after, limit: PAGE })}`);
      found.push(...page.events);
      after = page.nextAfter;
    } while (after);
    this.#events = found;
    this.#last = found.at(-1)?.data.sequence ?? 0;
    this.#place.replaceChildren(...found.map(entry).reverse());
    this.#told(this.#events);
  }

  put(event) {
    if (!this.#last || event.data.sequence <= this.#last) return;
    this.#last = event.data.sequence;
    this.#events.push(event);
    this.#place.prepend(entry(event));
    this.#told(this.#events);
  }
}
