"""The dry run equals the event engine, order by order and to the last bit, on the same bars."""

import dataclasses
from decimal import Decimal

import numpy as np
import pytest

from apps.execution.domain.decisions import engine_order_id, ordered_quantity
from apps.execution.domain.dry_run import DryRun, DryRunCosts
from apps.execution.domain.protection import StopLossConfig
from apps.execution.tests.services.engines.faulty import Faulty
from apps.marketdata.domain.bars import BarPanel
from apps.strategies.domain.registry import strategy_build
from apps.strategies.engines.event import EventEngine
from apps.strategies.engines.protocol import Costs


def make_panel(*, bars: int = 400, symbols: int = 3, seed: int = 7, gaps: float = 0.05, volume: float = 1e6) -> BarPanel:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, (bars, symbols)), axis=0))
    opened = close * np.exp(rng.normal(0, 0.005, close.shape))
    fields = {
        "open": opened,
        "high": np.maximum(opened, close) * 1.01,
        "low": np.minimum(opened, close) * 0.99,
        "close": close,
        "volume": np.full(close.shape, volume),
    }
    missing = rng.random(close.shape) < gaps
    for values in fields.values():
        values[missing] = np.nan
    ts = np.datetime64("2020-01-01", "us") + np.arange(bars) * np.timedelta64(1, "D")
    return BarPanel(symbols=tuple(f"S{n}" for n in range(symbols)), ts=ts, **fields)


@pytest.mark.parametrize("strategy", ["sma_cross", "macd", "momentum"])
@pytest.mark.parametrize("commission", [0.0, 1.0])
@pytest.mark.parametrize("volume", [1e6, 300.0], ids=["deep", "thin"])
def test_dry_run_equals_the_event_engine(strategy, commission, volume):
    panel = make_panel(volume=volume)
    built = strategy_build(strategy, {"lookback": "20", "threshold": "0.03"} if strategy == "momentum" else {})
    costs = {"cash": 25_000.0, "commission": commission, "slippage_bps": 5.0, "size_fraction": 0.5}
    expected = EventEngine().run(strategy=built, panel=panel, costs=Costs(**costs))

    run = DryRun(strategy=built, panel=panel, costs=DryRunCosts(**costs))
    for t in range(len(panel)):
        run.bar(t)
    run.close()

    assert len(expected.fills) > 10
    assert [dataclasses.asdict(fill) for fill in run.fills] == [dataclasses.asdict(fill) for fill in expected.fills]
    assert run.equity == expected.equity.tolist()


@pytest.mark.parametrize(("days", "stopped"), [(None, []), (["2024-07-01"] * 3 + ["2024-07-02"] * 3, []), (["2024-07-01"] * 6, [4])])
def test_the_day_s_loss_is_that_of_the_session(days, stopped):
    """A fall of about 1 % at each bar, all of the money in it: a stop at 3.5 % of the day is reached where a day has five bars."""
    close = 100 * 0.99 ** np.arange(6.0)[:, None]
    panel = dataclasses.replace(make_panel(bars=6, symbols=1, gaps=0.0), open=close, high=close, low=close, close=close)
    stops = StopLossConfig(portfolio_stop_pct=Decimal("0.035"))
    strategy = Faulty(Faulty.Parameters(fails_above=1e9))
    costs = DryRunCosts(cash=10_000.0, size_fraction=1.0)
    run = DryRun(strategy=strategy, panel=panel, costs=costs, stops=stops, days=None if days is None else np.array(days, "datetime64[D]"))
    for t in range(6):
        run.bar(t)
    assert [t for t, _ in run.exits] == stopped


@pytest.mark.parametrize(
    ("signal", "held", "leaves", "expected"),
    [
        (1, 0, 0, 7),  # buy where there is nothing
        (1, 5, 0, None),  # there is a position
        (1, 0, 3, None),  # a buy waits
        (-1, 5, 0, -5),  # sell all
        (-1, 5, 2, -5),  # sell all, and the waiting rest is withdrawn
        (-1, 0, 2, 0),  # only withdraw
        (-1, 0, 0, None),  # nothing to sell: never short
        (-1, 5, -5, None),  # a sell waits
        (0, 5, 0, None),
        (0, 0, 0, None),
    ],
)
def test_ordered_quantity(signal, held, leaves, expected):
    assert ordered_quantity(signal=signal, held=held, leaves=leaves, affordable=7) == expected


def test_a_signal_has_one_order_id_for_ever():
    names = {"strategy": "sma_cross", "book_id": 1, "symbol": "AAPL", "bar": "2024-07-02T00:00:00+00:00"}
    assert engine_order_id(**names) == engine_order_id(**names)
    assert len({engine_order_id(**{**names, "bar": f"2024-07-{day:02}"}) for day in range(1, 11)}) == 10
