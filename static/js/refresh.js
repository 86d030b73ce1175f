// Regions that the server writes: `data-refresh="channel"` on an element with an id takes its content from a fresh copy of this page after
// each delta of the channel. While somebody writes inside it, it waits: no note is lost.
import { live } from "./live.js";

const PACE = 300;

class Region {
  constructor(element) {
    this.id = element.id;
    this.timer = null;
    live.on(element.dataset.refresh, ({ type }) => type === "delta" && this.soon());
    document.addEventListener("focusout", () => this.late && this.soon());
  }

  get element() {
    return document.getElementById(this.id);
  }

  get written() {
    return [...this.element.querySelectorAll("input:not([type=hidden]), textarea")].some((field) => field.value || field === document.activeElement);
  }

  soon() {
    this.timer ||= setTimeout(() => {
      this.timer = null;
      this.refresh();
    }, PACE);
  }

  async refresh() {
    this.late = this.written;
    if (this.late) return;
    let fresh;
    try {
      const response = await fetch(location.href, { credentials: "same-origin" });
      if (!response.ok || response.redirected) return;
      fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById(this.id);
    } catch {
      return; // the next delta asks again
    }
    this.late = this.written;
    if (fresh && !this.late) this.element.replaceChildren(...document.adoptNode(fresh).childNodes);
  }
}

export function bindRefresh(elements) {
  for (const element of elements) new Region(element);
}
