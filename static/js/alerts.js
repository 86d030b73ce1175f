// The bell's count and a toast for each new alert of this user; fills and refusals of the chosen portfolio as toasts too.
import { format } from "./format.js";
import { live } from "./live.js";
import { soundAlarm } from "./sound.js";
import { toast } from "./toasts.js";

function count(number) {
  const badge = document.getElementById("alert-count");
  badge.textContent = number > 99 ? "99+" : String(number);
  badge.hidden = number === 0;
  document.getElementById("alert-bell").setAttribute("aria-label", `Alerts, ${number} open`);
}

function bindBell(userId) {
  let open = Number(document.getElementById("alert-count").dataset.count || 0);
  live.on(`alerts:${userId}`, ({ type, d }) => {
    if (type === "snapshot") {
      if (Number.isInteger(d.open)) count((open = d.open));
      return;
    }
    if (Number.isInteger(d.open)) open = d.open;
    else if (d.acknowledged_id) open = Math.max(0, open - 1);
    else open += 1;
    count(open);
    const alert = d.alert || (d.title ? d : null);
    if (!alert) return;
    const urgent = alert.severity === "critical";
    if (urgent) soundAlarm();
    const { url: href = "/alerts", label } = alert.link || {};
    toast({ title: alert.title, level: alert.severity || "info", href, label, key: `${alert.code} ${alert.subject}`, stay: urgent ? 20000 : 8000 });
  });
}

const SAID = new Map(); // order id -> status already told

function keyOf(order) {
  return `${order.status} ${order.cumulative_quantity}`;
}

function tell(order) {
  if (SAID.get(order.id) === keyOf(order)) return;
  SAID.set(order.id, keyOf(order));
  if (!order.strategy && order.created_by === document.body.dataset.username) announce(order); // a strategy's orders are in the blotter
}

function announce(order) {
  const what = `${order.side === "buy" ? "Buy" : "Sell"} ${format(order.quantity, "quantity")} ${order.symbol}`;
  const href = `/trades?tab=all&order=${order.id}`;
  if (order.status === "filled") toast({ title: `Filled: ${what}`, text: `at ${format(order.average_price, "price")}`, level: "good", href });
  if (order.status === "denied" || order.status === "rejected") toast({ title: `Not sent: ${what}`, text: order.reason || "", level: "critical", href, stay: 12000 });
  if (order.status === "canceled") toast({ title: `Cancelled: ${what}`, text: order.reason || "", level: "info", href });
}

function bindFills(portfolioId) {
  const working = document.getElementById("working-orders");
  const open = new Set();
  live.on(`orders:${portfolioId}`, ({ type, d }) => {
    if (type === "snapshot") open.clear();
    for (const order of d.orders || [d]) {
      if (Number(order.leaves_quantity) > 0) open.add(order.id);
      else open.delete(order.id);
      if (type === "snapshot") SAID.set(order.id, keyOf(order));
      else tell(order);
    }
    if (working && type === "delta") working.textContent = String(open.size);
  });
}

export function bindAlerts(body) {
  bindBell(body.dataset.user);
  if (body.dataset.portfolio) bindFills(body.dataset.portfolio);
}
