"""The live engine step by step: every order explained."""

from decimal import Decimal

from apps.alerts.models import Alert
from apps.core import clock
from apps.execution.domain.cycles import CycleStep
from apps.execution.domain.engine_config import RiskConfig
from apps.execution.models import EngineCycle, EngineState, EngineStep, Order
from apps.execution.selectors.engines import cycle_get, cycle_row, engine_orders
from apps.execution.services.engine_health import health_path
from apps.execution.tests.services.engines.trading import STOPS, bought
from apps.execution.tests.services.test_live import complete, engine


class TestCycle:
    def test_every_step_is_kept_in_its_order_and_explains_the_order(self, desk, bars):
        live, n, _ = bought(desk, bars)
        cycle = cycle_row(cycle_get(live.engine, EngineCycle.objects.filter(engine=live.engine).count()))
        assert [step["number"] for step in cycle["steps"]] == list(range(1, 12))
        assert cycle["finished"]
        outcomes = {CycleStep(step["number"]).name: step["outcome"] for step in cycle["steps"]}
        order = Order.objects.get()
        assert outcomes["RECEIVE"].startswith(f"the bar of {bars.ts[n].astype('datetime64[D]')}; 1 of 1")
        assert (outcomes["CHECK_STOPS"], outcomes["CIRCUIT_BREAKER"]) == ("no stop is reached", "closed")
        assert (outcomes["SIGNALS"], outcomes["DEDUPLICATE"]) == ("BUY AAPL", "new: BUY AAPL")
        assert outcomes["EXECUTE"] == f"buy {order.quantity.normalize():f} AAPL: order {order.pk} filled"
        assert outcomes["LOG"] == "1 orders, 4 events, 1 fills are in the journal"
        assert outcomes["HEALTH"] == f"written to {health_path(live.engine.pk)}"
        (decision,) = cycle["decisions"]
        assert (decision["client_order_id"], decision["purpose"]) == (order.client_order_id, "signal")
        snapshot = cycle["steps"][4]["data"]
        assert len(snapshot["fingerprint"]) == 64
        (row,) = engine_orders(live.engine)
        assert (row["id"], row["cycle"], row["because"]) == (order.pk, cycle["number"], decision["reason"])

    def test_a_look_at_prices_that_does_nothing_is_counted_and_not_kept(self, desk, bars):
        live, _, _ = bought(desk, bars, stop_loss=STOPS)
        kept, seen = EngineCycle.objects.count(), EngineState.objects.get().cycles
        assert live.look(at=clock.now()) is None
        assert (EngineCycle.objects.count(), EngineState.objects.get().cycles) == (kept, seen + 1)

    def test_trading_that_is_not_enabled_orders_nothing_and_says_so(self, desk, bars):
        live = engine(desk, enable_trading=False)
        for n in range(19, 30):
            complete(bars, n)
            live.step(at=clock.now())
        assert not Order.objects.exists()
        assert EngineStep.objects.filter(number=8, outcome="trading is not enabled: nothing is ordered").exists()

    def test_an_own_limit_refuses_with_its_code(self, desk, bars):
        live = engine(desk, risk=RiskConfig(max_position_size=Decimal(5)))
        for n in range(19, 30):
            complete(bars, n)
            live.step(at=clock.now())
        assert not Order.objects.exists()
        assert EngineStep.objects.filter(number=8, outcome="refused AAPL: POSITION_SIZE_LIMIT").count() == 1
        assert Alert.objects.get(code="STRATEGY_NOT_TRADING").detail.startswith("shares: ")
