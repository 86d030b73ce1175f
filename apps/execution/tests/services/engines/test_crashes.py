"""Crashes and take-overs of a live engine double nothing."""

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.core import clock
from apps.execution.models import EngineCycle, EngineDecision, EngineState, EngineStep, Order
from apps.execution.services import engine_orders as orders_module
from apps.execution.services.engine_records import Fenced
from apps.execution.tests.services.engines.trading import STOPS, again, bought, price
from apps.execution.tests.services.test_live import complete, engine
from apps.portfolios.selectors.holdings import holdings


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
