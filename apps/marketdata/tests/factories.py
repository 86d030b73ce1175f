"""Instruments and bars for tests of this app and of the apps above it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

import factory
import numpy as np
from django.db import transaction

from apps.marketdata.domain import calendars
from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.points import CloseKind
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Instrument
from apps.marketdata.selectors.points import CLOSES
from apps.marketdata.services.bars import StoreResult, bars_store
from apps.marketdata.services.points import points_merge
from apps.marketdata.services.storing import bar_source_id

RECORDED_AT = datetime(2026, 1, 2, 12, tzinfo=UTC)


class InstrumentFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Instrument
        django_get_or_create = ("symbol",)

    symbol = factory.Sequence(lambda n: f"SYM{n}")
    name = factory.LazyAttribute(lambda item: f"{item.symbol} Incorporated")
    asset_class = "stock"


def make_series(symbol: str, closes: Sequence[float], *, start: date = date(2012, 1, 3), volume: float = 1_000_000.0) -> BarSeries:
    """Daily bars on consecutive sessions of XNYS with the given closes; each opens at the close before, one percent wide."""
    close = np.asarray(closes, float)
    days = calendars.calendar_of("XNYS").days
    first = int(np.searchsorted(days, np.datetime64(start, "D")))
    opened = np.concatenate([close[:1], close[:-1]])
    return BarSeries(
        symbol=symbol,
        ts=days[first : first + len(close)].astype("datetime64[us]"),
        open=opened,
        high=np.maximum(opened, close) * 1.01,
        low=np.minimum(opened, close) * 0.99,
        close=close,
        volume=np.full(len(close), volume),
    )


def store_series(*series: BarSeries, timeframe: Timeframe = Timeframe.DAY, recorded_at: datetime = RECORDED_AT) -> StoreResult:
    """Make the instruments that are missing and store their bars."""
    for item in series:
        InstrumentFactory(symbol=item.symbol)
    return bars_store(series=series, timeframe=timeframe, source="test", recorded_at=recorded_at)


def store_closes(
    closes: Mapping[str, Sequence[float]],
    *,
    start: date = date(2012, 1, 3),
    adjustment: CloseKind = CloseKind.TOTAL_RETURN,
    asset_class: str = "etf",
    recorded_at: datetime = RECORDED_AT,
) -> None:
    """Make the instruments that are missing and store their closes on consecutive sessions of XNYS; NaN is no close."""
    days = calendars.calendar_of("XNYS").days
    first = int(np.searchsorted(days, np.datetime64(start, "D")))
    for symbol, values in closes.items():
        owner = InstrumentFactory(symbol=symbol, asset_class=asset_class).pk
        value = np.asarray(values, float)
        there = ~np.isnan(value)
        ts = days[first : first + len(value)].astype("datetime64[us]")
        rows = {"owner": np.full(there.sum(), owner, np.int64), "ts": ts[there], "value": value[there]}
        with transaction.atomic():
            points_merge(
                CLOSES, rows, fixed={"adjustment": int(adjustment)}, beside={"source_id": bar_source_id("test closes")}, recorded_at=recorded_at
            )
