// Appearance, "/" for the search, one open menu, and figures that follow the feed.
import { follow } from "/static/live.js";

const root = document.documentElement;

function choose(theme) {
  if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
  try { localStorage.setItem("theme", theme); } catch (error) { console.debug("no storage", error); }
}

for (const box of document.querySelectorAll("#appearance input")) {
  box.checked = box.value === (root.dataset.theme || "");
  box.addEventListener("change", () => choose(box.value));
}
for (const button of document.querySelectorAll("[data-without-script]")) button.hidden = true;
for (const select of document.querySelectorAll("[data-submits]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
document.addEventListener("keydown", (event) => {
  const search = document.querySelector("input[type=search]");
  if (event.key === "/" && search && !event.target.closest("input, select, textarea")) {
    event.preventDefault();
    search.focus();
    search.select();
  }
  if (event.key === "Escape") for (const menu of document.querySelectorAll("details.account[open]")) menu.open = false;
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.account[open]")) if (!menu.contains(event.target)) menu.open = false;
});

follow(Number(document.body.dataset.position), document.documentElement.lang);
