// Query tokens down, document tokens across; each row's best has a dot, so that colour is not all that tells.

import { h, s, show } from "./dom.js";

const CELL = 22;
const HEAD = 92;
const MANY = 80; // more document tokens than that, and only those that matched are shown at first

export function heatMap(answer) {
  const { query_tokens: rows, document_tokens: columns, matrix } = answer;
  const best = matrix.map((row) => row.indexOf(Math.max(...row)));
  const values = matrix.flat();
  const low = values.reduce((one, other) => Math.min(one, other), Infinity);
  const high = values.reduce((one, other) => Math.max(one, other), -Infinity);
  const place = h("div", null);
  const readout = h("output", { class: "readout", "aria-live": "polite" });
  const only = h("input", { type: "checkbox", onchange: () => draw() });
  only.checked = columns.length > MANY;

  function draw() {
    const shown = only.checked ? [...new Set(best)].sort((one, other) => one - other) : columns.map((_, j) => j);
    show(place, map({ rows, columns, matrix, best, shown, low, high, readout }));
    readout.textContent = "";
  }
  draw();
  return h(
    "div",
    { class: "stack" },
    h(
      "div",
      { class: "row apart" },
      h("h3", null, `Heat map: ${rows.length} query tokens × ${columns.length} document tokens`),
      h("label", { class: "check" }, only, " Only tokens that matched best"),
    ),
    place,
    h(
      "div",
      { class: "legend" },
      h("span", { class: "row" }, low.toFixed(2), h("span", { class: "ramp", "aria-hidden": "true" }), high.toFixed(2)),
      h("span", null, h("i", { class: "dot", "aria-hidden": "true" }), " best of its row"),
      rows.some((row) => row.weight < 0) && h("span", null, "− counts against a document"),
    ),
    readout,
  );
}

function map({ rows, columns, matrix, best, shown, low, high, readout }) {
  const width = shown.length * CELL;
  const height = HEAD + rows.length * CELL;
  const cursor = s("rect", { class: "cursor", width: CELL - 1, height: CELL - 1, visibility: "hidden" });
  const names = rows.map((row) =>
    h(
      "span",
      { class: row.weight < 0 ? "less" : null, title: row.token },
      (row.weight < 0 ? "− " : "") + visible(row.token),
    ),
  );
  const cells = rows.flatMap((_, i) =>
    shown.map((j, at) => {
      const value = matrix[i][j];
      const heat = high > low ? (value - low) / (high - low) : 0;
      return s("rect", {
        class: heat > 0.5 ? "cell warm" : "cell",
        x: at * CELL + 0.5,
        y: HEAD + i * CELL + 0.5,
        width: CELL - 1,
        height: CELL - 1,
        rx: 3,
        style: { "--rise": heat > 0.5 ? 2 * heat - 1 : 2 * heat },
        data: { row: i, column: j, value },
      });
    }),
  );
  const dots = best.map((j, i) =>
    s("circle", {
      cx: shown.indexOf(j) * CELL + CELL / 2,
      cy: HEAD + i * CELL + CELL / 2,
      r: 4,
      data: { row: i, column: j },
    }),
  );
  const matched = new Set(best);
  const heads = shown.map((j, at) =>
    s(
      "text",
      { class: matched.has(j) ? "matched" : null, transform: `translate(${at * CELL + 15},${HEAD - 6}) rotate(-90)` },
      short(visible(columns[j].token)),
    ),
  );
  const picture = s(
    "svg",
    { width: width + 2, height, viewBox: `0 0 ${width + 2} ${height}`, "aria-hidden": "true" },
    heads,
    cells,
    dots,
    cursor,
  );

  let at = null; // [row, column among those shown]
  function move(i, k) {
    at = [Math.min(rows.length - 1, Math.max(0, i)), Math.min(shown.length - 1, Math.max(0, k))];
    const [row, j] = [at[0], shown[at[1]]];
    cursor.setAttribute("x", at[1] * CELL + 0.5);
    cursor.setAttribute("y", HEAD + row * CELL + 0.5);
    cursor.setAttribute("visibility", "visible");
    names.forEach((name, each) => name.classList.toggle("chosen", each === row));
    const against = rows[row].weight < 0 ? ", which counts against it" : "";
    const first = best[row] === j ? ", the best of its row" : "";
    readout.textContent = `${rows[row].token} × ${columns[j].token}: ${matrix[row][j].toFixed(3)}${first}${against}`;
    const left = at[1] * CELL;
    if (left < region.scrollLeft) region.scrollLeft = left;
    else if (left + CELL > region.scrollLeft + region.clientWidth) region.scrollLeft = left + CELL - region.clientWidth;
  }
  const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  const region = h(
    "div",
    {
      class: "field-of",
      id: "heat-map",
      tabindex: "0",
      role: "group",
      "aria-roledescription": "heat map",
      "aria-label":
        `Similarity of ${rows.length} query tokens and ${shown.length} document tokens. ` +
        "Arrow keys read out one after another; the matches are in the table below, too.",
      onkeydown: (event) => {
        const step = STEPS[event.key];
        if (event.key === "Home") move(at?.[0] ?? 0, 0);
        else if (event.key === "End") move(at?.[0] ?? 0, shown.length - 1);
        else if (step && !at) move(0, shown.indexOf(best[0]));
        else if (step) move(at[0] + step[0], at[1] + step[1]);
        else return;
        event.preventDefault();
      },
      onclick: (event) => {
        const cell = event.target.closest("rect.cell");
        if (cell) move(Number(cell.dataset.row), shown.indexOf(Number(cell.dataset.column)));
      },
    },
    picture,
  );
  const side = h("div", { class: "side", "aria-hidden": "true" }, h("div", { class: "corner" }), names);
  return h("div", { class: "map" }, side, region);
}

// A token of blanks alone is seen, too.
const visible = (token) => (token.trim() ? token : "␣");

const short = (token) => (Array.from(token).length > 13 ? `${Array.from(token).slice(0, 12).join("")}…` : token);
