"""Which bars were expected: daily, intraday, half days; gaps, old series, values."""

from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.marketdata.domain import calendars
from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.quality.coverage import completeness_by_month, coverage, coverage_findings
from apps.marketdata.domain.quality.findings import MOST_FINDINGS, QualityCheck, Severity, runs
from apps.marketdata.domain.quality.series import SeriesFacts, check_series
from apps.marketdata.domain.quality.values import ohlc_findings, unchanged_findings, volume_findings
from apps.marketdata.domain.quality.vendors import SourcedCloses, vendor_findings
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.tests.factories import make_series

YEAR = calendars.calendar_of("XNYS").days
YEAR = YEAR[(np.datetime64("2012-01-01") <= YEAR) & (np.datetime64("2013-01-01") > YEAR)].astype("datetime64[us]")
AFTER = datetime(2012, 12, 31, 22, tzinfo=UTC)


def minutes_of(day: date) -> np.ndarray:
    opened, closed = calendars.session_hours("XNYS", day)
    return np.arange(np.datetime64(opened.replace(tzinfo=None), "us"), np.datetime64(closed.replace(tzinfo=None), "us"), np.timedelta64(60, "s"))


class TestDaily:
    def test_a_whole_year_is_complete(self) -> None:
        found = coverage(YEAR, Timeframe.DAY, "XNYS", AFTER)
        assert (found.expected, found.completeness, found.missing_runs, found.behind) == (250, 1.0, 0, 0)
        assert coverage_findings(found, Timeframe.DAY) == []

    def test_one_session_in_250_is_allowed_two_are_not(self) -> None:
        one, two = (coverage(np.delete(YEAR, missing), Timeframe.DAY, "XNYS", AFTER) for missing in ([100], [100, 150]))
        assert [item.check for item in coverage_findings(one, Timeframe.DAY)] == [QualityCheck.GAP]
        assert [item.check for item in coverage_findings(two, Timeframe.DAY)] == [QualityCheck.INCOMPLETE, QualityCheck.GAP, QualityCheck.GAP]
        assert coverage_findings(two, Timeframe.DAY)[0].numbers == {"completeness": 248 / 250, "expected": 250, "present": 248}

    def test_exactly_the_required_share_is_not_enough(self) -> None:
        days = calendars.calendar_of("XNYS").days
        first = int(np.searchsorted(days, np.datetime64("2010-01-04")))
        ts = days[first : first + 200].astype("datetime64[us]")
        found = coverage(np.delete(ts, 7), Timeframe.DAY, "XNYS", ts[-1].item().replace(hour=22, tzinfo=UTC))
        assert found.completeness == 0.995
        assert coverage_findings(found, Timeframe.DAY)[0].check is QualityCheck.INCOMPLETE

    @given(st.integers(1, 248), st.integers(1, 60))
    def test_a_planted_gap_is_always_found(self, at: int, length: int) -> None:
        missing = np.arange(at, min(at + length, 249))
        findings = coverage_findings(coverage(np.delete(YEAR, missing), Timeframe.DAY, "XNYS", AFTER), Timeframe.DAY)
        (gap,) = [item for item in findings if item.check is QualityCheck.GAP]
        assert (gap.first.date(), gap.last.date()) == tuple(YEAR[missing[n]].astype("datetime64[D]").item() for n in (0, -1))
        assert gap.count == len(missing)

    def test_the_longest_gaps_are_reported_and_all_are_counted(self) -> None:
        findings = coverage_findings(coverage(YEAR[::2], Timeframe.DAY, "XNYS", AFTER), Timeframe.DAY)
        gaps = [item for item in findings if item.check is QualityCheck.GAP]
        assert len(gaps) == MOST_FINDINGS
        assert gaps[0].numbers == {"gaps_in_all": 124}

    @pytest.mark.parametrize(("missing", "severity"), [(1, Severity.WARNING), (5, Severity.WARNING), (6, Severity.ERROR)])
    def test_an_old_last_bar(self, missing: int, severity: Severity) -> None:
        found = coverage(YEAR[:-missing], Timeframe.DAY, "XNYS", AFTER)
        (old,) = [item for item in coverage_findings(found, Timeframe.DAY) if item.check is QualityCheck.LAST_BAR_OLD]
        assert (old.count, old.severity) == (missing, severity)

    def test_the_running_session_is_not_yet_expected(self) -> None:
        assert coverage(YEAR[:-1], Timeframe.DAY, "XNYS", datetime(2012, 12, 31, 20, tzinfo=UTC)).behind == 0

    def test_a_listing_before_the_first_bar_counts_and_a_delisting_ends_it(self) -> None:
        late = coverage(YEAR[10:], Timeframe.DAY, "XNYS", AFTER, since=date(2012, 1, 3))
        assert (late.expected, int(late.present.sum())) == (250, 240)
        gone = coverage(YEAR[:100], Timeframe.DAY, "XNYS", AFTER, until=YEAR[100].item().date())
        assert (gone.completeness, gone.behind) == (1.0, 0)

    def test_by_month(self) -> None:
        months, expected, present = completeness_by_month(coverage(np.delete(YEAR, [0, 1, 30]), Timeframe.DAY, "XNYS", AFTER, since=date(2012, 1, 3)))
        assert (len(months), expected.sum(), present.sum()) == (12, 250, 247)
        assert (expected[0] - present[0], expected[1] - present[1]) == (2, 1)

    def test_nothing_is_expected_without_a_bar_and_of_weeks(self) -> None:
        assert coverage(YEAR[:0], Timeframe.DAY, "XNYS", AFTER) is None
        assert coverage(YEAR, Timeframe.WEEK, "XNYS", AFTER) is None


class TestIntraday:
    def test_a_half_day_has_210_minutes(self) -> None:
        days = [date(2019, 12, 23), date(2019, 12, 24), date(2019, 12, 26)]
        ts = np.concatenate([minutes_of(day) for day in days])
        found = coverage(ts, Timeframe.MINUTE, "XNYS", datetime(2019, 12, 26, 22, tzinfo=UTC))
        assert (found.expected, found.completeness) == (390 + 210 + 390, 1.0)

    def test_missing_minutes_and_a_missing_session(self) -> None:
        ts = np.concatenate([minutes_of(date(2019, 12, 23)), np.delete(minutes_of(date(2019, 12, 26)), [5, 6, 100])])
        found = coverage(ts, Timeframe.MINUTE, "XNYS", datetime(2019, 12, 26, 22, tzinfo=UTC))
        assert (found.expected, int((~found.present).sum()), found.missing_runs) == (990, 213, 3)
        gaps = [item for item in coverage_findings(found, Timeframe.MINUTE) if item.check is QualityCheck.GAP]
        assert [item.count for item in gaps] == [210, 2, 1]

    def test_bars_before_the_open_are_allowed_and_not_expected(self) -> None:
        ts = minutes_of(date(2019, 12, 23))
        early = np.concatenate([ts[:1] - np.timedelta64(3600, "s"), ts])
        found = coverage(early, Timeframe.MINUTE, "XNYS", datetime(2019, 12, 23, 22, tzinfo=UTC))
        assert (found.expected, found.completeness) == (390, 1.0)

    @pytest.mark.parametrize(("first", "count"), [("2019-12-23T14:30", 7), ("2019-12-23T14:00", 7)])
    def test_hours_from_the_open_and_full_hours(self, first: str, count: int) -> None:
        ts = np.datetime64(first, "us") + np.arange(count) * np.timedelta64(3600, "s").astype("timedelta64[us]")
        found = coverage(ts, Timeframe.HOUR, "XNYS", datetime(2019, 12, 23, 22, tzinfo=UTC))
        assert (found.expected, found.completeness) == (count, 1.0)


class TestValues:
    def bars(self, **changes: list[float]) -> BarSeries:
        made = make_series("AAA", [10.0, 10.0, 11.0, 11.0, 11.0, 11.0, 11.0])
        return BarSeries(symbol="AAA", ts=made.ts, **{name: np.array(changes.get(name, getattr(made, name))) for name in made.__slots__[2:]})

    def test_an_index_is_warned_about_what_is_an_error_elsewhere(self) -> None:
        bars = self.bars(high=[10.1, 10.1, 10.9, 11.2, 11.2, 11.2, 11.2])
        for index, severity in ((True, Severity.WARNING), (False, Severity.ERROR)):
            (finding,) = ohlc_findings(bars, index=index)
            assert (finding.severity, finding.count) == (severity, 1)
            assert finding.numbers["largest_distance"] == pytest.approx(0.1 / 11)
        assert ohlc_findings(self.bars(), index=False) == []

    def test_volume(self) -> None:
        assert volume_findings(self.bars(volume=[0.0] * 7)) == []
        (finding,) = volume_findings(self.bars(volume=[1.0, 0, 1, 1, 1, 1, 1]))
        assert (finding.count, finding.severity) == (1, Severity.WARNING)

    def test_a_close_that_stands_still_with_volume(self) -> None:
        (finding,) = unchanged_findings(self.bars())
        assert (finding.count, finding.numbers["close"]) == (5, 11.0)
        assert unchanged_findings(self.bars(), least=6) == []
        assert unchanged_findings(self.bars(volume=[0.0] * 7)) == []

    def test_runs(self) -> None:
        begins, ends = runs(np.array([True, True, False, True]))
        assert (begins.tolist(), ends.tolist()) == ([0, 3], [2, 4])


class TestVendors:
    def closes(self, second: list[float]) -> SourcedCloses:
        ts = YEAR[: len(second)]
        return SourcedCloses(
            ts=np.concatenate([ts, ts]),
            source=np.repeat([1, 2], len(second)),
            close=np.concatenate([np.full(len(second), 100.0), second]),
        )

    def test_within_tolerance_nobody_disagrees(self) -> None:
        assert vendor_findings(self.closes([100.4, 99.6, 100.0]), {1: "A", 2: "B"}) == []

    @pytest.mark.parametrize(("close", "severity"), [(101.0, Severity.WARNING), (106.0, Severity.ERROR)])
    def test_above_it_the_bars_are_counted(self, close: float, severity: Severity) -> None:
        (finding,) = vendor_findings(self.closes([100.0, close, 100.0]), {1: "A", 2: "B"})
        assert (finding.count, finding.severity, finding.numbers["compared"]) == (1, severity, 3)
        assert finding.numbers["largest"] == pytest.approx(close / 100 - 1)

    def test_who_is_first_does_not_matter(self) -> None:
        given = self.closes([100.0, 104.0])
        turned = SourcedCloses(ts=given.ts, source=3 - given.source, close=given.close)
        assert vendor_findings(given, {1: "A", 2: "B"})[0].numbers["largest"] == vendor_findings(turned, {1: "A", 2: "B"})[0].numbers["largest"]


class TestWholeSeries:
    def test_no_bars_is_said(self) -> None:
        empty = make_series("AAA", [])
        report = check_series(empty, Timeframe.DAY, AFTER, SeriesFacts(calendar="XNYS"))
        assert [item.check for item in report.findings] == [QualityCheck.NO_BARS]
        assert (report.completeness, report.last) == (None, None)

    def test_a_good_series_has_no_findings_whatever_the_order_of_magnitude(self) -> None:
        closes = 100 * np.exp(0.01 * np.sin(np.arange(250) * 1.7))
        for factor in (0.01, 1.0, 5000.0):
            report = check_series(make_series("AAA", (closes * factor).tolist()), Timeframe.DAY, AFTER, SeriesFacts(calendar="XNYS"))
            assert (report.findings, report.completeness, report.behind, report.rows) == ((), 1.0, 0, 250)
