// The columns of the table of instances: what each shows, and by what it is sorted.
import { el, say } from "./dom.js";
import { NONE, RUNS, badge, gpu, perHour, spent, statusSince, stopsAt } from "./format.js";
import { now, retime, when } from "./time.js";

const SOON_MS = 10 * 60_000;
const text = (of) => (cell, instance) => say(cell, of(instance) ?? NONE);

// A time that goes on, or a dash.
function timed(cell, time, how) {
  const node = cell.querySelector("time");
  if (!time) return say(cell, NONE);
  if (node) return retime(node, time, how);
  return cell.replaceChildren(when(time, how));
}

function state(cell, instance) {
  const since = statusSince(instance);
  const [shown, time] = cell.children;
  if (shown?.textContent !== instance.status || Boolean(time) !== Boolean(since)) {
    cell.replaceChildren(badge(instance.status), ...(since ? [" ", when(since, "since")] : []));
    cell.lastElementChild.classList.add("soft");
    if (!since) cell.lastElementChild.classList.remove("soft");
  } else if (time) retime(time, since, "since");
  cell.title = instance.error?.message ?? instance.statusReason ?? "";
}

function stop(cell, instance) {
  const at = stopsAt(instance);
  const { enabled, pinnedUntil } = instance.autoStop;
  cell.classList.toggle("soon", Boolean(at) && Date.parse(at) - now() < SOON_MS);
  cell.title = pinnedUntil && Date.parse(pinnedUntil) > now() ? "Kept by hand" : "When its own policy stops it";
  if (!at && RUNS.has(instance.status) && !enabled) return say(cell, "never");
  return timed(cell, at, "in");
}

const running = (instance) => (RUNS.has(instance.status) ? instance.startedAt : undefined);

export const COLUMNS = [
  { name: "name", title: "Name", by: (i) => i.name.toLowerCase(), make: (i) => el("a", { href: `/ui/instances/${i.id}`, title: i.name }, i.name) },
  { name: "state", title: "Status", by: (i) => i.status, renew: state },
  { name: "what", title: "GPU", by: gpu, renew: text(gpu) },
  { name: "region", title: "Region", by: (i) => i.region ?? "", renew: text((i) => i.region) },
  { name: "price right", title: "Price", by: (i) => Number(i.pricePerHour ?? 0), renew: text((i) => perHour(i.pricePerHour)) },
  { name: "spot", title: "Billing", by: (i) => i.billingMode, renew: text((i) => (i.billingMode === "spot" ? "spot" : "on demand")) },
  { name: "cost right", title: "Cost", by: (i) => Number(i.costUsd), renew: text((i) => spent(i.costUsd)) },
  { name: "uptime", title: "Uptime", by: (i) => Date.parse(running(i) ?? "") || Infinity, renew: (cell, i) => timed(cell, running(i), "since") },
  { name: "active", title: "Last activity", by: (i) => -(Date.parse(i.autoStop.lastActivityAt ?? "") || 0), renew: (cell, i) => timed(cell, i.autoStop.lastActivityAt, "ago") },
  { name: "stop", title: "Stops", by: (i) => Date.parse(stopsAt(i) ?? "") || Infinity, renew: stop },
];

// What an address calls it.
export const keyOf = (column) => column.name.split(" ")[0];

export const NEWEST = (one, other) => (one.createdAt < other.createdAt ? 1 : one.createdAt > other.createdAt ? -1 : one.id < other.id ? 1 : -1);

// By a column, ties by age, so that the order is one and the same each time.
export function order(column, isDown) {
  if (!column) return NEWEST;
  const sign = isDown ? -1 : 1;
  return (one, other) => {
    const a = column.by(one);
    const b = column.by(other);
    return a === b ? NEWEST(one, other) : a < b ? -sign : sign;
  };
}
