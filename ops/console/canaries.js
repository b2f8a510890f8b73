// Queries whose exact answers are known: what each way to search still finds of them.

import { get } from "./api.js";
import { empty, h, table } from "./dom.js";
import { percent, plural } from "./figures.js";

const STATES = { ok: ["good", "✓ as it was"], dropped: ["bad", "▼ dropped"], unknown: ["", "not checked"] };

export async function canariesView() {
  const { canaries } = await get("canaries");
  return [
    h("div", { class: "heading" }, h("h1", null, "Recall canaries"), h("p", { class: "note" }, "Recall of exact MaxSim’s best, by first stage and rerank, as last checked.")),
    canaries.length
      ? h("div", { class: "stack" }, canaries.map(canary))
      : empty("No canaries yet", "osmv canary add keeps queries with their exact answers, and checks on a schedule that they are still found."),
  ];
}

function canary(each) {
  const dropped = each.figures.filter((figure) => figure.state === "dropped").length;
  const number = (text) => ({ text, class: "number" });
  return h(
    "section",
    { class: "card", "aria-label": `Canary ${each.name}` },
    h(
      "div",
      { class: "row apart" },
      h("h2", null, each.name),
      dropped ? h("span", { class: "badge bad" }, `${dropped} dropped`) : h("span", { class: each.checked_at ? "badge good" : "badge" }, each.checked_at ? "All as they were" : "Never checked"),
    ),
    h("p", { class: "note small" }, `${plural(each.queries, "query", "queries")} of ${each.index} · ${each.field}, answers ${each.exact ? "exact" : "exact over a sample"}, made ${when(each.made_at)}, checked ${when(each.checked_at)}`),
    each.figures.length > 0 &&
      table(
        `Figures of canary ${each.name}`,
        ["First stage", "Rerank", number("Recall"), number("Was"), number("Agreement"), "State"],
        each.figures.map((figure) => [figure.first_stage, figure.rerank ?? "none", recall(figure), share(figure.baseline), share(figure.agreement), badge(figure.state)]),
      ),
  );
}

const share = (value) => (value === null ? "–" : percent(value));

const recall = (figure) => h("span", null, share(figure.recall), h("span", { class: "note small" }, ` @${figure.k}`));

function badge(state) {
  const [kind, words] = STATES[state] ?? STATES.unknown;
  return h("span", { class: `badge ${kind}` }, words);
}

function when(time) {
  const date = time && new Date(time);
  if (!date || Number.isNaN(date.getTime())) return "never";
  return date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}
