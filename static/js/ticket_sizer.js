// Sizing on the ticket: the server says how many shares a sizer would order and why; the trader takes the quantity over or does not.
import { format } from "./format.js";
import { postJson } from "./http.js";
import { make, showErrors } from "./ticket_view.js";

const PAUSE = 250;
const FORMATS = { money: "money", price: "price", fraction: "share", shares: "quantity", ratio: "ratio" };

/** What is asked in percent, as the fraction that the server knows; other text as it is, for the server to refuse. */
function asFraction(text) {
  return text !== "" && Number.isFinite(Number(text)) ? String(Number((Number(text) / 100).toPrecision(12))) : text;
}

export class Sizer {
  constructor(ticket) {
    this.ticket = ticket;
    this.form = ticket.form;
    this.box = this.form.querySelector("#t-sizer");
    this.button = this.box.querySelector("#z-take");
    this.quantity = null;
    this.box.addEventListener("toggle", () => this.changed());
    this.box.addEventListener("input", (event) => {
      event.stopPropagation(); // what sizes the order is no part of it: the checks need not run again
      this.changed();
    });
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.button.addEventListener("click", () => this.taken());
  }

  /** Enter takes the quantity over; on the heading it opens and closes, as it does everywhere. Ctrl+Enter stays the ticket's. */
  key(event) {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
    event.stopPropagation();
    if (event.target.tagName === "SUMMARY" || event.target === this.button) return;
    event.preventDefault();
    this.taken();
  }

  /** Ask again when the ticket or the sizer's numbers have changed. Nothing is asked while the sizer is closed. */
  changed() {
    const type = this.form.elements["sizer/type"].value;
    for (const field of this.box.querySelectorAll("[data-sizer]")) field.hidden = !field.dataset.sizer.split(" ").includes(type);
    const wanted = this.box.open && this.ticket.terms.listed ? JSON.stringify(this.request) : "";
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    this.forget(wanted ? "Sizing…" : "Fill in the symbol and the numbers.");
    this.cancel?.abort();
    clearTimeout(this.timer);
    if (wanted) this.timer = setTimeout(() => this.size(), PAUSE);
  }

  dispose() {
    this.cancel?.abort();
    clearTimeout(this.timer);
  }

  get request() {
    const sizer = { type: this.form.elements["sizer/type"].value };
    for (const input of this.box.querySelectorAll("[data-sizer]:not([hidden]) input[name^='sizer/']")) {
      const text = input.value.trim();
      sizer[input.name.slice("sizer/".length)] = "percent" in input.dataset ? asFraction(text) : text;
    }
    const stop = sizer.type === "risk_based" ? this.form.elements.size_stop.value.trim() || this.form.elements.stop_loss.value.trim() : "";
    if (stop) delete sizer.stop_pct; // the price says where
    const { portfolio_id, symbol, side, limit_price } = this.ticket.terms.fields;
    return { portfolio_id, symbol, side, sizer, ...(limit_price && { limit_price }), ...(stop && { stop_price: stop }) };
  }

  async size() {
    this.cancel = new AbortController();
    this.box.setAttribute("aria-busy", "true");
    try {
      const said = await postJson(this.box.dataset.size, this.request, { signal: this.cancel.signal });
      showErrors(this.box, []);
      this.show(said);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.wanted = null; // the same numbers may be asked for again
      const errors = (error.body?.errors || []).map((one) => ({ ...one, pointer: one.pointer.replace(/stop_price$/, "size_stop") }));
      const placed = errors.map((one) => (this.box.querySelector(`[data-error="${CSS.escape(one.pointer.replace(/^[#/]+/, ""))}"]`) ? one : { ...one, pointer: "sizer" }));
      showErrors(this.box, placed.length ? placed : [{ pointer: "sizer", detail: error.message }]);
      this.forget("Not sized.");
    } finally {
      this.box.removeAttribute("aria-busy");
    }
  }

  forget(text) {
    this.quantity = null;
    this.button.disabled = true;
    this.button.textContent = "No quantity yet";
    document.getElementById("z-said").textContent = text;
    document.getElementById("z-facts").replaceChildren();
  }

  show(said) {
    this.forget(said.message);
    if (said.state !== "ok") return;
    const facts = [["Formula", said.formula], ...said.terms.map((term) => [term.name, format(term.value, FORMATS[term.unit])])];
    facts.push(["Worth", `${format(said.value, "money")}, ${format(said.equity_share, "share")} of equity`]);
    if (said.loss_at_stop !== null) facts.push(["Lost at the stop", format(said.loss_at_stop, "money")]);
    document.getElementById("z-facts").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: value })]));
    if (Number(said.quantity) === 0) {
      this.button.textContent = "Not even one lot";
      return;
    }
    this.quantity = said.quantity;
    this.button.disabled = false;
    this.button.textContent = `Take over ${format(said.quantity, "quantity")} shares`;
  }

  /** The shares become the ticket's quantity, and the checks run on them. */
  taken() {
    if (this.quantity === null) return;
    this.form.elements.unit.value = "shares";
    this.form.elements.quantity.value = this.quantity;
    this.form.elements.quantity.focus();
    this.ticket.changed();
  }
}
