"""What a price chart shows: finished bars with indicators, the bar that is being made, and what the company did."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from django.db import connection

from apps.core.charts import MOST_POINTS
from apps.core.errors import InvalidInput
from apps.marketdata.domain import calendars
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.bars import FIELDS, BarSeries
from apps.marketdata.domain.forming import Forming, Span, forming_of, running_span
from apps.marketdata.domain.indicators import compute, indicator_get
from apps.marketdata.domain.indicators.kinds import Numbers
from apps.marketdata.domain.screening import Term
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Instrument
from apps.marketdata.selectors.bars import bar_series, bounds, visible_end
from apps.marketdata.selectors.corporate_actions import Action, actions_of
from apps.marketdata.selectors.features import warm_start
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quotes import latest_quotes
from apps.marketdata.selectors.resampled import bars_at

#: Ranges that the page offers, in days; None is everything.
RANGES: dict[str, int | None] = {"1d": 1, "5d": 7, "1m": 31, "3m": 92, "6m": 183, "1y": 366, "5y": 1_827, "max": None}
MOST_TERMS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartRequest:
    """What somebody wants to see. `span` is a key of RANGES, `terms` are indicators."""

    symbol: str
    timeframe: Timeframe
    span: str
    adjustment: Adjustment
    terms: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        if self.span not in RANGES:
            raise InvalidInput(f"{self.span!r} is none of {', '.join(RANGES)}", field="range")
        if len(self.terms) > MOST_TERMS:
            raise InvalidInput(f"a chart shows at most {MOST_TERMS} indicators", field="i")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """One indicator on the chart: lines by name [T], on the price (`overlay`) or in a pane of its own, with its units."""

    term: Term
    overlay: bool
    units: str
    lines: dict[str, Numbers]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriceChart:
    """`bars` [T], the last of which is `forming` when that is not None; `cut` when the range has more bars than a chart can show."""

    instrument: Instrument
    request: ChartRequest
    bars: BarSeries
    forming: Forming | None
    drawn: tuple[Drawn, ...]
    actions: tuple[Action, ...]
    cut: bool


def price_chart(request: ChartRequest, instrument: Instrument, *, now: datetime) -> PriceChart:
    """The chart at the market's time: no bar that was not finished by then, besides the running one as far as it is known."""
    market_time = market_clock(now).market_time
    end = visible_end(now, timeframe=request.timeframe, calendar=instrument.calendar)
    span = running_span(request.timeframe, instrument.calendar, market_time)
    forming = None if span is None else _forming(instrument, span, request.timeframe, market_time)
    days = RANGES[request.span]
    lower = None if days is None else _floor(instrument, request.timeframe, market_time, days)
    read = _bars(request, instrument, lower, end, None if span is None else span.opens.date())
    whole = read if forming is None else _with(read, forming)
    first = 0 if lower is None else int(np.searchsorted(whole.ts, np.datetime64(lower.replace(tzinfo=None), "us")))
    kept = max(first, len(whole) - MOST_POINTS)
    drawn = tuple(_drawn(term, whole, instrument, kept) for term in request.terms)
    shown = _slice(whole, kept)
    return PriceChart(
        instrument=instrument,
        request=request,
        bars=shown,
        forming=forming,
        drawn=drawn,
        actions=_actions(instrument.symbol, shown, market_time.date()),
        cut=kept > first,
    )


def timeframes_stored(instrument: Instrument) -> tuple[Timeframe, ...]:
    """Time frames in which bars of the instrument are stored, shortest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select t from unnest(%s::int[]) as t where exists (select 1 from marketdata_bar where instrument_id = %s and timeframe = t)",
            [[int(one) for one in Timeframe], instrument.pk],
        )
        return tuple(sorted(Timeframe(value) for (value,) in cursor.fetchall()))


def timeframes_shown(stored: Sequence[Timeframe]) -> tuple[Timeframe, ...]:
    """Time frames in which an instrument can be shown, shortest first: those with bars, and all that can be made of these."""
    finest = min((one for one in stored if one is not Timeframe.WEEK), default=None)
    return tuple(one for one in Timeframe if one in stored or (finest is not None and one > finest))


def _floor(instrument: Instrument, timeframe: Timeframe, market_time: datetime, days: int) -> datetime:
    """First moment of the range; one day means the last session."""
    if days == 1 and timeframe.is_intraday:
        return calendars.session_hours(instrument.calendar, calendars.session_at(instrument.calendar, market_time))[0]
    return bounds(market_time.date() - timedelta(days=days), None)[0]


def _bars(request: ChartRequest, instrument: Instrument, lower: datetime | None, end: date | datetime, adjusted_to: date | None) -> BarSeries:
    """Finished bars of the range and as many before it as the indicators need."""
    memories = [term.memory for term in request.terms]
    start = lower
    if lower is not None and memories:
        known = [one for one in memories if one is not None]
        start = None if len(known) < len(memories) else warm_start([instrument.pk], request.timeframe, lower, max(known) + 1)
    anchor = adjusted_to if request.adjustment is not Adjustment.NONE else None
    return bars_at(symbol=request.symbol, timeframe=request.timeframe, start=start, end=end, adjustment=request.adjustment, adjusted_to=anchor)


def _with(bars: BarSeries, forming: Forming) -> BarSeries:
    ts = np.datetime64(forming.start.astimezone(UTC).replace(tzinfo=None), "us")
    before = _slice(bars, 0, int(np.searchsorted(bars.ts, ts)))
    values: dict[str, Any] = {
        name: np.append(getattr(before, name), np.nan if getattr(forming, name) is None else getattr(forming, name)) for name in FIELDS
    }
    return replace(before, ts=np.append(before.ts, ts), **values)


def _slice(bars: BarSeries, first: int, last: int | None = None) -> BarSeries:
    return replace(bars, ts=bars.ts[first:last], **{name: getattr(bars, name)[first:last] for name in FIELDS})


def _drawn(term: Term, bars: BarSeries, instrument: Instrument, first: int) -> Drawn:
    entry = indicator_get(term.indicator)
    names = (term.column,) if entry.on_any_column else tuple(name for name in entry.columns if name in FIELDS)
    columns: dict[str, np.ndarray] = {name: getattr(bars, name) for name in names}
    if "session" in entry.columns:
        columns["session"] = calendars.local_dates(instrument.calendar, bars.ts).astype(np.int64)
    lines = compute(term.indicator, columns, term.parameters, column=term.column)
    return Drawn(
        term=term,
        overlay=entry.overlay and term.column != "volume",
        units=entry.lines[0].units,
        lines={name: values[first:] for name, values in lines.items()},
    )


def _forming(instrument: Instrument, span: Span, timeframe: Timeframe, market_time: datetime) -> Forming | None:
    """Made of finished minutes where somebody stores them, else of the replay's ticks, and of the latest price."""
    quote = latest_quotes([instrument.symbol]).get(instrument.symbol)
    if quote is None or not span.opens <= quote.market_time <= span.ends:
        return None
    pieces: list[tuple[float, float, float, float, float | None]] = []
    if timeframe is not Timeframe.MINUTE:
        minutes = bar_series(symbol=instrument.symbol, timeframe=Timeframe.MINUTE, start=span.opens, end=market_time - timedelta(minutes=1))
        pieces += [tuple(row) for row in np.column_stack([getattr(minutes, name) for name in FIELDS]).tolist()]
    prices = [*_ticks(instrument.pk, span, quote.received_at), float(quote.price)]
    return forming_of(span, pieces + [(price, price, price, price, None) for price in prices])


def _ticks(instrument_id: int, span: Span, received_at: datetime) -> Sequence[float]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select price from marketdata_tick where instrument_id = %s and received_at between %s and %s and market_time >= %s and market_time < %s"
            " order by received_at",
            [instrument_id, received_at - timedelta(days=1), received_at, span.opens, span.ends],
        )
        return [price for (price,) in cursor.fetchall()]


def _actions(symbol: str, bars: BarSeries, until: date) -> tuple[Action, ...]:
    """Actions with an ex-date among the bars shown and not later than the market's day."""
    if not len(bars):
        return ()
    first = bars.ts[0].astype("datetime64[D]").item()
    return tuple(one for one in actions_of(symbol=symbol) if first <= one.ex_date <= until)
