// What all plots have in common. uPlot draws; the colours are the page's.
import { every } from "./dom.js";

export const HEIGHT = 140;
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Buttons for how far back, of which one is pressed.
export function onSpan(told) {
  const buttons = every("[data-hours]");
  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const each of buttons) each.setAttribute("aria-pressed", String(each === button));
      told(Number(button.dataset.hours));
    });
  }
}

// Time below, by the clock, and at midnight by the day; `label` writes what is beside.
export function axes(label) {
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  const times = { ...axis, space: 80, size: 30, values: (_, at) => at.map((one) => moment(one, at[1] - at[0] < 60)) };
  return [times, { ...axis, size: 52, values: (_, values) => values.map(label) }];
}

function moment(seconds, isFine) {
  const at = new Date(seconds * 1000);
  const isMidnight = at.getHours() === 0 && at.getMinutes() === 0;
  return isMidnight ? at.toLocaleDateString([], { day: "numeric", month: "short" }) : at.toTimeString().slice(0, isFine ? 8 : 5);
}

// uPlot is a script of its own, which comes after the others.
export const ready = () => (window.uPlot ? Promise.resolve() : new Promise((resolve) => addEventListener("DOMContentLoaded", resolve, { once: true })));
