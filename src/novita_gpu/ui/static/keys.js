// API keys: who has one, a new one, an end to one. The key itself is shown once.
import { getIfThere, post, remove } from "./api.js";
import { copy } from "./connection.js";
import { asked } from "./dialog.js";
import { el, fresh, row, table } from "./dom.js";
import { perHour } from "./format.js";
import { Panel, press } from "./panel.js";
import { when } from "./time.js";
import { doing } from "./told.js";

const limits = (of) => {
  const said = of && [of.maxInstances !== undefined && `${of.maxInstances} instances`, of.maxUsdPerHour && perHour(of.maxUsdPerHour), of.regions?.join(", ")].filter(Boolean);
  return said?.length ? el("div", { class: "soft" }, `at most ${said.join("; ")}`) : null;
};

export function beginKeys() {
  const panel = new Panel("keys");
  const made = el("div", { class: "stack", role: "status" });
  const load = () => panel.load(() => getIfThere("/api/keys"), draw);

  const revoke = async (key, button) => {
    if (!(await asked({ title: `Revoke ${key.name}?`, body: "Whoever uses it is refused at once, sessions too.", yes: "Revoke", danger: true }))) return;
    await doing(button, `Revoking ${key.name}…`, () => remove(`/api/keys/${encodeURIComponent(key.id)}`), `${key.name} is revoked.`);
    load();
  };
  const line = (key) => row([el("b", {}, key.name), limits(key.limits)], key.scopes.join(", "), key.expired ? "expired" : key.expiresAt ? when(key.expiresAt, "in") : "never", key.lastUsedAt ? when(key.lastUsedAt) : "–", press("Revoke…", (button) => revoke(key, button), { class: "danger", "aria-label": `Revoke ${key.name}`, data: { key: `revoke ${key.id}` } }));
  const draw = ({ keys }) => [keys.length ? table(["Name", "Scopes", "Expires", "Last used", ""], keys.map(line), { label: "Keys" }) : el("p", { class: "soft" }, "There are none but the admin key.")];

  const id = fresh("key");
  const name = el("input", { id: `${id}-name`, required: true, maxlength: "64", autocomplete: "off" });
  const scope = el("select", { id: `${id}-scope` }, ["read", "operate", "admin"].map((value) => el("option", { value }, value)));
  const add = el("button", { type: "submit" }, "Make a key");
  const send = async (event) => {
    event.preventDefault();
    const told = await doing(add, "Making a key…", () => post("/api/keys", { name: name.value.trim(), scopes: [scope.value] }), "Made. It is shown this once.");
    if (!told) return;
    const code = el("code", {}, told.key);
    made.replaceChildren(el("p", {}, `The key of ${told.name}, shown this once:`), el("div", { class: "copy" }, code, press("Copy", () => copy(told.key, code)), press("Done", () => made.replaceChildren())));
    name.value = "";
    load();
  };
  panel.section.append(made, el("details", {}, el("summary", {}, "New key"), el("form", { class: "stack", onsubmit: send }, el("div", { class: "grid" }, el("label", { for: name.id }, "Name", name), el("label", { for: scope.id }, "Scope", scope)), el("div", { class: "actions" }, add))));
  load();
}
