"""Fees of short positions: once for each night, weekends by their days, by the rate that holds."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import IntegrityError, InternalError, transaction
from django.test import Client
from rest_framework.test import APIClient

from apps.core.errors import InvalidInput, NotPermitted
from apps.marketdata.domain import calendars
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.models import BorrowRate, LedgerEntry
from apps.portfolios.services.borrow import borrow_fees_book, borrow_rate_set
from apps.portfolios.services.rebuild import positions_rebuild
from apps.portfolios.tests.factories import InstrumentFactory, LedgerEntryFactory, PortfolioFactory, UserFactory, permitted

pytestmark = pytest.mark.django_db

#: Wednesday to Tuesday, with a weekend; the Monday after it is a holiday.
DAYS = calendars.sessions("XNYS", date(2012, 1, 11), date(2012, 1, 17))
RECORDED = datetime(2026, 1, 2, tzinfo=UTC)


def opens(day):
    return calendars.session_hours("XNYS", day)[0]


@pytest.fixture
def officer():
    return permitted(UserFactory(username="officer"), "add_borrowrate", "view_all_portfolios")


@pytest.fixture
def short():
    """100 XYZ short from the first session on, which closes at 10, 11, 12, 13."""
    store_series(make_series("XYZ", [10, 11, 12, 13], start=DAYS[0]))
    portfolio = PortfolioFactory(effective_at=opens(DAYS[0]))
    where = {"portfolio_id": portfolio.pk, "instrument_id": InstrumentFactory(symbol="XYZ").pk}
    LedgerEntryFactory(**where, quantity=Decimal(-100), price=Decimal(10), effective_at=opens(DAYS[0]) + timedelta(hours=1))
    return where


def rate(officer, value, day=DAYS[0], **more):
    return borrow_rate_set(symbol="XYZ", annual_rate=Decimal(value), from_session=day, reason="the broker's list", user=officer, at=RECORDED, **more)


def book(moment):
    return borrow_fees_book(market_time=moment, recorded_at=RECORDED)


def fees():
    rows = LedgerEntry.objects.filter(source="borrow").order_by("effective_at")
    return [(entry.effective_at.date(), entry.amount) for entry in rows]


class TestFees:
    def test_each_night_once_and_a_long_weekend_by_its_days(self, short, officer):
        rate(officer, "0.36")
        assert book(opens(DAYS[0]) + timedelta(hours=8)).entries == ()  # the night has not ended
        for _ in range(2):
            book(opens(DAYS[1]))
        assert fees() == [(DAYS[1], -1)]
        book(opens(DAYS[3]))
        assert fees() == [(DAYS[1], -1), (DAYS[2], Decimal("-1.1")), (DAYS[3], Decimal("-4.8"))]  # Friday to Tuesday: four days
        entry = LedgerEntry.objects.filter(source="borrow").first()
        assert (entry.kind, entry.instrument.symbol, entry.source_ref.split(":")[0]) == ("borrow_fee", "XYZ", "2012-01-11")
        assert positions_rebuild(portfolio_id=short["portfolio_id"]).differences == ()

    def test_without_a_rate_nothing_is_booked(self, short):
        assert book(opens(DAYS[3])).entries == ()

    def test_the_newest_rate_of_the_session_and_a_portfolio_s_own_before_the_desk_s(self, short, officer):
        rate(officer, "0.36")
        rate(officer, "0.72", DAYS[1])
        book(opens(DAYS[2]))
        assert fees() == [(DAYS[1], -1), (DAYS[2], Decimal("-2.2"))]
        rate(officer, "0", DAYS[2], portfolio_id=short["portfolio_id"])
        book(opens(DAYS[3]))
        assert len(fees()) == 2
        rate(officer, "0.01")  # what is booked stays
        assert book(opens(DAYS[3])).entries == ()

    def test_what_was_closed_before_the_close_costs_nothing_and_what_was_closed_after_it_does(self, short, officer):
        rate(officer, "0.36")
        LedgerEntryFactory(**short, quantity=Decimal(100), price=Decimal(10), effective_at=opens(DAYS[1]) + timedelta(hours=1))
        book(opens(DAYS[3]))
        assert fees() == [(DAYS[1], -1)]

    def test_a_long_position_costs_nothing(self, short, officer):
        rate(officer, "0.36")
        LedgerEntryFactory(**short, quantity=Decimal(200), price=Decimal(10), effective_at=opens(DAYS[0]) + timedelta(hours=2))
        assert book(opens(DAYS[3])).entries == ()

    def test_without_a_close_it_is_refused_by_name_and_tried_again(self, officer, short):
        InstrumentFactory(symbol="NEW")
        LedgerEntryFactory(**short | {"instrument_id": InstrumentFactory(symbol="NEW").pk}, quantity=Decimal(-1), effective_at=opens(DAYS[0]))
        borrow_rate_set(symbol="NEW", annual_rate=Decimal("0.1"), from_session=DAYS[0], reason="x", user=officer, at=RECORDED)
        [why] = book(opens(DAYS[1])).refused.values()
        assert why == "there is no closing price of NEW"

    def test_another_currency_is_booked_in_its_own_at_the_rate_of_the_close(self, short, officer):
        for symbol, price in (("SAP", 100), ("EURUSD", 1.1)):
            store_series(make_series(symbol, [price] * 4, start=DAYS[0]))
        sap = InstrumentFactory(symbol="SAP")
        type(sap).objects.filter(pk=sap.pk).update(currency="EUR")
        terms = {"quantity": Decimal(-10), "price": Decimal(100), "currency": "EUR", "fx_rate": Decimal("1.1"), "effective_at": opens(DAYS[0])}
        LedgerEntryFactory(**short | {"instrument_id": sap.pk}, **terms)
        borrow_rate_set(symbol="SAP", annual_rate=Decimal("0.036"), from_session=DAYS[0], reason="x", user=officer, at=RECORDED)
        book(opens(DAYS[1]))
        entry = LedgerEntry.objects.get(source="borrow")
        assert (entry.amount, entry.currency, entry.base_amount) == (Decimal("-0.1"), "EUR", Decimal("-0.11"))


class TestRates:
    def test_they_are_entered_by_who_may_and_never_edited(self, short, officer):
        with pytest.raises(NotPermitted):
            rate(UserFactory(), "0.1")
        with pytest.raises(InvalidInput):
            rate(officer, "-0.1")
        entered = rate(officer, "0.1")
        with pytest.raises((IntegrityError, InternalError)), transaction.atomic():
            BorrowRate.objects.filter(pk=entered.pk).update(annual_rate=0)

    def test_over_rest(self, short, officer):
        client = APIClient()
        client.force_authenticate(officer)
        body = {"symbol": "XYZ", "annual_rate": "0.05", "from_session": "2012-01-11", "reason": "list"}
        assert client.post("/api/v1/borrow-rates/", body, format="json", headers={"Idempotency-Key": str(uuid4())}).status_code == 201
        [listed] = client.get("/api/v1/borrow-rates/").json()["results"]
        assert (listed["symbol"], listed["annual_rate"], listed["portfolio_id"]) == ("XYZ", "0.050000", None)

    def test_the_tab_of_cash_shows_what_the_shorts_cost(self, short, officer):
        client = Client()
        client.force_login(officer)
        assert "What borrowed shares cost" in client.get(f"/portfolios/{short['portfolio_id']}?tab=cash").content.decode()

    def test_in_the_admin(self, short, officer):
        officer.is_staff = True
        officer.save()
        client = Client()
        client.force_login(officer)
        instrument = short["instrument_id"]
        form = {"instrument": instrument, "portfolio": "", "annual_rate": "0.05", "from_session": "2012-01-11", "reason": "list"}
        client.post("/admin/portfolios/borrowrate/add/", form)
        assert BorrowRate.objects.get().created_by == officer
