"""The daily report: made once after the close, with everything in it, and provable later."""

import hashlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
import time_machine
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import Client

from apps.alerts.selectors import alerts_about
from apps.core.errors import Unavailable
from apps.core.roles import Role
from apps.marketdata.domain import calendars
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.models import PortfolioRole
from apps.portfolios.services.values import portfolio_values_record
from apps.portfolios.tests.factories import InstrumentFactory, LedgerEntryFactory, PortfolioFactory, PortfolioMembershipFactory
from apps.risk.models import RiskReport
from apps.risk.services import reports
from apps.risk.services.reports import reports_make
from apps.risk.tests.factories import person

pytestmark = pytest.mark.django_db

FRIDAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 17, tzinfo=UTC)
EVENING = datetime(2026, 11, 20, 21, 10, tzinfo=UTC)


@pytest.fixture(autouse=True)
def printer(monkeypatch) -> list[str]:
    """Chromium has a test of its own; here is kept what it is given."""
    given: list[str] = []

    def pdf_of(html: str) -> bytes:
        given.append(html)
        return b"%PDF- of " + hashlib.sha256(html.encode()).hexdigest().encode()

    monkeypatch.setattr(reports, "pdf_of", pdf_of)
    return given


@pytest.fixture
def portfolio():
    """10 shares of a stock with 300 sessions of prices until Friday, bought on Thursday."""
    one = PortfolioFactory(name="Fund <1>", initial_capital=Decimal(10_000), effective_at=datetime(2026, 11, 18, 15, tzinfo=UTC))
    closes = 100 * np.cumprod(1 + np.random.default_rng(3).standard_normal(300) * 0.01)
    first = calendars.sessions("XNYS", FRIDAY - timedelta(days=600), FRIDAY)[-300]
    store_series(make_series("KO", closes, start=first))
    LedgerEntryFactory(
        portfolio_id=one.pk,
        instrument_id=InstrumentFactory(symbol="KO").pk,
        quantity=Decimal(10),
        price=Decimal(100),
        effective_at=datetime(2026, 11, 19, 16, tzinfo=UTC),
    )
    portfolio_values_record(session=date(2026, 11, 19), market_time=EVENING, recorded_at=EVENING)
    return one


@pytest.fixture
def recorded(portfolio):
    portfolio_values_record(session=FRIDAY, market_time=EVENING, recorded_at=EVENING)
    return portfolio


def test_a_report_is_made_once_after_the_close_and_holds_every_part(recorded, printer) -> None:
    assert reports_make(now=NOON).made == ()
    done = reports_make(now=EVENING)
    assert (done.session, done.made, done.printed, done.failed) == (FRIDAY, (recorded.pk,), (recorded.pk,), {})
    html = bytes(RiskReport.objects.get(form="html").content).decode()
    for part in (
        "Limits",
        "Value at risk",
        "Whose risk it is",
        "Stress scenarios",
        "Profit and loss explained",
        "Limits crossed",
        "Deepest drawdowns",
    ):
        assert f"<h2>{part}</h2>" in html
    assert "Fund &lt;1&gt;" in html
    assert "KO" in html
    assert not any(word in html for word in ("<script", "src=", "href=", "http"))
    assert printer == [html]
    again = reports_make(now=EVENING + timedelta(hours=1))
    assert (again.made, again.printed, RiskReport.objects.count()) == ((), (), 2)


def test_it_waits_for_the_value_of_the_close_but_not_for_ever(portfolio) -> None:
    assert reports_make(now=EVENING).made == ()
    assert reports_make(now=EVENING + timedelta(minutes=30)).made == (portfolio.pk,)
    assert "is not recorded" in bytes(RiskReport.objects.get(form="html").content).decode()


def test_a_pdf_that_failed_is_printed_later_from_the_stored_document(recorded, printer, monkeypatch) -> None:
    def away(_: str) -> bytes:
        raise Unavailable("there is no Chromium")

    with monkeypatch.context() as broken:
        broken.setattr(reports, "pdf_of", away)
        assert reports_make(now=EVENING).failed == {recorded.pk: "there is no Chromium"}
    assert reports_make(now=EVENING + timedelta(hours=2)).printed == (recorded.pk,)
    assert printer == [bytes(RiskReport.objects.get(form="html").content).decode()]


def test_a_result_that_is_not_explained_is_told_to_people(recorded) -> None:
    risk = person(Role.RISK)
    stored = make_series("KO", [500.0], start=date(2026, 11, 19))
    store_series(stored, recorded_at=EVENING)
    reports_make(now=EVENING)
    (alert,) = alerts_about(risk, f"portfolio:{recorded.pk}", limit=5)
    assert (alert.code, alert.data["session"]) == ("PNL_RESIDUAL", "2026-11-20")


def test_a_stored_report_cannot_be_changed_and_its_fingerprint_is_that_of_its_bytes(recorded) -> None:
    reports_make(now=EVENING)
    with pytest.raises(DatabaseError, match="its rows are facts"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("update risk_riskreport set content = 'other'")
    with pytest.raises(IntegrityError, match="risk_report_sha256"), transaction.atomic():
        RiskReport.objects.create(
            portfolio=recorded, session=date(2026, 11, 19), form="pdf", content=b"x", sha256="0" * 64, market_time=EVENING, recorded_at=EVENING
        )


def test_members_download_it_over_rest_and_strangers_do_not_find_it(recorded) -> None:
    reports_make(now=EVENING)
    client, stranger = Client(), Client()
    member = person(Role.TRADER)
    PortfolioMembershipFactory(portfolio=recorded, user=member, role=PortfolioRole.TRADER)
    client.force_login(member)
    stranger.force_login(person(Role.TRADER))
    base = f"/api/v1/portfolios/{recorded.pk}/reports/"
    listed = client.get(base).json()
    assert [(one["session"], one["form"]) for one in listed] == [("2026-11-20", "html"), ("2026-11-20", "pdf")]
    for one in listed:
        answer = client.get(f"{base}{one['session']}/{one['form']}/")
        assert hashlib.sha256(answer.content).hexdigest() == one["sha256"] == answer["ETag"].strip('"')
        assert (len(answer.content), "attachment" in answer["Content-Disposition"]) == (one["size"], True)
    assert [client.get(f"{base}{rest}").status_code for rest in ("2026-11-19/pdf/", "yesterday/pdf/", "2026-11-20/doc/")] == [404, 404, 404]
    assert stranger.get(base).status_code == stranger.get(f"{base}2026-11-20/pdf/").status_code == 404
    with time_machine.travel(EVENING, tick=False):
        page = client.get(f"/risk?tab=history&portfolio={recorded.pk}").content.decode()
    assert f"portfolios/{recorded.pk}/reports/2026-11-20/pdf" in page
