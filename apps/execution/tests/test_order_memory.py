"""What a process remembers of a portfolio's orders: always what the database says, whatever happened to it meanwhile."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from django.db import transaction

from apps.core import clock
from apps.core.postgres.rows import fetch
from apps.execution.models import Order
from apps.execution.selectors import working
from apps.execution.selectors.working import Surroundings, surroundings_of, working_orders
from apps.execution.services.gate import gate_check
from apps.execution.services.orders import order_cancel
from apps.execution.tests.factories import Desk, make_desk
from apps.marketdata.models import FeedState

SEED = 20261126
LIMIT = {"order_type": "limit", "limit_price": "90.25", "time_in_force": "gtc"}


@pytest.fixture
def desk(transactional_db: None) -> Desk:
    """What is read is kept when its transaction commits: here transactions do."""
    return make_desk()


def around(desk: Desk, **fields: str) -> Surroundings:
    return surroundings_of(intent=desk.intent(**fields), at=clock.now(), instead_of=(), algo_id=None)


def afresh(desk: Desk, **fields: str) -> Surroundings:
    """The same by a process that remembers nothing."""
    working._memories.clear()
    return around(desk, **fields)


def test_it_is_the_databases_after_each_change(desk) -> None:
    random = Random(SEED)
    for _ in range(25):
        open_orders = [order.pk for order in Order.objects.working()]
        if open_orders and random.random() < 0.4:
            order_cancel(order_id=random.choice(open_orders), user=desk.trader, at=clock.now())
        else:
            fields = random.choice([LIMIT, {"order_type": "stop", "stop_price": "120"}, {}, {"quantity": "100000000"}])
            desk.submit(**fields, strategy=random.choice(["", "carry"]))
        remembered = around(desk, strategy="carry")
        known = working._memories.get(desk.portfolio.pk)
        anew = afresh(desk, strategy="carry")
        assert known is not None
        assert remembered.working == anew.working == working_orders(desk.portfolio.pk)
        assert (remembered.rates.portfolio, remembered.rates.instrument, remembered.rates.strategy) == (
            anew.rates.portfolio, anew.rates.instrument, anew.rates.strategy,
        )  # fmt: skip
        assert anew.rates.portfolio == Order.objects.exclude(status="denied").count()
        assert remembered.rates.identical_age is None or abs(remembered.rates.identical_age - anew.rates.identical_age) < 5


def test_a_second_look_reads_only_what_has_changed(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.submit(**LIMIT)
    around(desk)
    second = desk.submit(order_type="stop", stop_price="121")
    read: list[list[int]] = []
    lines = working.order_lines

    def counted(text: str | None):
        found = lines(text)
        read.append([line.order_id for line in found])
        return found

    monkeypatch.setattr(working, "order_lines", counted)
    assert [order.order_id for order in around(desk).working][-1] == second.pk
    around(desk)
    assert read == [[second.pk], []]


def test_what_has_not_changed_is_the_same_object(desk) -> None:
    desk.submit(**LIMIT)
    assert around(desk).working is around(desk).working


def test_a_transaction_that_is_taken_back_is_forgotten(desk) -> None:
    kept = desk.submit(**LIMIT)
    with transaction.atomic():
        desk.submit(order_type="stop", stop_price="121")
        assert len(around(desk).working) == 2
        transaction.set_rollback(True)
    assert [order.order_id for order in around(desk).working] == [kept.pk]
    third = desk.submit(order_type="stop", stop_price="122")
    found = around(desk)
    assert [order.order_id for order in found.working] == [kept.pk, third.pk]
    assert found.rates.portfolio == 2


def test_a_write_around_the_desk_is_seen(desk) -> None:
    order = desk.submit(**LIMIT)
    around(desk)
    Order.objects.filter(pk=order.pk).update(cumulative_quantity=Decimal(4))
    assert [one.leaves for one in around(desk).working] == [6]


def test_each_write_gives_the_next_revision(desk) -> None:
    order = desk.submit(**LIMIT)
    before = Order.objects.get(pk=order.pk).revision
    Order.objects.filter(pk=order.pk).update(revision=0, note="changed")
    assert Order.objects.get(pk=order.pk).revision > before


def test_orders_leave_the_rates_after_a_minute(desk) -> None:
    desk.submit(**LIMIT)
    assert around(desk, **LIMIT).rates.identical_age is not None
    later = surroundings_of(intent=desk.intent(**LIMIT), at=clock.now() + timedelta(seconds=61), instead_of=(), algo_id=None)
    assert (later.rates.portfolio, later.rates.identical_age) == (0, None)
    assert len(later.working) == 1


def test_an_order_is_denied_and_stored_where_a_check_breaks_its_transaction(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.portfolios.selectors.quantities._QUANTITIES", "select 1 / 0")
    order = desk.submit()
    assert (order.status, order.reason) == ("denied", "CHECK_FAILED, CHECK_FAILED")
    assert Order.objects.get(pk=order.pk).decisions.count() == 2
    monkeypatch.undo()
    assert desk.submit().status == "filled"


def test_so_it_is_where_a_check_breaks_it_with_a_query_of_its_own(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk.submit(quantity="7").status == "filled"  # now there is something to price
    monkeypatch.setattr("apps.risk.services.pretrade.last_prices", lambda *_, **__: fetch("select 1 / 0", ()))
    order = desk.submit()
    assert (order.status, order.reason) == ("denied", "CHECK_FAILED, CHECK_FAILED")
    assert Order.objects.get(pk=order.pk).decisions.count() == 2
    monkeypatch.undo()
    assert desk.submit().status == "filled"


def test_the_markets_facts_are_of_its_own_time_whatever_the_order_before_found(desk) -> None:
    def market() -> tuple[datetime, datetime]:
        at = clock.now()
        facts = gate_check(intent=desk.intent(), user_id=desk.trader.pk, at=at).snapshot.market
        assert facts is not None
        return at, facts.market_time

    at, found = market()
    assert found == at
    noon = datetime(2024, 7, 2, 16, tzinfo=UTC)
    FeedState.objects.create(name="replay", mode="replay", market_time=noon, session=noon.date(), updated_at=clock.now())
    assert [market()[1] for _ in range(2)] == [noon, noon]
    FeedState.objects.all().delete()
    for _ in range(2):
        at, found = market()
        assert found == at
