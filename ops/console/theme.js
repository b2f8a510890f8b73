// Not a module, so that the page is never painted in the wrong theme first.
const chosen = localStorage.getItem("osmv-theme");
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
