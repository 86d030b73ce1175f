"""Which data must not be used, on which days.

A quarantine of all time frames (none named) holds for each of them. Asked about any time frame (None), every quarantine counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection

from apps.marketdata.domain.timeframes import Timeframe


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """One open quarantine. `timeframe` None: all of them. `from_date` None: from the beginning, `to_date` None: until further notice."""

    id: int
    symbol: str
    timeframe: Timeframe | None
    reason: str
    from_date: date | None
    to_date: date | None
    opened_at: datetime
    opened_by: str

    @property
    def period(self) -> str:
        """The days in words."""
        return _period(self.from_date, self.to_date)

    def __str__(self) -> str:
        return quarantine_text(self.symbol, self.timeframe, self.reason, self.from_date, self.to_date)


def quarantine_text(symbol: str, timeframe: Timeframe | None, reason: str, from_date: date | str | None, to_date: date | str | None) -> str:
    """What is held back and why, for people. Days may come as ISO texts."""
    bars = "" if timeframe is None else f" bars of {timeframe.code}"
    return f"{symbol}{bars} {_period(from_date, to_date)}: {reason}"


def _period(from_date: date | str | None, to_date: date | str | None) -> str:
    if from_date is None and to_date is None:
        return "on all days"
    first = "the beginning" if from_date is None else str(from_date)
    return f"from {first} {'on' if to_date is None else f'to {to_date}'}"


def quarantined(symbols: Iterable[str], timeframe: Timeframe | None, on: date) -> dict[str, tuple[Quarantined, ...]]:
    """Open quarantines that hold on a day, by symbol; a symbol without one is left out. One query."""
    return quarantined_between(symbols, timeframe, on, on)


def quarantined_between(symbols: Iterable[str], timeframe: Timeframe | None, start: date, end: date) -> dict[str, tuple[Quarantined, ...]]:
    """Open quarantines that hold on any day from `start` to `end`, both inclusive, by symbol in order of their first days. One query."""
    wanted = list(dict.fromkeys(symbols))
    if not wanted:
        return {}
    found = _read(
        "and i.symbol = any(%(symbols)s) and (%(timeframe)s::int is null or q.timeframe is null or q.timeframe = %(timeframe)s)"
        " and (q.from_date is null or q.from_date <= %(end)s) and (q.to_date is null or q.to_date >= %(start)s)",
        {"symbols": wanted, "timeframe": None if timeframe is None else int(timeframe), "start": start, "end": end},
    )
    return {symbol: found[symbol] for symbol in wanted if symbol in found}


def quarantines_open(symbols: Iterable[str] | None = None) -> dict[str, tuple[Quarantined, ...]]:
    """All open quarantines, of some symbols or of all, whatever their days, by symbol. One query."""
    if symbols is None:
        return _read("", {})
    return _read("and i.symbol = any(%(symbols)s)", {"symbols": list(symbols)})


def _read(condition: str, parameters: dict[str, Any]) -> dict[str, tuple[Quarantined, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select q.id, i.symbol, q.timeframe, q.reason, q.from_date, q.to_date, q.opened_at, coalesce(u.username, '')"  # noqa: S608 - fixed text
            " from marketdata_quarantine q join marketdata_instrument i on i.id = q.instrument_id left join core_user u on u.id = q.opened_by_id"
            f" where q.released_at is null {condition} order by i.symbol, q.from_date nulls first, q.id",
            parameters,
        )
        rows = cursor.fetchall()
    found: dict[str, list[Quarantined]] = {}
    for pk, symbol, timeframe, reason, first, last, at, by in rows:
        item = Quarantined(
            id=pk,
            symbol=symbol,
            timeframe=None if timeframe is None else Timeframe(timeframe),
            reason=reason,
            from_date=first,
            to_date=last,
            opened_at=at,
            opened_by=by or "data check",
        )
        found.setdefault(symbol, []).append(item)
    return {symbol: tuple(items) for symbol, items in found.items()}
