// The blotter: known rows follow the order channels, new ones and the tabs' counts are fetched from the page itself, and keys work rows.
import { patch, pick } from "./cells.js";
import { bindExpand } from "./expand.js";
import { live } from "./live.js";
import { say } from "./toasts.js";

const PACE = 1000;
const ENDED = ["denied", "filled", "canceled", "rejected", "expired"];

class Blotter {
  constructor(region) {
    this.region = region;
    for (const channel of region.dataset.channels.split(" ").filter(Boolean)) live.on(channel, (envelope) => this.hear(envelope));
    region.addEventListener("keydown", (event) => this.key(event));
    region.addEventListener("click", (event) => this.choose(event.target.closest("tr[data-key]")));
  }

  get rows() {
    return [...this.region.querySelectorAll("tbody > tr[data-key]")];
  }

  hear({ type, d }) {
    if (type === "snapshot") {
      for (const order of d.orders || []) this.paint(order);
      return;
    }
    if (!this.paint(d) || this.moved) this.fetchSoon();
  }

  /** Patches the order's row; false when this page has none. */
  paint(order) {
    const row = this.region.querySelector(`tbody > tr[data-key="${order.id}"]`);
    if (!row) return false;
    for (const cell of row.querySelectorAll("[data-field]")) patch(cell, pick(order, cell.dataset.field));
    this.moved = row.dataset.status !== order.status;
    if (this.moved) {
      row.dataset.status = order.status;
      if (ENDED.includes(order.status)) row.querySelector("[data-while-working]")?.remove();
    }
    return true;
  }

  fetchSoon() {
    this.timer ||= setTimeout(() => {
      this.timer = null;
      this.refresh();
    }, PACE);
  }

  /** Takes new rows, counts and parents from a fresh copy of this page. Rows that have left the tab stay, so that nobody loses sight of one. */
  async refresh() {
    let page;
    try {
      const response = await fetch(location.href, { credentials: "same-origin" });
      if (!response.ok || response.redirected) return;
      page = new DOMParser().parseFromString(await response.text(), "text/html");
    } catch {
      return; // the next change asks again
    }
    for (const id of ["blotter-tabs", "blotter-parents"]) {
      const [old, fresh] = [document.getElementById(id), page.getElementById(id)];
      if (old && fresh && old.innerHTML !== fresh.innerHTML) old.replaceChildren(...fresh.cloneNode(true).childNodes);
    }
    if (!this.region.dataset.firstPage) return;
    const fresh = page.getElementById("blotter");
    const body = this.region.querySelector("tbody");
    if (!body) {
      if (fresh.querySelector("tbody")) this.region.replaceChildren(...fresh.cloneNode(true).childNodes);
    } else {
      const known = new Set(this.rows.map((row) => row.dataset.key));
      for (const row of [...fresh.querySelectorAll("tbody > tr[data-key]")].reverse()) if (!known.has(row.dataset.key)) body.prepend(row.cloneNode(true));
    }
    const current = new Set([...fresh.querySelectorAll("tbody > tr[data-key]")].map((row) => row.dataset.key));
    for (const row of this.rows) row.classList.toggle("left", !current.has(row.dataset.key));
  }

  choose(row) {
    if (!row) return;
    for (const other of this.rows) other.classList.toggle("at", other === row);
  }

  get at() {
    return this.region.querySelector("tr.at[data-key]");
  }

  step(by) {
    const rows = this.rows;
    if (!rows.length) return;
    const now = rows.indexOf(this.at);
    const row = rows[Math.min(rows.length - 1, Math.max(0, now < 0 ? 0 : now + by))];
    this.choose(row);
    row.querySelector("[data-expand]").focus();
  }

  /** Single keys act only while the table has the focus, and none of them changes an order by itself. */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    const act = { j: () => this.step(1), k: () => this.step(-1), x: () => this.focus("cancel"), e: () => this.change(), d: () => this.duplicate() }[event.key.toLowerCase()];
    if (!act || (event.key !== "j" && event.key !== "k" && !this.at)) return;
    event.preventDefault();
    act();
  }

  focus(name) {
    const button = this.at.querySelector(`[data-act="${name}"]`);
    if (button) button.focus();
    else say("This order has ended: there is nothing to cancel.", true);
  }

  duplicate() {
    this.at.querySelector("[data-act=duplicate]")?.click();
  }

  async change() {
    const row = this.at;
    const link = row.querySelector("[data-expand]");
    if (link.getAttribute("aria-expanded") !== "true") link.click();
    const form = await this.opened(row);
    if (!form) {
      say("This order cannot be changed as it stands.", true);
      return;
    }
    form.open = true;
    const input = form.querySelector("[name=limit_price], [name=stop_price], [name=trail_offset]") || form.querySelector("[name=quantity]");
    input.focus();
    input.select();
  }

  /** The form of an opened row once its part has come; null when the order is none to change. */
  async opened(row) {
    for (let tries = 0; tries < 50; tries += 1) {
      const detail = row.nextElementSibling;
      if (detail?.classList.contains("detail")) return detail.querySelector("details[data-change]");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return null;
  }
}

export function bindBlotter(region) {
  bindExpand();
  return new Blotter(region);
}
