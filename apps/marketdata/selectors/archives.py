"""Which time series can be archived, and what of them."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from django.db import connection, models

from apps.core.errors import InvalidInput
from apps.marketdata.domain.archives import SeriesTable
from apps.marketdata.models import Archive, Bar, DepthUpdate, OrderEvent, Quote, Tick, Trade

#: Kinds of columns by Django's field types.
KINDS: tuple[tuple[type[models.Field], str], ...] = (
    (models.DateTimeField, "time"),
    (models.BooleanField, "bool"),
    (models.FloatField, "float"),
    (models.IntegerField, "int"),
    (models.CharField, "text"),
)


#: Time series that may be archived, by short name. The database permits it for these alone (see the migration of ArchiveDrop).
ARCHIVABLE: Mapping[str, type[models.Model]] = {
    "bars": Bar,
    "depth": DepthUpdate,
    "order_events": OrderEvent,
    "quotes": Quote,
    "ticks": Tick,
    "trades": Trade,
}


@cache
def series_tables() -> Mapping[str, SeriesTable]:
    """The time series that may be archived by short name."""
    return {name: _series(name, model) for name, model in ARCHIVABLE.items()}


def series_table(name: str) -> SeriesTable:
    """One of them. Raises InvalidInput which lists the names."""
    found = series_tables().get(name)
    if found is None:
        raise InvalidInput(f"{name!r} is none of {', '.join(series_tables())}", field="table")
    return found


def _series(name: str, model: type[models.Model]) -> SeriesTable:
    fields = [field for field in model._meta.concrete_fields if field.column]
    kinds = [(str(field.column), next(kind for cls, kind in KINDS if isinstance(field, cls))) for field in fields]
    keys = model._meta.pk_fields
    time_column = next(str(field.column) for field in keys if isinstance(field, models.DateTimeField))
    key = tuple(str(field.column) for field in keys)
    return SeriesTable(name=name, table=model._meta.db_table, time_column=time_column, key=key, columns=tuple(kinds))


def first_time(series: SeriesTable, before: datetime) -> datetime | None:
    """Time of the oldest row before a moment; None when there is none."""
    with connection.cursor() as cursor:
        cursor.execute(f'select min("{series.time_column}") from "{series.table}" where "{series.time_column}" < %s', [before])  # noqa: S608
        found: datetime | None = cursor.fetchone()[0]
    return found


def rows_between(series: SeriesTable, lower: datetime, upper: datetime) -> tuple[int, str, datetime | None, datetime | None]:
    """Count, the database's digest, first and last time of the rows in [lower, upper)."""
    with connection.cursor() as cursor:
        cursor.execute("select * from marketdata_rows_digest(%s, %s, %s, %s)", [series.table, series.time_column, lower, upper])
        count, digest, first, last = cursor.fetchone()
    return count, digest, first, last


def archives(**filters: Any) -> "models.QuerySet[Archive]":
    """Archives with what became of them, the newest first."""
    return Archive.objects.filter(**filters).select_related("dropped").order_by("-id")
