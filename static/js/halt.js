// Shift+H opens the halt dialog; a change of the trading state anywhere repaints the banner on every open page.
import { live } from "./live.js";
import { say } from "./toasts.js";

function paint({ state, reason, by, since }) {
  const banner = document.getElementById("halt-banner");
  const halted = state !== "active";
  banner.hidden = !halted;
  document.body.dataset.trading = state;
  if (!halted) return;
  banner.querySelector("[data-part=state]").textContent = state === "halted" ? "TRADING IS HALTED" : "REDUCING ONLY";
  banner.querySelector("[data-part=reason]").textContent = [reason, by && `by ${by}`, since && `since ${since.slice(0, 19).replace("T", " ")}Z`].filter(Boolean).join(", ");
}

export function bindHalt(body) {
  const dialog = document.getElementById("halt-dialog");
  document.addEventListener("keydown", (event) => {
    if (event.key !== "H" || !event.shiftKey || event.ctrlKey || event.metaKey || event.target.closest("input, textarea, select")) return;
    event.preventDefault();
    window.bootstrap.Modal.getOrCreateInstance(dialog).show();
  });
  dialog.addEventListener("shown.bs.modal", () => dialog.querySelector("[name=reason]").focus());
  live.on(body.dataset.portfolio ? `trading:${body.dataset.portfolio}` : "trading", ({ type, d }) => {
    const before = body.dataset.trading;
    paint(d);
    if (type === "delta" && before !== d.state) say(d.state === "active" ? "Trading is released." : `Trading is ${d.state}. ${d.reason || ""}`, true);
  });
}
