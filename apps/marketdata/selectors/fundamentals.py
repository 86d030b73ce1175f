"""Reported figures as they were known at a moment. Nothing that was published later is ever returned."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain.fundamentals import METRICS, YEARLY, divided, known_series
from apps.marketdata.domain.vendor import FundamentalRecord
from apps.marketdata.selectors.instruments import instruments_get

#: For each figure and period the newest period that was published by the moment, in its last published version and latest revision.
AS_OF = (
    "select distinct on (f.instrument_id, metric, period) i.symbol, metric, period, period_end, value, unit, published_at, s.name, f.revision"
    " from marketdata_fundamental f join marketdata_instrument i on i.id = f.instrument_id join marketdata_barsource s on s.id = f.source_id"
    " where f.instrument_id = any(%(ids)s) and metric = any(%(metrics)s) and published_at <= %(moment)s"
    " and (%(known_at)s::timestamptz is null or recorded_at <= %(known_at)s)"
    " order by f.instrument_id, metric, period, period_end desc, published_at desc, f.revision desc, f.source_id"
)
#: The latest revision of everything that was ever said of some figures, in the order of its publication.
SAID = (
    "select distinct on (instrument_id, metric, period, period_end, published_at, source_id) instrument_id, metric, period, period_end, value,"
    " published_at, unit from marketdata_fundamental where instrument_id = any(%s) and metric = any(%s)"
    " order by instrument_id, metric, period, period_end, published_at, source_id desc, revision desc"
)
RATIO_METRICS = ("eps", "book_value_per_share", "dividend_yield", "net_income", "total_equity", "gross_profit", "total_assets")


@dataclass(frozen=True, slots=True, kw_only=True)
class FundamentalFact:
    """One figure as it was known, with when and by whom it was said."""

    symbol: str
    metric: str
    period: str
    period_end: date
    value: float
    unit: str
    published_at: datetime
    source: str
    revision: int


def fundamentals_as_of(
    symbols: Iterable[str], metrics: Iterable[str] | None, moment: datetime, *, known_at: datetime | None = None
) -> tuple[FundamentalFact, ...]:
    """Of each symbol, figure (None: all) and period the newest period published by the moment, in its last published version.

    `known_at` leaves out what the desk itself learned later. Raises NotFound for unknown symbols, InvalidInput for unknown figures and
    for a moment without time zone.
    """
    wanted = sorted(METRICS) if metrics is None else list(metrics)
    if unknown := [name for name in wanted if name not in METRICS]:
        raise InvalidInput(f"{', '.join(unknown)} is none of {', '.join(sorted(METRICS))}", field="metric")
    if moment.tzinfo is None:
        raise InvalidInput("the moment has no time zone", field="moment")
    ids = [item.pk for item in instruments_get(symbols).values()]
    with connection.cursor() as cursor:
        cursor.execute(AS_OF, {"ids": ids, "metrics": wanted, "moment": moment, "known_at": known_at})
        names = ("symbol", "metric", "period", "period_end", "value", "unit", "published_at", "source", "revision")
        rows = [FundamentalFact(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]
    return tuple(sorted(rows, key=lambda fact: (fact.symbol, fact.metric, fact.period)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RatioPanels:
    """Ratios as they were known at each moment [T, N], NaN where there is none; value ratios are per share and wait for a price."""

    return_on_equity: NDArray[np.float64]
    gross_profitability: NDArray[np.float64]
    earnings_per_share: NDArray[np.float64]
    book_per_share: NDArray[np.float64]
    dividend_yield: NDArray[np.float64]

    @property
    def empty(self) -> bool:
        return all(np.isnan(getattr(self, name)).all() for name in self.__slots__)


def ratio_panels(ids: Sequence[int], moments: NDArray[np.datetime64]) -> RatioPanels:
    """The ratios behind quality and value of some instruments at moments datetime64[us] UTC in order [T]. One query."""
    said: dict[tuple[int, str, str], list[FundamentalRecord]] = {}
    with connection.cursor() as cursor:
        cursor.execute(SAID, [list(ids), list(RATIO_METRICS)])
        for pk, metric, period, period_end, value, published_at, unit in cursor.fetchall():
            one = FundamentalRecord(
                symbol=str(pk), metric=metric, period=period, period_end=period_end, value=value, published_at=published_at, unit=unit
            )
            said.setdefault((pk, metric, period), []).append(one)

    def known(metric: str, *periods: str) -> NDArray[np.float64]:
        result = np.full((len(moments), len(ids)), np.nan)
        for column, pk in enumerate(ids):
            for period in periods:
                if records := said.get((pk, metric, period)):
                    series = known_series(records, moments)
                    result[:, column] = np.where(np.isnan(result[:, column]), series, result[:, column])
        return result

    eps, book = known("eps", *YEARLY), known("book_value_per_share", "instant")
    return_on_equity = divided(known("net_income", *YEARLY), known("total_equity", "instant"))
    return RatioPanels(
        return_on_equity=np.where(np.isnan(return_on_equity), divided(eps, book), return_on_equity),
        gross_profitability=divided(known("gross_profit", *YEARLY), known("total_assets", "instant")),
        earnings_per_share=eps,
        book_per_share=book,
        dividend_yield=known("dividend_yield", "ttm", "instant"),
    )
