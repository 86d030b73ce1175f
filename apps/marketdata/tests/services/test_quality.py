"""The data checks on stored bars: what is kept, who hears of it, what is quarantined."""

import json
from datetime import UTC, date, datetime

import numpy as np
import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.alerts.selectors import open_alerts
from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from apps.core.models import JobRun, JournalEntry, User
from apps.core.models.jobs import JobState
from apps.core.roles import Role
from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Instrument, QualityFinding, QualityRun, Quarantine, SeriesQuality
from apps.marketdata.selectors.quality import latest_findings, latest_quality
from apps.marketdata.selectors.quarantine import quarantined, quarantined_between, quarantines_open
from apps.marketdata.services.bars import bars_store
from apps.marketdata.services.quality import CheckRequest, check_queue, data_check
from apps.marketdata.services.quarantine import quarantine_open, quarantine_release, quarantine_widen
from apps.marketdata.tasks import check_data_now
from apps.marketdata.tests.factories import RECORDED_AT, make_series, store_series

pytestmark = pytest.mark.django_db

#: After the close of the 120th session of 2012.
NOW = datetime(2012, 6, 22, 22, tzinfo=UTC)
QUIET = 100 * np.exp(0.005 * np.sin(np.arange(120) * 1.7))


def user_with(role: Role) -> User:
    user = User.objects.create_user(f"u{User.objects.count()}")
    user.groups.add(Group.objects.get(name=role))
    return user


@pytest.fixture
def operator() -> User:
    return user_with(Role.OPERATOR)


def without(series: BarSeries, *rows: int) -> BarSeries:
    return BarSeries(symbol=series.symbol, **{name: np.delete(getattr(series, name), rows) for name in series.__slots__[1:]})


def bad_tick(at: int) -> list[float]:
    closes = QUIET.copy()
    closes[at] *= 0.5
    return closes.tolist()


def check(**changes: object):
    return data_check(request=CheckRequest(**changes), now=NOW)


class TestRun:
    def test_good_data_leaves_a_row_and_no_finding(self, operator) -> None:
        store_series(make_series("AAA", QUIET.tolist()))
        report = check()
        row = latest_quality().get()
        assert (row.instrument.symbol, row.rows, row.completeness, row.sessions_behind, row.errors) == ("AAA", 120, 1.0, 0, 0)
        assert (report.totals()["series"], report.totals()["errors"], QualityFinding.objects.count()) == (1, 0, 0)
        assert open_alerts(operator) == ()

    def test_each_fault_is_a_row_with_its_numbers(self) -> None:
        store_series(make_series("AAA", bad_tick(60)), without(make_series("BBB", QUIET.tolist()), 50, 51))
        Instrument.objects.create(symbol="NEW", name="New", asset_class="stock")
        check()
        said = {(item.instrument.symbol, item.check_code, item.severity, item.count) for item in latest_findings()}
        assert said == {
            ("AAA", "BAD_TICK", "error", 1),
            ("BBB", "INCOMPLETE", "error", 2),
            ("BBB", "GAP", "warning", 2),
            ("NEW", "NO_BARS", "warning", 0),
        }
        tick = latest_findings().get(check_code="BAD_TICK")
        assert tick.numbers["move"] == pytest.approx(-0.5, abs=0.02)
        assert tick.first.date() == date(2012, 3, 29)

    def test_nothing_after_the_markets_time_is_seen(self) -> None:
        store_series(make_series("AAA", bad_tick(119)))
        report = data_check(request=CheckRequest(), now=datetime(2012, 6, 20, 22, tzinfo=UTC))
        assert (report.series[0].rows, report.series[0].behind) == (118, 0)

    def test_days_and_time_frames_can_be_chosen(self) -> None:
        store_series(without(make_series("AAA", QUIET.tolist()), 60, 61))
        assert check(end=date(2012, 3, 1)).series[0].completeness == 1.0
        later = check(start=date(2012, 3, 29)).series[0]
        assert (later.expected, later.rows) == (60, 58)
        assert check(timeframes=(Timeframe.WEEK,)).series[0].rows == 0

    def test_vendors_that_contradict_each_other(self) -> None:
        series = make_series("AAA", QUIET.tolist())
        store_series(series)
        other = make_series("AAA", (QUIET * np.where(np.arange(120) == 70, 1.02, 1.0)).tolist())
        bars_store(series=[other], timeframe=Timeframe.DAY, source="second", recorded_at=RECORDED_AT)
        check()
        finding = latest_findings().get(check_code="VENDORS_DISAGREE")
        assert (finding.count, finding.severity, finding.numbers["sources"]) == (1, "warning", "test, second")
        assert finding.numbers["largest"] == pytest.approx(0.02)

    def test_the_newest_run_counts(self) -> None:
        store_series(without(make_series("AAA", QUIET.tolist()), 50, 51))
        check()
        store_series(make_series("AAA", QUIET.tolist()))
        check()
        assert not latest_findings().exists()
        assert (QualityRun.objects.count(), SeriesQuality.objects.count(), latest_quality().count()) == (2, 2, 1)

    def test_facts_cannot_be_changed(self) -> None:
        store_series(make_series("AAA", bad_tick(60)))
        check()
        for model in (QualityRun, SeriesQuality, QualityFinding):
            with pytest.raises(IntegrityError), transaction.atomic():
                model.objects.all().delete()

    def test_what_makes_no_sense_is_refused(self) -> None:
        with pytest.raises(NotFound, match="XXX"):
            check(symbols=("XXX",))
        with pytest.raises(InvalidInput, match="before the start"):
            CheckRequest(start=date(2012, 1, 2), end=date(2012, 1, 1))

    def test_the_number_of_statements_does_not_grow_with_the_instruments(self) -> None:
        counts = []
        for names in (("AAA",), ("BBB", "CCC", "DDD", "EEE")):
            store_series(*(make_series(name, QUIET.tolist()) for name in names))
            with CaptureQueriesContext(
                connection,
            ) as queries:
                check()
            counts.append(len(queries))
        assert counts[0] == counts[1]


class TestOperators:
    def test_hear_of_new_errors_once(self, operator) -> None:
        store_series(make_series("AAA", bad_tick(60)))
        assert (check().new_errors, check().new_errors) == (1, 0)
        (alert,) = open_alerts(operator)
        assert (alert.code, alert.data["errors"]) == ("DATA_QUALITY", [{"symbol": "AAA", "timeframe": "1d", "check": "BAD_TICK"}])
        store_series(make_series("BBB", bad_tick(30)))
        check()
        assert [item.data["errors"][0]["symbol"] for item in open_alerts(operator)] == ["BBB", "AAA"]


class TestAutomaticQuarantine:
    def test_holds_the_days_of_the_error(self, settings) -> None:
        store_series(make_series("AAA", bad_tick(60)), make_series("BBB", QUIET.tolist()))
        assert check().quarantined == ("AAA",)
        (held,) = quarantines_open()["AAA"]
        assert (held.from_date, held.to_date, held.timeframe, held.opened_by) == (date(2012, 3, 29), date(2012, 3, 29), Timeframe.DAY, "data check")
        assert "BAD_TICK" in held.reason
        assert check().quarantined == ()

    def test_an_error_up_to_the_last_bar_holds_until_further_notice(self) -> None:
        closes = QUIET.copy()
        closes[110:] *= 100
        store_series(make_series("AAA", closes.tolist()))
        check()
        assert quarantined(["AAA"], None, date(2030, 1, 1))["AAA"][0].to_date is None

    def test_a_second_error_widens_it_and_a_released_one_stays_released(self, operator) -> None:
        closes = np.array(bad_tick(60))
        store_series(make_series("AAA", closes.tolist()))
        check()
        closes[80] *= 2
        store_series(make_series("AAA", closes.tolist()))
        assert check().quarantined == ("AAA",)
        (held,) = quarantines_open()["AAA"]
        assert (held.from_date, held.to_date) == (date(2012, 3, 29), date(2012, 4, 27))
        quarantine_release(quarantine_id=held.id, reason="seen", user=operator, at=NOW)
        assert (check().quarantined, quarantines_open()) == ((), {})

    def test_only_where_a_rule_says_so(self, settings) -> None:
        settings.QUARANTINE_CHECKS = ()
        store_series(make_series("AAA", bad_tick(60)))
        assert (check().quarantined, quarantines_open()) == ((), {})


class TestQuarantine:
    @pytest.fixture(autouse=True)
    def instrument(self) -> None:
        store_series(make_series("AAA", [1.0, 2.0]))

    def test_holds_on_its_days_and_time_frame(self, operator) -> None:
        days = {"from_date": date(2012, 1, 10), "to_date": date(2012, 1, 20)}
        quarantine_open(symbol="AAA", timeframe=Timeframe.DAY, reason="x", user=operator, at=NOW, **days)
        for day, found in ((9, False), (10, True), (20, True), (21, False)):
            assert bool(quarantined(["AAA"], Timeframe.DAY, date(2012, 1, day))) is found
        assert not quarantined(["AAA"], Timeframe.MINUTE, date(2012, 1, 15))
        assert quarantined(["AAA"], None, date(2012, 1, 15))
        assert quarantined_between(["AAA"], Timeframe.DAY, date(2012, 1, 20), date(2013, 1, 1))
        assert not quarantined_between(["AAA"], Timeframe.DAY, date(2012, 1, 21), date(2013, 1, 1))

    def test_one_is_open_at_a_time(self, operator) -> None:
        first = quarantine_open(symbol="AAA", reason="x", user=operator, at=NOW)
        with pytest.raises(Conflict, match="in quarantine already"):
            quarantine_open(symbol="AAA", reason="y", user=operator, at=NOW)
        quarantine_open(symbol="AAA", timeframe=Timeframe.DAY, reason="z", user=operator, at=NOW)
        quarantine_release(quarantine_id=first.pk, reason="good again", user=operator, at=NOW)
        quarantine_open(symbol="AAA", reason="y", user=operator, at=NOW)

    def test_release_is_said_once_with_a_reason_and_keeps_its_history(self, operator) -> None:
        held = quarantine_open(symbol="AAA", reason="x", user=operator, at=NOW)
        with pytest.raises(InvalidInput, match="reason"):
            quarantine_release(quarantine_id=held.pk, reason=" ", user=operator, at=NOW)
        quarantine_release(quarantine_id=held.pk, reason="good", user=operator, at=NOW)
        with pytest.raises(Conflict, match="released already"):
            quarantine_release(quarantine_id=held.pk, reason="again", user=operator, at=NOW)
        with pytest.raises(NotFound):
            quarantine_release(quarantine_id=held.pk + 1, reason="again", user=operator, at=NOW)
        assert list(held.history.values_list("release_reason", flat=True)) == ["good", ""]
        assert JournalEntry.objects.filter(table_name="marketdata_quarantine").count() == 2

    def test_who_may_not_changes_nothing(self) -> None:
        trader = user_with(Role.TRADER)
        with pytest.raises(NotPermitted):
            quarantine_open(symbol="AAA", reason="x", user=trader, at=NOW)
        held = quarantine_open(symbol="AAA", reason="x", user=None, at=NOW)
        with pytest.raises(NotPermitted):
            quarantine_release(quarantine_id=held.pk, reason="x", user=trader, at=NOW)
        assert quarantines_open()

    @pytest.mark.parametrize(
        ("changes", "field"),
        [({"reason": ""}, "reason"), ({"reason": "x" * 501}, "reason"), ({"from_date": date(2012, 2, 1), "to_date": date(2012, 1, 1)}, "to_date")],
    )
    def test_bad_input(self, operator, changes, field) -> None:
        with pytest.raises(InvalidInput) as refused:
            quarantine_open(**{"symbol": "AAA", "reason": "x", "user": operator, "at": NOW, **changes})
        assert refused.value.field == field

    def test_widening_never_narrows(self) -> None:
        held = quarantine_open(symbol="AAA", reason="x", from_date=date(2012, 1, 5), to_date=date(2012, 1, 9), user=None, at=NOW)
        quarantine_widen(quarantine_id=held.pk, from_date=date(2012, 1, 7), to_date=date(2012, 1, 8), reason="y")
        found = Quarantine.objects.get()
        assert (found.from_date, found.to_date) == (date(2012, 1, 5), date(2012, 1, 9))
        quarantine_widen(quarantine_id=held.pk, from_date=None, to_date=None, reason="z")
        found.refresh_from_db()
        assert (found.from_date, found.to_date, found.reason) == (None, None, "x; y; z")

    def test_the_database_wants_a_reason_and_a_person(self) -> None:
        held = quarantine_open(symbol="AAA", reason="x", user=None, at=NOW)
        for values in ({"reason": ""}, {"released_at": NOW}, {"to_date": date(2012, 1, 1), "from_date": date(2012, 1, 2)}):
            with pytest.raises(IntegrityError), transaction.atomic():
                Quarantine.objects.filter(pk=held.pk).update(**values)


class TestEntrances:
    def test_command_ends_with_three_when_there_are_errors(self, capsys, monkeypatch) -> None:
        monkeypatch.setattr("apps.core.clock.now", lambda: NOW)
        store_series(make_series("AAA", bad_tick(60)), make_series("BBB", QUIET.tolist()))
        call_command("check_data", symbols="BBB")
        assert "1 series checked: 0 errors, 0 warnings" in capsys.readouterr().out
        with pytest.raises(SystemExit) as ended:
            call_command("check_data", json=True)
        assert ended.value.code == 3
        printed = json.loads(capsys.readouterr().out)
        assert (printed["errors"], printed["quarantined"]) == (1, ["AAA"])
        assert [(item["symbol"], item["timeframe"], len(item["findings"])) for item in printed["results"]] == [("AAA", "1d", 1), ("BBB", "1d", 0)]

    def test_job_runs_once_and_says_what_it_found(self, operator, monkeypatch, django_capture_on_commit_callbacks) -> None:
        monkeypatch.setattr("apps.marketdata.tasks.now", lambda: NOW)
        store_series(make_series("AAA", bad_tick(60)))
        with django_capture_on_commit_callbacks():  # nobody listens to the queue here
            job = check_queue(request=CheckRequest(symbols=("AAA",)), user=operator, at=NOW)
        check_data_now.apply(kwargs={"job_run_id": job.pk})
        check_data_now.apply(kwargs={"job_run_id": job.pk})
        job = JobRun.objects.get(pk=job.pk)
        assert (job.state, job.result["errors"], job.result["series"]) == (JobState.SUCCEEDED, 1, 1)
        assert QualityRun.objects.get().job_run_id == job.pk
