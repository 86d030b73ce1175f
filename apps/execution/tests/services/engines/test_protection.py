"""Stops and breaker of a live engine, which outlive a restart."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from apps.alerts.models import Alert
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted, Unavailable
from apps.core.roles import Role
from apps.core.trading import TradingState
from apps.execution.domain.protection import StopLossConfig
from apps.execution.models import EngineDecision, EngineEvent, EngineState, EngineStep, Order
from apps.execution.selectors.engines import engine_status
from apps.execution.services.engines import (
    engine_reset,
)
from apps.execution.tests.factories import make_user, quote
from apps.execution.tests.services.engines.trading import STOPS, again, bought, controller, price
from apps.execution.tests.services.test_live import CLOSES, complete
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.selectors.holdings import holdings
from apps.risk.services.state import trading_halt


class TestStops:
    def test_a_stop_loss_sells_all_of_it_once(self, desk, bars):
        live, n, paid = bought(desk, bars, stop_loss=STOPS)
        price(bars, n, 0.96)
        assert live.look(at=clock.now()) is None
        price(bars, n, 0.94)
        step = live.look(at=clock.now())
        assert [(order.side, order.status) for order in step.orders] == [("sell", "filled")]
        assert holdings(desk.portfolio.pk).positions == ()
        decision = EngineDecision.objects.get(side="sell")
        assert (decision.purpose, decision.bar_ts) == ("stop_loss", None)
        assert f"below {paid * Decimal('0.95'):.2f}"[:8] in decision.reason
        assert live.look(at=clock.now()) is None
        assert Order.objects.count() == 2

    def test_a_trailing_stop_remembers_the_highest_price_across_a_restart(self, desk, bars):
        live, n, _ = bought(desk, bars, stop_loss=StopLossConfig(trailing_stop_pct=Decimal("0.1")))
        price(bars, n, 1.2)
        assert live.look(at=clock.now()) is None
        other = again(live)
        price(bars, n, 1.07)
        step = other.look(at=clock.now())
        assert [order.side for order in step.orders] == ["sell"]
        assert EngineDecision.objects.get(side="sell").purpose == "trailing_stop"

    def test_a_stop_is_a_reduction_and_passes_where_nothing_new_may_be_opened(self, desk, bars):
        live, n, _ = bought(desk, bars, stop_loss=STOPS)
        manager = make_user("halting", Role.RISK)
        trading_halt(portfolio_id=None, user=manager, reason="test", at=clock.now(), state=TradingState.REDUCING)
        price(bars, n, 0.9)
        step = live.look(at=clock.now())
        assert [order.status for order in step.orders] == ["filled"]

    def test_one_that_is_denied_is_told_at_once_and_tried_again_after_a_minute(self, desk, bars):
        live, n, _ = bought(desk, bars, stop_loss=STOPS)
        manager = make_user("halting", Role.RISK)
        trading_halt(portfolio_id=None, user=manager, reason="test", at=clock.now())
        price(bars, n, 0.9)
        at = clock.now()
        assert [order.status for order in live.look(at=at).orders] == ["denied"]
        assert Alert.objects.filter(code="STRATEGY_NOT_TRADING", severity="critical").count() == 1
        assert live.look(at=at) is None
        quote("AAPL", f"{bars.close[n] * 0.9:.2f}", at=at + timedelta(seconds=61))
        assert [order.status for order in live.look(at=at + timedelta(seconds=61)).orders] == ["denied"]

    def test_a_bar_that_comes_after_a_stop_does_not_open_it_again(self, desk, bars):
        live, n, _ = bought(desk, bars, strategy="momentum", parameters={"lookback": "5", "threshold": "0.01"}, stop_loss=STOPS)
        price(bars, n, 0.9)
        assert live.look(at=clock.now()).orders
        complete(bars, n + 1)
        step = live.step(at=clock.now())
        assert [signal.action for signal in step.signals] == ["BUY"]
        assert step.orders == ()


class TestBreaker:
    SETTINGS = StopLossConfig(max_drawdown_pct=Decimal("0.005"))

    def tripped(self, desk, bars, **changes):
        live, n, _ = bought(desk, bars, stop_loss=self.SETTINGS, **changes)
        price(bars, n, 0.9)  # of a tenth of the portfolio
        return live, n, live.look(at=clock.now())

    def test_it_trips_once_closes_what_is_held_and_tells(self, desk, bars):
        live, _, step = self.tripped(desk, bars)
        assert [(order.side, order.status) for order in step.orders] == [("sell", "filled")]
        assert EngineDecision.objects.get(side="sell").purpose == "max_drawdown"
        state = EngineState.objects.get()
        assert state.tripped
        assert "from its peak" in state.trip_reason
        assert engine_status(live.engine, state, clock.now()) == "breaker_open"
        live.look(at=clock.now())
        assert EngineEvent.objects.filter(kind="tripped").count() == 1
        assert Alert.objects.get(code="CIRCUIT_BREAKER").severity == "critical"

    def test_while_it_is_open_no_signal_is_made_also_after_a_restart(self, desk, bars):
        live, n, _ = self.tripped(desk, bars)
        other = again(live)
        complete(bars, n + 1)
        step = other.step(at=clock.now())
        assert (step.signals, step.orders) == ((), ())
        kept = EngineStep.objects.get(cycle__bar_ts__isnull=False, cycle__number=step.cycle, number=6)
        assert kept.outcome.startswith("skipped: the circuit breaker is open")

    def test_a_person_resets_it_and_falls_count_from_then_on(self, desk, bars):
        live, n, _ = self.tripped(desk, bars)
        person = controller(desk)
        with pytest.raises(InvalidInput):
            engine_reset(engine_id=live.engine.pk, user=person, reason=" ", at=clock.now())
        engine_reset(engine_id=live.engine.pk, user=person, reason="looked at", at=clock.now())
        with pytest.raises(Conflict):
            engine_reset(engine_id=live.engine.pk, user=person, reason="again", at=clock.now())
        assert live.look(at=clock.now()) is None
        complete(bars, n + 1)
        assert live.step(at=clock.now()).signals
        event = EngineEvent.objects.get(kind="reset")
        assert (event.user, event.reason) == (person, "looked at")

    def test_a_trader_does_not_reset_it(self, desk, bars):
        live, _, _ = self.tripped(desk, bars)
        watcher = make_user("watcher", Role.AUDITOR)
        with pytest.raises(NotPermitted):
            engine_reset(engine_id=live.engine.pk, user=watcher, reason="no", at=clock.now())
        with pytest.raises(NotFound):
            engine_reset(engine_id=live.engine.pk, user=make_user("stranger", Role.TRADER), reason="no", at=clock.now())


class TestPortfolioStop:
    SETTINGS = StopLossConfig(portfolio_stop_pct=Decimal("0.005"))

    def test_a_bad_day_closes_what_the_engine_holds_and_opens_the_breaker(self, desk, bars):
        live, n, _ = bought(desk, bars, stop_loss=self.SETTINGS)
        price(bars, n, 0.96)
        assert live.look(at=clock.now()) is None
        price(bars, n, 0.9)  # of a tenth of the portfolio
        assert [(order.side, order.status) for order in live.look(at=clock.now()).orders] == [("sell", "filled")]
        decision = EngineDecision.objects.get(side="sell")
        assert (decision.purpose, decision.reason[:31]) == ("portfolio_stop", "the portfolio's day stands at -")
        assert EngineState.objects.get().tripped
        complete(bars, n + 1)
        assert live.step(at=clock.now()).signals == ()

    def test_a_bar_waits_while_the_day_is_unknown(self, desk, bars):
        """The previous close of what the portfolio holds is missing when the averages cross down: the sale follows when it is there."""
        live, n, _ = bought(desk, bars, stop_loss=self.SETTINGS)
        store_series(make_series("KO", [50.0], start=date(2013, 1, 3)))
        quote("KO", "50", market_time=complete(bars, n))
        assert desk.submit(symbol="KO").status == "filled"
        fast, slow = (np.convolve(CLOSES, np.ones(days) / days)[: len(CLOSES)] for days in (3, 8))
        crossing = next(t for t in range(n, len(CLOSES)) if fast[t] < slow[t])
        quote("KO", "50", market_time=complete(bars, crossing))
        for _ in range(2):
            assert live.look(at=clock.now()) is None
            with pytest.raises(Unavailable, match="the day's result is unknown"):
                live.step(at=clock.now())
        store_series(make_series("KO", [50.0], start=bars.ts[crossing - 1].astype("datetime64[D]").item()))
        assert [(order.side, order.status) for order in live.step(at=clock.now()).orders] == [("sell", "filled")]
