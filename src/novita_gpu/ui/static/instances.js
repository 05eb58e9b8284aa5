// The table of instances: search, filters, order, selection.
import { may } from "./api.js";
import { Bulk, stopAll } from "./bulk.js";
import { COLUMNS, order } from "./columns.js";
import { el, every, fill, find, say, show } from "./dom.js";
import { Fleet, LIVING } from "./fleet.js";
import { STATUSES, badge, many } from "./format.js";
import { begin } from "./shell.js";
import { Windowed } from "./windowed.js";

const fleet = new Fleet();
const picked = new Set();
const wanted = { words: [], region: "", billing: "", statuses: new Set() };
let sorted = { column: null, isDown: false };
let shown = [];

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
  sorted = { column, isDown: sorted.column === column && !sorted.isDown };
  every("[role=columnheader][aria-sort]").forEach((cell, place) => cell.setAttribute("aria-sort", COLUMNS[place] === column ? (sorted.isDown ? "descending" : "ascending") : "none"));
  refresh(true);
}

const saying = (one) => `${one.name} ${one.id} ${one.novitaInstanceId ?? ""} ${one.productName} ${one.region ?? ""} ${one.statusReason ?? ""} ${one.error?.message ?? ""}`.toLowerCase();
const spoken = new WeakMap();
function says(one, word) {
  if (!spoken.has(one)) spoken.set(one, saying(one));
  return spoken.get(one).includes(word);
}

const fits = (one) => (!wanted.statuses.size || wanted.statuses.has(one.status)) && (!wanted.region || one.region === wanted.region) && (!wanted.billing || one.billingMode === wanted.billing) && wanted.words.every((word) => says(one, word));

export function refresh(isAnew = false) {
  shown = [...fleet.instances.values()].filter(fits).sort(order(sorted.column, sorted.isDown));
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
  const regions = new Set();
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

function remember() {
  const told = new URLSearchParams();
  if (find("#search").value) told.set("search", find("#search").value);
  for (const name of ["region", "billing"]) if (wanted[name]) told.set(name, wanted[name]);
  for (const status of wanted.statuses) told.append("status", status);
  history.replaceState(null, "", `#${told}`);
}

// What the address says is wanted: a link leads to the same rows.
function recall() {
  const told = new URLSearchParams(location.hash.slice(1));
  find("#search").value = told.get("search") ?? "";
  wanted.words = find("#search").value.toLowerCase().split(/\s+/).filter(Boolean);
  wanted.region = told.get("region") ?? "";
  wanted.billing = find("#billing").value = told.get("billing") ?? "";
  wanted.statuses = new Set(told.getAll("status").filter((status) => STATUSES.includes(status)));
}

function asked() {
  wanted.words = find("#search").value.toLowerCase().split(/\s+/).filter(Boolean);
  wanted.region = find("#region").value;
  wanted.billing = find("#billing").value;
  remember();
  refresh(true);
}

find("#filters").addEventListener("input", (event) => event.target.id !== "deleted" && asked());
find("#filters").addEventListener("submit", (event) => event.preventDefault());
find("#statuses").addEventListener("click", (event) => {
  const status = event.target.closest("[data-status]")?.dataset.status;
  if (!status) return;
  if (!wanted.statuses.delete(status)) wanted.statuses.add(status);
  remember();
  chips();
  refresh(true);
});
addEventListener("hashchange", () => (recall(), chips(), refresh(true)));
find("#deleted").addEventListener("change", (event) => fleet.of(event.target.checked ? STATUSES : LIVING));
find("#stop-all").disabled = !may("admin");
find("#stop-all").addEventListener("click", (event) => stopAll(event.currentTarget));
fleet.addEventListener("changed", () => (chips(), refresh()));
fleet.addEventListener("fault", (event) => fleet.isLoaded || say(find("#shown"), event.detail.message));
recall();
begin();
fleet.begin();
