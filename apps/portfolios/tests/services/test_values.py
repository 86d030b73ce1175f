from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from apps.core.errors import InvalidInput
from apps.marketdata.domain import calendars
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.models import PortfolioValue
from apps.portfolios.selectors.values import portfolio_values
from apps.portfolios.services.moves import split_post
from apps.portfolios.services.portfolios import portfolio_close
from apps.portfolios.services.transfers import shares_transfer
from apps.portfolios.services.values import portfolio_values_catch_up, portfolio_values_record
from apps.portfolios.tests.factories import CashEntryFactory, InstrumentFactory, LedgerEntryFactory, PortfolioFactory, UserFactory

pytestmark = pytest.mark.django_db

DAYS = calendars.sessions("XNYS", date(2012, 1, 3), date(2012, 1, 9))
RECORDED = datetime(2026, 1, 2, tzinfo=UTC)


def close_of(day):
    return calendars.session_hours("XNYS", day)[1]


def record(day, market_time=None):
    return portfolio_values_record(session=day, market_time=market_time or close_of(day), recorded_at=RECORDED)


@pytest.fixture
def portfolio():
    """100 AAPL bought at 10 during the first session; it closes at 10, 11, 12, 13, 14."""
    store_series(make_series("AAPL", [10, 11, 12, 13, 14], start=DAYS[0]))
    opened, _ = calendars.session_hours("XNYS", DAYS[0])
    portfolio = PortfolioFactory(initial_capital=Decimal(10_000), effective_at=opened)
    instrument = InstrumentFactory(symbol="AAPL")
    LedgerEntryFactory(portfolio_id=portfolio.pk, instrument_id=instrument.pk, effective_at=opened + timedelta(hours=1))
    return portfolio


class TestRecord:
    def test_the_series_starts_with_the_capital(self, portfolio):
        [row] = PortfolioValue.objects.all()
        assert (row.total, row.flow, row.daily_return) == (10_000, 10_000, None)

    def test_each_session_is_valued_at_its_close(self, portfolio):
        for day in DAYS[:2]:
            assert record(day).recorded == (portfolio.pk,)
        first, second = PortfolioValue.objects.order_by("ts")[1:]
        assert (first.ts, first.cash, first.invested, first.total, first.daily_return) == (close_of(DAYS[0]), 9000, 1000, 10_000, 0)
        assert second.total == 10_100
        assert second.daily_return == pytest.approx(0.01)

    def test_a_session_is_recorded_once(self, portfolio):
        record(DAYS[0])
        assert record(DAYS[0]).recorded == ()
        assert PortfolioValue.objects.count() == 2

    def test_an_open_session_is_not_recorded(self, portfolio):
        assert record(DAYS[0], close_of(DAYS[0]) - timedelta(seconds=1)).recorded == ()
        assert PortfolioValue.objects.count() == 1

    def test_what_is_paid_in_is_no_return(self, portfolio):
        record(DAYS[0])
        CashEntryFactory(portfolio_id=portfolio.pk, amount=Decimal(5000), effective_at=close_of(DAYS[1]) - timedelta(hours=1))
        record(DAYS[1])
        row = PortfolioValue.objects.order_by("ts").last()
        assert (row.total, row.flow) == (15_100, 5000)
        assert row.daily_return == pytest.approx(0.01)

    def test_a_flow_that_was_booked_late_belongs_to_the_next_row(self, portfolio):
        record(DAYS[0])
        CashEntryFactory(portfolio_id=portfolio.pk, amount=Decimal(5000), effective_at=close_of(DAYS[0]) - timedelta(hours=1))
        record(DAYS[1])
        assert PortfolioValue.objects.order_by("ts").last().flow == 5000

    def test_a_late_call_sees_what_the_close_saw(self, portfolio):
        LedgerEntryFactory(
            portfolio_id=portfolio.pk,
            instrument_id=InstrumentFactory(symbol="AAPL").pk,
            quantity=Decimal(-100),
            price=Decimal(11),
            effective_at=close_of(DAYS[1]),
        )
        record(DAYS[0], close_of(DAYS[3]))
        assert PortfolioValue.objects.order_by("ts").last().invested == 1000

    def test_a_missing_price_is_said_and_tried_again(self, portfolio):
        dark = InstrumentFactory(symbol="DARK")
        LedgerEntryFactory(portfolio_id=portfolio.pk, instrument_id=dark.pk, effective_at=close_of(DAYS[0]) - timedelta(hours=1))
        assert record(DAYS[0]).missing == {portfolio.pk: ("DARK",)}
        assert PortfolioValue.objects.count() == 1
        store_series(make_series("DARK", [20], start=DAYS[0]))
        assert record(DAYS[0]).recorded == (portfolio.pk,)

    def test_closed_portfolios_are_left_out(self):
        owner = UserFactory()
        portfolio = PortfolioFactory(owner=owner, effective_at=close_of(DAYS[0]) - timedelta(hours=1))
        portfolio_close(user=owner, portfolio_id=portfolio.pk)
        assert record(DAYS[0]).recorded == ()

    def test_a_day_without_a_session_is_refused(self, portfolio):
        with pytest.raises(InvalidInput):
            portfolio_values_record(session=date(2012, 1, 7), market_time=RECORDED, recorded_at=RECORDED)


class TestCatchUp:
    def test_it_records_all_that_closed_since(self, portfolio):
        results = portfolio_values_catch_up(market_time=close_of(DAYS[3]), recorded_at=RECORDED)
        assert [result.session for result in results] == list(DAYS[:4])
        assert list(portfolio_values(portfolio.pk).total) == [10_000, 10_000, 10_100, 10_200, 10_300]

    def test_it_is_idempotent(self, portfolio):
        portfolio_values_catch_up(market_time=close_of(DAYS[1]), recorded_at=RECORDED)
        again = portfolio_values_catch_up(market_time=close_of(DAYS[2]) - timedelta(minutes=1), recorded_at=RECORDED)
        assert [result.recorded for result in again] == [()]

    def test_a_desk_without_portfolios_has_nothing_to_record(self):
        assert portfolio_values_catch_up(market_time=close_of(DAYS[0]), recorded_at=RECORDED) == ()


class TestSelector:
    def test_bounds_are_included(self, portfolio):
        portfolio_values_catch_up(market_time=close_of(DAYS[3]), recorded_at=RECORDED)
        values = portfolio_values(portfolio.pk, close_of(DAYS[1]), close_of(DAYS[2]))
        assert list(values.total) == [10_100, 10_200]
        assert values.daily_return == pytest.approx([0.01, 100 / 10_100])

    def test_nothing_is_empty_arrays(self):
        values = portfolio_values(12345)
        assert len(values) == len(values.total) == 0


class TestMoves:
    def test_a_split_and_a_transfer_are_no_gain(self, portfolio):
        record(DAYS[0])
        book, instrument = portfolio.books.get(), InstrumentFactory(symbol="AAPL")
        there = PortfolioFactory(effective_at=close_of(DAYS[0])).books.get()
        at = close_of(DAYS[1]) - timedelta(hours=1)
        facts = {"source": "test", "effective_at": at, "recorded_at": at}
        shares_transfer(
            from_portfolio_id=portfolio.pk, from_book_id=book.pk, to_portfolio_id=there.portfolio_id, to_book_id=there.pk,
            instrument_id=instrument.pk, quantity=Decimal(40), price=Decimal(11), source_ref="move", **facts,
        )  # fmt: skip
        record(DAYS[1])
        left = PortfolioValue.objects.filter(portfolio_id=portfolio.pk).order_by("-ts").first()
        assert (left.invested, left.flow, left.daily_return) == (660, -440, pytest.approx(0.01))
        assert PortfolioValue.objects.filter(portfolio_id=there.portfolio_id).order_by("-ts").first().flow == 440
        split_post(
            portfolio_id=portfolio.pk, book_id=book.pk, instrument_id=instrument.pk, ratio=Decimal(2), source_ref="split", source="test",
            effective_at=close_of(DAYS[2]) - timedelta(hours=1), recorded_at=at,
        )  # fmt: skip
        record(DAYS[2])
        assert PortfolioValue.objects.filter(portfolio_id=portfolio.pk).order_by("-ts").first().invested == 120 * 12
