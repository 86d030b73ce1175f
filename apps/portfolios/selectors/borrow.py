"""Rates of borrowed shares, and what was short."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db.models import Q, QuerySet, Sum

from apps.core.money import ZERO
from apps.portfolios.models import BorrowRate, LedgerEntry, LotClosure, PortfolioStatus, Position


def borrow_rates() -> QuerySet[BorrowRate]:
    """All rates, the newest first."""
    return BorrowRate.objects.select_related("instrument", "portfolio", "created_by").order_by("-id")


def rates_on(instrument_ids: Collection[int], session: date) -> dict[tuple[int, int | None], Decimal]:
    """The rate in force at a session's close by instrument and portfolio (None: the desk's)."""
    rows = BorrowRate.objects.filter(instrument_id__in=instrument_ids, from_session__lte=session).order_by("from_session", "id")
    return {(instrument, portfolio): rate for instrument, portfolio, rate in rows.values_list("instrument_id", "portfolio_id", "annual_rate")}


def rate_of(rates: dict[tuple[int, int | None], Decimal], *, instrument_id: int, portfolio_id: int) -> Decimal:
    """A portfolio's own rate, else the desk's, else 0."""
    return rates.get((instrument_id, portfolio_id), rates.get((instrument_id, None), ZERO))


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """A book that may have been short of an instrument lately."""

    portfolio_id: int
    base_currency: str
    book_id: int
    instrument_id: int
    symbol: str
    currency: str
    calendar: str


def shorts_since(moment: datetime, *, instrument_ids: Collection[int]) -> list[Short]:
    """Books of open portfolios that are short of one of these now, or closed a short position after `moment` (market time)."""
    fields = ("portfolio_id", "portfolio__base_currency", "pk")
    book = [f"book__{name}" for name in fields]
    of = ("instrument_id", "instrument__symbol", "instrument__currency", "instrument__calendar")
    active = Q(book__portfolio__status=PortfolioStatus.ACTIVE)
    now = Position.objects.filter(active, quantity__lt=0, instrument_id__in=instrument_ids).values_list(*book, *of)
    lots = [f"lot__{name}" for name in (*book, *of)]
    later = Q(entry__effective_at__gt=moment, entry__portfolio__status=PortfolioStatus.ACTIVE, entry__instrument_id__in=instrument_ids)
    closed = LotClosure.objects.filter(later, quantity__lt=0).values_list(*lots)
    names = ("portfolio_id", "base_currency", "book_id", "instrument_id", "symbol", "currency", "calendar")
    return [Short(**dict(zip(names, row, strict=True))) for row in sorted({*now, *closed})]


def held_at(book_id: int, instrument_id: int, moment: datetime) -> Decimal:
    """The signed quantity at a moment of the market, summed from the ledger."""
    entries = LedgerEntry.objects.filter(book_id=book_id, instrument_id=instrument_id, effective_at__lte=moment)
    return entries.aggregate(total=Sum("quantity"))["total"] or ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortRate:
    """What a portfolio pays for an instrument that it is short of: signed quantity of all books, and a fraction a year."""

    symbol: str
    quantity: Decimal
    annual_rate: Decimal


def short_rates(portfolio_id: int, session: date) -> list[ShortRate]:
    """The rates of a portfolio's shorts, by symbol."""
    rows = Position.objects.filter(book__portfolio_id=portfolio_id, quantity__lt=0).values_list("instrument_id", "instrument__symbol")
    shorts = list(rows.annotate(total=Sum("quantity")).order_by("instrument__symbol"))
    rates = rates_on([pk for pk, _, _ in shorts], session) if shorts else {}
    return [
        ShortRate(symbol=symbol, quantity=total, annual_rate=rate_of(rates, instrument_id=pk, portfolio_id=portfolio_id))
        for pk, symbol, total in shorts
    ]
