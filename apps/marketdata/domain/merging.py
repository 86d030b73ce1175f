"""What is new in rows that somebody gives, against rows that the desk has."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from apps.marketdata.domain.bars import FIELDS


class Change(IntEnum):
    """What storing a row does: a new bar, a new revision of a known bar, or nothing."""

    INSERTED = 0
    REVISED = 1
    UNCHANGED = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BarRows:
    """Bars of any instruments, one row each: `instrument_id` int64 [T], `ts` datetime64[us] [T], the five fields float64 [T]."""

    instrument_id: NDArray[np.int64]
    ts: NDArray[np.datetime64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, rows: NDArray) -> "BarRows":
        """The rows of a mask or an index."""
        return BarRows(**{name: getattr(self, name)[rows] for name in self.__slots__})

    def columns(self) -> dict[str, NDArray]:
        return {name: getattr(self, name) for name in self.__slots__}


def classify(given: BarRows, stored: Mapping[str, NDArray]) -> tuple[NDArray[np.int8], NDArray[np.int16]]:
    """For each given row what it changes (`Change`) [T], and the revision under which it would be stored [T].

    `stored` holds the latest revision of each bar, sorted by instrument_id and ts, with its `revision`. Equal means equal float64.
    """
    change = np.full(len(given), Change.INSERTED, np.int8)
    revision = np.zeros(len(given), np.int16)
    if not len(stored["ts"]):
        return change, revision
    at, known = locate(given.instrument_id, given.ts, stored["instrument_id"], stored["ts"])
    same = known.copy()
    for name in FIELDS:
        same &= getattr(given, name) == stored[name][at]
    change[known] = Change.REVISED
    change[same] = Change.UNCHANGED
    revision[known] = stored["revision"][at[known]] + 1
    return change, revision


def locate(owner: NDArray, ts: NDArray, stored_owner: NDArray, stored_ts: NDArray) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where each (owner, ts) stands among the stored ones, which are sorted by both [T], and whether it is there at all [T]."""
    if not len(stored_ts):
        return np.zeros(len(ts), np.intp), np.zeros(len(ts), bool)
    ids = np.unique(stored_owner)
    keys = _keys(stored_owner, stored_ts, ids)
    wanted = _keys(owner, ts, ids)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return at, (keys[at] == wanted) & np.isin(owner, ids)


def _keys(instrument_id: NDArray, ts: NDArray, ids: NDArray) -> NDArray[np.int64]:
    """One sortable number per row. Times are whole seconds (validated before), so 33 bits are enough for them."""
    seconds = ts.astype("datetime64[s]").astype(np.int64) + (1 << 36)
    return (np.searchsorted(ids, instrument_id) << 37) + seconds
