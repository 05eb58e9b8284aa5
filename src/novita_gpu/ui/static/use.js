// How busy the GPUs of an instance were, as the cloud measures it.
import { get, query } from "./api.js";
import { HEIGHT, axes, colour, onSpan, ready } from "./axes.js";
import { el, fill, find, say } from "./dom.js";
import { RUNS } from "./format.js";
import { exact } from "./time.js";

const AGAIN_MS = 60_000;
const percent = (value) => (value === undefined || value === null ? "not measured" : `${Math.round(value)} %`);

export class Use {
  #id;
  #runs = false;
  #hours = 1;
  #data = [[], [], []];
  #plot = null;

  begin() {
    onSpan((hours) => {
      this.#hours = hours;
      this.#load();
    });
    setInterval(() => document.hidden || !this.#runs || this.#load(), AGAIN_MS);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#plot && this.#draw());
    new ResizeObserver(() => this.#plot?.setSize({ width: find("#use").clientWidth, height: HEIGHT })).observe(find("#use"));
  }

  // Asked for when it comes to run, and when it ceases to.
  of(instance) {
    const runs = RUNS.has(instance.status);
    if (this.#id === instance.id && runs === this.#runs) return;
    this.#id = instance.id;
    this.#runs = runs;
    this.#load();
  }

  async #load() {
    try {
      const { points, stale } = await get(`/api/instances/${encodeURIComponent(this.#id)}/utilisation${query({ hours: this.#hours })}`);
      this.#data = [points.map((one) => Date.parse(one.at) / 1000), points.map((one) => one.gpu ?? null), points.map((one) => one.gpuMemory ?? null)];
      await ready();
      this.#draw();
      say(find("#use-now"), stale ? `Nothing newer: ${stale}` : this.#words(points.length - 1));
    } catch (error) {
      this.#plot = null;
      fill(find("#use"), el("p", { class: "wrong" }, error.message));
    }
  }

  #draw() {
    if (!this.#data[0].length) {
      this.#plot = null;
      fill(find("#use"), el("p", { class: "soft" }, this.#runs ? "Nothing was measured yet: the cloud is about a minute late." : "It does not run."));
      return;
    }
    const place = find("#use");
    const canvas = el("div", { role: "img", "aria-label": "Use of the busiest GPU and of its memory over time, in percent" });
    place.replaceChildren(canvas);
    const line = (name, fill) => ({ stroke: colour(name), width: 2, fill, points: { show: false }, spanGaps: false });
    this.#plot = new window.uPlot({
      width: place.clientWidth, height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false } },
      scales: { y: { range: [0, 100] } },
      axes: axes((value) => `${value} %`),
      series: [{}, line("--accent", `${colour("--accent")}22`), line("--soft")],
      hooks: { setCursor: [(plot) => say(find("#use-now"), this.#words(plot.cursor.idx ?? this.#data[0].length - 1))] },
    }, this.#data, canvas);
  }

  #words(place) {
    const [at, gpu, memory] = this.#data;
    return at.length ? `${exact(at[place] * 1000)}: GPU ${percent(gpu[place])}, its memory ${percent(memory[place])}` : "";
  }
}
