// Clock of the exchange, age of the feed, state of the connection, theme, portfolio picker, menu keys.
import { live } from "./live.js";
import { postForm } from "./http.js";
import { toast } from "./toasts.js";

function span(seconds) {
  const minutes = Math.max(0, Math.floor(seconds / 60));
  if (minutes >= 2880) return `${Math.floor(minutes / 1440)} d`;
  return minutes >= 60 ? `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min` : `${minutes} min`;
}

function bindMarket(body) {
  const clock = document.getElementById("market-clock");
  const feed = document.getElementById("feed");
  if (!clock) return;
  let market = Date.parse(clock.dataset.marketTime || "");
  let change = Date.parse(clock.dataset.nextChange || "");
  let seen = feed.dataset.age ? Date.now() - Number(feed.dataset.age) * 1000 : null;
  let open = body.dataset.marketOpen === "1";
  const ended = () => feed.dataset.ended === "1";

  live.on("market", ({ type, d: now }) => {
    if (now.market_time) market = Date.parse(now.market_time);
    if (now.next_change) change = Date.parse(now.next_change);
    if (now.is_open !== undefined) open = now.is_open;
    if (now.half_day !== undefined) clock.querySelector("[data-part=half]").hidden = !now.half_day;
    body.dataset.marketOpen = open ? "1" : "0";
    if (now.ended !== undefined) feed.dataset.ended = now.ended ? "1" : "0";
    if (type === "delta") seen = Date.now();
    else if (now.feed_age_seconds !== null) seen = Date.now() - now.feed_age_seconds * 1000;
    const date = document.getElementById("replay-date");
    if (date && now.session) {
      date.textContent = now.session;
      date.dateTime = now.session;
    }
    tick();
  });

  function tick() {
    const name = clock.dataset.exchange;
    clock.querySelector("[data-part=state]").textContent = `${name} ${open ? "open" : "closed"}`;
    const left = (change - market) / 1000;
    clock.querySelector("[data-part=until]").textContent = Number.isFinite(left) && left > 0 ? `${open ? "closes" : "opens"} in ${span(left)}` : "";
    const dot = feed.querySelector(".dot");
    const label = feed.querySelector("[data-part=age]");
    const age = seen === null ? null : Math.max(0, Math.round((Date.now() - seen) / 1000));
    dot.className = `dot ${age === null ? "" : ended() ? "" : age <= 10 ? "ok" : age <= 30 ? "warn" : "down"}`;
    label.textContent = age === null ? "no data" : ended() ? "ended" : age < 100 ? `${age} s` : span(age);
  }
  document.addEventListener("desk:tick", tick);
  tick();
}

function bindConnection() {
  const note = document.getElementById("link-state");
  let timer = null;
  document.addEventListener("desk:connection", ({ detail }) => {
    clearTimeout(timer);
    if (detail === "open") {
      note.hidden = true;
      return;
    }
    timer = setTimeout(() => {
      note.textContent = detail === "signed-out" ? "You are signed out: numbers no longer move. Reload to sign in." : "Connection lost, trying again. Numbers are not live.";
      note.hidden = false;
    }, 1000); // a short break heals by itself
  });
}

function bindTheme() {
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.addEventListener("click", async () => {
      const choice = button.dataset.themeChoice;
      const root = document.documentElement;
      root.dataset.theme = choice;
      root.dispatchEvent(new Event("desk:theme-chosen"));
      for (const other of document.querySelectorAll("[data-theme-choice]")) other.setAttribute("aria-pressed", String(other === button));
      try {
        await postForm("/settings/theme", { theme: choice });
      } catch (error) {
        toast({ title: "The theme was not saved", text: error.message, level: "warning" });
      }
    });
  }
}

function bindSubmitters() {
  for (const field of document.querySelectorAll("[data-submit-on-change]")) field.addEventListener("change", () => field.form.requestSubmit());
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-once]"); // also one that came into the page later
    if (!form || event.defaultPrevented) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
  });
}

export function bindTopbar(body) {
  bindMarket(body);
  bindConnection();
  bindTheme();
  bindSubmitters();
}
