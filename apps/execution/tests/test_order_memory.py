"""What a process remembers of a portfolio's orders: always what the database says, whatever happened to it meanwhile."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from uuid import uuid4

import pytest
from django.db import transaction

from apps.core import clock
from apps.core.postgres.rows import fetch
from apps.core.roles import Role
from apps.execution.models import Order
from apps.execution.selectors import working
from apps.execution.selectors.working import Surroundings, surroundings_of, working_orders
from apps.execution.services.accounts import paper_account_create
from apps.execution.services.gate import gate_check
from apps.execution.services.orders import order_cancel
from apps.execution.services.replacements import ReplacementDenied, order_replace
from apps.execution.tests.factories import Desk, make_desk, make_limits, make_user, quote
from apps.marketdata.models import FeedState
from apps.portfolios.tests.factories import InstrumentFactory, PortfolioFactory
from apps.risk.services.limits import limit_set

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


def test_changes_count_like_orders(desk) -> None:
    order = desk.submit(**LIMIT, strategy="carry")
    other = InstrumentFactory(symbol="IBM")
    quote("IBM", "100")

    def rates(**fields: str) -> tuple[int, int, int]:
        found = around(desk, **fields).rates
        return found.portfolio, found.instrument, found.strategy

    for changes in ({"limit_price": "91"}, {"quantity": "5"}):
        order_replace(order_id=order.pk, user=desk.trader, replacement_id=uuid4(), changes=changes, at=clock.now())
    with pytest.raises(ReplacementDenied):
        order_replace(order_id=order.pk, user=desk.trader, replacement_id=uuid4(), changes={"quantity": "9000000"}, at=clock.now())
    assert rates(strategy="carry") == (3, 3, 3)
    assert rates() == (3, 3, 0)
    assert rates(symbol=other.symbol, strategy="carry") == (3, 0, 3)


def test_the_desks_messages_are_those_of_all_portfolios_and_cancels_pass(db: None) -> None:
    """Without real commits: a limit of the desk would stay for the tests that follow."""
    desk = make_desk()
    other = PortfolioFactory(owner=desk.trader)
    make_limits(other, at=clock.now())
    paper_account_create(portfolio_id=other.pk)
    first = desk.submit(**LIMIT)
    assert around(desk).desk_messages == 0  # nothing limits them
    user, approver = make_user("risk-one", Role.RISK), make_user("risk-two", Role.RISK)
    limit_set(portfolio_id=None, kind="order_rate", soft=None, hard="3", reason="test", user=user, approver=approver, active_from=clock.now())
    assert desk.submit(portfolio_id=other.pk).status == "filled"
    order_cancel(order_id=first.pk, user=desk.trader, at=clock.now())
    assert around(desk).desk_messages == 3
    late = desk.submit(quantity="3")
    assert (late.status, late.reason) == ("denied", "RATE_LIMIT_DESK")
    assert desk.submit(portfolio_id=other.pk, quantity="3").reason == "RATE_LIMIT_DESK"
    assert around(desk).desk_messages == 3


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
