"""Position sizers by name (seed 003): objects with `calculate_qty(signal, portfolio, price)`, made of the functions of `sizing`."""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Protocol

from apps.core.errors import InvalidInput
from apps.strategies.domain import sizing
from apps.strategies.domain.strategy import StrategySignal


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingPortfolio:
    """What a sizer knows of the money. `equity` is the whole value; `atr` the average true range and `lots` the lot size, by symbol."""

    equity: float
    atr: Mapping[str, float] = field(default_factory=dict)
    lots: Mapping[str, float] = field(default_factory=dict)


class PositionSizer(Protocol):
    """Says how many shares a new position has: whole lots, rounded down, 0 where nothing can be said."""

    def calculate_qty(self, signal: StrategySignal, portfolio: SizingPortfolio, price: float) -> float:
        """Shares for a new position at `price`."""


@dataclass(frozen=True, slots=True)
class FixedSizer:
    """The same quantity each time."""

    fixed_qty: float

    def __post_init__(self) -> None:
        _above_zero(self.fixed_qty, "fixed_qty")

    def calculate_qty(self, signal: StrategySignal, portfolio: SizingPortfolio, price: float) -> float:
        return sizing.fixed(self.fixed_qty, _lot(portfolio, signal))


@dataclass(frozen=True, slots=True)
class PercentSizer:
    """equity x pct / price."""

    pct: float = 0.1

    def __post_init__(self) -> None:
        _fraction(self.pct, "pct")

    def calculate_qty(self, signal: StrategySignal, portfolio: SizingPortfolio, price: float) -> float:
        return sizing.percent(portfolio.equity, self.pct, price, _lot(portfolio, signal))


@dataclass(frozen=True, slots=True)
class RiskBasedSizer:
    """equity x risk_pct / stop distance, which is `stop_pct` of the price: what is lost at the stop is `risk_pct` of equity."""

    risk_pct: float = 0.01
    stop_pct: float = 0.05

    def __post_init__(self) -> None:
        _fraction(self.risk_pct, "risk_pct")
        _fraction(self.stop_pct, "stop_pct")

    def calculate_qty(self, signal: StrategySignal, portfolio: SizingPortfolio, price: float) -> float:
        return sizing.risk_based(portfolio.equity, self.risk_pct, price * self.stop_pct, _lot(portfolio, signal))


@dataclass(frozen=True, slots=True)
class KellySizer:
    """The Kelly fraction f* = (p b - q) / b of equity, times `share`, never above `cap`."""

    win_rate: float
    win_loss_ratio: float
    share: float = 0.5
    cap: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.win_rate <= 1:
            raise InvalidInput(f"{self.win_rate} is no probability", field="position_sizer.win_rate")
        _above_zero(self.win_loss_ratio, "win_loss_ratio")
        _fraction(self.share, "share")
        _fraction(self.cap, "cap")

    def calculate_qty(self, signal: StrategySignal, portfolio: SizingPortfolio, price: float) -> float:
        fraction = sizing.kelly_fraction(self.win_rate, self.win_loss_ratio, share=self.share, cap=self.cap)
        return sizing.percent(portfolio.equity, fraction, price, _lot(portfolio, signal))


@dataclass(frozen=True, slots=True)
class VolatilitySizer:
    """equity x risk_pct / (ATR x multiplier); 0 while the average true range over `period` bars is not known."""

    risk_pct: float = 0.01
    multiplier: float = 2.0
    period: int = 14

    def __post_init__(self) -> None:
        _fraction(self.risk_pct, "risk_pct")
        _above_zero(self.multiplier, "multiplier")
        _above_zero(self.period, "period")

    def calculate_qty(self, signal: StrategySignal, portfolio: SizingPortfolio, price: float) -> float:
        atr = portfolio.atr.get(signal.symbol, 0.0)
        return sizing.volatility(portfolio.equity, self.risk_pct, atr, self.multiplier, _lot(portfolio, signal))


SIZERS: dict[str, type[Any]] = {
    "fixed": FixedSizer,
    "percent": PercentSizer,
    "risk_based": RiskBasedSizer,
    "kelly": KellySizer,
    "volatility": VolatilitySizer,
}


def sizer_build(kind: str, values: Mapping[str, object]) -> PositionSizer:
    """The sizer of this name with its numbers. Raises InvalidInput naming `position_sizer.type` or the number."""
    made = SIZERS.get(kind)
    if made is None:
        near = difflib.get_close_matches(kind, SIZERS, 1)
        hint = f"did you mean {near[0]}?" if near else ", ".join(SIZERS)
        raise InvalidInput(f"unknown position sizer {kind!r}: {hint}", field="position_sizer.type")
    fields = {one.name: one for one in dataclasses.fields(made)}
    for name in values:
        if name not in fields:
            raise InvalidInput(f"a {kind} sizer has no {name!r}: it has {', '.join(fields)}", field=f"position_sizer.{name}")
    for name, one in fields.items():
        if one.default is dataclasses.MISSING and name not in values:
            raise InvalidInput(f"a {kind} sizer needs {name}", field=f"position_sizer.{name}")
    sizer: PositionSizer = made(**{name: _number(name, value, whole=fields[name].type is int) for name, value in values.items()})
    return sizer


def sizer_document(sizer: PositionSizer) -> dict[str, Any]:
    """JSON form, from which `sizer_build` makes the sizer again."""
    kind = next(name for name, made in SIZERS.items() if made is type(sizer))
    return {"type": kind, **{name: getattr(sizer, name) for name in type(sizer).__dataclass_fields__}}  # type: ignore[attr-defined]


def _lot(portfolio: SizingPortfolio, signal: StrategySignal) -> float:
    return portfolio.lots.get(signal.symbol, 1.0)


def _number(name: str, value: object, *, whole: bool) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = float("nan")
    if isinstance(value, bool) or not isfinite(number) or (whole and number != int(number)):
        raise InvalidInput(f"{value!r} is no {'whole ' if whole else ''}number", field=f"position_sizer.{name}")
    return int(number) if whole else number


def _fraction(value: float, name: str) -> None:
    if not 0 < value <= 1:
        raise InvalidInput(f"{value} is no fraction above 0 and up to 1: 0.05 is 5 %", field=f"position_sizer.{name}")


def _above_zero(value: float, name: str) -> None:
    if not value > 0:
        raise InvalidInput(f"{value} is not above zero", field=f"position_sizer.{name}")
