"""The data-quality pages: what they show, how they filter, sort and page, and who may do what."""

from datetime import UTC, date, datetime

import numpy as np
import pytest
from django.contrib.auth.models import Group
from django.test import Client

from apps.core.models import JobRun, User
from apps.core.roles import Role
from apps.marketdata.models import Instrument, Quarantine, SeriesQuality
from apps.marketdata.services.quality import CheckRequest, data_check
from apps.marketdata.services.quarantine import quarantine_open
from apps.marketdata.tests.factories import make_series, store_series

pytestmark = pytest.mark.django_db

NOW = datetime(2012, 6, 22, 22, tzinfo=UTC)
QUIET = 100 * np.exp(0.005 * np.sin(np.arange(120) * 1.7))


def client_of(role: Role) -> Client:
    user = User.objects.create_user(f"user-{role}")
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def operator() -> Client:
    return client_of(Role.OPERATOR)


@pytest.fixture
def checked() -> None:
    closes = QUIET.copy()
    closes[60] *= 0.5
    store_series(make_series("BAD", closes.tolist()), make_series("GOOD", QUIET.tolist()), make_series("OLD", QUIET[:100].tolist()))
    data_check(request=CheckRequest(), now=NOW)


def symbols(html: str) -> list[str]:
    return [part.split('"')[0] for part in html.split('href="/data/of/')[1:]]


class TestList:
    def test_says_why_it_is_empty(self, operator) -> None:
        assert "No check has run yet" in operator.get("/data").content.decode()

    def test_shows_what_needs_somebody_first(self, operator, checked) -> None:
        html = operator.get("/data").content.decode()
        assert symbols(html)[-1] == "GOOD"
        assert html.count(">quarantined</span>") == 1
        assert "2012-06-22" in html

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("q=go", ["GOOD"]),
            ("state=errors", ["OLD", "BAD"]),
            ("state=quarantined", ["BAD"]),
            ("state=good", ["GOOD"]),
            ("timeframe=1m", []),
            ("sort=symbol", ["BAD", "GOOD", "OLD"]),
            ("sort=-rows", ["BAD", "GOOD", "OLD"]),
            ("sort=rows", ["OLD", "BAD", "GOOD"]),
            ("sort=-behind&q=od", ["GOOD"]),
        ],
    )
    def test_filters_and_sorts_by_its_address(self, operator, checked, query, found) -> None:
        html = operator.get(f"/data?{query}").content.decode()
        assert symbols(html) == found
        assert ("Nothing matches" in html) is (not found)

    def test_an_unknown_filter_is_refused(self, operator, checked) -> None:
        assert operator.get("/data?state=nonsense").status_code == 400
        assert operator.get("/data?timeframe=7d").status_code == 400

    def test_pages_of_fifty_cost_the_same_as_one_row(self, operator, checked, django_assert_max_num_queries) -> None:
        run = SeriesQuality.objects.first().run
        for n in range(60):
            item = Instrument.objects.create(symbol=f"N{n:02}", name="x", asset_class="etf")
            SeriesQuality.objects.create(
                run=run, instrument=item, timeframe=1440, rows=1, expected=1, gaps=0, errors=0, warnings=0, infos=0, recorded_at=NOW
            )
        with django_assert_max_num_queries(21):
            html = operator.get("/data").content.decode()
        assert len(symbols(html)) == 50
        assert len(symbols(operator.get("/data?page=2").content.decode())) == 13

    def test_operators_start_a_check_and_see_its_progress(self, operator, django_capture_on_commit_callbacks) -> None:
        store_series(make_series("GOOD", QUIET.tolist()))
        with django_capture_on_commit_callbacks():
            answer = operator.post("/data/check", {"symbol": "GOOD"})
        job = JobRun.objects.get()
        assert answer["Location"] == f"/data/of/GOOD?job={job.pk}"
        assert job.parameters["symbols"] == ["GOOD"]
        assert f'data-job="{job.pk}"' in operator.get(answer["Location"]).content.decode()

    def test_who_may_only_look_gets_no_buttons(self, checked) -> None:
        quant = client_of(Role.QUANT)
        html = quant.get("/data/of/BAD").content.decode()
        assert "Check now" not in html
        assert "/release" not in html
        assert quant.post("/data/check", {}).status_code == 403
        nobody = Client()
        nobody.force_login(User.objects.create_user("nobody"))
        assert nobody.get("/data").status_code == 403


class TestDetail:
    def test_shows_series_findings_and_quarantine(self, operator, checked) -> None:
        html = operator.get("/data/of/BAD").content.decode()
        for text in ("BAD_TICK", "moved by", "quarantined", "Release", "2012-03-29"):
            assert text in html

    def test_an_instrument_that_was_never_checked_says_so(self, operator) -> None:
        Instrument.objects.create(symbol="NEW", name="New", asset_class="stock")
        html = operator.get("/data/of/NEW").content.decode()
        assert "Not checked yet" in html
        assert "never in quarantine" in html
        assert operator.get("/data/of/XXX").status_code == 404

    def test_quarantine_and_release_with_reasons(self, operator, checked) -> None:
        form = {"symbol": "GOOD", "reason": "vendor changed its feed", "from_date": "2012-06-01", "next": "/data/of/GOOD"}
        assert operator.post("/data/quarantine", form)["Location"] == "/data/of/GOOD"
        held = Quarantine.objects.get(instrument__symbol="GOOD")
        assert (held.from_date, held.to_date, held.timeframe, held.opened_by.username) == (date(2012, 6, 1), None, None, "user-operator")
        assert "in quarantine already" in operator.post("/data/quarantine", form, follow=True).content.decode()
        refused = operator.post(f"/data/quarantine/{held.pk}/release", {"reason": ""}, follow=True)
        assert "a reason is required" in refused.content.decode()
        operator.post(f"/data/quarantine/{held.pk}/release", {"reason": "checked against a second vendor"})
        held.refresh_from_db()
        assert held.release_reason == "checked against a second vendor"

    @pytest.mark.parametrize(
        ("fields", "told"), [({"from_date": "soon"}, "no date"), ({"symbol": "XXX"}, "no instrument"), ({"reason": ""}, "reason")]
    )
    def test_a_quarantine_that_makes_no_sense_changes_nothing(self, operator, checked, fields, told) -> None:
        form = {"symbol": "GOOD", "reason": "x", **fields}
        assert told in operator.post("/data/quarantine", form, follow=True).content.decode()
        assert not Quarantine.objects.filter(instrument__symbol="GOOD").exists()


class TestCharts:
    def test_completeness_by_month_with_table_and_csv(self, operator, checked) -> None:
        shown = operator.get("/charts/data/completeness?symbol=OLD&timeframe=1d").json()
        assert shown["item"]
        assert "not complete" in shown["summary"]
        csv = operator.get("/charts/data/completeness?symbol=GOOD&timeframe=1d&format=csv").content.decode()
        assert csv.splitlines()[1] == "2012-01,20,20,1.0"

    def test_findings_along_the_bars(self, operator, checked) -> None:
        shown = operator.get("/charts/data/findings?symbol=BAD").json()
        assert shown["summary"] == "Findings: 1 error, 0 warning, 0 info"
        assert shown["table"]["rows"][0][4] == "BAD_TICK"

    @pytest.mark.parametrize(
        ("address", "why"),
        [
            ("completeness?symbol=NEW", "No bar of 1d of NEW is stored"),
            ("completeness?symbol=GOOD&timeframe=1w", "made of days"),
            ("findings?symbol=GOOD", "found nothing"),
            ("findings?symbol=NEW", "No check has looked"),
        ],
    )
    def test_say_why_they_are_empty(self, operator, checked, address, why) -> None:
        Instrument.objects.create(symbol="NEW", name="New", asset_class="stock")
        shown = operator.get(f"/charts/data/{address}").json()
        assert shown["item"] is None
        assert why in shown["summary"]


def test_admin_shows_findings_and_quarantines_with_history(checked, admin_client) -> None:
    held = Quarantine.objects.get()
    quarantine_open(symbol="OLD", reason="x", user=None, at=NOW)
    for address in ("qualityfinding/", "quarantine/", f"quarantine/{held.pk}/history/"):
        answer = admin_client.get(f"/admin/marketdata/{address}")
        assert answer.status_code == 200
    assert "BAD_TICK" in admin_client.get("/admin/marketdata/qualityfinding/").content.decode()
