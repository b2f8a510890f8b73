// Which view is shown, and what belongs to all of them: theme, token, shortcuts.

import { get, token } from "./api.js";
import { canariesView } from "./canaries.js";
import { coverageView } from "./coverage.js";
import { byId, h, problem, show } from "./dom.js";
import { paretoView } from "./pareto.js";
import { probeView } from "./probe.js";
import { searchView, stepHit } from "./search.js";

const VIEWS = {
  search: ["Search", searchView],
  coverage: ["Coverage", coverageView],
  canaries: ["Canaries", canariesView],
  probe: ["Probe", probeView],
  pareto: ["Trade-offs", paretoView],
};
const main = byId("main");
let opening = 0;

const named = () => {
  const name = location.hash.replace(/^#\/?/, "");
  return Object.hasOwn(VIEWS, name) ? name : "search";
};

// `moved`: the reader chose another view, whose heading is then read out.
async function open(moved) {
  const turn = ++opening;
  const name = named();
  const [title, view] = VIEWS[name];
  document.title = `${title} · osmv console`;
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  main.setAttribute("aria-busy", "true");
  let content;
  try {
    content = await view();
  } catch (error) {
    content = [h("h1", { class: "unseen" }, title), problem(error)];
    if (error.status === 401) askForToken();
    if (error.status === undefined) console.error(error);
  }
  if (turn !== opening) return;
  show(main, content);
  main.removeAttribute("aria-busy");
  main.dataset.shown = name;
  if (moved) {
    main.focus();
    scrollTo(0, 0);
  }
}

// Theme
const THEMES = ["system", "light", "dark"];

const theme = () => document.documentElement.dataset.theme ?? "system";

function setTheme(name) {
  if (name === "system") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem("osmv-theme");
  } else {
    document.documentElement.dataset.theme = name;
    localStorage.setItem("osmv-theme", name);
  }
  byId("theme").textContent = `Theme: ${name}`;
}

const nextTheme = () => setTheme(THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);

// Token
function askForToken() {
  byId("token-value").value = token.get();
  if (!byId("token").open) byId("token").showModal();
}

function useToken(value) {
  token.set(value.trim());
  open(false);
  tellCaller();
}

async function tellCaller() {
  const button = byId("token-open");
  try {
    const caller = await get("caller");
    button.hidden = !caller.needs_token;
    button.textContent = token.get() ? caller.name : "Token";
    for (const link of document.querySelectorAll("[data-operator]")) link.parentElement.hidden = !caller.operator;
  } catch {
    button.hidden = false;
    button.textContent = "Token";
  }
}

// Shortcuts
const keysOn = () => localStorage.getItem("osmv-keys") !== "off";

function shortcut(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !keysOn()) return;
  if (event.target.closest("input, select, textarea, dialog")) return;
  const view = Object.keys(VIEWS)[Number(event.key) - 1];
  if (view) location.hash = `#/${view}`;
  else if (event.key === "/") byId("query-0")?.focus();
  else if (event.key === "j" || event.key === "k") stepHit(event.key === "j" ? 1 : -1);
  else if (event.key === "h") byId("heat-map")?.focus();
  else if (event.key === "r") open(true);
  else if (event.key === "t") nextTheme();
  else if (event.key === "?") byId("help").showModal();
  else return;
  event.preventDefault();
}

byId("theme").addEventListener("click", nextTheme);
byId("help-open").addEventListener("click", () => byId("help").showModal());
byId("token-open").addEventListener("click", askForToken);
byId("token-forget").addEventListener("click", () => {
  byId("token").close();
  byId("token-value").value = "";
  useToken("");
});
byId("token-form").addEventListener("submit", () => useToken(byId("token-value").value));
byId("keys-on").checked = keysOn();
byId("keys-on").addEventListener("change", (event) =>
  localStorage.setItem("osmv-keys", event.target.checked ? "on" : "off"),
);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address after # says which view is shown
  main.focus();
});
document.addEventListener("keydown", shortcut);
// The view that is shown already is read anew.
document.querySelector(".bar nav").addEventListener("click", (event) => {
  if (event.target.closest("a")?.hash === location.hash) open(true);
});
addEventListener("hashchange", () => open(true));

setTheme(theme());
tellCaller();
open(false);
