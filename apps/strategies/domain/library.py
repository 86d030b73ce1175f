"""The desk's own strategies. All are causal; each indicator is computed on the bars that a symbol really has."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import BarPanel
from apps.strategies.domain.strategy import BUY, HOLD, SELL, Signals, Strategy

Numbers = NDArray[np.float64]

#: Averages of prices that differ by less than this fraction of the price differ by rounding only.
LEVEL = 1e-12


def sma(values: Numbers, period: int) -> Numbers:
    """Simple moving average [T], NaN while warming up. Each value is the mean of its own window, whatever came before."""
    result = np.full(len(values), np.nan)
    if len(values) >= period:
        result[period - 1 :] = sliding_window_view(values, period).mean(axis=1)
    return result


def ema(values: Numbers, period: int) -> Numbers:
    """Exponential moving average [T] with weight 2 / (period + 1), seeded by the first SMA (TA-Lib); NaN while warming up."""
    import pandas as pd

    result = np.full(len(values), np.nan)
    valid = np.flatnonzero(~np.isnan(values))
    if len(valid) < period:
        return result
    first = int(valid[0])
    start = first + period - 1
    seeded = values[start:].copy()
    seeded[0] = values[first : start + 1].mean()
    result[start:] = pd.Series(seeded).ewm(alpha=2 / (period + 1), adjust=False).mean().to_numpy()
    return result


def crosses(line: Numbers, other: Numbers, scale: Numbers) -> Signals:
    """+1 where `line` rises above `other`, having been below it, -1 where it falls below; 0 elsewhere and while either is NaN.

    Lines that differ by rounding only (`scale` is the size of the numbers that they were made of) are level, and level lines keep the
    side they were on: a market that stands still says nothing.
    """
    gap = line - other
    side = np.where(np.abs(gap) > LEVEL * scale, np.sign(gap), 0.0).astype(np.int8)
    last = np.maximum.accumulate(np.where(side != 0, np.arange(len(side)), 0))
    side = side[last]
    result = np.zeros(len(side), np.int8)
    result[1:] = np.where(side[1:] * side[:-1] < 0, side[1:], HOLD)
    return result


def by_symbol(panel: BarPanel, rule: Callable[[Numbers], Signals]) -> Signals:
    """Apply a rule on closes to each symbol's own bars; HOLD where it has none."""
    result = np.zeros(panel.close.shape, np.int8)
    for n in range(panel.close.shape[1]):
        has = ~np.isnan(panel.close[:, n])
        result[has, n] = rule(panel.close[has, n])
    return result


def _at_least(value: int, least: int, name: str) -> None:
    if value < least:
        raise InvalidInput(f"{name} was {value}, but must be at least {least}", field=f"parameters.{name}")


@dataclass(frozen=True, slots=True)
class SmaCrossParameters:
    fast: int = 10
    slow: int = 30

    def __post_init__(self) -> None:
        _at_least(self.fast, 1, "fast")
        _at_least(self.slow, self.fast + 1, "slow")


class SmaCross(Strategy):
    """Buy when the fast simple average of closes rises above the slow one, sell when it falls below."""

    name = "sma_cross"
    Parameters = SmaCrossParameters

    @property
    def warmup(self) -> int:
        return int(self.parameters.slow)

    @property
    def history_needed(self) -> int:
        return int(self.parameters.slow) + 1

    def signals(self, panel: BarPanel) -> Signals:
        return by_symbol(panel, self._rule)

    def _rule(self, close: Numbers) -> Signals:
        fast, slow = sma(close, self.parameters.fast), sma(close, self.parameters.slow)
        return crosses(fast, slow, close)


@dataclass(frozen=True, slots=True)
class MacdParameters:
    fast: int = 12
    slow: int = 26
    signal: int = 9

    def __post_init__(self) -> None:
        _at_least(self.fast, 1, "fast")
        _at_least(self.slow, self.fast + 1, "slow")
        _at_least(self.signal, 1, "signal")


class Macd(Strategy):
    """Buy when the MACD line (fast EMA less slow EMA) rises above its own EMA, sell when it falls below."""

    name = "macd"
    Parameters = MacdParameters

    @property
    def warmup(self) -> int:
        return int(self.parameters.slow + self.parameters.signal - 1)

    @property
    def history_needed(self) -> int:
        """An EMA forgets what came before `n` bars by a factor exp(-2 n / period): 12 periods leave nothing that a float shows."""
        return self.warmup + 12 * int(self.parameters.slow)

    def signals(self, panel: BarPanel) -> Signals:
        return by_symbol(panel, self._rule)

    def _rule(self, close: Numbers) -> Signals:
        line = ema(close, self.parameters.fast) - ema(close, self.parameters.slow)
        average = ema(line, self.parameters.signal)
        return crosses(line, average, close)


@dataclass(frozen=True, slots=True)
class MomentumParameters:
    lookback: int = 60
    threshold: float = 0.05

    def __post_init__(self) -> None:
        _at_least(self.lookback, 1, "lookback")
        if self.threshold < 0:
            raise InvalidInput(f"threshold was {self.threshold}, but must not be negative", field="parameters.threshold")


class Momentum(Strategy):
    """Buy while the return over `lookback` bars is above the threshold (a fraction), sell while it is below minus the threshold."""

    name = "momentum"
    Parameters = MomentumParameters

    @property
    def warmup(self) -> int:
        return int(self.parameters.lookback)

    def signals(self, panel: BarPanel) -> Signals:
        return by_symbol(panel, self._rule)

    def _rule(self, close: Numbers) -> Signals:
        result = np.zeros(len(close), np.int8)
        lookback, threshold = self.parameters.lookback, self.parameters.threshold
        if len(close) > lookback:
            change = close[lookback:] / close[:-lookback] - 1
            result[lookback:][change > threshold] = BUY
            result[lookback:][change < -threshold] = SELL
        return result


STRATEGIES: dict[str, type[Strategy]] = {kind.name: kind for kind in (SmaCross, Macd, Momentum)}
