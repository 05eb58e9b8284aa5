// Spot machines that were taken: what is on its way back, what came back, and a look at a person's wish.
import { ask, get, may, post } from "./api.js";
import { el, facts, fill, row, table } from "./dom.js";
import { many } from "./format.js";
import { Panel, press } from "./panel.js";
import { stream } from "./stream.js";
import { span, when } from "./time.js";
import { doing } from "./told.js";

const name = (id, text) => el("a", { href: `/ui/instances/${id}` }, text);

function draw(told) {
  const coming = told.recovering.map((one) => row(name(one.instanceId, one.name), one.stage, one.reason, `${one.recoveriesToday} of ${one.maxPerDay} today`, one.nextAt ? when(one.nextAt, "in") : ""));
  const came = told.last.map((one) => row(name(one.instanceId, one.instanceId.slice(-8)), when(one.at), span(one.secondsLost * 1000), one.by, one.region));
  return [
    facts([["Unless it says otherwise", told.onReclaim], ["A day at most", String(told.maxPerDay)], ["Spot instances", String(told.spotInstances)]]),
    coming.length ? table(["Instance", "Stage", "Why", "Times", "Next"], coming, { label: "On the way back" }) : el("p", { class: "soft" }, "Nothing is on its way back."),
    came.length > 0 && [el("h3", {}, "Came back"), table(["Instance", "When", "Was lost for", "By", "Region"], came, { label: "Came back" })],
  ];
}

export function beginRecovery() {
  const panel = new Panel("recovery");
  const found = el("div", { class: "stack", role: "status" });
  const load = () => panel.load(() => get("/api/instances/migration/status"), draw);
  const lacks = may("admin") ? {} : { disabled: true, title: "Needs a key with the scope admin" };
  const failed = async (button) => {
    const told = await doing(button, "Looking for failed migrations…", () => ask("/api/instances/migration/check-failed", { dryRun: true }), (answer) => answer.message);
    if (told) fill(found, el("h3", {}, "Failed migrations"), told.results.length ? table(["Instance", "State", "Why"], told.results.map((one) => row(one.name, one.state, one.error ?? one.reason))) : el("p", { class: "soft" }, `None of ours, of ${many(told.totalChecked, "migration")} of the last day.`));
  };
  panel.actions.append(press("Failed ones", failed, lacks), press("Look after them", (button) => doing(button, "Looking after machines that were taken…", () => post("/api/instances/migration/trigger"), (told) => told.message).then(load), lacks));
  panel.section.append(found);
  stream.on("told", (event) => /reclaim|migrating|recovered/.test(event.type) && load());
  load();
}
