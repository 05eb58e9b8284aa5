// What runs, what it costs, what needs somebody.
import { get, query } from "./api.js";
import { showAttention } from "./attention.js";
import { el, fill, find, show } from "./dom.js";
import { Fleet } from "./fleet.js";
import { STATUSES, badge, hours, many, perHour, spent, usd } from "./format.js";
import { showLights } from "./lights.js";
import { Plots } from "./plots.js";
import { begin, onHealth } from "./shell.js";
import { stream } from "./stream.js";
import { now, when } from "./time.js";

const MONEY_MS = 30_000;
const SOON_MS = 1000;
const fleet = new Fleet();
const plots = new Plots();

function counts() {
  const by = new Map();
  for (const { status } of fleet.instances.values()) by.set(status, (by.get(status) ?? 0) + 1);
  const chips = STATUSES.filter((status) => by.has(status)).map((status) => el("a", { class: "chip", href: `/ui/instances#status=${status}` }, badge(status), el("b", {}, by.get(status).toLocaleString("en-US"))));
  fill(find("#counts"), chips.length ? chips : el("span", { class: "soft" }, "none"));
}

// Midnight, and the first of the month, where the reader is.
const since = (month) => {
  const at = new Date(now());
  return new Date(at.getFullYear(), at.getMonth(), month ? 1 : at.getDate()).toISOString();
};

async function money() {
  const [today, month] = await Promise.all([false, true].map((is) => get(`/api/costs${query({ since: since(is), limit: 0 })}`)));
  const { balance, limits } = today;
  const figure = (title, value, small, why) => el("div", { class: "figure", title: why }, el("dt", {}, title), el("dd", {}, value, small && el("small", {}, small)));
  const doubt = (of) => Number(of.uncertainUsd) >= 0.005 && `± ${spent(of.uncertainUsd)}`;
  fill(find("#figures"),
    figure("Burn", perHour(today.burnPerHour), limits.maxBurnPerHour ? `of ${perHour(limits.maxBurnPerHour)} allowed` : `${usd(Number(today.burnPerHour) * 24)} a day`, "What bills now, disks of stopped instances included"),
    figure("Spent today", spent(today.costUsd), doubt(today), today.rule),
    figure("Spent this month", spent(month.costUsd), doubt(month), `${month.rule} Deleted instances count as long as they are kept.`),
    figure("Saved by auto-stop", spent(today.savedUsd), false, today.savedRule),
    figure("Balance", balance ? usd(balance.availableUsd) : "not known", !balance ? "the cloud does not tell it now" : (balance.hoursLeft === undefined ? "nothing bills now" : `lasts ${hours(balance.hoursLeft)} at this burn`), balance && "As the cloud said"));
  for (const node of document.querySelectorAll("#figures dd")) node.classList.remove("loading");
}

let due;
function soon() {
  due ??= setTimeout(() => {
    due = undefined;
    money().catch(() => {});
    plots.load().catch(() => {});
  }, SOON_MS);
}

fleet.addEventListener("changed", () => {
  counts();
  show(find("#empty"), fleet.isLoaded && fleet.instances.size === 0);
  showAttention(fleet);
});
fleet.addEventListener("fault", (event) => fleet.isLoaded || fill(find("#counts"), el("span", { class: "wrong" }, event.detail.message)));
onHealth(showLights);
onHealth((health) => showAttention(fleet, health));
stream.on("told", soon);
setInterval(() => document.hidden || soon(), MONEY_MS);
setInterval(() => showAttention(fleet), 10_000);
begin();
fleet.begin();
money().catch((error) => fill(find("#figures"), el("div", { class: "figure wrong" }, error.message)));
plots.begin();
