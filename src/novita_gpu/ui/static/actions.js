// What may be done with an instance, from wherever it is shown.
import { may, patch, post, remove } from "./api.js";
import { asked } from "./dialog.js";
import { el } from "./dom.js";
import { takes } from "./format.js";
import { now } from "./time.js";
import { doing } from "./told.js";

const HOUR_MS = 3_600_000;
const at = (instance) => `/api/instances/${instance.id}`;

export const ACTIONS = {
  start: { label: "Start", scope: "operate", act: (one) => post(`${at(one)}/start`), pending: "Starting" },
  stop: { label: "Stop", scope: "operate", act: (one) => post(`${at(one)}/stop`), pending: "Stopping" },
  restart: { label: "Restart", scope: "operate", act: (one) => post(`${at(one)}/restart`), pending: "Restarting" },
  keep: {
    label: "Keep 1 h",
    title: "Its own policy does not stop it for an hour from now",
    scope: "operate",
    act: (one) => patch(at(one), { autoStop: { pinnedUntil: new Date(now() + HOUR_MS).toISOString() } }),
    pending: "Keeping",
    done: (one) => `${one.name} is kept for an hour.`,
  },
  remove: { label: "Delete", scope: "admin", act: (one) => remove(at(one)), pending: "Deleting", danger: true },
};

const lacks = (action) => !may(ACTIONS[action].scope) && `Needs a key with the scope ${ACTIONS[action].scope}`;

async function sure(action, instance) {
  if (action !== "remove") return true;
  return asked({ title: `Delete ${instance.name}?`, body: "The machine and its disk are removed. This cannot be undone.", yes: "Delete", danger: true });
}

export async function run(action, instance, button) {
  const { act, pending, done } = ACTIONS[action];
  if (!(await sure(action, instance))) return undefined;
  return doing(button, `${pending} ${instance.name}…`, () => act(instance), (answer) => done?.(instance) ?? `${instance.name}: ${answer.message}`);
}

export function button(action, instance, { short = false } = {}) {
  const { label, title, danger } = ACTIONS[action];
  return el("button", {
    type: "button",
    class: danger ? "danger" : undefined,
    disabled: Boolean(lacks(action)),
    title: lacks(action) || title,
    "aria-label": short ? `${label} ${instance.name}` : undefined,
    data: { key: `${action} ${instance.id}` },
    onclick: (event) => run(action, instance, event.currentTarget),
  }, label);
}

// Those that its status takes.
export const buttons = (instance, wanted = Object.keys(ACTIONS), how) => wanted.filter((action) => takes(action, instance.status)).map((action) => button(action, instance, how));
