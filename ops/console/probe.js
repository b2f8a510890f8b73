// What the cluster can do, as osmv doctor finds it.

import { get } from "./api.js";
import { h, table } from "./dom.js";

const STATES = { ok: ["good", "✓ ok"], missing: ["bad", "✕ missing"], warning: ["warn", "! warning"], unknown: ["", "? unknown"], absent: ["", "– absent"] };

export async function probeView() {
  const { ready, checks } = await get("probe");
  return [
    h(
      "div",
      { class: "heading" },
      h("h1", null, "Capability probe"),
      h("span", { class: ready ? "badge good" : "badge bad" }, ready ? "✓ Ready for multi-vector search" : "✕ Something needed is missing"),
    ),
    h(
      "div",
      { class: "card" },
      table(
        "What was found",
        ["Check", "State", "Found", "What it is for", "To do"],
        checks.map((check) => [check.name, badge(check.state), check.found, check.enables, check.remedy]),
      ),
    ),
  ];
}

function badge(state) {
  const [kind, words] = STATES[state] ?? STATES.unknown;
  return h("span", { class: `badge ${kind}` }, words);
}
