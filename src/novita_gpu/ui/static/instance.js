// One instance: how it is, why, how to reach it, what happened.
import { buttons } from "./actions.js";
import { get } from "./api.js";
import { showConnection } from "./connection.js";
import { Deliveries } from "./deliveries.js";
import { el, facts, fill, find, row, say, show, table } from "./dom.js";
import { NONE, badge, gpu, perHour, statusSince, usd } from "./format.js";
import { showPhases } from "./phases.js";
import { showPolicy } from "./policy.js";
import { begin } from "./shell.js";
import { stream } from "./stream.js";
import { when } from "./time.js";
import { Timeline } from "./timeline.js";
import { Use } from "./use.js";
import { showWhy } from "./why.js";

const AGAIN_MS = 10_000;
const ref = find("#instance").dataset.ref;
const timeline = new Timeline(find("#timeline"), (events) => showPhases(events));
let instance = null;
let deliveries = null;
const use = new Use();

function shown(told) {
  if (instance && told.sequence < instance.sequence) return;
  instance = told;
  show(find("#whole"), true);
  document.title = `${told.name} · novita-gpu`;
  say(find("#name"), told.name);
  const since = statusSince(told);
  find("#state").className = "";
  fill(find("#state"), badge(told.status), since && [" for ", when(since, "since")]);
  const why = told.error ? `${told.error.message} (${told.error.code})` : (told.statusReason ?? "");
  find("#reason").className = told.error ? "wrong" : "soft";
  say(find("#reason"), why);
  show(find("#reason"), Boolean(why));
  fill(find("#actions"), buttons(told));
  ofIt();
  readiness();
  showConnection(find("#connect"), told);
  showPolicy(find("#policy"), told);
  use.of(told);
}

function ofIt() {
  const one = instance;
  fill(find("#facts"), facts([
    ["GPU", gpu(one)],
    ["Region", one.region ?? NONE, one.clusterId && el("span", { class: "soft" }, ` ${one.clusterId}`)],
    ["Price", perHour(one.pricePerHour), el("span", { class: "soft" }, one.billingMode === "spot" ? " spot" : " on demand")],
    ["Cost so far", usd(one.costUsd)],
    ["CPU, memory, disk", [one.cpuNum && `${one.cpuNum} cores`, one.memoryGb && `${one.memoryGb} GB`, `${one.rootfsSize} GB`].filter(Boolean).join(", ")],
    ["Made from", one.templateId ? `template ${one.templateId}` : el("code", {}, one.imageUrl ?? NONE)],
    ["Created", when(one.createdAt)],
    one.startedAt && ["Started", when(one.startedAt)],
    one.readyAt && ["Ready", when(one.readyAt)],
    one.stoppedAt && ["Stopped", when(one.stoppedAt)],
    ["Id", el("code", {}, one.id)],
    one.novitaInstanceId && ["Novita's id", el("code", {}, one.novitaInstanceId), el("span", { class: "soft" }, ` ${one.novitaStatus ?? ""}`)],
    one.envs.length && ["Environment", el("span", { title: "Names only: values are never told" }, one.envs.join(", "))],
    one.spot && ["Spot", one.spot.status || "as usual", one.spot.reclaimAt && [", taken ", when(one.spot.reclaimAt, "in")]],
  ]));
}

const STATES = { pending: "Nothing is probed before it runs.", probing: "It runs, and does not answer yet.", ready: "It answers.", failed: "It runs, and has not answered within its time." };

function readiness() {
  const { state, checkedAt, endpoints } = instance.readiness;
  const rows = endpoints.map((one) => row(String(one.port), el("span", { class: `light ${one.healthy ? "up" : "down"}` }, one.healthy ? "answers" : "does not"), one.error ?? (one.statusCode ? `HTTP ${one.statusCode}` : ""), `${one.responseTimeMs} ms`));
  fill(find("#readiness"), el("p", {}, STATES[state] ?? state, checkedAt && el("span", { class: "soft" }, " Asked ", when(checkedAt), ".")), rows.length > 0 && table(["Port", "", "Answer", "Time"], rows, { label: "Endpoints" }));
}

let asking = false;
async function load() {
  if (asking) return;
  asking = true;
  try {
    const told = await get(`/api/instances/${encodeURIComponent(instance?.id ?? ref)}`);
    delete told.connectionDetails.sshPassword; // asked for again when somebody wants to see it
    shown(told);
    if (!deliveries) {
      deliveries = new Deliveries(find("#deliveries"), { instanceId: told.id, limit: 20 });
      await timeline.load(told.id);
      deliveries.load();
    }
    await showWhy(find("#why"), told.id);
  } catch (error) {
    if (error.status === 404) {
      show(find("#missing"), true);
      show(find("#state"), false);
    } else if (!instance) say(find("#state"), error.message);
  } finally {
    asking = false;
  }
}

stream.on("told", (event) => {
  if (!instance || event.data.instanceId !== instance.id) return;
  if (event.data.instance) shown({ ...event.data.instance, connectionDetails: event.data.instance.connectionDetails });
  timeline.put(event);
  deliveries?.soon();
  load();
});
stream.on("open", load);
setInterval(() => document.hidden || load(), AGAIN_MS);
begin();
use.begin();
load();
