// The orders that a ticket has sent: each with its state, and a cancel while it works.
import { patch } from "./cells.js";
import { format } from "./format.js";
import { postJson } from "./http.js";
import { live } from "./live.js";
import { make } from "./ticket_view.js";
import { say, toast } from "./toasts.js";

const ENDED = ["denied", "filled", "canceled", "rejected", "expired"];

/** A parent order as the list of sent orders shows it. */
export function ofParent(algo) {
  const name = `${algo.algo.toUpperCase()} ${algo.id}`;
  return { ...algo, id: `parent-${algo.id}`, name, href: `/algos/${algo.id}`, cumulative_quantity: algo.filled_quantity };
}

export class Sent {
  constructor(orders) {
    this.orders = orders;
    this.channels = new Map();
    this.body = document.getElementById("ticket-sent");
    this.body.addEventListener("click", (event) => this.cancel(event));
  }

  /** Rows follow the orders of a portfolio from now on. */
  follow(portfolioId) {
    const channel = `orders:${portfolioId}`;
    if (this.channels.has(channel)) return;
    const hear = ({ d }) => {
      for (const order of d.orders || [d]) if (this.row(order.id)) this.list(order);
    };
    this.channels.set(channel, hear);
    live.on(channel, hear);
  }

  forget() {
    for (const [channel, hear] of this.channels) live.off(channel, hear);
  }

  row(id) {
    return this.body.querySelector(`tr[data-key="${id}"]`);
  }

  list(order) {
    const body = this.body;
    body.querySelector("tr.none")?.remove();
    let row = this.row(order.id);
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
      const act = make("td");
      if (!order.name) {
        const cancel = make("button", { text: "Cancel", className: "btn btn-sm btn-quiet" });
        cancel.type = "button";
        cancel.dataset.cancel = order.id;
        cancel.setAttribute("aria-label", `Cancel order ${order.id}`);
        act.append(cancel);
      }
      const reason = make("td", { className: "wrap" });
      Object.assign(reason.dataset, { field: "reason", format: "blank" });
      row.append(holder, act, reason);
      body.prepend(row);
    }
    for (const cell of row.querySelectorAll("[data-field]")) patch(cell, order[cell.dataset.field]);
    if (ENDED.includes(order.status)) row.querySelector("[data-cancel]")?.remove();
  }

  /** Cancels an order that this ticket has sent. Twice pressed it is one cancel. */
  async cancel(event) {
    const button = event.target.closest("[data-cancel]");
    if (!button || button.disabled) return;
    button.disabled = true;
    button.dataset.key ||= crypto.randomUUID();
    const id = button.dataset.cancel;
    try {
      const order = await postJson(`${this.orders}${id}/cancel/`, {}, { headers: { "Idempotency-Key": button.dataset.key } });
      this.list(order);
      say(order.status === "canceled" ? `Order ${id} is cancelled.` : `Order ${id}: ${order.status.replaceAll("_", " ")}.`);
    } catch (error) {
      toast({ title: `Order ${id} was not cancelled`, text: error.message, level: "critical" });
      if (error.status === 409) button.remove();
      else button.disabled = false;
    }
  }
}
