// What the service was told at its start. Secrets are stars.
import { getIfThere } from "./api.js";
import { el, row, table } from "./dom.js";
import { Panel } from "./panel.js";

const value = (one) => (one.value === undefined ? el("span", { class: "soft" }, "not set") : el("code", {}, one.value));

export function beginSettings() {
  const panel = new Panel("settings");
  const isSet = (one) => one.value !== undefined && one.value !== one.default;
  panel.load(() => getIfThere("/api/settings"), ({ settings }) => [table(["Variable", "Value", "What it is"], settings.map((one) => row(el("code", {}, one.name), [value(one), isSet(one) && el("span", { class: "tag" }, "set")], one.description)), { label: "Settings", class: "stacked" })]);
}
