// Runs before the first paint: resolves "auto" to light or dark, so that nothing flashes. A classic script on purpose (modules are deferred).
(() => {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const wanted = root.dataset.theme || "auto";
    const now = wanted === "auto" ? (dark.matches ? "dark" : "light") : wanted;
    if (root.dataset.bsTheme === now) return;
    root.dataset.bsTheme = now;
    document.dispatchEvent(new CustomEvent("desk:theme", { detail: now }));
  };
  apply();
  dark.addEventListener("change", apply);
  root.addEventListener("desk:theme-chosen", apply);
})();
