// What every page has: the connection and how it is, the cloud's trouble, and the way out.
import { get, leave } from "./api.js";
import { el, fill, find, say } from "./dom.js";
import { stream } from "./stream.js";
import { when } from "./time.js";

const HEALTH_MS = 10_000;
const LOST_AFTER_MS = 1500;
const hears = new Set();
const banners = new Map();

export function banner(name, ...words) {
  const said = words.filter((word) => typeof word === "string").join("");
  if ((banners.get(name)?.dataset.said ?? "") === said) return; // said already: nobody wants to hear it again
  if (words.length) banners.set(name, el("p", { class: `banner ${name === "lost" ? "bad" : "warn"}`, data: { said } }, words));
  else banners.delete(name);
  fill(find("#banners"), [...banners.values()].map((node) => node.cloneNode(true)));
}

// Calls `told` with each answer of /health.
export function onHealth(told) {
  hears.add(told);
}

export async function lookAtHealth() {
  try {
    const health = await get("/health");
    for (const told of hears) told(health);
    trouble(health);
  } catch {
    // The connection's own banner says it.
  }
}

const TROUBLE = {
  novitaApi: "The cloud does not answer as it should. What is shown is what was last known; wishes are kept and carried out when it does.",
  redis: "The store does not answer as it should. What is shown is from memory.",
};

function trouble(health) {
  for (const [service, words] of Object.entries(TROUBLE)) {
    const verdict = health.services[service];
    const detail = health.dependencies?.[service]?.detail;
    banner(service, ...(verdict === "up" || verdict === "disabled" ? [] : [words, detail ? ` (${detail})` : ""]));
  }
}

function connection() {
  const link = find("#link");
  let timer;
  let isLeft = false;
  const lost = () => {
    if (isLeft) return;
    link.className = "link bad";
    say(link, "offline");
    const since = new Date().toISOString();
    clearTimeout(timer);
    timer = setTimeout(() => banner("lost", "The connection to the service is lost; trying again. What is shown may be old, by ", when(since, "since"), "."), LOST_AFTER_MS);
  };
  stream.on("open", () => {
    clearTimeout(timer);
    banner("lost");
    link.className = "link good";
    say(link, "live");
    lookAtHealth();
  });
  stream.on("lost", lost);
  stream.on("left", () => (isLeft = true));
  addEventListener("pageshow", () => (isLeft = false));
  timer = setTimeout(() => stream.isOpen || lost(), 3000);
}

export function begin() {
  find("#logout").addEventListener("click", leave);
  connection();
  stream.begin();
  lookAtHealth();
  setInterval(() => document.hidden || lookAtHealth(), HEALTH_MS);
}
