// What create would do and cost, and why.
import { el, fill } from "./dom.js";
import { hours, perHour, usd } from "./format.js";
import { span, when } from "./time.js";

const offer = (one) => el("li", {}, el("b", {}, one.region), ` ${one.gpuNum} × ${one.productName} `, el("span", { class: "soft" }, one.productId), ` ${perHour(one.pricePerHour)}`, one.emptyUntil && el("div", { class: "soft" }, "met empty; tried last for ", when(one.emptyUntil, "until")));
const passed = (one) => el("li", {}, el("b", {}, one.region), ` ${one.reason}`);
const cell = (label, value) => el("div", {}, el("span", { class: "soft" }, label), el("b", {}, value));

export function showPlan(place, plan) {
  const { spend, balance, limits } = plan;
  const more = plan.offers.length - 3;
  fill(place, el("div", { class: "stack" },
    plan.refusal && el("p", { class: "wrong" }, `${plan.refusal.message} (${plan.refusal.code})`),
    spend && el("div", { class: "rates" }, cell("an hour", usd(spend.perHour)), cell("a day", usd(spend.perDay)), cell("30 days", usd(spend.perMonth))),
    spend && Number(spend.diskPerDay) > 0 && el("p", { class: "soft" }, `Of this the disk: ${usd(spend.diskPerDay)} a day, also while it is stopped.`),
    plan.readyInSeconds !== undefined && el("p", {}, `Ready in about ${span(plan.readyInSeconds * 1000)}, as our own last launches.`),
    balance && el("p", {}, `Balance ${usd(balance.availableUsd)}`, balance.hoursLeft !== undefined && `, lasts ${hours(balance.hoursLeft)} with it running`, "."),
    limits.maxInstances !== undefined && el("p", { class: "soft" }, `${limits.instances} of ${limits.maxInstances} instances.`),
    limits.maxBurnPerHour !== undefined && el("p", { class: "soft" }, `${perHour(limits.reservedPerHour)} of ${perHour(limits.maxBurnPerHour)} reserved.`),
    plan.offers.length > 0 && el("div", {}, el("h3", {}, "Tried in this order"), el("ol", { class: "plain offers" }, plan.offers.slice(0, 3).map(offer)), more > 0 && el("details", {}, el("summary", {}, `${more} more`), el("ol", { class: "plain offers" }, plan.offers.slice(3).map(offer)))),
    plan.why && el("p", { class: "soft" }, `The first: ${plan.why}.`),
    plan.passedOver.length > 0 && el("details", {}, el("summary", {}, `Passed over: ${plan.passedOver.length}`), el("ul", { class: "plain offers" }, plan.passedOver.map(passed))),
    el("p", { class: "soft" }, plan.message, " ", plan.aStopMayCost),
    plan.stale && el("p", { class: "wrong" }, plan.fault)));
}
