// Queries whose exact answers are known: what each way to search still finds of them.

import { get } from "./api.js";
import { empty, h, s, table } from "./dom.js";
import { count, percent, plural } from "./figures.js";

export async function canariesView() {
  const { canaries } = await get("canaries");
  return [
    h(
      "div",
      { class: "heading" },
      h("h1", null, "Recall canaries"),
      h("p", { class: "note" }, "What of exact MaxSim’s best is found, by first stage and rerank, as last checked."),
    ),
    canaries.length
      ? h("div", { class: "stack" }, canaries.map(canary))
      : empty(
          "No canaries yet",
          "osmv canary add keeps queries with their exact answers, and checks on a schedule that they are still found.",
        ),
  ];
}

function canary(each) {
  const queries = plural(each.queries, "query", "queries");
  const answers = each.share < 1 ? `answers exact over ${percent(each.share)} of the documents` : "exact answers";
  return h(
    "section",
    { class: "card", "aria-label": `Canary ${each.name}` },
    h("div", { class: "row apart" }, h("h2", null, each.name), state(each)),
    h(
      "p",
      { class: "note small" },
      `${queries} of ${each.index} · ${each.field}, ${answers}, `,
      `${plural(each.documents, "document")}, checked ${when(each.checked_at)}`,
    ),
    each.outdated > 0 &&
      h(
        "p",
        { class: "notice" },
        `${percent(each.outdated)} of the documents were written since its answers were made: `,
        "osmv canary renew makes them anew.",
      ),
    each.alarms.map((alarm) => h("p", { class: "notice bad" }, alarm)),
    each.outcomes.length > 0 && outcomes(each),
  );
}

function state(each) {
  if (each.alarms.length) return h("span", { class: "badge bad" }, `▼ ${plural(each.alarms.length, "alarm")}`);
  if (!each.checked_at) return h("span", { class: "badge" }, "Never checked");
  return h("span", { class: "badge good" }, "✓ All as they were");
}

function outcomes(each) {
  const number = (text) => ({ text, class: "number" });
  return table(
    `Figures of canary ${each.name}`,
    [
      "First stage",
      "Rerank",
      number(`Recall @${each.k}`),
      number("At first"),
      number("Page"),
      number("Oldest / newest"),
      "Since",
      "State",
    ],
    each.outcomes.map((one) => [
      one.first_stage,
      one.rerank,
      percent(one.recall),
      share(one.baseline_recall),
      percent(one.overlap),
      one.recall_oldest === null ? "–" : `${share(one.recall_oldest)} / ${share(one.recall_newest)}`,
      trend(
        each.history
          .map((point) => point.recall[`${one.first_stage}/${one.rerank}`])
          .filter((value) => value !== undefined),
      ),
      one.alarms.length
        ? h("span", { class: "badge bad" }, "▼ dropped")
        : h("span", { class: "badge good" }, "✓ as it was"),
    ]),
  );
}

const share = (value) => (value === null ? "–" : percent(value));

// Recall at each check, from 0 to 1; the words are for those who do not see it.
function trend(values) {
  if (values.length < 2) return "–";
  const [width, height] = [96, 24];
  const x = (i) => 2 + (i / (values.length - 1)) * (width - 4);
  const y = (value) => height - 2 - value * (height - 4);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return s(
    "svg",
    {
      class: "trend",
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": `${count(values.length)} checks, from ${percent(low)} to ${percent(high)}`,
    },
    s("path", { d: values.map((value, i) => `${i ? "L" : "M"}${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(" ") }),
  );
}

function when(time) {
  const date = time && new Date(time);
  if (!date || Number.isNaN(date.getTime())) return "never";
  return date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}
