"""What traders and risk managers do all day, in Chromium, against the whole demo desk."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desk, screenshot

pytestmark = pytest.mark.browser

SignIn = Callable[..., Page]


def send_order(page: Page, desk: Desk, symbol: str, quantity: str) -> None:
    page.goto(f"{desk.url}/trade")
    page.fill("#t-symbol", symbol)
    page.fill("#t-quantity", quantity)
    expect(page.locator("#ticket-submit")).to_be_enabled()
    expect(page.locator("#ticket-submit")).to_contain_text(f"Buy {quantity} {symbol}")
    page.click("#ticket-submit")


def halt_the_desk(page: Page, reason: str) -> None:
    page.click("button.halt")
    page.check("#halt-all")
    page.fill("#halt-reason", reason)
    page.click("#halt-dialog button.btn-danger")
    expect(page.locator("#halt-banner")).to_contain_text(reason)


def release_the_desk(first: Page, second: Page, desk: Desk) -> None:
    first.click("#halt-banner button[data-bs-target='#release-dialog']")
    first.fill("#release-reason", "all clear")
    first.click("#release-dialog button.btn-danger")
    expect(first.locator("#halt-banner")).to_contain_text("asks to release")
    second.goto(f"{desk.url}/risk")
    second.locator("#halt-banner form[action$='/approve'] button").click()
    expect(second.locator("#halt-banner")).to_be_hidden()


def test_prices_and_equity_move_without_reload(sign_in: SignIn) -> None:
    page = sign_in("trader")
    equity = page.locator(".cards [data-field=total]")
    before = equity.inner_text()
    expect(equity).not_to_have_text(before)
    expect(page.locator("#replay-date")).to_have_text(re.compile(r"20\d\d-\d\d-\d\d"))


def test_an_order_is_filled_and_reaches_the_dashboard_without_reload(sign_in: SignIn, desk: Desk) -> None:
    dashboard = sign_in("trader")
    position = dashboard.locator("tr[data-key=IBM]")
    expect(position).to_be_visible()
    quantity = position.locator("[data-field=quantity]").inner_text()
    ticket = dashboard.context.new_page()
    send_order(ticket, desk, "IBM", "100")
    sent = ticket.locator("#ticket-sent tr[data-key]").first
    expect(sent).to_contain_text("filled", ignore_case=True)
    expect(position.locator("[data-field=quantity]")).not_to_have_text(quantity)
    unrealised = position.locator("[data-field=unrealised]")
    now = unrealised.inner_text()
    expect(unrealised).not_to_have_text(now)


def test_the_ticket_shows_each_check_with_its_numbers(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("trader")
    page.goto(f"{desk.url}/trade")
    page.fill("#t-symbol", "IBM")
    page.fill("#t-quantity", "900000")
    checks = page.locator("#ticket-checks")
    expect(checks).to_contain_text("INSUFFICIENT_CAPITAL")
    expect(checks).to_contain_text("POSITION_VALUE_LIMIT")
    expect(page.locator("#ticket-submit")).to_be_disabled()


def test_halt_reaches_everybody_and_two_people_release(sign_in: SignIn, desk: Desk) -> None:
    trader, risk, second = sign_in("trader"), sign_in("risk"), sign_in("compliance")
    halt_the_desk(risk, "fire drill")
    expect(trader.locator("#halt-banner")).to_contain_text("fire drill")
    trader.goto(f"{desk.url}/trade")
    trader.fill("#t-symbol", "IBM")
    trader.fill("#t-quantity", "100")
    expect(trader.locator("#ticket-checks")).to_contain_text("TRADING_HALTED")
    expect(trader.locator("#ticket-submit")).to_be_disabled()
    release_the_desk(risk, second, desk)
    expect(trader.locator("#halt-banner")).to_be_hidden()


def test_an_alert_is_acknowledged_with_a_note(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("risk")
    expect(page.locator("#alert-count")).not_to_have_text(re.compile(r"^0?$"), timeout=120_000)
    page.goto(f"{desk.url}/alerts")
    name = page.locator("[id^=alert-]").filter(has=page.locator("form")).first.get_attribute("id")
    alert = page.locator(f"#{name}")  # the same one, whatever comes meanwhile
    alert.locator("input[name=note]").fill("seen")
    alert.locator("form button").click()
    expect(alert.locator("form")).to_have_count(0)


def test_the_dashboard_as_the_readme_shows_it(sign_in: SignIn) -> None:
    page = sign_in("trader")
    expect(page.locator("figure canvas").first).to_be_visible()
    expect(page.locator("tr[data-key=AAPL]")).to_be_visible()
    assert screenshot(page, "dashboard").stat().st_size > 20_000
