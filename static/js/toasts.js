// Short messages in the corner, spoken by the page's two live regions: politely, or at once when something was refused or breached.
const LIMIT = 3;

/** Shows a message. One with the same `key` takes the place of the earlier one, so that a burst does not cover the page. */
export function toast({ title, text = "", level = "info", href = "", label = "Show", stay = 7000, key = "" }) {
  const place = document.getElementById("toasts");
  if (key) for (const old of place.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)) old.remove();
  const box = document.createElement("div");
  box.className = `toast show ${level}`;
  box.dataset.key = key;
  const head = document.createElement("div");
  head.className = "toast-header";
  const strong = document.createElement("strong");
  strong.className = "me-auto";
  strong.textContent = title;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn-close";
  close.setAttribute("aria-label", "Close");
  close.addEventListener("click", () => box.remove());
  head.append(strong, close);
  box.append(head);
  if (text || href) {
    const body = document.createElement("div");
    body.className = "toast-body";
    body.textContent = text;
    if (href) {
      const link = document.createElement("a");
      link.href = href;
      link.textContent = label;
      body.append(" ", link);
    }
    box.append(body);
  }
  place.append(box);
  while (place.children.length > LIMIT) place.firstElementChild.remove();
  if (stay) setTimeout(() => box.remove(), stay);
  say(`${title}. ${text}`, level === "critical");
  return box;
}

let waiting = [];
let timer = null;

/** Speaks at once when urgent; otherwise gathers for five seconds, so that a burst of fills is one sentence. */
export function say(text, urgent = false) {
  if (urgent) {
    document.getElementById("say-now").textContent = text;
    return;
  }
  waiting.push(text);
  timer ||= setTimeout(() => {
    document.getElementById("say").textContent = waiting.join(" ");
    waiting = [];
    timer = null;
  }, 5000);
}
