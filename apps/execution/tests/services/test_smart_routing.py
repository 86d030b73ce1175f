"""Smart routing over simulated venues: the sweep, the rest, the rule that is in force, and what is kept of it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError

from apps.core import clock
from apps.core.errors import InvalidInput
from apps.core.trading import Side
from apps.execution.domain.venues import VenueTerms, displayed_quotes, posting_venue
from apps.execution.models import OrderProtection, RoutingDecision, Venue
from apps.execution.selectors.algos import algo_detail
from apps.execution.selectors.venues import order_protection, venues_display
from apps.execution.services.algo_engine import algo_advance
from apps.execution.services.algos import algo_submit
from apps.execution.tests.factories import quote
from apps.marketdata.domain.vendor import QuoteTick
from apps.marketdata.models import FeedState, Instrument
from apps.marketdata.services.ticks import quotes_store

NOON = datetime(2024, 7, 2, 16, tzinfo=UTC)


@pytest.fixture
def market(desk):
    """Three venues with stored quotes, as in V-D3-4, at noon."""
    Venue.objects.update(active=False)
    FeedState.objects.create(name="test", mode="replay", market_time=NOON, session=date(2024, 7, 2), updated_at=clock.now())
    quote("AAPL", "10", market_time=NOON)
    for name, taker, maker, price, size in (
        ("A", "0.0030", "-0.0010", 10.00, 300),
        ("B", "-0.0020", "0.0030", 10.00, 200),
        ("C", "0.0030", "-0.0020", 10.01, 500),
    ):
        Venue.objects.create(name=name, taker_fee=Decimal(taker), maker_fee=Decimal(maker))
        shown = QuoteTick(symbol="AAPL", ts=NOON - timedelta(seconds=1), bid=9.99, bid_size=100.0, ask=price, ask_size=float(size))
        quotes_store(quotes=[shown], source=name, recorded_at=clock.now())
    return desk


def smart(desk, **fields):
    wanted = {"portfolio_id": desk.portfolio.pk, "symbol": "AAPL", "side": "buy", "quantity": "600", "limit_price": "10.01"}
    parent = algo_submit(user=desk.trader, algo="smart", at=clock.now(), **{**wanted, **fields})
    algo_advance(algo_id=parent.pk, portfolio_id=parent.portfolio_id, at=clock.now())
    parent.refresh_from_db()
    return parent


def children(parent):
    return [(child.venue, int(child.quantity), child.status, int(child.cumulative_quantity)) for child in parent.children.order_by("slice")]


def test_it_sweeps_the_venues_in_the_order_of_the_published_case(market):
    """V-D3-4: B 200 (the rebate), A 300, C 100, each at what it displays, with its own fee."""
    parent = smart(market)
    assert children(parent) == [("B", 200, "filled", 200), ("A", 300, "filled", 300), ("C", 100, "filled", 100)]
    assert (parent.status, parent.reason) == ("done", "all of it has traded")
    fills = [child.fills.get() for child in parent.children.order_by("slice")]
    assert [(fill.price, fill.fee, fill.quote["venue"]) for fill in fills] == [
        (Decimal(10), Decimal("0.6"), "B"),
        (Decimal(10), Decimal("1.9"), "A"),
        (Decimal("10.01"), Decimal("1.3"), "C"),
    ]
    decision = RoutingDecision.objects.get(algo=parent)
    assert (decision.order_protection, len(decision.quotes), decision.best_ask) == (True, 3, 10)
    assert {shown["source"] for shown in decision.quotes} == {"A", "B", "C"}
    assert algo_detail(user=market.trader, algo_id=parent.pk).routing["routes"] == decision.routes


def test_what_no_venue_displays_is_returned(market):
    parent = smart(market, quantity="2000")
    assert sum(filled for *_, filled in children(parent)) == 1000
    assert (parent.status, parent.reason) == ("done", "1000 returned: no venue displayed it")


@pytest.mark.parametrize(
    ("lot", "quantity", "expected"),
    [
        ("0.1", "0.5", [("B", "0.5", "filled")]),
        ("0.1", "200.5", [("B", "200", "filled"), ("A", "0.5", "filled")]),
        ("150", "600", [("B", "150", "filled"), ("A", "300", "filled"), ("C", "150", "filled")]),
    ],
)
def test_each_part_is_in_lots(market, lot, quantity, expected):
    Instrument.objects.update(lot_size=Decimal(lot))
    parent = smart(market, quantity=quantity)
    assert [(child.venue, f"{child.quantity.normalize():f}", child.status) for child in parent.children.order_by("slice")] == expected
    assert parent.reason == "all of it has traded"


def test_a_participation_cap_is_refused_rather_than_passed_over(market):
    with pytest.raises(InvalidInput) as refused:
        smart(market, participation_cap="0.1")
    assert refused.value.field == "participation_cap"


def test_or_rests_where_the_maker_is_paid_best(market):
    parent = smart(market, quantity="2000", parameters={"remainder": "post"})
    assert children(parent)[-1] == ("C", 1000, "new", 0)
    assert parent.status == "working"
    assert RoutingDecision.objects.get(algo=parent).remainder == {"quantity": "1000", "rule": "post", "venue": "C"}


def test_a_venue_that_faded_meanwhile_trades_nothing(market, monkeypatch):
    def faded(*args):
        shown = venues_display(*args)
        monkeypatch.setattr(
            "apps.execution.services.routing.venues_display", lambda *_: shown.__class__(best_bid=None, best_ask=None, market_time=None, quotes=())
        )
        return shown

    monkeypatch.setattr("apps.execution.services.smart_routing.venues_display", faded)
    parent = smart(market)
    assert {status for _, _, status, _ in children(parent)} == {"canceled"}
    assert parent.reason == "600 returned: no venue displayed it"


def test_after_a_crash_the_same_children_are_sent_once(market, monkeypatch):
    with monkeypatch.context() as crash:
        crash.setattr("apps.execution.services.algo_engine.MOST_STEPS", 1)
        parent = smart(market)
    assert len(children(parent)) == 1
    algo_advance(algo_id=parent.pk, portfolio_id=parent.portfolio_id, at=clock.now())
    assert [(venue, filled) for venue, _, _, filled in children(parent)] == [("B", 200), ("A", 300), ("C", 100)]
    assert RoutingDecision.objects.count() == 1


def test_the_rule_is_that_of_the_day(db):
    OrderProtection.objects.create(effective_from=date(2007, 10, 8), in_force=True, source="Regulation NMS rule 611", recorded_at=clock.now())
    OrderProtection.objects.create(effective_from=date(2030, 1, 1), in_force=False, source="a test", recorded_at=clock.now())
    assert [order_protection(day) for day in (date(2000, 1, 1), date(2029, 12, 31), date(2030, 1, 1))] == [True, True, False]


def test_a_decision_never_changes(market):
    smart(market)
    with pytest.raises(DatabaseError):
        RoutingDecision.objects.update(order_protection=False)


VENUES = tuple(VenueTerms(name=name, taker_fee=Decimal(0), maker_fee=Decimal(fee)) for name, fee in (("X", "0.1"), ("Y", "-0.1"), ("Z", "0")))


@pytest.mark.parametrize(("side", "behind"), [(Side.BUY, 1), (Side.SELL, -1)])
def test_a_simulated_picture_repeats_and_one_venue_is_at_the_best_price(side, behind):
    for second in range(50):
        asked = {
            "symbol": "AAPL",
            "side": side,
            "best": Decimal(10),
            "tick": Decimal("0.01"),
            "at": NOON + timedelta(seconds=second),
            "venues": VENUES,
        }
        shown = displayed_quotes(**asked)
        assert shown == displayed_quotes(**asked)
        assert min(behind * (one.price - 10) for one in shown) == 0
        assert all(one.size > 0 and 0 <= behind * (one.price - 10) <= Decimal("0.02") for one in shown)
    assert posting_venue(VENUES).name == "Y"
