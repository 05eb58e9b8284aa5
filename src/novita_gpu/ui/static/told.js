// What came of an action, at the foot of the page: pending, done, or the API's own words.
import { el, find } from "./dom.js";

const STAYS_MS = { done: 5000, bad: 15_000 };

export function tell(text, kind = "done") {
  const close = el("button", { class: "quiet", type: "button", "aria-label": "Dismiss", onclick: () => note.remove() }, "×");
  const note = el("div", { class: `note ${kind}` }, el("span", {}, text), close);
  find("#told").append(note);
  if (STAYS_MS[kind]) setTimeout(() => note.remove(), STAYS_MS[kind]);
  return {
    becomes(words, then = "done") {
      note.className = `note ${then}`;
      note.firstChild.textContent = words;
      setTimeout(() => note.remove(), STAYS_MS[then]);
    },
  };
}

export const wordsOf = (error) => (error.code && error.code !== "UNREACHED" ? `${error.message} (${error.code})` : error.message);

// Runs it with its button held and its outcome told. Answers what it did, or undefined.
export async function doing(button, pending, act, done) {
  if (button?.getAttribute("aria-busy") === "true") return undefined;
  button?.setAttribute("aria-busy", "true");
  const note = tell(pending, "pending");
  try {
    const answer = await act();
    note.becomes(typeof done === "function" ? done(answer) : done);
    return answer;
  } catch (error) {
    note.becomes(wordsOf(error), "bad");
    return undefined;
  } finally {
    button?.removeAttribute("aria-busy");
  }
}
