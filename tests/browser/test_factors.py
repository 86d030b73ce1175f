"""The factors page as a quant uses it: rank, look closer, get a portfolio, and know what strategies cannot see."""

from datetime import date

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desk
from tests.browser.test_every_page import SignIn, settled

pytestmark = pytest.mark.browser


def first_ticker(page: Page) -> str:
    return page.locator("#ranking tbody tr").first.locator("th").inner_text()


def test_from_the_ranking_to_a_portfolio(desk: Desk, sign_in: SignIn) -> None:
    page = sign_in("quant")
    settled(page, f"{desk.url}/factors")
    expect(page.locator(".pagehead .sub")).to_contain_text("5 of 5 scored")
    expect(page.get_by_role("status").filter(has_text="which strategies in the replay cannot see")).to_be_visible()

    page.get_by_role("link", name="Momentum", exact=True).click()
    scores = page.locator("#ranking tbody td:nth-child(5)").all_inner_texts()
    numbers = [float(text.replace("\N{MINUS SIGN}", "-")) for text in scores]
    assert numbers == sorted(numbers, reverse=True)

    page.get_by_role("link", name=first_ticker(page), exact=True).click()
    expect(page.locator("#exposures")).to_contain_text("58 months")

    page.get_by_label("Positions").fill("3")
    page.get_by_label("Optimiser").select_option("min_variance")
    page.get_by_role("button", name="Recommend").click()
    weights = page.locator("#recommendations tbody td:last-child").all_inner_texts()
    assert len(weights) == 3
    assert abs(sum(float(text.removesuffix(" %")) for text in weights) - 100) < 0.2

    page.get_by_role("link", name="Stocks", exact=True).click()
    expect(page.locator(".pagehead .sub")).to_contain_text("of 23 scored")
    scored_at = date.fromisoformat(page.locator(".pagehead .sub time").inner_text())
    assert scored_at >= date(2008, 9, 1)  # the replay's own time, which has moved on while other tests had the desk
    assert page.get_by_text("cannot see").count() == 0
