// All deliveries, by their state.
import { Deliveries } from "./deliveries.js";
import { el } from "./dom.js";
import { Panel } from "./panel.js";
import { stream } from "./stream.js";

const LIMIT = 50;

export function beginDeliveries() {
  const panel = new Panel("deliveries");
  const deliveries = new Deliveries(panel.inner, { limit: LIMIT });
  const state = el("select", { "aria-label": "State", onchange: () => deliveries.filter({ limit: LIMIT, status: state.value || undefined }) }, [["", "All"], ["pending", "On their way"], ["delivered", "Delivered"], ["exhausted", "Given up"]].map(([value, text]) => el("option", { value }, text)));
  panel.actions.append(state);
  panel.section.hidden = false;
  deliveries.load();
  stream.on("told", () => deliveries.soon());
}
