// Its auto-stop, to be changed in place.
import { may, patch } from "./api.js";
import { el, facts, fresh } from "./dom.js";
import { now, when } from "./time.js";
import { doing } from "./told.js";

let known = "";

export function showPolicy(place, instance) {
  const of = instance.autoStop;
  const is = JSON.stringify([instance.status === "deleted", of.enabled, of.idleMinutes, of.activity, of.maxLifetimeMinutes, of.pinnedUntil, instance.webhookUrl]);
  if (is === known || place.contains(document.activeElement)) return; // nobody loses what is being typed
  known = is;
  const isPinned = of.pinnedUntil && Date.parse(of.pinnedUntil) > now();
  place.replaceChildren(
    facts([
      ["Auto-stop", of.enabled ? `after ${of.idleMinutes} min idle` : "off"],
      ["Looks at", { heartbeat: "heartbeats", gpu: "its GPU", any: "heartbeats and its GPU" }[of.activity] ?? of.activity],
      of.maxLifetimeMinutes && ["Lifetime", `${of.maxLifetimeMinutes} min`],
      isPinned && ["Kept", when(of.pinnedUntil, "in"), " until then"],
      ["Webhook", instance.webhookUrl ?? "the service's own"],
    ].filter(Boolean)),
    instance.status === "deleted" ? "" : form(instance));
}

function form(instance) {
  const of = instance.autoStop;
  const id = fresh("policy");
  const enabled = el("input", { type: "checkbox", id: `${id}-on`, checked: of.enabled });
  const minutes = el("input", { type: "number", id: `${id}-min`, min: "1", max: "10080", required: true, value: String(of.idleMinutes) });
  const activity = el("select", { id: `${id}-what` }, [["heartbeat", "heartbeats"], ["gpu", "its GPU"], ["any", "either"]].map(([value, text]) => el("option", { value, selected: value === of.activity }, text)));
  const save = el("button", { type: "submit", disabled: !may("operate") }, "Save");
  const send = (event) => {
    event.preventDefault();
    doing(save, "Saving…", () => patch(`/api/instances/${instance.id}`, { autoStop: { enabled: enabled.checked, idleMinutes: Number(minutes.value), activity: activity.value } }), "Saved.");
  };
  return el("details", {}, el("summary", {}, "Change"), el("form", { class: "stack", onsubmit: send },
    el("label", { class: "check" }, enabled, "Stop it when it is idle"),
    el("div", { class: "grid" }, el("label", { for: minutes.id }, "Minutes idle", minutes), el("label", { for: activity.id }, "Use is shown by", activity)),
    el("div", { class: "actions" }, save)));
}
