"""Reported figures as they were known: of several only what was published by a moment counts, and of that the newest."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain.vendor import FundamentalRecord

Numbers = NDArray[np.float64]

#: Names of figures that the desk keeps.
METRICS = frozenset(
    (
        "eps", "book_value_per_share", "revenue", "net_income", "total_equity", "total_assets", "total_debt", "shares_outstanding",
        "dividend_yield", "market_cap", "ebitda", "gross_profit", "operating_cash_flow",
    )
)  # fmt: skip
PERIODS = ("instant", "quarter", "year", "ttm")
#: Ratios of a year use the last twelve months before the last year: both are four quarters.
YEARLY = ("ttm", "year")


def refuse_record(record: FundamentalRecord) -> None:
    """Raise InvalidInput, naming symbol and figure, for what no report can have said."""
    said = f"{record.symbol} {record.metric} of {record.period_end}"
    if record.metric not in METRICS:
        raise InvalidInput(f"{said}: {record.metric!r} is none of {', '.join(sorted(METRICS))}", field="metric")
    if record.period not in PERIODS:
        raise InvalidInput(f"{said}: {record.period!r} is none of {', '.join(PERIODS)}", field="period")
    if not np.isfinite(record.value):
        raise InvalidInput(f"{said}: {record.value} is no figure", field="value")
    if record.published_at.tzinfo is None:
        raise InvalidInput(f"{said}: the time of publication has no time zone", field="published_at")
    if record.published_at.date() < record.period_end:
        raise InvalidInput(f"{said}: published on {record.published_at.date()}, before its period had ended", field="published_at")


def known_at(records: Iterable[FundamentalRecord], moment: datetime) -> list[FundamentalRecord]:
    """For each symbol, figure and period the newest period that was published by the moment, in its last published version.

    Of two records published at once the later one of the input counts.
    """
    found: dict[tuple[str, str, str], FundamentalRecord] = {}
    for record in records:
        if record.published_at > moment:
            continue
        key = (record.symbol, record.metric, record.period)
        there = found.get(key)
        if there is None or (record.period_end, record.published_at) >= (there.period_end, there.published_at):
            found[key] = record
    return [found[key] for key in sorted(found)]


def known_series(records: Sequence[FundamentalRecord], moments: NDArray[np.datetime64], shares: Numbers | None = None) -> Numbers:
    """One symbol's figure as it was known at each of the moments datetime64[us] UTC in order [T], NaN before the first publication.

    The records are of one figure and period. With `shares` [T], the number of last-day shares that one share of each moment became, a
    figure per share is told in last-day shares: it is divided by the number at its publication.
    """
    if not records:
        return np.full(len(moments), np.nan)
    ordered = sorted(records, key=lambda record: record.published_at)
    published = np.array([_naive(record.published_at) for record in ordered])
    ends = np.array([record.period_end for record in ordered], "datetime64[D]")
    newest = np.maximum.accumulate(ends.astype(np.int64))
    counts = np.where(ends.astype(np.int64) == newest, np.arange(len(ordered)), 0)
    current = np.maximum.accumulate(counts)  # a late word about an older period changes nothing
    values = np.array([record.value for record in ordered])
    if shares is not None and len(moments):
        values = values / shares[np.clip(np.searchsorted(moments, published, side="right") - 1, 0, len(moments) - 1)]
    at = np.searchsorted(published, moments, side="right") - 1
    return np.where(at >= 0, values[current[np.maximum(at, 0)]], np.nan)


def _naive(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


def divided(above: Numbers, below: Numbers) -> Numbers:
    """The ratio [T], NaN where one of the two is not known or the lower one is not above 0: a ratio to a loss says nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)
