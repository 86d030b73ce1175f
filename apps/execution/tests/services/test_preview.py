from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from unittest.mock import Mock

import pytest
from django.apps import apps as django_apps

from apps.core import clock
from apps.core.errors import Conflict
from apps.core.roles import Role
from apps.execution.models import BrokerageAccount, Order, OrderPreview
from apps.execution.selectors.orders import order_detail
from apps.execution.services.accounts import alpaca_account_create, ib_account_create
from apps.execution.services.orders import order_submit
from apps.execution.services.preview import order_preview
from apps.execution.tests.factories import make_user, quote
from apps.marketdata.selectors.bars import visible_end
from apps.marketdata.tests.factories import make_series, store_series


def preview(desk, **fields):
    return order_preview(intent=desk.intent(**fields), user=desk.trader, at=clock.now())


def test_the_preview_says_what_the_order_then_costs(desk):
    seen = preview(desk)
    assert seen.allowed
    assert (seen.estimated_price, seen.estimated_value) == (Decimal("100.05"), Decimal("1000.5000"))
    assert (seen.estimated_slippage, seen.commission) == (Decimal("0.5000"), Decimal("1.0000"))
    assert (seen.cash_before, seen.cash_after) == (Decimal(100_000), Decimal("98998.50"))
    assert (seen.position_before, seen.position_after) == (0, 10)
    desk.submit()
    assert preview(desk, side="sell").cash_before == seen.cash_after


def test_the_preview_says_what_the_order_does_to_risk(desk):
    """Bars of the last sessions, whatever day it is; 100 shares at 100 in an instrument that moves 2 % up and down."""
    end = visible_end(clock.now())
    store_series(make_series("AAPL", [100.0, 102.0] * 260, start=end - timedelta(days=730)), recorded_at=clock.now())
    short = preview(desk, quantity="100")
    assert {change.state for change in short.impact.changes[:4]} == {"ok"}
    assert (short.impact.var.before, short.impact.var.after) == (0.0, pytest.approx(10_000 * 2 / 102))
    desk.submit(quantity="50")
    kept = OrderPreview.objects.get(pk=preview(desk, quantity="100").preview_id).content["impact"]
    assert [(row["name"], row["before"], row["after"]) for row in kept[:1]] == [("var", "98.04", "294.12")]


def test_what_cannot_be_known_of_risk_is_said_and_stops_no_preview(desk, monkeypatch):
    assert {(change.state, change.note) for change in preview(desk).impact.changes[:4]} == {("no_history", "AAPL")}
    monkeypatch.setattr("apps.risk.services.pretrade_risk.held_risk", Mock(side_effect=RuntimeError))
    seen = preview(desk, quantity="11")
    assert (seen.allowed, seen.impact) == (True, None)


def test_the_preview_judges_as_the_gate_does_and_makes_no_order(desk):
    intent = desk.intent(quantity="100000")
    seen = order_preview(intent=intent, user=desk.trader, at=clock.now())
    assert not seen.allowed
    assert not Order.objects.exists()
    order = order_submit(intent=intent, user=desk.trader, at=clock.now())
    blocked = [check.code for _, check in seen.checks if check.outcome == "block"]
    assert order.reason == ", ".join(blocked)
    assert {authority for authority, _ in seen.checks} == {"risk", "compliance"}


@pytest.mark.parametrize(
    ("fields", "price"),
    [
        ({"side": "sell"}, "99.95"),
        ({"order_type": "limit", "limit_price": "99.50"}, "99.50"),
        ({"order_type": "stop", "stop_price": "102"}, "102.051"),
        ({"order_type": "stop_limit", "stop_price": "102", "limit_price": "103"}, "103"),
    ],
)
def test_the_estimated_price(desk, fields, price):
    assert preview(desk, **fields).estimated_price == Decimal(price)


@pytest.mark.parametrize(("side", "price", "slippage"), [("buy", "100.25010", "2.5010"), ("sell", "99.75010", "2.4990")])
def test_the_estimated_price_is_that_of_the_other_side_of_the_book(desk, side, price, slippage):
    quote("AAPL", "100", bid="99.80", ask="100.20")
    seen = preview(desk, side=side)
    assert (seen.estimated_price, seen.estimated_slippage) == (Decimal(price), Decimal(slippage))


@pytest.mark.parametrize(
    ("make", "number", "commission"), [(ib_account_create, "DU1234567", "4.9500"), (alpaca_account_create, "PA3ABCDEFGHI", "0.0000")]
)
def test_a_real_brokers_costs_are_estimated(desk, make, number, commission):
    desk.account.delete()
    account = make(portfolio_id=desk.portfolio.pk, number=number)
    assert make(portfolio_id=desk.portfolio.pk, number=number) == account
    seen = preview(desk, quantity="990")
    assert (seen.estimated_price, seen.estimated_slippage) == (Decimal("100.05"), Decimal("49.5000"))
    assert str(seen.commission) == commission
    assert seen.cash_after == seen.cash_before - seen.estimated_value - seen.commission


def test_accounts_that_were_made_without_costs_get_those_of_new_ones(desk):
    desk.account.delete()
    made = ib_account_create(portfolio_id=desk.portfolio.pk, number="DU1234567")
    estimates = {name: getattr(made, name) for name in ("slippage_bps", "commission", "commission_per_share", "commission_cap")}
    migrate = import_module("apps.execution.migrations.0017_costs_of_real_brokers").estimate
    BrokerageAccount.objects.update(slippage_bps=0, commission=0, commission_per_share=0, commission_cap=None)
    migrate(django_apps, None)
    assert BrokerageAccount.objects.values(*estimates).get() == estimates
    BrokerageAccount.objects.update(slippage_bps=0, commission=2)
    migrate(django_apps, None)
    assert BrokerageAccount.objects.get().slippage_bps == 0  # somebody has set it so


def test_without_an_account_nothing_can_be_said(desk):
    intent = desk.intent()
    desk.account.delete()
    with pytest.raises(Conflict):
        order_preview(intent=intent, user=desk.trader, at=clock.now())


def compared(desk, order):
    return order_detail(user=desk.trader, order_id=order.pk).preview


def test_the_preview_is_kept_and_compared_with_what_became_of_the_order(desk):
    intent = desk.intent()
    seen = order_preview(intent=intent, user=desk.trader, at=clock.now())
    kept = OrderPreview.objects.get(pk=seen.preview_id)
    assert (kept.intent_digest, kept.allowed, kept.content["estimated_value"]) == (intent.digest, True, "1000.5000")
    quote("AAPL", "101")
    found = compared(desk, order_submit(intent=intent, user=desk.trader, at=clock.now()))
    assert found["id"] == seen.preview_id
    assert (found["estimated_price"], found["actual_price"], found["price_difference_bps"]) == ("100.05", "101.0505", "100.0")
    assert (found["estimated_value"], found["actual_value"]) == ("1000.5", "1010.505")
    assert (found["estimated_fee"], found["actual_fee"], found["cost_difference"]) == ("1", "1", "10.005")
    assert {check["code"] for check in found["checks"]} >= {"DUPLICATE", "ADV_LIMIT", "MARKET_HALTED"}


def test_an_order_under_an_id_of_its_own_finds_the_preview_of_its_terms(desk):
    preview(desk, quantity="11")
    wanted = preview(desk)
    assert compared(desk, desk.submit())["id"] == wanted.preview_id
    assert compared(desk, desk.submit(quantity="12")) is None


def test_neither_anothers_nor_an_old_preview_counts(desk):
    other = make_user("other", Role.TRADER)
    intent = desk.intent()
    order_preview(intent=intent, user=other, at=clock.now())
    order_preview(intent=intent, user=desk.trader, at=clock.now() - timedelta(minutes=11))
    assert compared(desk, desk.submit()) is None


def test_a_working_order_has_estimates_and_no_outcome_yet(desk):
    preview(desk, order_type="limit", limit_price="90")
    found = compared(desk, desk.submit(order_type="limit", limit_price="90"))
    assert (found["estimated_price"], found["actual_price"], found["cost_difference"]) == ("90", None, None)
