"""Backtrader on the desk's data and costs: to the same cent as the event engine, and a Backtrader strategy as it is."""

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from apps.core.errors import InvalidInput
from apps.strategies.domain.matching import FillAt
from apps.strategies.domain.registry import strategy_build
from apps.strategies.engines.backtrader import BacktraderEngine, class_parameters
from apps.strategies.engines.event import EventEngine
from apps.strategies.engines.protocol import Costs
from apps.strategies.tests.panels import random_panel


class NativeSmaCross(bt.Strategy):
    """The usual way to write it for Backtrader."""

    params = (("fast", 10), ("slow", 30), ("share", 0.9))

    def __init__(self):
        self.cross = {
            data: bt.ind.CrossOver(bt.ind.SMA(data.close, period=self.p.fast), bt.ind.SMA(data.close, period=self.p.slow)) for data in self.datas
        }

    def next(self):
        value = self.broker.getvalue()
        for data, cross in self.cross.items():
            held = self.getposition(data).size
            if cross[0] > 0 and not held:
                self.buy(data, size=int(value * self.p.share / len(self.datas) / data.close[0]))
            elif cross[0] < 0 and held:
                self.sell(data, size=held)


class ShortAndTurn(bt.Strategy):
    """Sells short at the third bar, turns long at the sixth."""

    def next(self):
        if len(self) == 3:
            self.sell(size=10)
        elif len(self) == 6:
            self.buy(size=15)


def bare_cerebro(kind, panel, costs):
    """Backtrader without anything of the desk, on frames, with the costs that it can express itself."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.setcash(costs.cash)
    cerebro.broker.set_coc(costs.fill_at is FillAt.CLOSE)
    cerebro.broker.set_slippage_perc(costs.slippage_bps * 1e-4, slip_open=True, slip_match=True, slip_out=True)
    for symbol in panel.symbols:
        series = panel.series(symbol)
        columns = {name: getattr(series, name) for name in ("open", "high", "low", "close", "volume")}
        cerebro.adddata(bt.feeds.PandasData(dataname=pd.DataFrame(columns, index=pd.DatetimeIndex(series.ts))), name=symbol)
    cerebro.addstrategy(kind)
    cerebro.run()
    return cerebro.broker.getvalue()


def comparable(fills):
    return sorted((fill.bar, fill.symbol, fill.side.sign, fill.quantity, round(fill.price, 9), fill.fee, fill.closing) for fill in fills)


class TestParity:
    @pytest.mark.parametrize("name", ["sma_cross", "macd", "momentum"])
    @pytest.mark.parametrize("fill_at", [FillAt.CLOSE, FillAt.OPEN])
    @pytest.mark.parametrize(("commission", "slippage_bps", "size_fraction"), [(0.0, 0.0, None), (2.5, 10.0, 0.3)])
    def test_same_trades_and_equity_as_the_event_engine(self, name, fill_at, commission, slippage_bps, size_fraction):
        panel, strategy = random_panel(700, 3, seed=12), strategy_build(name)
        costs = Costs(fill_at=fill_at, commission=commission, slippage_bps=slippage_bps, size_fraction=size_fraction)
        event = EventEngine().run(strategy=strategy, panel=panel, costs=costs)
        backtrader = BacktraderEngine().run(strategy=strategy, panel=panel, costs=costs)
        assert len(event.trades) > 10
        assert comparable(backtrader.fills) == comparable(event.fills)
        np.testing.assert_allclose(backtrader.equity, event.equity, rtol=1e-12)

    @pytest.mark.parametrize("seed", range(8))
    def test_with_all_the_cash_in_one_symbol_and_an_order_on_the_last_bar(self, seed):
        panel, strategy = random_panel(400, 1, seed=seed), strategy_build("sma_cross", {"fast": 2, "slow": 5})
        last = int(np.flatnonzero(strategy.signals(panel))[-1]) + 1
        short = random_panel(400, 1, seed=seed)
        short = type(short)(
            symbols=short.symbols, ts=short.ts[:last], **{k: getattr(short, k)[:last] for k in ("open", "high", "low", "close", "volume")}
        )
        for fill_at in (FillAt.CLOSE, FillAt.OPEN):
            costs = Costs(fill_at=fill_at, commission=1.0, slippage_bps=5.0)
            event = EventEngine().run(strategy=strategy, panel=short, costs=costs)
            backtrader = BacktraderEngine().run(strategy=strategy, panel=short, costs=costs)
            assert comparable(backtrader.fills) == comparable(event.fills)
            np.testing.assert_allclose(backtrader.equity, event.equity, rtol=1e-12)

    def test_where_volume_fills_in_parts(self):
        panel, strategy = random_panel(600, 2, seed=3, volume=3_000.0), strategy_build("sma_cross")
        costs = Costs(fill_at=FillAt.OPEN, commission=2.0, slippage_bps=5.0)
        event = EventEngine().run(strategy=strategy, panel=panel, costs=costs)
        backtrader = BacktraderEngine().run(strategy=strategy, panel=panel, costs=costs)
        assert any(fill.fee == 0 for fill in event.fills)  # later parts of an order pay no second commission
        assert comparable(backtrader.fills) == comparable(event.fills)
        np.testing.assert_allclose(backtrader.equity, event.equity, rtol=1e-12)


class TestBacktraderClasses:
    @pytest.mark.parametrize("fill_at", [FillAt.CLOSE, FillAt.OPEN])
    def test_end_as_under_a_bare_cerebro(self, fill_at):
        panel, costs = random_panel(500, 2, seed=5), Costs(fill_at=fill_at, slippage_bps=5.0, max_volume_pct=1.0)
        result = BacktraderEngine().run_class(kind=NativeSmaCross, parameters={}, panel=panel, costs=costs)
        assert len(result.trades) > 5
        unsold = sum(
            fill.quantity * panel.close[-1, panel.symbols.index(fill.symbol)] - fill.quantity * fill.price for fill in result.fills if fill.closing
        )
        assert result.equity[-1] + unsold == pytest.approx(bare_cerebro(NativeSmaCross, panel, costs), rel=1e-12)

    def test_find_the_same_crosses_as_the_desks_own(self):
        panel, costs = random_panel(500, 1, seed=6), Costs(size_fraction=0.9)
        native = BacktraderEngine().run_class(kind=NativeSmaCross, parameters={}, panel=panel, costs=costs)
        own = EventEngine().run(strategy=strategy_build("sma_cross"), panel=panel, costs=costs)
        assert [(trip.entry_time, trip.exit_time, trip.quantity) for trip in native.trades] == [
            (trip.entry_time, trip.exit_time, trip.quantity) for trip in own.trades
        ]

    def test_may_sell_short_and_turn_round_and_pay_one_commission_per_order(self):
        panel = random_panel(10, 1, seed=7)
        result = BacktraderEngine().run_class(kind=ShortAndTurn, parameters={}, panel=panel, costs=Costs(commission=4.0))
        assert [trip.quantity for trip in result.trades] == [-10.0, 5.0]
        assert [fill.fee for fill in result.fills] == [4.0, 4.0, 4.0]
        close = panel.close[:, 0]
        assert result.equity[-1] == pytest.approx(100_000 + 10 * close[2] - 15 * close[5] + 5 * close[-1] - 12)


class TestParameters:
    def test_take_the_types_of_the_defaults(self):
        assert class_parameters(NativeSmaCross, {"fast": "5", "share": "0.5"}) == {"fast": 5, "share": 0.5}

    @pytest.mark.parametrize(("given", "field"), [({"quick": 1}, "parameters.quick"), ({"fast": "often"}, "parameters.fast")])
    def test_that_do_not_fit_are_refused_by_name(self, given, field):
        with pytest.raises(InvalidInput) as refused:
            class_parameters(NativeSmaCross, given)
        assert refused.value.field == field

    def test_of_another_class_are_refused(self):
        with pytest.raises(InvalidInput, match="no Backtrader strategy"):
            class_parameters(dict, {})


def test_a_volume_weighted_price_is_refused():
    with pytest.raises(InvalidInput) as refused:
        BacktraderEngine().run(strategy=strategy_build("sma_cross"), panel=random_panel(50, 1), costs=Costs(fill_at=FillAt.VWAP))
    assert refused.value.field == "fill_at"
