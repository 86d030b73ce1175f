"""Compliance's part of the gate on the real database: each refusal beside the order that passes."""

from datetime import date, timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.compliance.domain.account_checks import AccountFacts
from apps.compliance.domain.regimes import AccountTerms
from apps.compliance.models import Restriction
from apps.compliance.services.pretrade import order_check
from apps.compliance.tests.factories import NOW, RestrictionFactory
from apps.core.roles import Role
from apps.core.trading import OrderIntent, OrderType, Outcome, PreTradeSnapshot, Side, TimeInForce
from apps.marketdata.selectors.market_facts import market_facts
from apps.portfolios.models import Book, PortfolioMembership, PortfolioRole
from apps.portfolios.selectors.membership import tradable_currency
from apps.portfolios.tests.factories import InstrumentFactory, PortfolioFactory, PortfolioMembershipFactory, UserFactory

pytestmark = pytest.mark.django_db
CASH = AccountFacts(terms=AccountTerms(), day=NOW.date(), held={}, prices={})


class Desk:
    def __init__(self) -> None:
        self.trader = UserFactory()
        self.trader.groups.add(Group.objects.get(name=Role.TRADER.value))
        self.portfolio = PortfolioFactory()
        PortfolioMembershipFactory(portfolio=self.portfolio, user=self.trader, role=PortfolioRole.TRADER)
        self.instrument = InstrumentFactory()

    def check(self, **changes):
        intent = OrderIntent(
            client_order_id=uuid4(),
            portfolio_id=self.portfolio.pk,
            book_id=Book.objects.get(portfolio=self.portfolio).pk,
            instrument_id=self.instrument.pk,
            symbol=self.instrument.symbol,
            side=Side.BUY,
            quantity=1,
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.DAY,
        )
        given = {
            "intent": intent,
            "working_orders": (),
            "reference": None,
            "orders_last_minute": 0,
            "symbol_orders_last_minute": 0,
            "user_id": self.trader.pk,
            "as_of": NOW,
            "market": market_facts(intent.symbol, market_time=NOW),
        }
        return order_check(snapshot=PreTradeSnapshot(**(given | changes)), account=CASH)


@pytest.fixture
def desk() -> Desk:
    """A desk whose order passes: each test changes one thing."""
    desk = Desk()
    assert desk.check().allowed
    return desk


def blocking(verdict) -> list[str]:
    return [check.code for check in verdict.blocking]


def test_every_check_is_answered(desk) -> None:
    verdict = desk.check()
    assert verdict.authority == "compliance"
    assert [check.code for check in verdict.checks] == [
        "MARKET_HALTED",
        "PRICE_BAND",
        "INSTRUMENT_NOT_TRADABLE",
        "RESTRICTED_INSTRUMENT",
        "WATCHED_INSTRUMENT",
        "USER_NOT_PERMITTED",
        "DAY_TRADE_LIMIT",
        "SHORT_SALE_PRICE",
    ]


def test_a_restricted_instrument_blocks_in_its_time_and_scope(desk) -> None:
    entry = RestrictionFactory(instrument=desk.instrument, active_to=NOW + timedelta(seconds=1))
    assert blocking(desk.check()) == ["RESTRICTED_INSTRUMENT"]
    assert desk.check(as_of=NOW + timedelta(seconds=1)).allowed
    assert desk.check(as_of=entry.active_from - timedelta(seconds=1)).allowed
    Restriction.objects.filter(pk=entry.pk).update(portfolio=PortfolioFactory())
    assert desk.check().allowed
    Restriction.objects.filter(pk=entry.pk).update(portfolio=desk.portfolio)
    assert blocking(desk.check()) == ["RESTRICTED_INSTRUMENT"]


def test_a_watched_instrument_warns_without_telling_why(desk) -> None:
    RestrictionFactory(instrument=desk.instrument, level="watch", reason="Merger talks")
    verdict = desk.check()
    assert verdict.allowed
    warning = next(check for check in verdict.checks if check.outcome is Outcome.WARN)
    assert warning.code == "WATCHED_INSTRUMENT"
    assert "Merger" not in warning.message


@pytest.mark.parametrize("change", [{"tradable": False}, {"delisted_on": date(2000, 1, 3)}])
def test_an_instrument_that_cannot_be_traded_blocks(desk, change) -> None:
    type(desk.instrument).objects.filter(pk=desk.instrument.pk).update(**change)
    assert blocking(desk.check()) == ["INSTRUMENT_NOT_TRADABLE"]


def test_a_symbol_that_no_instrument_has_blocks(desk) -> None:
    type(desk.instrument).objects.filter(pk=desk.instrument.pk).update(symbol="RENAMED")
    assert blocking(desk.check()) == ["MARKET_STATE_UNKNOWN", "INSTRUMENT_NOT_TRADABLE"]


def test_a_user_who_may_not_trade_here_blocks(desk) -> None:
    assert blocking(desk.check(user_id=None)) == ["USER_NOT_PERMITTED"]
    assert blocking(desk.check(user_id=0)) == ["USER_NOT_PERMITTED"]
    PortfolioMembership.objects.filter(user=desk.trader).update(role=PortfolioRole.VIEWER)
    assert blocking(desk.check()) == ["USER_NOT_PERMITTED"]
    PortfolioMembership.objects.filter(user=desk.trader).update(role=PortfolioRole.TRADER)
    assert desk.check().allowed
    desk.trader.groups.clear()
    assert blocking(desk.check()) == ["USER_NOT_PERMITTED"]


def test_an_inactive_user_blocks(desk) -> None:
    type(desk.trader).objects.filter(pk=desk.trader.pk).update(is_active=False)
    assert blocking(desk.check()) == ["USER_NOT_PERMITTED"]


def test_an_exception_inside_blocks(desk, monkeypatch, caplog) -> None:
    def broken(*args, **kwargs):
        with connection.cursor() as cursor:
            cursor.execute("select * from no_such_table")

    monkeypatch.setattr("apps.compliance.services.pretrade.at_gate", broken)
    assert blocking(desk.check()) == ["CHECK_FAILED"]
    assert "no_such_table" in caplog.text
    assert Restriction.objects.count() == 0  # the outer transaction still answers


def test_few_queries(desk) -> None:
    RestrictionFactory(instrument=desk.instrument, level="watch")
    with CaptureQueriesContext(connection) as queries:
        desk.check()
    assert len(queries) <= 6  # one of them makes the snapshot's book, two the savepoint


def test_permission_by_group_by_user_and_by_superuser_as_django_says(desk) -> None:
    def agree() -> bool:
        fresh = type(desk.trader).objects.get(pk=desk.trader.pk)
        may = tradable_currency(user_id=fresh.pk, portfolio_id=desk.portfolio.pk) is not None
        assert may is fresh.has_perm("execution.add_order")
        return fresh.has_perm("execution.add_order")

    assert agree()
    desk.trader.groups.clear()
    assert not agree()
    desk.trader.user_permissions.add(Permission.objects.get(codename="add_order", content_type__app_label="execution"))
    assert agree()
    desk.trader.user_permissions.clear()
    type(desk.trader).objects.filter(pk=desk.trader.pk).update(is_superuser=True)
    assert agree()
    type(desk.trader).objects.filter(pk=desk.trader.pk).update(is_active=False)
    assert not agree()


def test_a_closed_portfolio_blocks(desk) -> None:
    type(desk.portfolio).objects.filter(pk=desk.portfolio.pk).update(status="closed")
    assert blocking(desk.check()) == ["USER_NOT_PERMITTED"]
