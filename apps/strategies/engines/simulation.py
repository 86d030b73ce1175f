"""The event engine's loop over bars, compiled with Numba: pending orders, signals, sizing, fills, mark to market.

At each bar, in this order: orders that still wait are matched against the bar; then the bar's signals are turned into orders, sized on
equity at the close. With `fill_at` close an order meets the close of its own bar, as a market-on-close order would; with open or vwap
it meets the next bar, so that no fill uses a price from before its decision. What volume does not allow waits for the next bar (GTC).
Long only: BUY opens a position when there is none, SELL closes it and withdraws a waiting buy.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.strategies.domain.matching import FillAt, OrderTypeCode, TifCode, match
from apps.strategies.engines.compiled import compiled

_CLOSE = int(FillAt.CLOSE)
_MARKET, _GTC = int(OrderTypeCode.MARKET), int(TifCode.GTC)

match_compiled = compiled(match)

#: Columns of the fills that `simulate` returns.
BAR, COLUMN, SIGN, QUANTITY, PRICE, FEE, CLOSING = range(7)


@compiled
def _put(fills, used, t, n, sign, quantity, price, fee, closing):
    """Append one row to the fills; returns (fills, used), the array grown when it was full."""
    if used == len(fills):
        larger = np.empty((2 * used, fills.shape[1]))
        larger[:used] = fills
        fills = larger
    row = fills[used]
    row[BAR], row[COLUMN], row[SIGN], row[QUANTITY], row[PRICE], row[FEE], row[CLOSING] = t, n, sign, quantity, price, fee, closing
    return fills, used + 1


@compiled
def _affordable(wanted, cash, price, fee):
    """Whole shares that the cash pays for, at most `wanted`."""
    if wanted * price + fee <= cash:
        return wanted
    return max(np.floor((cash - fee) / price), 0.0)


@compiled
def _meet(bar, n, held, leaves, first, purse, costs):
    """Match the waiting order of symbol `n` against one bar and book what it does; returns (sign, quantity, price, fee)."""
    commission, slippage_bps, fill_at, max_volume_pct = costs
    sign = 1 if leaves[n] > 0.0 else -1
    quantity, price, _, done = match_compiled(
        _MARKET,
        sign,
        abs(leaves[n]),
        np.nan,
        np.nan,
        False,
        _GTC,
        bar[0],
        bar[1],
        bar[2],
        bar[3],
        np.nan,
        bar[4],
        fill_at,
        max_volume_pct,
        slippage_bps,
    )
    fee = commission if first[n] else 0.0
    if sign > 0 and quantity > 0.0:
        paid = _affordable(quantity, purse[0], price, fee)
        if paid < quantity:  # the market moved away from what the cash was for: take what it pays for and forget the rest
            quantity, done = paid, True
    if quantity > 0.0:
        held[n] += sign * quantity
        purse[0] -= sign * quantity * price + fee
        first[n] = False
    leaves[n] = 0.0 if done else leaves[n] - sign * quantity
    return sign, quantity, price, fee


@compiled
def _ordered(signal, held, leaves, affordable):
    """The signed quantity that a signal orders, NaN when it orders nothing new."""
    if signal > 0 and held == 0.0 and leaves == 0.0:
        return affordable
    if signal < 0 and leaves >= 0.0 and (held > 0.0 or leaves > 0.0):
        return -held
    return np.nan


@compiled
def _worth(held, last):
    total = 0.0
    for n in range(len(held)):
        if held[n] != 0.0:
            total += held[n] * last[n]
    return total


@compiled
def simulate(bars, signals, cash, fraction, costs):
    """Run signals int8 [T, N] over bars float64 [T, N, 5]; returns (equity [T], fills [K, 7] with the columns named above).

    `costs` is (commission, slippage_bps, fill_at, max_volume_pct), `fraction` the share of equity for a new position.
    """
    periods, symbols = signals.shape
    held, leaves, last = np.zeros(symbols), np.zeros(symbols), np.full(symbols, np.nan)
    first = np.ones(symbols, np.bool_)  # no fill yet: the commission is still to pay
    purse = np.array([cash])
    equity, fills, used = np.empty(periods), np.empty((64, 7)), 0
    for t in range(periods):
        for n in range(symbols):
            if not np.isnan(bars[t, n, 3]):
                last[n] = bars[t, n, 3]
                if leaves[n] != 0.0:
                    sign, quantity, price, fee = _meet(bars[t, n], n, held, leaves, first, purse, costs)
                    if quantity > 0.0:
                        fills, used = _put(fills, used, t, n, float(sign), quantity, price, fee, 0.0)
        total = purse[0] + _worth(held, last)
        for n in range(symbols):
            if signals[t, n] == 0 or np.isnan(bars[t, n, 3]):
                continue
            wanted = _ordered(signals[t, n], held[n], leaves[n], np.floor(total * fraction / last[n]))
            if not np.isnan(wanted):
                leaves[n], first[n] = wanted, True
                if costs[2] == _CLOSE and wanted != 0.0:
                    sign, quantity, price, fee = _meet(bars[t, n], n, held, leaves, first, purse, costs)
                    if quantity > 0.0:
                        fills, used = _put(fills, used, t, n, float(sign), quantity, price, fee, 0.0)
        equity[t] = purse[0] + _worth(held, last)
    fills, used = _sell_all(periods - 1, held, last, purse, costs, fills, used)
    equity[periods - 1] = purse[0]
    return equity, fills[:used]


@compiled
def _sell_all(t, held, last, purse, costs, fills, used):
    """The run ends: sell what is left at the last close, volume or not."""
    for n in range(len(held)):
        if held[n] > 0.0:
            price = last[n] * (1.0 - costs[1] * 1e-4)
            fills, used = _put(fills, used, t, n, -1.0, held[n], price, costs[0], 1.0)
            purse[0] += held[n] * price - costs[0]
    return fills, used


def bars_of(panel: Any) -> NDArray[np.float64]:
    """A panel's five fields as one array [T, N, 5]."""
    return np.stack([panel.open, panel.high, panel.low, panel.close, panel.volume], axis=2)
