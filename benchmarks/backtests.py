"""sma_cross over the same bars: the event engine and the Backtrader adapter beside Cerebro with a strategy written for it."""

import time
from collections.abc import Callable

import backtrader as bt
import numpy as np
import pandas as pd

from apps.marketdata.domain.bars import FIELDS, BarPanel
from apps.strategies.domain.registry import strategy_build
from apps.strategies.engines.backtrader import BacktraderEngine
from apps.strategies.engines.event import EventEngine
from apps.strategies.engines.protocol import Costs
from benchmarks.report import Row

SYMBOLS, PERIODS = 5, 10_000
FAST, SLOW = 10, 30
RUNS = 3
COSTS = Costs(cash=1_000_000, commission=1, slippage_bps=5, max_volume_pct=1.0)


class BareSmaCross(bt.Strategy):
    """What a Backtrader user would write."""

    params = (("fast", FAST), ("slow", SLOW))

    def __init__(self) -> None:
        self.cross = {
            data: bt.ind.CrossOver(bt.ind.SMA(data.close, period=self.p.fast), bt.ind.SMA(data.close, period=self.p.slow)) for data in self.datas
        }

    def next(self) -> None:
        for data, cross in self.cross.items():
            held = self.getposition(data).size
            if cross[0] > 0 and not held:
                self.buy(data=data, size=int(self.broker.getvalue() / len(self.datas) / data.close[0] * 0.99))
            elif cross[0] < 0 and held:
                self.sell(data=data, size=held)


def _panel() -> BarPanel:
    random = np.random.default_rng(11)
    close = 50 * np.exp(np.cumsum(random.normal(0, 0.01, (PERIODS, SYMBOLS)), axis=0))
    open_ = close * (1 + random.normal(0, 0.002, close.shape))
    ts = np.datetime64("1985-01-01", "us") + np.arange(PERIODS) * np.timedelta64(1, "D")
    return BarPanel(
        symbols=tuple(f"S{n}" for n in range(SYMBOLS)),
        ts=ts,
        open=open_,
        high=np.maximum(open_, close) * 1.002,
        low=np.minimum(open_, close) * 0.998,
        close=close,
        volume=np.full(close.shape, 1e7),
    )


def _bare_cerebro(panel: BarPanel, kind: type, **parameters: object) -> None:
    """Cerebro as its documentation sets it up, from the same arrays, with the same costs."""
    cerebro = bt.Cerebro(stdstats=False)
    for symbol in panel.symbols:
        series = panel.series(symbol)
        frame = pd.DataFrame({name: getattr(series, name) for name in FIELDS}, index=pd.DatetimeIndex(series.ts))
        cerebro.adddata(bt.feeds.PandasData(dataname=frame), name=symbol)
    cerebro.broker.setcash(COSTS.cash)
    cerebro.broker.set_coc(True)
    cerebro.broker.setcommission(commission=COSTS.commission, commtype=bt.CommInfoBase.COMM_FIXED, stocklike=True)
    cerebro.broker.set_slippage_perc(COSTS.slippage_bps / 10_000)
    cerebro.addstrategy(kind, **parameters)
    cerebro.run()


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def rows() -> list[Row]:
    panel = _panel()
    strategy = strategy_build("sma_cross", {"fast": FAST, "slow": SLOW})
    event, adapter = EventEngine(), BacktraderEngine()
    event.run(strategy=strategy, panel=panel, costs=COSTS)  # compiles
    times = [
        (
            _seconds(lambda: event.run(strategy=strategy, panel=panel, costs=COSTS)),
            _seconds(lambda: adapter.run_class(kind=BareSmaCross, parameters={}, panel=panel, costs=COSTS)),
            _seconds(lambda: _bare_cerebro(panel, BareSmaCross)),
        )
        for _ in range(RUNS)
    ]
    ours, adapted, bare = (float(value) for value in np.median(np.array(times), axis=0))
    bars = SYMBOLS * PERIODS
    return [
        Row(
            work=f"sma_cross on {bars:,} bars, event engine",
            ours=f"{ours * 1000:.1f} ms ({bars / ours:,.0f} bars/s)",
            peer=f"{bare:.2f} s bare Cerebro ({bars / bare:,.0f} bars/s)",
            ratio=f"{bare / ours:.0f} x its speed",
            required=">= 10 x",
            met=bare / ours >= 10,
        ),
        Row(
            work=f"the same Backtrader strategy on {bars:,} bars through the adapter",
            ours=f"{adapted:.2f} s",
            peer=f"{bare:.2f} s bare Cerebro",
            ratio=f"{adapted / bare:.2f} x its time",
            required="<= 1.1 x",
            met=adapted / bare <= 1.1,
        ),
    ]
