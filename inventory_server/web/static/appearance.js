// Before the page is painted: light or dark as chosen in the menu, else as the system says.
{
  let chosen = "";
  try { chosen = localStorage.getItem("theme") || ""; } catch (error) { console.debug("no storage", error); }
  if (chosen) document.documentElement.dataset.theme = chosen;
}
