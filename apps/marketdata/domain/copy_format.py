"""PostgreSQL's binary COPY format by NumPy: rows of fixed width, so a whole table is one structured array.

Format: https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4. Each row is a 16-bit field count, then for each
field a 32-bit length and the value, all big-endian. Times are microseconds since 2000-01-01 UTC. No field may be NULL.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
#: So many rows (some megabytes) go to the database at once.
BLOCK_ROWS = 50_000
EPOCH = np.datetime64("2000-01-01", "us")

#: PostgreSQL type -> (big-endian NumPy type on the wire, NumPy type in memory)
TYPES = {
    "bool": ("?", "?"),
    "int2": (">i2", "i2"),
    "int8": (">i8", "i8"),
    "float8": (">f8", "f8"),
    "timestamptz": (">i8", "datetime64[us]"),
}


@dataclass(frozen=True)
class Layout:
    """Names and PostgreSQL types of a COPY's columns, in order. One text column of constant content may be given as `text:N`."""

    columns: tuple[tuple[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)

    @cached_property
    def row(self) -> np.dtype:
        """One row on the wire: `fields`, then for each column `<name>_length` and `<name>`."""
        wire: list[tuple[str, str]] = [("fields", ">i2")]
        for name, kind in self.columns:
            wire += [(f"{name}_length", ">i4"), (name, _wire_type(kind))]
        return np.dtype(wire)

    def blocks(self, values: Mapping[str, object], count: int) -> Iterator[bytes | memoryview]:
        """The COPY of `count` rows in blocks. Each value is an array [count] or one scalar for all rows."""
        columns = {name: _to_wire(values[name], kind) for name, kind in self.columns}
        constant = np.zeros((), self.row)
        constant["fields"] = len(self.columns)
        for name, kind in self.columns:
            constant[f"{name}_length"] = np.dtype(_wire_type(kind)).itemsize
            if np.ndim(columns[name]) == 0:
                constant[name] = columns.pop(name)
        yield SIGNATURE
        for start in range(0, count, BLOCK_ROWS):
            rows = np.full(min(BLOCK_ROWS, count - start), constant)
            for name, column in columns.items():
                rows[name] = column[start : start + BLOCK_ROWS]
            yield rows.view(np.uint8).data
        yield TRAILER

    def decode(self, chunks: Sequence[bytes | bytearray | memoryview]) -> dict[str, NDArray]:
        """Columns of a COPY's result. Raises ValueError when the bytes are not rows of this layout (a NULL, another type)."""
        data = b"".join(chunks)
        if not data.startswith(SIGNATURE[:11]) or not data.endswith(TRAILER):
            raise ValueError("this is no complete binary COPY")
        rows = np.frombuffer(data, np.uint8)[len(SIGNATURE) : -len(TRAILER)]
        if len(rows) % self.row.itemsize:
            raise ValueError("the rows are not of this layout")
        table = rows.view(self.row)
        for name, kind in self.columns:
            if (table[f"{name}_length"] != np.dtype(_wire_type(kind)).itemsize).any():
                raise ValueError(f"column {name} holds NULL or is not of type {kind}")
        return {name: _from_wire(table[name], kind) for name, kind in self.columns}


def _wire_type(kind: str) -> str:
    return f"S{kind.removeprefix('text:')}" if kind.startswith("text:") else TYPES[kind][0]


def _to_wire(value: object, kind: str) -> NDArray:
    if kind == "timestamptz":
        return np.asarray(np.asarray(value, "datetime64[us]").view("i8") - EPOCH.view("i8"))
    return np.asarray(value)


def _from_wire(column: NDArray, kind: str) -> NDArray:
    if kind == "timestamptz":
        return EPOCH + column.astype("i8").view("timedelta64[us]")
    return column.astype(TYPES[kind][1])
