// The search view: what is asked, and where the answer is shown. What was typed and found outlives a look elsewhere.

import { get, post } from "./api.js";
import { announce, byId, empty, h, problem, show } from "./dom.js";
import { milliseconds, plural } from "./figures.js";
import { MAX_PARTS, partRow, queryParts, textPart } from "./parts.js";
import { moves, results } from "./results.js";

const asked = {
  parts: [textPart()],
  index: "",
  field: "",
  first_stage: "",
  rerank: "auto",
  size: 10,
  window_size: 100,
  filter: "",
};
let choices = []; // what /fields says
let caller = null;
let answered = null; // the last answer, or the error in its place
let running = null;

const host = h("div", { id: "results" });

export async function searchView() {
  const [fields, who] = await Promise.all([get("fields"), get("caller").catch(() => null)]);
  choices = fields.fields;
  caller = who;
  if (!chosen()) choose(choices[0]);
  if (!answered) showStart();
  return [h("h1", { class: "unseen" }, "Search"), choices.length ? form() : null, host];
}

// Choose the next hit, or the one before.
export function stepHit(step) {
  const hits = [...document.querySelectorAll(".after .hit")];
  if (!hits.length) return;
  const at = hits.findIndex((each) => each.getAttribute("aria-pressed") === "true");
  const next = hits[Math.min(hits.length - 1, Math.max(0, at + step))];
  next.focus();
  next.click();
}

const chosen = () => choices.find((each) => each.index === asked.index && each.field === asked.field);

function choose(choice) {
  if (!choice) return;
  asked.index = choice.index;
  asked.field = choice.field;
  const known = choice.first_stages;
  if (!known.includes(asked.first_stage)) {
    asked.first_stage = ["codes", "dense", ...known].find((name) => known.includes(name)) ?? "bm25";
  }
}

function showStart() {
  show(
    host,
    choices.length
      ? empty(
          "Ask this index something",
          "The first stage’s order and the rerank’s are shown side by side, with the tokens that matched.",
        )
      : empty(
          "Nothing to search yet",
          "No index with a multi-vector field is here that you may search. Make one with osmv index, or osmv attach.",
        ),
  );
}

function form() {
  const parts = h("div", { class: "parts" });
  const adders = h("div", { class: "row" });
  const draw = (focus) => {
    show(
      parts,
      asked.parts.map((part, i) => partRow(part, i, asked.parts.length > 1, redraw)),
    );
    show(
      adders,
      adder("add", "Text", () => textPart()),
      adder("add less", "Less like this", () => textPart("", -0.5)),
      chosen()?.images !== false && adder("add", "Image", () => ({ kind: "image", image: null, weight: 1 })),
    );
    if (focus !== undefined) byId(`query-${focus}`)?.focus();
  };
  const redraw = (remove) => {
    if (remove !== undefined) asked.parts.splice(remove, 1);
    draw(remove === undefined ? undefined : Math.min(remove, asked.parts.length - 1));
  };
  const adder = (kind, label, make) =>
    h(
      "button",
      {
        type: "button",
        class: `quiet ${kind}`,
        disabled: asked.parts.length >= MAX_PARTS,
        onclick: () => draw(asked.parts.push(make()) - 1),
      },
      label,
    );
  asked.add = (text, weight) => draw(asked.parts.push(textPart(text, weight)) - 1);
  draw();
  return h(
    "form",
    { class: "card query", role: "search", "aria-label": "Query", novalidate: true, onsubmit: submit },
    parts,
    h("div", { class: "row apart" }, adders, h("button", { class: "primary", id: "run", type: "submit" }, "Search")),
    options(redraw),
  );
}

function options(redraw) {
  const stages = h("datalist", { id: "stages" });
  const reranks = h("datalist", { id: "reranks" });
  const suggest = () => {
    const known = chosen()?.first_stages ?? [];
    const fused = ["codes", "dense"].filter((name) => known.includes(name) && known.includes("bm25"));
    show(
      stages,
      [...known, ...fused.map((name) => `bm25+${name}`)].map((name) => h("option", { value: name })),
    );
    show(
      reranks,
      ["auto", "none", ...(chosen()?.reranks ?? [])].map((name) => h("option", { value: name })),
    );
  };
  const stage = input("first_stage", { list: "stages", spellcheck: "false", autocomplete: "off" });
  const where = h(
    "select",
    {
      id: "where",
      onchange: (event) => {
        choose(choices[event.target.selectedIndex]);
        stage.value = asked.first_stage;
        suggest();
        redraw();
      },
    },
    choices.map((each) => h("option", { selected: each === chosen() }, `${each.index} · ${each.field}`)),
  );
  suggest();
  const filter = h("textarea", {
    id: "filter",
    class: "code",
    rows: "2",
    spellcheck: "false",
    placeholder: '{"term": {"lang": "en"}}',
    value: asked.filter,
    disabled: caller?.filters === false,
    "aria-describedby": "filter-note",
    oninput: (event) => (asked.filter = event.target.value),
  });
  const note =
    caller?.filters === false
      ? "This service takes no filters from you: its operator allows them with osmv serve --allow-filters."
      : "One OpenSearch query clause. It holds in the first stage and in the rerank.";
  return [
    h(
      "div",
      { class: "fields" },
      field("where", "Index and field", where),
      field("first_stage", "First stage", stage, stages),
      field(
        "rerank",
        "Rerank",
        input("rerank", { list: "reranks", spellcheck: "false", autocomplete: "off" }),
        reranks,
      ),
      field("window_size", "Candidates", input("window_size", { type: "number", min: "1", max: "10000" })),
      field("size", "Hits", input("size", { type: "number", min: "1", max: "100" })),
    ),
    h(
      "details",
      { open: asked.filter !== "" },
      h("summary", null, "Filter"),
      h("div", { class: "field" }, h("label", { for: "filter" }, "Only documents that match"), filter),
      h("p", { class: "note small", id: "filter-note" }, note),
    ),
  ];
}

const field = (id, label, ...content) => h("div", { class: "field" }, h("label", { for: id }, label), content);

const input = (name, properties) =>
  h("input", { id: name, value: asked[name], oninput: (event) => (asked[name] = event.target.value), ...properties });

// What goes to the service; throws an Error in words on what can't.
function request() {
  const { parts, filter } = asked;
  const rerank = asked.rerank.trim();
  const body = {
    index: asked.index,
    field: asked.field,
    first_stage: asked.first_stage.trim(),
    rerank: rerank === "" || rerank === "none" ? null : rerank,
    size: wholeNumber("size", "Hits"),
    window_size: wholeNumber("window_size", "Candidates"),
    ...queryParts(parts),
  };
  body.compare = body.rerank !== null;
  if (filter.trim()) {
    try {
      body.filter = JSON.parse(filter);
    } catch (error) {
      throw marked("filter", `The filter is no JSON: ${error.message}.`);
    }
  }
  return body;
}

function wholeNumber(name, label) {
  const value = Number(asked[name]);
  if (!Number.isInteger(value) || value < 1) throw marked(name, `${label} must be a whole number from 1.`);
  return value;
}

function marked(id, message) {
  const error = Object.assign(new Error(message), { title: "Not sent", at: id });
  return error;
}

async function submit(event) {
  event.preventDefault();
  for (const each of event.target.querySelectorAll("[aria-invalid]")) each.removeAttribute("aria-invalid");
  running?.abort();
  const mine = (running = new AbortController());
  const button = byId("run");
  let body;
  try {
    body = request();
  } catch (error) {
    const place = byId(error.at);
    place?.setAttribute("aria-invalid", "true");
    place?.closest("details")?.setAttribute("open", "");
    place?.focus();
    show(host, problem(error));
    return;
  }
  button.textContent = "Searching …";
  host.setAttribute("aria-busy", "true");
  try {
    answered = await post("search", body, mine.signal);
    const { rose, fell } = moves(answered);
    show(
      host,
      results(answered, body, (text, weight) => asked.add(text, weight)),
    );
    announce(
      `${plural(answered.hits.length, "hit")} in ${milliseconds(answered.took_ms)}.` +
        (answered.first_stage_hits ? ` ${rose} rose and ${fell} fell by the rerank.` : ""),
    );
  } catch (error) {
    if (error.name === "AbortError") return;
    answered = error;
    if (error.status === undefined) console.error(error);
    show(host, problem(error));
  } finally {
    if (mine === running) {
      button.textContent = "Search";
      host.removeAttribute("aria-busy");
    }
  }
}
