"""What is used of each limit, of the whole and of the parts, and what is recorded of it."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from apps.marketdata.models import Instrument
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.tests.factories import InstrumentFactory
from apps.risk.domain.limits import UseState
from apps.risk.models import LimitUtilisation
from apps.risk.selectors.utilisation import limit_uses_now, utilisation_recorded
from apps.risk.services.utilisation import utilisation_record
from apps.risk.tests.factories import NOW, Desk, RiskLimitFactory, show_prices

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk() -> Desk:
    """100 at 100 of a technology share, of 100,000: a tenth of the value."""
    desk = Desk()
    Instrument.objects.filter(pk=desk.instrument.pk).update(sector="information_technology")
    return desk


def limited(desk: Desk, kind: str, hard: str, **part) -> None:
    RiskLimitFactory(portfolio_id=desk.portfolio.pk, kind=kind, hard=Decimal(hard), active_from=NOW - timedelta(days=1), **part)


def uses(desk: Desk) -> dict[tuple[str, str], tuple]:
    found = limit_uses_now(portfolio_id=desk.portfolio.pk, now=NOW)
    return {(use.kind.value, use.scope.value): (use.used, use.state, use.subject) for use in found}


def test_each_limit_says_what_is_used_and_of_what(desk) -> None:
    limited(desk, "position_share", "0.2")
    limited(desk, "concentration", "0.1")
    limited(desk, "leverage", "0.05")
    limited(desk, "sector_share", "0.2")
    limited(desk, "sector_share", "0.3", sector="energy")
    limited(desk, "position_size", "110", instrument_id=desk.instrument.pk)
    limited(desk, "total_exposure", "9000", book_id=desk.book.pk)
    found = uses(desk)
    tenth = Decimal("0.1")
    assert found["position_share", "portfolio"] == (tenth, UseState.OK, desk.symbol)
    assert found["concentration", "portfolio"][:2] == (tenth, UseState.WARN)
    assert found["leverage", "portfolio"][:2] == (tenth, UseState.BREACH)
    assert found["sector_share", "portfolio"] == (tenth, UseState.OK, "information_technology")
    assert found["sector_share", "sector"] == (0, UseState.OK, "energy")
    assert found["position_size", "instrument"] == (100, UseState.WARN, desk.symbol)
    assert found["total_exposure", "book"] == (10_000, UseState.BREACH, "main")
    assert found["order_size", "desk"][:2] == (None, UseState.PER_ORDER)


def test_what_cannot_be_computed_stands_first_and_is_never_ok(desk) -> None:
    limited(desk, "liquidity", "5")
    limited(desk, "var", "0.05")
    first = limit_uses_now(portfolio_id=desk.portfolio.pk, now=NOW)[:2]
    assert {use.kind.value for use in first} <= {"liquidity", "var", "daily_loss", "drawdown"}
    found = uses(desk)
    assert (found["liquidity", "portfolio"][:2], found["var", "portfolio"][:2]) == ((None, UseState.NO_DATA), (None, UseState.NO_DATA))
    desk.trade(1, 10, instrument=InstrumentFactory())
    assert uses(desk)["total_exposure", "portfolio"][:2] == (None, UseState.NO_DATA)


def test_what_has_a_limit_of_its_own_is_not_held_to_the_general_one(desk) -> None:
    other = InstrumentFactory(sector="energy")
    desk.trade(10, 100, instrument=other)
    show_prices(**{other.symbol: "100"})
    limited(desk, "position_value", "20000", instrument_id=desk.instrument.pk)
    limited(desk, "sector_share", "0.2")
    limited(desk, "sector_share", "0.5", sector="information_technology")
    found = uses(desk)
    assert found["position_value", "portfolio"] == (1_000, UseState.OK, other.symbol)
    assert found["position_value", "instrument"] == (10_000, UseState.OK, desk.symbol)
    assert found["sector_share", "portfolio"] == (Decimal("0.01"), UseState.OK, "energy")


def test_days_to_leave_are_those_of_the_slowest_position(desk) -> None:
    limited(desk, "liquidity", "5")
    store_series(make_series(desk.symbol, [100.0] * 5, start=date(2026, 11, 9), volume=100.0))
    assert uses(desk)["liquidity", "portfolio"] == (5, UseState.WARN, desk.symbol)


def test_what_is_recorded_is_what_was_used(desk) -> None:
    limited(desk, "leverage", "0.2")
    report = utilisation_record(at=NOW)
    show_prices(NOW + timedelta(minutes=5), **{desk.symbol: "120"})
    again = utilisation_record(at=NOW + timedelta(minutes=5))
    assert (report["failed"], report["rows"]) == (0, again["rows"])
    rows = utilisation_recorded(portfolio_id=desk.portfolio.pk, kind="leverage", since=NOW)
    assert [(row.scope, row.hard, row.state) for row in rows] == [("portfolio", Decimal("0.2"), "ok")] * 2
    assert [round(row.share, 6) for row in rows] == [Decimal("0.5"), Decimal("0.588235")]
    assert not LimitUtilisation.objects.filter(kind="order_size").exists()
