// Numbers as the templates write them (apps/desk/templatetags/desk.py): U+2212 for minus, "—" for unknown, never NaN.
const MINUS = "\u2212";
export const UNKNOWN = "\u2014";

function known(value) {
  return value !== null && value !== undefined && value !== "" && Number.isFinite(Number(value));
}

function fixed(number, places) {
  return Math.abs(number).toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places });
}

function sign(number, places, always) {
  const rounded = Number(number.toFixed(places));
  if (rounded < 0) return MINUS;
  return always && rounded > 0 ? "+" : "";
}

function compact(number) {
  const size = Math.abs(number);
  for (const [limit, letter] of [[1e9, "B"], [1e6, "M"]]) if (size >= limit) return `${fixed(number / limit, 2)}${letter}`;
  return fixed(number, 0);
}

const FORMATS = {
  money: (n) => `${sign(n, 2)}$${fixed(n, 2)}`,
  money_signed: (n) => `${sign(n, 2, true)}$${fixed(n, 2)}`,
  money_compact_signed: (n) => `${sign(n, 0, true)}$${compact(n)}`,
  money_compact: (n) => `${sign(n, 0)}$${compact(n)}`,
  price: (n) => `${sign(n, 4)}${Math.abs(n).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 4 })}`,
  quantity: (n) => `${sign(n, 6)}${Math.abs(n).toLocaleString("en-US", { maximumFractionDigits: 6 })}`,
  percent: (n) => `${sign(n * 100, 2, true)}${fixed(n * 100, 2)} %`,
  share: (n) => `${sign(n * 100, 1)}${fixed(n * 100, 1)} %`,
  growth: (n) => FORMATS.percent(n - 1),
  loss: (n) => FORMATS.share(Math.max(0, -n)),
  bps: (n) => `${sign(n, 1)}${fixed(n, 1)}`,
  ratio: (n) => `${sign(n, 2)}${fixed(n, 2)}`,
};

/** Text of `value` in one of the formats above, "text" or "time"; unknown values give "—". */
export function format(value, kind) {
  if (kind === "blank") return value ?? "";
  if (kind === "status") return String(value ?? UNKNOWN).replaceAll("_", " ");
  if (kind === "text" || !kind) return value === null || value === undefined || value === "" ? UNKNOWN : String(value);
  if (kind === "time") return value ? `${String(value).slice(0, 10)} ${String(value).slice(11, 19)}Z` : UNKNOWN;
  if (kind === "clock") return value ? String(value).slice(11, 19) : UNKNOWN;
  if (kind === "date") return value ? String(value).slice(0, 10) : UNKNOWN;
  return known(value) ? FORMATS[kind](Number(value)) : UNKNOWN;
}

/** The value in full, for the title of a shortened figure. */
export function exact(value, kind) {
  if (!(kind in FORMATS)) return format(value, kind) === UNKNOWN ? "Not known" : "";
  if (!known(value)) return "Not known";
  return kind.startsWith("money_compact") ? FORMATS.money(Number(value)) : "";
}

export function direction(value) {
  if (!known(value) || Number(value) === 0) return "";
  return Number(value) > 0 ? "up" : "down";
}

/** Class of the label of an order status or a trading state, as the template filter `tag` gives it. */
export function tagOf(status) {
  if (["filled", "active", "ok"].includes(status)) return "good";
  if (["new", "sent", "partially_filled"].includes(status)) return "work";
  if (["pending_new", "pending_cancel", "pending_replace", "reducing", "warn", "no_data"].includes(status)) return "warn";
  return ["denied", "rejected", "halted", "breach"].includes(status) ? "bad" : status === "unknown_sent" ? "unknown" : "";
}
