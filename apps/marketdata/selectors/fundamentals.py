"""Reported figures as they were known at a moment. Nothing that was published later is ever returned."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from django.db import connection

from apps.core.errors import InvalidInput
from apps.marketdata.domain.fundamentals import METRICS
from apps.marketdata.selectors.instruments import instruments_get

#: For each figure and period the newest period that was published by the moment, in its last published version and latest revision.
AS_OF = (
    "select distinct on (f.instrument_id, metric, period) i.symbol, metric, period, period_end, value, unit, published_at, s.name, f.revision"
    " from marketdata_fundamental f join marketdata_instrument i on i.id = f.instrument_id join marketdata_barsource s on s.id = f.source_id"
    " where f.instrument_id = any(%(ids)s) and metric = any(%(metrics)s) and published_at <= %(moment)s"
    " and (%(known_at)s::timestamptz is null or recorded_at <= %(known_at)s)"
    " order by f.instrument_id, metric, period, period_end desc, published_at desc, f.revision desc, f.source_id"
)


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
