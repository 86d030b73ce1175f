"""Every page, in both themes, wide and narrow: no console error, nothing refused by the security policy, no other host, nothing cut off."""

import json
import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import DEFAULT_OPTIONS, Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import ASKED_FOR, PATIENCE_MS, Desk, Watch, screenshot

pytestmark = pytest.mark.browser

SignIn = Callable[..., Page]
PAGES = {
    "trader": [
        "/",
        "/portfolios",
        "/portfolios/1",
        "/portfolios/1?tab=rebalance",
        "/trade",
        "/trades",
        "/trades?tab=all",
        "/trades/history?portfolio=all",
        "/algos",
        "/engines",
        "/instruments",
        "/instruments/AAPL?i=bbands(20, 2)&i=rsi",
        "/watchlists",
        "/screener?query=close > sma(20)",
        "/lab",
        "/lab/1",
        "/risk",
        "/risk?tab=var",
        "/risk?tab=positions",
        "/risk?tab=what-if&symbol=AAPL&side=buy&quantity=500",
        "/alerts",
        "/alerts/delivery",
        "/settings",
    ],
    "operator": ["/data", "/data/of/AAPL"],
    "quant": ["/factors", "/factors?universe=stock&optimizer=mvo"],
    "compliance": ["/admin/", "/admin/compliance/restriction/", "/admin/compliance/restriction/add/", "/admin/core/journalentry/", "/api/docs/"],
}
AXE = Axe()
#: The rules that look at colours. All others say the same of a page in either scheme: it is the same document.
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
GRAVE = ("serious", "critical")
#: Resolves when no colour is on its way any more. (Playwright's own wait for a condition evaluates text, which our policy forbids.)
FADED = """async () => {
  const fading = () => document.getAnimations().some((one) => one instanceof CSSTransition && one.playState === "running");
  while (fading()) await new Promise(requestAnimationFrame);
}"""
#: Somebody else's pages: they must run under our policy, their contrast is not ours.
FOREIGN = ("/admin", "/api/docs/")


def settled(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_load_state("load")
    drawn(page)


def drawn(page: Page) -> None:
    """Every chart is there."""
    for loading in (".canvas.waiting", ".canvas:empty"):
        expect(page.locator(f"figure {loading}")).to_have_count(0)


def recolour(page: Page, scheme: str, *, ours: bool) -> None:
    """The machine changes to the other scheme while the page is open; nothing is on its way from one colour to the other any more."""
    page.emulate_media(color_scheme=scheme)
    if ours:
        expect(page.locator("html")).to_have_attribute("data-bs-theme", scheme)
    page.evaluate(FADED)
    drawn(page)


def flaws(page: Page, width: int, **rules: object) -> list[str]:
    """Grave violations of accessibility, of all rules unless told otherwise, and what does not fit."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.axe_script)
    found = page.evaluate(f"axe.run({json.dumps(DEFAULT_OPTIONS | rules)})")["violations"]
    wide = page.evaluate("document.documentElement.scrollWidth")
    grave = [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found if one["impact"] in GRAVE]
    return [*grave, *([f"it is {wide} wide in {width}"] if wide > width else [])]


@pytest.mark.parametrize(("width", "schemes"), [(1280, ("light", "dark")), (400, ("dark", "light"))])
@pytest.mark.parametrize("user", PAGES)
def test_pages_are_clean(sign_in: SignIn, desk: Desk, user: str, width: int, schemes: tuple[str, str]) -> None:
    """Each page is loaded in the scheme of the one before, and changes to the other one while it is open; it is looked at in both."""
    page = sign_in(user, width=width, scheme=schemes[0])
    problems = []
    for path in PAGES[user]:
        ours = not path.startswith(FOREIGN)
        settled(page, f"{desk.url}{path}")
        for scheme, rules in zip(schemes, ({}, COLOURS), strict=True):
            recolour(page, scheme, ours=ours)
            found = flaws(page, width, **rules) if ours else []
            problems += [f"{path} in {scheme}: {flaw}" for flaw in found]
            if found or ASKED_FOR:
                screenshot(page, f"{user}{path.replace('/', '-').replace('?', '-')}-{scheme}-{width}")
        schemes = schemes[::-1]
    assert problems == []


def test_a_chart_that_does_not_come_can_be_asked_for_again(sign_in: SignIn, desk: Desk, watch: Watch) -> None:
    page = sign_in("trader")
    chart = page.locator("figure[data-chart]").first
    address = re.compile(re.escape(chart.get_attribute("data-chart") or ""))
    page.route(address, lambda route: route.abort())
    page.reload()
    again = chart.get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    assert flaws(page, 1280) == []
    assert all("ERR_FAILED" in error for error in watch.errors)  # the browser notes what did not come, and this was wanted
    watch.errors.clear()
    page.unroute(address)
    again.click()
    expect(chart.locator(".canvas[role=img] canvas").first).to_be_visible()


def test_a_chart_of_what_is_held_is_drawn_anew_while_prices_move(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("trader")
    page.goto(f"{desk.url}/portfolios/1")
    chart = page.locator("figure[data-chart-again]")
    expect(chart.locator("canvas").first).to_be_visible()
    drawn = page.evaluate("Bokeh.documents.length")
    for _ in range(2):
        with page.expect_response(lambda response: "allocation" in response.url, timeout=PATIENCE_MS):
            pass
    expect(chart.locator("canvas").first).to_be_visible()
    expect(chart.locator(".canvas.waiting")).to_have_count(0)
    assert page.evaluate("Bokeh.documents.length") == drawn  # what is drawn no more is kept nowhere


def test_unknown_addresses_say_so(desk: Desk, sign_in: SignIn) -> None:
    page = sign_in("trader")
    answer = page.request.get(f"{desk.url}/nowhere")
    assert answer.status == 404
    assert "nowhere" in answer.text() or "not" in answer.text().lower()


def test_an_auditor_sees_everything_and_changes_nothing(desk: Desk, sign_in: SignIn) -> None:
    page = sign_in("auditor")
    settled(page, f"{desk.url}/trades")
    assert page.locator("form[action$='/cancel']").count() == 0
    answer = page.request.get(f"{desk.url}/api/v1/orders/")
    assert answer.status == 200
    assert page.request.get(f"{desk.url}/trade").status == 403
