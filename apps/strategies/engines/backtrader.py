"""Backtrader's Cerebro on the desk's data and costs. The only module that imports Backtrader, which is GPLv3 or later.

It runs any `bt.Strategy` class as it is, and the desk's own strategies through a thin one that plays their signals. Both pay the desk's
costs: a fixed commission per order, slippage in basis points against the trader, at most a share of each bar's volume. `fill_at` close
is Backtrader's cheat-on-close, open its own way (the next bar's open); a volume-weighted price it does not know.
"""

from collections.abc import Mapping
from math import floor, isnan
from typing import Any

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.core.trading import Side
from apps.marketdata.domain.bars import FIELDS, BarPanel
from apps.strategies.domain.matching import BPS, FillAt
from apps.strategies.domain.round_trips import EngineFill, round_trips
from apps.strategies.domain.strategy import Strategy, bar_time
from apps.strategies.engines.protocol import Costs, EngineResult

#: 1970-01-01 as Backtrader counts days (proleptic Gregorian ordinal).
EPOCH = 719_163
MICROSECONDS_PER_DAY = 86_400_000_000


class PerOrderCommission(bt.CommInfoBase):
    """The same amount for each order. The broker sets `due` before an execution; the first part that is booked pays it."""

    params = (("commission", 0.0), ("stocklike", True), ("commtype", bt.CommInfoBase.COMM_FIXED))
    due = 0.0

    def getcommission(self, size: float, price: float) -> float:
        """What is still due of this order's commission; an order that turns a position round books two parts and pays once."""
        due, self.due = self.due, 0.0
        return due


class DeskBroker(bt.brokers.BackBroker):
    """Backtrader's broker with the desk's costs, and with cheat-on-close that looks at the bar of the close.

    Backtrader trades a cheat-on-close order one step later at the old close, against the volume of the wrong bar, and what is left of
    it at the old close for ever. Here each bar's close trades against its own volume. With `trims`, a buy that the cash does not pay
    for takes what it pays for, as the event engine does, instead of being refused.
    """

    params = (("costs", None), ("trims", False))

    def start(self) -> None:
        """Take the costs over; Cerebro calls this before the first bar."""
        super().start()
        costs: Costs = self.p.costs
        self._commission = PerOrderCommission(commission=costs.commission)
        self.addcommissioninfo(self._commission)
        self.set_slippage_perc(costs.slippage_bps * BPS, slip_open=True, slip_match=True, slip_out=True)
        self.p.filler = self._bounded
        self._met: dict[int, float] = {}
        self._short_of_cash = False

    def _bounded(self, order: Any, price: float, ago: int) -> float:
        """Shares that this bar's volume, and with `trims` the cash, leave of an order."""
        costs: Costs = self.p.costs
        left, volume = abs(order.executed.remsize), order.data.volume[ago]
        size = left if isnan(volume) else min(left, float(floor(costs.max_volume_pct * volume)))
        self._short_of_cash = False
        if self.p.trims and order.isbuy() and size * price + self._commission.due > self.cash:
            self._short_of_cash = True
            size = max(float(floor((self.cash - self._commission.due) / price)), 0.0)
        return size

    def _execute(
        self, order: Any, ago: int | None = None, price: float | None = None, cash: Any = None, position: Any = None, dtcoc: Any = None
    ) -> Any:
        self._commission.due = 0.0 if order.executed.size else self.p.costs.commission
        return super()._execute(order, ago=ago, price=price, cash=cash, position=position, dtcoc=dtcoc)

    def _try_exec_market(self, order: Any, popen: float, phigh: float, plow: float) -> None:
        data = order.data
        if self.p.costs.fill_at is not FillAt.CLOSE:
            super()._try_exec_market(order, popen, phigh, plow)
        elif data.datetime[0] > self._met.get(order.ref, order.created.dt):  # once for each bar, when the next one is there
            self._met[order.ref] = data.datetime[0]
            slip = self.p.costs.slippage_bps * BPS
            self._execute(order, ago=-1, price=data.close[-1] * (1 + slip if order.isbuy() else 1 - slip))
        if self._short_of_cash and order.alive():
            order.cancel()
            self.notify(order)
        self._short_of_cash = False


class Recorder(bt.Analyzer):
    """Every execution as it happens, and the account's value after every bar."""

    def start(self) -> None:
        """Begin with nothing."""
        self.rows: list[tuple[float, str, float, float, float]] = []
        self.times: list[float] = []
        self.values: list[float] = []
        self._seen: dict[int, int] = {}
        self._broker = self.strategy.broker
        self._clock = self.strategy.lines.datetime

    def notify_order(self, order: Any) -> None:
        """Keep the executions that are new since the last notice of this order."""
        bits = order.executed.exbits
        for n in range(self._seen.get(order.ref, 0), len(bits)):
            bit = bits[n]
            self.rows.append((bit.dt, order.data._name, float(bit.size), float(bit.price), float(bit.openedcomm + bit.closedcomm)))
        self._seen[order.ref] = len(bits)

    def next(self) -> None:
        """Keep the account's value."""
        self.times.append(self._clock[0])
        self.values.append(self._broker.getvalue())

    prenext = nextstart = next


class SignalPlayer(bt.Strategy):
    """Plays signals that were computed before: buys a share of equity when flat, sells all it has."""

    params = (("signals", None), ("times", None), ("fraction", 1.0))

    def __init__(self) -> None:
        said = np.flatnonzero(np.any(self.p.signals, axis=1))
        self._said = {self.p.times[row]: self.p.signals[row] for row in said}
        self._waiting: dict[str, Any] = {}

    def notify_order(self, order: Any) -> None:
        """Forget orders that have ended."""
        if not order.alive():
            self._waiting.pop(order.data._name, None)

    def prenext(self) -> None:
        """Symbols whose history starts later make no other wait."""
        self.next()

    def next(self) -> None:
        """Turn what was said of this bar into orders."""
        now = self.lines.datetime[0]
        row = self._said.get(now)
        if row is None:
            return
        value = self.broker.getvalue()
        for column in np.flatnonzero(row):
            data = self.datas[column]
            if len(data) and data.datetime[0] == now:
                if row[column] > 0:
                    self._buy(data, value)
                else:
                    self._sell(data)

    def _buy(self, data: Any, value: float) -> None:
        if self.getposition(data).size or data._name in self._waiting:
            return
        size = floor(value * self.p.fraction / data.close[0])
        if size > 0:
            self._waiting[data._name] = self.buy(data=data, size=size)

    def _sell(self, data: Any) -> None:
        held, waiting = self.getposition(data).size, self._waiting.get(data._name)
        if waiting is not None:
            if not waiting.isbuy():
                return
            self.cancel(waiting)
        if held > 0:
            self._waiting[data._name] = self.sell(data=data, size=held)


class PanelFeed(bt.feed.DataBase):
    """A panel's column as a Backtrader feed, loaded at once instead of row by row. `columns` are arrays by line name, oldest first."""

    params = (("columns", None),)

    def preload(self) -> None:
        """Fill the lines, and go to their beginning."""
        for name, values in self.p.columns.items():
            getattr(self.lines, name).array.frombytes(np.ascontiguousarray(values, np.float64).tobytes())
        self.home()


class BacktraderEngine:
    """Cerebro behind the same protocol as the event engine."""

    name = "backtrader"

    def run(self, *, strategy: Strategy, panel: BarPanel, costs: Costs) -> EngineResult:
        """Play the strategy's signals. Raises InvalidInput for `fill_at` vwap."""
        times = bt_times(panel)
        parameters = {"signals": strategy.signals(panel), "times": times.tolist(), "fraction": costs.fraction(len(panel.symbols))}
        cerebro = cerebro_build(panel, costs, times, trims=True, settles=costs.fill_at is FillAt.CLOSE)
        return _run(cerebro, SignalPlayer, parameters, panel, costs, times)

    def run_class(self, *, kind: type[bt.Strategy], parameters: dict[str, Any], panel: BarPanel, costs: Costs) -> EngineResult:
        """Run a Backtrader strategy class as it is, with its own parameters. Raises InvalidInput for `fill_at` vwap."""
        times = bt_times(panel)
        return _run(cerebro_build(panel, costs, times), kind, parameters, panel, costs, times)


def class_parameters(kind: Any, given: Mapping[str, object]) -> dict[str, Any]:
    """Parameters of a Backtrader strategy class, text converted to the type of the class's own default.

    Raises InvalidInput when the class is no Backtrader strategy, and for a parameter that it does not have or cannot take.
    """
    if not issubclass(kind, bt.Strategy):
        raise InvalidInput(f"{kind.__name__} is no Backtrader strategy", field="strategy")
    defaults = dict(kind.params._getitems())
    result: dict[str, Any] = {}
    for name, value in given.items():
        if name not in defaults:
            known = ", ".join(defaults) or "none"
            raise InvalidInput(f"{kind.__name__} has no parameter {name!r}: there are {known}", field=f"parameters.{name}")
        result[name] = _converted(name, value, type(defaults[name]))
    return result


def _converted(name: str, value: object, wanted: type) -> object:
    if isinstance(value, wanted) or wanted not in (int, float, bool, str):
        return value
    text = str(value).strip()
    try:
        return {"true": True, "false": False}[text.lower()] if wanted is bool else wanted(text)
    except (KeyError, ValueError) as error:
        raise InvalidInput(f"{value!r} is no {wanted.__name__}", field=f"parameters.{name}") from error


def cerebro_build(panel: BarPanel, costs: Costs, times: NDArray[np.float64], *, trims: bool = False, settles: bool = False) -> bt.Cerebro:
    """A Cerebro with the desk's data, cash and costs.

    `settles` adds a last step that repeats each close, so that an order at the last close still trades. Only for the signal player,
    which does nothing there: another strategy would take it for a bar.
    """
    if costs.fill_at is FillAt.VWAP:
        raise InvalidInput("Backtrader has no volume-weighted price: choose close or open", field="fill_at")
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = broker = DeskBroker(costs=costs, trims=trims, checksubmit=not trims)
    broker.setcash(costs.cash)
    broker.set_coc(costs.fill_at is FillAt.CLOSE)
    for n, symbol in enumerate(panel.symbols):
        cerebro.adddata(feed_of(panel, n, times, settles=settles), name=symbol)
    return cerebro


def feed_of(panel: BarPanel, n: int, times: NDArray[np.float64], *, settles: bool = False) -> PanelFeed:
    """Column `n` of the panel as a feed: the bars that the symbol really has."""
    has = ~np.isnan(panel.close[:, n])
    columns = {name: getattr(panel, name)[has, n] for name in FIELDS}
    columns["datetime"] = times[has]
    columns["openinterest"] = np.zeros(int(has.sum()))
    if settles:
        last = dict.fromkeys(("open", "high", "low", "close"), columns["close"][-1])
        last |= {"volume": 0.0, "openinterest": 0.0, "datetime": times[-1] + 1.0}
        columns = {name: np.append(values, last[name]) for name, values in columns.items()}
    intraday = bool((times % 1.0).any())
    return PanelFeed(columns=columns, timeframe=bt.TimeFrame.Minutes if intraday else bt.TimeFrame.Days)


def bt_times(panel: BarPanel) -> NDArray[np.float64]:
    """The panel's times [T] as Backtrader counts them: days, float."""
    return EPOCH + panel.ts.astype("datetime64[us]").astype(np.int64) / MICROSECONDS_PER_DAY


def _run(
    cerebro: bt.Cerebro, kind: type[bt.Strategy], parameters: dict[str, Any], panel: BarPanel, costs: Costs, times: NDArray[np.float64]
) -> EngineResult:
    cerebro.addanalyzer(Recorder, _name="recorder")
    cerebro.addstrategy(kind, **parameters)
    return _result(cerebro.run()[0].analyzers.recorder, panel, costs, times)


def _result(recorder: Recorder, panel: BarPanel, costs: Costs, times: NDArray[np.float64]) -> EngineResult:
    """The recorder's rows as the desk's result; what is still held is closed at its last close, as the event engine does.

    Cerebro books an order at the close one step later than the close. The equity here is worked out from the fills, at their own bars.
    """
    rows = np.searchsorted(times, [time for time, *_ in recorder.rows])
    fills = [_fill(panel, int(bar), symbol, size, price, fee) for bar, (_, symbol, size, price, fee) in zip(rows, recorder.rows, strict=True)]
    every = (*fills, *_closing(fills, panel, costs))
    return EngineResult(equity=_equity(every, panel, costs.cash), fills=every, trades=round_trips(every))


def _fill(panel: BarPanel, bar: int, symbol: str, size: float, price: float, fee: float, *, closing: bool = False) -> EngineFill:
    return EngineFill(
        bar=bar,
        time=bar_time(panel, bar),
        symbol=symbol,
        side=Side.BUY if size > 0 else Side.SELL,
        quantity=abs(size),
        price=price,
        fee=fee,
        closing=closing,
    )


def _closing(fills: list[EngineFill], panel: BarPanel, costs: Costs) -> list[EngineFill]:
    held = dict.fromkeys(panel.symbols, 0.0)
    for fill in fills:
        held[fill.symbol] += fill.quantity * fill.side.sign
    closes = _known_closes(panel)[-1]
    slip = costs.slippage_bps * BPS
    return [
        _fill(panel, len(panel) - 1, symbol, -size, close * (1 - slip if size > 0 else 1 + slip), costs.commission, closing=True)
        for (symbol, size), close in zip(held.items(), closes.tolist(), strict=True)
        if size
    ]


def _equity(fills: tuple[EngineFill, ...], panel: BarPanel, cash: float) -> NDArray[np.float64]:
    """Cash and positions at each bar's close [T], in money."""
    column = {symbol: n for n, symbol in enumerate(panel.symbols)}
    paid, bought = np.zeros(len(panel)), np.zeros(panel.close.shape)
    for fill in fills:
        signed = fill.quantity * fill.side.sign
        paid[fill.bar] += signed * fill.price + fill.fee
        bought[fill.bar, column[fill.symbol]] += signed
    worth = np.cumsum(bought, axis=0) * np.nan_to_num(_known_closes(panel))
    equity: NDArray[np.float64] = cash - np.cumsum(paid) + worth.sum(axis=1)
    return equity


def _known_closes(panel: BarPanel) -> NDArray[np.float64]:
    """Each symbol's last close up to each bar [T, N], NaN before its first."""
    rows = np.where(np.isnan(panel.close), 0, np.arange(len(panel))[:, None])
    known: NDArray[np.float64] = np.take_along_axis(panel.close, np.maximum.accumulate(rows, axis=0), axis=0)
    return known
