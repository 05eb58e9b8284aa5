// A new instance: what is wanted, what that would cost, and the order itself.
import { ask, may, post } from "./api.js";
import { every, find, say, show } from "./dom.js";
import { Market, templates } from "./market.js";
import { showPlan } from "./plan.js";
import { begin } from "./shell.js";
import { doing, wordsOf } from "./told.js";

const SOON_MS = 350;
const STOCK_MS = 30_000;
const NAME = /^[A-Za-z0-9_-]{1,100}$/;
const market = new Market(() => soon());
let due;
let asked = 0;

const text = (id) => find(`#${id}`).value.trim();
const number = (id) => (text(id) === "" ? undefined : Number(text(id)));
const given = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== ""));
const some = (fields) => (Object.keys(given(fields)).length ? given(fields) : undefined);

// 8080/http, 22/tcp; what is left out is http. What is no number goes on as it is, and the API says so.
const ports = () => text("ports") === "" ? undefined : text("ports").split(/[\s,]+/).filter(Boolean).map((one) => {
  const [port, type = "http"] = one.split("/");
  return { port: /^\d+$/.test(port) ? Number(port) : port, type };
});

const envs = () => text("envs") === "" ? undefined : find("#envs").value.split("\n").filter((line) => line.trim()).map((line) => {
  const place = line.indexOf("=");
  return place < 0 ? { key: line.trim(), value: "" } : { key: line.slice(0, place).trim(), value: line.slice(place + 1) };
});

const flag = (id) => (text(id) === "" ? undefined : text(id) === "true");

function order() {
  return given({
    name: text("name"), productName: market.product, gpuNum: number("gpuNum"), billingMode: market.billing,
    region: market.region, fallback: find("#fallback").checked || !market.region ? undefined : false,
    maxPricePerHour: text("maxPricePerHour"), rootfsSize: number("rootfsSize"),
    templateId: text("templateId"), imageUrl: text("imageUrl"), ports: ports(), envs: envs(), command: text("command"),
    autoStop: some({ enabled: flag("autoStop"), idleMinutes: number("idleMinutes"), activity: text("activity"), maxLifetimeMinutes: number("maxLifetimeMinutes") }),
    recovery: market.billing === "spot" ? some({ onReclaim: text("onReclaim"), allowOnDemand: find("#allowOnDemand").checked || undefined }) : undefined,
    onStartCapacity: text("onStartCapacity"), webhookUrl: text("webhookUrl"),
  });
}

const OTHERS = { "autoStop.enabled": "autoStop", productId: "productName", regions: "region" };

// Each fault beside its field; one without a field of its own at the end.
function wrong(faults) {
  for (const node of every("[id$=-wrong]")) show(node, false);
  for (const node of every("[aria-invalid]")) node.removeAttribute("aria-invalid");
  const left = [];
  let first;
  for (const { field, message } of faults) {
    const stem = (OTHERS[field] ?? field).split(/[.[]/);
    const name = ["autoStop", "recovery"].includes(stem[0]) && stem[1] ? stem[1] : stem[0];
    const place = find(`#${CSS.escape(name)}-wrong`);
    if (!place) {
      left.push(`${field}: ${message}`);
      continue;
    }
    say(place, message);
    show(place, true);
    const input = find(`#${CSS.escape(name)}`);
    input?.setAttribute("aria-invalid", "true");
    first ??= input;
  }
  say(find("#general-wrong"), left.join("; "));
  show(find("#general-wrong"), left.length > 0);
  return first;
}

const isEnough = (what) => what.productName && (what.templateId || what.imageUrl);

async function plan() {
  const what = order();
  if (!isEnough(what)) return;
  const mine = ++asked;
  const isName = NAME.test(what.name ?? "");
  say(find("#planning"), "reckoning…");
  try {
    const told = await ask("/api/instances/plan", { ...what, name: isName ? what.name : "unnamed" });
    if (mine !== asked) return;
    wrong(isName || !what.name ? [] : [{ field: "name", message: "must be 1 to 100 of A-Z, a-z, 0-9, _ and -" }]);
    showPlan(find("#plan"), told);
    say(find("#planning"), "");
  } catch (error) {
    if (mine !== asked) return;
    wrong(error.faults?.length ? error.faults : [{ field: "plan", message: wordsOf(error) }]);
    say(find("#planning"), "");
  }
}

function soon() {
  clearTimeout(due);
  due = setTimeout(plan, SOON_MS);
}

async function create(event) {
  event.preventDefault();
  const missing = [
    !text("name") && { field: "name", message: "It needs a name." },
    !market.product && { field: "productName", message: "Choose a GPU." },
    !text("templateId") && !text("imageUrl") && { field: "templateId", message: "Choose a template, or name an image." },
  ].filter(Boolean);
  if (missing.length) return wrong(missing)?.focus();
  const faults = [];
  const answer = await doing(find("#submit"), `Asking for ${text("name")}…`, async () => {
    try {
      return await post("/api/instances", order());
    } catch (error) {
      faults.push(...(error.faults ?? []));
      throw error;
    }
  }, (told) => told.message);
  if (answer) location.assign(`/ui/instances/${answer.instanceId}`);
  else if (faults.length) wrong(faults)?.focus();
  return undefined;
}

const form = find("#create");
form.addEventListener("input", soon);
form.addEventListener("submit", create);
form.addEventListener("change", (event) => {
  if (event.target.name !== "billing") return;
  market.billing = event.target.value;
  show(find("#spot"), market.billing === "spot");
  market.show();
  soon();
});
find("#submit").disabled = !may("admin");
if (!may("admin")) wrong([{ field: "key", message: "creating needs a key with the scope admin" }]);
begin();
const fault = (error) => wrong([{ field: "catalogue", message: wordsOf(error) }]);
market.load().catch(fault);
templates(find("#templateId")).catch(fault);
setInterval(() => document.hidden || market.load().catch(() => {}), STOCK_MS);
