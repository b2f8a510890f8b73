// A query's parts: texts and images, each with a weight; one of negative weight is what hits shall be unlike.

import { h, unseen } from "./dom.js";

export const MAX_PARTS = 8;
const MAX_BYTES = 4_000_000;
const KINDS = { 1: "More like", "-1": "Less like" };

export const textPart = (text = "", weight = 1) => ({ kind: "text", text, weight });

// `changed(i)`: part i goes; without: the row looks otherwise now.
export function partRow(part, i, several, changed) {
  const id = `query-${i}`;
  const name = several ? `Part ${i + 1}` : "Query";
  const what = h(
    "div",
    { class: "what" },
    h("label", { class: "unseen", for: id }, name),
    part.kind === "image" ? imageInput(part, id) : textInput(part, id),
  );
  if (!several && part.kind === "text" && part.weight > 0) return h("div", { class: "part only" }, what);
  const sign = h(
    "select",
    {
      "aria-label": `${name}: more or less like this`,
      onchange: (event) => {
        part.weight = Math.abs(part.weight) * Number(event.target.value);
        event.target.closest(".part").classList.toggle("negative", part.weight < 0);
      },
    },
    Object.entries(KINDS)
      .reverse()
      .map(([value, label]) => h("option", { value, selected: Math.sign(part.weight) === Number(value) }, label)),
  );
  const shown = h("output", null, `× ${Math.abs(part.weight).toFixed(1)}`);
  const weight = h("input", {
    type: "range",
    min: "0.1",
    max: "3",
    step: "0.1",
    "aria-label": `${name}: weight`,
    oninput: (event) => {
      part.weight = Math.sign(part.weight) * Number(event.target.value);
      shown.textContent = `× ${Math.abs(part.weight).toFixed(1)}`;
    },
  });
  weight.value = Math.abs(part.weight);
  return h(
    "div",
    { class: part.weight < 0 ? "part negative" : "part" },
    sign,
    what,
    h("div", { class: "weight" }, weight, shown),
    several &&
      h("button", { type: "button", class: "quiet", onclick: () => changed(i) }, "×", unseen(`Remove part ${i + 1}`)),
  );
}

const textInput = (part, id) =>
  h("input", {
    id,
    class: "text",
    type: "search",
    autocomplete: "off",
    maxlength: "10000",
    placeholder: part.weight < 0 ? "What the hits shall not be like" : "What are you looking for?",
    value: part.text,
    oninput: (event) => (part.text = event.target.value),
  });

// Shown on a canvas: nothing that came from a file is ever loaded by an address.
function imageInput(part, id) {
  const canvas = h("canvas", { width: "112", height: "84", "aria-hidden": "true" });
  const note = h("span", { class: "small note" }, part.name ?? "PNG, JPEG or WebP");
  const take = async (file) => {
    part.image = null;
    if (file.size > MAX_BYTES) {
      note.textContent = "Larger than 4 MB: choose a smaller one";
      return;
    }
    try {
      draw(canvas, await createImageBitmap(file));
    } catch {
      note.textContent = "This is no image that can be read";
      return;
    }
    part.file = file;
    part.image = await base64(file);
    part.name = note.textContent = file.name;
  };
  if (part.file) take(part.file);
  return h(
    "div",
    { class: "picture" },
    canvas,
    h("input", {
      id,
      type: "file",
      accept: "image/png,image/jpeg,image/webp",
      onchange: (event) => event.target.files[0] && take(event.target.files[0]),
    }),
    note,
  );
}

function draw(canvas, bitmap) {
  const scale = Math.min(canvas.width / bitmap.width, canvas.height / bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(bitmap, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
}

const base64 = (file) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });

// The request's `query` or `parts`; throws an Error in words where there is nothing to look for.
export function queryParts(parts) {
  const kept = parts
    .map((part) =>
      part.kind === "image"
        ? part.image && { image: part.image, weight: part.weight }
        : part.text.trim() && { text: part.text, weight: part.weight },
    )
    .filter(Boolean);
  const fault = (message) => Object.assign(new Error(message), { title: "Not sent", at: "query-0" });
  if (!kept.length) throw fault("The query is empty.");
  if (!kept.some((part) => part.weight > 0))
    throw fault("Say what the hits shall be like, too, and not only what they shall be unlike.");
  if (kept.length === 1 && kept[0].text && kept[0].weight === 1) return { query: kept[0].text };
  return { parts: kept };
}
