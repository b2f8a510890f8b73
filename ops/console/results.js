// An answer: its figures, the two rankings beside each other, where the time went, and the chosen hit.

import { alignmentOf, nameOf } from "./alignment.js";
import { h, s, show, unseen } from "./dom.js";
import { count, milliseconds, plural, score } from "./figures.js";
import { waterfall } from "./waterfall.js";

const keyOf = (hit) => JSON.stringify([hit.index, hit.doc_id]);

// How many of the page's hits the rerank brought up and down.
export function moves(answer) {
  const before = answer.hits.filter((hit) => hit.first_stage_rank !== null);
  return {
    rose: answer.hits.length - before.length + before.filter((hit) => hit.first_stage_rank > hit.rank).length,
    fell: before.filter((hit) => hit.first_stage_rank < hit.rank).length,
  };
}

// `add(text, weight)` puts a text into the query.
export function results(answer, request, add) {
  const detail = h("section", { class: "card detail", "aria-label": "Chosen hit" });
  const left = h("div", { class: "stack ranks" }, summary(answer), notices(answer), rankings(answer, look));
  let chosen = null;

  function choose(hit) {
    const key = keyOf(hit);
    if (key === chosen) return;
    chosen = key;
    for (const each of left.querySelectorAll("[data-key]")) {
      const same = each.dataset.key === key;
      if (each.matches("button")) each.setAttribute("aria-pressed", String(same));
      else each.classList.toggle("chosen", same);
    }
    alignmentOf(hit, request, detail, add);
  }

  // Where the hit is shown below the lists, the reader is taken there.
  function look(hit) {
    choose(hit);
    if (matchMedia("(max-width: 1079px)").matches) detail.scrollIntoView();
  }

  if (answer.hits.length) choose(answer.hits[0]);
  else show(detail, h("p", { class: "note" }, "Nothing was found."));
  const time = h("section", { class: "card time" }, h("h2", null, "Where the time went"), waterfall(answer));
  return h("div", { class: "found" }, left, detail, time);
}

function summary(answer) {
  const { rose, fell } = moves(answer);
  const figures = [
    ["Hits", count(answer.hits.length)],
    ["Matches", answer.total >= 10000 ? "10,000 or more" : count(answer.total)],
    ["Candidates", count(answer.candidates)],
    answer.first_stage_hits && ["Rose / fell", `${rose} / ${fell}`],
    ["Time", milliseconds(answer.took_ms)],
  ];
  return h(
    "dl",
    { class: "card sum" },
    figures.filter(Boolean).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))),
  );
}

function notices(answer) {
  const skipped = Object.entries(answer.skipped);
  return [
    answer.degraded.length > 0 &&
      h(
        "div",
        { class: "notice" },
        h("strong", null, "Not the whole answer"),
        answer.degraded.map((reason) => h("p", null, reason)),
      ),
    answer.stale > 0 &&
      h(
        "div",
        { class: "notice" },
        h(
          "p",
          null,
          `${plural(answer.stale, "hit")} may have the score of an earlier text: osmv follow fills them again.`,
        ),
      ),
    skipped.length > 0 &&
      h(
        "details",
        { class: "notice" },
        h("summary", null, `${plural(skipped.length, "candidate")} left out`),
        h(
          "ul",
          null,
          skipped.slice(0, 20).map(([id, reason]) => h("li", null, h("code", null, id), ": ", reason)),
        ),
      ),
  ].filter(Boolean);
}

function rankings(answer, choose) {
  const before = answer.first_stage_hits;
  const names = new Map(answer.hits.map((hit) => [keyOf(hit), hit]));
  const after = h(
    "div",
    { class: "after" },
    h("h3", null, before ? `After the rerank (${answer.rerank ?? "none"})` : `First stage (${answer.first_stage})`),
    h(
      "ol",
      { class: "hits" },
      answer.hits.map((hit) => h("li", null, finalHit(hit, before, choose))),
    ),
  );
  if (!before) return h("section", { class: "card", "aria-label": "Hits" }, h("h2", null, "Hits"), after);
  const lines = s("svg", { class: "lines", "aria-hidden": "true" });
  const first = h(
    "details",
    { class: "before", open: matchMedia("(min-width: 721px)").matches },
    h("summary", null, `First stage (${answer.first_stage})`),
    h(
      "ol",
      { class: "hits" },
      before.map((hit) => h("li", null, firstHit(hit, names.get(keyOf(hit)), choose))),
    ),
  );
  const lists = h("div", { class: "lists" }, first, lines, after);
  new ResizeObserver(() => drawLines(lists, lines, answer)).observe(lists);
  return h(
    "section",
    { class: "card", "aria-label": "Both rankings" },
    h("h2", null, "First stage and rerank, side by side"),
    lists,
  );
}

function finalHit(hit, compared, choose) {
  return h(
    "button",
    { type: "button", class: "hit", data: { key: keyOf(hit) }, "aria-pressed": "false", onclick: () => choose(hit) },
    h("span", { class: "rank" }, hit.rank, unseen(".")),
    h("span", { class: "name" }, nameOf(hit)),
    h("span", { class: "value" }, compared && moved(hit), h("span", null, unseen("score "), score(hit.score))),
    h(
      "span",
      { class: "line" },
      hit.stale && [h("span", { class: "badge warn" }, "stale"), " "],
      lineOf(hit, nameOf(hit)),
    ),
  );
}

// Its text, without a title that stands above it.
const lineOf = (hit, name) =>
  (name && hit.text.startsWith(name) ? hit.text.slice(name.length).trimStart() : hit.text).slice(0, 300);

function moved(hit) {
  const from = hit.first_stage_rank;
  if (from === null) return h("span", { class: "move new" }, "new", unseen(", not among the first stage’s"));
  const by = from - hit.rank;
  if (by === 0) return h("span", { class: "move" }, "=", unseen(" as before"));
  return h(
    "span",
    { class: by > 0 ? "move rose" : "move fell" },
    h("span", { "aria-hidden": "true" }, `${by > 0 ? "▲" : "▼"}${Math.abs(by)}`),
    unseen(`${by > 0 ? "rose" : "fell"} by ${Math.abs(by)}, from ${from}`),
  );
}

function firstHit(hit, same, choose) {
  const content = [
    h("span", { class: "rank" }, hit.rank, unseen(".")),
    h("span", { class: "name" }, same ? nameOf(same) : hit.doc_id),
    h(
      "span",
      { class: "value" },
      hit.final_rank === null
        ? unseen("left the page")
        : [h("span", { "aria-hidden": "true" }, "→ "), unseen("now "), hit.final_rank],
    ),
    h("span", { class: "line" }, lineOf(hit, same ? nameOf(same) : "")),
  ];
  const shown = same ?? { ...hit, source: {}, first_stage_rank: hit.rank, score: null, rank: null };
  return h(
    "button",
    {
      type: "button",
      class: same ? "hit" : "hit gone",
      data: { key: keyOf(hit) },
      "aria-pressed": "false",
      onclick: () => choose(shown),
    },
    content,
  );
}

// From each document's place in the one list to its place in the other.
function drawLines(lists, lines, answer) {
  const frame = lines.getBoundingClientRect();
  if (!frame.width) return;
  const middle = (side, key) => {
    const found = [...lists.querySelectorAll(`.${side} .hit`)].find((each) => each.dataset.key === key);
    const box = found?.getBoundingClientRect();
    return box && box.top + box.height / 2 - frame.top;
  };
  lines.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
  show(
    lines,
    answer.hits.map((hit) => {
      const key = keyOf(hit);
      const [from, to] = [middle("before", key), middle("after", key)];
      if (from === undefined || to === undefined) return null;
      const by = (hit.first_stage_rank ?? hit.rank) - hit.rank;
      const pressed = lists.querySelector(`.after .hit[aria-pressed="true"]`)?.dataset.key === key;
      return s("path", {
        class: [by > 0 ? "rose" : by < 0 ? "fell" : "", pressed ? "chosen" : ""].join(" "),
        data: { key },
        d: `M4,${from} C${frame.width / 2},${from} ${frame.width / 2},${to} ${frame.width - 4},${to}`,
      });
    }),
  );
}
