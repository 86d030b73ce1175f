"""What traders do with instruments, in Chromium: a chart that lives, a watchlist, a screen."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser

SignIn = Callable[..., Page]


def test_the_chart_moves_and_grows_without_reload(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("trader")
    page.goto(f"{desk.url}/instruments/AAPL?range=3m")
    price = page.locator(".cards [data-field=price]").first
    before = price.inner_text()
    expect(price).not_to_have_text(before)
    chart = page.locator("figure.candles")
    expect(chart).to_have_attribute("data-bars", re.compile(r"\d+"))
    bars = chart.get_attribute("data-bars") or ""
    expect(chart).not_to_have_attribute("data-bars", bars)


def test_an_instrument_is_found_watched_and_screened(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("trader")
    page.goto(f"{desk.url}/watchlists")
    page.fill("#n-name", "browser")
    page.fill("#n-symbols", "IBM")
    page.get_by_role("button", name="Create").click()
    page.goto(f"{desk.url}/instruments?search=apple")
    page.get_by_role("link", name="AAPL").click()
    page.get_by_role("button", name="Watch", exact=True).click()
    expect(page.locator("main")).to_contain_text("AAPL is on browser")
    page.goto(f"{desk.url}/watchlists")
    price = page.locator("tr[data-key=AAPL] [data-field=price]").first
    before = price.inner_text()
    expect(price).not_to_have_text(before)
    page.goto(f"{desk.url}/screener")
    page.fill("#q-query", "close > 0 and rsi(14) > 0")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("tr[data-key=AAPL]")).to_be_visible()
    expect(page.locator("main")).to_contain_text("scored")
