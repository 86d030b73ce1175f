"""Bookings by hand: asked for by one person, posted by another's word."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.db import IntegrityError, transaction

from apps.alerts.models import Alert
from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.models import BookingRequest, CashBalance, LedgerEntry, Lot, Position
from apps.portfolios.services.bookings import BookingTerms, booking_decide, booking_request, booking_withdraw
from apps.portfolios.services.portfolios import membership_grant, portfolio_close
from apps.portfolios.services.rebuild import positions_rebuild
from apps.portfolios.tests.factories import START, InstrumentFactory, LedgerEntryFactory, PortfolioFactory, UserFactory, permitted

pytestmark = pytest.mark.django_db

AT = START + timedelta(days=9)


@pytest.fixture
def manager():
    return permitted(UserFactory(username="manager"), "add_bookingrequest")


@pytest.fixture
def officer():
    return permitted(UserFactory(username="officer"), "approve_bookingrequest", "view_all_portfolios")


@pytest.fixture
def portfolio(manager):
    return PortfolioFactory(name="Alpha", owner=manager)


@pytest.fixture
def other(manager):
    return PortfolioFactory(name="Beta", owner=manager)


@pytest.fixture
def ask(portfolio, manager):
    def request(kind, *, user=manager, **terms):
        terms = {name: Decimal(value) if name in {"amount", "rate", "fx_rate", "quantity", "cost"} else value for name, value in terms.items()}
        return booking_request(portfolio_id=portfolio.pk, terms=BookingTerms(kind=kind, **terms), reason="by hand", user=user, at=AT, market_time=AT)

    return request


@pytest.fixture
def decide(officer):
    def decided(request, *, user=officer, approve=True, note="", at=AT):
        return booking_decide(booking_id=request.pk, user=user, approve=approve, note=note, at=at, market_time=at)

    return decided


def booked():
    fields = ("portfolio__name", "kind", "amount", "currency", "base_amount", "source_ref")
    return list(LedgerEntry.objects.filter(source="booking").order_by("id").values_list(*fields))


def cash(portfolio):
    return dict(CashBalance.objects.filter(portfolio=portfolio).values_list("currency", "amount"))


class TestCash:
    @pytest.mark.parametrize(
        ("kind", "amount", "signed"), [("deposit", 50, 50), ("withdrawal", 50, -50), ("fee", 50, -50), ("interest", 50, 50), ("interest", -50, -50)]
    )
    def test_nothing_is_booked_before_the_second_person_agrees(self, portfolio, ask, decide, kind, amount, signed):
        request = ask(kind, amount=amount)
        assert booked() == []
        assert cash(portfolio) == {"USD": 100_000}
        assert decide(request).state == "posted"
        assert booked() == [("Alpha", kind, signed, "USD", signed, str(request.pk))]
        assert cash(portfolio) == {"USD": 100_000 + signed}
        assert positions_rebuild(portfolio_id=portfolio.pk).differences == ()

    def test_cash_of_another_currency_names_its_rate(self, ask, decide):
        with pytest.raises(InvalidInput) as caught:
            ask("deposit", amount=100, currency="EUR")
        assert caught.value.field == "fx_rate"
        decide(ask("deposit", amount=100, currency="EUR", fx_rate="1.1"))
        assert booked()[0][2:5] == (100, "EUR", 110)

    def test_cash_goes_to_another_portfolio(self, portfolio, other, ask, decide):
        request = decide(ask("cash_transfer", amount=300, to_portfolio_id=other.pk))
        assert booked() == [
            ("Alpha", "withdrawal", -300, "USD", -300, f"{request.pk}:out"),
            ("Beta", "deposit", 300, "USD", 300, f"{request.pk}:in"),
        ]

    def test_a_conversion_at_a_stated_rate_earns_nothing(self, portfolio, ask, decide):
        decide(ask("conversion", amount=1100, rate="0.8", to_currency="EUR"))
        assert cash(portfolio) == {"USD": 98_900, "EUR": 880}
        assert [row[4] for row in booked()] == [-1100, 1100]
        with pytest.raises(InvalidInput) as caught:
            ask("conversion", amount=881, currency="EUR", fx_rate="1.25", rate="1.25", to_currency="USD")
        assert caught.value.field == "amount"


class TestFree:
    def test_no_more_leaves_than_is_free(self, ask, decide):
        decide(ask("withdrawal", amount=100_000))
        with pytest.raises(InvalidInput) as caught:
            ask("withdrawal", amount="0.0001")
        assert caught.value.field == "amount"

    def test_what_has_not_settled_and_what_a_short_owes_is_not_free(self, portfolio, ask):
        store_series(make_series("XYZ", [10, 11], start=START.date()))
        short = {"portfolio_id": portfolio.pk, "instrument_id": InstrumentFactory(symbol="XYZ").pk}
        LedgerEntryFactory(**short, quantity=Decimal(-100), price=Decimal(10), effective_at=START)
        ask("withdrawal", amount=101_000 - 1100)  # a close of 11 buys the short back
        with pytest.raises(InvalidInput, match=r"99900\.0000 USD is free"):
            ask("withdrawal", amount=101_000 - 1099)
        LedgerEntryFactory(**short, quantity=Decimal(-100), price=Decimal(10), effective_at=AT)
        with pytest.raises(InvalidInput, match=r"98800\.0000 USD is free"):  # that money comes in three days
            ask("withdrawal", amount=98_801)

    def test_it_is_asked_again_when_it_is_approved(self, ask, decide):
        first, second = ask("withdrawal", amount=60_000), ask("withdrawal", amount=60_000)
        decide(first)
        with pytest.raises(InvalidInput), transaction.atomic():
            decide(second)
        second.refresh_from_db()
        assert second.state == "pending"
        assert len(booked()) == 1


class TestShares:
    @pytest.fixture(autouse=True)
    def price(self):
        store_series(make_series("XYZ", [10, 11], start=START.date()))
        return InstrumentFactory(symbol="XYZ")

    def test_in_to_another_book_and_out_again(self, portfolio, other, ask, decide):
        decide(ask("shares_in", symbol="XYZ", quantity=50, cost=450, acquired_at=START - timedelta(days=400)))
        decide(ask("share_transfer", symbol="XYZ", quantity=20, to_portfolio_id=other.pk))
        lot = Lot.objects.get(book__portfolio=portfolio)
        decide(ask("shares_out", symbol="XYZ", quantity=10, lots={lot.pk: Decimal(10)}))
        held = dict(Position.objects.values_list("book__portfolio__name", "quantity"))
        assert held == {"Alpha": 20, "Beta": 20}
        values = LedgerEntry.objects.filter(source="booking").order_by("id").values_list("quantity", "cost", "market_value")
        assert list(values) == [(50, 450, 550), (-20, -180, -220), (20, 180, 220), (-10, -90, -110)]
        for one in (portfolio, other):
            assert positions_rebuild(portfolio_id=one.pk).differences == ()

    def test_without_a_price_nothing_moves(self, ask):
        InstrumentFactory(symbol="NEW")
        with pytest.raises(Conflict, match="no price of NEW"):
            ask("shares_in", symbol="NEW", quantity=50, cost=450, acquired_at=START)


class TestTwoPeople:
    def test_nobody_approves_their_own_request_superusers_included(self, portfolio, manager, ask, decide):
        request = ask("deposit", amount=5)
        manager.is_superuser = True
        manager.save()
        with pytest.raises(NotPermitted, match="two different people"):
            decide(request, user=type(manager).objects.get(pk=manager.pk))
        assert Alert.objects.filter(code="BOOKING_REFUSED").count() == 1

    def test_who_lacks_the_permission_or_trades_there_does_not_decide(self, portfolio, officer, ask, decide):
        request = ask("deposit", amount=5)
        with pytest.raises(NotPermitted):
            decide(request, user=permitted(UserFactory(), "view_all_portfolios"))
        membership_grant(portfolio_id=portfolio.pk, user_id=officer.pk, role="trader")
        officer.user_permissions.add(Permission.objects.get(codename="add_order"))
        with pytest.raises(NotPermitted, match="trades in the portfolio"):
            decide(request, user=type(officer).objects.get(pk=officer.pk))

    @pytest.mark.parametrize("role", ["trader", "manager"])
    def test_who_traded_there_does_not_decide_after_the_close_either(self, portfolio, manager, officer, ask, decide, role):
        """The money is still theirs."""
        request = ask("deposit", amount=5)
        membership_grant(portfolio_id=portfolio.pk, user_id=officer.pk, role=role)
        permitted(officer, "add_order")
        portfolio_close(user=manager, portfolio_id=portfolio.pk)
        with pytest.raises(NotPermitted, match="trades in the portfolio"):
            decide(request)
        assert booked() == []

    def test_who_only_looks_on_decides(self, portfolio, officer, ask, decide):
        membership_grant(portfolio_id=portfolio.pk, user_id=officer.pk, role="viewer")
        assert decide(ask("deposit", amount=5)).state == "posted"

    def test_a_portfolio_that_the_second_person_does_not_see_does_not_exist(self, ask, decide):
        with pytest.raises(NotFound):
            decide(ask("deposit", amount=5), user=permitted(UserFactory(), "approve_bookingrequest"))

    def test_it_is_decided_once_and_in_time(self, ask, decide):
        request, late = ask("deposit", amount=5), ask("deposit", amount=6)
        decide(request, approve=False, note="no")
        with pytest.raises(Conflict, match="rejected already"):
            decide(request)
        with pytest.raises(Conflict, match="expired"):
            decide(late, at=AT + timedelta(hours=24))
        assert booked() == []

    def test_a_rejection_says_why_and_one_may_take_back_ones_own(self, manager, officer, ask, decide):
        request = ask("deposit", amount=5)
        with pytest.raises(InvalidInput):
            decide(request, approve=False)
        with pytest.raises(NotPermitted):
            booking_withdraw(booking_id=request.pk, user=officer, at=AT)
        assert booking_withdraw(booking_id=request.pk, user=manager, at=AT).state == "withdrawn"

    def test_the_database_refuses_an_edited_request_and_an_entry_without_one(self, portfolio, ask):
        request = ask("deposit", amount=5)
        with pytest.raises(IntegrityError, match="as it was asked for"), transaction.atomic():
            BookingRequest.objects.filter(pk=request.pk).update(amount=5000)
        with pytest.raises(IntegrityError, match="second person"), transaction.atomic():
            LedgerEntryFactory(portfolio_id=portfolio.pk, source="booking", source_ref=str(request.pk))

    def test_only_a_manager_with_the_permission_asks(self, portfolio, officer, ask):
        trader = permitted(UserFactory(), "add_bookingrequest")
        membership_grant(portfolio_id=portfolio.pk, user_id=trader.pk, role="trader")
        for user in (trader, officer):
            with pytest.raises(NotPermitted):
                ask("deposit", amount=5, user=user)


class TestTerms:
    @pytest.mark.parametrize(
        ("kind", "terms", "field"),
        [
            ("gift", {}, "kind"),
            ("deposit", {}, "amount"),
            ("deposit", {"amount": 5, "symbol": "XYZ"}, "symbol"),
            ("withdrawal", {"amount": -5}, "amount"),
            ("conversion", {"amount": 5, "rate": -1, "to_currency": "EUR"}, "rate"),
            ("cash_transfer", {"amount": 5}, "to_portfolio_id"),
            ("shares_out", {"symbol": "XYZ"}, "quantity"),
        ],
    )
    def test_each_kind_says_what_it_must_and_nothing_else(self, ask, kind, terms, field):
        with pytest.raises(InvalidInput) as caught:
            ask(kind, **terms)
        assert caught.value.field == field
        assert not BookingRequest.objects.exists()
