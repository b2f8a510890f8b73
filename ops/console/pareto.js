// Quality against time: which ways to search no other one beats in both.

import { get } from "./api.js";
import { empty, h, s, show, table } from "./dom.js";
import { bytes, milliseconds, steps } from "./figures.js";

const HEIGHT = 420;
const EDGE = { left: 52, right: 24, top: 30, bottom: 52 };

export async function paretoView() {
  const { points } = await get("pareto");
  const heading = h(
    "div",
    { class: "heading" },
    h("h1", null, "Trade-offs"),
    h("p", { class: "note" }, "Ways to search, by how good and how fast they were when measured."),
  );
  if (!points.length)
    return [
      heading,
      empty("No figures yet", "osmv reproduce measures ways to search; osmv serve shows the figures that it is given."),
    ];
  const groups = new Map();
  for (const point of points) {
    const name = `${point.collection}, ${point.measure}`;
    groups.set(name, [...(groups.get(name) ?? []), point]);
  }
  const names = [...groups.keys()];
  const place = h("div", { class: "stack" });
  let shown = names[0];
  const narrow = matchMedia("(max-width: 720px)");
  const draw = () =>
    show(place, chart(shown, groups.get(shown), narrow.matches ? 440 : 860), figures(shown, groups.get(shown)));
  narrow.addEventListener("change", draw);
  draw();
  const choice = h(
    "select",
    { id: "collection", onchange: (event) => draw((shown = event.target.value)) },
    names.map((name) => h("option", null, name)),
  );
  return [
    heading,
    h(
      "section",
      { class: "card" },
      h("div", { class: "field choice" }, h("label", { for: "collection" }, "Collection and measure"), choice),
      place,
    ),
  ];
}

function chart(name, points, width) {
  const times = points.map((point) => Math.max(point.latency_ms, 1e-3));
  const logs = times.map(Math.log10);
  const [from, to] = [Math.floor(Math.min(...logs) * 4) / 4, Math.ceil(Math.max(...logs) * 4 + 0.01) / 4];
  const values = points.map((point) => point.value);
  const room = Math.max(0.01, (Math.max(...values) - Math.min(...values)) * 0.12);
  const [low, high] = [Math.max(0, Math.min(...values) - room), Math.max(...values) + room];
  const x = (time) =>
    EDGE.left + ((Math.log10(Math.max(time, 1e-3)) - from) / (to - from)) * (width - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - ((value - low) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom);
  const front = points.filter((point) => point.front).sort((one, other) => one.latency_ms - other.latency_ms);
  const ticks = [];
  for (let power = Math.floor(from); power <= to; power++)
    ticks.push(
      ...[1, 2, 5]
        .map((each) => each * 10 ** power)
        .filter((each) => each >= 10 ** from * 0.999 && each <= 10 ** to * 1.001),
    );
  return s(
    "svg",
    {
      class: "plot",
      viewBox: `0 0 ${width} ${HEIGHT}`,
      role: "img",
      "aria-label":
        `${name}: ${points.length} ways to search by time and quality; ${front.length} are on the front. ` +
        "The table below has the figures.",
    },
    steps(low, high).map((value) => [
      s("line", { class: "grid-line", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }),
      s("text", { x: EDGE.left - 8, y: y(value) + 4, "text-anchor": "end" }, Number(value.toFixed(4))),
    ]),
    ticks.map((time) => [
      s("line", { class: "grid-line", x1: x(time), x2: x(time), y1: EDGE.top, y2: HEIGHT - EDGE.bottom }),
      s("text", { x: x(time), y: HEIGHT - EDGE.bottom + 20, "text-anchor": "middle" }, time),
    ]),
    s("text", { x: 8, y: 16 }, points[0].measure),
    s("text", { x: width / 2, y: HEIGHT - 8, "text-anchor": "middle" }, "milliseconds a query, logarithmic"),
    s("path", {
      class: "front",
      d: front.map((point, i) => `${i ? "L" : "M"}${x(point.latency_ms)},${y(point.value)}`).join(" "),
    }),
    points.map((point) =>
      s(
        "circle",
        { class: point.front ? "point best" : "point", cx: x(point.latency_ms), cy: y(point.value), r: 6 },
        s("title", null, `${point.name}: ${point.value.toFixed(4)}, ${milliseconds(point.latency_ms)}`),
      ),
    ),
    labels(points, x, y, width),
  );
}

// A name beside each point, moved down until it lies on no other; those of the front first.
function labels(points, x, y, width) {
  const taken = points.map((point) => ({ x: x(point.latency_ms) - 7, y: y(point.value) - 7, width: 14, height: 14 }));
  const meets = (one) =>
    taken.some(
      (each) =>
        one.x < each.x + each.width &&
        each.x < one.x + one.width &&
        one.y < each.y + each.height &&
        each.y < one.y + one.height,
    );
  return [...points]
    .sort((one, other) => other.front - one.front)
    .map((point) => {
      const name = point.name.length > 30 ? `${point.name.slice(0, 29)}…` : point.name;
      const wide = name.length * 6.6;
      const right = x(point.latency_ms) + 11 + wide < width;
      const left = right ? x(point.latency_ms) + 11 : x(point.latency_ms) - 11 - wide;
      const tries = [0, -14, 14, -28, 28].map((by) => ({
        x: left,
        y: y(point.value) - 8 + by,
        width: wide,
        height: 14,
      }));
      const box = tries.find((each) => !meets(each) && each.y > 0 && each.y + 14 < HEIGHT - EDGE.bottom);
      if (!box) return null; // its title and the table name it
      taken.push(box);
      return s(
        "text",
        { class: "name", x: right ? box.x : box.x + wide, y: box.y + 12, "text-anchor": right ? "start" : "end" },
        name,
      );
    });
}

function figures(name, points) {
  const number = (text) => ({ text, class: "number" });
  return table(
    `Figures of ${name}`,
    ["Way to search", number("Quality"), number("Time"), number("Index"), "On the front"],
    [...points]
      .sort((one, other) => other.value - one.value)
      .map((point) => [
        point.name,
        point.value.toFixed(4),
        milliseconds(point.latency_ms),
        point.index_bytes === null ? "–" : bytes(point.index_bytes),
        point.front ? "✓ yes" : "no",
      ]),
  );
}
