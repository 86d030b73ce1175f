// A candle chart on the screen: the running bar moves with the quotes, and when it has ended the newest rows are fetched once, with volume and indicators.
import { getJson } from "./http.js";
import { live } from "./live.js";

const PAINT_EVERY = 500; // milliseconds: at most two repaints a second
const FETCH_EVERY = 1000;

export class Candles {
  constructor(chart) {
    this.chart = chart;
    this.symbol = chart.figure.dataset.symbol;
    this.ends = null; // when the running bar will be finished, market time in milliseconds
    this.quote = null;
    this.fetchedAt = 0;
    live.on("quotes", ({ d }) => {
      const quote = d.quotes?.[this.symbol];
      if (!quote?.price) return;
      this.quote = { at: Date.parse(quote.market_time), price: Number(quote.price) };
      this.timer ||= setTimeout(() => this.paint(), PAINT_EVERY);
    });
  }

  get source() {
    return this.chart.document?.get_model_by_name("live");
  }

  async paint() {
    this.timer = null;
    if (document.hidden || !this.quote || !this.source) return;
    const running = this.ends !== null && this.quote.at < this.ends;
    if (running) this.move(this.quote.price);
    else await this.renew();
    this.line(this.quote.price);
  }

  /** The running candle follows the price. */
  move(price) {
    const { source } = this;
    const last = source.data.x.length - 1;
    if (last < 0) return;
    const { open, high, low } = source.data;
    const rising = price >= open[last];
    const up = this.tone(true);
    const down = this.tone(false);
    source.patch({
      close: [[last, price]],
      high: [[last, Math.max(high[last], price)]],
      low: [[last, Math.min(low[last], price)]],
      colour: [[last, rising ? up : down]],
      body: [[last, rising ? this.tone("surface") : down]],
    });
  }

  tone(way) {
    const name = way === "surface" ? "--surface" : way ? "--up" : "--down";
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  /** Fetches the newest rows, replaces those that are drawn and appends those that are new. */
  async renew() {
    const wait = this.fetchedAt + FETCH_EVERY - Date.now();
    if (wait > 0) {
      this.timer ||= setTimeout(() => this.paint(), wait);
      return;
    }
    this.fetchedAt = Date.now();
    const url = new URL(this.chart.figure.dataset.tail, location.href);
    url.searchParams.set("theme", document.documentElement.dataset.bsTheme);
    try {
      const tail = await getJson(url);
      this.ends = tail.ends;
      this.take(tail.columns);
    } catch {
      this.ends = null; // the next quote asks again
    }
  }

  take(columns) {
    const { source } = this;
    if (!source) return;
    for (let at = 0; at < columns.ts.length; at += 1) {
      const row = Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[at]]));
      const place = source.data.ts.indexOf(row.ts);
      if (place >= 0) source.patch(Object.fromEntries(Object.entries(row).map(([name, value]) => [name, [[place, value ?? NaN]]])));
      else if (!source.data.ts.length || row.ts > source.data.ts.at(-1)) this.append(row);
    }
  }

  append(row) {
    const { source } = this;
    const x = source.data.x.length ? source.data.x.at(-1) + 1 : 0;
    const axis = this.chart.document.get_model_by_name("bars");
    if (axis) {
      const labels = new Map(axis.major_label_overrides);
      labels.set(x, row.label);
      axis.major_label_overrides = labels;
    }
    source.stream(Object.fromEntries([["x", [x]], ...Object.entries(row).map(([name, value]) => [name, [value ?? NaN]])]));
    const panes = this.chart.document.get_model_by_name("candles")?.children ?? [];
    const range = panes[0]?.x_range;
    if (range && range.end >= x && range.end < x + 1.5) range.setv({ start: range.start + 1, end: range.end + 1 }); // stays at the newest bar
  }

  /** A line at the last price; `data-bars` says how many bars are drawn. */
  line(price) {
    if (this.source) this.chart.figure.dataset.bars = this.source.data.x.length;
    const mark = this.chart.document?.get_model_by_name("last");
    if (mark) mark.setv({ location: price, visible: true });
  }
}
