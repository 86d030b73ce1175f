"""A desk with people in their roles, a portfolio with limits, and live prices."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import factory
from django.contrib.auth.models import Group

from apps.core.models import User
from apps.core.roles import Role
from apps.core.trading import OrderIntent, OrderType, PreTradeSnapshot, Side, TimeInForce
from apps.marketdata.selectors.quotes import Quote, reference_prices
from apps.marketdata.services.quotes import quotes_publish
from apps.portfolios.models import Book, PortfolioRole
from apps.portfolios.tests.factories import InstrumentFactory, LedgerEntryFactory, PortfolioFactory, PortfolioMembershipFactory, UserFactory
from apps.risk.models import ChangeState, LimitChange, RiskLimit
from apps.risk.services.limits import limit_set

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
    """A limit with the change by which two people made it, of exactly its content."""

    class Meta:
        model = RiskLimit

    portfolio_id = factory.LazyFunction(lambda: PortfolioFactory().pk)
    kind = "position_value"
    soft = None
    hard = Decimal(50_000)
    active_from = NOW - timedelta(days=30)
    reason = "Opening limits"

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        names = ("portfolio_id", "book_id", "instrument_id", "sector", "kind", "soft", "hard", "action", "active_from", "active_to", "reason")
        content = {name: kwargs[name] for name in names if name in kwargs}
        return super()._create(model_class, *args, change=change_by_two(**content), **kwargs)


def change_by_two(*, at: datetime | None = None, **content) -> LimitChange:
    """A stored, approved change of a limit with this content, decided `at` (when it begins)."""
    when = at or content["active_from"]
    asked = {"requested_by": UserFactory(), "requested_at": when, "expires_at": when + timedelta(hours=24)}
    change = LimitChange.objects.create(**content, **asked)
    change.state, change.decided_by, change.decided_at = ChangeState.APPROVED, UserFactory(), when
    change.save()
    return change


def limits_make(portfolio_id: int, levels: dict[str, tuple[str | None, str]], *, at: datetime, users: tuple[User, User] | None = None) -> None:
    """Many limits (kind: soft, hard) in force from `at` on, by two people: few statements, because nearly every test of orders needs
    them. Where the portfolio has limits already, `users` (who may) replace them."""
    first, second = users or (UserFactory(), UserFactory())
    if RiskLimit.objects.filter(portfolio_id=portfolio_id).exists():
        for kind, (soft, hard) in levels.items():
            limit_set(portfolio_id=portfolio_id, kind=kind, soft=soft, hard=hard, reason="test", user=first, approver=second, active_from=at)
        return
    rows = [
        {
            "portfolio_id": portfolio_id,
            "kind": kind,
            "soft": Decimal(soft) if soft else None,
            "hard": Decimal(hard),
            "active_from": at,
            "reason": "test",
        }
        for kind, (soft, hard) in levels.items()
    ]
    asked = {"requested_by": first, "requested_at": at, "expires_at": at + timedelta(hours=24)}
    changes = LimitChange.objects.bulk_create(LimitChange(**row, **asked) for row in rows)
    LimitChange.objects.filter(pk__in=[change.pk for change in changes]).update(state=ChangeState.APPROVED, decided_by=second, decided_at=at)
    RiskLimit.objects.bulk_create(RiskLimit(**row, change=change) for row, change in zip(rows, changes, strict=True))


def limits_replace(portfolio_id: int, kind: str, hard: str | None, soft: str | None = None, *, at: datetime = NOW) -> None:
    """Two people set another level from `at` on, or (None) end the limit."""
    two = {"user": person(Role.RISK), "approver": person(Role.RISK)}
    limit_set(portfolio_id=portfolio_id, kind=kind, hard=hard, soft=soft, reason="test", active_from=at, **two)


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
        limits_make(self.portfolio.pk, LEVELS, at=NOW - timedelta(days=30))
        self.symbol = f"T{uuid4().hex[:8].upper()}"
        self.instrument = InstrumentFactory(symbol=self.symbol)
        self.trade(100, 100)
        self.price("100")

    def trade(self, quantity: int, price: int | str, *, instrument=None, book=None) -> None:
        LedgerEntryFactory(
            portfolio_id=self.portfolio.pk,
            book_id=(book or self.book).pk,
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
