"""Series of single values out of the database: one query by binary COPY, the latest revision that counts picked in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from numpy.typing import NDArray

from apps.marketdata.domain.copy_format import Layout
from apps.marketdata.domain.points import latest_revisions
from apps.marketdata.selectors.bars import copy_out


@dataclass(frozen=True, slots=True, kw_only=True)
class PointTable:
    """A table of revised rows: whose they are (`owner`), the smallints that every query fixes, and the values of a row with their types.

    Numbers that are not further apart than `tolerance` are the same number: computed ones carry rounding, given ones none. With `by_time`
    the table's key has the time before the owner.
    """

    name: str
    owner: str
    fixed: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = (("value", "float8"),)
    tolerance: float = 0.0
    by_time: bool = False

    @property
    def layout(self) -> Layout:
        """Columns as they are read."""
        return Layout(((self.owner, "int8"), ("ts", "timestamptz"), ("revision", "int2"), *self.values))

    @property
    def value_names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.values)


CLOSES = PointTable(name="marketdata_closeprice", owner="instrument_id", fixed=("adjustment",))
REFERENCES = PointTable(name="marketdata_referencepoint", owner="series_id")


def points_read(
    table: PointTable,
    owners: Sequence[int] | None,
    lower: datetime,
    upper: datetime,
    *,
    fixed: Mapping[str, int] | None = None,
    as_of: datetime | None = None,
    at: Sequence[datetime] | None = None,
) -> dict[str, NDArray]:
    """Columns owner, ts, revision and the table's values of the half-open range, sorted by owner and time, of all owners with None.

    `at` names the times that count, for which the database looks one by one: quicker where the key has the time before the owner.

    Of several revisions the latest counts that the desk knew at `as_of` (None: now).
    """
    conditions, parameters = _where(table, owners, lower, upper, fixed, as_of)
    if at is not None:
        conditions, parameters["at"] = f"{conditions} and ts = any(%(at)s)", list(at)
    query = f"select {', '.join(table.layout.names)} from {table.name} where {conditions}"  # noqa: S608 - names are constants of this module
    columns = copy_out(query, parameters, table.layout)
    columns["owner"] = columns.pop(table.owner)
    return latest_revisions(columns)


def points_present(table: PointTable, owners: Sequence[int], lower: datetime, upper: datetime, *, fixed: Mapping[str, int] | None = None) -> bool:
    """Whether anything is stored in the range."""
    conditions, parameters = _where(table, owners, lower, upper, fixed, None)
    with connection.cursor() as cursor:
        cursor.execute(f"select exists(select 1 from {table.name} where {conditions})", parameters)  # noqa: S608
        return bool(cursor.fetchone()[0])


def _where(
    table: PointTable, owners: Sequence[int] | None, lower: datetime, upper: datetime, fixed: Mapping[str, int] | None, as_of: datetime | None
) -> tuple[str, dict[str, Any]]:
    conditions = ["ts >= %(lower)s", "ts < %(upper)s", *(f"{name} = %({name})s" for name in table.fixed)]
    if owners is not None:
        conditions.append(f"{table.owner} = any(%(owners)s)")
    if as_of is not None:
        conditions.append("recorded_at <= %(as_of)s")
    parameters = {"lower": lower, "upper": upper, "owners": None if owners is None else list(owners), "as_of": as_of, **(fixed or {})}
    return " and ".join(conditions), parameters
