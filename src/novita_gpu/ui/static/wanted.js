// What is wanted of the table, as its address says it: a link leads to the same rows.
import { COLUMNS, keyOf } from "./columns.js";
import { STATUSES } from "./format.js";

const RESTS_MS = 200;
let typed;

export const wordsOf = (search) => search.toLowerCase().split(/\s+/).filter(Boolean);

export function recalled(hash = location.hash) {
  clearTimeout(typed);
  const told = new URLSearchParams(hash.slice(1));
  const statuses = new Set(told.getAll("status").filter((status) => STATUSES.includes(status)));
  const order = told.get("order") ?? "";
  return {
    search: told.get("search") ?? "",
    region: told.get("region") ?? "",
    billing: told.get("billing") ?? "",
    statuses,
    deleted: told.has("deleted") || statuses.has("deleted"),
    column: COLUMNS.find((column) => keyOf(column) === order.replace(/^-/, "")) ?? null,
    isDown: order.startsWith("-"),
  };
}

// What is typed is written once it rests: a browser takes milliseconds over an address, at each letter.
export function rememberTyped(wanted) {
  clearTimeout(typed);
  typed = setTimeout(() => remember(wanted), RESTS_MS);
}

export function remember(wanted) {
  clearTimeout(typed);
  const told = new URLSearchParams();
  for (const name of ["search", "region", "billing"]) if (wanted[name]) told.set(name, wanted[name]);
  for (const status of wanted.statuses) told.append("status", status);
  if (wanted.deleted) told.set("deleted", "1");
  if (wanted.column) told.set("order", (wanted.isDown ? "-" : "") + keyOf(wanted.column));
  history.replaceState(null, "", told.size ? `#${told}` : location.pathname);
}
