// The parts that health judges, in words: what each is called, and what it means for the reader that one is not well.

const PARTS = {
  novitaApi: { title: "Novita", poor: "The cloud does not answer as it should. What is shown is what was last known; wishes are kept and carried out when it does." },
  store: { title: "Store", poor: "The store is not as it should be.", down: "The store does not answer. What is shown is from memory, and nothing can be changed until it does." },
  queue: { title: "Work queue", poor: "What is to be done waits longer than it should." },
  workers: { title: "Workers", poor: "Nobody carries out what is wanted; wishes are kept until somebody does." },
  sweep: { title: "Listing", poor: "The cloud is listed later than it should be. What is shown of machines may be old." },
  sync: { title: "Comparison", poor: "The comparison with the cloud did not come about." },
  autoStop: { title: "Auto-stop", poor: "What is idle may bill on." },
  webhooks: { title: "Webhooks", poor: "Webhooks come late." },
  clock: { title: "Clock", poor: "A clock is wrong, so times, prices and stops may be as well." },
  cache: { title: "Catalogue", poor: "Prices and stock may be old." },
};

export const titleOf = (name) => PARTS[name]?.title ?? name;
export const isWell = ({ status }) => status === "up" || status === "disabled";
export const meaning = (name, status) => PARTS[name]?.[status] ?? PARTS[name]?.poor ?? `${name} is not as it should be.`;

// What else is the reason for a part that is down and says none itself.
export function cause(name, dependencies) {
  const { status, detail } = dependencies[name];
  return name !== "store" && status === "down" && !detail && dependencies.store?.status === "down" ? "store" : undefined;
}
