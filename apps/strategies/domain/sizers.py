"""Position sizers by name (seed 003): objects with `calculate_qty(signal, portfolio, price)`, made of the functions of
`apps.risk.domain.sizing`. Each explains what it says."""

import dataclasses
import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any, Protocol

from apps.core.errors import InvalidInput
from apps.risk.domain import sizing
from apps.strategies.domain.strategy import StrategySignal


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingPortfolio:
    """What a sizer knows of the money and of the instruments, by symbol: `atr` the average true range, `volatility` the annual one, `lots` the
    lot size, `stops` the price at which the position is given up, `affordable` the most shares that the money pays for. `equity` is the
    whole value. All money and prices are in the portfolio's currency.
    """

    equity: float
    atr: Mapping[str, float] = field(default_factory=dict)
    volatility: Mapping[str, float] = field(default_factory=dict)
    lots: Mapping[str, float] = field(default_factory=dict)
    stops: Mapping[str, float] = field(default_factory=dict)
    affordable: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Term:
    """A number that goes into a formula, with its unit: "money", "price", "fraction", "shares", "bars" or "ratio"."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """What a sizer says and how it came to it: `wanted` is what the formula gives, `quantity` what is left after `caps` and whole lots.

    `lacking` says what a formula could not be computed without; the quantity is 0 then.
    """

    quantity: float
    wanted: float
    lot_size: float
    formula: str
    terms: tuple[Term, ...]
    caps: tuple[str, ...] = ()
    lacking: str = ""


class PositionSizer(Protocol):
    """Says how many shares a new position has: whole lots, rounded down, 0 where nothing can be said."""

    def sized(self, symbol: str, portfolio: SizingPortfolio, price: float) -> Sized:
        """Shares for a new position at `price`, explained."""

    def calculate_qty(self, signal: StrategySignal, portfolio: SizingPortfolio, price: float) -> float:
        """The same shares alone."""


class _Sizer(ABC):
    """What sizers share: the quantity of a signal is that of the explanation."""

    __slots__ = ()

    def calculate_qty(self, signal: StrategySignal, portfolio: SizingPortfolio, price: float) -> float:
        return self.sized(signal.symbol, portfolio, price).quantity

    @abstractmethod
    def sized(self, symbol: str, portfolio: SizingPortfolio, price: float) -> Sized:
        """Shares for a new position at `price`, explained."""


@dataclass(frozen=True, slots=True)
class FixedSizer(_Sizer):
    """The same quantity each time."""

    fixed_qty: float

    def __post_init__(self) -> None:
        _above_zero(self.fixed_qty, "fixed_qty")

    def sized(self, symbol: str, portfolio: SizingPortfolio, price: float) -> Sized:
        return _rounded(symbol, portfolio, self.fixed_qty, "the fixed quantity", Term("Fixed quantity", self.fixed_qty, "shares"))


@dataclass(frozen=True, slots=True)
class PercentSizer(_Sizer):
    """equity x pct / price."""

    pct: float = 0.1

    def __post_init__(self) -> None:
        _fraction(self.pct, "pct")

    def sized(self, symbol: str, portfolio: SizingPortfolio, price: float) -> Sized:
        wanted = sizing.shares_worth(portfolio.equity, self.pct, price)
        terms = (_equity(portfolio), Term("Share of equity", self.pct, "fraction"), Term("Price", price, "price"))
        return _rounded(symbol, portfolio, wanted, "equity × share ÷ price", *terms)


@dataclass(frozen=True, slots=True)
class RiskBasedSizer(_Sizer):
    """equity x risk_pct / stop distance: what is lost at the stop is `risk_pct` of equity. The stop is the portfolio's for the symbol, else
    `stop_pct` of the price away."""

    risk_pct: float = 0.01
    stop_pct: float = 0.05

    def __post_init__(self) -> None:
        _fraction(self.risk_pct, "risk_pct")
        _fraction(self.stop_pct, "stop_pct")

    def sized(self, symbol: str, portfolio: SizingPortfolio, price: float) -> Sized:
        stop = portfolio.stops.get(symbol)
        distance = price * self.stop_pct if stop is None else abs(price - stop)
        where = Term("Stop distance", self.stop_pct, "fraction") if stop is None else Term("Stop price", stop, "price")
        terms = (_equity(portfolio), Term("Risk of the trade", self.risk_pct, "fraction"), Term("Price", price, "price"), where)
        wanted = sizing.shares_at_risk(portfolio.equity, self.risk_pct, distance)
        return _rounded(symbol, portfolio, wanted, "equity × risk ÷ distance to the stop", *terms, Term("Distance", distance, "price"))


@dataclass(frozen=True, slots=True)
class KellySizer(_Sizer):
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

    def sized(self, symbol: str, portfolio: SizingPortfolio, price: float) -> Sized:
        full = sizing.kelly(self.win_rate, self.win_loss_ratio)
        bet = sizing.kelly_bet(self.win_rate, self.win_loss_ratio, share=self.share, cap=self.cap)
        terms = (
            _equity(portfolio),
            Term("Probability to win", self.win_rate, "fraction"),
            Term("Gain when won to loss when lost", self.win_loss_ratio, "ratio"),
            Term("Kelly's fraction f*", full, "fraction"),
            Term("Of it", self.share, "fraction"),
            Term("Share of equity", bet, "fraction"),
            Term("Price", price, "price"),
        )
        wanted = sizing.shares_worth(portfolio.equity, max(full * self.share, 0.0), price)
        cap = f"Kelly's {full * self.share:.1%} of equity is above the cap of {self.cap:.1%}" if bet < full * self.share else ""
        if full <= 0:
            cap = f"Kelly's fraction is {full:.1%}: such a bet is not made"
        capped = sizing.shares_worth(portfolio.equity, bet, price)
        return _rounded(symbol, portfolio, wanted, "equity × (p b − q) ÷ b × part of Kelly ÷ price", *terms, capped=capped, cap=cap)


@dataclass(frozen=True, slots=True)
class VolatilitySizer(_Sizer):
    """equity x risk_pct / (ATR x multiplier); 0 while the average true range over `period` bars is not known."""

    risk_pct: float = 0.01
    multiplier: float = 2.0
    period: int = 14

    def __post_init__(self) -> None:
        _fraction(self.risk_pct, "risk_pct")
        _above_zero(self.multiplier, "multiplier")
        _above_zero(self.period, "period")

    @property
    def bars(self) -> int:
        """Bars that it looks back on."""
        return self.period + 1

    def sized(self, symbol: str, portfolio: SizingPortfolio, price: float) -> Sized:
        atr = portfolio.atr.get(symbol, 0.0)
        terms = (
            _equity(portfolio),
            Term("Risk of the trade", self.risk_pct, "fraction"),
            Term(f"Average true range of {self.period} bars", atr, "price"),
            Term("Multiple of it", self.multiplier, "ratio"),
        )
        wanted = sizing.shares_at_risk(portfolio.equity, self.risk_pct, atr * self.multiplier)
        lacking = "" if atr > 0 else f"no average true range: {symbol} has fewer than {self.bars} bars, or they do not move"
        return _rounded(symbol, portfolio, wanted, "equity × risk ÷ (ATR × multiple)", *terms, lacking=lacking)


@dataclass(frozen=True, slots=True)
class TargetVolatilitySizer(_Sizer):
    """equity x min(target / volatility, cap) / price: the position moves the portfolio by `target` a year. The volatility is that of the
    last `window` daily returns; 0 while it is not known."""

    target: float = 0.1
    window: int = 60
    cap: float = 1.0

    def __post_init__(self) -> None:
        _above_zero(self.target, "target")
        if self.window < 2:
            raise InvalidInput(f"{self.window} is no window: a volatility needs two returns", field="position_sizer.window")
        _above_zero(self.cap, "cap")

    @property
    def bars(self) -> int:
        """Bars that it looks back on."""
        return self.window + 1

    def sized(self, symbol: str, portfolio: SizingPortfolio, price: float) -> Sized:
        volatility = portfolio.volatility.get(symbol, 0.0)
        free = sizing.target_volatility_weight(self.target, volatility, cap=inf)
        weight = sizing.target_volatility_weight(self.target, volatility, cap=self.cap)
        terms = (
            _equity(portfolio),
            Term("Target volatility a year", self.target, "fraction"),
            Term(f"Volatility a year of {self.window} returns", volatility, "fraction"),
            Term("Share of equity", weight, "fraction"),
            Term("Price", price, "price"),
        )
        return _rounded(
            symbol,
            portfolio,
            sizing.shares_worth(portfolio.equity, free, price),
            "equity × target ÷ volatility ÷ price",
            *terms,
            capped=sizing.shares_worth(portfolio.equity, weight, price),
            cap=f"{free:.1%} of equity is above the cap of {self.cap:.1%}" if weight < free else "",
            lacking="" if volatility > 0 else f"no volatility: {symbol} has fewer than {self.bars} bars, or they do not move",
        )


#: What no number of a sizer exceeds.
LARGEST = 1e12

SIZERS: dict[str, type[Any]] = {
    "fixed": FixedSizer,
    "percent": PercentSizer,
    "risk_based": RiskBasedSizer,
    "kelly": KellySizer,
    "volatility": VolatilitySizer,
    "target_volatility": TargetVolatilitySizer,
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


def bars_wanted(sizer: PositionSizer) -> int:
    """Daily bars of an instrument that the sizer must see, 0 for most."""
    return sizer.bars if isinstance(sizer, VolatilitySizer | TargetVolatilitySizer) else 0


def measured(
    sizer: PositionSizer, symbol: str, *, high: Sequence[float], low: Sequence[float], close: Sequence[float]
) -> dict[str, dict[str, float]]:
    """What the sizer needs to know of an instrument's bars, oldest first, as fields of `SizingPortfolio`."""
    if isinstance(sizer, VolatilitySizer):
        return {"atr": {symbol: sizing.mean_true_range(high, low, close, sizer.period)}}
    if isinstance(sizer, TargetVolatilitySizer):
        return {"volatility": {symbol: sizing.annual_volatility(close, sizer.window)}}
    return {}


def _rounded(
    symbol: str,
    portfolio: SizingPortfolio,
    wanted: float,
    formula: str,
    *terms: Term,
    capped: float | None = None,
    cap: str = "",
    lacking: str = "",
) -> Sized:
    """Hold what the formula wants to its cap (`capped` shares, `cap` says why) and to the money, then round down to whole lots."""
    lot = portfolio.lots.get(symbol, 1.0)
    allowed = wanted if capped is None else min(wanted, capped)
    caps = [cap] if cap else []
    affordable = portfolio.affordable.get(symbol)
    if affordable is not None and sizing.lots(affordable, lot) < sizing.lots(allowed, lot):
        caps.append(f"the cash pays for {sizing.lots(affordable, lot):,.6g} shares")
        allowed = affordable
    quantity = sizing.lots(allowed, lot)
    return Sized(quantity=quantity, wanted=wanted, lot_size=lot, formula=formula, terms=terms, caps=tuple(caps), lacking=lacking)


def _equity(portfolio: SizingPortfolio) -> Term:
    return Term("Equity", portfolio.equity, "money")


def _number(name: str, value: object, *, whole: bool) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = float("nan")
    if isinstance(value, bool) or not isfinite(number) or (whole and number != int(number)):
        raise InvalidInput(f"{value!r} is no {'whole ' if whole else ''}number", field=f"position_sizer.{name}")
    if abs(number) > LARGEST:
        raise InvalidInput(f"{value!r} is too large", field=f"position_sizer.{name}")
    return int(number) if whole else number


def _fraction(value: float, name: str) -> None:
    if not 0 < value <= 1:
        raise InvalidInput(f"{value} is no fraction above 0 and up to 1: 0.05 is 5 %", field=f"position_sizer.{name}")


def _above_zero(value: float, name: str) -> None:
    if not value > 0:
        raise InvalidInput(f"{value} is not above zero", field=f"position_sizer.{name}")
