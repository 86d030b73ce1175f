"""The kill switch on the real database: what each level lets through, cancels and closes, and what a crash leaves to the keeper."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from apps.alerts.models import Alert
from apps.compliance.services.restrictions import restriction_add, restriction_end
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput, NotPermitted
from apps.core.roles import Role
from apps.core.trading import TradingMode
from apps.execution.domain.halting import FLATTEN_STRATEGY, RETRY_AFTER, HaltLevel
from apps.execution.models import AlgoOrder, BrokerageAccount, Order
from apps.execution.selectors.halting import halt_preview
from apps.execution.services.halting import HaltKeeper, halt_carry_out, trading_stop
from apps.execution.services.replacements import ReplacementDenied, order_replace
from apps.execution.tests.factories import make_limits, make_user, quote
from apps.execution.tests.services.test_algos import make as make_algo
from apps.marketdata.models import FeedState
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.services.portfolios import membership_grant
from apps.portfolios.tests.factories import InstrumentFactory, PortfolioFactory
from apps.risk.domain.limits import LimitAction
from apps.risk.models import LimitEvent, TradingStateChange
from apps.risk.selectors.state import trading_state
from apps.risk.services.state import trading_halt, trading_release, trading_restrict

NOON = datetime(2024, 7, 2, 16, tzinfo=UTC)
NIGHT = datetime(2024, 7, 3, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def noon(db):
    FeedState.objects.create(name="test", mode="replay", market_time=NOON, session=date(2024, 7, 2), updated_at=clock.now())


@pytest.fixture
def stop(desk, django_capture_on_commit_callbacks):
    """Press the switch in the desk's portfolio, with everything that follows at once."""

    def press(level, *, user=desk.trader, reason="too large", portfolio_id=desk.portfolio.pk, **fields):
        with django_capture_on_commit_callbacks(execute=True):
            return trading_stop(portfolio_id=portfolio_id, user=user, level=level, reason=reason, at=clock.now(), **fields)

    return press


def held(desk):
    return {one.symbol: one.quantity for one in holdings(desk.portfolio.pk).positions}


def stand(moment):
    FeedState.objects.update(market_time=moment, session=moment.date(), updated_at=clock.now())


def closing():
    return Order.objects.filter(strategy=FLATTEN_STRATEGY).order_by("id")


class TestLevels:
    def test_a_pause_lets_reductions_pass_and_leaves_working_orders(self, desk, stop):
        desk.submit(quantity="10")
        waiting = desk.submit(order_type="limit", limit_price="90")
        stop(HaltLevel.PAUSE)
        assert desk.submit(quantity="1").reason == "REDUCING_ONLY"
        assert desk.submit(side="sell", quantity="4").status == "filled"
        assert desk.submit(side="sell", quantity="7").reason.startswith("REDUCING_ONLY")
        waiting.refresh_from_db()
        assert waiting.status == "new"

    def test_a_pause_does_not_let_a_working_order_grow_into_a_new_position(self, desk, stop):
        waiting = desk.submit(order_type="limit", limit_price="90")
        stop(HaltLevel.PAUSE)
        more = {"quantity": Decimal(20)}
        more = {"quantity": Decimal(20)}
        with pytest.raises(ReplacementDenied, match="REDUCING_ONLY"):
            order_replace(order_id=waiting.pk, user=desk.trader, replacement_id=waiting.client_order_id, changes=more, at=clock.now())

    def test_the_second_level_cancels_and_stops_reductions_too(self, desk, stop):
        desk.submit(quantity="10")
        waiting = desk.submit(order_type="limit", limit_price="90")
        stop(HaltLevel.CANCEL)
        waiting.refresh_from_db()
        assert (waiting.status, waiting.reason) == ("canceled", "trading halted: too large")
        assert "TRADING_HALTED" in desk.submit(side="sell", quantity="1").reason
        assert held(desk) == {"AAPL": 10}

    def test_flattening_cancels_and_closes_in_the_name_of_who_pressed(self, desk, stop):
        desk.submit(quantity="10")
        waiting = desk.submit(order_type="limit", limit_price="90")
        change = stop(HaltLevel.FLATTEN, reason="out")
        waiting.refresh_from_db()
        assert (waiting.status, waiting.reason) == ("canceled", "flattened: out")
        order = closing().get()
        assert (order.side, order.quantity, order.status, order.created_by) == ("sell", 10, "filled", desk.trader)
        assert held(desk) == {}
        view = trading_state(desk.portfolio.pk)
        assert (view.state, view.flatten, view.change_id) == ("reducing", True, change.pk)
        assert desk.submit(quantity="1").reason == "REDUCING_ONLY"

    def test_flattening_the_desk_closes_every_portfolio(self, desk, stop):
        desk.submit(quantity="10")
        stop(HaltLevel.FLATTEN, portfolio_id=None)
        assert held(desk) == {}
        assert trading_state(desk.portfolio.pk).desk

    def test_flattening_ends_parents_with_their_children(self, desk, stop):
        stand(datetime(2024, 7, 2, 13, 30, tzinfo=UTC))
        parent = make_algo(desk)
        stop(HaltLevel.FLATTEN, reason="out")
        assert (AlgoOrder.objects.get(pk=parent.pk).status, AlgoOrder.objects.get(pk=parent.pk).reason) == ("cancelled", "flattened: out")


class TestByTheMonitor:
    """A broken limit that asks for flattening: on paper in the name of who may trade there, elsewhere nothing is closed by itself."""

    @pytest.fixture
    def breach(self, desk, django_capture_on_commit_callbacks):
        desk.submit(quantity="10")
        numbers = {"kind": "daily_loss", "level": "hard", "change": "raised", "used": Decimal("0.05"), "limit": Decimal("0.04")}
        event = LimitEvent.objects.create(portfolio_id=desk.portfolio.pk, recorded_at=clock.now(), **numbers)

        def act(action=LimitAction.FLATTEN):
            with django_capture_on_commit_callbacks(execute=True):
                return trading_restrict(portfolio_id=desk.portfolio.pk, action=action, event=event, reason="Daily loss", at=clock.now())

        return act

    def test_it_closes_on_paper(self, desk, breach):
        breach()
        order = closing().get()
        assert (order.side, order.quantity, order.status, order.created_by) == ("sell", 10, "filled", desk.trader)
        view = trading_state(desk.portfolio.pk)
        assert (view.state, view.flatten, view.by) == ("reducing", True, "risk monitor")
        assert breach(LimitAction.REDUCE) is None  # looser than what holds

    def test_a_live_account_is_only_held_to_reductions(self, desk, breach):
        BrokerageAccount.objects.filter(portfolio_id=desk.portfolio.pk).update(broker="ib", number="U1234567", mode=TradingMode.LIVE.value)
        breach()
        assert held(desk) == {"AAPL": 10}
        view = trading_state(desk.portfolio.pk)
        assert (view.state, view.flatten) == ("reducing", False)
        assert "not a paper account" in view.reason


class TestFlattenRefused:
    """What it takes: a name, the right to trade there, the live accounts typed, and a state in which reductions pass."""

    def test_in_nobody_s_name(self, desk, stop):
        with pytest.raises(NotPermitted, match="person"):
            stop(HaltLevel.FLATTEN, user=None)

    def test_by_somebody_who_may_halt_but_not_trade(self, desk, stop):
        desk.submit()
        risk = make_user("risk-two", Role.RISK)
        with pytest.raises(NotPermitted, match="may not place orders in 1"):
            stop(HaltLevel.FLATTEN, user=risk)
        assert not TradingStateChange.objects.exists()
        stop(HaltLevel.PAUSE, user=risk)
        assert trading_state(desk.portfolio.pk).by == "risk-two"

    def test_while_halted(self, desk, stop):
        desk.submit()
        stop(HaltLevel.CANCEL)
        with pytest.raises(Conflict, match="two people release first"):
            stop(HaltLevel.FLATTEN)
        assert held(desk) == {"AAPL": 10}

    @pytest.mark.parametrize("typed", ["", "U123", "U1234567, U7"])
    def test_a_live_account_that_was_not_typed(self, desk, stop, typed):
        other = PortfolioFactory(owner=desk.trader)
        BrokerageAccount.objects.create(portfolio=other, broker="ib", mode=TradingMode.LIVE, number="U1234567", slippage_bps=0, commission=0)
        with pytest.raises(InvalidInput, match="U1234567") as refused:
            stop(HaltLevel.FLATTEN, portfolio_id=None, confirm=typed)
        assert refused.value.field == "confirm"
        stop(HaltLevel.FLATTEN, portfolio_id=None, confirm=" U1234567 ")
        assert trading_state(None).flatten


class TestKeeper:
    """Nothing depends on the process in which the switch was pressed: here it dies before it has done anything."""

    def press(self, desk, level):
        return trading_stop(portfolio_id=desk.portfolio.pk, user=desk.trader, level=level, reason="crash", at=clock.now())

    def test_it_cancels_what_a_halt_left_working(self, desk):
        waiting = desk.submit(order_type="limit", limit_price="90")
        self.press(desk, HaltLevel.CANCEL)
        HaltKeeper().keep(at=clock.now())
        waiting.refresh_from_db()
        assert waiting.status == "canceled"

    def test_it_leaves_a_pause_alone(self, desk):
        waiting = desk.submit(order_type="limit", limit_price="90")
        self.press(desk, HaltLevel.PAUSE)
        HaltKeeper().keep(at=clock.now())
        waiting.refresh_from_db()
        assert waiting.status == "new"

    def test_it_closes_once_and_not_twice(self, desk):
        desk.submit(quantity="10")
        self.press(desk, HaltLevel.FLATTEN)
        for _ in range(3):
            halt_carry_out(portfolio_id=None, at=clock.now())
        assert [order.quantity for order in closing()] == [10]
        assert held(desk) == {}

    def test_a_shut_market_is_waited_for(self, desk):
        desk.submit(quantity="10")
        stand(NIGHT)
        self.press(desk, HaltLevel.FLATTEN)
        halt_carry_out(portfolio_id=None, at=clock.now())
        assert not closing().exists()
        stand(NOON + timedelta(days=1))
        quote("AAPL", "100")
        halt_carry_out(portfolio_id=None, at=clock.now())
        assert held(desk) == {}

    def test_a_price_that_would_be_refused_is_waited_for(self, desk):
        desk.submit(quantity="10")
        self.press(desk, HaltLevel.FLATTEN)
        halt_carry_out(portfolio_id=None, at=clock.now() + timedelta(minutes=5))
        assert not closing().exists()

    def test_a_denied_closing_order_is_told_and_tried_again_later(self, desk):
        desk.submit(quantity="10")
        officer = make_user("officer", Role.COMPLIANCE)
        fields = {"instrument_id": desk.instrument.pk, "level": "restricted", "reason": "inside information", "user": officer}
        restriction = restriction_add(**fields, active_from=clock.now() - timedelta(minutes=1))
        self.press(desk, HaltLevel.FLATTEN)
        for _ in range(2):
            halt_carry_out(portfolio_id=None, at=clock.now())
        assert [order.status for order in closing()] == ["denied"]
        assert Alert.objects.get(code="FLATTEN_DENIED").detail == closing().get().reason
        later = clock.now() + RETRY_AFTER + timedelta(seconds=1)
        restriction_end(restriction_id=restriction.pk, reason="cleared", user=officer, at=clock.now())
        quote("AAPL", "100", at=later)
        halt_carry_out(portfolio_id=None, at=later)
        assert [order.status for order in closing()] == ["denied", "filled"]

    def test_too_many_orders_for_a_minute_wait_and_nobody_is_alarmed(self, desk):
        for symbol in ("IBM", "MSFT"):
            InstrumentFactory(symbol=symbol)
            quote(symbol, "50")
        for symbol in ("AAPL", "IBM", "MSFT"):
            desk.submit(symbol=symbol, quantity="10")
        now = clock.now()
        make_limits(desk.portfolio, at=now + timedelta(seconds=59), order_rate="4")
        self.press(desk, HaltLevel.FLATTEN)
        for _ in range(3):
            halt_carry_out(portfolio_id=None, at=clock.now())
        assert [order.status for order in closing()] == ["filled", "denied"]
        assert not Alert.objects.filter(code="FLATTEN_DENIED").exists()
        later = clock.now() + timedelta(minutes=2)
        for symbol in ("AAPL", "IBM", "MSFT"):
            quote(symbol, "50", at=later)
        halt_carry_out(portfolio_id=None, at=later)
        assert held(desk) == {}

    def test_a_later_pause_ends_the_flattening(self, desk):
        desk.submit(quantity="10")
        self.press(desk, HaltLevel.FLATTEN)
        self.press(desk, HaltLevel.PAUSE)
        halt_carry_out(portfolio_id=None, at=clock.now())
        assert held(desk) == {"AAPL": 10}

    def test_a_release_ends_it_too(self, desk):
        desk.submit(quantity="10")
        self.press(desk, HaltLevel.FLATTEN)
        first, second = make_user("risk-a", Role.RISK), make_user("risk-b", Role.RISK)
        trading_release(portfolio_id=desk.portfolio.pk, user=first, approver=second, reason="kept", at=clock.now())
        halt_carry_out(portfolio_id=None, at=clock.now())
        assert held(desk) == {"AAPL": 10}
        assert desk.submit(quantity="1").status == "filled"


class TestPreview:
    def preview(self, desk, user=None, portfolio_id="own"):
        owner = desk.portfolio.pk if portfolio_id == "own" else portfolio_id
        return halt_preview(user=user or desk.trader, portfolio_id=owner, at=clock.now())

    def test_it_counts_what_would_be_met(self, desk):
        desk.submit(quantity="10")
        desk.submit(order_type="limit", limit_price="90")
        desk.submit(side="sell", order_type="limit", limit_price="120", quantity="5")
        found = self.preview(desk)
        assert (found.working_orders, found.working_buys, found.positions, found.gross, found.currency) == (2, 1, 1, Decimal(1000), "USD")
        assert (found.state, found.flatten_refused, found.live_accounts, found.hidden) == ("active", "", (), 0)

    def test_of_the_desk_it_counts_what_the_user_sees_and_says_what_is_hidden(self, desk):
        PortfolioFactory()
        found = self.preview(desk, portfolio_id=None)
        assert (found.portfolios, found.hidden) == (1, 1)

    def test_it_says_why_this_user_cannot_flatten(self, desk):
        desk.submit()
        risk = make_user("risk-c", Role.RISK)
        assert "may place orders" in self.preview(desk, risk).flatten_refused
        membership_grant(portfolio_id=desk.portfolio.pk, user_id=risk.pk, role="viewer")
        trading_halt(portfolio_id=desk.portfolio.pk, user=desk.trader, reason="x", at=clock.now())
        assert "two people release" in self.preview(desk).flatten_refused


def test_the_stricter_of_two_halts_holds(desk, stop):
    """The desk is flattened while the portfolio only pauses, and the other way round."""
    stop(HaltLevel.PAUSE)
    stop(HaltLevel.FLATTEN, portfolio_id=None)
    assert trading_state(desk.portfolio.pk).flatten
    stop(HaltLevel.FLATTEN)
    stop(HaltLevel.PAUSE, portfolio_id=None)
    assert trading_state(desk.portfolio.pk).flatten
