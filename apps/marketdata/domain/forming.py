"""The bar that is still being made: between which moments it lasts, and what is known of it so far. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from apps.marketdata.domain import calendars
from apps.marketdata.domain.timeframes import Timeframe


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """`start` is what the bar is called by (a daily bar: midnight UTC of its session), `opens` its first moment, `ends` its end."""

    start: datetime
    opens: datetime
    ends: datetime


def running_span(timeframe: Timeframe, calendar: str, moment: datetime) -> Span | None:
    """The bar which a moment lies in; None outside of sessions, and for weeks and months, which are made of finished days."""
    if timeframe > Timeframe.DAY:
        return None
    session = calendars.session_at(calendar, moment)
    opens, closes = calendars.session_hours(calendar, session)
    if not opens <= moment < closes:
        return None
    if timeframe is Timeframe.DAY:
        return Span(start=datetime.combine(session, time(), UTC), opens=opens, ends=closes)
    start = opens + (moment - opens) // timeframe.duration * timeframe.duration
    return Span(start=start, opens=start, ends=min(start + timeframe.duration, closes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Forming:
    """Prices of an unfinished bar; `volume` None where nobody counts it. `ends` is when it will be finished."""

    start: datetime
    ends: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float | None


def forming_of(span: Span, pieces: Sequence[tuple[float, float, float, float, float | None]]) -> Forming | None:
    """The bar made of (open, high, low, close, volume) pieces in time order; None of nothing. A piece without volume is a single price."""
    if not pieces:
        return None
    volumes = [piece[4] for piece in pieces if piece[4] is not None]
    return Forming(
        start=span.start,
        ends=span.ends,
        open=pieces[0][0],
        high=max(piece[1] for piece in pieces),
        low=min(piece[2] for piece in pieces),
        close=pieces[-1][3],
        volume=sum(volumes) if volumes else None,
    )


def session_day(span: Span) -> date:
    """The day by which a bar's prices are adjusted."""
    return span.opens.astimezone(UTC).date()
