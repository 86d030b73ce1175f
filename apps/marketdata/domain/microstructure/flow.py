"""Who pushes: order flow imbalance, the side of trades, imbalance of the best queues."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InsufficientData, InvalidInput
from apps.core.measures import measure

#: A price is at the midpoint when it differs by less than this fraction of it: the midpoint of two decimal prices is seldom exact in binary.
AT_MIDPOINT = 1e-10


@measure(
    "marketdata.microstructure.ofi",
    units="shares, positive is pressure to buy",
    convention="sum of e_n with non-strict inequalities, so size changes at an unchanged price count; one quote alone has no flow",
    source="Cont, Kukanov and Stoikov (2014), The price impact of order book events, eq. 2-3",
)
def ofi(quotes: Sequence[Sequence[float]]) -> float:
    """Order flow imbalance over a run of best quotes, each [bid, bid size, ask, ask size]. Raises InsufficientData without a quote."""
    rows = np.asarray(quotes, np.float64)
    if not rows.size:
        raise InsufficientData("there is no quote", field="quotes")
    if rows.ndim != 2 or rows.shape[1] != 4 or not np.isfinite(rows).all():
        raise InvalidInput("each quote is [bid, bid size, ask, ask size], all of them numbers", field="quotes")
    return float(ofi_events(*rows.T).sum())


def ofi_events(
    bid: NDArray[np.float64], bid_size: NDArray[np.float64], ask: NDArray[np.float64], ask_size: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The contribution e_n of each quote after the first, [T - 1]."""
    demand = np.where(bid[1:] >= bid[:-1], bid_size[1:], 0.0) - np.where(bid[1:] <= bid[:-1], bid_size[:-1], 0.0)
    supply = np.where(ask[1:] <= ask[:-1], ask_size[1:], 0.0) - np.where(ask[1:] >= ask[:-1], ask_size[:-1], 0.0)
    return np.asarray(demand - supply)


@measure(
    "marketdata.microstructure.lee_ready",
    units="+1 buyer, -1 seller, 0 unknown",
    convention="above the midpoint a buy, below a sell; at it, or without a quote, the tick test against the last different price (none: 0)",
    source="Lee and Ready (1991), Inferring trade direction from intraday data; lag 0 s is today's use, 5 s the original's",
)
def lee_ready(
    prices: Sequence[float],
    bids: Sequence[float] | float,
    asks: Sequence[float] | float,
    times: Sequence[float] | None = None,
    quote_times: Sequence[float] | None = None,
    quote_lag: float = 0.0,
) -> list[int]:
    """The side that started each trade [T].

    `bids` and `asks` are those in force at each trade [T] (or one number for all). With `times` [T] and `quote_times` [Q], in seconds and ascending,
    they are the quotes themselves [Q]: each trade sees the last one at or before its time less `quote_lag`.
    """
    price = np.asarray(prices, np.float64)
    bid, ask = (np.asarray(values, np.float64) for values in (bids, asks))
    if times is not None or quote_times is not None:
        bid, ask = _in_force(price, bid, ask, times, quote_times, quote_lag)
    elif quote_lag:
        raise InvalidInput("a lag needs times and quote_times", field="quote_lag")
    for name, side in (("bids", bid), ("asks", ask)):
        if side.ndim and side.shape != price.shape:
            raise InvalidInput(f"{name} must be one number, or one for each price", field=name)
    return [int(sign) for sign in trade_signs(price, np.broadcast_to(bid, price.shape), np.broadcast_to(ask, price.shape))]


def trade_signs(price: NDArray[np.float64], bid: NDArray[np.float64], ask: NDArray[np.float64]) -> NDArray[np.int8]:
    """The same on arrays [T], with the quote in force at each trade; NaN where there is none."""
    if not np.isfinite(price).all():
        raise InvalidInput("a price is not a number", field="prices")
    middle = (bid + ask) / 2
    apart = np.abs(price - middle) > AT_MIDPOINT * np.abs(middle)  # false where the midpoint is NaN
    with np.errstate(invalid="ignore"):
        by_quote = np.where(apart, np.sign(price - middle), 0).astype(np.int8)
    return np.where(apart, by_quote, tick_signs(price)).astype(np.int8)


def tick_signs(price: NDArray[np.float64]) -> NDArray[np.int8]:
    """Sign of each price against the last different one before it [T], 0 while there is none."""
    signs = np.zeros(len(price), np.int8)
    if len(price):
        signs[1:] = np.sign(np.diff(price))
        last = np.maximum.accumulate(np.where(signs != 0, np.arange(len(price)), 0))
        signs = signs[last]
    return signs


def _in_force(
    price: NDArray[np.float64],
    bid: NDArray[np.float64],
    ask: NDArray[np.float64],
    times: Sequence[float] | None,
    quote_times: Sequence[float] | None,
    lag: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if times is None or quote_times is None:
        raise InvalidInput("times and quote_times come together", field="times")
    at, quoted = np.asarray(times, np.float64), np.asarray(quote_times, np.float64)
    if at.shape != price.shape or bid.shape != quoted.shape or ask.shape != quoted.shape:
        raise InvalidInput("times has one entry for each price, quote_times one for each bid and ask", field="times")
    if (np.diff(quoted) < 0).any() or not lag >= 0:
        raise InvalidInput("quote_times must ascend and the lag must not be negative", field="quote_times")
    row = np.searchsorted(quoted, at - lag, side="right") - 1
    return tuple(np.append(side, math.nan)[row] for side in (bid, ask))  # type: ignore[return-value] # row -1 is the NaN at the end


@measure(
    "marketdata.microstructure.queue_imbalance",
    units="fraction from -1 (all to sell) to 1 (all to buy)",
    convention="(bid size - ask size) / (bid size + ask size)",
    source="Gould and Bonart (2016), Queue imbalance as a one-tick-ahead price predictor",
)
def queue_imbalance(bid_size: float, ask_size: float) -> float:
    """Imbalance of the two best queues. Raises InsufficientData when both are empty."""
    return (bid_size - ask_size) / _queues(bid_size, ask_size)


@measure(
    "marketdata.microstructure.microprice",
    units="price",
    convention="(bid x ask size + ask x bid size) / (bid size + ask size)",
    source="Gatheral and Oomen (2010), Zero-intelligence realized variance estimation",
)
def microprice(bid: float, bid_size: float, ask: float, ask_size: float) -> float:
    """The midpoint, weighted towards the side with the shorter queue. Raises InsufficientData when both queues are empty."""
    return (bid * ask_size + ask * bid_size) / _queues(bid_size, ask_size)


def _queues(bid_size: float, ask_size: float) -> float:
    if not (bid_size >= 0 and ask_size >= 0 and math.isfinite(bid_size + ask_size)):
        raise InvalidInput("a size must be a number of at least 0", field="bid_size")
    if bid_size + ask_size == 0:
        raise InsufficientData("both queues are empty", field="bid_size")
    return bid_size + ask_size
