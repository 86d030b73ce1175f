"""Hypertables on a server with TimescaleDB; tests/recovery starts a desk on one without."""

from datetime import UTC, datetime

import pytest
from django.core.management import call_command
from django.db import connection, migrations, models
from django.db.migrations.state import ProjectState

from apps.core.operations import Hypertable
from apps.core.postgres.timescaledb import AggregatePlan, Edition, HypertablePlan, edition
from apps.core.selectors.storage import storage_status

PLAIN = Edition(available=None, loaded=False, version=None, licence=None)
APACHE = Edition(available="2.19.3", loaded=True, version="2.19.3", licence="apache")
COMMUNITY = Edition(available="2.19.3", loaded=True, version="2.19.3", licence="timescale")
PLAN = HypertablePlan(table="ticks", time_column="ts", chunk_days=7, segment_by="instrument_id", compress_after_days=30, keep_days=365)


class TestPlan:
    def test_plain_server_gets_no_statement(self) -> None:
        assert PLAN.statements(PLAIN) == []

    def test_server_started_without_the_library_gets_no_statement(self) -> None:
        unloaded = Edition(available="2.19.3", loaded=False, version=None, licence=None)
        assert PLAN.statements(unloaded) == []
        assert "shared_preload_libraries" in unloaded.why_not

    def test_apache_edition_gets_the_hypertable_alone(self) -> None:
        assert PLAN.statements(APACHE) == [PLAN.create()]
        assert "apache" in APACHE.why_not_community

    def test_community_edition_gets_compression_and_retention(self) -> None:
        create, compress, compression_policy, retention_policy = PLAN.statements(COMMUNITY)
        assert create == PLAN.create()
        assert "timescaledb.compress_segmentby = 'instrument_id'" in compress
        assert "add_compression_policy('\"ticks\"', interval '30 days'" in compression_policy
        assert "add_retention_policy('\"ticks\"', interval '365 days'" in retention_policy
        assert COMMUNITY.why_not_community == ""


class TestAggregatePlan:
    plan = AggregatePlan(view="weeks", table="bars", time_column="ts", key="instrument_id", bucket="1 week", where="timeframe = 1440")

    @pytest.mark.parametrize("found", [PLAIN, APACHE])
    def test_without_the_community_edition_there_is_no_statement(self, found: Edition) -> None:
        assert self.plan.statements(found) == []

    def test_community_edition_keeps_the_longer_bars(self) -> None:
        create, policy = self.plan.statements(COMMUNITY)
        assert create == (
            'create materialized view "weeks" with (timescaledb.continuous, timescaledb.materialized_only = false) as '
            "select instrument_id, time_bucket(interval '1 week', ts, 'UTC') as ts, first(open, ts) as open, max(high) as high, "
            'min(low) as low, last(close, ts) as close, sum(volume) as volume from "bars" where timeframe = 1440 '
            "group by instrument_id, time_bucket(interval '1 week', ts, 'UTC') with no data"
        )
        assert policy == (
            "select add_continuous_aggregate_policy('\"weeks\"', start_offset => null, end_offset => interval '1 week', "
            "schedule_interval => interval '1 day')"
        )


@pytest.fixture
def series_state() -> ProjectState:
    state = ProjectState()
    fields = [
        ("pk", models.CompositePrimaryKey("key", "ts")),
        ("key", models.IntegerField()),
        ("ts", models.DateTimeField()),
    ]
    migrations.CreateModel("Series", fields, options={"db_table": "operation_series"}).state_forwards("core", state)
    return state


@pytest.mark.timescaledb
@pytest.mark.django_db
class TestOnTimescaleDB:
    def test_operation_keeps_the_rows_and_splits_them_into_chunks(self, series_state: ProjectState) -> None:
        with connection.schema_editor() as editor:
            editor.execute("create table operation_series (key int, ts timestamptz, primary key (key, ts))")
            for month in (1, 2, 3):
                editor.execute("insert into operation_series values (1, %s)", [datetime(2024, month, 1, tzinfo=UTC)])
            Hypertable("Series", "ts", 30).database_forwards("core", editor, series_state, series_state)
        with connection.cursor() as cursor:
            cursor.execute("select count(*), (select count(*) from show_chunks('operation_series')) from operation_series")
            assert cursor.fetchone() == (3, 3)

    def test_every_time_series_of_the_desk_is_a_hypertable(self) -> None:
        status = storage_status()
        assert {series.table for series in status.series} >= {"marketdata_bar", "marketdata_tick", "portfolios_portfoliovalue"}
        assert [series.table for series in status.series if not series.hypertable] == []
        assert status.hypertables_off == ""
        bars = next(series for series in status.series if series.table == "marketdata_bar")
        assert (bars.time_column, bars.chunk_days) == ("ts", 365)

    def test_status_says_why_the_edition_does_not_compress(self) -> None:
        status = storage_status()
        assert edition(connection).licence == "apache"
        assert "the licence is apache" in status.policies_off


@pytest.mark.django_db
def test_command_prints_one_row_for_each_series(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("storage_status")
    printed = capsys.readouterr().out
    assert "PostgreSQL" in printed
    assert printed.count("marketdata_bar ") == 1
