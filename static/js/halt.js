// Shift+H opens the halt dialog, which counts what each level would meet; a change of the trading state repaints every open page.
import { format } from "./format.js";
import { getJson } from "./http.js";
import { live } from "./live.js";
import { say } from "./toasts.js";

const WORDS = { halted: "TRADING IS HALTED", reducing: "REDUCING ONLY", flattening: "FLATTENING" };

function paint({ state, reason, by, since, desk, flatten }) {
  const banner = document.getElementById("halt-banner");
  const word = flatten ? "flattening" : state;
  const button = document.getElementById("halt-button");
  button.dataset.state = word;
  button.title = `Trading is ${word}. Halt (Shift+H)`;
  button.querySelector("[data-part=word]").textContent = word;
  banner.hidden = state === "active";
  document.body.dataset.trading = state;
  if (banner.hidden) return;
  banner.querySelector("[data-part=state]").textContent = WORDS[word] + (desk ? " \u00b7 DESK" : "");
  banner.querySelector("[data-part=reason]").textContent = [reason, by && `by ${by}`, since && `since ${since.slice(0, 19).replace("T", " ")}Z`].filter(Boolean).join(", ");
}

function count(number, one) {
  return `${number} ${one}${number === 1 ? "" : "s"}`;
}

class Dialog {
  constructor(dialog) {
    this.form = dialog.querySelector("form");
    this.asked = 0;
    dialog.addEventListener("show.bs.modal", () => this.look());
    dialog.addEventListener("shown.bs.modal", () => this.form.elements.reason.select()); // Enter halts at once, typing says more
    this.form.addEventListener("change", (event) => (event.target.name === "scope" ? this.look() : this.arrange()));
    this.arrange();
  }

  get level() {
    return this.form.querySelector("[name=level]:checked");
  }

  part(name) {
    return this.form.querySelector(`[data-count="${name}"]`);
  }

  /** Asks what the chosen scope holds. An answer that comes after the next question is dropped. */
  async look() {
    const scope = this.form.querySelector("[name=scope]:checked").value;
    const asked = ++this.asked;
    this.found = null;
    this.arrange();
    try {
      const found = await getJson(this.form.dataset.preview + (scope === "desk" ? "" : `?portfolio=${scope}`));
      if (asked === this.asked) this.show(found);
    } catch {
      // The levels say what they do without the counts, and halting must not wait for them.
    }
  }

  show(found) {
    this.found = found;
    const orders = count(found.working_orders, "working order");
    const worth = found.gross === null ? "of unknown value" : found.positions ? `worth ${format(found.gross, "money")}` : "";
    const seen = found.hidden ? `, and what ${count(found.hidden, "portfolio")} that you do not see hold${found.hidden === 1 ? "s" : ""}` : "";
    const one = found.working_orders === 1;
    this.part("stay").textContent = `${orders} stay${one ? "s" : ""}, of them ${count(found.working_buys, "buy")}.`;
    this.part("cancel").textContent = `${orders}${seen} ${one && !seen ? "is" : "are"} cancelled.`;
    this.part("flatten").textContent = `${orders} ${one ? "is" : "are"} cancelled, ${count(found.positions, "position")} ${worth} ${found.positions === 1 ? "is" : "are"} closed at the market.`;
    this.part("accounts").textContent = found.live_accounts.join(", ");
    this.arrange();
  }

  arrange() {
    const refused = this.found?.flatten_refused || "";
    const flatten = document.getElementById("halt-flatten");
    flatten.disabled = Boolean(refused);
    if (refused && flatten.checked) document.getElementById("halt-cancel").checked = true;
    this.part("refused").hidden = !refused;
    this.part("refused").textContent = refused;
    const typed = flatten.checked && Boolean(this.found?.live_accounts.length);
    document.getElementById("halt-confirm-field").hidden = !typed;
    this.form.elements.confirm.required = typed;
    const go = this.form.querySelector("[data-part=go]");
    go.textContent = this.level.dataset.verb + (this.form.querySelector("[name=scope]:checked").value === "desk" ? " of the whole desk" : "");
  }
}

export function bindHalt(body) {
  const dialog = document.getElementById("halt-dialog");
  document.addEventListener("keydown", (event) => {
    if (event.key !== "H" || !event.shiftKey || event.ctrlKey || event.metaKey || event.target.closest("input, textarea, select")) return;
    event.preventDefault();
    window.bootstrap.Modal.getOrCreateInstance(dialog).show();
  });
  if (dialog.querySelector("[name=level]")) new Dialog(dialog);
  live.on(body.dataset.portfolio ? `trading:${body.dataset.portfolio}` : "trading", ({ type, d }) => {
    const before = body.dataset.trading;
    paint(d);
    if (type === "delta" && before !== d.state) say(d.state === "active" ? "Trading is released." : `Trading is ${d.state}. ${d.reason || ""}`, true);
  });
}
