"""Raw prices made comparable over splits and dividends, when they are read. What is stored is never changed.

All factors are relative to an anchor day: a price of that day keeps its value, and every earlier price is told in shares of that
day. Actions with an ex-date after the anchor do nothing, so that a run which ends on a day sees the same prices whether or not
somebody knows by then what happened later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.vendor import ActionKind

PRICES = ("open", "high", "low", "close")


class Adjustment(StrEnum):
    """What is taken out of raw prices.

    NONE: nothing, prices as traded. SPLIT: splits; prices before the ex-date are divided by new shares per old share, volumes are
    multiplied. TOTAL_RETURN: besides, dividends as if each had been reinvested at the close before its ex-date, by the factor
    1 - D / C_prev (Yahoo Finance). TOTAL_RETURN_AT_CLOSE: the same, reinvested at the close of the ex-date, by C / (C + D), which
    makes each day's return (C + D) / C_prev - 1 (the holding period return of CRSP; the adjusted close of Quandl WIKI).
    """

    NONE = "none"
    SPLIT = "split"
    TOTAL_RETURN = "total_return"
    TOTAL_RETURN_AT_CLOSE = "total_return_at_close"

    @property
    def with_dividends(self) -> bool:
        return self in (Adjustment.TOTAL_RETURN, Adjustment.TOTAL_RETURN_AT_CLOSE)

    @classmethod
    def parse(cls, text: str) -> "Adjustment":
        """The adjustment of a name. Raises InvalidInput which lists the names."""
        try:
            return cls(text.strip())
        except ValueError as error:
            raise InvalidInput(f"{text!r} is no adjustment: use one of {', '.join(cls)}", field="adjustment") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One corporate action: `value` is new shares per old one, or cash per share as it was paid. First effective on `day` (datetime64[D])."""

    kind: ActionKind
    day: np.datetime64
    value: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Closes:
    """Raw closes of sessions, from which dividends take their share of the price: `days` datetime64[D] [S] in order, `close` [S]."""

    days: NDArray[np.datetime64]
    close: NDArray[np.float64]


def adjusted(series: BarSeries, days: NDArray[np.datetime64], events: Sequence[Event], adjustment: Adjustment, closes: Closes) -> BarSeries:
    """The series with its prices and volumes adjusted for the events, which the caller has limited to those up to the anchor.

    `days` datetime64[D] [T] are the bars' session dates. A dividend which has no close beside it, or which is as large as the price,
    changes nothing: it could only be guessed.
    """
    split, cash = factors(days, events, adjustment, closes)
    if (split == 1).all() and (cash == 1).all():
        return series
    prices = {name: getattr(series, name) * (split * cash) for name in PRICES}
    return BarSeries(symbol=series.symbol, ts=series.ts, volume=series.volume / split, **prices)


def factors(days: NDArray[np.datetime64], events: Sequence[Event], adjustment: Adjustment, closes: Closes) -> tuple[NDArray, NDArray]:
    """Factors [T] by which raw prices are multiplied: that of splits (by which volumes are divided), and that of dividends."""
    split, cash = np.ones(len(days)), np.ones(len(days))
    if adjustment is Adjustment.NONE:
        return split, cash
    ratios = {event.day: event.value for event in events if event.kind is ActionKind.SPLIT}
    for day, ratio in ratios.items():
        split[: np.searchsorted(days, day)] /= ratio
    if adjustment.with_dividends:
        for event in events:
            if event.kind is ActionKind.DIVIDEND:
                cash[: np.searchsorted(days, event.day)] *= _kept(event, ratios.get(event.day, 1.0), adjustment, closes)
    return split, cash


def _kept(event: Event, ratio: float, adjustment: Adjustment, closes: Closes) -> float:
    """Share of the price that a dividend leaves. With a split of the same day the dividend is paid on the new shares."""
    at = int(np.searchsorted(closes.days, event.day))
    if adjustment is Adjustment.TOTAL_RETURN_AT_CLOSE:
        close = closes.close[at] if at < len(closes.close) else np.nan
        kept = close / (close + event.value)
    else:
        before = closes.close[at - 1] if at else np.nan
        kept = 1 - event.value * ratio / before
    return float(kept) if kept > 0 else 1.0  # also for NaN
