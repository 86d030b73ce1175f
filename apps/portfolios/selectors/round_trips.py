"""Round trips: what each closed piece of a lot earned, how long it was held, and how far it went for and against its holder.

The ledger's own closures say which shares were sold against which (by the lot method of the sale), so nothing is matched again here;
backtests, which have no ledger, match theirs in `strategies.domain.round_trips`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import numpy as np
from django.db.models import QuerySet

from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.bars import BarSeries, bar_series
from apps.portfolios.domain.excursions import Excursion, excursion
from apps.portfolios.domain.settlement import local_date
from apps.portfolios.models import TRADED, LotClosure

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedTrip:
    """One piece of a lot, from entry to exit. `quantity` is signed (negative for a short) in shares of the exit; prices per share are in
    the portfolio's currency, fees included, those of the entry in shares of the exit too; `return_` = pnl / |cost|.

    `excursion` is in fractions of the entry price, from daily bars of the days between; None when the desk has no bar of them, or when
    the instrument is in another currency than the portfolio.
    """

    id: int
    symbol: str
    book: str
    entry_time: datetime
    exit_time: datetime
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    cost: Decimal
    proceeds: Decimal
    pnl: Decimal
    return_: float | None
    holding_days: float
    lot_method: str
    excursion: Excursion | None


def closures(portfolio_id: int) -> QuerySet[LotClosure]:
    """What trades of the portfolio closed, newest first. Transfers are no trades: the trip goes on in the other book."""
    return (
        LotClosure.objects.filter(entry__portfolio_id=portfolio_id, entry__kind__in=TRADED)
        .select_related("lot__instrument", "lot__book", "entry__portfolio")
        .order_by("-entry_id", "-id")
    )


def round_trips(closed: Sequence[LotClosure]) -> tuple[ClosedTrip, ...]:
    """The closures as round trips: one read of bars for each instrument and exit day among them."""
    spans: dict[tuple[str, date], date] = {}
    for row in closed:
        first, last = _days(row)
        key = (row.lot.instrument.symbol, last)
        spans[key] = min(first, spans.get(key, first))
    bars = {key: _bars(key[0], first, key[1]) for key, first in spans.items()}
    return tuple(_trip(row, bars[row.lot.instrument.symbol, _days(row)[1]]) for row in closed)


def _days(row: LotClosure) -> tuple[date, date]:
    calendar = row.lot.instrument.calendar
    return local_date(calendar, row.lot.opened_at), local_date(calendar, row.entry.effective_at)


def _bars(symbol: str, first: date, last: date) -> BarSeries:
    """Daily bars in shares of the exit day: splits until then are taken out, later ones are not."""
    return bar_series(symbol=symbol, timeframe=Timeframe.DAY, start=first, end=last, adjustment=Adjustment.SPLIT, adjusted_to=last)


def _trip(row: LotClosure, bars: BarSeries) -> ClosedTrip:
    # A short's proceeds are what covering cost (negative), its cost is minus what was received: both over the signed quantity are prices.
    entry_price, exit_price = round(row.cost / row.quantity, 6), round(row.proceeds / row.quantity, 6)
    return ClosedTrip(
        id=row.pk,
        symbol=row.lot.instrument.symbol,
        book=row.lot.book.name,
        entry_time=row.lot.opened_at,
        exit_time=row.entry.effective_at,
        quantity=row.quantity,
        entry_price=entry_price,
        exit_price=exit_price,
        cost=row.cost,
        proceeds=row.proceeds,
        pnl=row.realised,
        return_=float(row.realised / abs(row.cost)) if row.cost else None,
        holding_days=(row.entry.effective_at - row.lot.opened_at).total_seconds() / DAY_SECONDS,
        lot_method=row.entry.lot_method,
        excursion=_excursion(row, bars, float(entry_price), float(exit_price)),
    )


def _excursion(row: LotClosure, bars: BarSeries, entry_price: float, exit_price: float) -> Excursion | None:
    first, last = _days(row)
    kept = (bars.ts >= np.datetime64(first)) & (bars.ts < np.datetime64(last) + np.timedelta64(1, "D"))
    if entry_price <= 0 or not kept.any() or row.lot.instrument.currency != row.entry.portfolio.base_currency:
        return None
    return excursion(entry_price=entry_price, exit_price=exit_price, long=row.quantity > 0, high=bars.high[kept], low=bars.low[kept])
