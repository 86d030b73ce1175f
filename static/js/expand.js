// A row of the blotter opens in place: the order's life is fetched once as a part of its page. Without this the link leads to the page.
export function bindExpand() {
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("[data-expand]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const row = link.closest("tr");
    const next = row.nextElementSibling;
    if (next?.classList.contains("detail")) {
      next.remove();
      link.setAttribute("aria-expanded", "false");
      return;
    }
    const response = await fetch(`${link.getAttribute("href")}?part=1`, { credentials: "same-origin" });
    if (!response.ok || response.redirected) {
      location.assign(link.href); // the page itself says what is wrong
      return;
    }
    const part = new DOMParser().parseFromString(await response.text(), "text/html");
    const detail = document.createElement("tr");
    detail.className = "detail";
    const cell = document.createElement("td");
    cell.colSpan = row.cells.length;
    cell.append(...part.body.childNodes);
    detail.append(cell);
    row.after(detail);
    link.setAttribute("aria-expanded", "true");
  });
}
