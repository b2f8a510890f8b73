// One bar for each stage of a search, where it lay in the time of the whole.

import { h, unseen } from "./dom.js";
import { milliseconds } from "./figures.js";

const STAGES = {
  queue: ["Waiting", "--stage-other"],
  wait: ["Waiting", "--stage-other"],
  encode: ["Encoding", "--stage-encode"],
  first_stage: ["First stage", "--stage-first"],
  rerank_fetch: ["Fetching vectors", "--stage-fetch"],
  rerank: ["Rerank", "--stage-rerank"],
  fetch: ["Fetching hits", "--stage-fetch"],
  negative: ["Less like this", "--less"],
  compare: ["Comparing", "--stage-other"],
};

export function waterfall(answer) {
  const all = Math.max(answer.took_ms, ...answer.stages.map((stage) => stage.start + stage.duration), 1e-6);
  const place = (stage) => ({ "--from": stage.start / all, "--wide": stage.duration / all });
  const rows = answer.stages
    .filter((stage) => !stage.within)
    .map((stage) => {
      const [label, colour] = STAGES[stage.name] ?? [stage.name, "--stage-other"];
      const inner = answer.stages.filter((each) => each.within === stage.name);
      return h(
        "li",
        {
          data: { stage: stage.name, ms: stage.duration },
          title: inner.map((each) => `of which in OpenSearch ${milliseconds(each.duration)}`).join() || null,
        },
        h("span", null, label),
        h(
          "span",
          { class: "track", "aria-hidden": "true" },
          h("i", { style: { ...place(stage), "--stage": `var(${colour})` } }),
          inner.map((each) =>
            h("i", { class: "inner", style: place({ ...each, start: Math.max(each.start, stage.start) }) }),
          ),
        ),
        h(
          "span",
          { class: "time" },
          milliseconds(stage.duration),
          inner.map((each) => unseen(`, of which in OpenSearch ${milliseconds(each.duration)}`)),
        ),
      );
    });
  return h(
    "ol",
    { class: "fall" },
    rows,
    h(
      "li",
      { class: "all" },
      h("span", null, "In all"),
      h("span", null),
      h("span", { class: "time" }, milliseconds(answer.took_ms)),
    ),
  );
}
