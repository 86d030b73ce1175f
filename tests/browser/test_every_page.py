"""Every page, in both themes, wide and narrow: no console error, nothing refused by the security policy, no other host, nothing cut off."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desk, screenshot

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
        "/alerts",
        "/alerts/delivery",
        "/settings",
    ],
    "operator": ["/data", "/data/of/AAPL"],
    "quant": ["/factors", "/factors?universe=stock&optimizer=mvo"],
    "compliance": ["/admin/", "/admin/compliance/restriction/", "/admin/compliance/restriction/add/", "/admin/core/journalentry/", "/api/docs/"],
}
GRAVE = ("serious", "critical")


def settled(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_load_state("load")
    for loading in (".canvas.waiting", ".canvas:empty"):
        expect(page.locator(f"figure {loading}")).to_have_count(0, timeout=20_000)


def grave_violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found if one["impact"] in GRAVE]


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("user", PAGES)
def test_pages_are_clean(sign_in: SignIn, desk: Desk, user: str, scheme: str, width: int) -> None:
    page = sign_in(user, width=width, scheme=scheme)
    problems = []
    for path in PAGES[user]:
        settled(page, f"{desk.url}{path}")
        if path != "/api/docs/":  # somebody else's page: it must run under our policy, its contrast is not ours
            problems += [f"{path}: {violation}" for violation in grave_violations(page)] if path[:6] != "/admin" else []
            wide = page.evaluate("document.documentElement.scrollWidth")
            problems += [f"{path} is {wide} wide in {width}"] if wide > width and path[:6] != "/admin" else []
        screenshot(page, f"{user}{path.replace('/', '-').replace('?', '-')}-{scheme}-{width}")
    assert problems == []


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
