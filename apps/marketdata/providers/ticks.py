"""Checks and conversions that every stream and every list of actions needs."""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind, ActionRecord, BarTick, QuoteTick, TradeTick

NEW_YORK = ZoneInfo("America/New_York")


def trade(symbol: str, ts: datetime, price: Any, size: Any, trade_id: Any = "") -> TradeTick:
    """A trade. Raises ValueError for a price that is not above zero or a size below zero."""
    return TradeTick(symbol=symbol, ts=ts, price=_above_zero(price), size=_size(size), trade_id=str(trade_id))


def quote(symbol: str, ts: datetime, *, bid: Any, bid_size: Any, ask: Any, ask_size: Any) -> QuoteTick:
    """A quote; a side without anybody is 0. Raises ValueError for numbers below zero."""
    return QuoteTick(symbol=symbol, ts=ts, bid=_size(bid), bid_size=_size(bid_size), ask=_size(ask), ask_size=_size(ask_size))


def finished_bar(symbol: str, timeframe: Timeframe, ts: datetime, prices: Sequence[Any], volume: Any) -> BarTick:
    """A bar from open, high, low and close. Raises ValueError unless low and high enclose the others."""
    opened, high, low, close = (_above_zero(value) for value in prices)
    if not low <= min(opened, close) <= max(opened, close) <= high:
        raise ValueError(f"prices of the bar {ts} are outside of its low and high")
    return BarTick(symbol=symbol, timeframe=timeframe, ts=ts, open=opened, high=high, low=low, close=close, volume=_size(volume))


def action(symbol: str, kind: ActionKind, ex_date: date, value: Decimal, currency: str = "USD") -> ActionRecord:
    """A corporate action. Raises ValueError for a value that is not above zero."""
    if not value.is_finite() or value <= 0:
        raise ValueError(f"a {kind} of {value}")
    return ActionRecord(symbol=symbol, kind=kind, ex_date=ex_date, value=value, currency=currency)


def ordered(actions: Sequence[ActionRecord], start: date, end: date) -> tuple[ActionRecord, ...]:
    """Those from start to end, in order of date, each once."""
    within = {item for item in actions if start <= item.ex_date <= end}
    return tuple(sorted(within, key=lambda item: (item.ex_date, item.kind, item.value)))


def exact(number: Any) -> Decimal:
    """A JSON number as the Decimal that was written. Raises ValueError for anything that is no number."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueError(f"{number!r} is not a number")
    return Decimal(str(number))


def from_seconds(seconds: Any) -> datetime:
    """UTC."""
    return datetime.fromtimestamp(_finite(seconds), UTC)


def from_milliseconds(milliseconds: Any) -> datetime:
    """UTC, without going through a float, which would lose the last digit."""
    seconds, rest = divmod(int(milliseconds), 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)


def midnight_of(day: date) -> datetime:
    """Midnight UTC of a session: where its daily bar starts."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return number


def _above_zero(value: Any) -> float:
    number = _finite(value)
    if number <= 0:
        raise ValueError(f"a price of {value!r}")
    return number


def _size(value: Any) -> float:
    number = _finite(value)
    if number < 0:
        raise ValueError(f"{value!r} is below zero")
    return number
