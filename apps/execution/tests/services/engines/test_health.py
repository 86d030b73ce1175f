"""What the health file says while an engine runs, and when it no longer does."""

import json

import pytest

from apps.core import clock
from apps.execution.models import EngineState
from apps.execution.services.engine_health import health_path
from apps.execution.services.engine_host import EngineHost
from apps.execution.services.engines import engine_stop
from apps.execution.services.live_building import live_engine_open
from apps.execution.tests.services.engines.trading import STOPS, Market, controller, wanted

MOMENTUM = {"strategy": "momentum", "parameters": {"lookback": "5", "threshold": "0.01"}, "stop_loss": STOPS}


def told(engine):
    return json.loads(health_path(engine.pk).read_text())


@pytest.fixture
def running(desk, bars, host):
    """An engine that has bought."""
    engine, market = wanted(desk, **MOMENTUM), Market(bars, host)
    while not market.host.steps or not market.host.steps[-1]["orders"]:
        market.close()
    return engine, market


def test_it_says_how_a_running_engine_is(desk, running, host):
    engine, market = running
    said, state = told(engine), EngineState.objects.get()
    assert (said["engine"], said["strategy"], said["symbols"], said["portfolio"]) == (engine.pk, "momentum", ["AAPL"], desk.portfolio.pk)
    assert (said["status"], said["mode"], said["enable_trading"], said["failure"]) == ("running", "paper", True, "")
    assert (said["holder"], said["token"], said["cycles"]) == (host.holder, state.token, state.cycles)
    assert (said["last_bar"][:10], said["last_cycle_at"]) == (str(market.series.ts[market.n])[:10], said["timestamp"])
    assert said["circuit_breaker"] == {"active": False, "reason": "", "since": None}
    (position,) = said["positions"]
    assert set(position) == {"symbol", "quantity", "average_cost", "current_price", "unrealized_pnl", "realized_pnl"}
    assert (position["symbol"], said["working_orders"], said["missing_prices"]) == ("AAPL", 0, [])
    assert {"equity", "day_return", "peak", "drawdown", "market_time", "market_open", "next_change", "last_price_at", "pid"} <= set(said)
    assert state.health == said


def test_a_process_that_ends_says_that_nobody_runs_it(running, host):
    engine, market = running
    host.close(at=market.at, reason="its process has ended")
    said = told(engine)
    assert (said["status"], said["holder"], said["token"]) == ("waiting", "", EngineState.objects.get().token)
    assert [position["symbol"] for position in said["positions"]] == ["AAPL"]
    assert EngineState.objects.get().health == said


def test_a_person_s_stop_is_in_it(desk, running):
    engine, market = running
    engine_stop(engine_id=engine.pk, user=controller(desk), reason="enough", at=clock.now())
    market.price(1)
    assert (told(engine)["status"], told(engine)["holder"]) == ("stopped", "")
    assert EngineState.objects.get().health == told(engine)


def test_a_take_over_by_another_host_is_in_it(running, host):
    engine, market = running
    live_engine_open(engine, holder="another-host:1", at=market.at)
    host.close(at=market.at, reason="its process has ended")
    assert told(engine)["holder"] == "another-host:1"
    assert EngineState.objects.get().health["holder"] != "another-host:1"  # that one says how it is


def test_where_another_process_of_the_host_runs_it_that_one_speaks(running, host):
    engine, market = running
    other = EngineHost(tell=lambda _: None)
    before = told(engine)
    live_engine_open(engine, holder=other.holder, at=market.at)
    host.close(at=market.at, reason="its process has ended")
    assert told(engine) == before
