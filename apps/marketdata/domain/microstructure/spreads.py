"""Spreads of quotes and trades, in price units. Positive is a cost to who takes liquidity; a half-spread is half of each number here.

A spread needs a midpoint, and there is none where a side is missing or the quote is locked (bid = ask) or crossed (bid > ask). The measures of
one trade then raise Unmeasurable; those of arrays leave such quotes out.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InsufficientData, InvalidInput, Unmeasurable
from apps.core.measures import measure

SIGNS = {"BUY": 1.0, "SELL": -1.0}
RULE_605 = "17 CFR 242.600(b)(8), (13); Bessembinder and Kaufman (1997)"


@measure("marketdata.microstructure.quoted_spread", units="price", convention="ask - bid; UNMEASURABLE when locked or crossed", source=RULE_605)
def quoted_spread(bid: float, ask: float) -> float:
    """Best ask minus best bid."""
    _midpoint(bid, ask)
    return ask - bid


@measure(
    "marketdata.microstructure.effective_spread",
    units="price",
    convention="full spread 2 s (P - M), M the midpoint of the quote given; UNMEASURABLE when it is locked or crossed",
    source=RULE_605,
)
def effective_spread(side: str, price: float, bid: float, ask: float) -> float:
    """Twice what a trade paid over the midpoint; negative when it was better than the midpoint."""
    return 2 * sign_of(side) * (_price(price, "price") - _midpoint(bid, ask))


@measure(
    "marketdata.microstructure.realised_spread",
    units="price",
    convention="full spread 2 s (P - M later), the later quote must be neither locked nor crossed",
    source=RULE_605,
)
def realised_spread(side: str, price: float, later_bid: float, later_ask: float) -> float:
    """What the other side of a trade kept when the midpoint had moved on to that of the later quote."""
    return 2 * sign_of(side) * (_price(price, "price") - _midpoint(later_bid, later_ask))


@measure(
    "marketdata.microstructure.price_impact",
    units="price",
    convention="effective - realised spread = 2 s (M later - M)",
    source=RULE_605,
)
def price_impact(side: str, bid: float, ask: float, later_bid: float, later_ask: float) -> float:
    """Twice the midpoint's move in a trade's direction."""
    return 2 * sign_of(side) * (_midpoint(later_bid, later_ask) - _midpoint(bid, ask))


@measure("marketdata.microstructure.relative_spread", units="fraction of the midpoint", convention="(ask - bid) / midpoint", source=RULE_605)
def relative_spread(bid: float, ask: float) -> float:
    """Quoted spread as a fraction of the midpoint."""
    middle = _midpoint(bid, ask)
    return (ask - bid) / middle


@measure(
    "marketdata.microstructure.time_weighted_spread",
    units="price",
    convention="quoted spreads weighted by how long each quote stood; locked, crossed and one-sided quotes count neither above nor below the line",
    source="Huang and Stoll (1996); domain.md E2",
)
def time_weighted_spread(bids: Sequence[float], asks: Sequence[float], times: Sequence[float], end: float) -> float:
    """Mean quoted spread over time. `times` [T] in seconds, ascending; the last quote stands until `end`.

    Raises InsufficientData when no measurable quote stood for any time.
    """
    bid, ask, at = (np.asarray(values, np.float64) for values in (bids, asks, times))
    if not len(bid) == len(ask) == len(at):
        raise InvalidInput("bids, asks and times must be of one length", field="times")
    life = np.diff(np.append(at, end))
    if (life < 0).any():
        raise InvalidInput("times must ascend up to the end", field="times")
    good = measurable(bid, ask)
    total = float(life[good].sum())
    if not total > 0:
        raise InsufficientData("no measurable quote stood for any time", field="times")
    return float((life[good] * (ask - bid)[good]).sum() / total)


def measurable(bid: NDArray[np.float64], ask: NDArray[np.float64]) -> NDArray[np.bool_]:
    """True where a quote has a midpoint: both sides there, neither locked nor crossed."""
    return np.asarray((bid > 0) & np.isfinite(ask) & (bid < ask))


def sign_of(side: str) -> float:
    """+1 for BUY, -1 for SELL."""
    if side not in SIGNS:
        raise InvalidInput(f"{side!r} is neither 'BUY' nor 'SELL'", field="side")
    return SIGNS[side]


def _price(value: float, field: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise InvalidInput(f"{field} {value} is not above 0", field=field)
    return value


def _midpoint(bid: float, ask: float) -> float:
    if not (math.isfinite(bid) and math.isfinite(ask) and bid > 0 and ask > 0):
        raise Unmeasurable("a side of the quote is missing", field="bid")
    if bid >= ask:
        raise Unmeasurable(f"the quote {bid:g} to {ask:g} is {'locked' if bid == ask else 'crossed'}", field="bid")
    return (bid + ask) / 2
