// The event log as it is written, the newest first, and the last ones before.
import { get, query } from "./api.js";
import { el, find } from "./dom.js";
import { Panel, press } from "./panel.js";
import { stream } from "./stream.js";
import { entry } from "./timeline.js";

const BEFORE = 50;
const KEPT = 300;

export async function beginLog() {
  const panel = new Panel("log");
  const list = el("ol", { class: "plain timeline log", tabindex: "0", "aria-label": "Events, the newest first" });
  const search = el("input", { type: "search", placeholder: "Filter", "aria-label": "Filter events", oninput: () => filter() });
  let isHeld = false;
  const held = [];
  const hides = (node) => !node.textContent.toLowerCase().includes(search.value.toLowerCase());
  const filter = () => [...list.children].forEach((node) => (node.hidden = hides(node)));
  const put = (event) => {
    const node = entry(event);
    const { instance, instanceId } = event.data;
    if (instanceId) node.lastChild.prepend(el("a", { href: `/ui/instances/${instanceId}` }, instance?.name ?? instanceId), " ");
    node.hidden = hides(node);
    find(".alone", list)?.remove();
    list.prepend(node);
    while (list.children.length > KEPT) list.lastChild.remove();
  };
  const hold = press("Hold", (button) => {
    isHeld = !isHeld;
    button.textContent = isHeld ? "Go on" : "Hold";
    if (!isHeld) held.splice(0).forEach(put);
  });
  panel.actions.append(search, hold);
  panel.inner.replaceChildren(list);
  panel.section.hidden = false;
  const after = Math.max(0, Number(document.body.dataset.sequence) - BEFORE);
  const last = Number(document.body.dataset.sequence);
  stream.on("told", (event) => (isHeld ? held.push(event) : put(event)));
  const { events } = await get(`/api/events${query({ after, limit: BEFORE })}`).catch(() => ({ events: [] }));
  const shown = list.firstChild;
  for (const event of events.filter((one) => one.data.sequence <= last).reverse()) {
    put(event);
    list.append(list.firstChild);
  }
  if (!shown && !list.children.length) list.append(el("li", { class: "soft alone" }, "Nothing has happened yet."));
}
