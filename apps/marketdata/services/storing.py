"""Puts bars into the table: new rows by binary COPY, different values as a new revision, equal values not at all."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from apps.core.locks import lock_transaction
from apps.marketdata.domain.bars import FIELDS
from apps.marketdata.domain.copy_format import Layout
from apps.marketdata.domain.merging import BarRows, Change, classify
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.validation import off_range
from apps.marketdata.models import BarSource
from apps.marketdata.selectors.bars import REVISED, bars_by_id, bars_present

STORED = Layout(
    (
        ("instrument_id", "int8"),
        ("timeframe", "int2"),
        ("ts", "timestamptz"),
        ("revision", "int2"),
        *((name, "float8") for name in FIELDS),
        ("source_id", "int2"),
        ("recorded_at", "timestamptz"),
    )
)
#: The same with the mark of an index's bar whose open or close lies outside low to high; ordinary rows do without its six bytes.
OFF_RANGE = Layout((*STORED.columns, ("off_range", "bool")))

#: How long an import waits for another import of the same instruments.
LOCK_TIMEOUT_MS = 60_000


def bar_source_id(name: str) -> int:
    """Number of a source, made when it is new."""
    source, _ = BarSource.objects.get_or_create(name=name)
    return source.pk


def bars_lock(instrument_ids: Iterable[int], timeframe: Timeframe) -> None:
    """Let no other transaction store bars of these instruments and this time frame until ours ends."""
    lock_transaction(*(f"marketdata.bars:{pk}:{timeframe.code}" for pk in instrument_ids), timeout_ms=LOCK_TIMEOUT_MS)


def bars_merge(
    rows: BarRows, *, timeframe: Timeframe, source_id: int, recorded_at: datetime, dry_run: bool = False, indices: Collection[int] = ()
) -> NDArray[np.int8]:
    """Store valid rows without duplicates inside the caller's transaction, which holds `bars_lock`. Returns a `Change` per row.

    Only rows of `indices` (instrument ids) may have an open or close outside low to high; the database refuses any other.
    """
    if not len(rows):
        return np.zeros(0, np.int8)
    change, revision = classify(rows, _stored(rows, timeframe))
    write = np.flatnonzero(change != Change.UNCHANGED)
    if len(write) and not dry_run:
        write = write[np.lexsort((rows.ts[write], rows.instrument_id[write]))]  # neighbours in the index are written together
        known = {
            "timeframe": int(timeframe),
            "source_id": source_id,
            "recorded_at": np.datetime64(recorded_at.astimezone(UTC).replace(tzinfo=None), "us"),
        }
        off = off_range(rows, indices)[write] if indices else np.zeros(len(write), bool)
        for layout, part in ((STORED, write[~off]), (OFF_RANGE, write[off])):
            if len(part):
                columns = rows.take(part).columns() | known | {"revision": revision[part], "off_range": True}
                statement = f"copy marketdata_bar ({', '.join(layout.names)}) from stdin (format binary)"
                copy_in(statement, layout.blocks(columns, len(part)))
    return change


def copy_in(statement: str, blocks: Iterable[bytes | memoryview]) -> None:
    """Send a binary COPY to the database, which works on one block while the next is made."""
    with connection.cursor() as cursor, cursor.cursor.copy(statement) as copy:
        for block in blocks:
            copy.write(block)


def changes(change: NDArray[np.int8]) -> dict[str, int]:
    """Counts by name: inserted, revised, unchanged."""
    counts = np.bincount(change, minlength=len(Change))
    return {kind.name.lower(): int(counts[kind]) for kind in Change}


def _stored(rows: BarRows, timeframe: Timeframe) -> dict[str, NDArray]:
    ids = np.unique(rows.instrument_id).tolist()
    lower = rows.ts.min().item().replace(tzinfo=UTC)
    upper = rows.ts.max().item().replace(tzinfo=UTC) + timedelta(microseconds=1)
    if not bars_present(ids, timeframe, lower, upper):
        return {name: np.empty(0, "datetime64[us]" if name == "ts" else "f8") for name in REVISED.names}
    return bars_by_id(ids, timeframe, lower, upper, revisions=True)
