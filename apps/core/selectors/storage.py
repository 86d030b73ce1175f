"""How the time series are stored on this server: as hypertables or plain tables, and what the edition does for them."""

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connection, models

from apps.core.postgres.timescaledb import Edition, edition


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesStorage:
    """One time-series table. `chunk_days` and `chunks` are None for a plain table; `bytes` counts indexes and all chunks.

    `compression` and `retention` say what is in force, or are empty; `aggregates` names continuous aggregates over the table.
    """

    table: str
    time_column: str
    hypertable: bool
    chunk_days: float | None
    chunks: int | None
    bytes: int
    compression: str
    retention: str
    aggregates: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageStatus:
    """`hypertables_off` and `policies_off` say why not, and are empty when nothing stands in the way."""

    server_version: str
    timescaledb: Edition
    hypertables_off: str
    policies_off: str
    durable_commits: bool
    database_bytes: int
    series: tuple[SeriesStorage, ...]


def storage_status() -> StorageStatus:
    """Ask the database in use. Two queries, and a few more for hypertables."""
    found = edition(connection)
    with connection.cursor() as cursor:
        cursor.execute(
            "select current_setting('server_version'), current_setting('synchronous_commit') <> 'off' and current_setting('fsync') = 'on',"
            " pg_database_size(current_database())"
        )
        version, durable, size = cursor.fetchone()
        hypertables = _hypertables(cursor) if found.version else {}
        series = tuple(hypertables.get(table) or _plain(cursor, table, column) for table, column in sorted(_time_series()))
    return StorageStatus(
        server_version=version,
        timescaledb=found,
        hypertables_off=found.why_not,
        policies_off=found.why_not_community,
        durable_commits=durable,
        database_bytes=size,
        series=series,
    )


def _time_series() -> list[tuple[str, str]]:
    """Tables whose key contains a time, with that column: this is how the desk's models mark a time series."""
    found = []
    for model in apps.get_models():
        if isinstance(model._meta.pk, models.CompositePrimaryKey):
            times = [field.column for field in model._meta.pk_fields if isinstance(field, models.DateTimeField) and field.column]
            found += [(model._meta.db_table, times[0])] if times else []
    return found


def _plain(cursor: Any, table: str, column: str) -> SeriesStorage:
    cursor.execute("select coalesce(pg_total_relation_size(to_regclass(%s)), 0)", [f'"{table}"'])
    return SeriesStorage(
        table=table,
        time_column=column,
        hypertable=False,
        chunk_days=None,
        chunks=None,
        bytes=cursor.fetchone()[0],
        compression="",
        retention="",
        aggregates=(),
    )


def _hypertables(cursor: Any) -> dict[str, SeriesStorage]:
    cursor.execute(
        """
        select h.hypertable_name, d.column_name, extract(epoch from d.time_interval) / 86400, h.num_chunks,
            coalesce(hypertable_size(format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass), 0),
            (select 'older than ' || (j.config ->> 'compress_after') from timescaledb_information.jobs j
                where j.hypertable_name = h.hypertable_name and j.proc_name in ('policy_compression', 'policy_columnstore')),
            (select 'dropped after ' || (j.config ->> 'drop_after') from timescaledb_information.jobs j
                where j.hypertable_name = h.hypertable_name and j.proc_name = 'policy_retention'),
            array(select c.view_name::text from timescaledb_information.continuous_aggregates c where c.hypertable_name = h.hypertable_name)
        from timescaledb_information.hypertables h
        join timescaledb_information.dimensions d using (hypertable_schema, hypertable_name)
        where h.hypertable_schema = current_schema() and d.dimension_number = 1
        """
    )
    return {
        table: SeriesStorage(
            table=table,
            time_column=column,
            hypertable=True,
            chunk_days=float(days),
            chunks=chunks,
            bytes=size,
            compression=compression or "",
            retention=retention or "",
            aggregates=tuple(aggregates),
        )
        for table, column, days, chunks, size, compression, retention, aggregates in cursor.fetchall()
    }
