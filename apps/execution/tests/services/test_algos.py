"""Parents and children on the real database: to completion over steps of the market, halt and resume, restart, cancel, limits."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import numpy as np
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.alerts.models import Alert
from apps.core import clock
from apps.core.errors import Conflict, InsufficientData, InvalidInput, NotFound
from apps.core.roles import Role
from apps.execution.models import AlgoOrder, Order
from apps.execution.selectors.algos import algo_detail, algo_row
from apps.execution.services.algo_engine import AlgoEngine, algo_advance, orphans_withdraw
from apps.execution.services.algos import algo_cancel, algo_submit
from apps.execution.services.orders import OrderLink, order_cancel, order_submit, working_orders_cancel
from apps.execution.services.paper_market import PaperMarket
from apps.execution.services.replacements import order_replace
from apps.execution.tests.factories import make_limits, make_user, quote
from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind, ActionRecord, TradeTick
from apps.marketdata.models import FeedState
from apps.marketdata.selectors.quotes import FeedMessage
from apps.marketdata.services.corporate_actions import action_release, actions_store
from apps.marketdata.services.ticks import trades_store
from apps.marketdata.tests.factories import InstrumentFactory, make_series, store_series
from apps.portfolios.selectors.free_cash import free_cash
from apps.portfolios.selectors.holdings import holdings
from apps.risk.services.state import trading_halt, trading_release

DAY = date(2024, 7, 2)
OPEN = datetime(2024, 7, 2, 13, 30, tzinfo=UTC)
CLOSE = datetime(2024, 7, 2, 20, tzinfo=UTC)


def stand(moment, price="100"):
    """The market stands at a moment, at a price."""
    FeedState.objects.update_or_create(name="test", defaults={"mode": "replay", "market_time": moment, "session": DAY, "updated_at": clock.now()})
    quote("AAPL", price, market_time=moment)


@pytest.fixture
def market(db):
    FeedState.objects.create(name="test", mode="replay", market_time=OPEN, session=DAY, updated_at=clock.now())


def make(desk, algo="twap", quantity="600", **fields):
    wanted = {"portfolio_id": desk.portfolio.pk, "symbol": "AAPL", "side": "buy", "quantity": quantity, "end_at": OPEN + timedelta(hours=1)}
    if algo == "twap":
        wanted["parameters"] = {"slices": 6}
    return algo_submit(user=desk.trader, algo=algo, at=clock.now(), **{**wanted, **fields})


def play(minutes, price="100", engine=None):
    """A market and an engine over minutes after the open, as their processes would hear them."""
    paper, engine = PaperMarket(), engine or AlgoEngine()
    for minute in minutes:
        moment = OPEN + timedelta(minutes=minute)
        stand(moment, price)
        message = FeedMessage(
            kind="quotes",
            feed="test",
            session=DAY,
            market_time=moment,
            received_at=clock.now(),
            symbols=("AAPL",),
            prices={"AAPL": Decimal(price)},
        )
        paper.hear(message, at=clock.now())
        engine.hear(message, at=clock.now())


def standing(parent):
    parent.refresh_from_db()
    row = algo_row(parent)
    return row["status"], row["filled_quantity"], row["working_quantity"]


@pytest.mark.usefixtures("market")
class TestToCompletion:
    def test_a_twap_trades_its_schedule_and_is_done(self, desk):
        parent = make(desk)
        assert parent.status == "working"
        play(range(0, 70, 5))
        assert standing(parent) == ("done", "600", "0")
        children = parent.children.order_by("slice")
        assert [(child.slice, int(child.quantity), child.status) for child in children] == [(n, 100, "filled") for n in range(6)]
        assert [int(child.market_time.timestamp() - OPEN.timestamp()) // 600 for child in children] == list(range(6))
        assert all(child.decisions.filter(allowed=True).count() == 2 for child in children)
        assert parent.decisions.filter(allowed=True).count() == 2
        assert holdings(desk.portfolio.pk).positions[0].quantity == 600
        detail = algo_detail(user=desk.trader, algo_id=parent.pk)
        assert [event["kind"] for event in detail.events] == ["made", "working", *["sent"] * 6, "done"]
        assert (detail.algo["progress"], detail.algo["basis"]) == ("1.0000", "equal slices")

    def test_a_limit_beyond_the_market_rests_and_ends_with_the_parent(self, desk):
        parent = make(desk, limit_price="99")
        play(range(0, 35, 10))
        assert standing(parent) == ("working", "0", "400")
        play([40], price="98.5")
        play([45], price="98.5")
        assert standing(parent)[1] == "500"
        assert not parent.children.filter(average_price__gt=99).exists()
        play([60])
        assert standing(parent)[0] == "done"
        assert Order.objects.working().count() == 0

    def test_nothing_is_sent_before_the_start_or_after_the_end(self, desk):
        parent = make(desk, start_at=OPEN + timedelta(minutes=30))
        play([0, 10, 29])
        assert not parent.children.exists()
        play([61])
        assert standing(parent) == ("done", "0", "0")
        assert parent.reason == "the end has come with 600 left"

    def test_a_vwap_without_intraday_bars_says_that_its_curve_is_flat(self, desk):
        parent = make(desk, "vwap", parameters={"slices": 4})
        assert parent.plan["basis"].startswith("a flat curve")
        assert [shares for _, shares in parent.plan["slices"]] == ["150"] * 4

    def test_a_vwap_follows_the_volume_of_the_last_sessions(self, desk):
        opened = np.datetime64("2024-07-01T13:30", "us")
        price = np.full(2, 100.0)
        bars = BarSeries(
            symbol="AAPL", ts=opened + np.array([0, 30]) * np.timedelta64(1, "m"), open=price, high=price, low=price, close=price,
            volume=np.array([900.0, 300.0]),
        )  # fmt: skip
        store_series(bars, timeframe=Timeframe.MINUTES_15)
        parent = make(desk, "vwap", parameters={"slices": 2})
        assert parent.plan["basis"] == "the mean volume curve of 1 sessions"
        play([0, 30, 60])
        assert [int(child.quantity) for child in parent.children.order_by("slice")] == [450, 150]

    def test_a_given_curve_is_followed(self, desk):
        """V-D3-3, as far as the stored plan."""
        curve = ["0.18", "0.12", "0.10", "0.09", "0.08", "0.09", "0.12", "0.22"]
        parent = make(desk, "vwap", quantity="1000", parameters={"curve": curve})
        assert [shares for _, shares in parent.plan["slices"]] == ["180", "120", "100", "90", "80", "90", "120", "220"]

    def test_pov_follows_the_trades_of_others(self, desk):
        parent = make(desk, "pov", parameters={"rate": "0.1"})
        play([1])
        assert standing(parent) == ("working", "0", "0")  # nobody knows the volume
        seen = [TradeTick(symbol="AAPL", ts=OPEN + timedelta(minutes=minute), price=100.0, size=900.0, trade_id=str(minute)) for minute in (1, 2)]
        trades_store(trades=seen, source="test", recorded_at=clock.now())
        play([1.5])
        assert standing(parent)[1] == "100"
        play([1.6])
        assert standing(parent)[1] == "100"
        play([3])
        assert standing(parent)[1] == "200"

    def test_an_iceberg_shows_a_part_and_refills(self, desk):
        parent = make(desk, "iceberg", quantity="250", parameters={"display": "100"}, limit_price="99")
        play([0, 5])
        assert standing(parent) == ("working", "0", "100")
        play([10], price="98")
        play([11, 12, 13], price="98")
        assert standing(parent) == ("done", "250", "0")
        assert [int(child.quantity) for child in parent.children.order_by("slice")] == [100, 100, 50]

    def test_shortfall_trades_earlier_with_more_fear_of_risk(self, desk):
        store_series(make_series("AAPL", 100 + np.sin(np.arange(30)), start=date(2024, 5, 16)))
        calm = make(desk, "is", parameters={"slices": 6, "risk_aversion": "0"})
        afraid = make(desk, "is", parameters={"slices": 6, "risk_aversion": "1"})
        assert [shares for _, shares in calm.plan["slices"]] == ["100"] * 6
        first, *_, last = (int(shares) for _, shares in afraid.plan["slices"])
        assert first > 100 > last
        assert sum(int(shares) for _, shares in afraid.plan["slices"]) == 600
        InstrumentFactory(symbol="KO")
        with pytest.raises(InsufficientData):
            make(desk, "is", symbol="KO")

    @pytest.mark.parametrize("ex_date", [date(2024, 6, 20), DAY])
    def test_shortfall_reckons_in_today_s_shares(self, desk, ex_date):
        """A split of 4 for 1 is no volatility, and a day's volume before it was four times as many of today's shares."""
        closes, volume = 100 + np.sin(np.arange(30)), np.full(30, 1e6)
        plain = make_series("KO", closes, start=date(2024, 5, 16))
        store_series(plain)
        quote("KO", "100", market_time=OPEN)
        before = plain.ts.astype("datetime64[D]") < np.datetime64(ex_date)
        traded = make_series("AAPL", np.where(before, closes * 4, closes), start=date(2024, 5, 16))
        store_series(replace(traded, volume=np.where(before, volume / 4, volume)))
        split = ActionRecord(symbol="AAPL", kind=ActionKind.SPLIT, ex_date=ex_date, value=Decimal(4))
        stored = actions_store(records=[split], source="test", recorded_at=clock.now())
        for doubtful in stored.quarantined:  # on the day itself no bar speaks for it yet
            action_release(action_id=doubtful.id, reason="announced", user=make_user("operator-of-tests", Role.OPERATOR), recorded_at=clock.now())
        parent, same = (make(desk, "is", symbol=symbol, parameters={"slices": 6}) for symbol in ("AAPL", "KO"))
        assert {name: round(value, 9) for name, value in parent.plan["inputs"].items()} == {
            name: round(value, 9) for name, value in same.plan["inputs"].items()
        }
        assert parent.plan["slices"] == same.plan["slices"]


@pytest.mark.usefixtures("market")
class TestTheDesk:
    def test_the_gate_refuses_a_parent_for_its_whole_quantity(self, desk):
        make_limits(desk.portfolio, at=clock.now() + timedelta(seconds=59), position_size="500")
        parent = make(desk)
        assert (parent.status, parent.decisions.get(authority="risk").allowed) == ("denied", False)
        assert "POSITION_SIZE_LIMIT" in parent.reason
        play([0])
        assert not parent.children.exists()

    def test_what_a_parent_has_not_sent_yet_takes_cash_and_shares(self, desk):
        parent = make(desk)
        play([0])
        assert parent.children.get().status == "filled"  # 100 of 600 shares: 500 are not sent yet
        assert desk.submit(quantity="450").reason == "INSUFFICIENT_CAPITAL"  # 39,944 are free
        algo_cancel(algo_id=parent.pk, user=desk.trader, at=clock.now())
        assert desk.submit(quantity="450").status == "filled"

    def test_shares_that_a_parent_is_selling_are_not_sold_again(self, desk):
        desk.submit(quantity="600")
        parent = make(desk, side="sell")
        play([0])
        assert desk.submit(side="sell", quantity="1").reason == "SHORT_SALE"
        play(range(10, 70, 10))
        assert standing(parent)[:2] == ("done", "600")

    def test_a_child_is_judged_again_and_three_refusals_stop_the_parent(self, desk):
        parent = make(desk)
        make_limits(desk.portfolio, at=clock.now() + timedelta(seconds=59), position_size="150")
        play(range(0, 50, 10))
        assert standing(parent)[:2] == ("cancelled", "100")
        assert [child.status for child in parent.children.order_by("slice")] == ["filled", "denied", "denied", "denied"]
        assert Alert.objects.get(code="ALGO_STOPPED").detail == "3 children in a row were refused"

    def test_a_halt_stops_the_clock_and_the_release_lets_it_go_on(self, desk, django_capture_on_commit_callbacks):
        parent = make(desk)
        play([0])
        with django_capture_on_commit_callbacks(execute=True):
            trading_halt(portfolio_id=desk.portfolio.pk, user=desk.trader, reason="test", at=clock.now())
        play([10, 20, 30])
        assert standing(parent) == ("paused", "100", "0")
        first, second = make_user("risk-one", Role.RISK), make_user("risk-two", Role.RISK)
        trading_release(portfolio_id=desk.portfolio.pk, user=first, approver=second, reason="it was a test", at=clock.now())
        play([40])  # thirty minutes of pause: algorithm time is ten
        assert standing(parent) == ("working", "200", "0")
        play([60])
        assert standing(parent)[0] == "working"  # its end has moved
        play([70, 80, 90])
        assert standing(parent)[0] == "done"
        assert parent.paused_for == timedelta(minutes=30)

    def test_cancelling_the_parent_cancels_its_children(self, desk):
        parent = make(desk, limit_price="99")
        play([0, 10])
        cancelled = algo_cancel(algo_id=parent.pk, user=desk.trader, at=clock.now(), reason="changed my mind")
        assert (cancelled.status, cancelled.reason) == ("cancelled", "changed my mind")
        assert set(parent.children.values_list("status", flat=True)) == {"canceled"}
        play([20])
        assert parent.children.count() == 2
        with pytest.raises(Conflict):
            algo_cancel(algo_id=parent.pk, user=desk.trader, at=clock.now())
        with pytest.raises(NotFound):
            algo_cancel(algo_id=parent.pk, user=make_user("stranger"), at=clock.now())

    def test_a_child_may_be_cancelled_and_the_next_slice_catches_up(self, desk):
        parent = make(desk, limit_price="99")
        play([0])
        order_cancel(order_id=parent.children.get().pk, user=desk.trader, at=clock.now())
        play([10])
        assert [int(child.quantity) for child in parent.children.order_by("slice")] == [100, 200]

    def test_a_child_may_become_smaller_but_not_larger(self, desk):
        parent = make(desk, limit_price="99")
        play([0])
        child = parent.children.get()
        change = {"order_id": child.pk, "user": desk.trader, "at": clock.now()}
        with pytest.raises(InvalidInput, match="not made larger"):
            order_replace(**change, replacement_id=uuid4(), changes={"quantity": Decimal(101)})
        assert order_replace(**change, replacement_id=uuid4(), changes={"quantity": Decimal(60)}).quantity == 60
        play([10])
        assert standing(parent) == ("working", "0", "200")

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"algo": "magic"}, "algo"),
            ({"participation_cap": "0.9"}, "participation_cap"),
            ({"end_at": OPEN}, "end_at"),
            ({"end_at": CLOSE + timedelta(minutes=1)}, "end_at"),
            ({"start_at": datetime(2024, 7, 2, 14)}, "start_at"),  # noqa: DTZ001
            ({"quantity": "0"}, "quantity"),
        ],
    )
    def test_what_cannot_be_is_refused_by_name(self, desk, change, field):
        with pytest.raises(InvalidInput) as refused:
            make(desk, **change)
        assert refused.value.field == field
        assert not AlgoOrder.objects.exists()


@pytest.mark.usefixtures("market")
class TestRestart:
    def test_another_process_goes_on_where_the_first_stopped(self, desk):
        parent = make(desk)
        play([0, 10])
        play([10, 10], engine=AlgoEngine())
        assert parent.children.count() == 2
        engine = AlgoEngine()
        stand(OPEN + timedelta(minutes=30))
        engine.recover(at=clock.now())
        assert [(child.slice, int(child.quantity)) for child in parent.children.order_by("slice")] == [(0, 100), (1, 100), (3, 200)]

    def test_the_same_parent_again_is_the_first_one(self, desk):
        key = uuid4()
        assert make(desk, client_order_id=key).pk == make(desk, client_order_id=key).pk
        with pytest.raises(Conflict):
            make(desk, client_order_id=key, quantity="700")

    def test_children_that_outlive_their_parent_are_cancelled(self, desk, monkeypatch):
        parent = make(desk, limit_price="99")
        play([0])
        with monkeypatch.context() as crash:
            crash.setattr("apps.execution.services.algos.children_withdraw", lambda *_, **__: 0)
            algo_cancel(algo_id=parent.pk, user=desk.trader, at=clock.now())
        assert Order.objects.working().count() == 1
        assert orphans_withdraw(at=clock.now()) == 1
        assert Order.objects.working().count() == 0


@pytest.mark.usefixtures("market")
class TestTheDatabase:
    def child(self, desk, parent, quantity, *, slice_=7, **fields):
        intent = desk.intent(quantity=quantity, order_type="limit", limit_price="50", **fields)
        return order_submit(intent=intent, user=desk.trader, at=clock.now(), link=OrderLink(algo_id=parent.pk, slice=slice_))

    def test_no_child_makes_the_parent_trade_more_than_it_is(self, desk):
        parent = make(desk)
        play([0, 10])
        with pytest.raises(DatabaseError, match="more than it is"):
            self.child(desk, parent, "401")
        assert self.child(desk, parent, "400").status == "new"
        play([20])  # the rest is spoken for
        assert standing(parent) == ("working", "200", "400")

    def test_a_slice_has_one_child(self, desk):
        parent = make(desk)
        play([0])
        with pytest.raises(IntegrityError, match="order_slice_once"):
            self.child(desk, parent, "1", slice_=0)

    def test_a_parent_that_does_not_work_takes_no_child_and_one_of_another_side_is_none(self, desk):
        parent = make(desk)
        play([0])
        with pytest.raises(DatabaseError, match="is no child"):
            self.child(desk, parent, "1", side="sell")
        algo_cancel(algo_id=parent.pk, user=desk.trader, at=clock.now())
        with pytest.raises(DatabaseError, match="takes no child"):
            self.child(desk, parent, "1")

    @pytest.mark.parametrize(
        ("sql", "said"),
        [
            ("update execution_algoorder set quantity = 700", "cannot be changed"),
            ("update execution_algoorder set status = 'pending'", "cannot move"),
            ("delete from execution_algoorder", "append-only|refuse|not"),
            ("update execution_algoevent set kind = 'x'", "append-only|refuse|not"),
            ("update execution_algodecision set allowed = true", "append-only|refuse|not"),
        ],
    )
    def test_what_was_ordered_and_said_stays(self, desk, sql, said):
        make(desk)
        with pytest.raises(DatabaseError, match=said), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)

    def test_a_parent_that_nobody_allowed_does_not_work(self, desk):
        make_limits(desk.portfolio, at=clock.now() + timedelta(seconds=59), position_size="500")
        parent = make(desk)
        with pytest.raises(DatabaseError, match="cannot move"), transaction.atomic():
            AlgoOrder.objects.filter(pk=parent.pk).update(status="working")


@pytest.mark.usefixtures("market")
def test_a_cap_holds_back_what_the_volume_does_not_carry(desk):
    parent = make(desk, participation_cap="0.1")
    trades_store(
        trades=[TradeTick(symbol="AAPL", ts=OPEN + timedelta(seconds=1), price=100.0, size=450.0)],
        source="test",
        recorded_at=clock.now(),
    )
    play([1, 20])
    assert standing(parent)[1] == "50"
    assert working_orders_cancel(portfolio_id=desk.portfolio.pk, reason="test", at=clock.now()) == 0
    assert algo_advance(algo_id=parent.pk, portfolio_id=parent.portfolio_id, at=clock.now()) == 0


def test_cash_that_working_orders_and_parents_may_take_is_not_free(desk, market) -> None:
    portfolio = desk.portfolio
    stand(OPEN)
    before = free_cash(portfolio, "USD", market_time=OPEN)
    desk.submit(symbol="AAPL", side="buy", quantity="10", order_type="limit", limit_price="90")
    assert before - free_cash(portfolio, "USD", market_time=OPEN) == 900
    make(desk, quantity="60")
    assert before - free_cash(portfolio, "USD", market_time=OPEN) == 900 + 60 * 100
