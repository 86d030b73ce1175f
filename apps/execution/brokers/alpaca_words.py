"""Alpaca's words and numbers, and the desk's. Pure: vendor words end here, and quantities and prices never become floats."""

import re
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import Enum
from typing import Any

from apps.core.money import PRICE_PLACES, ZERO
from apps.core.trading import OrderType, Side, TimeInForce, TradingMode

ORDER_TYPES = {
    OrderType.MARKET: "market",
    OrderType.LIMIT: "limit",
    OrderType.STOP: "stop",
    OrderType.STOP_LIMIT: "stop_limit",
    OrderType.TRAILING_STOP: "trailing_stop",
    OrderType.MARKET_ON_CLOSE: "market",
}
#: A market-on-close order is a market order for the closing auction. There is no good-till-date order.
TIMES_IN_FORCE = {TimeInForce.DAY: "day", TimeInForce.GTC: "gtc", TimeInForce.IOC: "ioc", TimeInForce.FOK: "fok"}
ON_CLOSE = "cls"
_STEP = Decimal(1).scaleb(-PRICE_PLACES)


class AlpacaState(Enum):
    """What a status of Alpaca's means to the desk."""

    WORKING = "it is there and may trade"
    FILLED = "all of it has traded"
    CANCELED = "its rest is cancelled"
    EXPIRED = "its rest has expired"
    REJECTED = "refused"
    REPLACED = "another order has taken its place"


#: Every status that alpaca-py knows. One that is not here counts as working: what may still trade is never taken for dead.
STATES = {
    "new": AlpacaState.WORKING,
    "partially_filled": AlpacaState.WORKING,
    "accepted": AlpacaState.WORKING,
    "pending_new": AlpacaState.WORKING,
    "accepted_for_bidding": AlpacaState.WORKING,
    "pending_review": AlpacaState.WORKING,
    "pending_cancel": AlpacaState.WORKING,
    "pending_replace": AlpacaState.WORKING,
    "stopped": AlpacaState.WORKING,
    "suspended": AlpacaState.WORKING,
    "calculated": AlpacaState.WORKING,
    "held": AlpacaState.WORKING,
    "done_for_day": AlpacaState.WORKING,
    "filled": AlpacaState.FILLED,
    "canceled": AlpacaState.CANCELED,
    "expired": AlpacaState.EXPIRED,
    "rejected": AlpacaState.REJECTED,
    "replaced": AlpacaState.REPLACED,
}
#: A replacement in one of these is not yet certain.
UNCERTAIN = frozenset({"accepted", "pending_new"})


def alpaca_state(status: str) -> AlpacaState:
    return STATES.get(status, AlpacaState.WORKING)


def number(value: Any) -> Decimal | None:
    """A Decimal with at most six places, half to even; None for None, empty text and what is no finite number."""
    if value is None or value == "":
        return None
    exact = Decimal(str(value))
    return (exact.quantize(_STEP, ROUND_HALF_EVEN).normalize() + 0) if exact.is_finite() else None


def amount(value: Any) -> Decimal:
    """The same, where nothing is zero."""
    return number(value) or ZERO


def side_of(word: str) -> Side:
    """`buy`, `sell` and `sell_short`. Raises ValueError for another word."""
    if word == "sell_short":
        return Side.SELL
    return Side(word)


def moment(text: str) -> datetime:
    """A time of Alpaca's (RFC 3339, up to nanoseconds, which are cut to microseconds)."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text).replace("Z", "+00:00"))


def mode_of_number(account: str) -> TradingMode:
    """Numbers of paper accounts begin with PA. Every other account may cost money."""
    return TradingMode.PAPER if account.startswith("PA") else TradingMode.LIVE


def reference_of(client_order_id: str) -> str:
    """The desk's reference behind a client order id: a replacement carries it with a number behind a slash."""
    return client_order_id.partition("/")[0]
