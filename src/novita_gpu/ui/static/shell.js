// What every page has: the connection and how it is, the cloud's trouble, and the way out.
import { get, leave } from "./api.js";
import { banner } from "./banners.js";
import { cause, isWell, meaning } from "./dependencies.js";
import { find, say } from "./dom.js";
import { stream } from "./stream.js";
import { when } from "./time.js";

const HEALTH_MS = 10_000;
const LOST_AFTER_MS = 1500;
const hears = new Set();

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

// Of each part that is not well, on every page.
function trouble({ dependencies = {} }) {
  for (const name of Object.keys(dependencies)) {
    const { detail, status } = dependencies[name];
    if (isWell(dependencies[name]) || cause(name, dependencies)) banner(name);
    else banner(name, { kind: status === "down" ? "bad" : "warn", detail }, meaning(name, status));
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
    timer = setTimeout(() => banner("lost", { kind: "bad" }, "The connection to the service is lost; trying again. What is shown may be old, by ", when(since, "since"), "."), LOST_AFTER_MS);
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
