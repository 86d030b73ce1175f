"""What an archive file holds: columns of a table in the order of its key, one row after the other, and the hash of their values."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = "archive/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesTable:
    """A time series that can be archived: its short name, its table, the column of its time, names and types of all its columns.

    Types are "int", "float", "time", "bool" and "text".
    """

    name: str
    table: str
    time_column: str
    key: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]


def months(lower: datetime, upper: datetime) -> list[tuple[datetime, datetime]]:
    """Half-open stretches [from, to) in UTC that cover [lower, upper), cut at the first of each month."""
    stretches = []
    start = lower
    while start < upper:
        first = datetime(start.year, start.month, 1, tzinfo=UTC)
        end = min((first + timedelta(days=32)).replace(day=1), upper)
        stretches.append((start, end))
        start = end
    return stretches


def content_hash(series: SeriesTable, table: "pa.Table") -> str:
    """SHA-256 in hex of names and values, column by column: the same for the same rows in the same order, however the file is written."""
    import pyarrow.compute as pc

    digest = hashlib.sha256(f"{VERSION}\0{series.table}\0{table.num_rows}".encode())
    for name, kind in series.columns:
        digest.update(f"\0{name}\0{kind}\0".encode())
        column = table.column(name)
        if column.null_count:
            raise ValueError(f"column {name} has {column.null_count} empty cells")
        if kind == "text":
            digest.update("\0".join(f"{len(text)}:{text}" for text in column.to_pylist()).encode())
        elif kind == "bool":
            digest.update(bytes(column.to_pylist()))
        else:
            values = pc.cast(column, "int64") if kind == "time" else column
            digest.update(values.to_numpy().astype("<f8" if kind == "float" else "<i8").tobytes())
    return digest.hexdigest()
