from decimal import Decimal
from uuid import UUID

import pytest

from apps.core.errors import InvalidInput, NotFound, NotPermitted
from apps.core.roles import Role
from apps.core.trading import OrderType, Side, TimeInForce
from apps.execution.services.intents import intent_build
from apps.execution.tests.factories import make_user
from apps.marketdata.models import Instrument
from apps.portfolios.models import PortfolioRole
from apps.portfolios.services.portfolios import membership_grant


def test_intent_build_when_valid(desk):
    intent = desk.intent(
        quantity="10", side="sell", order_type="stop_limit", limit_price="99.50", stop_price="100.00", time_in_force="gtc", strategy="sma_cross"
    )
    assert (intent.side, intent.order_type, intent.time_in_force) == (Side.SELL, OrderType.STOP_LIMIT, TimeInForce.GTC)
    assert (intent.quantity, intent.limit_price, intent.stop_price) == (Decimal(10), Decimal("99.50"), Decimal("100.00"))
    assert isinstance(intent.client_order_id, UUID)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"side": "short"}, "side"),
        ({"quantity": "0"}, "quantity"),
        ({"quantity": "-1"}, "quantity"),
        ({"quantity": "1.5"}, "quantity"),
        ({"quantity": "1.0000001"}, "quantity"),
        ({"quantity": "NaN"}, "quantity"),
        ({"quantity": "ten"}, "quantity"),
        ({"quantity": "1000000000000"}, "quantity"),
        ({"order_type": "trailing"}, "order_type"),
        ({"time_in_force": "gtx"}, "time_in_force"),
        ({"time_in_force": "gtd"}, "expire_at"),
        ({"order_type": "trailing_stop"}, "trail_offset"),
        ({"trail_offset": "1"}, "trail_offset"),
        ({"order_type": "market_on_close", "time_in_force": "gtc"}, "time_in_force"),
        ({"limit_price": "100"}, "limit_price"),
        ({"stop_price": "100"}, "stop_price"),
        ({"order_type": "limit"}, "limit_price"),
        ({"order_type": "stop"}, "stop_price"),
        ({"order_type": "stop_limit", "limit_price": "100"}, "stop_price"),
        ({"order_type": "limit", "limit_price": "0"}, "limit_price"),
        ({"order_type": "limit", "limit_price": "100.001"}, "limit_price"),
        ({"client_order_id": "mine"}, "client_order_id"),
        ({"strategy": "naïve"}, "strategy"),
    ],
)
def test_intent_build_when_a_field_is_wrong_then_names_it(desk, fields, field):
    with pytest.raises(InvalidInput) as caught:
        desk.intent(**fields)
    assert caught.value.field == field


def test_intent_build_when_fractions_are_allowed(desk):
    Instrument.objects.filter(pk=desk.instrument.pk).update(lot_size=Decimal("0.000001"))
    assert desk.intent(quantity="0.123456").quantity == Decimal("0.123456")


@pytest.mark.parametrize(("fields", "field"), [({"symbol": "AAPLE"}, "symbol"), ({"book": "secret"}, "book")])
def test_intent_build_when_nothing_has_that_name(desk, fields, field):
    with pytest.raises(NotFound) as caught:
        desk.intent(**fields)
    assert caught.value.field == field
    assert not Instrument.objects.filter(symbol="AAPLE").exists()


def test_intent_build_when_the_portfolio_is_somebody_elses_then_it_does_not_exist(desk):
    with pytest.raises(NotFound):
        desk.intent(user=make_user("stranger", Role.TRADER))


@pytest.mark.parametrize(("roles", "membership"), [((Role.TRADER,), PortfolioRole.VIEWER), ((Role.AUDITOR,), PortfolioRole.MANAGER)])
def test_intent_build_when_the_user_may_only_look(desk, roles, membership):
    watcher = make_user("watcher", *roles)
    membership_grant(portfolio_id=desk.portfolio.pk, user_id=watcher.pk, role=membership)
    with pytest.raises(NotPermitted, match="may not place orders"):
        intent_build(user=watcher, portfolio_id=desk.portfolio.pk, symbol="AAPL", side="buy", quantity="1")
