// How far each field is filled and how old what it holds is, and how the service itself is.

import { get } from "./api.js";
import { empty, h } from "./dom.js";
import { count, percent, plural, share } from "./figures.js";

export async function coverageView() {
  // Whoever is no operator may see the fields alone.
  const [{ fields }, status] = await Promise.all([get("fields"), get("status").catch((error) => ({ error }))]);
  const attachments = status.attachments ?? [];
  const cards = fields.map((field) =>
    fieldCard(
      field,
      attachments.find((each) => each.index === field.index && each.field === field.field),
    ),
  );
  const orphans = attachments.filter(
    (each) => !fields.some((field) => field.index === each.index && field.field === each.field),
  );
  return [
    h(
      "div",
      { class: "heading" },
      h("h1", null, "Coverage and staleness"),
      h("p", { class: "note" }, "What of each index can be found by its vectors, and by those of its present text."),
    ),
    h(
      "div",
      { class: "stack" },
      status.error
        ? h("p", { class: "notice" }, `The service’s own state can't be shown: ${status.error.message}`)
        : service(status),
      (status.errors ?? []).map((each) => h("p", { class: "notice" }, each)),
      cards.length || orphans.length
        ? h(
            "div",
            { class: "grid" },
            cards,
            orphans.map((each) => attachmentCard(each)),
          )
        : empty("No fields", "No index with a multi-vector field is here that you may see."),
    ),
  ];
}

function service(status) {
  const breakers = Object.entries(status.breakers).filter(([, state]) => state !== "closed");
  const figures = [
    ["Version", status.version],
    ["Up for", duration(status.uptime_seconds)],
    ["Under way", `${count(status.under_way)} of ${count(status.capacity)}`],
    ["Waiting", `${count(status.waiting)} of ${count(status.queue)}`],
    ["Refused", count(status.refused)],
  ];
  return h(
    "section",
    { class: "card", "aria-label": "The service" },
    h(
      "dl",
      { class: "sum" },
      figures.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))),
    ),
    breakers.map(([index, state]) =>
      h("p", { class: "notice" }, `Reranks of ${index} are left out: their breaker is ${state}.`),
    ),
  );
}

function duration(seconds) {
  const [days, hours, minutes] = [
    Math.floor(seconds / 86400),
    Math.floor((seconds % 86400) / 3600),
    Math.floor((seconds % 3600) / 60),
  ];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

function bar(parts) {
  const shown = parts.filter(([, value]) => value > 0);
  return h(
    "div",
    { class: "cover", "aria-hidden": "true" },
    shown.map(([, value, colour]) => h("i", { style: { "--part": value, "--stage": `var(${colour})` } })),
  );
}

const counts = (pairs) =>
  h(
    "dl",
    { class: "counts" },
    pairs.map(([name, value, colour]) =>
      h(
        "div",
        null,
        h(
          "dt",
          null,
          colour && h("i", { class: "key", style: { "--stage": `var(${colour})` }, "aria-hidden": "true" }),
          name,
        ),
        h("dd", null, value),
      ),
    ),
  );

const MODES = { "in-place": "in place", sidecar: "as a sidecar", new: "as a new index" };

function fieldCard(field, attachment) {
  const { documents, covered, missing } = field;
  const stale = attachment?.stale ?? field.stale;
  const known = documents !== null && covered !== null;
  const done = field.coverage ?? share(covered, documents);
  const fresh = Math.max(0, (covered ?? 0) - (stale ?? 0));
  return h(
    "article",
    { class: "card" },
    h(
      "div",
      { class: "row apart" },
      h("h2", null, field.index, " · ", field.field),
      known && state(done, attachment, missing, stale),
    ),
    h(
      "p",
      { class: "note small" },
      `${field.encoder ?? "vectors made elsewhere"} · ${field.dim} dimensions · ${field.codec}`,
      field.mode && ` · attached ${MODES[field.mode] ?? field.mode}`,
      field.target !== field.index && ` (${field.target})`,
    ),
    known &&
      bar([
        ["fresh", fresh, "--stage-first"],
        ["stale", stale ?? 0, "--stage-fetch"],
        ["missing", missing ?? 0, "--stage-rerank"],
      ]),
    known &&
      counts([
        ["Documents", count(documents)],
        ["Covered", count(covered), "--stage-first"],
        ["Stale", stale === null ? "unknown" : count(stale), "--stage-fetch"],
        ["Missing", count(missing), "--stage-rerank"],
      ]),
    attachment && work(attachment),
    h(
      "details",
      null,
      h("summary", null, "What it can do"),
      h(
        "dl",
        { class: "stored" },
        pair("First stages", field.first_stages),
        pair("Reranks", field.reranks),
        pair("Texts", field.text_fields),
        pair("Sub-fields", field.sub_fields),
      ),
    ),
  );
}

const pair = (name, values) => [h("dt", null, name), h("dd", null, values.join(", ") || "none")];

function state(done, attachment, missing, stale) {
  if (attachment?.failed) return h("span", { class: "badge bad" }, plural(attachment.failed, "refused document"));
  if (attachment?.paused) return h("span", { class: "badge warn" }, "Paused");
  if (stale) return h("span", { class: "badge warn" }, `${count(stale)} stale`);
  if (missing || done < 1) return h("span", { class: "badge warn" }, `${percent(done)} filled`);
  return h("span", { class: "badge good" }, "Complete");
}

function work(attachment) {
  const { failed, orphaned, pending, workers, letters } = attachment;
  return [
    counts([
      ["Refused", count(failed)],
      ["Orphaned", count(orphaned)],
      ["Writes waiting", count(pending)],
      ["Workers", count(workers.length)],
    ]),
    letters.length > 0 &&
      h(
        "details",
        null,
        h("summary", null, "Refused documents"),
        h(
          "ul",
          null,
          letters.map((each) => h("li", null, each)),
        ),
      ),
  ];
}

const attachmentCard = (each) =>
  h(
    "article",
    { class: "card" },
    h("h2", null, each.index, " · ", each.field),
    h("p", { class: "note small" }, `attached ${MODES[each.mode] ?? each.mode} (${each.target})`),
    counts([
      ["Documents", count(each.documents)],
      ["Covered", count(each.covered)],
      ["Stale", each.stale === null ? "unknown" : count(each.stale)],
      ["Missing", count(each.missing)],
    ]),
    work(each),
  );
