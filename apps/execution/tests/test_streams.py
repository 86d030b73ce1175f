"""The live channel of orders: who may listen, what is there at first, what is said of a change."""

import pytest

from apps.core.roles import Role
from apps.core.streams import stream_of
from apps.execution.services import reports
from apps.execution.tests.factories import make_user


@pytest.fixture
def stream(desk):
    found, key = stream_of(f"orders:{desk.portfolio.pk}")
    assert key == str(desk.portfolio.pk)
    return found


def test_whoever_sees_the_portfolio_sees_its_orders(desk, stream):
    key = str(desk.portfolio.pk)
    assert stream.allowed(desk.trader, key)
    assert stream.allowed(make_user("auditor", Role.AUDITOR), key)
    assert not stream.allowed(make_user("stranger", Role.TRADER), key)
    assert not stream.allowed(desk.trader, "all")


def test_at_first_there_are_the_last_orders(desk, stream):
    orders = [desk.submit(quantity="1") for _ in range(3)]
    snapshot = stream.snapshot(desk.trader, str(desk.portfolio.pk))
    assert [row["id"] for row in snapshot["orders"]] == [order.pk for order in reversed(orders)]


def test_a_change_is_published_whole_and_after_commit(desk, monkeypatch, django_capture_on_commit_callbacks):
    published = []
    monkeypatch.setattr(reports, "publish", lambda channel, data: published.append((channel, data)))
    with django_capture_on_commit_callbacks(execute=True):
        order = desk.submit(order_type="limit", limit_price="99.50")
        assert not published
    ((channel, row),) = published
    assert channel == f"orders:{desk.portfolio.pk}"
    assert (row["id"], row["status"], row["limit_price"], row["leaves_quantity"]) == (order.pk, "new", "99.5", "10")
