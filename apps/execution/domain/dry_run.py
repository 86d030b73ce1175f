"""The live engine over stored bars: one bar at a time, one `generate_signals` at a time, fills from the one matching function.

It repeats the event engine's rules without its compiled loop, so that the two check each other: same bars, same orders, same cents.
Orders meet the close of their own bar, as the live engine's do when the session ends. With stops they are held at each close, before
the signals, and an unchanged signal is no news, as in the live engine; without them the run is what a backtest is. The engine's own limits
refuse what they refuse live, and without `enable_trading` it speaks and orders nothing.
"""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import floor, isnan, nan

import numpy as np
from numpy.typing import NDArray

from apps.core.trading import Side
from apps.execution.domain.cycles import Room, own_limits
from apps.execution.domain.decisions import ordered_quantity
from apps.execution.domain.engine_config import RiskConfig
from apps.execution.domain.protection import ExitSignal, LivePosition, Look, Protection, StopLossConfig, check_stops
from apps.marketdata.domain.bars import BarPanel
from apps.strategies.domain.matching import FillAt, OrderTypeCode, TifCode, match
from apps.strategies.domain.round_trips import EngineFill
from apps.strategies.domain.sizers import PositionSizer, SizingPortfolio, bars_wanted, measured
from apps.strategies.domain.strategy import Strategy, StrategySignal, bar_time, snapshot_at


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRunCosts:
    """Money and fractions as floats. `size_fraction` of equity goes into each new position."""

    cash: float
    size_fraction: float
    commission: float = 0.0
    slippage_bps: float = 0.0
    max_volume_pct: float = 0.1


@dataclass(slots=True, kw_only=True)
class _Line:
    """What the account knows of one symbol."""

    held: float = 0.0
    cost: float = 0.0
    leaves: float = 0.0
    last: float = nan
    fee_due: bool = True
    said: int = 0


@dataclass(slots=True, kw_only=True)
class DryRun:
    """An account that trades a strategy's signals, bar by bar. Feed it bars in order, then `close`.

    `days` datetime64[D] [T] are the bars' sessions, each a session of its own when left out.
    """

    strategy: Strategy
    panel: BarPanel
    costs: DryRunCosts
    sizer: PositionSizer | None = None
    stops: StopLossConfig | None = None
    days: NDArray[np.datetime64] | None = None
    limits: RiskConfig = field(default_factory=RiskConfig)
    enable_trading: bool = True
    refused: list[tuple[int, str, tuple[str, ...]]] = field(init=False, default_factory=list)
    exits: list[tuple[int, ExitSignal]] = field(init=False, default_factory=list)
    protection: Protection = field(init=False, default_factory=Protection)
    cash: float = field(init=False)
    fills: list[EngineFill] = field(init=False, default_factory=list)
    equity: list[float] = field(init=False, default_factory=list)
    _lines: list[_Line] = field(init=False)
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.costs.cash
        self.cash = self.costs.cash
        self._lines = [_Line() for _ in self.panel.symbols]

    def bar(self, t: int) -> None:
        """What the engine does when bar `t` is complete: waiting orders first, then the signals, sized on equity at the close."""
        present = [n for n, close in enumerate(self.panel.close[t]) if not isnan(close)]
        for n in present:
            self._lines[n].last = float(self.panel.close[t, n])
            if self._lines[n].leaves:
                self._meet(t, n)
        total = self.cash + self._worth()
        if self.equity and (self.days is None or self.days[t] != self.days[t - 1]):
            self._began = self.equity[-1]
        stopped = self._guard(t, total) if self.stops is not None else None
        for n, said in [] if stopped is None and self.stops is not None else self._signals(t):
            line, signal = self._lines[n], said.action.sign
            if stopped is not None and (n in stopped or not signal or signal == line.said):
                continue
            line.said = signal
            affordable = self._affordable(t, said, total)
            wanted = ordered_quantity(signal=signal, held=line.held, leaves=line.leaves, affordable=affordable)
            if wanted is not None and self.enable_trading and self._within_limits(t, n, wanted):
                line.leaves, line.fee_due = wanted, True
                if wanted:
                    self._meet(t, n)
        self.equity.append(self.cash + self._worth())

    def close(self) -> None:
        """The run ends: sell what is left at the last close, volume or not."""
        t = len(self.panel) - 1
        for n, line in enumerate(self._lines):
            if line.held > 0:
                price = line.last * (1.0 - self.costs.slippage_bps * 1e-4)
                self.cash += line.held * price - self.costs.commission
                self._fill(t, n, -line.held, price, self.costs.commission, closing=True)
                line.held = line.cost = 0.0
        if self.equity:
            self.equity[-1] = self.cash

    def _signals(self, t: int) -> list[tuple[int, StrategySignal]]:
        column = {symbol: n for n, symbol in enumerate(self.panel.symbols)}
        said = self.strategy.generate_signals(snapshot_at(self.panel, t))
        return sorted(((column[signal.symbol], signal) for signal in said), key=lambda one: one[0])

    def _affordable(self, t: int, signal: StrategySignal, total: float) -> float:
        n = self.panel.symbols.index(signal.symbol)
        if self.sizer is None:
            return float(floor(total * self.costs.size_fraction / self._lines[n].last))
        seen = {}
        if bars_wanted(self.sizer):
            has = ~np.isnan(self.panel.close[: t + 1, n])
            high, low, close = (values[: t + 1, n][has].tolist() for values in (self.panel.high, self.panel.low, self.panel.close))
            seen = measured(self.sizer, signal.symbol, high=high, low=low, close=close)
        return self.sizer.calculate_qty(signal, SizingPortfolio(equity=total, **seen), self._lines[n].last)

    def _within_limits(self, t: int, n: int, wanted: float) -> bool:
        """Hold an order to the engine's own limits. A limit of order rates only delays it inside its bar, so it refuses nothing here."""
        line = self._lines[n]
        room = Room(
            held=_d(line.held + max(line.leaves, 0.0)),
            exposure=_d(sum((line.held + max(line.leaves, 0.0)) * line.last for line in self._lines if line.held or line.leaves)),
            orders_last_minute=0,
            symbol_orders_last_minute=0,
        )
        config = replace(self.limits, max_orders_per_minute=None, max_orders_per_symbol_per_minute=None)
        side = Side.BUY if wanted > 0 else Side.SELL
        broken = own_limits(config, side=side, quantity=_d(abs(wanted)), price=_d(line.last), room=room)
        if broken:
            self.refused.append((t, self.panel.symbols[n], tuple(code for code, _ in broken)))
        return not broken

    def _guard(self, t: int, total: float) -> set[int] | None:
        """Hold the stops at this close: the symbols that they closed, None when nothing new may be opened."""
        assert self.stops is not None  # noqa: S101 - the caller has looked
        symbols = self.panel.symbols
        positions = tuple(
            LivePosition(symbol=symbols[n], quantity=_d(line.held), average_cost=_d(line.cost / line.held), current_price=_d(line.last))
            for n, line in enumerate(self._lines)
            if line.held > 0
        )
        found = check_stops(self.stops, self.protection, Look(positions=positions, equity=_d(total), day_return=_d(total / self._began - 1)))
        self.protection = found.state
        closed = set()
        for exit_ in found.exits:
            n = symbols.index(exit_.symbol)
            line = self._lines[n]
            if line.leaves >= 0:  # what sells already goes on selling
                line.leaves, line.fee_due = -line.held, True
                self.exits.append((t, exit_))
                self._meet(t, n)
            closed.add(n)
        return None if found.blocked else closed

    def _meet(self, t: int, n: int) -> None:
        """Match the waiting order of one symbol against one bar, and book it."""
        line, panel = self._lines[n], self.panel
        sign = 1 if line.leaves > 0 else -1
        quantity, price, _, done = match(
            OrderTypeCode.MARKET,
            sign,
            abs(line.leaves),
            nan,
            nan,
            False,
            TifCode.GTC,
            float(panel.open[t, n]),
            float(panel.high[t, n]),
            float(panel.low[t, n]),
            float(panel.close[t, n]),
            nan,
            float(panel.volume[t, n]),
            FillAt.CLOSE,
            self.costs.max_volume_pct,
            self.costs.slippage_bps,
        )
        fee = self.costs.commission if line.fee_due else 0.0
        if sign > 0 and quantity > 0:
            paid = quantity if quantity * price + fee <= self.cash else max(float(floor((self.cash - fee) / price)), 0.0)
            if paid < quantity:  # never more than the cash pays for
                quantity, done = paid, True
        if quantity > 0:
            line.cost = line.cost + quantity * price + fee if sign > 0 else line.cost * (1 - quantity / line.held)
            line.held += sign * quantity
            self.cash -= sign * quantity * price + fee
            line.fee_due = False
            self._fill(t, n, sign * quantity, price, fee)
        line.leaves = 0.0 if done else line.leaves - sign * quantity

    def _fill(self, t: int, n: int, signed: float, price: float, fee: float, *, closing: bool = False) -> None:
        self.fills.append(
            EngineFill(
                bar=t,
                time=bar_time(self.panel, t),
                symbol=self.panel.symbols[n],
                side=Side.BUY if signed > 0 else Side.SELL,
                quantity=abs(signed),
                price=price,
                fee=fee,
                closing=closing,
            )
        )

    def _worth(self) -> float:
        total = 0.0
        for line in self._lines:
            if line.held:
                total += line.held * line.last
        return total


def equity_of(run: DryRun) -> np.ndarray:
    """Equity [T] in money at each bar's close; the last value is after everything was sold."""
    return np.asarray(run.equity, np.float64)


def _d(number: float) -> Decimal:
    return Decimal(repr(float(number)))
