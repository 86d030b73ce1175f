"""The live engine step by step: every order explained, stops and breaker that outlive a restart, crashes and take-overs that double nothing."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.alerts.models import Alert
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from apps.core.roles import Role
from apps.core.trading import TradingMode, TradingState
from apps.execution.domain.cycles import CycleStep
from apps.execution.domain.engine_config import RiskConfig
from apps.execution.domain.protection import StopLossConfig
from apps.execution.models import EngineCycle, EngineDecision, EngineEvent, EngineState, EngineStep, LiveApproval, Order, TradingEngine
from apps.execution.selectors.engines import cycle_get, cycle_row, engine_get, engine_orders, engine_status
from apps.execution.services import engine_orders as orders_module
from apps.execution.services.accounts import ib_account_create
from apps.execution.services.engine_health import health_path
from apps.execution.services.engine_records import Fenced
from apps.execution.services.engines import (
    engine_reset,
    engine_start,
    engine_stop,
    engine_want,
    live_approve,
    live_request,
    live_revoke,
)
from apps.execution.services.live_building import live_engine_describe, live_engine_open
from apps.execution.services.live_config import LiveConfig
from apps.execution.tests.factories import make_user, quote
from apps.execution.tests.services.test_live import CLOSES, START, complete, engine
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.models import PortfolioMembership
from apps.portfolios.selectors.holdings import holdings
from apps.risk.services.state import trading_halt

STOPS = StopLossConfig(position_stop_pct=Decimal("0.05"))


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.VAR = tmp_path


@pytest.fixture
def bars(desk):
    series = make_series("AAPL", CLOSES, start=START)
    store_series(series)
    return series


def bought(desk, bars, **changes):
    """An engine which has just bought; returns it, the bar's number and the price that was paid."""
    live = engine(desk, **changes)
    for n in range(19, len(bars.ts)):
        complete(bars, n)
        step = live.step(at=clock.now())
        if step is not None and step.orders:
            return live, n, step.orders[0].average_price
    raise AssertionError("the strategy never bought")


def again(live):
    """The same engine in another process."""
    return live_engine_open(TradingEngine.objects.get(pk=live.engine.pk), holder="another", at=clock.now())


def price(bars, n, fraction):
    """The market shows this part of the bar's close."""
    complete(bars, n, price=f"{bars.close[n] * fraction:.2f}")


def controller(desk):
    """Somebody of risk who sees the portfolio."""
    return make_user("rita", Role.RISK)


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


class Killed(BaseException):
    """The process dies here."""


class TestCrash:
    def cut(self, desk, bars, monkeypatch, where):
        """An engine that dies at `where` in the cycle in which it buys."""
        live = engine(desk)

        def die(*_, **__):
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(orders_module, where, die)
            for n in range(19, len(bars.ts)):
                complete(bars, n)
                try:
                    live.step(at=clock.now())
                except Killed:
                    if EngineDecision.objects.exists():
                        return live, n
                    patch.undo()
                    live.finish(at=clock.now())
                    patch.setattr(orders_module, where, die)
        raise AssertionError("it never bought")

    @pytest.mark.parametrize(("where", "orders"), [("order_submit", 0), ("steps_record", 1), ("health_write", 1)])
    def test_whoever_goes_on_finishes_the_cycle_with_one_order(self, desk, bars, monkeypatch, where, orders):
        live, n = self.cut(desk, bars, monkeypatch, where)
        assert Order.objects.count() == orders
        other = again(live)
        assert other.step(at=clock.now()) is None  # the bar is recorded; what it decided is sent
        order = Order.objects.get()
        assert order.status == "filled"
        assert order.client_order_id == EngineDecision.objects.get().client_order_id
        assert EngineStep.objects.get(number=9, cycle__decisions__isnull=False).outcome.startswith("finished after a take-over; buy")
        assert other.step(at=clock.now()) is None
        complete(bars, n + 1)
        other.step(at=clock.now())
        assert Order.objects.count() == 1

    def test_a_signal_of_a_bar_that_is_over_is_dropped(self, desk, bars, monkeypatch):
        live, n = self.cut(desk, bars, monkeypatch, "order_submit")
        complete(bars, n + 1)
        again(live).step(at=clock.now())
        assert not Order.objects.exists()
        assert "is no longer the last one" in EngineStep.objects.get(number=9, cycle__decisions__isnull=False).outcome


class TestTakeOver:
    def test_the_former_holder_neither_keeps_a_cycle_nor_orders(self, desk, bars):
        live, n, _ = bought(desk, bars, stop_loss=STOPS)
        other = again(live)
        price(bars, n, 0.9)
        with pytest.raises(Fenced):
            live.look(at=clock.now())
        complete(bars, n + 1)
        with pytest.raises(Fenced):
            live.step(at=clock.now())
        assert Order.objects.count() == 1
        price(bars, n + 1, 0.8)
        assert other.look(at=clock.now()).orders
        assert Order.objects.count() == 2

    def test_a_take_over_between_the_decision_and_the_order_leaves_it_to_the_new_one(self, desk, bars, monkeypatch):
        live, n, _ = bought(desk, bars, stop_loss=STOPS)
        others = []
        submit = orders_module.order_submit

        def overtaken(**words):
            others.append(again(live))
            return submit(**words)

        price(bars, n, 0.9)
        with monkeypatch.context() as patch:
            patch.setattr(orders_module, "order_submit", overtaken)
            with pytest.raises(Fenced):
                live.look(at=clock.now())
        assert Order.objects.count() == 1
        assert others[0].finish(at=clock.now()).orders
        assert holdings(desk.portfolio.pk).positions == ()
        assert Order.objects.count() == 2

    def test_the_database_refuses_what_comes_under_an_old_token(self, desk, bars):
        live, _, _ = bought(desk, bars)
        cycle = EngineCycle.objects.order_by("number").last()
        again(live)
        for row in (
            EngineCycle(engine=live.engine, number=99, token=live.token, trigger="price", market_time=clock.now(), recorded_at=clock.now()),
            EngineStep(cycle=cycle, number=1, token=live.token, outcome="x", recorded_at=clock.now()),
        ):
            with pytest.raises(IntegrityError, match="no longer runs"), transaction.atomic():
                row.save(force_insert=True)
        with pytest.raises(IntegrityError, match="only grows"), transaction.atomic():
            EngineState.objects.update(token=0)
        for table in ("execution_enginecycle", "execution_enginestep", "execution_enginedecision", "execution_engineevent"):
            with pytest.raises(DatabaseError, match="its rows are facts"), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"delete from {table}")

    def test_one_bar_is_acted_upon_once_and_one_signal_ordered_once(self, desk, bars):
        live, _, _ = bought(desk, bars)
        cycle = EngineCycle.objects.order_by("number").last()
        decision = EngineDecision.objects.get()
        with pytest.raises(IntegrityError, match="engine_cycle_once_per_bar"), transaction.atomic():
            EngineCycle.objects.create(
                engine=live.engine, number=98, token=live.token, trigger="bar", bar_ts=cycle.bar_ts, market_time=clock.now(), recorded_at=clock.now()
            )
        later = EngineCycle.objects.create(
            engine=live.engine, number=99, token=live.token, trigger="price", market_time=clock.now(), recorded_at=clock.now()
        )
        decision.pk, decision.cycle = None, later
        decision.client_order_id = "00000000-0000-0000-0000-000000000001"
        with pytest.raises(IntegrityError, match="engine_decision_once_per_bar"), transaction.atomic():
            decision.save(force_insert=True)


class TestControl:
    def test_a_stop_by_a_person_holds_from_that_moment(self, desk, bars):
        live, n, _ = bought(desk, bars, stop_loss=STOPS)
        engine_want(live.engine, user=desk.trader, at=clock.now())
        person = controller(desk)
        engine_stop(engine_id=live.engine.pk, user=person, reason="enough", at=clock.now())
        price(bars, n, 0.9)
        with pytest.raises(Fenced):
            live.look(at=clock.now())
        row = engine_get(user=person, engine_id=live.engine.pk)
        assert engine_status(row, row.state, clock.now()) == "stopped"
        engine_start(engine_id=live.engine.pk, user=person, at=clock.now())
        row = engine_get(user=person, engine_id=live.engine.pk)
        assert engine_status(row, row.state, clock.now()) == "waiting"
        assert [event.kind for event in EngineEvent.objects.order_by("-id")[:2]] == ["started", "stopped"]

    def test_another_configuration_fences_off_what_runs(self, desk, bars):
        live, _, _ = bought(desk, bars)
        engine(desk, stop_loss=STOPS)
        with pytest.raises(Fenced):
            live.look(at=clock.now())
        assert TradingEngine.objects.get().configuration["stop_loss"]["position_stop_pct"] == "0.05"


class TestLive:
    @pytest.fixture
    def live_desk(self, desk, bars):
        desk.account.delete()
        ib_account_create(portfolio_id=desk.portfolio.pk, number="U1234567")
        return desk

    def described(self, desk):
        config = LiveConfig(strategy="sma_cross", symbols=("AAPL",), portfolio_id=desk.portfolio.pk, parameters={"fast": "3", "slow": "8"})
        return live_engine_describe(config=config, user=desk.trader, mode=TradingMode.LIVE, at=clock.now())

    def test_it_needs_two_people_for_this_very_configuration(self, live_desk):
        row = self.described(live_desk)
        with pytest.raises(NotPermitted, match="two people"):
            live_engine_open(row, holder="x", at=clock.now())
        first, second = make_user("rob", Role.RISK), make_user("ruth", Role.RISK)
        approval = live_request(engine_id=row.pk, user=first, reason="tested on paper", at=clock.now())
        with pytest.raises(NotPermitted, match="second person"):
            live_approve(approval_id=approval.pk, user=first, at=clock.now())
        with pytest.raises(NotPermitted):
            live_engine_open(row, holder="x", at=clock.now())
        live_approve(approval_id=approval.pk, user=second, at=clock.now())
        with pytest.raises(Conflict):
            live_approve(approval_id=approval.pk, user=second, at=clock.now())
        live = live_engine_open(row, holder="x", at=clock.now())
        assert live.engine.mode == "live"
        live_revoke(approval_id=approval.pk, user=first, reason="enough", at=clock.now())
        with pytest.raises(Fenced):
            live.look(at=clock.now())
        with pytest.raises(NotPermitted):
            engine_start(engine_id=row.pk, user=first, at=clock.now())

    def test_a_change_of_the_configuration_ends_the_approval(self, live_desk):
        row = self.described(live_desk)
        first, second = make_user("rob", Role.RISK), make_user("ruth", Role.RISK)
        approval = live_request(engine_id=row.pk, user=first, reason="tested on paper", at=clock.now())
        TradingEngine.objects.filter(pk=row.pk).update(config_digest="0" * 64)
        with pytest.raises(Conflict, match="configured anew"):
            live_approve(approval_id=approval.pk, user=second, at=clock.now())

    def test_the_database_holds_it_too(self, live_desk):
        row = self.described(live_desk)
        first = make_user("rob", Role.RISK)
        approval = live_request(engine_id=row.pk, user=first, reason="tested on paper", at=clock.now())
        with pytest.raises(IntegrityError, match="live_approval_by_two"), transaction.atomic():
            LiveApproval.objects.filter(pk=approval.pk).update(approved_by=first, approved_at=clock.now())
        with pytest.raises(IntegrityError, match="is decided"), transaction.atomic():
            LiveApproval.objects.filter(pk=approval.pk).update(config_digest="1" * 64)

    def test_paper_needs_nobody(self, desk, bars):
        live = engine(desk)
        with pytest.raises(Conflict, match="on paper"):
            live_request(engine_id=live.engine.pk, user=make_user("rob", Role.RISK), reason="why", at=clock.now())
        assert PortfolioMembership.objects.exists()
