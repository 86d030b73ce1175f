"""A desk with people in their roles, a portfolio with limits, and live prices."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import factory
from django.contrib.auth.models import Group

from apps.core.roles import Role
from apps.core.trading import OrderIntent, OrderType, PreTradeSnapshot, Side, TimeInForce
from apps.marketdata.selectors.quotes import Quote, reference_prices
from apps.marketdata.services.quotes import quotes_publish
from apps.portfolios.models import Book, PortfolioRole
from apps.portfolios.tests.factories import InstrumentFactory, LedgerEntryFactory, PortfolioFactory, PortfolioMembershipFactory, UserFactory
from apps.risk.models import RiskLimit

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)

LEVELS = {
    "position_size": ("", "10000"),
    "position_value": ("", "50000"),
    "total_exposure": ("", "90000"),
    "order_rate": ("", "60"),
    "symbol_order_rate": ("", "20"),
    "price_collar": ("0.03", "0.10"),
    "daily_loss": ("0.02", "0.04"),
    "drawdown": ("0.05", "0.10"),
}


class RiskLimitFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = RiskLimit

    portfolio_id = factory.LazyFunction(lambda: PortfolioFactory().pk)
    kind = "position_value"
    soft = None
    hard = Decimal(50_000)
    active_from = NOW - timedelta(days=30)
    reason = "Opening limits"


def person(role: Role, username: str = "", **kwargs):
    """An active user in the role's group."""
    user = UserFactory(username=username or f"{role}-{uuid4().hex[:8]}", **kwargs)
    user.groups.add(Group.objects.get(name=role.value))
    return user


def show_prices(at: datetime = NOW, **prices: str) -> None:
    """Publish last prices, received at `at`."""
    instruments = {symbol: InstrumentFactory(symbol=symbol) for symbol in prices}
    quotes = [
        Quote(symbol=symbol, instrument_id=instruments[symbol].pk, price=Decimal(price), market_time=at, received_at=at, feed="test")
        for symbol, price in prices.items()
    ]
    quotes_publish(quotes=quotes, feed="test", session=at.date())


class Desk:
    """A trader's portfolio of 100,000 with limits, holding 100 shares of a stock at 100. Symbols are new for each desk: Redis outlives a test."""

    def __init__(self, *, capital: int = 100_000, at: datetime = NOW) -> None:
        self.trader = person(Role.TRADER)
        self.portfolio = PortfolioFactory(owner=UserFactory(), initial_capital=Decimal(capital), effective_at=at - timedelta(days=10))
        PortfolioMembershipFactory(portfolio=self.portfolio, user=self.trader, role=PortfolioRole.TRADER)
        self.book = Book.objects.get(portfolio=self.portfolio, name="main")
        for kind, (soft, hard) in LEVELS.items():
            RiskLimitFactory(portfolio_id=self.portfolio.pk, kind=kind, soft=Decimal(soft) if soft else None, hard=Decimal(hard))
        self.symbol = f"T{uuid4().hex[:8].upper()}"
        self.instrument = InstrumentFactory(symbol=self.symbol)
        self.trade(100, 100)
        self.price("100")

    def trade(self, quantity: int, price: int | str, *, instrument=None) -> None:
        LedgerEntryFactory(
            portfolio_id=self.portfolio.pk,
            book_id=self.book.pk,
            instrument_id=(instrument or self.instrument).pk,
            quantity=Decimal(quantity),
            price=Decimal(price),
            effective_at=NOW - timedelta(days=5),
            source_ref=uuid4().hex,
        )

    def price(self, price: str, at: datetime = NOW) -> None:
        show_prices(at, **{self.symbol: price})

    def snapshot(self, *, side: Side = Side.BUY, quantity: str = "10", at: datetime = NOW, user=None, **changes) -> PreTradeSnapshot:
        intent = OrderIntent(
            client_order_id=uuid4(),
            portfolio_id=self.portfolio.pk,
            book_id=self.book.pk,
            instrument_id=self.instrument.pk,
            symbol=self.symbol,
            side=side,
            quantity=Decimal(quantity),
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.DAY,
        )
        given = {
            "intent": intent,
            "working_orders": (),
            "reference": reference_prices([self.symbol]).get(self.symbol),
            "orders_last_minute": 0,
            "symbol_orders_last_minute": 0,
            "user_id": (user or self.trader).pk,
            "as_of": at,
        }
        return PreTradeSnapshot(**(given | changes))
