// What needs somebody, the worst first, each with what may be done about it beside it.
import { buttons } from "./actions.js";
import { get } from "./api.js";
import { el, fill, find } from "./dom.js";
import { many, perHour, stopsAt } from "./format.js";
import { now, when } from "./time.js";

const SOON_MS = 10 * 60_000;
const MOST = 8;
const DAY_MS = 86_400_000;
let health;
let dearer = new Map(); // by instance: its last event

const name = (instance) => el("a", { href: `/ui/instances/${instance.id}` }, el("b", {}, instance.name));
const line = (what, actions) => el("li", {}, el("span", { class: "what" }, what), el("span", { class: "actions" }, actions));

function failed(instance) {
  if (instance.status !== "failed") return null;
  return line([name(instance), " failed: ", instance.error?.message ?? instance.statusReason ?? "no reason is known"], buttons(instance, ["start", "remove"], { short: true }));
}

function reclaimed(instance) {
  const at = instance.spot?.reclaimAt;
  if (!at || instance.status === "stopped" || instance.status === "failed") return null;
  return line([name(instance), " is taken by the cloud ", when(at, "in"), "; it comes back as its policy says"], buttons(instance, ["stop"], { short: true }));
}

function ending(instance) {
  const at = stopsAt(instance);
  if (!at || Date.parse(at) - now() > SOON_MS) return null;
  return line([name(instance), " is stopped for idleness ", when(at, "in")], buttons(instance, ["keep", "stop"], { short: true }));
}

function costly(instance) {
  const event = dearer.get(instance.id);
  if (!event || instance.billingMode !== "onDemand" || !["ready", "running"].includes(instance.status)) return null;
  return line([name(instance), ` runs on demand at ${perHour(instance.pricePerHour)}, though it was asked for as spot`], buttons(instance, ["stop"], { short: true }));
}

function ofHealth() {
  const lines = [];
  if (health?.sync?.orphans) lines.push(line([el("b", {}, many(health.sync.orphans, "orphan")), ": machines of ours that bill and that no instance has"], el("a", { class: "button", href: "/ui/system#sync" }, "Look")));
  if (health?.autoStop?.stopsInVain) lines.push(line([el("b", {}, many(health.autoStop.stopsInVain, "instance")), " bill on though their stop was asked for again and again"], el("a", { class: "button", href: "/ui/instances#status=stopping" }, "Look")));
  return lines;
}

export function showAttention(fleet, told = health) {
  health = told;
  if (!fleet.isLoaded) return;
  const all = [...fleet.instances.values()];
  const lines = [...all.map(failed), ...all.map(reclaimed), ...all.map(ending), ...ofHealth(), ...all.map(costly)].filter(Boolean);
  const more = lines.length - MOST;
  fill(find("#attentions"),
    lines.length ? lines.slice(0, MOST) : el("li", { class: "soft" }, "Nothing does."),
    more > 0 && el("li", {}, el("a", { href: "/ui/instances" }, `and ${many(more, "more", "more")}`)));
}

// Told of at once and then daily; what is older has ended.
get("/api/events?type=instance.dearer&limit=1000").then(({ events }) => {
  dearer = new Map(events.filter((event) => now() - Date.parse(event.timestamp) < DAY_MS * 1.1).map((event) => [event.data.instanceId, event]));
}).catch(() => {});
