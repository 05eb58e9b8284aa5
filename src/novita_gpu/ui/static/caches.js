// What is remembered, and forgetting it. Records, events and deliveries are no caches and are never touched.
import { getIfThere, may, post } from "./api.js";
import { el, facts, row, table } from "./dom.js";
import { asked } from "./dialog.js";
import { NONE, many } from "./format.js";
import { Panel, press } from "./panel.js";
import { doing } from "./told.js";

const percent = (ratio) => (ratio === undefined ? NONE : `${Math.round(ratio * 100)} %`);

export function beginCaches() {
  const panel = new Panel("caches");
  const lacks = may("admin") ? {} : { disabled: true, title: "Needs a key with the scope admin" };
  const clear = async (button, cacheName) => {
    if (!cacheName && !(await asked({ title: "Clear all caches?", body: "What is remembered of the cloud is asked for anew. Records, events and deliveries are not touched.", yes: "Clear" }))) return;
    await doing(button, "Clearing…", () => post("/api/cache/clear", cacheName ? { cacheName } : {}), `${cacheName ?? "All caches"}: cleared.`);
    load();
  };
  const draw = ({ cacheManager, summary }) => {
    const rows = Object.entries(cacheManager.stats).map(([name, of]) => row(name, String(of.size), of.hits.toLocaleString("en-US"), of.misses.toLocaleString("en-US"), of.hits + of.misses ? percent(of.hitRatio) : NONE, press("Clear", (button) => clear(button, name), { "aria-label": `Clear ${name}`, data: { key: `clear ${name}` }, ...lacks })));
    return [facts([["Entries", String(summary.totalEntries)], ["Hits", percent(summary.overallHitRatio)]]), rows.length ? table(["Cache", "Entries", "Hits", "Misses", "Ratio", ""], rows, { label: "Caches" }) : el("p", { class: "soft" }, many(0, "cache"))];
  };
  const load = () => panel.load(() => getIfThere("/api/cache/stats"), draw);
  panel.actions.append(press("Clear all…", clear, lacks));
  load();
}
