"""Backtrader's Cerebro on the desk's data and costs. The only module that imports Backtrader, which is GPLv3 or later.

It runs any `bt.Strategy` class, and the desk's own strategies through a thin one that plays their signals. Fixed commission per order,
slippage in basis points against the trader, a share of each bar's volume at most; `fill_at` close is Backtrader's cheat-on-close, open
is its own way (next bar's open). There is no volume-weighted price in Backtrader.
"""

from collections.abc import Mapping
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
from backtrader.fillers import FixedBarPerc

from apps.core.errors import InvalidInput
from apps.core.trading import Side
from apps.marketdata.domain.bars import FIELDS, BarPanel
from apps.strategies.domain.matching import BPS, FillAt
from apps.strategies.domain.round_trips import EngineFill, round_trips
from apps.strategies.domain.strategy import Strategy, bar_time
from apps.strategies.engines.protocol import Costs, EngineResult


class PerOrderCommission(bt.CommInfoBase):
    """The same amount for each order, charged with its first execution."""

    params = (("commission", 0.0), ("stocklike", True), ("commtype", bt.CommInfoBase.COMM_FIXED))

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        return float(self.p.commission)


class Recorder(bt.Analyzer):
    """Every execution as it happens, and the account's value after every bar."""

    def start(self) -> None:
        self.rows: list[tuple[float, str, float, float, float]] = []
        self.values: dict[float, float] = {}
        self._seen: dict[int, int] = {}

    def notify_order(self, order: Any) -> None:
        bits = order.executed.exbits
        for bit in list(bits)[self._seen.get(order.ref, 0) :]:
            fee = bit.openedcomm + bit.closedcomm
            self.rows.append((bit.dt, order.data._name, float(bit.size), float(bit.price), float(fee)))
        self._seen[order.ref] = len(bits)

    def next(self) -> None:
        self.values[self.strategy.datetime[0]] = self.strategy.broker.getvalue()

    def prenext(self) -> None:
        self.next()


class SignalPlayer(bt.Strategy):
    """Plays signals that were computed before: buys a share of equity when flat, as far as the cash goes, and sells all it has."""

    params = (("signals", None), ("times", None), ("costs", None))

    def __init__(self) -> None:
        self._row = {time: row for row, time in enumerate(self.p.times)}
        self._waiting: dict[str, Any] = {}
        self._fraction = self.p.costs.fraction(len(self.datas))

    def notify_order(self, order: Any) -> None:
        if not order.alive():
            self._waiting.pop(order.data._name, None)

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        now = self.datetime[0]
        row = self.p.signals[self._row[now]]
        if not row.any():
            return
        value, purse = self.broker.getvalue(), self.broker.getcash()
        for column in np.flatnonzero(row):
            data = self.datas[column]
            if len(data) and data.datetime[0] == now:
                purse += self._buy(data, value, purse) if row[column] > 0 else self._sell(data)

    def _buy(self, data: Any, value: float, purse: float) -> float:
        """Order shares for the fraction of the value, no more than the purse pays for. The change of cash to be expected."""
        if self.getposition(data).size or data._name in self._waiting:
            return 0.0
        price, fee = data.close[0] * (1 + self.p.costs.slippage_bps * BPS), self.p.costs.commission
        size = np.floor(value * self._fraction / data.close[0])
        if size * price + fee > purse:
            size = max(np.floor((purse - fee) / price), 0.0)
        if size <= 0:
            return 0.0
        self._waiting[data._name] = self.buy(data=data, size=size)
        return float(-size * price - fee)

    def _sell(self, data: Any) -> float:
        held, waiting = self.getposition(data).size, self._waiting.get(data._name)
        if waiting is not None:
            if not waiting.isbuy():
                return 0.0
            self.cancel(waiting)
        if held <= 0:
            return 0.0
        self._waiting[data._name] = self.sell(data=data, size=held)
        return float(held * data.close[0] * (1 - self.p.costs.slippage_bps * BPS) - self.p.costs.commission)


class BacktraderEngine:
    """Cerebro behind the same protocol as the event engine."""

    name = "backtrader"

    def run(self, *, strategy: Strategy, panel: BarPanel, costs: Costs) -> EngineResult:
        """Play the strategy's signals. Raises InvalidInput for `fill_at` vwap."""
        parameters = {"signals": strategy.signals(panel), "times": bt_times(panel), "costs": costs}
        return self.run_class(kind=SignalPlayer, parameters=parameters, panel=panel, costs=costs)

    def run_class(self, *, kind: type[bt.Strategy], parameters: dict[str, Any], panel: BarPanel, costs: Costs) -> EngineResult:
        """Run a Backtrader strategy class as it is, with its own parameters."""
        cerebro = cerebro_build(panel, costs)
        cerebro.addanalyzer(Recorder, _name="recorder")
        cerebro.addstrategy(kind, **parameters)
        recorder = cerebro.run()[0].analyzers.recorder
        return _result(recorder, panel, costs)


def class_parameters(kind: type, given: Mapping[str, object]) -> dict[str, Any]:
    """Parameters of a Backtrader strategy class, text converted to the type of the class's own default.

    Raises InvalidInput when the class is no Backtrader strategy, and for a parameter that it does not have or cannot take.
    """
    if not issubclass(kind, bt.Strategy):
        raise InvalidInput(f"{kind.__name__} is no Backtrader strategy", field="strategy")
    defaults = dict(kind.params._getitems())
    result = {}
    for name, value in given.items():
        if name not in defaults:
            raise InvalidInput(f"{kind.__name__} has no parameter {name!r}", field=f"parameters.{name}")
        wanted = type(defaults[name])
        try:
            result[name] = wanted(value) if wanted in (int, float, str) else value
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"{value!r} is no {wanted.__name__}", field=f"parameters.{name}") from error
    return result


def cerebro_build(panel: BarPanel, costs: Costs) -> bt.Cerebro:
    """A Cerebro with the desk's data, cash and costs."""
    if costs.fill_at is FillAt.VWAP:
        raise InvalidInput("Backtrader has no volume-weighted price: choose close or open", field="fill_at")
    cerebro = bt.Cerebro(stdstats=False)
    for symbol in panel.symbols:
        cerebro.adddata(feed_of(panel, symbol), name=symbol)
    broker = cerebro.broker
    broker.setcash(costs.cash)
    broker.set_coc(costs.fill_at is FillAt.CLOSE)
    broker.set_checksubmit(False)  # cash is judged when an order trades, after the sales of the same bar
    broker.addcommissioninfo(PerOrderCommission(commission=costs.commission))
    broker.set_slippage_perc(costs.slippage_bps * BPS, slip_open=True, slip_match=True, slip_out=True)
    if costs.max_volume_pct < 1:
        broker.set_filler(FixedBarPerc(perc=costs.max_volume_pct * 100))
    return cerebro


def feed_of(panel: BarPanel, symbol: str) -> bt.feeds.PandasData:
    """One symbol's own bars as a Backtrader feed."""
    series = panel.series(symbol)
    frame = pd.DataFrame({name: getattr(series, name) for name in FIELDS}, index=pd.DatetimeIndex(series.ts))
    return bt.feeds.PandasData(dataname=frame, openinterest=None)


def bt_times(panel: BarPanel) -> list[float]:
    """The panel's times as Backtrader counts them: days, float."""
    return [bt.date2num(moment) for moment in pd.DatetimeIndex(panel.ts).to_pydatetime()]


def _result(recorder: Recorder, panel: BarPanel, costs: Costs) -> EngineResult:
    """The recorder's rows as the desk's result; what is still held is sold at its last close, as the event engine does."""
    row_of = {time: row for row, time in enumerate(bt_times(panel))}
    equity = np.full(len(panel), np.nan)
    for time, value in recorder.values.items():
        equity[row_of[time]] = value
    equity[np.isnan(equity)] = costs.cash  # before Cerebro's first bar
    fills = [
        EngineFill(
            bar=row_of[time],
            time=bar_time(panel, row_of[time]),
            symbol=symbol,
            side=Side.BUY if size > 0 else Side.SELL,
            quantity=abs(size),
            price=price,
            fee=fee,
        )
        for time, symbol, size, price, fee in recorder.rows
    ]
    closing = _closing(fills, panel, costs)
    if closing:
        equity[-1] += sum(fill.quantity * (fill.price - _last_close(panel, fill.symbol)) - fill.fee for fill in closing)
    every = (*fills, *closing)
    return EngineResult(equity=equity, fills=every, trades=round_trips(every))


def _last_close(panel: BarPanel, symbol: str) -> float:
    return float(panel.series(symbol).close[-1])


def _closing(fills: list[EngineFill], panel: BarPanel, costs: Costs) -> list[EngineFill]:
    held = dict.fromkeys(panel.symbols, 0.0)
    for fill in fills:
        held[fill.symbol] += fill.quantity * fill.side.sign
    last = len(panel) - 1
    return [
        EngineFill(
            bar=last,
            time=bar_time(panel, last),
            symbol=symbol,
            side=Side.SELL,
            quantity=quantity,
            price=_last_close(panel, symbol) * (1 - costs.slippage_bps * BPS),
            fee=costs.commission,
            closing=True,
        )
        for symbol, quantity in held.items()
        if quantity > 0
    ]
