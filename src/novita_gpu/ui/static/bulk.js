// What is done with many at once: each gets its own request, a few at a time, and what came of each is told.
import { ACTIONS } from "./actions.js";
import { ask, may, post } from "./api.js";
import { asked } from "./dialog.js";
import { el, fill, row, show, table } from "./dom.js";
import { badge, many, takes } from "./format.js";
import { doing, tell, wordsOf } from "./told.js";

const AT_ONCE = 4;
const SHOWN = 12;

export class Bulk {
  constructor(place, chosen, clear) {
    Object.assign(this, { place, chosen, clear });
  }

  show() {
    const chosen = this.chosen();
    show(this.place, chosen.length > 0);
    if (!chosen.length) return;
    fill(this.place,
      el("b", {}, many(chosen.length, "selected", "selected")),
      ["start", "stop", "keep", "remove"].map((action) => this.#button(action, chosen)),
      el("button", { type: "button", class: "quiet", data: { key: "clear" }, onclick: () => this.clear() }, "Clear selection"));
  }

  #button(action, chosen) {
    const { label, danger, scope } = ACTIONS[action];
    const count = chosen.filter((one) => takes(action, one.status)).length;
    return el("button", { type: "button", class: danger && "danger", disabled: !count || !may(scope), data: { key: action }, onclick: (event) => this.#run(action, event.currentTarget) }, `${label} ${count || ""}`);
  }

  async #run(action, button) {
    const chosen = this.chosen().filter((one) => takes(action, one.status));
    if (!(await asked(question(action, chosen)))) return;
    await doing(button, `${ACTIONS[action].pending} ${many(chosen.length, "instance")}…`, async () => {
      const faults = await each(chosen, ACTIONS[action].act);
      for (const { one, error } of faults.slice(0, 3)) tell(`${one.name}: ${wordsOf(error)}`, "bad");
      if (faults.length === chosen.length) throw new Error(`None of ${many(chosen.length, "instance")} took it.`);
      return chosen.length - faults.length;
    }, (done) => `${ACTIONS[action].label}: accepted for ${many(done, "instance")}.`);
    this.clear();
  }
}

function question(action, chosen) {
  const { label, danger } = ACTIONS[action];
  const names = chosen.slice(0, SHOWN).map((one) => el("li", {}, one.name, " ", badge(one.status)));
  const left = chosen.length - SHOWN;
  const is = action === "remove";
  return {
    title: `${label}: ${many(chosen.length, "instance")}`,
    body: [is && el("p", {}, "The machines and their disks are removed. This cannot be undone."), el("ul", {}, names, left > 0 && el("li", {}, `and ${left} more`))],
    yes: `${label} ${chosen.length}`,
    typed: is && chosen.length > 1 ? `delete ${chosen.length}` : undefined,
    danger,
  };
}

async function each(chosen, act) {
  const left = [...chosen];
  const faults = [];
  const worker = async () => {
    for (let one = left.shift(); one; one = left.shift()) await act(one).catch((error) => faults.push({ one, error }));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return faults;
}

// First what it would do, by the service's own word; then a word has to be typed.
export async function stopAll(button) {
  const preview = await doing(button, "Looking what would be stopped…", () => ask("/api/instances/stop-all", { dryRun: true }), (told) => `${many(told.count, "instance")} would be stopped.`);
  if (!preview?.count) return;
  const rows = preview.results.map((one) => row(one.name, badge(one.status), one.error?.message ?? "would be stopped"));
  const yes = await asked({ title: `Stop all: ${many(preview.count, "instance")}`, body: table(["Name", "Status", ""], rows), yes: "Stop all", typed: "stop all", danger: true });
  if (yes) await doing(button, "Stopping all…", () => post("/api/instances/stop-all"), (told) => `Stop was accepted for ${many(told.count, "instance")}.`);
}
