// The order ticket: checks 250 ms after the last key, a button that is a sentence, one order per ticket however often it is pressed.
import { format } from "./format.js";
import { postJson } from "./http.js";
import { live } from "./live.js";
import { patch } from "./cells.js";
import { paced } from "./pace.js";
import { say, toast } from "./toasts.js";

const PAUSE = 250;
const NUMBER = /^\d{1,12}(\.\d{1,6})?$/;
const DRAFT = "desk:ticket";
const OLD_PRICE = 10000;
const ALGOS = ["twap", "vwap", "pov", "iceberg", "is", "smart"];
const PARAMETER = "parameters/";

function make(tag, { text = "", className = "" } = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  return element;
}

function unitFormat(value, unit) {
  if (unit === "USD") return format(value, "money");
  if (unit === "fraction") return format(value, "share");
  return `${format(value, "quantity")}${unit && unit !== "shares" ? ` ${unit}` : ""}`;
}

/** Best bid and offer with their sizes, where the feed has them. */
function sides(quote) {
  if (!quote.bid && !quote.ask) return "";
  const side = (price, size) => (price ? `${format(price, "price")} \u00d7 ${format(size, "quantity")}` : "\u2014");
  return `; bid ${side(quote.bid, quote.bid_size)}, ask ${side(quote.ask, quote.ask_size)}`;
}

/** A parent order as the list of sent orders shows it. */
function ofParent(algo) {
  const name = `${algo.algo.toUpperCase()} ${algo.id}`;
  return { ...algo, id: `parent-${algo.id}`, name, href: `/algos/${algo.id}`, cumulative_quantity: algo.filled_quantity };
}

class Ticket {
  constructor(form) {
    this.form = form;
    this.button = form.querySelector("#ticket-submit");
    this.quotes = new Map();
    this.preview = null;
    this.sending = false;
    this.restore();
    this.arrange();
    form.addEventListener("input", () => this.changed());
    form.addEventListener("submit", (event) => this.submit(event));
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // a single key never sends an order
      if (event.ctrlKey || event.metaKey) form.requestSubmit(this.button);
      else if (event.target === this.button) this.button.click();
    });
    live.on("quotes", paced(({ d }) => this.quote(d.quotes)));
    this.changed();
  }

  /** What the form asks for as an ordinary order: of a parent that is its whole quantity, at its limit or the market. */
  get fields() {
    const data = Object.fromEntries(new FormData(this.form));
    const algo = this.algo;
    const type = algo ? (data.limit_price.trim() ? "limit" : "market") : data.order_type;
    const body = {
      portfolio_id: Number(data.portfolio_id),
      symbol: data.symbol.trim().toUpperCase(),
      side: data.side,
      quantity: data.quantity.replaceAll(",", "").trim(),
      order_type: type,
      time_in_force: algo ? "day" : data.time_in_force,
      client_order_id: this.key,
    };
    if (type === "limit" || type === "stop_limit") body.limit_price = data.limit_price.trim();
    if (type === "stop" || type === "stop_limit") body.stop_price = data.stop_price.trim();
    if (type === "trailing_stop") body.trail_offset = data.trail_offset.trim();
    if (!algo && data.time_in_force === "gtd") body.expire_at = data.expire_at && `${data.expire_at}Z`;
    return body;
  }

  get algo() {
    const type = this.form.elements.order_type.value;
    return ALGOS.includes(type) ? type : "";
  }

  get bracketed() {
    return !this.algo && ["take_profit", "stop_loss"].some((name) => this.form.elements[name].value.trim());
  }

  /** Where the ticket goes, and what is sent there. */
  get request() {
    const fields = this.fields;
    const data = this.form.elements;
    const note = data.note.value;
    if (this.algo) {
      const { order_type: _type, time_in_force: _tif, ...body } = fields;
      const inputs = [...this.form.querySelectorAll(`[data-for~="${this.algo}"] [name^="${PARAMETER}"]`)];
      const parameters = Object.fromEntries(inputs.map((input) => [input.name.slice(PARAMETER.length), input.value.trim()]));
      const visible = (name) => !data[name].closest("[data-for]").hidden && data[name].value.trim();
      if (visible("participation_cap")) body.participation_cap = data.participation_cap.value.trim();
      if (visible("end_at")) body.end_at = `${data.end_at.value}Z`;
      return { url: this.form.dataset.algos, body: { ...body, algo: this.algo, parameters, note } };
    }
    if (this.bracketed) {
      const { client_order_id, ...body } = fields;
      const exits = { take_profit: data.take_profit.value.trim(), stop_loss: data.stop_loss.value.trim() };
      return { url: this.form.dataset.brackets, body: { ...body, ...exits, client_group_id: client_order_id, note } };
    }
    return { url: this.form.dataset.orders, body: { ...fields, note } };
  }

  get complete() {
    if (this.bracketed && ["take_profit", "stop_loss"].some((name) => !this.form.elements[name].value.trim())) return false;
    if (this.algo === "iceberg" && !(this.form.elements.limit_price.value.trim() && this.form.elements["parameters/display"].value.trim())) return false;
    const body = this.fields;
    return ["symbol", "quantity", "limit_price", "stop_price", "trail_offset", "expire_at"].every((name) => body[name] === undefined || body[name] !== "");
  }

  /** A new key makes the next order another order; a draft that survives a lost session keeps its key. */
  mint(key = crypto.randomUUID()) {
    this.key = key;
    document.getElementById("ticket-key").textContent = key.slice(0, 8);
  }

  restore() {
    const draft = JSON.parse(sessionStorage.getItem(DRAFT) || "null");
    if (!draft || new URLSearchParams(location.search).has("symbol")) {
      this.mint();
      return;
    }
    this.mint(draft.key);
    for (const [name, value] of Object.entries(draft.fields)) {
      const field = this.form.elements[name];
      if (field) field.value = value;
    }
  }

  remember() {
    sessionStorage.setItem(DRAFT, JSON.stringify({ key: this.key, fields: Object.fromEntries(new FormData(this.form)) }));
  }

  arrange() {
    const type = this.form.elements.order_type.value;
    if (type === "market_on_close") this.form.elements.time_in_force.value = "day";
    const algo = this.algo;
    for (const field of this.form.querySelectorAll("[data-for]")) field.hidden = !field.dataset.for.split(" ").includes(algo);
    this.form.querySelector("[data-needs=tif]").hidden = Boolean(algo);
    this.form.querySelector("[data-needs=bracket]").hidden = Boolean(algo);
    this.form.querySelector("[data-needs=expire]").hidden = Boolean(algo) || this.form.elements.time_in_force.value !== "gtd";
    this.form.querySelector("[data-needs=trail]").hidden = type !== "trailing_stop";
    for (const [part, types] of [["limit", ["limit", "stop_limit", ...ALGOS]], ["stop", ["stop", "stop_limit"]]]) {
      const field = this.form.querySelector(`[data-needs=${part}]`);
      const wanted = types.includes(type);
      if (field.hidden === !wanted) continue;
      field.hidden = !wanted;
      const input = field.querySelector("input");
      const last = this.quotes.get(this.fields.symbol);
      if (wanted && !algo && !input.value && last) input.value = Number(last.price).toFixed(2);
    }
  }

  changed() {
    if (this.sending) return;
    this.arrange();
    this.showQuote();
    this.remember();
    this.preview = null;
    this.button.disabled = true;
    this.button.textContent = this.complete ? "Checking…" : "Fill in symbol, quantity and prices";
    this.cancel?.abort();
    clearTimeout(this.timer);
    if (this.complete) this.timer = setTimeout(() => this.check(), PAUSE);
  }

  /** What is wrong without asking the server: form of the numbers, and a symbol that is not on the list. */
  wrong() {
    const body = this.fields;
    const errors = [];
    for (const name of ["quantity", "limit_price", "stop_price", "trail_offset"]) {
      if (body[name] !== undefined && !NUMBER.test(body[name])) errors.push({ pointer: name, detail: "A number with at most six decimal places, such as 100 or 189.50" });
    }
    if (!document.querySelector(`#symbols option[value="${CSS.escape(body.symbol)}"]`)) errors.push({ pointer: "symbol", detail: `${body.symbol} is not on the list of instruments` });
    return errors;
  }

  async check() {
    const errors = this.wrong();
    if (errors.length) {
      this.refused({ body: { errors } });
      return;
    }
    this.cancel = new AbortController();
    document.getElementById("checks-state").textContent = "checking…";
    try {
      this.preview = await postJson(this.form.dataset.preview, this.fields, { signal: this.cancel.signal });
      this.errors([]);
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
    this.errors(errors.length ? errors : [{ pointer: "", detail: error.message }]);
    document.getElementById("checks-state").textContent = "not checked";
    document.getElementById("ticket-checks").replaceChildren(this.sentence(errors.length ? "Correct the marked fields first." : error.message));
  }

  errors(errors) {
    for (const box of this.form.querySelectorAll("[data-error]")) box.hidden = true;
    for (const input of this.form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
    for (const { pointer = "", detail } of errors) {
      const name = pointer.replace(/^[#/]+/, "");
      const box = this.form.querySelector(`[data-error="${CSS.escape(name)}"]`);
      if (!box) continue;
      box.textContent = detail;
      box.hidden = false;
      box.id = `error-${name}`;
      this.form.elements[name].setAttribute("aria-invalid", "true");
      this.form.elements[name].setAttribute("aria-describedby", box.id);
    }
  }

  sentence(text) {
    const box = make("div", { className: "empty" });
    box.append(make("p", { text }));
    return box;
  }

  showPreview() {
    const shown = this.preview;
    this.showChecks(shown.checks);
    const passed = shown.checks.filter((check) => check.outcome === "pass").length;
    document.getElementById("checks-state").textContent = `${passed} of ${shown.checks.length} pass${shown.allowed ? "" : ", blocked"}`;
    this.showCost(shown);
    this.button.disabled = !shown.allowed;
    this.button.className = `btn w-100 ${this.fields.side === "buy" ? "btn-primary" : "btn-danger"}`;
    this.button.textContent = shown.allowed ? this.wording(shown) : "Blocked by the checks";
  }

  wording(shown) {
    const order = this.fields;
    const kind = {
      market: "at market",
      market_on_close: "at the close",
      limit: `limit ${format(order.limit_price, "price")}`,
      stop: `stop ${format(order.stop_price, "price")}`,
      trailing_stop: `trailing by ${format(order.trail_offset, "price")}`,
    }[order.order_type] || `stop ${format(order.stop_price, "price")} limit ${format(order.limit_price, "price")}`;
    const worked = this.algo ? ` by ${this.algo.toUpperCase()}` : this.bracketed ? " with exits" : "";
    const worth = shown.estimated_value === null ? "" : ` (≈ ${format(shown.estimated_value, "money")})`;
    return `${order.side === "buy" ? "Buy" : "Sell"} ${format(order.quantity, "quantity")} ${order.symbol} ${kind}${worked}${worth} ${shown.mode.toUpperCase()}`;
  }

  showChecks(checks) {
    const worst = { block: 0, warn: 1, pass: 2 };
    const rows = [...checks].sort((a, b) => worst[a.outcome] - worst[b.outcome]).map((check) => {
      const row = make("div", { className: `check ${check.outcome}` });
      row.title = `${check.authority}: ${check.code}`;
      const steps = [check.before, check.after].filter((value) => value !== null).map((value) => unitFormat(value, check.unit));
      const numbers = [steps.join(" → "), check.limit === null ? "" : `limit ${unitFormat(check.limit, check.unit)}`].filter(Boolean).join(" · ");
      row.append(
        make("span", { text: check.outcome, className: `tag ${{ pass: "good", warn: "warn", block: "bad" }[check.outcome]}` }),
        make("span", { text: check.message }),
        make("span", { text: numbers, className: "numbers" }),
      );
      if (check.outcome !== "pass") row.append(make("span", { text: `${check.authority} ${check.code}`, className: "numbers full mono" }));
      return row;
    });
    document.getElementById("ticket-checks").replaceChildren(...rows);
  }

  showCost(shown) {
    const facts = [
      ["Estimated price", format(shown.estimated_price, "price")],
      ["Estimated value", format(shown.estimated_value, "money")],
      ["of it slippage", format(shown.estimated_slippage, "money")],
      ["Commission", format(shown.commission, "money")],
      ["Cash now → after", `${format(shown.cash_before, "money")} → ${format(shown.cash_after, "money")}`],
      ["Position now → after", `${format(shown.position_before, "quantity")} → ${format(shown.position_after, "quantity")}`],
    ];
    const list = document.getElementById("ticket-cost");
    list.replaceChildren(...facts.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: value })]));
    const reference = shown.reference;
    document.getElementById("ticket-reference").textContent = reference ? `reference ${format(reference.price, "price")}, ${reference.source}` : "no reference price";
  }

  quote(quotes) {
    for (const [symbol, quote] of Object.entries(quotes || {})) this.quotes.set(symbol, { ...quote, at: Date.now() });
    this.showQuote();
  }

  showQuote() {
    const note = document.getElementById("t-quote");
    const quote = this.quotes.get(this.form.elements.symbol.value.trim().toUpperCase());
    if (!quote) {
      note.textContent = "\u00a0";
      return;
    }
    const old = Date.now() - Date.parse(quote.received_at) > OLD_PRICE;
    const last = `${quote.basis === "mid" ? "middle" : "last"} ${format(quote.price, "price")} at ${quote.market_time.slice(0, 16).replace("T", " ")}Z${old ? ", older than 10 s" : ""}`;
    note.textContent = last + sides(quote);
  }

  async submit(event) {
    event.preventDefault();
    if (this.sending || !this.preview?.allowed) return;
    this.sending = true;
    this.button.disabled = true;
    const label = this.button.textContent;
    this.button.textContent = `Sending: ${label}`;
    const { url, body } = this.request;
    try {
      const made = await postJson(url, body, { headers: { "Idempotency-Key": this.key } });
      for (const one of (made.orders || []).slice(1)) this.list(one);
      this.done(made.orders ? made.orders[0] : made.algo ? ofParent(made) : made);
    } catch (error) {
      this.failed(error);
    } finally {
      this.sending = false;
    }
  }

  done(order) {
    this.list(order);
    const filled = order.status === "filled" ? `, filled at ${format(order.average_price, "price")}` : `, ${order.status.replaceAll("_", " ")}`;
    say(`${order.name || `Order ${order.id}`}: ${order.side} ${order.quantity} ${order.symbol}${filled}.`);
    this.mint();
    for (const name of ["quantity", "take_profit", "stop_loss"]) this.form.elements[name].value = "";
    this.form.elements.note.value = "";
    this.sending = false;
    this.changed();
    document.getElementById("checks-state").textContent = `${order.name || `order ${order.id}`} is with the server`;
  }

  failed(error) {
    const known = error.status === undefined;
    if (error.body?.algo) error.body.order = ofParent(error.body.algo);
    if (error.body?.errors) this.errors(error.body.errors);
    if (error.body?.order) {
      this.list(error.body.order); // denied, and stored with its reasons
      this.mint();
      this.showChecks(error.body.checks);
    }
    const text = known ? "The server did not answer: the state of the order is unknown. Sending again is safe, it cannot become two orders." : `The order was not sent. ${error.message}`;
    toast({ title: known ? "State unknown" : "Order not sent", text, level: "critical", stay: 0 });
    this.button.disabled = !known;
    this.button.textContent = known ? "Send again (same order)" : "Not sent: change the ticket";
    this.remember();
  }

  list(order) {
    const body = document.getElementById("ticket-sent");
    body.querySelector("tr.none")?.remove();
    let row = body.querySelector(`tr[data-key="${order.id}"]`);
    if (!row) {
      row = make("tr");
      row.dataset.key = order.id;
      const name = make("td", { className: "mono" });
      const link = make("a", { text: order.name || String(order.id) });
      link.href = order.href || `/trades/${order.id}`;
      name.append(link);
      row.append(name, make("th", { text: `${order.side} ${format(order.quantity, "quantity")} ${order.symbol}` }));
      row.lastChild.scope = "row";
      for (const [field, kind, className] of [["cumulative_quantity", "quantity", "num"], ["average_price", "price", "num"]]) {
        const cell = make("td", { className });
        Object.assign(cell.dataset, { field, format: kind });
        row.append(cell);
      }
      const status = make("span", { className: "tag" });
      Object.assign(status.dataset, { field: "status", format: "status" });
      const holder = make("td");
      holder.append(status);
      const reason = make("td", { className: "wrap" });
      Object.assign(reason.dataset, { field: "reason", format: "blank" });
      row.append(holder, reason);
      body.prepend(row);
    }
    for (const cell of row.querySelectorAll("[data-field]")) patch(cell, order[cell.dataset.field]);
  }
}

export function bindTicket(form) {
  return new Ticket(form);
}
