// How to reach it. The password is asked for when somebody wants to see it, and hidden again.
import { get, may } from "./api.js";
import { el, fill } from "./dom.js";
import { doing, tell } from "./told.js";

const SHOWN_MS = 60_000;
const STARS = "••••••••••••";

// The clipboard is there over https and on localhost only; else the text is selected, to be copied by hand.
export async function copy(text, node) {
  try {
    await navigator.clipboard.writeText(text);
    tell("Copied.");
  } catch {
    getSelection().selectAllChildren(node);
    tell("Selected: copy it with the keyboard.");
  }
}

function copied(label, text) {
  const code = el("code", {}, text);
  return el("div", {}, el("h3", {}, label), el("div", { class: "copy" }, code, el("button", { type: "button", "aria-label": `Copy ${label}`, data: { key: `copy ${label}` }, onclick: () => copy(text, code) }, "Copy")));
}

function password(instance) {
  const code = el("code", {}, STARS);
  let secret = null;
  const hide = () => {
    secret = null;
    code.textContent = STARS;
    reveal.textContent = "Show";
  };
  const ask = async () => {
    const told = await get(`/api/instances/${instance.id}`);
    if (!told.connectionDetails.sshPassword) throw new Error("There is no password while it does not run.");
    return told.connectionDetails.sshPassword;
  };
  const reveal = el("button", {
    type: "button", disabled: !may("operate"), title: may("operate") ? undefined : "Needs a key with the scope operate", data: { key: "reveal" },
    onclick: async (event) => {
      if (secret) return hide();
      secret = (await doing(event.currentTarget, "Asking for the password…", ask, "The password is shown for a minute.")) ?? null;
      if (!secret) return undefined;
      code.textContent = secret;
      reveal.textContent = "Hide";
      return setTimeout(hide, SHOWN_MS);
    },
  }, "Show");
  return el("div", {}, el("h3", {}, "SSH password"), el("div", { class: "copy" }, code, reveal, el("button", {
    type: "button", disabled: !may("operate"), "aria-label": "Copy SSH password",
    onclick: async () => {
      const told = secret ?? (await ask().catch((error) => tell(error.message, "bad")));
      if (typeof told === "string") copy(told, code);
    },
  }, "Copy")));
}

const WEB = /^https?:\/\//;
const link = (address) => (WEB.test(address) ? el("a", { href: address, rel: "noreferrer noopener", target: "_blank" }, address) : el("code", {}, address));

function port(one) {
  return el("li", {}, el("span", { class: `what light ${one.healthy === undefined ? "" : one.healthy ? "up" : "down"}` }, el("span", {}, `${one.port}/${one.type} `, link(one.endpoint))));
}

let known = "";
export function showConnection(place, instance) {
  const { ssh, jupyter, webTerminal } = instance.connectionDetails;
  const is = JSON.stringify([instance.status, ssh, jupyter, webTerminal, instance.portMappings]);
  if (is === known) return; // a password that is shown stays
  known = is;
  const parts = [
    ssh && [copied("SSH", ssh), password(instance)],
    jupyter && el("div", {}, el("h3", {}, "Jupyter"), link(jupyter)),
    webTerminal && el("div", {}, el("h3", {}, "Web terminal"), link(webTerminal)),
    instance.portMappings.length > 0 && el("div", {}, el("h3", {}, "Ports"), el("ul", { class: "plain lines" }, instance.portMappings.map(port))),
  ].filter(Boolean);
  fill(place, parts.length ? el("div", { class: "stack" }, parts) : el("p", { class: "soft" }, "There is an address once it runs."));
}
