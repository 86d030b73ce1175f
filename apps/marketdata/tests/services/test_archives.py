"""Old rows into verified files and out of the database: nothing is lost, whatever goes wrong."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from apps.core.errors import Conflict, IntegrityBroken, InvalidInput
from apps.core.models import JournalEntry
from apps.core.postgres.timescaledb import edition
from apps.marketdata.domain.archives import months
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Archive, ArchiveDrop, Bar, RetentionPolicy, Tick
from apps.marketdata.selectors.archives import rows_between, series_table
from apps.marketdata.selectors.bars import bar_series
from apps.marketdata.selectors.quotes import Quote
from apps.marketdata.services.archives import archive_drop, archive_restore, archive_run, archive_write, retention_run
from apps.marketdata.services.feeds.replay import ticks_store
from apps.marketdata.tests.factories import InstrumentFactory, make_series, store_series

pytestmark = pytest.mark.django_db

AT = datetime(2026, 1, 15, 4, tzinfo=UTC)
YEAR_END = datetime(2013, 1, 1, tzinfo=UTC)
CLOSES = (50 + np.arange(300) * 0.07 + 1 / 3).tolist()


@pytest.fixture
def bars() -> None:
    store_series(make_series("AAA", CLOSES), make_series("BBB", CLOSES[:50]))
    revised = CLOSES.copy()
    revised[10] = 51.5
    store_series(make_series("AAA", revised))


def everything() -> list[tuple[object, ...]]:
    return list(Bar.objects.order_by("instrument_id", "ts", "revision").values_list())


def run(folder: Path, **changes: object):
    return archive_run(**{"table": "bars", "before": YEAR_END, "folder": folder, "at": AT, **changes})


class TestArchive:
    def test_rows_go_month_by_month_and_come_back_the_same(self, bars, tmp_path) -> None:
        before = everything()
        done = run(tmp_path)
        assert [item.lower.month for item in done] == list(range(1, 13))
        assert sum(item.rows for item in done) == len([row for row in before if row[2] < YEAR_END])
        assert everything() == [row for row in before if row[2] >= YEAR_END]
        assert len(bar_series(symbol="AAA", timeframe=Timeframe.DAY)) == 50
        assert run(tmp_path) == ()
        for item in done:
            archive_restore(manifest=(tmp_path / item.file).with_suffix(".json"))
        assert everything() == before
        assert [item.rows for item in run(tmp_path)] == [item.rows for item in done]

    def test_says_what_it_did(self, bars, tmp_path) -> None:
        (first, *_) = run(tmp_path)
        manifest = json.loads((tmp_path / first.file).with_suffix(".json").read_text())
        archive = Archive.objects.earliest("lower")
        assert (manifest["table"], manifest["rows"], manifest["file_sha256"]) == ("bars", archive.rows, archive.file_sha256)
        assert (archive.min_time, archive.max_time) == (datetime(2012, 1, 3, tzinfo=UTC), datetime(2012, 1, 31, tzinfo=UTC))
        assert archive.dropped.rows == archive.rows
        assert JournalEntry.objects.filter(table_name="marketdata_archivedrop").count() == 12

    def test_dry_run_writes_and_drops_nothing(self, bars, tmp_path) -> None:
        before = everything()
        done = run(tmp_path, dry_run=True)
        assert (len(done), {item.dropped for item in done}, everything() == before, list(tmp_path.iterdir())) == (12, {False}, True, [])

    def test_many_rows_make_several_files(self, bars, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr("apps.marketdata.services.archives.MOST_ROWS", 20)
        before = everything()
        done = run(tmp_path)
        assert len(done) > 12
        assert sum(item.rows for item in done) == len(before) - len(everything())

    def test_ticks_by_their_time_of_receipt(self, tmp_path) -> None:
        item = InstrumentFactory(symbol="AAA")
        for day in (1, 2, 20):
            at = AT - timedelta(days=day + 29)
            quote = Quote(symbol="AAA", instrument_id=item.pk, price=Decimal("1.25"), market_time=at, received_at=at, feed='live "quoted", é')
            ticks_store(quotes=[quote], feed='live "quoted", é')
        before = list(Tick.objects.order_by("received_at").values_list())
        assert retention_run(folder=tmp_path, at=AT) == {"ticks": 2}
        assert Tick.objects.count() == 1
        for manifest in tmp_path.glob("ticks/*.json"):
            archive_restore(manifest=manifest)
        assert list(Tick.objects.order_by("received_at").values_list()) == before

    def test_bars_are_kept_for_ever_unless_somebody_says_otherwise(self, bars, tmp_path) -> None:
        assert RetentionPolicy.objects.get(table="bars").keep_days is None
        assert retention_run(folder=tmp_path, at=AT) == {"ticks": 0}

    @pytest.mark.parametrize(
        ("changes", "field"),
        [({"table": "orders"}, "table"), ({"before": AT + timedelta(days=1)}, "before"), ({"before": datetime(2012, 1, 1)}, "before")],  # noqa: DTZ001
    )
    def test_bad_input(self, tmp_path, changes, field) -> None:
        with pytest.raises(InvalidInput) as refused:
            run(tmp_path, **changes)
        assert refused.value.field == field


class TestNothingIsLost:
    @pytest.fixture
    def archive(self, bars, tmp_path) -> Archive:
        return archive_write(
            series=series_table("bars"), lower=datetime(2012, 1, 1, tzinfo=UTC), upper=datetime(2012, 2, 1, tzinfo=UTC), folder=tmp_path, at=AT
        )

    def drop(self, archive: Archive, folder: Path) -> None:
        archive_drop(archive_id=archive.pk, folder=folder, at=AT)

    def test_when_one_byte_of_the_file_changed(self, archive, tmp_path) -> None:
        file = tmp_path / archive.file
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        before = everything()
        with pytest.raises(IntegrityBroken, match="not the file"):
            self.drop(archive, tmp_path)
        assert everything() == before
        with pytest.raises(IntegrityBroken):
            archive_restore(manifest=file.with_suffix(".json"))

    def test_when_the_file_is_gone(self, archive, tmp_path) -> None:
        (tmp_path / archive.file).unlink()
        before = everything()
        with pytest.raises(IntegrityBroken, match="cannot be read"):
            self.drop(archive, tmp_path)
        assert everything() == before

    def test_when_a_row_came_since(self, archive, tmp_path) -> None:
        store_series(make_series("LATE", [1.0]))
        before = everything()
        with pytest.raises(Conflict, match="they are not the"):
            self.drop(archive, tmp_path)
        assert everything() == before
        assert not ArchiveDrop.objects.exists()

    def test_when_somebody_deletes_by_hand(self, archive) -> None:
        before = everything()
        with connection.cursor() as cursor:
            cursor.execute("select set_config('desk.archive_drop', 'marketdata_bar', true)")
        for statement in ("delete from marketdata_bar", "update marketdata_bar set close = close", "truncate marketdata_bar"):
            with pytest.raises(IntegrityError, match="refused"), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement)
        assert everything() == before

    @pytest.mark.parametrize("table", ["core_journalentry", "marketdata_instrument", "nowhere"])
    def test_of_a_table_that_is_not_archived(self, bars, table) -> None:
        forged = Archive.objects.create(
            table_name=table,
            lower=datetime(2000, 1, 1, tzinfo=UTC),
            upper=AT,
            rows=1,
            min_time=YEAR_END,
            max_time=YEAR_END,
            digest="",
            content_sha256="",
            file_sha256="",
            file="",
            verified_at=AT,
        )
        with pytest.raises(IntegrityError, match="never dropped"), transaction.atomic():
            ArchiveDrop.objects.create(archive=forged, rows=1, dropped_at=AT)

    def test_when_it_is_dropped_already(self, archive, tmp_path) -> None:
        self.drop(archive, tmp_path)
        with pytest.raises(Conflict, match="already"):
            self.drop(archive, tmp_path)

    def test_when_rows_to_restore_are_there(self, archive, tmp_path) -> None:
        before = everything()
        with pytest.raises(Conflict, match="there already"):
            archive_restore(manifest=(tmp_path / archive.file).with_suffix(".json"))
        assert everything() == before

    def test_when_the_run_is_interrupted_its_archive_is_used_again(self, archive, tmp_path) -> None:
        (first, *_) = run(tmp_path, before=datetime(2012, 2, 1, tzinfo=UTC), at=AT)
        assert first.dropped


@pytest.mark.timescaledb
class TestOnTimescaleDB:
    def test_whole_chunks_are_dropped_and_rows_around_them_stay(self, bars, tmp_path) -> None:
        assert edition(connection).version
        item = InstrumentFactory(symbol="AAA")
        for hour in range(0, 72, 3):
            at = AT - timedelta(days=60) + timedelta(hours=hour)
            quote = Quote(symbol="AAA", instrument_id=item.pk, price=Decimal(1), market_time=at, received_at=at, feed="live")
            ticks_store(quotes=[quote], feed="live")
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from show_chunks('marketdata_tick')")
            (chunks,) = cursor.fetchone()
        before = (AT - timedelta(days=58)).replace(hour=12)
        kept = list(Tick.objects.filter(received_at__gte=before).order_by("received_at").values_list())
        done = archive_run(table="ticks", before=before, folder=tmp_path, at=AT)
        assert sum(item.rows for item in done) + len(kept) == 24
        assert list(Tick.objects.order_by("received_at").values_list()) == kept
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from show_chunks('marketdata_tick')")
            assert cursor.fetchone()[0] < chunks


def test_digest_is_the_same_in_any_order_and_different_for_any_value(bars) -> None:
    series = series_table("bars")
    stretch = (datetime(2012, 1, 1, tzinfo=UTC), datetime(2012, 2, 1, tzinfo=UTC))
    first = rows_between(series, *stretch)
    assert first == rows_between(series, *stretch)
    store_series(make_series("CCC", [50.0]))
    assert rows_between(series, *stretch)[:2] != first[:2]


def test_months_are_cut_at_their_first_day() -> None:
    cut = months(datetime(2011, 12, 30, tzinfo=UTC), datetime(2012, 3, 2, tzinfo=UTC))
    assert [(a.date(), b.date()) for a, b in cut] == [
        (date(2011, 12, 30), date(2012, 1, 1)),
        (date(2012, 1, 1), date(2012, 2, 1)),
        (date(2012, 2, 1), date(2012, 3, 1)),
        (date(2012, 3, 1), date(2012, 3, 2)),
    ]


class TestCommands:
    def test_archive_and_restore(self, bars, tmp_path, settings, capsys) -> None:
        settings.ARCHIVE = tmp_path
        before = everything()
        call_command("archive_data", before="2012-02-01", table="bars", dry_run=True)
        assert "would go" in capsys.readouterr().out
        assert everything() == before
        call_command("archive_data", before="2012-02-01", table="bars", json=True)
        printed = json.loads(capsys.readouterr().out)
        assert (printed["rows"], len(printed["files"])) == (len(before) - len(everything()), 1)
        call_command("archive_restore", str((tmp_path / printed["files"][0]["file"]).with_suffix(".json")))
        assert everything() == before

    def test_without_a_table_the_policies_count(self, bars, tmp_path, settings, capsys) -> None:
        settings.ARCHIVE = tmp_path
        call_command("archive_data", before="2013-01-01")
        assert "0 rows archived" in capsys.readouterr().out
        with pytest.raises(CommandError, match="no date"):
            call_command("archive_data", before="soon")
