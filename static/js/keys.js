// Keys of every page: N, B, S open a ticket (with the symbol of the row that has the focus), G and a letter goes to a page, ? lists them.
// They are off while somebody types, and can be switched off altogether (WCAG 2.1.4). None of them sends an order.
import { openTicket } from "./ticket_panel.js";

const STORED = "desk:single-keys";
const PATIENCE = 1500;

const PAGES = {
  d: ["Dashboard", "/"],
  p: ["Portfolios", "/portfolios"],
  t: ["Trade", "/trade"],
  b: ["Blotter", "/trades"],
  i: ["Instruments", "/instruments"],
  w: ["Watchlists", "/watchlists"],
  l: ["Strategy lab", "/lab"],
  f: ["Factors", "/factors"],
  r: ["Risk", "/risk"],
  a: ["Alerts", "/alerts"],
};
const TICKETS = { n: "", b: "buy", s: "sell" };

export function keysOn() {
  try {
    return localStorage.getItem(STORED) !== "off";
  } catch {
    return true;
  }
}

function typing(target) {
  return Boolean(target.closest?.("input, textarea, select, [contenteditable], .modal, .ticketpanel, dialog"));
}

/** The symbol of the table row in which the focus is, from its link to the instrument. */
function symbolAt(target) {
  const link = target.closest?.("tr")?.querySelector('a[href^="/instruments/"]');
  return link ? decodeURIComponent(link.getAttribute("href").split("/")[2]) : "";
}

function ticketFor(side, target) {
  const query = new URLSearchParams();
  const symbol = symbolAt(target);
  if (symbol) query.set("symbol", symbol);
  if (side) query.set("side", side);
  openTicket(query);
}

/** What closes the position of the row that has the focus: its own link to a ticket. */
function closeAt(target) {
  target.closest?.("tr")?.querySelector('a[href*="close="]')?.click();
}

/** The chosen portfolio's rebalance panel; on its page already, the button that proposes one has the focus. */
function rebalance() {
  const propose = document.getElementById("rebalance-propose");
  const portfolio = document.body.dataset.portfolio;
  if (propose) propose.focus();
  else if (portfolio) location.assign(`/portfolios/${portfolio}?tab=rebalance`);
}

function line(keys, what) {
  const row = document.createElement("tr");
  const names = document.createElement("th");
  names.scope = "row";
  for (const key of keys.split(" ")) {
    const cap = document.createElement("kbd");
    cap.textContent = key;
    names.append(cap, " ");
  }
  const cell = document.createElement("td");
  cell.textContent = what;
  row.append(names, cell);
  return row;
}

function helpDialog() {
  const dialog = document.createElement("dialog");
  dialog.className = "keyhelp";
  dialog.setAttribute("aria-labelledby", "keyhelp-title");
  const title = document.createElement("h2");
  title.id = "keyhelp-title";
  title.textContent = "Keys";
  const table = document.createElement("table");
  table.className = "table-desk";
  const body = document.createElement("tbody");
  body.append(
    line("Shift+H", "halt trading"),
    line("N", "new order"),
    line("B", "buy: the symbol of the row that has the focus, if there is one"),
    line("S", "sell, in the same way"),
    line("C", "close the position of the row that has the focus"),
    line("R", "rebalance: the panel of the chosen portfolio, then Enter proposes"),
    line("Ctrl+Enter", "on the ticket: send"),
    line("\u2191 \u2193", "on the ticket: one tick or lot up or down"),
    line("J K", "in the blotter's table: next and previous order"),
    line("E X D", "in the blotter's table: change, cancel, duplicate"),
    ...Object.entries(PAGES).map(([key, [name]]) => line(`G ${key.toUpperCase()}`, name)),
  );
  table.append(body);
  const label = document.createElement("label");
  label.className = "d-block mt-2";
  const box = document.createElement("input");
  box.type = "checkbox";
  box.className = "form-check-input";
  box.checked = keysOn();
  box.addEventListener("change", () => localStorage.setItem(STORED, box.checked ? "on" : "off"));
  label.append(box, " Single keys are on (kept in this browser)");
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn btn-quiet mt-2";
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  dialog.append(title, table, label, close);
  document.body.append(dialog);
  return dialog;
}

export function bindKeys() {
  let wentAt = -Infinity; // times count from the opening of the page: 0 would make its first second one after G
  let dialog = null;
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (event.key === "?") {
      event.preventDefault();
      dialog ||= helpDialog();
      dialog.showModal();
      return;
    }
    if (!keysOn() || event.shiftKey) return;
    const key = event.key.toLowerCase();
    const going = performance.now() - wentAt < PATIENCE;
    wentAt = -Infinity;
    if (going && PAGES[key]) {
      event.preventDefault();
      location.assign(PAGES[key][1]);
    } else if (key === "g") {
      wentAt = performance.now();
    } else if (key === "c") {
      closeAt(event.target);
    } else if (key === "r") {
      rebalance();
    } else if (key in TICKETS) {
      event.preventDefault();
      ticketFor(TICKETS[key], event.target);
    }
  });
}
