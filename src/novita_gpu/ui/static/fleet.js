// Every living instance, as the API lists them, kept up to date by the stream. Heartbeats and costs move no event: they
// are looked for now and then, and what has not changed is not sent again.
import { getIfNew, query } from "./api.js";
import { STATUSES } from "./format.js";
import { stream } from "./stream.js";

const PAGE = 1000;
const AGAIN_MS = 15_000;
export const LIVING = STATUSES.filter((status) => status !== "deleted");

export class Fleet extends EventTarget {
  instances = new Map();
  isLoaded = false;
  #pages = new Map(); // by address: its etag and what it told
  #gone = new Map(); // by id: the sequence of its end
  #loading = null;
  #statuses;

  constructor(statuses = LIVING) {
    super();
    this.#statuses = statuses;
  }

  // Those in these statuses from here on.
  of(statuses) {
    this.#statuses = statuses;
    for (const [id, { status }] of this.instances) if (!statuses.includes(status)) this.instances.delete(id);
    this.#tell();
    return this.load();
  }

  begin() {
    stream.on("told", (event) => this.#heard(event)).on("open", () => this.load());
    setInterval(() => document.hidden || this.load(), AGAIN_MS);
    addEventListener("visibilitychange", () => document.hidden || this.load());
    return this.load();
  }

  // One reading at a time; who asks meanwhile gets the same.
  load() {
    this.#loading ??= this.#read().finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #read() {
    const seen = new Set();
    let cursor;
    let changed = !this.isLoaded;
    try {
      do {
        const { told, isNew } = await this.#page(cursor);
        for (const instance of told.instances) {
          seen.add(instance.id);
          if (isNew) changed = this.#take(instance) || changed;
        }
        cursor = told.nextCursor;
        if (!this.isLoaded && cursor) this.#tell(told.total);
      } while (cursor);
    } catch (error) {
      this.dispatchEvent(new CustomEvent("fault", { detail: error }));
      return;
    }
    for (const [id, instance] of this.instances) {
      if (!seen.has(id) && !instance.isNews) changed = this.instances.delete(id);
      delete instance.isNews;
    }
    this.isLoaded = true;
    if (changed) this.#tell();
    if (this.#gone.size > PAGE) this.#gone.clear();
  }

  async #page(cursor) {
    const path = `/api/instances${query({ limit: PAGE, cursor, status: this.#statuses })}`;
    const known = this.#pages.get(path);
    const { told, etag, is304 } = await getIfNew(path, known?.etag);
    if (is304) return { told: known.told, isNew: false };
    if (this.#pages.size > 50) this.#pages.clear();
    this.#pages.set(path, { etag, told });
    return { told, isNew: true };
  }

  #take(instance) {
    const known = this.instances.get(instance.id);
    if (known && known.sequence > instance.sequence) return false;
    if (this.#gone.get(instance.id) >= instance.sequence) return false;
    this.instances.set(instance.id, instance);
    return true;
  }

  // `isNews`: a list that was read before it happened does not lack it.
  #heard(event) {
    const instance = event.data.instance;
    if (!instance) return;
    if (!this.#statuses.includes(instance.status)) {
      this.#gone.set(instance.id, instance.sequence);
      if (this.instances.delete(instance.id)) this.#tell();
    } else if (this.#take({ ...instance, isNews: this.#loading !== null })) this.#tell();
  }

  // Many events at once are one change of the page.
  #tell(total = this.instances.size) {
    this.total = Math.max(total, this.instances.size);
    this.#due ??= requestAnimationFrame(() => {
      this.#due = null;
      this.dispatchEvent(new Event("changed"));
    });
  }
  #due = null;
}
