"""The promised ratios, in processor time of this process, so that a busy machine does not decide. `make bench` measures them at full size."""

import time

import pytest

from apps.strategies.domain.registry import strategy_build
from apps.strategies.engines.backtrader import BacktraderEngine
from apps.strategies.engines.event import EventEngine
from apps.strategies.engines.protocol import Costs
from apps.strategies.tests.engines.test_backtrader import NativeSmaCross, bare_cerebro
from apps.strategies.tests.panels import random_panel


def seconds(work):
    begun = time.process_time()
    work()
    return time.process_time() - begun


@pytest.mark.slow
def test_the_event_engine_and_the_adapter_keep_their_promises():
    panel, costs, strategy = random_panel(6_000, 2, seed=1), Costs(slippage_bps=5.0, max_volume_pct=1.0), strategy_build("sma_cross")
    EventEngine().run(strategy=strategy, panel=panel, costs=costs)  # compiled before the clock runs
    event = seconds(lambda: EventEngine().run(strategy=strategy, panel=panel, costs=costs))
    bare = seconds(lambda: bare_cerebro(NativeSmaCross, panel, costs))
    played = seconds(lambda: BacktraderEngine().run(strategy=strategy, panel=panel, costs=costs))
    native = seconds(lambda: BacktraderEngine().run_class(kind=NativeSmaCross, parameters={}, panel=panel, costs=costs))
    assert event * 10 <= bare
    assert played <= 1.1 * bare
    assert native <= 1.1 * bare
