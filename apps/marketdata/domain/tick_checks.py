"""What no tick can be. Crossed and locked quotes are possible: they are facts which the measures leave out."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.marketdata.domain.ticks import LETTERS, UNNUMBERED, DepthSeries, OrderEventSeries, QuoteSeries, TradeSeries

Check = tuple[NDArray[np.bool_], str, str]
#: What PostgreSQL and NumPy both can say.
EARLIEST, LATEST = np.datetime64("1900-01-01", "us"), np.datetime64("2200-01-01", "us")
CODES = np.array([ord(letter) for letter in LETTERS])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first fault of some rows: row, column and what is wrong."""

    row: int
    column: str
    text: str


def first_fault(series: QuoteSeries | TradeSeries | DepthSeries | OrderEventSeries) -> Fault | None:
    """The bad row that comes first, None when all rows are possible."""
    found = [Fault(row=int(np.argmax(bad)), column=column, text=text) for bad, column, text in checks(series) if bad.any()]
    return min(found, key=lambda fault: fault.row, default=None)


def checks(series: QuoteSeries | TradeSeries | DepthSeries | OrderEventSeries) -> Iterator[Check]:
    """Masks of bad rows [T], each with its column and its fault."""
    yield ~((series.ts >= EARLIEST) & (series.ts < LATEST)), "ts", "the time is missing or impossible"
    if isinstance(series, QuoteSeries):
        yield series.sequence < UNNUMBERED, "sequence", "the number is negative"
        for name in ("bid", "bid_size", "ask", "ask_size"):
            yield _negative(getattr(series, name)), name, f"{name} must be a number of at least 0"
    elif isinstance(series, TradeSeries):
        yield series.sequence < UNNUMBERED, "sequence", "the number is negative"
        for name in ("price", "size"):
            yield _not_positive(getattr(series, name)), name, f"{name} must be a number above 0"
        yield ~np.isin(series.aggressor, (-1, 0, 1)), "aggressor", "the aggressor is +1, -1 or 0"
    elif isinstance(series, DepthSeries):
        yield series.first_sequence < 0, "first_sequence", "the number is missing or negative"
        yield series.sequence < series.first_sequence, "sequence", "a message ends before it begins"
        yield ~np.isin(series.side, (-1, 1)), "side", "the side is +1 (bid) or -1 (ask)"
        yield _not_positive(series.price), "price", "price must be a number above 0"
        yield _negative(series.size), "size", "size must be a number of at least 0"
    else:
        yield from _order_checks(series)


def _order_checks(series: OrderEventSeries) -> Iterator[Check]:
    yield series.sequence < 0, "sequence", "the number is missing or negative"
    yield ~np.isin(series.letter, CODES), "letter", f"the letter is none of {', '.join(LETTERS)}"
    adds, priced = np.isin(series.letter, [ord("A"), ord("F")]), np.isin(series.letter, [ord("A"), ord("F"), ord("U"), ord("C")])
    counted = np.isin(series.letter, [ord(letter) for letter in "AFECXU"])
    yield adds & ~np.isin(series.side, (-1, 1)), "side", "a new order has the side +1 (buy) or -1 (sell)"
    yield ~np.isin(series.side, (-1, 0, 1)), "side", "the side is +1, -1 or 0"
    yield series.ref < 0, "ref", "the order's number is negative"
    yield series.new_ref < 0, "new_ref", "the order's number is negative"
    yield _negative(series.price) | (priced & ~(series.price > 0)), "price", "price must be a number above 0"
    yield np.abs(series.price * 10_000 - np.rint(series.price * 10_000)) > 1e-3, "price", "price has more than 4 places"
    yield (series.shares < 0) | (counted & (series.shares == 0)), "shares", "shares must be above 0"


def _negative(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    return ~(np.isfinite(values) & (values >= 0))


def _not_positive(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    return ~(np.isfinite(values) & (values > 0))
