"""Each indicator from its published definition in plain Python, one bar after the other: the second way against which the registry is held."""

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

Series = Sequence[float]
Row = list[float]
NAN = math.nan


def late(values: Row, length: int) -> Row:
    return [NAN] * (length - len(values)) + values


def typical(b: Any) -> Row:
    return [(h + low + c) / 3 for h, low, c in zip(b.high, b.low, b.close, strict=True)]


def window(x: Series, at: int, period: int) -> Series:
    return x[at - period + 1 : at + 1]


def rolling(x: Series, period: int, number: Callable[[Series], float]) -> Row:
    return late([number(window(x, at, period)) for at in range(period - 1, len(x))], len(x))


def mean(x: Series) -> float:
    return math.fsum(x) / len(x)


def average(x: Series, period: int) -> Row:
    return rolling(x, period, mean)


def exponential(x: Series, period: int, seed_at: int | None = None) -> Row:
    """Seeded by the simple mean of the `period` values that end at `seed_at`."""
    start = period - 1 if seed_at is None else seed_at
    now = mean(window(x, start, period))
    out = [now]
    for value in x[start + 1 :]:
        now += 2 / (period + 1) * (value - now)
        out.append(now)
    return late(out, len(x))


def wilder(x: Series, period: int) -> Row:
    now = mean(x[:period])
    out = [now]
    for value in x[period:]:
        now = (now * (period - 1) + value) / period
        out.append(now)
    return out


def changes(x: Series) -> Row:
    return [b - a for a, b in pairwise(x)]


def true_ranges(b: Any) -> Row:
    return [max(h, before) - min(low, before) for h, low, before in zip(b.high[1:], b.low[1:], b.close, strict=False)]


def sma(b: Any, period: int) -> Row:
    return average(b.close, period)


def ema(b: Any, period: int) -> Row:
    return exponential(b.close, period)


def wma(b: Any, period: int) -> Row:
    return rolling(b.close, period, lambda x: math.fsum((k + 1) * v for k, v in enumerate(x)) / (period * (period + 1) / 2))


def macd(b: Any, fast: int, slow: int, signal: int) -> dict[str, Row]:
    quick, lazy = exponential(b.close, fast, slow - 1), exponential(b.close, slow)
    line = [a - z for a, z in zip(quick[slow - 1 :], lazy[slow - 1 :], strict=True)]
    smooth = exponential(line, signal)[signal - 1 :]
    line = line[signal - 1 :]
    n = len(b.close)
    return {
        "macd": late(line, n),
        "signal": late(smooth, n),
        "histogram": late([a - s for a, s in zip(line, smooth, strict=True)], n),
    }


def rsi_of(x: Series, period: int) -> Row:
    moves = changes(x)
    up = wilder([max(move, 0.0) for move in moves], period)
    down = wilder([max(-move, 0.0) for move in moves], period)
    return late([100 * u / (u + d) if u + d else 0.0 for u, d in zip(up, down, strict=True)], len(x))


def rsi(b: Any, period: int) -> Row:
    return rsi_of(b.close, period)


def bbands(b: Any, period: int, deviations: float) -> dict[str, Row]:
    middle, spread = average(b.close, period), rolling(b.close, period, statistics.pstdev)
    return {
        "upper": [m + deviations * s for m, s in zip(middle, spread, strict=True)],
        "middle": middle,
        "lower": [m - deviations * s for m, s in zip(middle, spread, strict=True)],
    }


def atr(b: Any, period: int) -> Row:
    return late(wilder(true_ranges(b), period), len(b.close))


def natr(b: Any, period: int) -> Row:
    return [100 * a / c for a, c in zip(atr(b, period), b.close, strict=True)]


def directional(b: Any, period: int) -> tuple[Row, Row]:
    """+DI and -DI from the bar `period` on: sums begin with period - 1 movements, then each keeps (period - 1) / period."""
    rises, falls = changes(b.high), [-move for move in changes(b.low)]
    plus = [r if r > f and r > 0 else 0.0 for r, f in zip(rises, falls, strict=True)]
    minus = [f if f > r and f > 0 else 0.0 for r, f in zip(rises, falls, strict=True)]
    ranges = true_ranges(b)
    p, m, t = (math.fsum(x[: period - 1]) for x in (plus, minus, ranges))
    ups, downs = [], []
    for at in range(period - 1, len(ranges)):
        p, m, t = (total - total / period + x[at] for total, x in ((p, plus), (m, minus), (t, ranges)))
        ups.append(100 * p / t)
        downs.append(100 * m / t)
    return ups, downs


def plus_di(b: Any, period: int) -> Row:
    return late(directional(b, period)[0], len(b.close))


def minus_di(b: Any, period: int) -> Row:
    return late(directional(b, period)[1], len(b.close))


def adx(b: Any, period: int) -> Row:
    ups, downs = directional(b, period)
    strength = [100 * abs(u - d) / (u + d) for u, d in zip(ups, downs, strict=True)]
    return late(wilder(strength, period), len(b.close))


def dmi(b: Any, period: int) -> dict[str, Row]:
    first = 2 * period - 1
    lines = {"adx": adx(b, period), "plus_di": plus_di(b, period), "minus_di": minus_di(b, period)}
    return {name: late(row[first:], len(row)) for name, row in lines.items()}


def obv(b: Any) -> Row:
    out = [b.volume[0]]
    for move, volume in zip(changes(b.close), b.volume[1:], strict=True):
        out.append(out[-1] + (volume if move > 0 else -volume if move < 0 else 0))
    return out


def place(b: Any, period: int) -> Row:
    """Where the close lies in the range of the last bars, in percent."""
    top, bottom = rolling(b.high, period, max), rolling(b.low, period, min)
    return [100 * (c - low) / (h - low) if h != low else 0.0 for c, h, low in zip(b.close, top, bottom, strict=True)]


def stoch(b: Any, period: int, slow_k: int, slow_d: int) -> dict[str, Row]:
    k = average(place(b, period)[period - 1 :], slow_k)[slow_k - 1 :]
    d = average(k, slow_d)[slow_d - 1 :]
    n = len(b.close)
    return {"k": late(k[slow_d - 1 :], n), "d": late(d, n)}


def stochrsi(b: Any, period: int, k: int, d: int) -> dict[str, Row]:
    strength = rsi_of(b.close, period)[period:]
    top, bottom = rolling(strength, k, max), rolling(strength, k, min)
    fast = [100 * (s - low) / (h - low) if h != low else 0.0 for s, h, low in zip(strength, top, bottom, strict=True)][k - 1 :]
    slow = average(fast, d)[d - 1 :]
    n = len(b.close)
    return {"k": late(fast[d - 1 :], n), "d": late(slow, n)}


def cci(b: Any, period: int) -> Row:
    def number(x: Series) -> float:
        middle = mean(x)
        spread = mean([abs(v - middle) for v in x])
        return (x[-1] - middle) / (0.015 * spread)

    return rolling(typical(b), period, number)


def willr(b: Any, period: int) -> Row:
    top, bottom = rolling(b.high, period, max), rolling(b.low, period, min)
    return [-100 * (h - c) / (h - low) for c, h, low in zip(b.close, top, bottom, strict=True)]


def mfi(b: Any, period: int) -> Row:
    price = typical(b)
    flows = [math.copysign(p * v, move) if move else 0.0 for move, p, v in zip(changes(price), price[1:], b.volume[1:], strict=True)]

    def number(x: Series) -> float:
        inflow, outflow = math.fsum(v for v in x if v > 0), -math.fsum(v for v in x if v < 0)
        return 100 * inflow / (inflow + outflow)

    return late(rolling(flows, period, number)[period - 1 :], len(price))


def roc(b: Any, period: int) -> Row:
    return late([100 * (now / then - 1) for then, now in zip(b.close, b.close[period:], strict=False)], len(b.close))


def mom(b: Any, period: int) -> Row:
    return late([now - then for then, now in zip(b.close, b.close[period:], strict=False)], len(b.close))


def vwap(b: Any, session: Sequence[Any]) -> Row:
    out, money, traded, before = [], 0.0, 0.0, None
    for price, volume, mark in zip(typical(b), b.volume, session, strict=True):
        if mark != before:
            money, traded, before = 0.0, 0.0, mark
        money, traded = money + price * volume, traded + volume
        out.append(money / traded)
    return out


def donchian(b: Any, period: int) -> dict[str, Row]:
    top, bottom = rolling(b.high, period, max), rolling(b.low, period, min)
    return {"upper": top, "middle": [(h + low) / 2 for h, low in zip(top, bottom, strict=True)], "lower": bottom}


def keltner(b: Any, period: int, atr_period: int, multiple: float) -> dict[str, Row]:
    first = max(period - 1, atr_period)
    middle, reach = ema(b, period)[first:], [multiple * v for v in atr(b, atr_period)[first:]]
    n = len(b.close)
    return {
        "upper": late([m + r for m, r in zip(middle, reach, strict=True)], n),
        "middle": late(middle, n),
        "lower": late([m - r for m, r in zip(middle, reach, strict=True)], n),
    }


def volatility(b: Any, period: int, periods_per_year: float) -> Row:
    returns = [math.log(now / then) for then, now in pairwise(b.close)]
    return late([v * math.sqrt(periods_per_year) for v in rolling(returns, period, statistics.stdev)[period - 1 :]], len(b.close))


def zscore(b: Any, period: int) -> Row:
    return rolling(b.close, period, lambda x: (x[-1] - mean(x)) / statistics.stdev(x))


def drawdown(b: Any, period: int) -> Row:
    if period:
        return rolling(b.close, period, lambda x: x[-1] / max(x) - 1)
    return [close / max(b.close[: at + 1]) - 1 for at, close in enumerate(b.close)]


def beta(b: Any, period: int) -> Row:
    own, market = ([now / then - 1 for then, now in pairwise(x)] for x in (b.close, b.benchmark))
    slopes = [
        statistics.covariance(window(own, at, period), window(market, at, period)) / statistics.variance(window(market, at, period))
        for at in range(period - 1, len(own))
    ]
    return late(slopes, len(b.close))


def cdlengulfing(b: Any) -> Row:
    out = [NAN, NAN]
    for at in range(2, len(b.close)):
        o, c, before_o, before_c = b.open[at], b.close[at], b.open[at - 1], b.close[at - 1]
        up = c >= o and before_c < before_o and c > before_o and o < before_c
        down = c < o and before_c >= before_o and c < before_o and o > before_c
        out.append(100.0 if up else -100.0 if down else 0.0)
    return out


def cdldoji(b: Any) -> Row:
    """A body of at most a tenth of the mean range of the ten bars before."""
    ranges = [h - low for h, low in zip(b.high, b.low, strict=True)]
    return late([100.0 if abs(b.close[at] - b.open[at]) <= 0.1 * mean(ranges[at - 10 : at]) else 0.0 for at in range(10, len(ranges))], len(ranges))


def cdlmarubozu(b: Any) -> Row:
    """A body longer than the mean of the ten before, with shadows below a tenth of their mean range."""
    ranges = [h - low for h, low in zip(b.high, b.low, strict=True)]
    bodies = [abs(c - o) for c, o in zip(b.close, b.open, strict=True)]
    out = []
    for at in range(10, len(ranges)):
        o, c, short = b.open[at], b.close[at], 0.1 * mean(ranges[at - 10 : at])
        found = bodies[at] > mean(bodies[at - 10 : at]) and b.high[at] - max(o, c) < short and min(o, c) - b.low[at] < short
        out.append((100.0 if c >= o else -100.0) if found else 0.0)
    return late(out, len(ranges))


DEFINITIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        *(sma, ema, wma, macd, adx, plus_di, minus_di, dmi, donchian, keltner),
        *(rsi, stoch, stochrsi, cci, willr, mfi, roc, mom),
        *(bbands, atr, natr, volatility, zscore, drawdown, beta),
        *(obv, vwap, cdlengulfing, cdldoji, cdlmarubozu),
    )
}
