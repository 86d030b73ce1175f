"""From targets to booked fills on the portfolio's page, in Chromium, against the whole demo desk."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser

SignIn = Callable[..., Page]


def test_a_rebalance_is_proposed_confirmed_and_booked(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("trader")
    page.goto(f"{desk.url}/portfolios/1?tab=rebalance")
    expect(page.locator("figure[data-chart$='/drift'] canvas").first).to_be_visible()
    page.fill("#g-weights", "AAPL 15\nGOOG 6\nIBM 13\nMSFT 12")
    page.fill("#g-reason", "less of Google")
    page.fill("#g-tolerance", "90")  # a replayed session takes seconds, and September 2008 was no calm month
    page.select_option("#g-check", "never")  # so that the watch does not propose beside us: a week of the replay is half a minute
    page.click("#targets-save")
    expect(page.get_by_role("region", name="History of targets")).to_contain_text("less of Google")
    page.keyboard.press("r")
    expect(page.locator("#rebalance-propose")).to_be_focused()
    page.check("#rebalance-force")
    page.click("#rebalance-propose")
    expect(page.locator("#rebalance-status")).to_have_text("pending")
    number = page.locator("h2", has_text=re.compile(r"^Rebalance \d+$")).inner_text().split()[1]
    sale = page.get_by_role("region", name="Trades of the proposal").locator("tr", has_text="GOOG")
    expect(sale).to_contain_text("sell")
    page.click("#rebalance-execute")
    expect(page.locator("#rebalance-status")).to_have_text(re.compile("executed|partial"))
    expect(page.locator("#rebalance-execute")).to_have_count(0)
    orders = page.request.get(f"{desk.url}/api/v1/orders/?symbol=GOOG&side=sell").json()["results"]
    booked = [order for order in orders if order["note"].startswith(f"rebalance {number}:")]
    assert [order["status"] for order in booked] == ["filled"]
    ledger = page.request.get(f"{desk.url}/api/v1/portfolios/1/trades/?symbol=GOOG").json()["results"]
    assert booked[0]["id"] in [trade["order_id"] for trade in ledger]
