// Bokeh figures: fetched as JSON from `data-chart`, drawn without eval, redrawn when the theme changes, fed by the live channel.
import { pick } from "./cells.js";
import { getJson } from "./http.js";
import { live } from "./live.js";

const STREAM_EVERY = 500; // milliseconds: at most two repaints a second
const ROLLOVER = 5000;
const REDRAW_EVERY = 10000; // milliseconds: of a figure that is drawn anew when its channel speaks

class Chart {
  constructor(figure) {
    this.figure = figure;
    this.canvas = figure.querySelector(".canvas");
    this.lastDraw = 0;
    this.latest = null;
  }

  get url() {
    const url = new URL(this.figure.dataset.chart, location.href);
    url.searchParams.set("theme", document.documentElement.dataset.bsTheme);
    return url;
  }

  async draw() {
    this.canvas.classList.add("waiting");
    this.canvas.querySelector(".problem")?.remove();
    try {
      const payload = await getJson(this.url);
      this.forget();
      const views = payload.item ? await this.embed(payload.item) : this.empty(payload.summary);
      this.document = payload.item ? views[0]?.model.document || views.roots?.[0]?.model.document : null;
      this.describe(payload);
    } catch (error) {
      this.fail(error);
    } finally {
      this.canvas.classList.remove("waiting");
    }
  }

  /** Bokeh keeps every document that it was ever given: one that is drawn no more is taken from it. */
  forget() {
    const kept = window.Bokeh.documents;
    if (kept.includes(this.document)) kept.splice(kept.indexOf(this.document), 1);
    this.document?.clear();
    this.document = null;
  }

  async embed(item) {
    this.canvas.setAttribute("role", "img");
    this.canvas.replaceChildren();
    const views = await window.Bokeh.embed.embed_item(item, this.canvas.id);
    return Array.isArray(views) ? views : [...views];
  }

  empty(text) {
    const note = document.createElement("p");
    note.className = "problem";
    note.textContent = text;
    this.canvas.replaceChildren(note);
    return [];
  }

  describe(payload) {
    const summary = this.figure.querySelector(".summary");
    if (summary && payload.item) summary.textContent = payload.summary;
    const table = this.figure.querySelector("details table");
    if (!table) return;
    const head = document.createElement("thead");
    head.append(row(payload.table.columns, "th"));
    const body = document.createElement("tbody");
    body.append(...payload.table.rows.map((cells) => row(cells, "td")));
    table.replaceChildren(table.caption ?? "", head, body);
  }

  fail(error) {
    const late = error.name === "TimeoutError";
    this.canvas.setAttribute("role", "group"); // nobody finds a button inside a picture who does not see
    this.canvas.replaceChildren();
    const box = document.createElement("div");
    box.className = "problem";
    const text = document.createElement("span");
    text.textContent = late ? "The chart did not come within 10 seconds." : `The chart could not be drawn: ${error.message}`;
    const again = document.createElement("button");
    again.type = "button";
    again.className = "btn btn-sm btn-quiet justify-self-center";
    again.textContent = "Try again";
    again.addEventListener("click", () => this.draw());
    box.append(text, again);
    this.canvas.append(box);
  }

  /** Drawn anew, at most every ten seconds, when the channel has said something since. */
  redraw(channel) {
    live.on(channel, ({ type }) => {
      if (type === "delta") this.again ||= setTimeout(() => this.drawAgain(), REDRAW_EVERY);
    });
  }

  drawAgain() {
    if (document.hidden) {
      document.addEventListener("visibilitychange", () => this.drawAgain(), { once: true });
      return;
    }
    this.again = null;
    this.draw();
  }

  /** Appends the channel's newest point to the figure's source named "live". */
  follow() {
    const { chartLive: channel, chartX: x, chartY: y, tail } = this.figure.dataset;
    if (tail) import("./candles.js").then(({ Candles }) => (this.candles = new Candles(this)));
    if (!channel) return;
    live.on(channel, ({ d }) => {
      const [at, value] = [pick(d, x), pick(d, y)];
      if (!at || value === undefined || value === null) return;
      this.latest = { x: Date.parse(at), y: Number(value) };
      const pause = Math.max(0, STREAM_EVERY - (Date.now() - this.lastDraw));
      this.timer ||= setTimeout(() => this.append(), pause);
    });
  }

  append() {
    this.timer = null;
    if (document.hidden || !this.latest || !this.document) return; // a hidden tab repaints with the newest point on return
    const source = this.document.get_model_by_name("live");
    if (!source) return;
    const seen = source.data.x;
    const last = seen.length ? Number(seen[seen.length - 1]) : -Infinity;
    if (this.latest.x > last) source.stream({ x: [this.latest.x], y: [this.latest.y] }, ROLLOVER);
    else if (this.latest.x === last) source.patch({ y: [[seen.length - 1, this.latest.y]] });
    this.latest = null;
    this.lastDraw = Date.now();
  }
}

function row(cells, tag) {
  const line = document.createElement("tr");
  for (const [index, text] of cells.entries()) {
    const cell = document.createElement(tag);
    cell.textContent = text;
    if (tag === "th") cell.scope = "col";
    if (index) cell.className = "num";
    line.append(cell);
  }
  return line;
}

export function bindCharts(root = document) {
  const charts = [...root.querySelectorAll("figure[data-chart]")].map((figure) => new Chart(figure));
  for (const chart of charts) {
    chart.draw();
    chart.follow();
    if (chart.figure.dataset.chartAgain) chart.redraw(chart.figure.dataset.chartAgain);
  }
  document.addEventListener("desk:theme", () => charts.forEach((chart) => chart.draw()));
  document.addEventListener("visibilitychange", () => document.hidden || charts.forEach((chart) => (chart.candles ? chart.candles.paint() : chart.append())));
}
