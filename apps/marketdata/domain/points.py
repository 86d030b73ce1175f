"""Series of single values: closes without bars, interest rates, factor returns. What is new in values that somebody gives."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain.merging import Change, locate


class CloseKind(IntEnum):
    """What a series of closes holds: closes as traded, or closes adjusted by their source for splits and dividends."""

    NONE = 0
    TOTAL_RETURN = 1

    @property
    def code(self) -> str:
        """ "none" or "total_return"."""
        return self.name.lower()

    @classmethod
    def parse(cls, code: str) -> "CloseKind":
        """The kind of a code. Raises InvalidInput which lists the codes."""
        for kind in cls:
            if kind.code == code:
                return kind
        raise InvalidInput(f"{code!r} is none of {', '.join(kind.code for kind in cls)}", field="adjustment")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PointRows:
    """Values of any series, one row each: `owner` int64 [T] (an instrument or a series), `ts` datetime64[us] [T], `value` float64 [T]."""

    owner: NDArray[np.int64]
    ts: NDArray[np.datetime64]
    value: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def instrument_id(self) -> NDArray[np.int64]:
        """The owner, as checks of rows know it."""
        return self.owner

    def take(self, rows: NDArray) -> "PointRows":
        """The rows of a mask or an index."""
        return PointRows(owner=self.owner[rows], ts=self.ts[rows], value=self.value[rows])

    def columns(self) -> dict[str, NDArray]:
        return {name: getattr(self, name) for name in self.__slots__}


def classify_columns(
    given: Mapping[str, NDArray], stored: Mapping[str, NDArray], names: Sequence[str], tolerance: float = 0.0
) -> tuple[NDArray[np.int8], NDArray[np.int16]]:
    """For each given row what it changes (`Change`) [T], and the revision under which it would be stored [T].

    Rows are told apart by `owner` and `ts`, and equal when all columns of `names` are within `tolerance`, NaN with NaN. `stored` holds
    the latest revision of each row, sorted by owner and ts, with its `revision`.
    """
    change = np.full(len(given["ts"]), Change.INSERTED, np.int8)
    revision = np.zeros(len(given["ts"]), np.int16)
    if not len(stored["ts"]):
        return change, revision
    at, known = locate(given["owner"], given["ts"], stored["owner"], stored["ts"])
    same = known.copy()
    for name in names:
        there = stored[name][at]
        same &= (np.abs(given[name] - there) <= tolerance) | (np.isnan(given[name]) & np.isnan(there))
    change[known] = Change.REVISED
    change[same] = Change.UNCHANGED
    revision[known] = stored["revision"][at[known]] + 1
    return change, revision


def latest_revisions(columns: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Of rows in any order the last revision of each (owner, ts), sorted by both."""
    order = np.lexsort((columns["revision"], columns["ts"], columns["owner"]))
    owner, ts = columns["owner"][order], columns["ts"][order]
    last = np.ones(len(order), bool)
    last[:-1] = (owner[1:] != owner[:-1]) | (ts[1:] != ts[:-1])
    return {name: values[order[last]] for name, values in columns.items()}


def values_fingerprint(symbols: Sequence[str], ts: NDArray[np.datetime64], *values: NDArray[np.float64]) -> str:
    """SHA-256 in hex of symbols, times and values: equal for equal data on every machine, different after any revision."""
    digest = hashlib.sha256("\x00".join(("values/1", *symbols)).encode())
    digest.update(np.int64(len(ts)).astype("<i8").tobytes())
    digest.update(ts.astype("datetime64[us]").astype("<i8").tobytes())
    for array in values:
        canonical = np.where(np.isnan(array), np.nan, array + 0.0)  # one NaN, no minus zero
        digest.update(np.ascontiguousarray(canonical, "<f8").tobytes())
    return digest.hexdigest()
