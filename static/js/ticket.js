// The order ticket: checks 250 ms after the last key, a button that is a sentence, one order per ticket however often it is pressed.
import { format } from "./format.js";
import { postJson } from "./http.js";
import { live } from "./live.js";
import { paced } from "./pace.js";
import { ofParent, Sent } from "./ticket_sent.js";
import { Sizer } from "./ticket_sizer.js";
import { ALGOS, NUMBER, Terms } from "./ticket_terms.js";
import { sentence, showBooks, showChecks, showCost, showErrors, showImpact, showNote, showQuote } from "./ticket_view.js";
import { toast } from "./toasts.js";

const PAUSE = 250;
const DRAFT = "desk:ticket";
const PRICES = [["limit", "limit_price"], ["stop", "stop_price"]];
const SEND_PATIENCE = 10000;
/** Answers that say nothing of an order which was sent before: signed out, not permitted now, too many requests. */
const NOT_ABOUT_THE_ORDER = [401, 403, 429];

/** `value` on the grid of `step`, with the decimal places that the step has. */
function onGrid(value, step) {
  const places = (String(step).split(".")[1] || "").length;
  return (Math.round(value / step) * step).toFixed(places);
}

class Ticket {
  constructor(form) {
    this.form = form;
    this.button = form.querySelector("#ticket-submit");
    this.quotes = new Map();
    this.preview = null;
    this.sending = false;
    this.equity = null;
    this.terms = new Terms(form);
    this.unsettled = null; // what was sent and not answered, until it is known what became of it
    this.given = form.elements.portfolio_id.value;
    this.restore();
    this.sizer = new Sizer(this);
    for (const [, name] of PRICES) if (form.elements[name].value) form.elements[name].dataset.touched = "1";
    this.arrange();
    form.addEventListener("input", (event) => {
      event.target.dataset.touched = "1";
      this.changed();
    });
    form.addEventListener("submit", (event) => this.submit(event));
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // a single key never sends an order
      if (event.ctrlKey || event.metaKey) form.requestSubmit(this.button);
      else if (event.target === this.button) this.button.click();
    });
    form.addEventListener("keydown", (event) => this.step(event));
    document.getElementById("review-send").addEventListener("click", () => this.reviewed());
    this.sent = new Sent(form.dataset.orders);
    this.heard = paced(({ d }) => this.quote(d.quotes));
    this.ticked = () => showQuote(this.quotes.get(this.terms.symbol));
    live.on("quotes", this.heard);
    document.addEventListener("desk:tick", this.ticked);
    this.follow();
    this.changed();
    (form.elements.symbol.value ? form.elements.quantity : form.elements.symbol).focus({ preventScroll: true });
  }

  /** The chosen portfolio: its equity, for quantities in percent of it, and its orders, for those sent from here. */
  follow() {
    const id = this.form.elements.portfolio_id.value;
    const channel = `portfolio:${id}`;
    if (channel === this.followed) return;
    this.forgetEquity();
    this.followed = channel;
    this.equity = null;
    this.valued = ({ d }) => {
      if (d.total === undefined || channel !== this.followed) return;
      const first = this.equity === null;
      this.equity = d.total;
      if (first && this.form.elements.unit.value === "equity") this.changed();
    };
    live.on(channel, this.valued);
    this.sent.follow(id);
  }

  forgetEquity() {
    if (this.followed) live.off(this.followed, this.valued);
  }

  /** The form has left the page: nothing is heard, asked or shown any more. */
  dispose() {
    live.off("quotes", this.heard);
    document.removeEventListener("desk:tick", this.ticked);
    this.forgetEquity();
    this.sent.forget();
    this.sizer.dispose();
    this.cancel?.abort();
    clearTimeout(this.timer);
  }

  /** What one share would cost: the limit where there is one, else the side of the book, else the last price. */
  get sharePrice() {
    const elements = this.form.elements;
    const limit = elements.limit_price.closest("[data-needs]").hidden ? "" : elements.limit_price.value.trim();
    if (NUMBER.test(limit)) return Number(limit);
    const quote = this.quotes.get(this.terms.symbol);
    return quote ? Number((elements.side.value === "buy" ? quote.ask : quote.bid) || quote.price) : null;
  }

  /** Shares that the quantity means, as text: rounded down to whole lots where it is an amount; "" while that is not known. */
  inShares() {
    const given = this.form.elements.quantity.value.replaceAll(",", "").trim();
    const unit = this.form.elements.unit.value;
    if (unit === "shares" || !given) return given;
    if (!NUMBER.test(given)) return given;
    const amount = unit === "money" ? Number(given) : this.equity === null ? null : (Number(given) / 100) * Number(this.equity);
    const price = this.sharePrice;
    if (amount === null || !price) return "";
    const lot = Number(this.terms.listed?.dataset.lot || 1);
    const places = (String(this.terms.listed?.dataset.lot || "1").split(".")[1] || "").length;
    return (Math.floor(amount / price / lot + 1e-9) * lot).toFixed(places);
  }

  showShares() {
    const note = document.getElementById("t-shares");
    const unit = this.form.elements.unit.value;
    note.hidden = unit === "shares" || !this.form.elements.quantity.value.trim();
    if (note.hidden) return;
    const shares = this.terms.quantity;
    const lacking = unit === "equity" && this.equity === null ? "the portfolio's equity is not known yet" : "no price is known yet";
    note.textContent = shares === "" ? `Not known in shares: ${lacking}` : `= ${format(shares, "quantity")} shares at ${format(this.sharePrice, "price")}`;
  }

  /** Arrow keys step a price by the instrument's tick, a quantity by its lot. */
  step(event) {
    const way = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    const input = event.target;
    const kind = input.name === "quantity" ? "lot" : input.dataset?.step;
    if (!way || !kind || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const inShares = kind === "tick" || this.form.elements.unit.value === "shares";
    const size = inShares ? Number(this.terms.listed?.dataset[kind] || (kind === "tick" ? 0.01 : 1)) : 1;
    const by = size * (event.shiftKey ? 10 : 1) * way;
    const next = Number(input.value.replaceAll(",", "") || 0) + by;
    input.value = onGrid(Math.max(size, next), size);
    input.dataset.touched = "1";
    this.changed();
  }

  /** A new key makes the next order another order; a draft that survives a lost session keeps its key. */
  mint(key = crypto.randomUUID()) {
    this.terms.key = key;
    document.getElementById("ticket-key").textContent = key.slice(0, 8);
  }

  restore() {
    let draft = null;
    try {
      draft = JSON.parse(sessionStorage.getItem(DRAFT) || "null");
    } catch {
      sessionStorage.removeItem(DRAFT);
    }
    if (!draft || (!draft.unsettled && ("asked" in this.form.dataset || draft.given !== this.given))) {
      this.mint(); // another order, or a draft for the portfolio that was chosen then
      return;
    }
    this.mint(draft.key);
    this.unsettled = draft.unsettled;
    for (const [name, value] of Object.entries(draft.fields)) {
      const field = this.form.elements[name];
      if (field) field.value = value;
    }
  }

  remember() {
    const fields = Object.fromEntries(new FormData(this.form));
    sessionStorage.setItem(DRAFT, JSON.stringify({ key: this.terms.key, given: this.given, unsettled: this.unsettled, fields }));
  }

  arrange() {
    const type = this.form.elements.order_type.value;
    const tif = this.form.elements.time_in_force;
    for (const option of tif.options) {
      const immediate = option.value === "ioc" || option.value === "fok";
      option.disabled = (type === "market_on_close" && option.value !== "day") || (type === "trailing_stop" && immediate);
    }
    if (tif.selectedOptions[0]?.disabled) tif.value = "day";
    const algo = this.terms.algo;
    for (const field of this.form.querySelectorAll("[data-for]")) field.hidden = !field.dataset.for.split(" ").includes(algo);
    this.form.querySelector("[data-needs=tif]").hidden = Boolean(algo);
    this.form.querySelector("[data-needs=bracket]").hidden = Boolean(algo);
    this.form.querySelector("[data-needs=expire]").hidden = Boolean(algo) || this.form.elements.time_in_force.value !== "gtd";
    this.form.querySelector("[data-needs=trail]").hidden = type !== "trailing_stop";
    for (const [part, types] of [["limit", ["limit", "stop_limit", ...ALGOS]], ["stop", ["stop", "stop_limit"]]]) {
      this.form.querySelector(`[data-needs=${part}]`).hidden = !types.includes(type);
    }
  }

  /** A limit begins at the other side of the book (or the last price), a stop at the last price, both on the tick. */
  prefill(input, part) {
    const quote = this.quotes.get(this.terms.symbol);
    if (!quote) return;
    const touch = this.form.elements.side.value === "buy" ? quote.ask : quote.bid;
    input.value = onGrid(Number((part === "limit" && touch) || quote.price), Number(this.terms.listed?.dataset.tick || 0.01));
  }

  changed() {
    if (this.sending) return;
    this.follow();
    showBooks(this.form);
    this.forgetPrices();
    this.arrange();
    this.fillPrices();
    this.terms.quantity = this.inShares(); // as the sentence says it: a price that moves afterwards does not change what is sent
    showQuote(this.quotes.get(this.terms.symbol));
    this.showShares();
    this.sizer.changed();
    this.remember();
    this.preview = null;
    this.button.disabled = true;
    this.button.textContent = this.terms.complete ? "Checking…" : "Fill in symbol, quantity and prices";
    this.cancel?.abort();
    clearTimeout(this.timer);
    if (this.unsettled) this.hold();
    else if (this.terms.complete) this.timer = setTimeout(() => this.check(), PAUSE);
  }

  /** Nobody knows what became of the order: the ticket stays as it was sent, and can only send that again. */
  hold() {
    this.form.querySelector(".fields").inert = true;
    this.button.disabled = false;
    this.button.textContent = "Send again (same order)";
    document.getElementById("checks-state").textContent = "state unknown";
  }

  settled() {
    this.unsettled = null;
    this.form.querySelector(".fields").inert = false;
  }

  async check() {
    const errors = this.terms.wrong();
    if (errors.length) {
      this.refused({ body: { errors } });
      return;
    }
    this.cancel = new AbortController();
    document.getElementById("checks-state").textContent = "checking…";
    try {
      this.preview = await postJson(this.form.dataset.preview, this.terms.fields, { signal: this.cancel.signal });
      showErrors(this.form, []);
      this.showPreview();
    } catch (error) {
      if (error.name === "AbortError") return;
      this.refused(error);
    }
  }

  refused(error) {
    this.button.disabled = true;
    this.button.textContent = "The order cannot be sent as it is";
    const errors = error.body?.errors || [];
    showErrors(this.form, errors.length ? errors : [{ pointer: "", detail: error.message }]);
    document.getElementById("checks-state").textContent = "not checked";
    showNote(errors.length ? "Correct the marked fields first." : error.message);
  }

  showPreview() {
    const shown = this.preview;
    showChecks(shown.checks);
    const passed = shown.checks.filter((check) => check.outcome === "pass").length;
    document.getElementById("checks-state").textContent = `${passed} of ${shown.checks.length} pass${shown.allowed ? "" : ", blocked"}`;
    showCost(shown);
    showImpact(shown.impact);
    this.button.disabled = !shown.allowed;
    this.button.className = `btn w-100 ${this.terms.fields.side === "buy" ? "btn-primary" : "btn-danger"}`;
    const chosen = this.form.elements.portfolio_id;
    const where = chosen.options.length > 1 ? ` for ${chosen.selectedOptions[0].textContent}` : "";
    const extra = this.terms.algo ? ` by ${this.terms.algo.toUpperCase()}` : this.terms.bracketed ? " with exits" : "";
    this.button.textContent = shown.allowed ? sentence(this.terms.fields, shown, extra + where) : "Blocked by the checks";
  }

  quote(quotes) {
    if (!this.form.isConnected) return; // the last quotes are painted up to 250 ms after they came
    for (const [symbol, quote] of Object.entries(quotes || {})) this.quotes.set(symbol, { ...quote, at: Date.now() });
    showQuote(this.quotes.get(this.terms.symbol));
    const known = this.terms.quantity !== "" || !this.form.elements.quantity.value.trim();
    if (this.fillPrices() || (!known && this.inShares() !== "")) this.changed();
  }

  /** Price fields that nobody has been in begin at the market, as soon as a quote is there. True when one was filled. */
  fillPrices() {
    if (this.terms.algo || !this.quotes.has(this.terms.symbol)) return false;
    let filled = false;
    for (const [part, name] of PRICES) {
      const input = this.form.elements[name];
      if (input.closest("[data-needs]").hidden || input.value || input.dataset.touched || input === document.activeElement) continue;
      this.prefill(input, part);
      filled = true;
    }
    return filled;
  }

  /** A price that was filled in for another symbol is none for this one. */
  forgetPrices() {
    if (this.terms.symbol === this.pricedFor) return;
    if (this.pricedFor !== undefined) for (const [, name] of PRICES) if (!this.form.elements[name].dataset.touched) this.form.elements[name].value = "";
    this.pricedFor = this.terms.symbol;
  }

  /** On paper the order goes at once; where it reaches a market, somebody reads it first. */
  submit(event) {
    event.preventDefault();
    if (this.sending) return;
    if (this.unsettled) {
      this.send();
      return;
    }
    if (!this.preview?.allowed) return;
    if (this.preview.mode !== "live") {
      this.send();
      return;
    }
    document.getElementById("review-sentence").textContent = this.button.textContent;
    document.getElementById("review-facts").replaceChildren(...[...document.getElementById("ticket-cost").children].map((child) => child.cloneNode(true)));
    window.bootstrap.Modal.getOrCreateInstance(document.getElementById("review-dialog")).show();
  }

  reviewed() {
    window.bootstrap.Modal.getOrCreateInstance(document.getElementById("review-dialog")).hide();
    if (!this.sending && this.preview?.allowed) this.send();
  }

  async send() {
    this.sending = true;
    this.button.disabled = true;
    this.button.textContent = this.unsettled ? "Sending again…" : `Sending: ${this.button.textContent}`;
    const { url, body } = this.unsettled || this.terms.request;
    let made;
    try {
      made = await postJson(url, body, { headers: { "Idempotency-Key": this.terms.key }, signal: AbortSignal.timeout(SEND_PATIENCE) });
    } catch (error) {
      this.failed(error, { url, body });
      return;
    } finally {
      this.sending = false;
    }
    this.settled();
    for (const one of (made.orders || []).slice(1)) this.sent.list(one);
    this.done(made.orders ? made.orders[0] : made.algo ? ofParent(made) : made);
  }

  done(order) {
    this.sent.list(order);
    const filled = order.status === "filled" ? `, filled at ${format(order.average_price, "price")}` : `, ${order.status.replaceAll("_", " ")}`;
    toast({ title: order.name || `Order ${order.id}`, text: `${order.side} ${format(order.quantity, "quantity")} ${order.symbol}${filled}.`, href: order.href || `/trades/${order.id}` });
    this.mint();
    for (const name of ["quantity", "take_profit", "stop_loss"]) this.form.elements[name].value = "";
    this.form.elements.note.value = "";
    this.sending = false;
    this.changed();
    document.getElementById("checks-state").textContent = `${order.name || `order ${order.id}`} is with the server`;
  }

  failed(error, sent) {
    const silent = error.status === undefined || error.status >= 500 || (error.status === 409 && error.body.retry_after); // it may be stored: the same key finds it
    const unknown = silent || (this.unsettled && NOT_ABOUT_THE_ORDER.includes(error.status));
    if (!unknown) this.settled();
    if (error.body?.algo) error.body.order = ofParent(error.body.algo);
    if (error.body?.errors) showErrors(this.form, error.body.errors);
    if (error.body?.order) {
      this.sent.list(error.body.order); // denied, and stored with its reasons
      this.mint();
      showChecks(error.body.checks);
    }
    const text = unknown ? "The server has not said what became of the order: its state is unknown. Sending again is safe, it cannot become two orders." : `The order was not sent. ${error.message}`;
    toast({ title: unknown ? "State unknown" : "Order not sent", text, level: "critical", stay: 0 });
    if (unknown) {
      this.unsettled = sent;
      this.hold();
    } else {
      this.button.disabled = true;
      this.button.textContent = "Not sent: change the ticket";
    }
    this.remember();
  }
}

export function bindTicket(form) {
  return new Ticket(form);
}
