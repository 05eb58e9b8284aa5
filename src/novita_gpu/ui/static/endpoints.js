// Registered receivers: a new one, off and on, a new secret, an end. Secrets are shown once.
import { getIfThere, patch, post, remove } from "./api.js";
import { copy } from "./connection.js";
import { asked } from "./dialog.js";
import { el, fill, fresh, row, table } from "./dom.js";
import { Panel, press } from "./panel.js";
import { when } from "./time.js";
import { doing } from "./told.js";

const PLACE = "/api/webhooks/endpoints";

export function beginEndpoints() {
  const panel = new Panel("endpoints");
  const made = el("div", { class: "stack", role: "status" });
  const load = () => panel.load(() => getIfThere(PLACE), draw);
  const secret = ({ url, secret: text }) => {
    const code = el("code", {}, text);
    made.replaceChildren(el("p", {}, `The secret of ${url}, shown this once:`), el("div", { class: "copy" }, code, press("Copy", () => copy(text, code)), press("Done", () => made.replaceChildren())));
  };
  const turn = (one, button) => doing(button, "Changing…", () => patch(`${PLACE}/${one.id}`, { enabled: !one.enabled }), one.enabled ? "It is off." : "It is on.").then(load);
  const rotate = async (one, button) => {
    if (!(await asked({ title: "A new secret?", body: "The one before signs too for 24 hours.", yes: "Make it" }))) return;
    const told = await doing(button, "Making a new secret…", () => post(`${PLACE}/${one.id}/rotate`), "Made. It is shown this once.");
    if (told) secret(told);
    load();
  };
  const end = async (one, button) => {
    if (!(await asked({ title: "Remove this endpoint?", body: one.url, yes: "Remove", danger: true }))) return;
    await doing(button, "Removing…", () => remove(`${PLACE}/${one.id}`), "Removed.");
    load();
  };
  const state = (one) => [el("span", { class: `light ${one.enabled ? (one.failingSince ? "degraded" : "up") : ""}` }, one.enabled ? (one.failingSince ? "failing" : "on") : "off"), one.failingSince && el("div", { class: "soft" }, "since ", when(one.failingSince)), one.offReason && el("div", { class: "soft" }, one.offReason)];
  const line = (one) => row([one.url, el("div", { class: "soft" }, one.types.length ? one.types.join(", ") : "every event")], state(one), el("div", { class: "actions" },
    press(one.enabled ? "Off" : "On", (button) => turn(one, button), { data: { key: `turn ${one.id}` }, "aria-label": `Turn ${one.url} ${one.enabled ? "off" : "on"}` }),
    press("New secret…", (button) => rotate(one, button), { data: { key: `rotate ${one.id}` } }),
    press("Remove…", (button) => end(one, button), { class: "danger", data: { key: `end ${one.id}` } })));
  const draw = ({ endpoints }) => [endpoints.length ? table(["Receiver", "State", ""], endpoints.map(line), { label: "Endpoints" }) : el("p", { class: "soft" }, "None is registered.")];

  const id = fresh("endpoint");
  const url = el("input", { id: `${id}-url`, type: "url", required: true, placeholder: "https://example.com/hook", autocomplete: "off" });
  const add = el("button", { type: "submit" }, "Register");
  const send = async (event) => {
    event.preventDefault();
    const told = await doing(add, "Registering…", () => post(PLACE, { url: url.value.trim() }), "Registered. Its secret is shown this once.");
    if (!told) return;
    secret(told);
    url.value = "";
    load();
  };
  panel.actions.append(press("Send a test", (button) => doing(button, "Sending a test event…", () => post("/api/webhooks/test"), (told) => told.message)));
  panel.section.append(made, el("details", {}, el("summary", {}, "New endpoint"), el("form", { class: "stack", onsubmit: send }, el("label", { for: url.id }, "Address", url), el("div", { class: "actions" }, add))));
  load();
}
