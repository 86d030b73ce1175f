// The order that the form of a ticket asks for, as the server takes it.
export const NUMBER = /^\d{1,12}(\.\d{1,6})?$/;
export const ALGOS = ["twap", "vwap", "pov", "iceberg", "is", "smart"];
const PARAMETER = "parameters/";

/** `key` names the order; `quantity` is in shares, "" while it is not known in shares. */
export class Terms {
  constructor(form) {
    this.form = form;
    this.key = "";
    this.quantity = "";
  }

  get listed() {
    return document.querySelector(`#symbols option[value="${CSS.escape(this.symbol)}"]`);
  }

  get symbol() {
    return this.form.elements.symbol.value.trim().toUpperCase();
  }

  /** What the form asks for as an ordinary order: of a parent that is its whole quantity, at its limit or the market. */
  get fields() {
    const data = Object.fromEntries(new FormData(this.form));
    const algo = this.algo;
    const type = algo ? (data.limit_price.trim() ? "limit" : "market") : data.order_type;
    const body = {
      portfolio_id: Number(data.portfolio_id),
      book: this.form.elements.book.value,
      symbol: this.symbol,
      side: data.side,
      quantity: this.quantity,
      order_type: type,
      time_in_force: algo ? "day" : data.time_in_force,
      client_order_id: this.key,
    };
    if (type === "limit" || type === "stop_limit") body.limit_price = data.limit_price.trim();
    if (type === "stop" || type === "stop_limit") body.stop_price = data.stop_price.trim();
    if (type === "trailing_stop") body.trail_offset = data.trail_offset.trim();
    if (data.strategy.trim()) body.strategy = data.strategy.trim();
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

  /** What is wrong without asking the server: form of the numbers, and a symbol that is not on the list. */
  wrong() {
    const body = this.fields;
    const errors = [];
    for (const name of ["quantity", "limit_price", "stop_price", "trail_offset"]) {
      if (body[name] !== undefined && !NUMBER.test(body[name])) errors.push({ pointer: name, detail: "A number with at most six decimal places, such as 100 or 189.50" });
    }
    if (Number(body.quantity) === 0) errors.push({ pointer: "quantity", detail: "This buys not even one lot" });
    if (!this.listed) errors.push({ pointer: "symbol", detail: `${body.symbol} is not on the list of instruments` });
    return errors;
  }
}
