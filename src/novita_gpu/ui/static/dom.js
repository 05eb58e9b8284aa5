// Builds the page out of nodes. Every text becomes a text node: nothing that came from anywhere is read as HTML.

export function el(name, props = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "data") Object.assign(node.dataset, value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  add(node, children);
  return node;
}

function add(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    node.append(child);
  }
}

export const find = (selector, within = document) => within.querySelector(selector);
export const every = (selector, within = document) => [...within.querySelectorAll(selector)];

// Puts these in the place of what is there; leaves it alone where nothing differs, and the focus where it was.
export function fill(node, ...children) {
  const wanted = el("div", {}, ...children);
  if (node.innerHTML === wanted.innerHTML) return;
  const held = node.contains(document.activeElement) && document.activeElement.dataset.key;
  node.replaceChildren(...wanted.childNodes);
  if (held) find(`[data-key="${CSS.escape(held)}"]`, node)?.focus();
}

export function say(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

export function show(node, is) {
  if (node.hidden === is) node.hidden = !is;
}

let made = 0;
export const fresh = (stem) => `${stem}-${++made}`;

// A row of terms with what they are, as a description list.
export const facts = (pairs) => el("dl", { class: "facts" }, pairs.filter(Boolean).map(([term, ...what]) => el("div", {}, el("dt", {}, term), el("dd", {}, ...what))));

export const table = (heads, rows, props = {}) => el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": props.label ?? heads.join(", ") },
  el("table", { class: props.class }, el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))), el("tbody", {}, rows)));

export const row = (...cells) => el("tr", {}, cells.map((cell) => el("td", {}, cell)));
