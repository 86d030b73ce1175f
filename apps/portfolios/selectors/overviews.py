"""Portfolios as their pages show them: valued at the latest prices, with the day's and the whole return."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from apps.core.money import ZERO
from apps.marketdata.domain import calendars
from apps.marketdata.selectors.market import HOME_CALENDAR, MarketClock
from apps.marketdata.selectors.quotes import previous_closes, reference_prices
from apps.portfolios.domain.holdings import Holdings
from apps.portfolios.domain.valuation import Traded, Valuation, value_holdings
from apps.portfolios.models import LedgerEntry, Lot, Portfolio
from apps.portfolios.selectors.cash import net_deposits_many
from apps.portfolios.selectors.holdings import holdings_many, traded_since_many

if TYPE_CHECKING:
    from django.db.models import QuerySet


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioOverview:
    """One portfolio at the latest prices. `deposited` is what came in less what went out.

    `day_return` = day P&L / (total - day P&L); `total_return` = total / deposited - 1. None means unknown: a price is missing,
    or there is nothing to divide by.
    """

    portfolio: Portfolio
    valuation: Valuation
    market_time: datetime
    deposited: Decimal

    @property
    def channel(self) -> str:
        """Live channel with this portfolio's valuation."""
        return f"portfolio:{self.portfolio.pk}"

    @property
    def day_return(self) -> Decimal | None:
        return self.valuation.day_return

    @property
    def total_pnl(self) -> Decimal | None:
        return None if self.valuation.total is None else self.valuation.total - self.deposited

    @property
    def total_return(self) -> Decimal | None:
        return None if self.total_pnl is None or not self.deposited else self.total_pnl / self.deposited


def portfolio_overviews(portfolios: Collection[Portfolio], *, market: MarketClock) -> list[PortfolioOverview]:
    """The portfolios in the order given, valued together: a fixed number of queries, however many there are."""
    ids = [portfolio.pk for portfolio in portfolios]
    held = holdings_many(ids)
    traded = traded_since_many(ids, calendars.session_hours(HOME_CALENDAR, market.session)[0])
    deposited = net_deposits_many(ids)
    symbols = _symbols(held.values(), traded)
    prices = reference_prices(symbols, market_time=market.market_time)
    closes = previous_closes(symbols, market.market_time)
    return [
        PortfolioOverview(
            portfolio=portfolio,
            valuation=value_holdings(holdings=held[portfolio.pk], prices=prices, previous_closes=closes, traded=traded[portfolio.pk]),
            market_time=market.market_time,
            deposited=deposited.get(portfolio.pk, ZERO),
        )
        for portfolio in portfolios
    ]


def portfolio_overview(portfolio: Portfolio, *, market: MarketClock) -> PortfolioOverview:
    """One portfolio at the latest prices."""
    return portfolio_overviews([portfolio], market=market)[0]


def open_lots(portfolio_id: int) -> "QuerySet[Lot]":
    """Lots that still hold something, oldest first within an instrument."""
    return (
        Lot.objects.filter(book__portfolio_id=portfolio_id)
        .exclude(remaining=0)
        .select_related("instrument", "book")
        .order_by("instrument__symbol", "opened_at", "id")
    )


def ledger_entries(portfolio_id: int) -> "QuerySet[LedgerEntry]":
    """The portfolio's ledger, newest first."""
    return LedgerEntry.objects.filter(portfolio_id=portfolio_id).select_related("instrument", "book").order_by("-id")


def _symbols(held: Collection[Holdings], traded: dict[int, dict[int, Traded]]) -> list[str]:
    open_now = {symbol for one in held for symbol in one.symbols}
    return sorted(open_now | {trade.symbol for trades in traded.values() for trade in trades.values()})
