"""Puts series of single values into the database: new rows by binary COPY, different values as a new revision, equal values not at all."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from apps.marketdata.domain.copy_format import Layout
from apps.marketdata.domain.merging import Change
from apps.marketdata.domain.points import classify_columns
from apps.marketdata.selectors.points import PointTable, points_present, points_read
from apps.marketdata.services.storing import copy_in

#: Columns that a row of some table has beside its values: name and type.
BESIDE = {"source_id": "int2", "run_id": "int8"}


def points_merge(
    table: PointTable,
    rows: Mapping[str, NDArray],
    *,
    fixed: Mapping[str, int] | None = None,
    beside: Mapping[str, int] | None = None,
    recorded_at: datetime,
    dry_run: bool = False,
) -> NDArray[np.int8]:
    """Store rows (`owner`, `ts` and the table's values, no two for the same owner and time) inside the caller's transaction and lock.

    `fixed` are the key's smallints, `beside` what stands in a row besides. Returns a `Change` per row.
    """
    fixed, beside = dict(fixed or {}), dict(beside or {})
    if not len(rows["ts"]):
        return np.zeros(0, np.int8)
    change, revision = classify_columns(rows, _stored(table, rows, fixed), table.value_names, table.tolerance)
    write = np.flatnonzero(change != Change.UNCHANGED)
    if len(write) and not dry_run:
        by = ("owner", "ts") if table.by_time else ("ts", "owner")  # as the key is: neighbours in it are written together
        write = write[np.lexsort([rows[name][write] for name in by])]
        layout = _layout(table, beside)
        columns: dict[str, object] = {name: values[write] for name, values in rows.items() if name != "owner"}
        columns |= {table.owner: rows["owner"][write], "revision": revision[write], **fixed, **beside}
        columns["recorded_at"] = np.datetime64(recorded_at.astimezone(UTC).replace(tzinfo=None), "us")
        copy_in(f"copy {table.name} ({', '.join(layout.names)}) from stdin (format binary)", layout.blocks(columns, len(write)))
    return change


def _layout(table: PointTable, beside: Mapping[str, int]) -> Layout:
    return Layout(
        (
            (table.owner, "int8"),
            *((name, "int2") for name in table.fixed),
            ("ts", "timestamptz"),
            ("revision", "int2"),
            *table.values,
            *((name, BESIDE[name]) for name in beside),
            ("recorded_at", "timestamptz"),
        )
    )


def _stored(table: PointTable, rows: Mapping[str, NDArray], fixed: Mapping[str, int]) -> dict[str, NDArray]:
    owners = np.unique(rows["owner"]).tolist()
    lower = rows["ts"].min().item().replace(tzinfo=UTC)
    upper = rows["ts"].max().item().replace(tzinfo=UTC) + timedelta(microseconds=1)
    if not points_present(table, owners, lower, upper, fixed=fixed):
        return {name: np.empty(0, "datetime64[us]" if name == "ts" else "i8") for name in ("owner", "ts", "revision", *table.value_names)}
    return points_read(table, owners, lower, upper, fixed=fixed)
