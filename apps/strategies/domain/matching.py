"""How an order meets a bar: the one matching function of backtest, dry run and paper.

Plain Python that Numba also compiles (`engines.compiled`), floats and integers only, no fast-math: both give the same bits.

A market order, and a stop that was triggered on an earlier bar, trade at `fill_at`. Limits and stops that wait follow the path of the
bar: they trade at the open when the open is already through their price, as a market that gaps would fill them, and otherwise at their
price. IOC and FOK orders come at one moment and see one price, that of `fill_at`. What cannot be known from a bar is decided against the
trader: when a stop-limit triggers inside a bar with its limit already passed, only the close shows whether the price came back.
"""

from enum import IntEnum
from math import floor, inf, isnan

BPS = 1e-4


class OrderTypeCode(IntEnum):
    MARKET = 0
    LIMIT = 1
    STOP = 2
    STOP_LIMIT = 3


class TifCode(IntEnum):
    DAY = 0
    GTC = 1
    IOC = 2
    FOK = 3


class FillAt(IntEnum):
    CLOSE = 0
    OPEN = 1
    VWAP = 2


# Numba reads these as constants.
_MARKET, _LIMIT, _STOP, _STOP_LIMIT = (int(code) for code in OrderTypeCode)
_IOC, _FOK = int(TifCode.IOC), int(TifCode.FOK)
_OPEN, _VWAP = int(FillAt.OPEN), int(FillAt.VWAP)


def match(  # noqa: C901 - one function, which Numba compiles as it stands
    order_type: int,
    side_sign: int,
    leaves: float,
    limit: float,
    stop: float,
    stop_triggered: bool,
    tif: int,
    open_: float,
    high: float,
    low: float,
    close: float,
    vwap: float,
    volume: float,
    fill_at: int,
    max_volume_pct: float,
    slippage_bps: float,
) -> tuple[float, float, bool, bool]:
    """What one bar does to one order: (fill quantity, fill price, stop triggered, done).

    `side_sign` is +1 for a buy, -1 for a sell; codes are those of the enums here; `limit` and `stop` are NaN where the type has none.
    `max_volume_pct` is a fraction (0.1 = 10 %) of `volume`; an infinite or NaN volume means unknown and sets no bound, zero fills
    nothing. `vwap` NaN falls back to (high + low + close) / 3. `slippage_bps` (1 bp = 1e-4) is always against the trader and never
    carries a limit order past its limit. Without a fill the quantity is 0 and the price NaN. `done` is true when nothing is left to
    trade or the rest must be cancelled (IOC, FOK); the end of a DAY order is the caller's, who knows the session.
    """
    if fill_at == _OPEN:
        market = open_
    elif fill_at == _VWAP:
        market = (high + low + close) / 3.0 if isnan(vwap) else vwap
    else:
        market = close
    immediate = tif in (_IOC, _FOK)
    if immediate:
        open_ = high = low = close = market

    wanted = float("nan")
    triggered = stop_triggered
    limited = order_type in (_LIMIT, _STOP_LIMIT)
    if order_type in (_STOP, _STOP_LIMIT) and not triggered:
        reached = high >= stop if side_sign > 0 else low <= stop
        if reached:
            triggered = True
            gapped = (open_ - stop) * side_sign > 0
            wanted = open_ if gapped else stop
            if limited and (wanted - limit) * side_sign > 0:
                later = close  # after the trigger for sure; after a trigger at the open the whole bar is
                if gapped:
                    later = low if side_sign > 0 else high
                wanted = limit if (later - limit) * side_sign <= 0 else float("nan")
    elif limited:
        best = low if side_sign > 0 else high
        if (open_ - limit) * side_sign <= 0:
            wanted = open_
        elif (best - limit) * side_sign <= 0:
            wanted = limit
    else:
        wanted = market

    if isnan(wanted):
        return 0.0, wanted, triggered, immediate
    price = wanted * (1.0 + side_sign * slippage_bps * BPS)
    if limited and (price - limit) * side_sign > 0:
        price = limit

    quantity = leaves
    if not isnan(volume) and volume != inf:
        available = max_volume_pct * volume
        available = float(floor(available)) if leaves == floor(leaves) else floor(available * 1e6) / 1e6
        quantity = min(leaves, max(available, 0.0))
    if tif == _FOK and quantity < leaves:
        quantity = 0.0
    if quantity <= 0.0:
        return 0.0, float("nan"), triggered, immediate
    return quantity, price, triggered, immediate or quantity == leaves
