"""A desk on a fixed day of the market with three instruments, for tests of rebalancing."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from apps.core import clock
from apps.execution.tests.factories import Desk, make_desk, quote
from apps.marketdata.models import FeedState
from apps.portfolios.models import TargetPlan
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.services.targets import PlanTerms, targets_set
from apps.portfolios.tests.factories import InstrumentFactory

#: A Wednesday, an hour after the open.
MARKET = datetime(2024, 1, 3, 15, 30, tzinfo=UTC)
PRICES = {"AAPL": "100", "MSFT": "50", "IBM": "200"}


def market(at: datetime) -> None:
    """Let the market show this time."""
    values = {"mode": "replay", "market_time": at, "session": at.date(), "updated_at": at}
    FeedState.objects.update_or_create(name="replay", defaults=values)


def prices(at: datetime = MARKET, **changed: str) -> None:
    """The latest prices, those of `PRICES` where `changed` says nothing else."""
    for symbol, price in {**PRICES, **changed}.items():
        InstrumentFactory(symbol=symbol)
        quote(symbol, price, market_time=at)


def make_fund(**fields: Any) -> Desk:
    """The desk of `make_desk`, with three instruments in the market of `MARKET`."""
    desk = make_desk(**fields)
    market(MARKET)
    prices()
    return desk


def targets(desk: Desk, *, terms: PlanTerms = PlanTerms(), at: datetime = MARKET, **weights: str) -> TargetPlan:  # noqa: B008 - frozen
    """Targets of the desk's portfolio from now on."""
    return targets_set(
        user=desk.trader,
        portfolio_id=desk.portfolio.pk,
        weights={symbol: Decimal(weight) for symbol, weight in weights.items()},
        reason="test",
        effective_on=at.date(),
        today=at.date(),
        recorded_at=clock.now(),
        terms=terms,
    )


def held(desk: Desk) -> dict[str, int]:
    """Whole shares by symbol."""
    return {position.symbol: int(position.quantity) for position in holdings(desk.portfolio.pk).positions}
