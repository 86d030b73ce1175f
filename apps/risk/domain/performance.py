"""Today's result and the fall from the highest value, from a portfolio's daily values and its value now.

Deposits and withdrawals never make a profit or a loss: both compare against the last value plus what has flowed since.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyValue:
    """Value at a session's end [money] and the net deposits since the value before it."""

    total: Decimal
    flow: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRecord:
    """What the stored values say: the last total [money], wealth compounded from 1 without flows, and its peak (>= 1)."""

    last_total: Decimal
    wealth: Decimal
    peak: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """`daily_pnl` [money] and `daily_return` [fraction] since the last session's close; `drawdown` from the peak (fraction, <= 0)."""

    daily_pnl: Decimal
    daily_return: Decimal
    drawdown: Decimal
    wealth: Decimal
    peak: Decimal


def track_record(values: Sequence[DailyValue]) -> TrackRecord | None:
    """Compounds the daily returns (total / (previous total + flow) - 1). None without a value or once the base is not positive."""
    if not values or values[0].total <= 0:
        return None
    last, wealth, peak = values[0].total, Decimal(1), Decimal(1)
    for value in values[1:]:
        base = last + value.flow
        if base <= 0:
            return None
        wealth *= value.total / base
        peak = max(peak, wealth)
        last = value.total
    return TrackRecord(last_total=last, wealth=wealth, peak=peak)


def standing(record: TrackRecord, *, total: Decimal, flow: Decimal, peak: Decimal = Decimal(1)) -> Standing | None:
    """Where the portfolio stands with value `total` and net deposits `flow` since the record's last value.

    `peak` is the highest wealth seen live since then. None when the base is not positive.
    """
    base = record.last_total + flow
    if base <= 0:
        return None
    daily = total / base - 1
    wealth = record.wealth * (1 + daily)
    highest = max(record.peak, peak, wealth)
    return Standing(daily_pnl=total - base, daily_return=daily, drawdown=wealth / highest - 1, wealth=wealth, peak=highest)
