// Values in words: money, places, statuses.
import { el } from "./dom.js";

export const NONE = "–";

// A formatter takes far longer to make than to use.
const formatters = new Map();
function formatted(number, least, most) {
  const key = `${least} ${most}`;
  if (!formatters.has(key)) formatters.set(key, new Intl.NumberFormat("en-US", { minimumFractionDigits: least, maximumFractionDigits: most }));
  return formatters.get(key).format(number);
}

export function usd(amount, places = 2) {
  if (amount === undefined || amount === null) return NONE;
  const number = Number(amount);
  const most = number !== 0 && Math.abs(number) < 1 ? Math.max(places, 4) : places;
  return `$${formatted(number, places, most)}`;
}
// What was spent: small sums with as many places as each other.
export const spent = (amount) => usd(amount, amount && Math.abs(Number(amount)) < 1 && Number(amount) !== 0 ? 4 : 2);
export const perHour = (amount) => (amount === undefined || amount === null ? NONE : `${usd(amount)}/h`);
export const many = (count, one, more = `${one}s`) => `${formatted(count, 0, 0)} ${count === 1 ? one : more}`;

export function hours(count) {
  if (count === undefined || count === null) return NONE;
  if (count < 48) return `${count.toFixed(count < 10 ? 1 : 0)} h`;
  const days = count / 24;
  return days < 730 ? `${Math.round(days)} days` : `${Math.round(days / 365)} years`;
}

export const STATUSES = ["ready", "running", "starting", "creating", "migrating", "stopping", "stopped", "deleting", "failed", "deleted"];
export const RUNS = new Set(["running", "ready"]);
export const MOVES = new Set(["creating", "starting", "stopping", "migrating", "deleting"]);

export const badge = (status) => el("span", { class: `status ${status}` }, status);
export const gpu = (instance) => `${instance.gpuNum} × ${instance.productName}`;

// What each status takes, as the table of the API has it.
const TAKES = {
  start: new Set(["stopped", "failed", "stopping"]),
  stop: new Set(["creating", "starting", "migrating", "running", "ready"]),
  restart: new Set(["running", "ready"]),
  remove: new Set(["creating", "starting", "migrating", "running", "ready", "stopping", "stopped", "failed"]),
  keep: new Set(["creating", "starting", "running", "ready"]),
};
export const takes = (action, status) => TAKES[action].has(status);

// When its own policy stops it, if it does.
export const stopsAt = (instance) => (RUNS.has(instance.status) ? instance.autoStop.stopsAt : undefined);
// Since when it is in its status, as well as the record tells.
export function statusSince(instance) {
  const at = { ready: instance.readyAt, running: instance.startedAt, stopped: instance.stoppedAt, deleted: instance.deletedAt, failed: instance.error?.at, creating: instance.createdAt };
  return at[instance.status];
}
