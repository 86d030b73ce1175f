// Ticks come up to 40 times a second; an eye gets at most four paints of a widget in a second. The newest values win, none is lost.
const EVERY = 250;

/** Channels of ticks. Everything else (orders, fills, alerts, trading state) is painted at once. */
export const TICKS = new Set(["quotes", "market"]);

/** `next` laid over `old`, object by object; anything else is replaced. */
export function merged(old, next) {
  if (!isObject(old) || !isObject(next)) return next;
  const result = { ...old };
  for (const [name, value] of Object.entries(next)) result[name] = name in old ? merged(old[name], value) : value;
  return result;
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** Calls `paint(envelope)` at once, then at most every 250 ms with all that came meanwhile. A snapshot starts afresh. */
export function paced(paint, { every = EVERY, now = () => performance.now() } = {}) {
  let waiting = null;
  let painted = -Infinity;
  let timer = null;
  const show = () => {
    timer = null;
    const envelope = waiting;
    waiting = null;
    paint(envelope);
    painted = now(); // from its end, so that a page that paints slowly rests as long
  };
  return (envelope) => {
    if (waiting === null || envelope.type === "snapshot") waiting = envelope;
    else waiting = { ...envelope, type: waiting.type, d: merged(waiting.d, envelope.d) };
    timer ??= setTimeout(show, Math.max(0, painted + every - now()));
  };
}
