// What was sent to receivers, with each try, and sending it again.
import { get, may, post, query } from "./api.js";
import { el, fill, row, table } from "./dom.js";
import { many } from "./format.js";
import { titleOf } from "./timeline.js";
import { when } from "./time.js";
import { doing } from "./told.js";

const SOON_MS = 700;
const AGAIN_MS = 4000; // while one is on its way: no event tells that it has arrived
const WORDS = { pending: "on its way", delivered: "delivered", exhausted: "given up" };
const LIGHTS = { pending: "degraded", delivered: "up", exhausted: "down" };

export class Deliveries {
  #place;
  #filter;
  #due;

  constructor(place, filter = {}) {
    this.#place = place;
    this.#filter = filter;
  }

  filter(filter) {
    this.#filter = filter;
    return this.load();
  }

  soon(ms = SOON_MS) {
    const at = Date.now() + ms;
    if (this.#due?.at <= at) return;
    clearTimeout(this.#due?.timer);
    this.#due = { at, timer: setTimeout(() => this.#look(), ms) };
  }

  #look() {
    this.#due = undefined;
    if (document.hidden) this.soon(AGAIN_MS);
    else this.load();
  }

  async load() {
    try {
      const { deliveries, nextCursor } = await get(`/api/webhooks/deliveries${query(this.#filter)}`);
      if (deliveries.some((one) => one.status === "pending")) this.soon(AGAIN_MS);
      const rows = deliveries.map((one) => this.#row(one));
      fill(this.#place, rows.length ? table(["Event", "To", "State", "Last answer", ""], rows, { label: "Deliveries" }) : el("p", { class: "soft" }, "Nothing was sent."), nextCursor && el("p", { class: "soft" }, `The newest ${deliveries.length}.`));
    } catch (error) {
      fill(this.#place, el("p", { class: "wrong" }, error.message));
    }
  }

  #row(one) {
    const last = one.attempts.at(-1);
    const answer = last ? (last.error ?? `HTTP ${last.statusCode}`) : "–";
    const state = el("span", { class: `light ${LIGHTS[one.status]}` }, WORDS[one.status] ?? one.status);
    const next = one.status === "pending" && one.nextTryAt && el("div", { class: "soft" }, "again ", when(one.nextTryAt, "in"));
    const again = el("button", { type: "button", disabled: !may("admin"), title: may("admin") ? undefined : "Needs a key with the scope admin", "aria-label": `Send ${one.type} again`, data: { key: `replay ${one.id}` }, onclick: (event) => this.#replay(one, event.currentTarget) }, "Send again");
    return row([titleOf(one.type), " ", el("div", { class: "soft" }, when(one.createdAt))], one.host, [state, next], el("span", { title: last?.answer || undefined }, answer, one.attempts.length > 1 && el("div", { class: "soft" }, many(one.attempts.length, "try", "tries"))), one.status === "pending" ? "" : again);
  }

  async #replay(one, button) {
    await doing(button, "Sending again…", () => post(`/api/webhooks/deliveries/${one.id}/replay`), "It is sent again.");
    this.soon();
  }
}
