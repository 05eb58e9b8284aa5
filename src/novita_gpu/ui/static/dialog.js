// Questions before what cannot be undone. Escape says no; the focus comes back to where it was.
import { el, fresh } from "./dom.js";

// Answers true for yes. `typed`: a word that has to be typed first.
export function asked({ title, body, yes, typed, danger = false }) {
  const before = document.activeElement;
  const id = fresh("dialog");
  const confirm = el("button", { class: danger ? "main danger" : "main", type: "submit", value: "yes", disabled: Boolean(typed) }, yes);
  const word = typed && el("input", { id: `${id}-word`, autocomplete: "off", spellcheck: "false", oninput: (event) => (confirm.disabled = event.target.value !== typed) });
  const form = el("form", { method: "dialog" },
    el("h2", { id }, title),
    el("div", { class: "body" }, body),
    word && el("label", { for: `${id}-word` }, "Type ", el("code", {}, typed), " to go on", word),
    el("div", { class: "actions" }, el("button", { type: "submit", value: "no", formnovalidate: true }, "Cancel"), confirm));
  const dialog = el("dialog", { "aria-labelledby": id }, form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    form.addEventListener("submit", (event) => {
      if (event.submitter !== confirm && event.submitter?.value !== "no") event.preventDefault();
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      before?.focus?.();
      resolve(dialog.returnValue === "yes");
    });
    dialog.showModal();
    (word || confirm).focus();
  });
}
