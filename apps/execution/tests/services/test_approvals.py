"""Orders that are worth more than may be sent alone: who may approve them, when, and what the gate then says."""

from datetime import UTC, date, datetime, timedelta

import pytest

from apps.core import clock
from apps.core.errors import Conflict, InvalidInput, NotPermitted
from apps.core.models import User
from apps.core.roles import Role
from apps.execution.domain.halting import HaltLevel
from apps.execution.models import Order, OrderApproval
from apps.execution.services.approvals import order_approve
from apps.execution.services.groups import bracket_submit, group_advance, oco_submit
from apps.execution.services.halting import halt_carry_out, trading_stop
from apps.execution.services.recovery import orders_recover
from apps.execution.services.replacements import order_replace
from apps.execution.tests.factories import make_desk, make_user, quote
from apps.marketdata.models import FeedState
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.tests.factories import InstrumentFactory
from apps.risk.services.state import trading_halt


@pytest.fixture
def desk(db):
    """A desk on which an order above 500 waits for a second person."""
    return make_desk(approval_value="500")


@pytest.fixture
def second(db):
    return make_user("second", Role.RISK)


def decide(order, user, *, approve=True, reason="seen", at=None) -> Order:
    return order_approve(order_id=order.pk, user=user, approve=approve, reason=reason, at=at or clock.now())


def test_a_small_order_waits_for_nobody(desk) -> None:
    assert desk.submit(quantity="5").status == "filled"
    assert desk.submit(quantity="6").status == "pending_new"


def test_an_approved_order_is_judged_anew_and_sent(desk, second) -> None:
    order = desk.submit()
    assert decide(order, second).status == "filled"
    assert [event.kind for event in order.events.order_by("id")] == ["pending_new", "sent", "new", "trade"]
    assert order.decisions.count() == 4
    assert OrderApproval.objects.get().decided_by == second


def test_what_the_gate_forbids_meanwhile_is_denied_though_it_is_approved(desk, second) -> None:
    order = desk.submit()
    trading_halt(portfolio_id=None, user=None, reason="test", at=clock.now())
    waiting = Order.objects.get(pk=order.pk)
    if waiting.status == "pending_new":  # a halt cancels what works where its receiver runs
        assert decide(order, second).status == "denied"
    else:
        assert waiting.status == "canceled"


def test_a_refusal_cancels(desk, second) -> None:
    order = desk.submit()
    refused = decide(order, second, approve=False, reason="too large for today")
    assert (refused.status, refused.reason) == ("canceled", "second refused it: too large for today")
    with pytest.raises(Conflict):
        decide(order, second)


def test_nobody_approves_an_order_of_their_own_superusers_included(desk) -> None:
    order = desk.submit()
    User.objects.filter(pk=desk.trader.pk).update(is_superuser=True)
    with pytest.raises(NotPermitted, match="of their own"):
        decide(order, User.objects.get(pk=desk.trader.pk))
    assert Order.objects.get(pk=order.pk).status == "pending_new"


def test_an_approval_needs_permission_and_a_reason(desk, second) -> None:
    order = desk.submit()
    with pytest.raises(NotPermitted):
        decide(order, make_user("colleague", Role.TRADER))
    with pytest.raises(InvalidInput):
        decide(order, second, reason="  ")
    assert not OrderApproval.objects.exists()


def test_an_order_waits_a_quarter_of_an_hour_and_recovery_ends_it(desk, second) -> None:
    order = desk.submit()
    late = order.created_at + timedelta(minutes=15)
    orders_recover(at=late - timedelta(seconds=1))
    assert Order.objects.get(pk=order.pk).status == "pending_new"
    with pytest.raises(Conflict, match="longer than"):
        decide(order, second, at=late)
    orders_recover(at=late)
    assert Order.objects.get(pk=order.pk).status == "expired"


def test_the_page_and_rest_show_and_decide(desk, second, client) -> None:
    order = desk.submit()
    quote("AAPL", "100")
    client.force_login(second)
    page = client.get(f"/trades/{order.pk}")
    assert "Waits for a second person" in page.content.decode()
    refused = client.post(f"/api/v1/orders/{order.pk}/approve/", {"approve": True, "reason": ""}, content_type="application/json")
    assert refused.status_code == 400
    answer = client.post(f"/api/v1/orders/{order.pk}/approve/", {"approve": True, "reason": "seen"}, content_type="application/json")
    assert (answer.status_code, answer.json()["status"]) == (200, "filled")
    other = desk.submit()
    client.post(f"/trades/{other.pk}/approve", {"approve": "no", "reason": "no"})
    assert Order.objects.get(pk=other.pk).status == "canceled"
    client.force_login(desk.trader)
    mine = desk.submit()
    assert "Waits for a second person" not in client.get(f"/trades/{mine.pk}").content.decode()


def hold_ten(desk) -> None:
    """Worth 1,000, bought in halves which wait for nobody."""
    for _ in range(2):
        assert desk.submit(quantity="5").status == "filled"


def noon() -> None:
    """The market is open, whatever the hour at which the tests run."""
    moment = datetime(2024, 7, 2, 16, tzinfo=UTC)
    FeedState.objects.create(name="test", mode="replay", market_time=moment, session=date(2024, 7, 2), updated_at=clock.now())


class TestReductions:
    """What only reduces a position waits for nobody: an emergency takes one person, and a stop has no time."""

    def test_a_flattening_takes_one_person(self, desk) -> None:
        noon()
        hold_ten(desk)
        trading_stop(portfolio_id=desk.portfolio.pk, user=desk.trader, level=HaltLevel.FLATTEN, reason="out", at=clock.now())
        halt_carry_out(portfolio_id=desk.portfolio.pk, at=clock.now())
        assert Order.objects.get(strategy="flatten").status == "filled"
        assert holdings(desk.portfolio.pk).positions == ()

    def test_the_exits_of_a_bracket_are_sent_and_grow_at_once(self, desk, second) -> None:
        fields = {"portfolio_id": desk.portfolio.pk, "symbol": "AAPL", "side": "buy", "quantity": "10", "take_profit": "110", "stop_loss": "95"}
        group = bracket_submit(user=desk.trader, at=clock.now(), **fields)
        assert decide(group.orders.get(), second).status == "filled"
        group_advance(group_id=group.pk, at=clock.now())
        assert {order.group_role: order.status for order in group.orders.all()} == {"entry": "filled", "stop_loss": "new", "take_profit": "new"}

    def test_two_exits_of_which_one_cancels_the_other_are_sent_at_once(self, desk) -> None:
        hold_ten(desk)
        fields = {"portfolio_id": desk.portfolio.pk, "symbol": "AAPL", "side": "sell", "quantity": "10", "take_profit": "110", "stop_loss": "95"}
        group = oco_submit(user=desk.trader, at=clock.now(), **fields)
        assert {order.status for order in group.orders.all()} == {"new"}

    def test_a_stop_that_is_changed_works_on(self, desk) -> None:
        hold_ten(desk)
        stop = desk.submit(side="sell", order_type="stop", stop_price="95", quantity="4")
        changes = {"quantity": "10", "stop_price": "96"}
        changed = order_replace(order_id=stop.pk, user=desk.trader, replacement_id=stop.client_order_id, changes=changes, at=clock.now())
        assert (changed.status, changed.quantity) == ("new", 10)

    def test_what_turns_the_position_around_waits(self, desk) -> None:
        hold_ten(desk)
        working = desk.submit(side="sell", order_type="limit", limit_price="120", quantity="4")
        assert working.status == "new"
        assert desk.submit(side="sell", quantity="10").status == "denied"  # four are offered already, and nothing is located


def test_the_threshold_is_in_the_portfolios_currency(desk) -> None:
    for symbol, currency, price, rate in (("SAP", "EUR", "80", "1.25"), ("SONY", "JPY", "2000", "0.01")):
        InstrumentFactory(symbol=symbol, currency=currency)
        InstrumentFactory(symbol=f"{currency}USD")
        quote(symbol, price)
        quote(f"{currency}USD", rate)
    assert desk.submit(symbol="SAP", quantity="5").status == "filled"  # 400 euros are 500 dollars
    assert desk.submit(symbol="SAP", quantity="6").status == "pending_new"  # 480 euros are 600 dollars
    assert desk.submit(symbol="SONY", quantity="25").status == "filled"  # 50,000 yen are 500 dollars
    assert desk.submit(symbol="SONY", quantity="26").status == "pending_new"
