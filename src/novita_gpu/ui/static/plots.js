// Running instances and burn over time, with what happened on the line. uPlot draws; the colours are the page's.
import { get, query } from "./api.js";
import { HEIGHT, axes, colour, onSpan, ready } from "./axes.js";
import { el, fill, find, say } from "./dom.js";
import { many, perHour } from "./format.js";
import { stream } from "./stream.js";
import { exact, now } from "./time.js";

const POINTS = 120;
const EVENTS = 1000;
// Where nothing ran for so much of the time, the rest is shown alone.
const MOSTLY = 0.7;
// What is marked on the line, and how.
const MARKS = {
  "instance.ready": "--good", "instance.recovered": "--good", "instance.stopped": "--rest", "instance.deleted": "--rest",
  "instance.failed": "--bad", "instance.reclaim_notified": "--warn", "instance.migrating": "--warn", "instance.auto_stop_warning": "--warn",
};

const history = async (since) => (await get(`/api/costs/history${query({ since: new Date(since).toISOString(), points: POINTS })}`)).points;

export class Plots {
  #hours = 24;
  #data = [[], [], []];
  #marks = [];
  #plots = [];

  begin() {
    onSpan((hours) => {
      this.#hours = hours;
      this.load().catch(() => {});
    });
    stream.on("told", (event) => this.#heard(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw(true));
    new ResizeObserver(() => this.#fit()).observe(find("#running"));
    this.load().catch((error) => fill(find("#running"), el("p", { class: "wrong" }, error.message)));
    this.#past().catch(() => {});
  }

  async load() {
    let points = await history(now() - this.#hours * 3_600_000);
    const first = points.findIndex((p) => p.running || Number(p.burnPerHour));
    if (first > points.length * MOSTLY) points = await history(Date.parse(points[first - 1].at));
    this.#data = [points.map((p) => Date.parse(p.at) / 1000), points.map((p) => p.running), points.map((p) => Number(p.burnPerHour))];
    await ready();
    this.#draw();
  }

  async #past() {
    const after = Math.max(0, Number(document.body.dataset.sequence) - EVENTS);
    const { events } = await get(`/api/events${query({ after, limit: EVENTS })}`);
    for (const event of events) this.#heard(event);
    for (const plot of this.#plots) plot.redraw(false);
  }

  #heard(event) {
    if (!MARKS[event.type]) return;
    const words = `${event.data.instance?.name ?? ""} ${event.type.split(".")[1].replaceAll("_", " ")}`;
    this.#marks.push({ at: Date.parse(event.timestamp) / 1000, colour: MARKS[event.type], words });
    if (this.#marks.length > 2 * EVENTS) this.#marks.splice(0, EVENTS);
  }

  #draw(anew = false) {
    const [at, running, burn] = this.#data;
    if (this.#plots.length && !anew) {
      this.#plots[0].setData([at, running]);
      this.#plots[1].setData([at, burn]);
      return;
    }
    this.#plots = [
      this.#plot(find("#running"), "Running instances", [at, running], (value) => String(value)),
      this.#plot(find("#burn"), "Burn, USD per hour", [at, burn], (value) => `$${value}`),
    ];
  }

  #plot(place, title, data, label) {
    const canvas = el("div", { role: "img", "aria-label": `${title} over time` });
    place.replaceChildren(el("h3", {}, title), canvas);
    return new window.uPlot({
      width: place.clientWidth, height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: "moment" } },
      scales: { y: { range: (_, low, high) => [0, Math.max(1, high) * 1.15] } },
      axes: axes((value) => (Number.isInteger(value) || title.startsWith("Burn") ? label(value) : "")),
      series: [{}, { stroke: colour("--accent"), width: 2, fill: `${colour("--accent")}22`, paths: window.uPlot.paths.stepped({ align: 1 }), points: { show: false } }],
      hooks: { draw: [(plot) => this.#mark(plot)], setCursor: [(plot) => this.#tellMoment(plot)] },
    }, data, canvas);
  }

  #mark(plot) {
    const { ctx, data, bbox } = plot;
    const first = data[0][0];
    for (const { at, colour: name } of this.#marks) {
      if (!(at >= first)) continue;
      const x = plot.valToPos(at, "x", true);
      if (x > bbox.left + bbox.width) continue;
      const y = plot.valToPos(data[1][Math.max(0, plot.valToIdx(at))] ?? 0, "y", true);
      ctx.fillStyle = colour(name);
      ctx.beginPath();
      ctx.arc(x, y, 3.5 * devicePixelRatio, 0, 2 * Math.PI);
      ctx.fill();
    }
  }

  // The values under the pointer, and what happened nearest to it.
  #tellMoment(plot) {
    const place = plot.cursor.idx;
    if (place === null || place === undefined) return say(find("#moment"), "");
    const [at, running, burn] = this.#data;
    const step = at[1] - at[0];
    const near = this.#marks.filter((mark) => Math.abs(mark.at - at[place]) <= 2 * step).map((mark) => mark.words);
    const some = near.length > 3 ? [...near.slice(-3), `${near.length - 3} more`] : near;
    return say(find("#moment"), `${exact(at[place] * 1000)}: ${many(running[place] ?? 0, "instance")}, ${perHour(burn[place])}${some.length ? ` – ${some.join(", ")}` : ""}`);
  }

  #fit() {
    for (const plot of this.#plots) plot.setSize({ width: find("#running").clientWidth, height: HEIGHT });
  }
}
