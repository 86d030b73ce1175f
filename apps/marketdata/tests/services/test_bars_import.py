"""Importing files: what is stored, what is rejected and how it is said."""

import gzip
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from apps.core.errors import InvalidInput, NotFound
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Bar, BarSource, Instrument
from apps.marketdata.selectors.bars import bar_series
from apps.marketdata.services.bars import ImportReport, bars_import
from apps.marketdata.tests.factories import RECORDED_AT, InstrumentFactory

pytestmark = pytest.mark.django_db

GOOD = """Date,Open,High,Low,Close,Adj Close,Volume
2012-01-03,10,11,9,10.5,5.25,1000
2012-01-04,10.5,12,10,11.5,5.75,2000
2012-01-05,11.5,12.5,11,12,6,3000
"""


@pytest.fixture
def aaa() -> Instrument:
    return InstrumentFactory(symbol="AAA")


@pytest.fixture
def write(tmp_path: Path):
    def writer(content: str, name: str = "AAA.csv") -> Path:
        path = tmp_path / name
        data = content.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return writer


def load(*files: Path, **options: object) -> ImportReport:
    return bars_import(files=files, **{"source": "test", "recorded_at": RECORDED_AT, "timeframe": Timeframe.DAY, **options})


def counts(report: ImportReport) -> tuple[int, int, int, int]:
    return report.inserted, report.revised, report.unchanged, len(report.rejected)


def faults(report: ImportReport) -> list[tuple[int, str, str]]:
    return [(item.line, item.column, item.code) for item in report.rejected]


class TestReading:
    @pytest.mark.parametrize("name", ["AAA.csv", "AAA.csv.gz", "aaa.CSV"])
    def test_csv_plain_and_compressed(self, aaa, write, name) -> None:
        report = load(write(GOOD, name), symbol="AAA")
        assert counts(report) == (3, 0, 0, 0)
        assert report.files[0].notes == ()
        found = bar_series(symbol="AAA", timeframe=Timeframe.DAY)
        assert list(found.close) == [10.5, 11.5, 12.0]
        assert found.ts[0] == np.datetime64("2012-01-03")
        assert BarSource.objects.get().name == "test"

    def test_symbol_is_the_files_name_without_suffix(self, write) -> None:
        InstrumentFactory(symbol="BRK.B")
        assert load(write(GOOD, "BRK.B.csv.gz")).inserted == 3

    def test_column_of_symbols(self, aaa, write) -> None:
        InstrumentFactory(symbol="BBB")
        content = "ticker;time;o;h;l;c;v\nAAA;2012-01-03;1;1;1;1;1\nBBB;2012-01-03;2;2;2;2;2\n"
        assert counts(load(write(content, "many.csv"))) == (2, 0, 0, 0)
        assert list(bar_series(symbol="BBB", timeframe=Timeframe.DAY).close) == [2.0]

    @pytest.mark.parametrize("typed", [True, False])
    def test_parquet(self, aaa, tmp_path, typed) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        days = [date(2012, 1, 3), date(2012, 1, 4)]
        columns = {
            "date": days if typed else [str(day) for day in days],
            **{name: [1.5, 2.5] for name in ("open", "high", "low", "close")},
            "volume": [7, 8],
        }
        pq.write_table(pa.table(columns), tmp_path / "AAA.parquet")
        assert counts(load(tmp_path / "AAA.parquet")) == (2, 0, 0, 0)
        assert list(bar_series(symbol="AAA", timeframe=Timeframe.DAY).volume) == [7.0, 8.0]

    def test_byte_order_mark_and_windows_line_ends(self, aaa, write) -> None:
        assert load(write("\ufeff" + GOOD.replace("\n", "\r\n"))).inserted == 3

    def test_daily_bars_take_the_date_as_written(self, aaa, write) -> None:
        content = "Date,Open,High,Low,Close\n2012-01-03 00:00:00+09:00,1,1,1,1\n20120104,1,1,1,1\n"
        report = load(write(content))
        assert counts(report) == (2, 0, 0, 0)
        assert "volume" in report.files[0].notes[0]
        assert bar_series(symbol="AAA", timeframe=Timeframe.DAY).ts.astype("datetime64[D]").tolist() == [date(2012, 1, 3), date(2012, 1, 4)]


class TestRejections:
    def test_each_bad_row_is_named_and_the_good_ones_are_stored(self, aaa, write) -> None:
        content = (
            "Date,Open,High,Low,Close,Volume\n"
            "2012-01-03,10,11,9,10,100\n"
            "2012-01-04,0,11,9,10,100\n"  # line 3
            "2012-01-05,10,8,9,10,100\n"
            "2012-01-06,10,11,9,12,100\n"
            "\n"  # line 6 is blank
            "2012-01-07,10,11,9,10,100\n"  # a Saturday
            "2012-01-09,10,11,9,ten,100\n"
            "2012-01-10,10,11,9\n"
            "2012-01-11,10,11,9,10,-1\n"
            "yesterday,10,11,9,10,100\n"  # line 11
            "2012-01-03,10,11,9,10,100\n"
            "2012-02-30,10,11,9,10,100\n"
            "2012-01-12,10,11,9,10,100,7\n"
            "2012-01-13,10,11,nan,10,\n"
            "2012-01-17,10,11,9,10,100\n"
        )
        report = load(write(content))
        assert counts(report) == (2, 0, 0, 12)
        assert faults(report) == [
            (3, "open", "PRICE_NOT_POSITIVE"),
            (4, "high", "OHLC_ORDER"),
            (5, "close", "OHLC_ORDER"),
            (7, "date", "NOT_A_SESSION"),
            (8, "close", "NOT_A_NUMBER"),
            (9, "", "MALFORMED_LINE"),
            (10, "volume", "VOLUME_NEGATIVE"),
            (11, "date", "NOT_A_TIME"),
            (12, "date", "DUPLICATE"),
            (13, "date", "NOT_A_TIME"),
            (14, "", "MALFORMED_LINE"),
            (15, "low", "NOT_A_NUMBER"),
        ]
        assert "'ten'" in report.rejected[4].text
        assert report.rejected[0].file.endswith("AAA.csv")

    def test_strict_refuses_the_whole_file_but_not_the_next(self, aaa, write) -> None:
        InstrumentFactory(symbol="BBB")
        report = load(write(GOOD.replace("10.5,12,10,", "10.5,12,0,")), write(GOOD, "BBB.csv"), strict=True)
        assert [file.stored for file in report.files] == [False, True]
        assert counts(report) == (3, 0, 0, 1)
        assert not Bar.objects.filter(instrument_id=aaa.pk).exists()

    def test_unknown_symbol_rejects_its_rows_and_makes_no_instrument(self, aaa, write) -> None:
        content = "symbol,date,open,high,low,close\nAAA,2012-01-03,1,1,1,1\nNEW,2012-01-03,1,1,1,1\n"
        report = load(write(content, "many.csv"))
        assert faults(report) == [(3, "symbol", "UNKNOWN_SYMBOL")]
        assert "'NEW'" in report.rejected[0].text
        assert report.inserted == 1
        assert Instrument.objects.count() == 1

    def test_rows_of_another_symbol_than_the_one_asked_for(self, aaa, write) -> None:
        content = "symbol,date,open,high,low,close\nAAA,2012-01-03,1,1,1,1\nBBB,2012-01-03,1,1,1,1\n"
        assert faults(load(write(content, "many.csv"), symbol="AAA")) == [(3, "symbol", "OTHER_SYMBOL")]


class TestTimeZones:
    content = "{title},open,high,low,close,volume\n{time},1,1,1,1,1\n"

    @pytest.mark.parametrize(
        ("title", "time"),
        [
            ("datetime", "2012-01-03T14:30:00Z"),
            ("datetime", "2012-01-03 09:30:00-05:00"),
            ("datetime_utc", "2012-01-03 14:30:00"),
            ("time", "1325601000"),
        ],
    )
    def test_explicit_zone_is_taken(self, aaa, write, title, time) -> None:
        assert load(write(self.content.format(title=title, time=time)), timeframe=Timeframe.MINUTE).inserted == 1
        assert bar_series(symbol="AAA", timeframe=Timeframe.MINUTE).ts[0] == np.datetime64("2012-01-03T14:30")

    @pytest.mark.parametrize("time", ["2012-01-03T14:30:00", "2012-01-03"])
    def test_no_zone_is_refused(self, aaa, write, time) -> None:
        assert faults(load(write(self.content.format(title="datetime", time=time)), timeframe=Timeframe.MINUTE)) == [(2, "date", "NO_TIME_ZONE")]

    def test_half_a_minute_is_no_start_of_a_minute_bar(self, aaa, write) -> None:
        path = write(self.content.format(title="datetime", time="2012-01-03T14:30:30Z"))
        assert faults(load(path, timeframe=Timeframe.MINUTE)) == [(2, "time", "NOT_ON_GRID")]

    def test_evening_in_new_york_belongs_to_that_day(self, aaa, write) -> None:
        """2012-01-07 01:00 UTC is still Friday evening there, a day with a session."""
        assert load(write(self.content.format(title="datetime", time="2012-01-07T01:00:00Z")), timeframe=Timeframe.MINUTE).inserted == 1


class TestAgain:
    def test_second_import_changes_nothing(self, aaa, write) -> None:
        load(write(GOOD))
        assert counts(load(write(GOOD))) == (0, 0, 3, 0)

    def test_other_values_are_a_revision(self, aaa, write) -> None:
        load(write(GOOD))
        later = datetime(2026, 2, 1, tzinfo=UTC)
        report = load(write(GOOD.replace("11.5,5.75", "11.75,5.75")), recorded_at=later, source="other")
        assert counts(report) == (0, 1, 2, 0)
        assert list(Bar.objects.filter(revision=1).values_list("close", "recorded_at")) == [(11.75, later)]

    def test_dry_run_counts_and_stores_nothing(self, aaa, write) -> None:
        assert counts(load(write(GOOD), dry_run=True)) == (3, 0, 0, 0)
        assert not Bar.objects.exists()
        assert not BarSource.objects.exists()


class TestGaps:
    def test_missing_sessions_are_reported_in_runs(self, aaa, write) -> None:
        rows = "\n".join(f"2012-01-{day:02},1,1,1,1" for day in (3, 6, 9, 13, 17))
        report = load(write(f"date,open,high,low,close\n{rows}\n"))
        assert counts(report) == (5, 0, 0, 0)
        assert [(gap.first, gap.last, gap.sessions) for gap in report.gaps] == [
            (date(2012, 1, 4), date(2012, 1, 5), 2),
            (date(2012, 1, 10), date(2012, 1, 12), 3),
        ]


class TestUnreadable:
    def check(self, write, path: Path, fault: str) -> None:
        """A bad file refuses the import before the good file is stored."""
        with pytest.raises(InvalidInput, match=fault) as caught:
            load(write(GOOD), path)
        assert path.name in caught.value.detail
        assert not Bar.objects.exists()

    def test_missing(self, aaa, write, tmp_path) -> None:
        self.check(write, tmp_path / "none.csv", "No such file")

    def test_other_kind_of_file(self, aaa, write) -> None:
        self.check(write, write("x", "bars.xlsx"), r"must end in one of \.csv")

    def test_empty(self, aaa, write) -> None:
        self.check(write, write("", "empty.csv"), "first line is empty")

    def test_not_parquet(self, aaa, write) -> None:
        self.check(write, write("not parquet at all", "x.parquet"), "cannot be read")

    def test_not_gzip(self, aaa, write, tmp_path) -> None:
        (tmp_path / "x.csv.gz").write_bytes(b"not gzip")
        self.check(write, tmp_path / "x.csv.gz", "[Nn]ot a gzipped")

    @pytest.mark.parametrize("header", ["symbol,date,adj_close", "date,close"])
    def test_closes_only(self, aaa, write, header) -> None:
        self.check(write, write(f"{header}\n1,2\n", "closes.csv"), "closes only")

    def test_missing_column_is_named(self, aaa, write) -> None:
        self.check(write, write("date,open,high,close\n", "x.csv"), "no column low")

    def test_column_twice(self, aaa, write) -> None:
        self.check(write, write("date,open,high,low,close,Close\n", "x.csv"), "both the column close")

    def test_file_that_breaks_off_is_reported_and_the_others_are_stored(self, aaa, write, tmp_path) -> None:
        InstrumentFactory(symbol="BBB")
        whole = gzip.compress(GOOD.encode() + b"2012-01-06,1,1,1,1,1,1\n" * 50_000)
        (tmp_path / "AAA.csv.gz").write_bytes(whole[: len(whole) // 2])
        report = load(tmp_path / "AAA.csv.gz", write(GOOD, "BBB.csv"))
        assert "AAA.csv.gz: cannot be read" in report.errors[0]
        assert counts(report) == (3, 0, 0, 0)

    def test_unknown_symbol_asked_for(self, write) -> None:
        with pytest.raises(NotFound, match="'ZZZ'"):
            load(write(GOOD), symbol="ZZZ")
