"""What the database itself refuses and records, whichever way a change comes."""

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.core.models import JournalEntry
from apps.marketdata.models import Bar
from apps.marketdata.tests.factories import InstrumentFactory, make_series, store_series

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("statement", ["update marketdata_bar set close = 1", "delete from marketdata_bar", "truncate marketdata_bar"])
def test_bars_are_only_added(statement: str) -> None:
    store_series(make_series("AAA", [10.0, 11.0]))
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert Bar.objects.count() == 2


@pytest.mark.parametrize(
    "bad",
    [
        {"low": 0.0},
        {"low": float("nan")},
        {"high": float("nan")},
        {"high": float("inf")},
        {"close": 12.0},
        {"open": 8.0},
        {"close": float("nan")},
        {"volume": -1.0},
        {"volume": float("nan")},
    ],
    ids=str,
)
def test_impossible_bars_are_refused(bad: dict[str, float]) -> None:
    good = {"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.0, "volume": 1.0}
    other = {"timeframe": 1440, "ts": "2012-01-03T00:00Z", "source_id": 1, "recorded_at": "2026-01-01T00:00Z"}
    Bar.objects.create(instrument_id=1, **good, **other)
    with pytest.raises(IntegrityError, match="bar_values"), transaction.atomic():
        Bar.objects.create(instrument_id=2, **{**good, **bad}, **other)


def test_instruments_are_journalled_and_their_history_kept() -> None:
    instrument = InstrumentFactory(symbol="AAA")
    instrument.tradable = False
    instrument.save()
    entries = JournalEntry.objects.filter(table_name="marketdata_instrument", row_id=str(instrument.pk)).order_by("id")
    assert [(entry.operation, entry.new["tradable"]) for entry in entries] == [("insert", True), ("update", False)]
    assert instrument.history.count() == 2
    with pytest.raises(DatabaseError), transaction.atomic():
        instrument.history.all().delete()


@pytest.mark.timescaledb
def test_bars_and_ticks_are_hypertables_where_timescaledb_is() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from pg_extension where extname = 'timescaledb'")
        if not cursor.fetchone()[0]:
            pytest.skip("this server has no TimescaleDB")
        cursor.execute("select hypertable_name from timescaledb_information.hypertables")
        assert {"marketdata_bar", "marketdata_tick"} <= {name for (name,) in cursor.fetchall()}
