// The service's own explanation, in sentences.
import { get } from "./api.js";
import { el, fill } from "./dom.js";
import { when } from "./time.js";

const SHOWN = { heartbeat: "Heartbeats", gpu: "Its GPU" };
const SOURCES = { ...SHOWN, pin: "A pin", lifetime: "Its lifetime" };
const VERDICTS = { active: "in use", idle: "idle", unknown: "not known" };
const whole = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// Of what is a person's or a clock's doing, use is no word.
const said = ({ source, state, reason }) => (source in SHOWN ? `${VERDICTS[state] ?? state}, ${whole(reason)}` : whole(reason));

function idleness(of) {
  if (of.deletesAt) return [el("p", {}, "It is stopped, and deleted ", when(of.deletesAt, "in"), ".")];
  const says = [el("p", {}, of.stopsAt ? ["Its own policy stops it ", when(of.stopsAt, "in"), ": "] : "Auto-stop: ", whole(of.reason), of.warnedAt && [" That was told of ", when(of.warnedAt), "."])];
  if (of.sources.length) {
    says.push(el("ul", { class: "plain lines" }, of.sources.map((one) => el("li", {}, el("span", { class: "what" }, el("b", {}, SOURCES[one.source] ?? one.source), `: ${said(one)}`, !one.decides && el("span", { class: "soft" }, " Its policy does not look at it."))))));
  }
  if (of.stopsAt && of.toKeepIt.length) says.push(el("p", { class: "soft" }, `To keep it: ${of.toKeepIt.join("; ")}.`));
  if (of.stopsAt) says.push(el("p", { class: "soft" }, whole(of.aStopMayCost)));
  return says;
}

export async function showWhy(place, id) {
  const told = await get(`/api/instances/${id}/explain`);
  const { regionChoice, waitingFor, autoStop } = told;
  fill(place, el("div", { class: "stack" },
    el("p", {}, `It is ${told.status} and meant to be ${told.desired}. `, told.statusReason && whole(capital(told.statusReason))),
    regionChoice && el("p", {}, `It is in ${regionChoice.region}: `, whole(regionChoice.reason), regionChoice.attempt > 1 && ` That was attempt ${regionChoice.attempt}.`),
    el("p", {}, `Next: ${waitingFor.step}, ${whole(waitingFor.reason)}`, waitingFor.until && [" Looked at again ", when(waitingFor.until, "in"), "."]),
    idleness(autoStop)));
}
