// The ticket beside another page: what the trader was looking at stays on the screen while an order is written.
const NARROW = window.matchMedia("(max-width: 767.98px)");

let panel = null;

class TicketPanel {
  constructor() {
    const box = document.createElement("div");
    box.className = "offcanvas offcanvas-end ticketpanel";
    box.id = "ticket-panel";
    box.tabIndex = -1;
    box.setAttribute("aria-labelledby", "ticket-panel-title");
    box.innerHTML = `<div class="offcanvas-header"><h2 class="offcanvas-title fs-6" id="ticket-panel-title">Order ticket</h2>
      <a href="/trade">Open as a page</a><button type="button" class="btn-close" data-bs-dismiss="offcanvas" aria-label="Close the ticket"></button></div>
      <div class="offcanvas-body"></div>`;
    box.addEventListener("hide.bs.offcanvas", (event) => this.ticket?.sending && event.preventDefault()); // what is being sent is seen to its end
    box.addEventListener("hidden.bs.offcanvas", () => this.closed());
    document.body.append(box);
    this.body = box.querySelector(".offcanvas-body");
    this.shown = new window.bootstrap.Offcanvas(box, { backdrop: false, scroll: true }); // the page under it stays alive
  }

  /** A new ticket in place of the one that is open, unless that one is being sent. */
  async open(query) {
    if (this.ticket?.sending) return;
    const [{ bindTicket }, response] = await Promise.all([
      import("./ticket.js"),
      fetch(`/trade?${new URLSearchParams([...query, ["part", "1"]])}`, { credentials: "same-origin" }),
    ]);
    if (!response.ok || response.redirected) throw new Error(`the ticket did not come: ${response.status}`);
    if (this.ticket?.sending) return;
    const part = new DOMParser().parseFromString(await response.text(), "text/html");
    this.back ||= document.activeElement;
    this.forget();
    this.body.replaceChildren(...part.body.childNodes);
    this.review = document.getElementById("review-dialog");
    if (this.review) document.body.append(this.review); // a dialog inside the panel would lie under its own backdrop
    this.shown.show();
    const form = document.getElementById("ticket");
    if (form) this.ticket = bindTicket(form);
  }

  forget() {
    this.ticket?.dispose();
    this.review?.remove();
    this.ticket = null;
  }

  closed() {
    this.forget();
    this.body.replaceChildren();
    if (this.back?.isConnected) this.back.focus();
    this.back = null;
  }
}

/** Opens a ticket with what `query` (URLSearchParams) fills in: beside the page, or as a page of its own where there is no room or the panel fails. */
export async function openTicket(query) {
  try {
    if (document.querySelector("main #ticket") || NARROW.matches) throw new Error("no room beside this page");
    panel ||= new TicketPanel();
    await panel.open(query);
  } catch {
    location.assign(`/trade${query.size ? `?${query}` : ""}`);
  }
}

/** A link of the page to a ticket opens the panel; with a modifier it stays the link that it is. */
export function bindTicketLinks() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("main a[href]");
    if (!link || link.pathname !== "/trade" || link.origin !== location.origin) return;
    if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    openTicket(new URLSearchParams(link.search));
  });
}
