// What the ticket shows beside its fields: quote, checks, cost, and the order as a sentence.
import { format } from "./format.js";

const OLD_PRICE = 10000;
const DEAD_PRICE = 30000;

export function make(tag, { text = "", className = "" } = {}) {
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

/** A side of the book with its size, where the feed has it. */
function side(price, size) {
  if (!price) return "\u2014";
  return size ? `${format(price, "price")} \u00d7 ${format(size, "quantity")}` : format(price, "price");
}

/** The quote of the chosen symbol with its age; `null` while none has come. */
export function showQuote(quote) {
  const list = document.getElementById("t-quote");
  const age = quote ? Math.max(0, Date.now() - Date.parse(quote.received_at)) : null;
  list.dataset.age = age === null || age < OLD_PRICE ? "" : age < DEAD_PRICE ? "old" : "stale";
  document.getElementById("t-last-name").textContent = quote?.basis === "mid" ? "Middle" : "Last";
  const texts = {
    bid: quote ? side(quote.bid, quote.bid_size) : "\u2014",
    last: quote ? format(quote.price, "price") : "\u2014",
    ask: quote ? side(quote.ask, quote.ask_size) : "\u2014",
    age: age === null ? "\u2014" : age < 100000 ? `${Math.round(age / 1000)} s` : `since ${quote.received_at.slice(11, 16)}Z`,
  };
  for (const [name, text] of Object.entries(texts)) {
    const cell = list.querySelector(`[data-part=${name}]`);
    if (cell.textContent !== text) cell.textContent = text;
  }
  list.title = quote ? `Market time ${quote.market_time.slice(0, 19).replace("T", " ")}Z` : "No price of this symbol has come yet";
}

/** Every check with its numbers, what blocks first. */
export function showChecks(checks) {
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

/** What the order costs, and cash and position before and after it. */
export function showCost(shown) {
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

/** One number of risk before and after the order, with the difference; in words where there is none. */
function changeText(change) {
  if (change.state !== "ok") return `${change.state.replaceAll("_", " ")}${change.note ? `: ${change.note}` : ""}`;
  const difference = format(Number(change.after) - Number(change.before), "money_signed");
  return `${format(change.before, "money")} → ${format(change.after, "money")} (${difference})${change.note ? `, ${change.note}` : ""}`;
}

/** What the order does to the portfolio's risk: the tail and the worst scenario, the others when they are asked for. */
export function showImpact(impact) {
  const parts = (changes) => changes.flatMap((change) => [make("dt", { text: change.title }), make("dd", { text: changeText(change) })]);
  const worst = impact.findIndex((change) => change.name === "stress") + 1;
  const list = document.getElementById("ticket-impact");
  list.replaceChildren(...(impact.length ? parts(impact.slice(0, worst)) : [make("dt", { text: "Value at risk" }), make("dd", { text: "Not known: see the checks" })]));
  const scenarios = document.getElementById("ticket-scenarios");
  scenarios.hidden = impact.length <= worst;
  scenarios.querySelector("dl").replaceChildren(...parts(impact.slice(worst)));
}

/** A sentence in the place of the checks. */
export function showNote(text) {
  const box = make("div", { className: "empty" });
  box.append(make("p", { text }));
  document.getElementById("ticket-checks").replaceChildren(box);
}

/** The order as a sentence, with what it is worth and where it goes. `extra` says how it is worked. */
export function sentence(order, shown, extra) {
  const kind = {
    market: "at market",
    market_on_close: "at the close",
    limit: `limit ${format(order.limit_price, "price")}`,
    stop: `stop ${format(order.stop_price, "price")}`,
    trailing_stop: `trailing by ${format(order.trail_offset, "price")}`,
  }[order.order_type] || `stop ${format(order.stop_price, "price")} limit ${format(order.limit_price, "price")}`;
  const worth = shown.estimated_value === null ? "" : ` (≈ ${format(shown.estimated_value, "money")})`;
  return `${order.side === "buy" ? "Buy" : "Sell"} ${format(order.quantity, "quantity")} ${order.symbol} ${kind}${extra}${worth} ${shown.mode.toUpperCase()}`;
}

/** Each error at its field, or below all fields where it belongs to none. A part with errors of its own (`data-own-errors`) is left alone. */
export function showErrors(form, errors) {
  const own = (element) => element.closest("form, [data-own-errors]") === form;
  for (const box of form.querySelectorAll("[data-error]")) if (own(box)) box.hidden = true;
  for (const input of form.querySelectorAll("[aria-invalid]")) if (own(input)) input.removeAttribute("aria-invalid");
  for (const { pointer = "", detail } of errors) {
    const name = pointer.replace(/^[#/]+/, "");
    const box = form.querySelector(`[data-error="${CSS.escape(name)}"]`) || form.querySelector('[data-error=""]');
    box.textContent = detail;
    box.hidden = false;
    box.id = `error-${name}`;
    const input = form.elements ? form.elements[name] : form.querySelector(`[name="${CSS.escape(name)}"]`);
    if (!input?.setAttribute) continue; // of the whole ticket, or of a group of inputs
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", box.id);
  }
}

/** The books of the chosen portfolio, the one of that name chosen, else its first. Nobody is asked where there is only one. */
export function showBooks({ elements }) {
  const field = document.getElementById("t-book-field");
  const wanted = elements.book.value;
  const own = [...elements.book.options].filter((option) => {
    option.hidden = option.disabled = option.dataset.portfolio !== elements.portfolio_id.value;
    return !option.disabled;
  });
  const chosen = own.find((option) => option.value === wanted) || own[0];
  if (chosen) chosen.selected = true;
  field.hidden = own.length < 2;
  elements.portfolio_id.closest(".field").classList.toggle("full", field.hidden);
}
