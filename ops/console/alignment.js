// Why a document was found: its tokens against the query's, as a heat map, in its text, and as a table.

import { post } from "./api.js";
import { announce, h, problem, show, table } from "./dom.js";
import { score } from "./figures.js";
import { heatMap } from "./heatmap.js";

const MAX_TEXT = 2000;
let asking = null;

// What a hit is called: by its own title, where it has one.
export function nameOf(hit) {
  const title = hit.source.title ?? hit.source.name;
  return typeof title === "string" && title.trim() ? title : hit.doc_id;
}

export async function alignmentOf(hit, request, host, add) {
  asking?.abort();
  const mine = (asking = new AbortController());
  show(host, header(hit, add), h("p", { class: "note" }, "Reading its tokens …"));
  host.setAttribute("aria-busy", "true");
  const { index, field, query, parts, routing } = request;
  let body;
  try {
    const answer = await post(
      "explain",
      { index, field, query, parts, routing, doc_id: hit.doc_id, hit_index: hit.index },
      mine.signal,
    );
    if (!Object.keys(hit.source).length) hit = { ...hit, source: answer.source };
    body = explained(answer, hit);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === undefined) console.error(error);
    const known = error.status === 409; // it has no vectors, which is no fault of the service's
    body = [
      known ? h("p", { class: "notice" }, `Its tokens can't be shown: ${error.message}.`) : problem(error),
      marked(hit.text, []),
      stored(hit.source),
    ];
  }
  show(host, header(hit, add), body);
  announce(`The tokens of ${nameOf(hit)} are shown.`);
  host.removeAttribute("aria-busy");
}

function header(hit, add) {
  return h(
    "div",
    { class: "stack" },
    h(
      "div",
      null,
      h("h2", { class: "title" }, nameOf(hit)),
      h("p", { class: "note small mono" }, `${hit.index} / ${hit.doc_id}`),
    ),
    h(
      "div",
      { class: "row" },
      hit.rank !== null && h("span", { class: "badge good" }, `Rank ${hit.rank}`),
      hit.score !== null && h("span", { class: "badge" }, `Score ${score(hit.score)}`),
      hit.first_stage_rank !== null && h("span", { class: "badge" }, `First stage: ${hit.first_stage_rank}`),
      hit.stale && h("span", { class: "badge warn" }, "Stale: of an earlier text"),
      hit.text &&
        add &&
        h(
          "button",
          { type: "button", class: "quiet small add", onclick: () => add(cut(hit.text), 0.5) },
          "More like it",
        ),
      hit.text &&
        add &&
        h(
          "button",
          { type: "button", class: "quiet small add less", onclick: () => add(cut(hit.text), -0.5) },
          "Less like it",
        ),
    ),
  );
}

const cut = (text) => points(text).slice(0, MAX_TEXT).join("");

function explained(answer, hit) {
  const several = answer.part_scores.length > 1;
  if (!answer.document_tokens.length)
    return [
      h("p", { class: "note" }, "No token vectors of it can be read."),
      marked(answer.text, []),
      stored(answer.source),
    ];
  return [
    (answer.stale || hit.stale) &&
      h("p", { class: "notice" }, "Its vectors are of an earlier text: tokens may stand by words that were others then."),
    several &&
      h(
        "p",
        { class: "small" },
        "MaxSim by part: ",
        answer.part_scores.map((each, i) => `${i ? ", " : ""}part ${i + 1} ${score(each)}`).join(""),
        `; weighted sum ${score(answer.score)}`,
      ),
    answer.matrix && heatMap(answer),
    h("h3", null, "In its text"),
    marked(answer.text, answer.matches),
    h("details", null, h("summary", null, "The matches as a table"), matches(answer)),
    stored(answer.source),
  ].filter(Boolean);
}

// Spans count code points, as Python does; a string's own index counts UTF-16 units.
const points = (text) => Array.from(text);

// The text, each token as dark as what it adds to the score.
function marked(text, matches) {
  const letters = points(text);
  const added = new Map();
  for (const match of matches) {
    if (!match.document_span) continue;
    const [start, end] = match.document_span;
    if (!(start < end && end <= letters.length)) continue;
    const known = added.get(start) ?? { start, end, sum: 0, by: [] };
    known.end = Math.max(known.end, end);
    known.sum += Math.abs(match.contribution);
    known.by.push(match.query_token);
    added.set(start, known);
  }
  const most = Math.max(...[...added.values()].map((each) => each.sum), 1e-9);
  const pieces = [];
  let at = 0;
  for (const each of [...added.values()].sort((one, other) => one.start - other.start)) {
    if (each.start < at) continue;
    pieces.push(letters.slice(at, each.start).join(""));
    pieces.push(
      h(
        "mark",
        { style: { "--heat": 0.25 + 0.75 * (each.sum / most) }, title: `matched by ${each.by.join(", ")}` },
        letters.slice(each.start, each.end).join(""),
      ),
    );
    at = each.end;
  }
  pieces.push(letters.slice(at).join(""));
  return text
    ? h("p", { class: "words", tabindex: "0", role: "group", "aria-label": "Text of the document" }, pieces)
    : h("p", { class: "note" }, "It has no text.");
}

function matches(answer) {
  const nextBest = (i, match) => {
    if (!answer.matrix) return "";
    const row = answer.matrix[i];
    return row
      .map((value, j) => [value, j])
      .sort(([one], [other]) => other - one)
      .slice(1, 3)
      .map(([value, j]) => `${answer.document_tokens[j].token} ${value.toFixed(3)}`)
      .join(", ");
  };
  const number = (text) => ({ text, class: "number" });
  return table(
    "For each query token the document token that is most like it",
    ["Query token", "Document token", number("Similarity"), number("Adds"), "Next best"],
    answer.matches.map((match, i) => [
      match.query_token,
      match.document_token,
      match.similarity.toFixed(3),
      match.contribution.toFixed(3),
      nextBest(i, match),
    ]),
    { class: "matches" },
  );
}

function stored(source) {
  const entries = Object.entries(source).filter(([, value]) => value !== null && value !== "");
  if (!entries.length) return null;
  return h(
    "details",
    null,
    h("summary", null, `Stored fields (${entries.length})`),
    h(
      "dl",
      { class: "stored" },
      entries.map(([name, value]) => [
        h("dt", null, name),
        h("dd", null, typeof value === "string" ? value : JSON.stringify(value)),
      ]),
    ),
  );
}
