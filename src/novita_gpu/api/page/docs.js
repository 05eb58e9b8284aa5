// Renders openapi.json with nothing but what is on this page: no script, style or font of another host.
// Every text becomes a text node; nothing of the document is ever read as HTML.
"use strict";

const el = (name, attributes = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
};

const nameOf = (ref) => ref.split("/").at(-1);
const link = (ref) => el("a", { href: `#schema-${nameOf(ref)}` }, nameOf(ref));

function type(schema) {
  if (!schema) return "";
  if (schema.$ref) return link(schema.$ref);
  const span = el("span");
  if (schema.anyOf) {
    schema.anyOf.forEach((member, i) => span.append(i ? " or " : "", type(member)));
    return span;
  }
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.type === "array") {
    span.append("list of ", type(schema.items ?? {}));
    return span;
  }
  return [schema.type ?? "any", schema.format && `(${schema.format})`].filter(Boolean).join(" ");
}

function rules(schema) {
  const said = [];
  const bound = (low, high, what) => {
    if (low !== undefined || high !== undefined) said.push(`${low ?? "…"} to ${high ?? "…"}${what}`);
  };
  bound(schema.minimum, schema.maximum, "");
  bound(schema.minLength, schema.maxLength, " characters");
  bound(schema.minItems, schema.maxItems, " entries");
  if (schema.pattern) said.push(schema.pattern);
  if (schema.default !== undefined) said.push(`default ${JSON.stringify(schema.default)}`);
  return said.join("; ");
}

function fields(rows) {
  const table = el("table");
  for (const [name, required, schema, description] of rows) {
    table.append(el("tr", {},
      el("td", {}, el("code", {}, name), required ? " *" : ""),
      el("td", {}, type(schema)),
      el("td", {}, [description ?? schema.description, rules(schema)].filter(Boolean).join(" · "))));
  }
  return table;
}

const properties = (schema) => fields(Object.entries(schema.properties ?? {})
  .map(([name, field]) => [name, (schema.required ?? []).includes(name), field]));

function parameters(list, document_) {
  const whole = list.map((p) => (p.$ref ? document_.components.parameters[nameOf(p.$ref)] : p));
  return fields(whole.map((p) => [`${p.name} (${p.in})`, p.required, p.schema, p.description]));
}

function answers(responses, document_) {
  const table = el("table");
  for (const [status, told] of Object.entries(responses)) {
    const response = told.$ref ? document_.components.responses[nameOf(told.$ref)] : told;
    const [media, content] = Object.entries(response.content ?? {})[0] ?? ["", {}];
    const codes = Object.keys(content.examples ?? {}).join(", ");
    table.append(el("tr", {},
      el("td", {}, el("code", {}, status)),
      el("td", {}, content.schema?.$ref ? link(content.schema.$ref) : media),
      el("td", {}, [response.description, codes].filter(Boolean).join(" "))));
  }
  return table;
}

function operation(path, method, told, document_) {
  const node = el("details", { id: told.operationId },
    el("summary", {},
      el("span", { class: `method ${method}` }, method.toUpperCase()),
      el("code", {}, path), ` ${told.summary}`,
      el("span", { class: "scope" }, told["x-scope"] ?? "open")));
  node.dataset.words = `${method} ${path} ${told.summary} ${told["x-scope"] ?? "open"}`.toLowerCase();
  if (told.parameters) node.append(el("h4", {}, "Parameters"), parameters(told.parameters, document_));
  const body = told.requestBody?.content["application/json"];
  if (body) {
    node.append(el("h4", {}, "Body ", type(body.schema)));
    for (const example of Object.values(body.examples ?? {})) {
      node.append(el("pre", {}, JSON.stringify(example.value, null, 2)));
    }
  }
  node.append(el("h4", {}, "Answers"), answers(told.responses, document_));
  return node;
}

function render(document_) {
  const about = document.getElementById("about");
  about.textContent = `${document_.info.description}\nVersion ${document_.info.version} · `;
  about.append(el("a", { href: "/openapi.json" }, "openapi.json"));
  const main = document.getElementById("operations");
  for (const { name } of document_.tags) {
    main.append(el("h2", {}, name));
    for (const [path, methods] of Object.entries(document_.paths)) {
      for (const [method, told] of Object.entries(methods)) {
        if (told.tags.includes(name)) main.append(operation(path, method, told, document_));
      }
    }
  }
  const schemas = document.getElementById("schemas");
  schemas.append(el("h2", {}, "Schemas"));
  for (const [name, schema] of Object.entries(document_.components.schemas)) {
    schemas.append(el("details", { id: `schema-${name}` },
      el("summary", {}, el("code", {}, name), ` ${schema.description ?? ""}`),
      schema.enum ? el("p", {}, type(schema)) : properties(schema)));
  }
}

function follow() {
  const wanted = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (wanted?.tagName === "DETAILS") {
    wanted.open = true;
    wanted.scrollIntoView();
  }
}

document.getElementById("find").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const node of document.querySelectorAll("#operations details")) {
    node.hidden = !words.every((word) => node.dataset.words.includes(word));
  }
});
window.addEventListener("hashchange", follow);

fetch("/openapi.json")
  .then((answer) => answer.json())
  .then((document_) => { render(document_); follow(); })
  .catch((error) => { document.getElementById("about").textContent = `openapi.json cannot be read: ${error}`; });
