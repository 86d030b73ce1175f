"""What the venue did is so, whenever the desk hears of it: lost answers, fills that come late, and how long each hop took."""

from collections.abc import Iterator
from decimal import Decimal
from unittest.mock import patch

import pytest
from rest_framework.test import APIClient

from apps.alerts.models import Alert
from apps.core import clock
from apps.core.errors import NotFound
from apps.execution.brokers.protocol import ExecutionReport
from apps.execution.domain.states import OrderEventKind
from apps.execution.models import Fill
from apps.execution.selectors.orders import order_detail
from apps.execution.selectors.proofs import fill_get, fill_proof
from apps.execution.services import routing
from apps.execution.services.orders import order_cancel
from apps.execution.services.recovery import PATIENCE, orders_recover
from apps.execution.tests.factories import make_user
from apps.execution.tests.faults.venue import Venue
from apps.execution.tests.services.test_order_life import book, events, trade
from apps.portfolios.selectors.holdings import holdings


@pytest.fixture
def troubles() -> list[str]:
    """What goes wrong at the venue's next calls, one after the other."""
    return []


@pytest.fixture
def venue(troubles: list[str]) -> Iterator[Venue]:
    made = Venue(trouble=lambda: troubles.pop(0) if troubles else "", around=lambda _, work: work())
    with patch.dict(routing._ADAPTERS, {("paper", "paper"): lambda _: made}):
        yield made


class TestLostAnswers:
    def test_v_d2_1_a_send_that_times_out_is_resolved_by_its_id(self, desk, venue, troubles):
        """V-D2-1: one order at the broker, local UNKNOWN_SENT resolved by client id, no second send."""
        troubles[:] = ["silent"]
        order = desk.submit()
        assert (order.status, list(venue.book)) == ("unknown_sent", [str(order.pk)])
        assert orders_recover(at=clock.now() + 2 * PATIENCE) == 1
        order.refresh_from_db()
        assert (order.status, venue.arrived) == ("filled", [str(order.pk)])
        assert events(order) == ["pending_new", "sent", "timed_out", "new", "trade"]

    def test_a_send_that_never_arrived_is_refused_and_not_made_again(self, desk, venue, troubles):
        troubles[:] = ["lost"]
        order = desk.submit()
        orders_recover(at=clock.now() + 2 * PATIENCE)
        order.refresh_from_db()
        assert (order.status, order.reason, venue.arrived) == ("rejected", "the venue has never had it", [])

    def test_a_cancel_without_an_answer_is_on_its_way_and_asked_for_again(self, desk, venue, troubles):
        order = desk.submit(order_type="limit", limit_price="99", time_in_force="gtc")
        troubles[:] = ["lost"]
        assert order_cancel(order_id=order.pk, user=desk.trader, at=clock.now()).status == "pending_cancel"
        orders_recover(at=clock.now() + 2 * PATIENCE)
        order.refresh_from_db()
        assert (order.status, venue.book[str(order.pk)].works) == ("canceled", False)


class TestLateFills:
    @pytest.mark.parametrize(
        ("end", "shares", "status"),
        [
            ("canceled", "4", "canceled"),
            ("canceled", "10", "filled"),
            ("expired", "4", "expired"),
            ("expired", "10", "filled"),
            ("rejected", "4", "rejected"),
            ("rejected", "10", "filled"),
        ],
    )
    def test_v_d1_3_a_fill_after_the_end_is_booked_and_told(self, desk, end, shares, status):
        """V-D1-3: fill after Canceled: accepted, and alert LATE_FILL."""
        order = desk.submit(order_type="limit", limit_price="99", time_in_force="gtc")
        book(order, ExecutionReport(kind=OrderEventKind(end), reason="so it was said"))
        order.refresh_from_db()
        assert order.status == end
        trade(order, shares)
        order.refresh_from_db()
        assert (order.status, order.cumulative_quantity, order.leaves_quantity) == (status, Decimal(shares), 0)
        assert holdings(desk.portfolio.pk).positions[0].quantity == Decimal(shares)
        assert {alert.code for alert in Alert.objects.filter(subject=f"order:{order.pk}")} == {"LATE_FILL"}


def test_each_hop_says_from_whom_and_how_long_it_took(desk):
    order = desk.submit()
    hops = order_detail(user=desk.trader, order_id=order.pk).events
    assert [(hop["kind"], hop["source"]) for hop in hops] == [("pending_new", "desk"), ("sent", "gate"), ("new", "paper"), ("trade", "paper")]
    assert hops[0]["latency_ms"] is None
    assert all(hop["latency_ms"] >= 0 for hop in hops[1:])
    assert hops[1]["latency_ms"] > 0  # since the transaction began


def test_a_fill_is_explained_by_all_that_it_stands_on(desk):
    fill = fill_get(user=desk.trader, fill_id=desk.submit().fills.get().pk)
    proof = fill_proof(fill)
    assert proof.missing == ()
    assert proof.fill["quote"]["price"] == "100"
    assert {decision["authority"] for decision in proof.decisions} == {"risk", "compliance"}
    assert [(entry["kind"], entry["quantity"]) for entry in proof.entries] == [("trade", "10.000000")]
    with pytest.raises(NotFound):
        fill_get(user=make_user("stranger"), fill_id=fill.pk)


def test_what_a_fill_should_stand_on_and_does_not_is_named(desk):
    """A row that nobody's services wrote: the database takes a fill by itself, and its proof says what is wrong with it."""
    order = desk.submit(order_type="limit", limit_price="99", time_in_force="gtc")
    values = {"quantity": Decimal(1), "price": Decimal(99), "market_time": clock.now(), "executed_at": clock.now(), "recorded_at": clock.now()}
    fill = Fill.objects.create(order=order, broker="paper", execution_id="made up", **values)
    assert fill_proof(fill_get(user=desk.trader, fill_id=fill.pk)).missing == ("quote", "event", "ledger entry")


def test_the_proof_is_told_to_those_who_see_the_portfolio(desk):
    fill, client = desk.submit().fills.get(), APIClient()
    client.force_authenticate(desk.trader)
    told = client.get(f"/api/v1/trades/{fill.pk}/proof/").json()
    assert (told["missing"], told["fill"]["execution_id"], told["intent_digest"]) == ([], fill.execution_id, fill.order.intent_digest)
    client.force_authenticate(make_user("stranger"))
    assert client.get(f"/api/v1/trades/{fill.pk}/proof/").status_code == 404
