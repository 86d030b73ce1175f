"""What holds of an order and of the venue's picture of it when everything has calmed down."""

from itertools import pairwise

from apps.core.money import ZERO
from apps.execution.brokers.alpaca import NEVER_HAD
from apps.execution.domain.states import OrderStatus
from apps.execution.models import Order
from apps.execution.tests.faults.venue import VenueOrder
from apps.portfolios.models import LedgerEntry

NEVER_THERE = {"denied", "canceled", "rejected", "expired"}


def order_check(order: Order, at_venue: VenueOrder | None) -> None:
    """The order stands where the venue has it, and its fills, its ledger entries and its events tell the same story."""
    life = [(event.kind, event.from_status, event.to_status) for event in order.events.order_by("id")]
    assert all(before[2] == after[1] for before, after in pairwise(life)), life
    assert life[-1][2] == order.status, life
    fills = {(fill.execution_id, fill.quantity, fill.price, fill.fee) for fill in order.fills.all()}
    told = at_venue.executions if at_venue else ()
    assert fills == {(one.execution_id, one.quantity, one.price, one.fee) for one in told}, life
    assert order.cumulative_quantity == sum((one.quantity for one in told), ZERO)
    booked = LedgerEntry.objects.filter(source="fill", source_ref__in=[f"{order.account.broker}:{one.execution_id}" for one in told])
    assert {(entry.source_ref.partition(":")[2], abs(entry.quantity), entry.price, entry.fee) for entry in booked} == fills
    if at_venue is None:
        assert order.status in NEVER_THERE, life
    elif at_venue.works:
        assert order.status == ("partially_filled" if fills else "new"), life
        assert (order.quantity, order.limit_price) == (at_venue.order.quantity, at_venue.order.limit_price), life
    elif at_venue.left:
        given_up = order.status == "rejected" and order.reason == NEVER_HAD.reason  # it arrived after that, and has ended there as well
        assert given_up or order.status in ("canceled", "expired"), life
    else:
        assert order.status == "filled", life
    assert order.leaves_quantity == (ZERO if OrderStatus(order.status).is_terminal else order.quantity - order.cumulative_quantity)
