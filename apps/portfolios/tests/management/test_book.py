"""Bookings by hand from the command line: two people, JSON, a dry run, refusals."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.portfolios.models import BookingRequest, LedgerEntry
from apps.portfolios.tests.factories import PortfolioFactory, UserFactory, permitted

pytestmark = pytest.mark.django_db


def run(*args: str) -> dict:
    out = StringIO()
    call_command("book", *args, "--portfolio", "Alpha", "--reason", "by hand", "--user", "mary", "--json", stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())


@pytest.fixture(autouse=True)
def people() -> None:
    PortfolioFactory(name="Alpha", owner=permitted(UserFactory(username="mary"), "add_bookingrequest"))
    permitted(UserFactory(username="rolf"), "approve_bookingrequest", "view_all_portfolios")


def test_a_booking_waits_or_is_posted_when_the_second_person_is_at_hand() -> None:
    assert run("deposit", "--amount", "50")["state"] == "pending"
    assert run("deposit", "--amount", "70", "--approved-by", "rolf")["state"] == "posted"
    assert [int(entry.amount) for entry in LedgerEntry.objects.filter(source="booking")] == [70]


def test_a_dry_run_stores_nothing() -> None:
    assert run("withdrawal", "--amount", "50", "--approved-by", "rolf", "--dry-run")["dry_run"] is True
    assert not BookingRequest.objects.exists()
    assert not LedgerEntry.objects.filter(source="booking").exists()


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("deposit", "--amount", "50", "--approved-by", "mary"), 4),
        (("deposit", "--amount", "much"), 2),
        (("deposit", "--amount", "NaN"), 2),
        (("shares_out", "--symbol", "NONE", "--quantity", "1", "--lot", "x"), 2),
    ],
)
def test_refusals_have_their_exit_codes(args: tuple[str, ...], code: int) -> None:
    with pytest.raises(CommandError) as caught:
        run(*args)
    assert caught.value.returncode == code
    assert not BookingRequest.objects.filter(state="pending").exists()  # nobody finds it later and approves it
