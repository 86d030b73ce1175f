"""`execution.order.replay`: the invariants of the rules under random reports."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.execution.domain.replay import ReplayIllegal, ReplayOverfill, order_replay


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([], "PendingNew"),
        ([{"type": "NEW"}], "New"),
        ([{"type": "REJECTED"}], "Rejected"),
        ([{"type": "NEW"}, {"type": "REPLACE_REQUEST", "quantity": 5}], "New"),
        ([{"type": "NEW"}, {"type": "PENDING_REPLACE"}], "PendingReplace"),
        ([{"type": "NEW"}, {"type": "PENDING_REPLACE"}, {"type": "PENDING_CANCEL"}], "PendingCancel"),
        ([{"type": "NEW"}, {"type": "PENDING_REPLACE"}, {"type": "REPLACE_REJECT"}], "New"),
        ([{"type": "NEW"}, {"type": "CANCELED"}], "Canceled"),
        ([{"type": "FILL", "exec_id": "1", "quantity": 100, "price": "1"}, {"type": "NEW"}], "Filled"),
        ([{"type": "NEW"}, {"type": "CANCELED"}, {"type": "FILL", "exec_id": "1", "quantity": 100, "price": "1"}], "Filled"),
    ],
)
def test_status(events, status):
    assert order_replay(100, events)["status"] == status


def test_a_filled_order_is_reopened_by_a_larger_replace():
    fill = {"type": "FILL", "exec_id": "1", "quantity": 100, "price": "1"}
    got = order_replay(100, [{"type": "NEW"}, fill, {"type": "PENDING_REPLACE"}, {"type": "REPLACED", "quantity": 150}])
    assert (got["status"], got["order_quantity"], got["leaves"]) == ("PartiallyFilled", 150, 50)


def test_before_the_first_fill_there_is_no_average_price():
    assert order_replay(100, [{"type": "NEW"}])["average_price"] is None


@pytest.mark.parametrize(
    ("quantity", "events", "error", "field"),
    [
        (0, [], InvalidInput, "quantity"),
        (100, [{"type": "FILLED"}], InvalidInput, "type"),
        (100, [{"type": "FILL", "quantity": 1, "price": "1"}], InvalidInput, "exec_id"),
        (100, [{"type": "FILL", "exec_id": "1", "quantity": -1, "price": "1"}], InvalidInput, "quantity"),
        (100, [{"type": "REJECTED"}, {"type": "NEW"}], ReplayIllegal, "type"),
        (100, [{"type": "CANCELED"}, {"type": "REPLACED", "quantity": 5}], ReplayIllegal, "type"),
        (100, [{"type": "FILL", "exec_id": "1", "quantity": "100.5", "price": "1"}], ReplayOverfill, "quantity"),
    ],
)
def test_refused(quantity, events, error, field):
    with pytest.raises(error) as caught:
        order_replay(quantity, events)
    assert caught.value.field == field


REPORTS = st.one_of(
    st.sampled_from(["NEW", "CANCEL_REQUEST", "PENDING_CANCEL", "CANCELED", "CANCEL_REJECT", "PENDING_REPLACE", "REPLACE_REJECT"]).map(
        lambda name: {"type": name}
    ),
    st.integers(1, 200).map(lambda quantity: {"type": "REPLACED", "quantity": quantity}),
    st.tuples(st.integers(1, 5), st.integers(1, 60), st.decimals("0.01", "99", places=2)).map(
        lambda fill: {"type": "FILL", "exec_id": str(fill[0]), "quantity": fill[1], "price": str(fill[2])}
    ),
)


@given(st.lists(REPORTS, max_size=15))
def test_invariants_hold_after_any_reports(events):
    try:
        got = order_replay(100, events)
    except (ReplayIllegal, ReplayOverfill):
        return
    applied = {}
    for event in events:
        if event["type"] == "FILL":
            applied.setdefault(event["exec_id"], event)
    cumulative = sum(event["quantity"] for event in applied.values())
    notional = sum(event["quantity"] * Decimal(event["price"]) for event in applied.values())
    assert got["cumulative"] == cumulative
    assert 0 <= cumulative <= got["order_quantity"]
    ended = any(event["type"] == "CANCELED" for event in events)
    assert got["leaves"] == (0 if ended else got["order_quantity"] - cumulative)
    if cumulative:
        assert Decimal(got["average_price"]) == pytest.approx(notional / cumulative, rel=Decimal("1e-20"))
        assert got["status"] not in ("New", "PendingNew")
