// Light or dark: the system's theme, or the one chosen here. Runs before the page is drawn, so that nothing flashes.
(() => {
  const ORDER = ["automatic", "light", "dark"];
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = "automatic";
  try { chosen = localStorage.getItem("theme") ?? chosen; } catch { /* storage is switched off */ }

  function apply() {
    const dark = chosen === "dark" || (chosen === "automatic" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    const button = document.getElementById("theme");
    if (button) button.textContent = `Theme: ${chosen}`;
    dispatchEvent(new Event("themechange"));
  }

  system.addEventListener("change", apply);
  addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      chosen = ORDER[(ORDER.indexOf(chosen) + 1) % ORDER.length];
      try { localStorage.setItem("theme", chosen); } catch { /* see above */ }
      apply();
    });
    apply();
  });
  apply();
})();
