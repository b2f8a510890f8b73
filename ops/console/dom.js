// The only way elements are made here. Text from elsewhere becomes text nodes and attribute values, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, each] of Object.entries(value)) node.style.setProperty(key, each);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "value" || name === "checked") node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

export const h = (name, properties, ...children) => fill(document.createElement(name), properties, children);

export const s = (name, properties, ...children) => fill(document.createElementNS(SVG, name), properties, children);

export const byId = (id) => document.getElementById(id);

export const show = (host, ...children) => host.replaceChildren(...children.flat(Infinity).filter(Boolean));

// What only a screen reader says.
export const unseen = (...children) => h("span", { class: "unseen" }, ...children);

let spoken = 0;

// Said once by a screen reader; the same sentence twice in a row is said twice.
export function announce(text) {
  byId("announcer").textContent = text + (spoken++ % 2 ? "\u00a0" : "");
}

export function table(caption, heads, rows, properties = {}) {
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    h(
      "table",
      properties,
      h("caption", { class: "unseen" }, caption),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          heads.map((head) => h("th", { scope: "col", class: head.class }, head.text ?? head)),
        ),
      ),
      h(
        "tbody",
        null,
        rows.map((row) =>
          h(
            "tr",
            null,
            row.map((cell, i) => tableCell(cell, i, heads[i])),
          ),
        ),
      ),
    ),
  );
}

const tableCell = (cell, i, head) =>
  i === 0 ? h("th", { scope: "row", class: head.class }, cell) : h("td", { class: head.class }, cell);

export function problem(error) {
  return h(
    "div",
    { class: "notice bad", role: "alert" },
    h("strong", null, error.title ?? "That did not work"),
    h("p", null, error.message),
    error.reference && h("p", { class: "small" }, `Request ${error.reference}`),
  );
}

export const empty = (title, text) => h("div", { class: "empty" }, h("h2", null, title), h("p", null, text));
