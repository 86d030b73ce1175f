"""What a strategy is: named, parameterised, causal. It says BUY, SELL or HOLD for each symbol at each bar, and nothing about money."""

import dataclasses
import difflib
from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import BarPanel

#: int8 [T, N]: +1 buy, -1 sell, 0 hold, said at the close of bar t.
Signals = NDArray[np.int8]
BUY, SELL, HOLD = 1, -1, 0


class SignalAction(StrEnum):
    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"

    @property
    def sign(self) -> int:
        return {"BUY": BUY, "SELL": SELL, "HOLD": HOLD}[self.value]


ACTIONS = {action.sign: action for action in SignalAction}


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategySignal:
    """What the strategy says of one symbol: `price` is the close it was said at, `timestamp` the bar's start in UTC."""

    action: SignalAction
    symbol: str
    price: float
    timestamp: datetime

    def as_dict(self) -> dict[str, Any]:
        return {"action": str(self.action), "symbol": self.symbol, "price": self.price, "timestamp": self.timestamp}


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSnapshot:
    """All that is known at one moment: `history` ends with the bar that has just closed, whose start is `timestamp` (UTC)."""

    timestamp: datetime
    history: BarPanel

    @property
    def prices(self) -> dict[str, float]:
        """Last close of each symbol that has a bar at this moment."""
        last = self.history.close[-1]
        return {symbol: float(price) for symbol, price in zip(self.history.symbols, last, strict=True) if not np.isnan(price)}

    @property
    def bars(self) -> dict[str, dict[str, float]]:
        """Open, high, low, close and volume of this moment's bars by symbol."""
        names = ("open", "high", "low", "close", "volume")
        return {
            symbol: {name: float(getattr(self.history, name)[-1, n]) for name in names}
            for n, symbol in enumerate(self.history.symbols)
            if not np.isnan(self.history.close[-1, n])
        }


class Strategy(ABC):
    """Base of all strategies. Give `signals` (arrays, fast) or `generate_signals` (one moment at a time), or both when they agree.

    `Parameters` is a frozen dataclass of int, float, bool and str fields with defaults; its `__post_init__` may refuse values by
    InvalidInput. A strategy sees prices only, never positions: what to do about a signal is the engine's.
    """

    name: ClassVar[str]
    Parameters: ClassVar[type]

    def __init__(self, parameters: Any = None) -> None:
        self.parameters = self.Parameters() if parameters is None else parameters

    @property
    def warmup(self) -> int:
        """Number of bars before the first signal can come."""
        return 0

    @property
    def history_needed(self) -> int:
        """Number of bars with which the last row of `signals` is what it is with all bars, to within rounding."""
        return self.warmup + 1

    @property
    def is_vectorised(self) -> bool:
        return type(self).signals is not Strategy.signals

    def signals(self, panel: BarPanel) -> Signals:
        """Signals [T, N]. Row t depends on rows 0..t only; where a symbol has no bar (NaN) the signal is HOLD."""
        rows = np.zeros(panel.close.shape, np.int8)
        column = {symbol: n for n, symbol in enumerate(panel.symbols)}
        for t in range(len(panel)):
            for signal in self.generate_signals(snapshot_at(panel, t)):
                rows[t, column[signal.symbol]] = signal.action.sign
        return rows

    def generate_signals(self, snapshot: MarketSnapshot) -> list[StrategySignal]:
        """What the strategy says at this moment of each symbol that has a bar."""
        last = self.signals(snapshot.history)[-1]
        return [
            StrategySignal(action=ACTIONS[int(last[n])], symbol=symbol, price=price, timestamp=snapshot.timestamp)
            for n, symbol in enumerate(snapshot.history.symbols)
            if (price := snapshot.prices.get(symbol)) is not None
        ]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.signals is Strategy.signals and cls.generate_signals is Strategy.generate_signals:
            raise TypeError(f"{cls.__name__} must define signals or generate_signals")


def snapshot_at(panel: BarPanel, t: int) -> MarketSnapshot:
    """The snapshot after bar `t`: views, no copies."""
    end = t + 1
    history = BarPanel(
        symbols=panel.symbols,
        ts=panel.ts[:end],
        open=panel.open[:end],
        high=panel.high[:end],
        low=panel.low[:end],
        close=panel.close[:end],
        volume=panel.volume[:end],
    )
    return MarketSnapshot(timestamp=bar_time(panel, t), history=history)


def bar_time(panel: BarPanel, t: int) -> datetime:
    """Start of bar `t`, aware, UTC."""
    from datetime import UTC

    moment: datetime = panel.ts[t].astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)


def parameters_build(kind: type, given: Mapping[str, object]) -> Any:
    """An instance of a strategy's Parameters from names and values, which may be text.

    Raises InvalidInput which names the parameter: unknown (with the nearest known one), or not of the field's type.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in given:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(fields) or 'none'}"
            raise InvalidInput(f"unknown parameter {name!r}: {hint}", field=f"parameters.{name}")
    return kind(**{name: _converted(name, value, fields[name].type) for name, value in given.items()})


def _converted(name: str, value: object, kind: object) -> object:
    wanted: Any = kind if isinstance(kind, type) else {"int": int, "float": float, "bool": bool, "str": str}[str(kind)]
    text = str(value).strip()
    if wanted is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if wanted is not bool and (not isinstance(value, bool) or wanted is str):
        try:
            converted = wanted(text)
        except ValueError:
            converted = None
        if converted is not None and (wanted is not float or np.isfinite(converted)):
            return converted
    raise InvalidInput(f"{value!r} is no {wanted.__name__}", field=f"parameters.{name}")
