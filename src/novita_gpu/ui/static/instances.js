// The table of instances: search, filters, order, selection.
import { may } from "./api.js";
import { Bulk, stopAll } from "./bulk.js";
import { COLUMNS, order } from "./columns.js";
import { el, every, fill, find, say, show } from "./dom.js";
import { Fleet, LIVING } from "./fleet.js";
import { STATUSES, badge, many } from "./format.js";
import { begin } from "./shell.js";
import { recalled, remember, rememberTyped, wordsOf } from "./wanted.js";
import { Windowed } from "./windowed.js";

const picked = new Set();
let wanted = recalled();
let words = [];
let shown = [];
const fleet = new Fleet(of(wanted));

function of({ deleted }) {
  return deleted ? STATUSES : LIVING;
}

const bulk = new Bulk(find("#bulk"), () => shown.filter((one) => picked.has(one.id)), () => pick([]));
const all = el("input", { type: "checkbox", "aria-label": "Select all that are shown", onchange: (event) => pick(event.target.checked ? shown.map((one) => one.id) : []) });
const rows = new Windowed(find("#fleet"), { head: head(), make, renew });

function head() {
  const cells = COLUMNS.map((column) => el("div", { role: "columnheader", class: column.name, "aria-sort": "none" }, el("button", { type: "button", onclick: () => sort(column) }, column.title)));
  return el("div", { role: "row", class: "line heads", "aria-rowindex": "1" }, el("div", { role: "columnheader", class: "pick" }, all), cells);
}

function make(instance) {
  const box = el("input", { type: "checkbox", "aria-label": `Select ${instance.name}`, onchange: (event) => toggle(instance.id, event.target.checked) });
  const cells = COLUMNS.map((column) => el("div", { role: "cell", class: column.name }, column.make?.(instance)));
  return el("div", { role: "row", class: "line", data: { id: instance.id } }, el("div", { role: "cell", class: "pick" }, box), cells);
}

function renew(node, instance) {
  const is = picked.has(instance.id);
  node.firstChild.firstChild.checked = is;
  node.setAttribute("aria-selected", String(is));
  COLUMNS.forEach((column, place) => column.renew?.(node.children[place + 1], instance));
}

function toggle(id, is) {
  if (is) picked.add(id);
  else picked.delete(id);
  rows.render();
  bulk.show();
}

function pick(ids) {
  picked.clear();
  for (const id of ids) picked.add(id);
  all.checked = ids.length > 0;
  rows.render();
  bulk.show();
}

function sort(column) {
  const isDown = wanted.column === column && !wanted.isDown;
  asked({ column, isDown });
}

const saying = (one) => `${one.name} ${one.id} ${one.novitaInstanceId ?? ""} ${one.productName} ${one.region ?? ""} ${one.statusReason ?? ""} ${one.error?.message ?? ""}`.toLowerCase();
const spoken = new WeakMap();
function says(one, word) {
  if (!spoken.has(one)) spoken.set(one, saying(one));
  return spoken.get(one).includes(word);
}

const fits = (one) => (!wanted.statuses.size || wanted.statuses.has(one.status)) && (!wanted.region || one.region === wanted.region) && (!wanted.billing || one.billingMode === wanted.billing) && words.every((word) => says(one, word));

export function refresh(isAnew = false) {
  shown = [...fleet.instances.values()].filter(fits).sort(order(wanted.column, wanted.isDown));
  rows.put(shown, isAnew);
  for (const id of picked) if (!fleet.instances.has(id)) picked.delete(id);
  bulk.show();
  const total = fleet.total ?? fleet.instances.size;
  say(find("#shown"), !fleet.isLoaded ? `Reading ${many(total, "instance")}…` : shown.length === total ? many(total, "instance") : `${shown.length.toLocaleString("en-US")} of ${many(total, "instance")}`);
  const isEmpty = fleet.isLoaded && fleet.instances.size === 0;
  show(find("#empty"), isEmpty);
  for (const part of ["#fleet", "#filters"]) show(find(part), !isEmpty);
}

function chips() {
  const by = new Map();
  const regions = new Set(wanted.region ? [wanted.region] : []);
  for (const { status, region } of fleet.instances.values()) {
    by.set(status, (by.get(status) ?? 0) + 1);
    if (region) regions.add(region);
  }
  const there = STATUSES.filter((status) => by.has(status) || wanted.statuses.has(status));
  fill(find("#statuses"), there.map((status) => el("button", { class: "chip", type: "button", "aria-pressed": String(wanted.statuses.has(status)), data: { status, key: status } }, badge(status), el("span", {}, (by.get(status) ?? 0).toLocaleString("en-US")))));
  const select = find("#region");
  fill(select, el("option", { value: "" }, "All regions"), [...regions].sort().map((region) => el("option", { value: region }, region)));
  select.value = wanted.region;
}

// Everything on the page that says what is wanted.
function draw() {
  for (const name of ["search", "billing"]) if (find(`#${name}`).value !== wanted[name]) find(`#${name}`).value = wanted[name];
  find("#deleted").checked = wanted.deleted;
  const turned = wanted.isDown ? "descending" : "ascending";
  every("[role=columnheader][aria-sort]").forEach((cell, place) => cell.setAttribute("aria-sort", COLUMNS[place] === wanted.column ? turned : "none"));
  chips();
  seek();
}

function seek() {
  words = wordsOf(wanted.search);
  refresh(true);
}

function searched(search) {
  wanted = { ...wanted, search };
  seek();
  rememberTyped(wanted);
}

function becomes(changes) {
  const had = wanted.deleted;
  wanted = { ...wanted, ...changes };
  draw();
  if (wanted.deleted !== had) fleet.of(of(wanted));
}

function asked(changes) {
  becomes(changes);
  remember(wanted);
}

find("#search").addEventListener("input", ({ target }) => searched(target.value));
find("#filters").addEventListener("input", ({ target }) => target.id !== "search" && asked({ [target.id]: target.type === "checkbox" ? target.checked : target.value }));
find("#filters").addEventListener("submit", (event) => event.preventDefault());
find("#statuses").addEventListener("click", (event) => {
  const status = event.target.closest("[data-status]")?.dataset.status;
  if (!status) return;
  const statuses = new Set(wanted.statuses);
  if (!statuses.delete(status)) statuses.add(status);
  asked({ statuses });
});
addEventListener("hashchange", () => becomes(recalled()));
find("#stop-all").disabled = !may("admin");
find("#stop-all").addEventListener("click", (event) => stopAll(event.currentTarget));
fleet.addEventListener("changed", () => (chips(), refresh()));
fleet.addEventListener("fault", (event) => fleet.isLoaded || say(find("#shown"), event.detail.message));
draw();
begin();
fleet.begin();
