"""Bookings by hand over REST, and on the portfolio's page."""

from decimal import Decimal
from uuid import uuid4

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.portfolios.models import BookingRequest, CashBalance, LedgerEntry
from apps.portfolios.tests.factories import PortfolioFactory, UserFactory, permitted

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager():
    return permitted(UserFactory(username="manager"), "add_bookingrequest")


@pytest.fixture
def officer():
    return permitted(UserFactory(username="officer"), "approve_bookingrequest", "view_all_portfolios")


@pytest.fixture
def portfolio(manager):
    return PortfolioFactory(owner=manager, initial_capital=Decimal(1000))


def post(user, path, body=None, key=None):
    client = APIClient()
    client.force_authenticate(user)
    return client.post(f"/api/v1/portfolios/{path}/", body or {}, format="json", headers={"Idempotency-Key": key or str(uuid4())})


class TestRest:
    def test_one_asks_and_another_approves(self, portfolio, manager, officer):
        asked = post(manager, f"{portfolio.pk}/bookings", {"kind": "withdrawal", "amount": "400.5", "reason": "Rent"})
        assert (asked.status_code, asked.json()["state"], asked.json()["currency"]) == (201, "pending", "USD")
        path = f"{portfolio.pk}/bookings/{asked.json()['id']}"
        assert post(manager, f"{path}/decide", {"approve": True}).status_code == 403
        assert post(officer, f"{path}/decide", {"approve": False}).status_code == 400
        decided = post(officer, f"{path}/decide", {"approve": True, "note": "Seen"})
        assert (decided.status_code, decided.json()["state"], decided.json()["decided_by"]) == (200, "posted", "officer")
        assert CashBalance.objects.get(portfolio=portfolio).amount == Decimal("599.5")
        assert post(officer, f"{path}/decide", {"approve": True}).status_code == 409
        client = APIClient()
        client.force_authenticate(manager)
        [listed] = client.get(f"/api/v1/portfolios/{portfolio.pk}/bookings/").json()["results"]
        assert (listed["kind"], listed["amount"], listed["note"]) == ("withdrawal", "400.5000", "Seen")

    def test_the_same_key_asks_once(self, portfolio, manager):
        body = {"kind": "deposit", "amount": "5", "reason": "More"}
        first, again = (post(manager, f"{portfolio.pk}/bookings", body, key="one") for _ in range(2))
        assert first.json()["id"] == again.json()["id"]
        assert BookingRequest.objects.count() == 1

    def test_ones_own_request_is_taken_back(self, portfolio, manager, officer):
        booking = post(manager, f"{portfolio.pk}/bookings", {"kind": "fee", "amount": "5", "reason": "Audit"}).json()["id"]
        assert post(officer, f"{portfolio.pk}/bookings/{booking}/withdraw").status_code == 403
        assert post(manager, f"{portfolio.pk}/bookings/{booking}/withdraw").json()["state"] == "withdrawn"

    @pytest.mark.parametrize(
        "body",
        [{"kind": "gift", "amount": "1"}, {"kind": "withdrawal", "amount": "1000.01"}, {"kind": "deposit", "amount": "1", "symbol": "AAPL"}],
    )
    def test_what_cannot_be_booked_is_refused_at_once(self, portfolio, manager, body):
        assert post(manager, f"{portfolio.pk}/bookings", {**body, "reason": "x"}).status_code == 400
        assert not BookingRequest.objects.exists()

    def test_portfolios_of_others_do_not_exist(self, portfolio, manager):
        booking = post(manager, f"{portfolio.pk}/bookings", {"kind": "fee", "amount": "5", "reason": "Audit"}).json()["id"]
        stranger = permitted(UserFactory(), "add_bookingrequest", "approve_bookingrequest")
        assert post(stranger, f"{portfolio.pk}/bookings", {"kind": "fee", "amount": "5", "reason": "x"}).status_code == 404
        assert post(stranger, f"{portfolio.pk}/bookings/{booking}/decide", {"approve": True}).status_code == 404
        assert post(manager, f"{PortfolioFactory(owner=manager).pk}/bookings/{booking}/withdraw").status_code == 404


class TestPage:
    def page(self, user):
        client = Client()
        client.force_login(user)
        return client

    def test_asking_and_approving_on_the_tab_of_cash(self, portfolio, manager, officer):
        tab = f"/portfolios/{portfolio.pk}?tab=cash"
        mine, theirs = self.page(manager), self.page(officer)
        assert "Book by hand" in mine.get(tab).content.decode()
        assert "Book by hand" not in theirs.get(tab).content.decode()
        form = {"kind": "deposit", "amount": "250", "currency": "", "reason": "Capital call"}
        answer = mine.post(f"/portfolios/{portfolio.pk}/bookings", form, follow=True).content.decode()
        booking = BookingRequest.objects.get()
        assert f"Booking {booking.pk} waits for a second person" in answer
        assert "Take back" in answer
        assert "Approve" in theirs.get(tab).content.decode()
        answer = theirs.post(f"/portfolios/{portfolio.pk}/bookings/{booking.pk}", {"act": "approve"}, follow=True).content.decode()
        assert f"Booking {booking.pk} is posted" in answer
        assert LedgerEntry.objects.get(source="booking").amount == 250

    def test_a_refusal_is_said(self, portfolio, manager):
        mine = self.page(manager)
        answer = mine.post(f"/portfolios/{portfolio.pk}/bookings", {"kind": "withdrawal", "amount": "9999", "reason": "x"}, follow=True)
        assert "Nothing is asked for: 1000.0000 USD is free" in answer.content.decode()
        answer = mine.post(f"/portfolios/{portfolio.pk}/bookings", {"kind": "deposit", "amount": "much", "reason": "x"}, follow=True)
        assert "is no number" in answer.content.decode()
