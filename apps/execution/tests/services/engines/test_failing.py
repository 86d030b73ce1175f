"""A strategy that fails takes nothing with it but its own signals."""

import json

import pytest

from apps.alerts.models import Alert
from apps.core.errors import InvalidInput
from apps.execution.models import EngineCycle, EngineEvent, EngineState, EngineStep, Order
from apps.execution.selectors.engines import engine_status
from apps.execution.services.engine_health import health_path
from apps.execution.services.engine_host import EngineHost
from apps.execution.tests.services.engines.faulty import PATH, Faulty
from apps.execution.tests.services.engines.trading import STOPS, Market, wanted
from apps.strategies.domain.sizers import PercentSizer
from apps.strategies.models import Signal

FAULTY = {"strategy": PATH, "parameters": {"fails_above": "100.5"}, "stop_loss": STOPS}
WHY = "ValueError: a price that the model does not know"


@pytest.fixture
def failing(desk, bars, host):
    """Two engines on one host: the first has bought at 100, and has failed at the bar after it."""
    faulty, other = wanted(desk, **FAULTY), wanted(desk, parameters={"fast": "3", "slow": "8"})
    market = Market(bars, host)
    market.close()
    assert Order.objects.get().book_id == faulty.book_id
    market.close()
    return faulty, other, market


class TestFailingStrategy:
    def test_the_others_go_on(self, failing):
        _, other, market = failing
        for _ in range(5):
            market.close()
        assert EngineCycle.objects.filter(engine=other, bar_ts__isnull=False).count() == 7
        assert Order.objects.filter(book_id=other.book_id).count() == 1

    def test_it_is_in_its_cycle_its_events_and_its_health_and_told_once(self, failing):
        faulty, _, market = failing
        market.close()
        steps = EngineStep.objects.filter(cycle__engine=faulty, cycle__bar_ts__isnull=False, number__in=[6, 7]).order_by("id")
        assert [step.outcome for step in steps[2:]] == [f"failed: {WHY}", "skipped: the strategy has failed"] * 2
        assert list(EngineEvent.objects.filter(engine=faulty, kind="failed").values_list("reason", flat=True)) == [WHY]
        alert = Alert.objects.get(code="STRATEGY_FAILED")
        assert (alert.severity, alert.detail) == ("critical", WHY)
        assert json.loads(health_path(faulty.pk).read_text())["failure"] == WHY
        state = EngineState.objects.get(engine=faulty)
        assert engine_status(faulty, state, state.heartbeat_at) == "failing"

    def test_its_stops_are_held(self, failing):
        faulty, _, market = failing
        market.price(0.9)
        assert list(Order.objects.filter(book_id=faulty.book_id).order_by("id").values_list("side", "status")) == [
            ("buy", "filled"),
            ("sell", "filled"),
        ]

    def test_another_host_holds_them_too_and_does_not_ask_about_the_bar_again(self, failing, host):
        faulty, _, market = failing
        host.close(at=market.at, reason="test")
        market.host = EngineHost(tell=lambda _: None)
        market.price(0.9)
        market.host.close(at=market.at, reason="test")
        assert Order.objects.filter(book_id=faulty.book_id, side="sell").count() == 1
        assert EngineCycle.objects.filter(engine=faulty, bar_ts__isnull=False).count() == 2

    def test_when_it_speaks_again_it_trades_again(self, failing, monkeypatch):
        faulty, _, market = failing
        monkeypatch.setattr(Faulty, "instead", [[]])
        market.close()
        assert EngineState.objects.get(engine=faulty).failure == ""

    def test_a_strategy_that_cannot_be_made_leaves_the_stops(self, failing, host, monkeypatch):
        faulty, _, market = failing
        host.close(at=market.at, reason="test")
        monkeypatch.setattr(Faulty, "broken", True)
        market.host = EngineHost(tell=lambda _: None)
        market.close()
        market.price(0.9)
        market.host.close(at=market.at, reason="test")
        assert Order.objects.filter(book_id=faulty.book_id, side="sell").count() == 1
        assert EngineState.objects.get(engine=faulty).failure == "ValueError: the model's file is damaged"

    def test_it_is_refused_when_it_is_described(self, desk, bars, monkeypatch):
        monkeypatch.setattr(Faulty, "broken", True)
        with pytest.raises(InvalidInput, match="the model's file is damaged"):
            wanted(desk, **FAULTY)

    @pytest.mark.parametrize("said", [None, ["BUY"], [("BUY", "AAPL")]])
    def test_what_is_no_signal_is_a_failure_too(self, desk, bars, host, monkeypatch, said):
        faulty = wanted(desk, **FAULTY)
        monkeypatch.setattr(Faulty, "instead", [said])
        Market(bars, host).close()
        assert EngineState.objects.get(engine=faulty).failure.startswith(("TypeError", "AttributeError"))
        assert not Signal.objects.exists()

    def test_a_fault_of_an_engine_itself_leaves_the_others(self, failing, monkeypatch):
        """Here the sizer fails: neither the strategy's fault nor one that the desk foresees."""
        _, other, market = failing

        def fail(*_):
            raise ZeroDivisionError("float division by zero")

        monkeypatch.setattr(PercentSizer, "calculate_qty", fail)
        for _ in range(5):
            market.close()
        assert Alert.objects.filter(code="STRATEGY_NOT_TRADING", severity="critical", detail="ZeroDivisionError: float division by zero").exists()
        monkeypatch.undo()
        market.close()
        assert EngineState.objects.get(engine=other).last_bar.date() == market.series.ts[market.n].astype("datetime64[D]").item()
