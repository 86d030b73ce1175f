// Regions that the server writes: `data-refresh="channel"` (or several, with spaces) on an element with an id takes its content from a fresh
// copy of this page after a delta of the channel, at most once in `data-every` milliseconds. While somebody writes or reads on inside it, it
// waits: no note is lost.
import { live } from "./live.js";

const PACE = 300;

/** Somebody has written or ticked something else than the page came with. */
function touched(field) {
  return field.value !== field.defaultValue || field.checked !== field.defaultChecked;
}

class Region {
  constructor(element) {
    this.id = element.id;
    this.every = Number(element.dataset.every || PACE);
    this.at = Date.now();
    this.timer = null;
    for (const channel of element.dataset.refresh.split(" ")) live.on(channel, ({ type }) => type === "delta" && this.soon());
    for (const event of ["focusout", "visibilitychange"]) document.addEventListener(event, () => this.late && this.soon());
  }

  get element() {
    return document.getElementById(this.id);
  }

  get busy() {
    // A dialog may belong to the region, and is "open" from the click on, before it is shown.
    if (document.hidden || document.body.classList.contains("modal-open") || this.element.querySelector("details[open]")) return true;
    return [...this.element.querySelectorAll("input:not([type=hidden]), textarea")].some((field) => touched(field) || field === document.activeElement);
  }

  soon() {
    this.timer ||= setTimeout(() => {
      this.timer = null;
      this.refresh();
    }, Math.max(PACE, this.at + this.every - Date.now()));
  }

  async refresh() {
    this.late = this.busy;
    if (this.late) return;
    this.at = Date.now();
    let fresh;
    try {
      const response = await fetch(location.href, { credentials: "same-origin" });
      if (!response.ok || response.redirected) return;
      fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById(this.id);
    } catch {
      return; // the next delta asks again
    }
    this.late = this.busy;
    if (!fresh || this.late) return;
    const at = [...this.element.querySelectorAll(".scroll, .tall")].map((box) => [box.scrollLeft, box.scrollTop]);
    this.element.replaceChildren(...document.adoptNode(fresh).childNodes);
    for (const [index, box] of [...this.element.querySelectorAll(".scroll, .tall")].entries()) if (at[index]) [box.scrollLeft, box.scrollTop] = at[index];
  }
}

export function bindRefresh(elements) {
  for (const element of elements) new Region(element);
}
