// What is sold: the lists to choose from, with prices and stock as they are now.
import { get } from "./api.js";
import { el, fill, find, say } from "./dom.js";
import { usd } from "./format.js";
import { exact, span, now } from "./time.js";

const STOCK = { none: "none left", low: "few left", normal: "some", high: "plenty" };

// Where it is, without the name that stands before it.
const whereabouts = ({ name, displayName }) => displayName.replace(name, "").replace(/^\s*\(|\)\s*$/g, "").trim();

export class Market {
  #products = [];
  #regions = [];
  product = "";
  region = "";
  billing = "onDemand";

  constructor(changed) {
    this.changed = changed;
  }

  async load() {
    const [{ products, asOf, stale, fault }, { regions }] = await Promise.all([get("/api/products"), get("/api/regions")]);
    this.#products = products;
    this.#regions = regions;
    say(find("#products-as-of"), stale ? `– the price of one, as of ${exact(asOf)}: ${fault}` : `– the price of one, as of ${span(now() - Date.parse(asOf))} ago`);
    this.show();
  }

  show() {
    const names = new Map();
    for (const product of this.#products) {
      const price = product.prices.find((one) => one.billingMode === this.billing);
      if (!price) continue;
      const known = names.get(product.name);
      const is = { price: Number(price.pricePerGpuHour), stock: price.available ? (STOCK[price.inventory] ?? "some") : "none left", memory: product.memoryPerGpuGb, cpu: product.cpuPerGpu, available: price.available };
      if (!known || (is.available && !known.available) || (is.available === known.available && is.price < known.price)) names.set(product.name, is);
    }
    const sorted = [...names].sort(([, one], [, other]) => one.price - other.price);
    fill(find("#products"), sorted.map(([name, is]) => this.#pick("product", name, [el("span", {}, name, " ", el("span", { class: "soft" }, `${is.cpu} cores, ${is.memory} GB, ${is.stock}`)), el("b", {}, `from ${usd(is.price)}/h`)])));
    if (!sorted.length) fill(find("#products"), el("p", { class: "soft" }, "Nothing is sold in this billing mode."));
    this.#showRegions();
  }

  #showRegions() {
    const places = new Map();
    for (const product of this.#products.filter((one) => one.name === this.product)) {
      const price = product.prices.find((one) => one.billingMode === this.billing);
      for (const place of price?.regions ?? []) {
        const known = places.get(place.region);
        const better = !known || (place.available && !known.available) || (Boolean(place.available) === Boolean(known.available) && Number(price.pricePerGpuHour) < known.price);
        if (better) places.set(place.region, { ...place, price: Number(price.pricePerGpuHour) });
      }
    }
    if (this.region && !places.has(this.region)) this.region = "";
    const rows = this.#regions.filter((region) => places.has(region.name)).map((region) => {
      const place = places.get(region.name);
      const stock = place.emptyUntil ? `met empty, tried last for ${span(Date.parse(place.emptyUntil) - now())}` : place.available === undefined ? "stock not known" : place.available ? (STOCK[place.inventory] ?? "some") : "none left";
      return this.#pick("region", region.name, [el("span", {}, region.name, " ", el("span", { class: "soft" }, [whereabouts(region), region.priority && `no. ${region.priority} by default`, stock].filter(Boolean).join(", "))), el("b", {}, `${usd(place.price)}/h`)]);
    });
    const any = this.#pick("region", "", [el("span", {}, "Any, by the service's own order"), ""]);
    fill(find("#regions"), this.product ? [any, rows] : el("p", { class: "soft" }, "Choose a GPU first."));
  }

  #pick(what, value, parts) {
    const input = el("input", { type: "radio", name: what, value, checked: this[what] === value, data: { key: `${what} ${value}` }, onchange: () => this.#chosen(what, value) });
    return el("label", {}, input, parts);
  }

  #chosen(what, value) {
    this[what] = value;
    if (what === "product") this.#showRegions();
    this.changed();
  }
}

export async function templates(select) {
  const told = await get("/api/templates");
  for (const { id, name, channel, imageUrl } of told.templates) select.append(el("option", { value: id, title: imageUrl }, `${name} (${id}${channel === "official" ? "" : `, ${channel}`})`));
}
