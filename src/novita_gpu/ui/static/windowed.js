// A long list of which only the rows in sight exist. Each keeps its node while it is in sight, so that focus, selection
// and pointer stay where they are; what is in sight stays in sight when rows come, go or change places above it.
import { el } from "./dom.js";

const MORE = 6; // rows beyond the edges, for a quick scroll

export class Windowed {
  #box;
  #rows;
  #make;
  #renew;
  #items = [];
  #places = new Map();
  #nodes = new Map(); // by id
  #height = 0;
  #due = null;

  // `make(item)` makes a row, `renew(node, item)` brings it up to date.
  constructor(box, { head, make, renew }) {
    this.#box = box;
    this.#make = make;
    this.#renew = renew;
    this.#rows = el("div", { class: "rows", role: "rowgroup" });
    box.replaceChildren(el("div", { role: "rowgroup", class: "head-group" }, head), this.#rows);
    box.addEventListener("scroll", () => this.#soon(), { passive: true });
    new ResizeObserver(() => this.#measured()).observe(box);
  }

  get count() {
    return this.#items.length;
  }

  // The rows in their order; `isAnew`: another search, which begins at its top.
  put(items, isAnew = false) {
    const anchor = isAnew ? null : this.#first();
    this.#items = items;
    this.#places = new Map(items.map((item, place) => [item.id, place]));
    this.#rows.style.height = `${items.length * this.#rowHeight()}px`;
    this.#box.setAttribute("aria-rowcount", String(items.length + 1));
    if (isAnew) this.#box.scrollTop = 0;
    else if (anchor) this.#keep(anchor);
    this.render();
  }

  // The topmost row in sight, and by how much it is scrolled.
  #first() {
    if (this.#box.scrollTop <= 0) return null;
    const place = Math.floor(this.#box.scrollTop / this.#rowHeight());
    const item = this.#items[place];
    return item && { id: item.id, rest: this.#box.scrollTop - place * this.#rowHeight() };
  }

  #keep({ id, rest }) {
    const place = this.#places.get(id);
    if (place !== undefined) this.#box.scrollTop = place * this.#rowHeight() + rest;
  }

  #rowHeight() {
    if (!this.#height) {
      const trial = el("div", { class: "line" });
      this.#rows.append(trial);
      this.#height = trial.offsetHeight || 40;
      trial.remove();
    }
    return this.#height;
  }

  // A narrow page has higher rows.
  #measured() {
    const before = this.#height;
    this.#height = 0;
    if (this.#rowHeight() !== before) {
      for (const node of this.#nodes.values()) node.remove();
      this.#nodes.clear();
      this.#rows.style.height = `${this.#items.length * this.#height}px`;
    }
    this.render();
  }

  #soon() {
    this.#due ??= requestAnimationFrame(() => {
      this.#due = null;
      this.render();
    });
  }

  render() {
    const height = this.#rowHeight();
    const first = Math.max(0, Math.floor(this.#box.scrollTop / height) - MORE);
    const last = Math.min(this.#items.length, Math.ceil((this.#box.scrollTop + this.#box.clientHeight) / height) + MORE);
    for (const [id, node] of this.#nodes) {
      const place = this.#places.get(id);
      const isHeld = node.contains(document.activeElement) && place !== undefined;
      if (!isHeld && (place === undefined || place < first || place >= last)) {
        node.remove();
        this.#nodes.delete(id);
      }
    }
    for (let place = first; place < last; place++) this.#row(this.#items[place], place, height);
  }

  #row(item, place, height) {
    let node = this.#nodes.get(item.id);
    if (!node) {
      node = this.#make(item);
      this.#nodes.set(item.id, node);
      this.#rows.append(node);
    }
    const top = `${place * height}px`;
    if (node.style.top !== top) node.style.top = top;
    node.setAttribute("aria-rowindex", String(place + 2));
    this.#renew(node, item);
  }
}
