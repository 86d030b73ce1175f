// Patches numbers in place. `data-live="channel"` names the source, `data-field` the path in its message, `data-format` the format.
// With `data-by-key="quotes"` its rows are those of the page, each patched from the message's object under its `data-key`.
// A table body with `data-rows="positions"` and `data-row-key="symbol"` is kept in step row by row; new rows come from its <template>.
import { direction, exact, format, tagOf } from "./format.js";
import { live } from "./live.js";
import { paced, TICKS } from "./pace.js";

const OLD = 10000;
const STALE = 30000;
const SILENT = 15000; // three times what the live monitor lets pass when nothing moves

export function pick(data, path) {
  return path.split(".").reduce((value, name) => (value === null || value === undefined ? undefined : value[name]), data);
}

/** With `data-base`, the number is shown against that base: as a return where the format is percent, else as a difference; with `data-times`, as so many times that; with `data-from`, as what is left of it; with `data-less`, so much less. */
function based(cell, value) {
  if (cell.dataset.less && value !== null) return Number(value) * Number(cell.dataset.times ?? 1) - Number(cell.dataset.less);
  if (cell.dataset.from && value !== null) return Number(cell.dataset.from) - Number(value);
  const times = Number(cell.dataset.times || 1);
  const base = Number(cell.dataset.base);
  if (value === null || ((!cell.dataset.base || !base) && times === 1)) return value;
  if (!cell.dataset.base || !base) return Number(value) * times;
  return cell.dataset.format === "percent" ? Number(value) / base - 1 : (Number(value) - base) * times;
}

/** Writes `value` into `cell` and flashes it once when it rose or fell: words do neither, and of a first value nobody knows. */
export function patch(cell, given) {
  if (given === undefined) return;
  const value = based(cell, given);
  const kind = cell.dataset.format;
  const text = (value === "" || value === null) && cell.dataset.empty ? cell.dataset.empty : format(value, kind);
  if (cell.tagName === "PROGRESS") {
    cell.value = Math.min(Number(value) || 0, cell.max);
    cell.classList.toggle("near", value >= 0.7 && value < 0.9);
    cell.classList.toggle("over", value >= 0.9);
    return;
  }
  if (cell.textContent.trim() === text) return;
  if (cell.dataset.field === "side") cell.className = `side-${value}`;
  if (kind === "status") cell.className = `tag ${tagOf(value)}`;
  const before = Number(cell.dataset.value || NaN);
  cell.textContent = text;
  cell.dataset.value = value ?? "";
  const title = exact(value, kind);
  if (title) cell.title = title;
  else if (text !== "\u2014" && cell.title === "Not known") cell.removeAttribute("title");
  if (cell.hasAttribute("data-sign")) {
    cell.classList.remove("up", "down");
    const way = direction(value);
    if (way) cell.classList.add(way);
  } else if (cell.hasAttribute("data-sign-growth")) {
    cell.classList.remove("up", "down");
    const way = direction(Number(value) - 1);
    if (way) cell.classList.add(way);
  }
  if (cell.tagName === "TIME" && value) cell.dateTime = value;
  const now = Number(value);
  if (!cell.hasAttribute("data-quiet") && now !== before && Number.isFinite(now - before)) flash(cell, now < before ? "flash-down" : "flash-up");
}

function flash(cell, name) {
  cell.classList.remove("flash-up", "flash-down");
  void cell.offsetWidth; // restarts the animation
  cell.classList.add(name);
  cell.addEventListener("animationend", () => cell.classList.remove(name), { once: true });
}

function patchRows(body, rows, whole) {
  const key = body.dataset.rowKey;
  const seen = new Set();
  const only = body.dataset.only;
  for (const item of body.dataset.insert === "first" ? [...rows].reverse() : rows) {
    if (only && !Number(item[only])) continue;
    const id = String(item[key]);
    seen.add(id);
    let row = body.querySelector(`:scope > tr[data-key="${CSS.escape(id)}"]`);
    if (!row && !body.hasAttribute("data-known-only")) row = addRow(body, id, item);
    if (!row) continue;
    for (const cell of row.querySelectorAll("[data-field]")) patch(cell, pick(item, cell.dataset.field));
  }
  if (!whole || !body.hasAttribute("data-complete")) return;
  for (const row of body.querySelectorAll(":scope > tr[data-key]")) if (!seen.has(row.dataset.key)) row.remove();
}

/** `data-by-key="quotes"`: the message has an object of rows by key; each element with `data-key` shows its own. */
function patchByKey(element, rows) {
  for (const holder of element.dataset.key ? [element] : element.querySelectorAll("[data-key]")) {
    const item = rows[holder.dataset.key];
    if (item) turn(holder, item);
    if (item) for (const cell of holder.querySelectorAll("[data-field]")) patch(cell, pick(item, cell.dataset.field));
  }
}

/** When a new session begins, changes are told against the last price of the session before. */
function turn(holder, item) {
  const day = String(item.market_time ?? "").slice(0, 10);
  const { day: before, last } = holder.dataset;
  if (before && last && day > before) {
    for (const cell of holder.querySelectorAll("[data-base]")) cell.dataset.base = last;
    for (const cell of holder.querySelectorAll("[data-previous]")) cell.textContent = format(last, "price");
  }
  holder.dataset.day = day;
  holder.dataset.last = item.price;
}

function addRow(body, id, item) {
  const template = body.parentElement.querySelector("template[data-row]");
  if (!template) return null;
  body.querySelector(":scope > tr.none")?.remove();
  const row = template.content.firstElementChild.cloneNode(true);
  row.dataset.key = id;
  for (const link of row.querySelectorAll("a[data-href]")) {
    link.href = link.dataset.href.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(item[name] ?? ""));
  }
  if (body.dataset.insert === "first") body.prepend(row);
  else body.append(row);
  const limit = Number(body.dataset.limit || 0);
  while (limit && body.querySelectorAll(":scope > tr[data-key]").length > limit) [...body.querySelectorAll(":scope > tr[data-key]")].at(-1).remove();
  return row;
}

/** The orders channel sends {orders: [...]} at first, then one order after the other. */
function rowsOf(data) {
  return data.orders || [data];
}

function apply(element, envelope) {
  if (element.dataset.byKey) {
    patchByKey(element, pick(envelope.d, element.dataset.byKey) || {});
  } else if (element.dataset.rows !== undefined) {
    const found = element.dataset.rows ? pick(envelope.d, element.dataset.rows) : rowsOf(envelope.d);
    if (found) patchRows(element, found, envelope.type === "snapshot" || element.hasAttribute("data-complete"));
  } else if (element.dataset.field) {
    patch(element, pick(envelope.d, element.dataset.field));
  } else {
    for (const cell of element.querySelectorAll("[data-field]")) {
      if (!cell.closest("[data-rows]")) patch(cell, pick(envelope.d, cell.dataset.field));
    }
  }
}

function markAges(elements) {
  const open = document.body.dataset.marketOpen === "1";
  for (const element of elements) {
    const age = live.age(element.dataset.live);
    const quiet = live.state === "open" && (!open || age === Infinity);
    const mark = quiet || age < OLD ? "" : age < STALE ? "old" : "stale";
    if ((element.dataset.age || "") === mark) continue;
    if (mark) {
      element.dataset.age = mark;
      if (age !== Infinity) element.title = `As of ${new Date(Date.now() - age).toLocaleTimeString("en-GB")}`;
    } else {
      delete element.dataset.age;
      element.removeAttribute("title");
    }
  }
}

/** `data-silent="channel"`: shown while the channel, once heard, says nothing any more. */
function markSilence() {
  for (const note of document.querySelectorAll("[data-silent]")) {
    const age = live.age(note.dataset.silent);
    note.hidden = age === Infinity || age < SILENT;
  }
}

/** Adds what a valuation implies: the day's return on the equity that the day began with, and how far long positions are from their cost. */
function completed(data) {
  const [pnl, total] = [Number(data.day_pnl), Number(data.total)];
  if (data.day_pnl === undefined || data.total === undefined) return data;
  const known = data.day_pnl !== null && data.total !== null && total !== pnl;
  const positions = data.positions?.map((one) => ({ ...one, from_cost: fromCost(one) }));
  return { ...data, positions, day_return: known ? pnl / (total - pnl) : null };
}

function fromCost({ quantity, cost, market_value: value }) {
  return value === null || !(Number(quantity) > 0) || !(Number(cost) > 0) ? null : Number(value) / Number(cost) - 1;
}

/** Subscribes to every channel that the page's elements name, and keeps their ages marked. What a region brings anew is found at each message. */
export function bindCells(root = document) {
  for (const name of new Set([...root.querySelectorAll("[data-live]")].map((element) => element.dataset.live))) {
    const paint = (envelope) => {
      const whole = { ...envelope, d: completed(envelope.d) };
      for (const element of root.querySelectorAll(`[data-live="${CSS.escape(name)}"]`)) apply(element, whole);
    };
    live.on(name, TICKS.has(name) ? paced(paint) : paint);
  }
  document.addEventListener("desk:tick", () => {
    markAges(root.querySelectorAll("[data-live]"));
    markSilence();
  });
}
