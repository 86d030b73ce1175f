"""Orders that are worth more than may be sent alone: who may approve them, when, and what the gate then says."""

from datetime import timedelta

import pytest

from apps.core import clock
from apps.core.errors import Conflict, InvalidInput, NotPermitted
from apps.core.models import User
from apps.core.roles import Role
from apps.execution.models import Order, OrderApproval
from apps.execution.services.approvals import order_approve
from apps.execution.services.recovery import orders_recover
from apps.execution.tests.factories import make_desk, make_user, quote
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
