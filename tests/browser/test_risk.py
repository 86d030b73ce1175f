"""A risk manager's day, in Chromium, against the whole demo desk: a breach comes, is acknowledged with a note, and an order meets a limit."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser

SignIn = Callable[..., Page]
#: The replayed market of September 2008 falls by more than the fund's warning level within a few of its sessions.
A_FEW_SESSIONS = 120_000
COUNT_TONES = """
window.tones = 0;
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...at) { window.tones += 1; return start.apply(this, at); };
"""


def test_a_breach_raised_by_a_price_move_is_acknowledged_and_every_screen_knows(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("risk")
    page.goto(f"{desk.url}/risk")
    breach = page.locator(".breach[data-code^=RISK_LIMIT]").filter(has=page.locator("form")).first
    expect(breach).to_be_visible(timeout=A_FEW_SESSIONS)
    expect(breach).to_contain_text(re.compile(r"\d+\.\d\d% (passes the warning level|breaks the limit) \d+\.\d\d%"))
    name = breach.get_attribute("id")
    other = page.context.new_page()
    other.goto(f"{desk.url}/risk")
    note = other.locator(f"#{name} input[name=note]")
    note.fill("hedge is on its way")
    note.press("Enter")
    expect(other.locator(f"#{name}")).to_contain_text("hedge is on its way")
    expect(page.locator(f"#{name}")).to_contain_text("hedge is on its way")  # without being loaded again
    expect(page.locator(f"#{name} form")).to_have_count(0)


def test_an_order_above_a_limit_is_blocked_with_its_numbers(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("trader")
    page.goto(f"{desk.url}/trade?symbol=IBM&side=buy&quantity=90000")
    checks = page.locator("#ticket-checks")
    expect(checks).to_contain_text("POSITION_SIZE_LIMIT")
    expect(checks).to_contain_text(re.compile(r"9\d,\d{3} is above the limit 20,000"))
    expect(page.locator("#ticket-submit")).to_be_disabled()


def test_a_tone_for_critical_alerts_is_asked_for_and_kept(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("risk")
    page.add_init_script(COUNT_TONES)
    page.goto(f"{desk.url}/settings")
    box = page.get_by_label("Sound a tone for critical alerts")
    expect(box).not_to_be_checked()
    box.check()
    assert page.evaluate("() => window.tones") == 2
    page.reload()
    expect(box).to_be_checked()
    box.uncheck()
    assert page.evaluate("() => window.tones") == 0  # counted anew: it sounded no more


def test_every_number_of_the_page_leaves_as_csv(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("risk")
    page.goto(f"{desk.url}/risk?tab=var&confidence=0.99")
    link = page.locator("#var .links a[download]")
    answer = page.request.get(f"{desk.url}{link.get_attribute('href')}")
    assert answer.headers["content-type"].startswith("text/csv")
    assert [line.split(",")[1] for line in answer.text().splitlines()[1:]] == ["0.99"] * 5
