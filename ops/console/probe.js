// What the cluster can do, as osmv doctor finds it.

import { get } from "./api.js";
import { h, unseen } from "./dom.js";

const STATES = {
  ok: ["good", "✓ ok"],
  missing: ["bad", "✕ missing"],
  warning: ["warn", "! warning"],
  unknown: ["", "? unknown"],
  absent: ["", "– absent"],
};

export async function probeView() {
  const { ready, checks } = await get("probe");
  return [
    h(
      "div",
      { class: "heading" },
      h("h1", null, "Capability probe"),
      h(
        "span",
        { class: ready ? "badge good" : "badge bad" },
        ready ? "✓ Ready for multi-vector search" : "✕ Something needed is missing",
      ),
    ),
    h(
      "div",
      { class: "card" },
      h(
        "ul",
        { class: "checks" },
        checks.map((check) =>
          h(
            "li",
            null,
            badge(check.state),
            h("div", null, h("strong", null, check.name), h("div", null, withCode(check.found))),
            h("div", { class: "note" }, unseen("For "), withCode(check.enables)),
            check.remedy && h("p", { class: "todo" }, h("strong", null, "To do: "), withCode(check.remedy)),
          ),
        ),
      ),
    ),
  ];
}

// What stands between backticks is a name, or something to type.
const withCode = (text) => text.split("`").map((piece, i) => (i % 2 ? h("code", null, piece) : piece));

function badge(state) {
  const [kind, words] = STATES[state] ?? STATES.unknown;
  return h("span", { class: `badge ${kind}` }, words);
}
