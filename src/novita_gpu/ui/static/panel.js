// A panel of the system page: its place for buttons, its inner part, and what it shows when it cannot be read.
import { el, fill, find, show } from "./dom.js";
import { wordsOf } from "./told.js";

export class Panel {
  constructor(id) {
    this.section = find(`#${id}`);
    this.actions = find(".actions", this.section);
    this.inner = find(".inner", this.section);
  }

  // Reads and shows; null stands for a route that is not there.
  async load(read, draw) {
    try {
      const told = await read();
      show(this.section, told !== null);
      if (told !== null) fill(this.inner, draw(told));
      if (location.hash === `#${this.section.id}`) this.section.scrollIntoView();
    } catch (error) {
      show(this.section, true);
      fill(this.inner, el("p", { class: "wrong" }, wordsOf(error)));
    }
  }
}

export const press = (label, act, props = {}) => el("button", { type: "button", onclick: (event) => act(event.currentTarget), ...props }, label);
