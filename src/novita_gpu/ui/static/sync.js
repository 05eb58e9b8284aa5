// The comparison with the cloud, at a person's wish: first what it would do, then what it did.
import { ask, get, may, post } from "./api.js";
import { el, facts, fill, row, table } from "./dom.js";
import { asked } from "./dialog.js";
import { many, perHour } from "./format.js";
import { Panel, press } from "./panel.js";
import { onHealth } from "./shell.js";
import { when } from "./time.js";
import { doing } from "./told.js";

const report = el("div", { class: "stack", role: "status" });

function orphan(panel, one) {
  const adopt = press("Take in", (button) => sync(panel, { adopt: [one.novitaInstanceId] }, button), { "aria-label": `Take in ${one.name}` });
  return row([el("b", {}, one.name), el("div", {}, el("code", {}, one.novitaInstanceId))], when(one.since, "ago"), perHour(one.usdPerHour), one.heldBack ?? "", adopt);
}

function showReport(panel, told) {
  const counted = [["Cloud", many(told.novitaInstances, "machine")], ["Here", many(told.localInstances, "instance")], ["Adopted", told.adopted], ["Updated", told.updated], ["Closed", told.closed], ["Missing", told.missing], ["Orphans removed", told.orphansRemoved], ["Took", `${Math.round(told.durationMs)} ms`]];
  fill(report,
    el("h3", {}, told.dryRun ? "It would do this; nothing was changed" : "It did this"),
    facts(counted.map(([name, value]) => [name, String(value)])),
    told.errors.map((fault) => el("p", { class: "wrong" }, `${fault.message} (${fault.code})`)),
    told.adoptions.length > 0 && el("p", {}, `Taken in: ${told.adoptions.map((one) => one.name).join(", ")}`),
    told.orphans.length > 0 && [el("h3", {}, "Orphans: machines with a marker of ours that no instance has"), table(["Machine", "Seen since", "Price", "Held back", ""], told.orphans.map((one) => orphan(panel, one)), { label: "Orphans" }), press("Remove orphans…", (button) => removeOrphans(panel, told.orphans, button), { class: "danger" })],
    told.lookalikes.length > 0 && el("p", { class: "soft" }, `${many(told.lookalikes.length, "machine")} with half of a marker of ours: ${told.lookalikes.map((one) => one.name).join(", ")}. Never touched.`));
}

async function sync(panel, what, button) {
  const told = await doing(button, "Comparing with the cloud…", () => (what.dryRun ? ask : post)("/api/instances/sync", what), (answer) => `${answer.dryRun ? "Looked at" : "Compared"} ${many(answer.novitaInstances, "machine")} in ${Math.round(answer.durationMs)} ms.`);
  if (told) showReport(panel, told);
}

async function removeOrphans(panel, orphans, button) {
  const yes = await asked({ title: `Remove ${many(orphans.length, "orphan")}?`, body: "Those that the rule for orphans allows are deleted, with their disks.", yes: "Remove", typed: "remove", danger: true });
  if (yes) await sync(panel, { removeOrphans: true }, button);
}

function state({ sync: told }) {
  if (!told) return el("p", { class: "soft" }, "Nothing is told of it.");
  return facts([
    ["Last", told.lastSync ? when(told.lastSync) : "none yet"],
    ["Next", told.isLocked ? `one is being made${told.lockedBy ? ` by ${told.lockedBy}` : ""}` : told.nextSync ? when(told.nextSync, "in") : "–"],
    ["Last listing", told.lastListing ? when(told.lastListing) : "none yet"],
    ["Orphans", String(told.orphans ?? 0)],
    ...(told.errors ?? []).map((fault) => [fault.code, el("span", { class: "wrong" }, fault.message)]),
  ]);
}

export function beginSync() {
  const panel = new Panel("sync");
  const lacks = may("admin") ? {} : { disabled: true, title: "Needs a key with the scope admin" };
  panel.actions.append(press("Look only", (button) => sync(panel, { dryRun: true }, button), lacks), press("Sync now", (button) => sync(panel, {}, button), { class: "main", ...lacks }));
  const now = el("div");
  panel.inner.replaceChildren(now, report);
  panel.section.hidden = false;
  const draw = (health) => fill(now, state(health));
  onHealth(draw);
  get("/health").then(draw).catch(() => {});
}
