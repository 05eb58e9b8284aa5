// What happens, as it happens. It comes back by itself and misses nothing; `lost` and `open` tell when it is away.
const types = document.body.dataset.events.split(" ");
const COMES_BACK_MS = 2000;

export class Stream extends EventTarget {
  #source = null;
  #after = Number(document.body.dataset.sequence);
  isOpen = false;

  begin() {
    this.#source = new EventSource(`/api/events?after=${this.#after}`);
    this.#source.onopen = () => this.#turned(true);
    this.#source.onerror = () => this.#broken();
    for (const type of types) this.#source.addEventListener(type, (message) => this.#heard(message));
    return this;
  }

  #heard(message) {
    this.#after = Number(message.lastEventId);
    this.dispatchEvent(new CustomEvent("told", { detail: JSON.parse(message.data) }));
  }

  // The browser tries again after a broken connection, but not after an answer that is no stream.
  #broken() {
    this.#turned(false);
    if (this.#source.readyState !== EventSource.CLOSED) return;
    this.#source.close();
    setTimeout(() => this.begin(), COMES_BACK_MS);
  }

  #turned(isOpen) {
    const was = this.isOpen;
    this.isOpen = isOpen;
    if (was !== isOpen) this.dispatchEvent(new Event(isOpen ? "open" : "lost"));
  }

  on(what, hears) {
    this.addEventListener(what, (event) => hears(event.detail));
    return this;
  }
}

export const stream = new Stream();
// A page that is left is not a lost connection.
addEventListener("pagehide", () => stream.dispatchEvent(new Event("left")));
