"""A small trading desk for tests of this app and of those above it: a trader, a portfolio with an account and limits, prices."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group

from apps.core import clock
from apps.core.models import User
from apps.core.roles import Role
from apps.core.trading import OrderIntent
from apps.execution.models import BrokerageAccount, Order
from apps.execution.services.accounts import paper_account_create
from apps.execution.services.intents import intent_build
from apps.execution.services.orders import order_submit
from apps.marketdata.models import Instrument
from apps.marketdata.selectors.quotes import Quote
from apps.marketdata.services.quotes import quotes_publish
from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import InstrumentFactory, PortfolioFactory, UserFactory
from apps.risk.tests.factories import limits_make

#: Wide enough that nothing but the case under test is refused.
WIDE_LIMITS = {
    "position_size": "1000000",
    "position_value": "100000000",
    "total_exposure": "100000000",
    "order_rate": "10000",
    "symbol_order_rate": "10000",
    "price_collar": "0.5",
    "duplicate_window": "0.000001",
    "strategy_order_rate": "10000",
    "order_size": "1000000",
    "order_value": "100000000",
    "unknown_adv_value": "100000000",
    "adv_share": "1",
    "collar_tier_1": "0.5",
    "collar_tier_2": "0.5",
    "collar_low_price": "0.5",
}


def make_user(username: str, *roles: Role) -> User:
    """A user with the permissions of these roles."""
    user = UserFactory(username=username)
    user.groups.set(Group.objects.filter(name__in=[role.value for role in roles]))
    return User.objects.get(pk=user.pk)  # without cached permissions


def quote(symbol: str, price: str, *, at: datetime | None = None, market_time: datetime | None = None, **live: Any) -> None:
    """Make this the symbol's latest price, fresh unless `at` says otherwise. `live` is what a live feed adds: bid, ask, their sizes as text, and
    their `quote_time` where it is not that of the price."""
    received_at = at or clock.now()
    if live:
        quoted = live.pop("quote_time", market_time or received_at)
        live = {name: Decimal(value) for name, value in live.items()} | {"quote_time": quoted, "count": 1}
    instrument = Instrument.objects.get(symbol=symbol)
    quotes_publish(
        quotes=[
            Quote(
                symbol=symbol,
                instrument_id=instrument.pk,
                price=Decimal(price),
                market_time=market_time or received_at,
                received_at=received_at,
                feed="test",
                **live,
            )
        ],
        feed="test",
    )


def noon_at(at: datetime) -> timezone:
    """A time zone in which it is noon at that time, give or take an hour: nothing that follows soon meets a midnight there."""
    return timezone(timedelta(hours=12 - at.astimezone(UTC).hour))


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A trader who may trade `portfolio` through `account`; AAPL at 100."""

    trader: User
    portfolio: Portfolio
    account: BrokerageAccount
    instrument: Instrument

    def intent(self, **fields: Any) -> OrderIntent:
        """Buy 10 AAPL at the market, unless `fields` say otherwise."""
        wanted = {"user": self.trader, "portfolio_id": self.portfolio.pk, "symbol": "AAPL", "side": "buy", "quantity": "10"}
        return intent_build(**{**wanted, **fields})

    def submit(self, *, at: datetime | None = None, **fields: Any) -> Order:
        """The order of such an intent."""
        return order_submit(intent=self.intent(**fields), user=self.trader, at=at or clock.now())


def make_desk(*, capital: str = "100000", slippage_bps: str = "5", commission: str = "1", **limits: str) -> Desk:
    """The desk, with wide limits where `limits` (by kind) set no others."""
    now = clock.now()
    trader = make_user("trader-of-tests", Role.TRADER)
    instrument = InstrumentFactory(symbol="AAPL")
    portfolio = PortfolioFactory(owner=trader, initial_capital=Decimal(capital))
    make_limits(portfolio, at=now, **limits)
    account = paper_account_create(portfolio_id=portfolio.pk, slippage_bps=Decimal(slippage_bps), commission=Decimal(commission))
    quote("AAPL", "100")
    return Desk(trader=trader, portfolio=portfolio, account=account, instrument=instrument)


def make_limits(portfolio: Portfolio, *, at: datetime, **limits: str) -> None:
    """Limits in force since a minute before `at`."""
    names = ("risk-of-tests", "second-risk-of-tests")
    first, second = (User.objects.filter(username=name).first() or make_user(name, Role.RISK) for name in names)
    levels = {kind: (None, hard) for kind, hard in (WIDE_LIMITS | limits).items()}
    limits_make(portfolio.pk, levels, at=at - timedelta(minutes=1), users=(first, second))
