"""The ticket, the blotter and the kill switch by keyboard and mouse, in Chromium, against the whole demo desk."""

import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import ROOT, Desk, Watch
from tests.browser.test_trading_day import release_the_desk

pytestmark = pytest.mark.browser

SignIn = Callable[..., Page]
BOOK = "Flattened by tests"
OPEN_A_BOOK = f"""
from decimal import Decimal
from apps.core.clock import now
from apps.core.models import User
from apps.desk.domain.demo import LIMITS
from apps.execution.services.accounts import paper_account_create
from apps.marketdata.selectors.market import market_clock
from apps.portfolios.services.portfolios import book_get_or_create, portfolio_create
from apps.risk.services.limits import limit_set
at = now()
people = {{user.username: user for user in User.objects.filter(username__in=["trader", "risk", "compliance"])}}
opened = market_clock(at).market_time
book = portfolio_create(name="{BOOK}", owner=people["trader"], initial_capital=Decimal(100000), effective_at=opened, recorded_at=at)
book_get_or_create(portfolio_id=book.pk, name="swing", recorded_at=at)
paper_account_create(portfolio_id=book.pk)
for kind, (soft, hard) in LIMITS.items():
    two = {{"user": people["risk"], "approver": people["compliance"]}}
    limit_set(portfolio_id=book.pk, kind=kind, soft=soft, hard=hard, reason="test", **two, active_from=at)
print("book", book.pk)
"""


@pytest.fixture(scope="module")
def book(desk: Desk) -> int:
    """A portfolio of the trader's own, so that closing all its positions takes nothing from other tests."""
    command = [sys.executable, str(ROOT / "manage.py"), "shell", "--no-imports", "-c", OPEN_A_BOOK]
    made = subprocess.run(command, env=desk.environment, capture_output=True, text=True, check=False, timeout=120)
    assert made.returncode == 0, made.stderr
    return int(made.stdout.split()[-1])


def ready(page: Page, sentence: str) -> Locator:
    """The ticket's button, once the checks let it say what it sends."""
    button = page.locator("#ticket-submit")
    expect(button).to_contain_text(sentence)
    expect(button).to_be_enabled()
    return button


def test_an_order_by_keyboard_alone_is_one_order(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("trader")
    expect(page.locator("tr[data-key=IBM]")).to_be_visible()
    page.keyboard.press("b")
    expect(page.get_by_role("dialog", name="Order ticket")).to_be_visible()
    expect(page.locator("#t-symbol")).to_be_focused()
    page.keyboard.type("ibm")
    page.keyboard.press("Tab")
    expect(page.locator("#t-quantity")).to_be_focused()
    page.keyboard.type("99")
    page.keyboard.press("ArrowUp")
    ready(page, "Buy 100 IBM at market")
    page.keyboard.press("Control+Enter")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#ticket-sent tr[data-key]")).to_have_count(1)
    expect(page.locator("#ticket-sent tr[data-key]").first).to_contain_text("filled")
    assert page.url == f"{desk.url}/"  # the page that was there is still there


def test_a_ticket_beside_the_page_is_that_of_the_row_and_gives_the_focus_back(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("trader")
    page.goto(f"{desk.url}/trades?tab=all")
    row = page.locator("tr[data-key]").first
    symbol = row.locator("th a").inner_text()
    row.locator("[data-expand]").focus()
    page.keyboard.press("s")
    panel = page.get_by_role("dialog", name="Order ticket")
    expect(panel.locator("#t-symbol")).to_have_value(symbol)
    expect(panel.locator("[name=side][value=sell]")).to_be_checked()
    expect(panel.locator("#t-quantity")).to_be_focused()
    page.keyboard.type("7")
    expect(page.locator("#ticket-checks .check")).not_to_have_count(0)
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(row.locator("[data-expand]")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("d")  # the same order once more
    expect(panel.locator("#t-symbol")).to_have_value(symbol)
    expect(panel.locator("#t-quantity")).not_to_have_value("")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    page.keyboard.press("n")
    expect(panel.locator("#t-symbol")).to_be_visible()
    panel.get_by_role("link", name="Open as a page").click()
    page.wait_for_url(f"{desk.url}/trade")
    expect(page.locator("#t-symbol")).to_have_value(symbol)


def test_a_ticket_that_is_being_sent_stays_until_it_is_known_what_became_of_it(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("trader")
    page.goto(f"{desk.url}/instruments/IBM")
    page.keyboard.press("b")
    panel = page.get_by_role("dialog", name="Order ticket")
    panel.locator("#t-symbol").fill("IBM")
    panel.locator("#t-quantity").fill("2")
    held: list[Route] = []
    page.route("**/api/v1/orders/", lambda route: held.append(route), times=1)
    ready(page, "Buy 2 IBM at market").click()
    expect(page.locator("#ticket-submit")).to_contain_text("Sending")
    close = page.get_by_role("button", name="Close the ticket")
    close.click()
    held[0].continue_()
    expect(panel.locator("#ticket-sent tr[data-key]")).to_have_count(1)
    close.click()
    expect(panel).to_be_hidden()


def test_an_answer_that_is_lost_makes_no_second_order(sign_in: SignIn, desk: Desk, watch: Watch) -> None:
    page = sign_in("trader")
    page.goto(f"{desk.url}/trade?symbol=IBM&side=buy&quantity=3")

    def lose(route: Route) -> None:
        route.fetch()  # the server has the order
        route.abort()

    page.route("**/api/v1/orders/", lose, times=1)
    ready(page, "Buy 3 IBM at market").click()
    again = page.get_by_role("button", name="Send again (same order)")
    expect(again).to_be_enabled()
    watch.errors.clear()  # the browser notes the request that failed
    page.reload()
    expect(again).to_be_enabled()
    expect(page.locator("#ticket > .fields")).to_have_attribute("inert", "")
    key = page.locator("#ticket-key").inner_text()
    again.click()
    expect(page.locator("#ticket-sent tr[data-key]")).to_have_count(1)
    expect(page.locator("#ticket-sent tr[data-key]").first).to_contain_text("buy 3 IBM")
    expect(page.locator("#ticket > .fields")).not_to_have_attribute("inert", "")
    expect(page.locator("#ticket-key")).not_to_have_text(key)
    orders = page.request.get(f"{desk.url}/api/v1/orders/?symbol=IBM&side=buy&limit=50").json()["results"]
    assert sum(order["client_order_id"].startswith(key) for order in orders) == 1


def test_a_draft_of_one_portfolio_is_none_of_another(sign_in: SignIn, desk: Desk, book: int) -> None:
    page = sign_in("trader")
    page.goto(f"{desk.url}/trade?symbol=IBM&side=buy&quantity=11")
    ready(page, "Buy 11 IBM at market for")
    page.goto(f"{desk.url}/trade")
    expect(page.locator("#t-quantity")).to_have_value("11")
    page.goto(f"{desk.url}/trade?portfolio={book}")
    expect(page.locator("#t-portfolio")).to_have_value(str(book))
    expect(page.locator("#t-quantity")).to_have_value("")


def test_an_amount_becomes_shares_and_the_cost_shows_cash_and_position_after(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("trader")
    page.goto(f"{desk.url}/trade?symbol=IBM&side=buy&quantity=5000")
    page.select_option("#t-unit", "money")
    expect(page.locator("#t-shares")).to_contain_text(re.compile(r"= \d+ shares at \d"))
    expect(page.locator("#ticket-submit")).to_contain_text(re.compile(r"Buy \d+ IBM at market"))
    expect(page.locator("#ticket-cost")).to_contain_text("Cash now → after")
    expect(page.locator("#ticket-cost")).to_contain_text("Position now → after")
    page.fill("#t-quantity", "1.1234567")
    page.select_option("#t-unit", "shares")
    expect(page.locator("[data-error=quantity]")).to_contain_text("six decimal places")
    expect(page.locator("#t-quantity")).to_have_attribute("aria-invalid", "true")


def test_a_sizer_says_how_it_came_to_its_shares_and_they_are_taken_over_by_keyboard(sign_in: SignIn, desk: Desk, watch: Watch) -> None:
    page = sign_in("trader")
    page.goto(f"{desk.url}/trade?symbol=IBM&side=buy")
    last_price(page)
    page.locator("#t-unit").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # opens the sizer
    expect(page.locator("#z-take")).to_contain_text("Take over")
    expect(page.locator("#z-facts")).to_contain_text("equity × risk ÷ distance to the stop")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator("#z-risk_pct")).to_be_focused()
    page.keyboard.type("200")
    expect(page.locator("[data-error='sizer/risk_pct']")).to_contain_text("no fraction")
    expect(page.locator("#z-take")).to_be_disabled()
    assert all("400" in error for error in watch.errors)  # the browser notes each refusal, and this one was wanted
    watch.errors.clear()
    page.locator("#z-risk_pct").fill("0.1")
    expect(page.locator("#z-facts")).to_contain_text("0.1 %")
    shares = re.sub(r"[^0-9]", "", page.locator("#z-take").inner_text())
    page.keyboard.press("Enter")
    expect(page.locator("#t-quantity")).to_be_focused()
    expect(page.locator("#t-quantity")).to_have_value(shares)
    ready(page, f"Buy {int(shares):,} IBM at market")
    expect(page.locator("#ticket-impact")).to_contain_text(re.compile(r"Value at risk, historical\$[\d,.]+ → \$[\d,.]+ \("))
    expect(page.locator("#ticket-impact")).to_contain_text("Worst stress loss")
    page.select_option("#z-type", "target_volatility")
    expect(page.locator("#z-window")).to_be_visible()
    expect(page.locator("#z-said")).to_contain_text("The formula gives")


def last_price(page: Page) -> float:
    last = page.locator("#t-quote [data-part=last]")
    expect(last).not_to_have_text("—")
    return float(last.inner_text().replace(",", ""))


def test_a_bracket_and_an_algorithm_go_out_from_the_ticket(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("trader")
    page.goto(f"{desk.url}/trade?symbol=IBM&side=buy&quantity=10")
    price = last_price(page)
    page.click("#t-bracket summary")
    page.fill("#t-profit", f"{price * 1.04:.2f}")
    page.fill("#t-loss", f"{price * 0.96:.2f}")
    ready(page, "Buy 10 IBM at market with exits").click()
    expect(page.locator("#ticket-sent tr[data-key]").first).to_contain_text("buy 10 IBM")
    page.goto(f"{desk.url}/trade?symbol=IBM&side=buy&quantity=50")
    page.select_option("#t-type", "twap")
    expect(page.locator("#t-slices")).to_be_visible()
    expect(page.locator("#t-tif")).to_be_hidden()
    ready(page, "Buy 50 IBM at market by TWAP").click()
    expect(page.locator("#ticket-sent tr[data-key^=parent]")).to_contain_text("TWAP")
    page.goto(f"{desk.url}/algos")
    expect(page.locator("main")).to_contain_text("TWAP")


def rest(page: Page, desk: Desk, symbol: str, quantity: int) -> None:
    """Leave a stop order in the market that no price of the replay comes to."""
    page.goto(f"{desk.url}/trade?symbol={symbol}&side=buy&quantity={quantity}&order_type=stop&time_in_force=gtc")
    page.fill("#t-stop", f"{last_price(page) * 4:.2f}")
    ready(page, f"Buy {quantity} {symbol} stop").click()
    expect(page.locator("#ticket-sent tr[data-key]").first).to_contain_text("new")


def test_a_working_order_comes_to_the_blotter_and_is_changed_cancelled_and_explained_by_keyboard(sign_in: SignIn, desk: Desk) -> None:
    page, ticket = sign_in("trader"), sign_in("trader")
    page.goto(f"{desk.url}/trades?symbol=AAPL")
    rest(ticket, desk, "AAPL", 3)
    row = page.locator("#blotter tbody tr[data-key]").first  # it comes by itself
    expect(row).to_contain_text("AAPL")
    expect(row.locator("[data-field=status]")).to_have_text("new")
    page.locator("#blotter").focus()
    page.keyboard.press("j")
    page.keyboard.press("e")
    price = page.locator("tr.detail input[name=stop_price]")
    expect(price).to_be_focused()
    price.fill(f"{float(price.input_value()) + 1:.2f}")
    page.keyboard.press("Enter")
    expect(page.locator(".alert")).to_contain_text("is new")
    expect(page.locator(".timeline")).to_contain_text("replaced")
    page.goto(f"{desk.url}/trades?symbol=AAPL")
    page.locator("#blotter").focus()
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("#blotter tr.at [data-act=cancel]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".alert")).to_contain_text("is canceled")
    page.goto(f"{desk.url}/trades?tab=filled")
    page.locator("#blotter [data-expand]").first.click()
    life = page.locator("tr.detail")
    expect(life).to_contain_text("Matched against")
    expect(life.locator(".timeline")).to_contain_text("by gate")


def test_many_are_cancelled_after_a_look_at_the_list(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("trader")
    rest(page, desk, "AAPL", 2)
    page.goto(f"{desk.url}/trades?symbol=AAPL&side=buy")
    page.click("#cancel-all")
    expect(page.locator("main")).to_contain_text("What has traded stays traded")
    page.click("main button.btn-danger")
    expect(page.locator(".alert")).to_contain_text("cancelled, or being cancelled")
    expect(page.locator("#blotter")).to_contain_text("No working orders")


def stop(page: Page, level: str, reason: str) -> None:
    page.keyboard.press("Shift+H")
    expect(page.locator("#halt-dialog")).to_be_visible()
    expect(page.locator("#halt-reason")).to_be_focused()
    page.check(f"#halt-{level}")
    page.fill("#halt-reason", reason)
    page.locator("#halt-dialog button.btn-danger").click()
    expect(page.locator("#halt-banner")).to_contain_text(reason)


def choose(page: Page, book: int) -> None:
    page.select_option("#portfolio-picker", str(book))
    expect(page.locator("#portfolio-picker")).to_have_value(str(book))
    page.wait_for_load_state("load")


def test_the_three_levels_of_the_kill_switch_and_the_release_by_two(sign_in: SignIn, desk: Desk, book: int) -> None:
    trader, risk, second = sign_in("trader"), sign_in("risk"), sign_in("compliance")
    for page in (trader, risk, second):
        choose(page, book)
    trader.goto(f"{desk.url}/trade?symbol=IBM&side=buy&quantity=10")
    trader.select_option("#t-book", "swing")
    ready(trader, "Buy 10 IBM at market").click()
    expect(trader.locator("#ticket-sent tr[data-key]").first).to_contain_text("filled")

    stop(trader, "pause", "too large")
    expect(trader.locator("#halt-button")).to_contain_text("reducing")
    trader.goto(f"{desk.url}/trade?symbol=IBM&side=buy&quantity=10")
    expect(trader.locator("#ticket-checks")).to_contain_text("REDUCING_ONLY")
    trader.goto(f"{desk.url}/portfolios/{book}")
    trader.get_by_role("link", name="Close the position in IBM").focus()
    trader.keyboard.press("c")
    expect(trader.locator("#t-book")).to_have_value("swing")
    ready(trader, "Sell 10 IBM at market")

    trader.click("#halt-button")
    expect(trader.locator("[data-count=flatten]")).to_contain_text("1 position worth $")
    expect(trader.locator("#halt-reason")).to_be_focused()  # opened to the end: a dialog that opens cannot be closed
    trader.keyboard.press("Escape")
    expect(trader.locator("#halt-button")).to_be_focused()  # closed to the end: until the field has lost the focus, keys are text
    expect(trader.locator("#halt-dialog")).to_be_hidden()
    stop(trader, "flatten", "out of everything")
    expect(trader.locator("#halt-banner")).to_contain_text("FLATTENING")
    trader.goto(f"{desk.url}/trades?tab=filled&strategy=flatten")
    expect(trader.locator("#blotter tbody tr[data-key]").first).to_contain_text("IBM")

    trader.keyboard.press("Shift+H")
    expect(trader.locator("#halt-reason")).to_be_focused()
    trader.keyboard.press("Enter")  # two keys stop everything
    expect(trader.locator("#halt-banner")).to_contain_text("Stopped by hand")
    expect(trader.locator("#halt-button")).to_contain_text("halted")
    trader.click("#halt-button")
    expect(trader.locator("#halt-flatten")).to_be_disabled()
    risk.goto(f"{desk.url}/risk")
    expect(risk.locator("#halt-banner")).to_contain_text("Stopped by hand")
    release_the_desk(risk, second, desk)
    expect(trader.locator("#halt-banner")).to_be_hidden()
    expect(trader.locator("#halt-button")).to_contain_text("active")
