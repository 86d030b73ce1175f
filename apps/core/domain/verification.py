"""What is wrong with a sealed journal: a walk along the chain that names the first bad row and what was done to it.

Pure and streaming: rows come in order from iterators, and no more than one is held.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from apps.core.domain.chain import GENESIS, Entry, entry_digest, entry_event, link_hash

#: PostgreSQL keeps the low 32 bits of a transaction's id in each row.
XID_MASK = 0xFFFF_FFFF


class Tampering(StrEnum):
    """What was done."""

    ALTERED = "altered"
    MISSING = "missing"
    INSERTED = "inserted"
    REORDERED = "reordered"
    TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The first bad row. `seq` is its place in the chain (None for a row that is not sealed), `entry_id` its row in the journal."""

    kind: Tampering
    seq: int | None
    entry_id: int | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SealMark:
    """A batch of links. All transactions below `horizon` had ended and were sealed with it."""

    first_seq: int
    last_seq: int
    hash: str
    horizon: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainRow:
    """A link, the entry that it points to (None when that is gone), and the seal that ends with it, if one does."""

    seq: int
    entry_id: int
    digest: str
    hash: str
    entry: Entry | None
    seal: SealMark | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Head of the chain as it was written outside the database."""

    seq: int
    hash: str
    at: datetime


class ChainWalk:
    """One pass over the chain. `seq` and `hash` are the last good link afterwards."""

    def __init__(self, *, anchors: Iterable[Anchor], last_seal: SealMark | None) -> None:
        self.seq = 0
        self.hash = GENESIS
        self._sealed = 0
        self._anchored = 0
        self._last_seal = last_seal
        self._anchors = (anchor for anchor in anchors if anchor.seq > 0)
        self._anchor = next(self._anchors, None)

    def run(self, rows: Iterator[ChainRow]) -> Finding | None:
        """The first bad row, None when the chain is whole."""
        for row in rows:
            finding = self._link(row, rows) or self._seal(row) or self._anchor_of(row)
            if finding is not None:
                return finding
            self.seq, self.hash = row.seq, row.hash
        return self._end()

    def _link(self, row: ChainRow, rest: Iterator[ChainRow]) -> Finding | None:
        expected = self.seq + 1
        if row.seq != expected:
            return Finding(kind=Tampering.MISSING, seq=expected, entry_id=None, detail=f"link {expected} is gone; the next is {row.seq}")
        entry = row.entry
        if entry is None:
            return self._gone(row, rest)
        if entry_digest(entry) != row.digest or entry.digest != row.digest:
            return self._changed(row, entry, rest)
        if link_hash(self.hash, entry_event(entry, row.seq)) != row.hash:
            return self._relinked(row, rest)
        return None

    def _gone(self, row: ChainRow, rest: Iterator[ChainRow]) -> Finding:
        later = any(other.entry is not None for other in rest)
        kind = Tampering.MISSING if later else Tampering.TRUNCATED
        detail = f"sealed entry {row.entry_id} is gone" if later else f"sealed entry {row.entry_id} and all after it are gone"
        return Finding(kind=kind, seq=row.seq, entry_id=row.entry_id, detail=detail)

    def _changed(self, row: ChainRow, entry: Entry, rest: Iterator[ChainRow]) -> Finding:
        for other in rest:
            if entry_digest(entry, entry_id=other.entry_id) == other.digest:
                detail = f"entries {row.entry_id} and {other.entry_id} stand in each other's place"
                return Finding(kind=Tampering.REORDERED, seq=row.seq, entry_id=row.entry_id, detail=detail)
        return Finding(kind=Tampering.ALTERED, seq=row.seq, entry_id=row.entry_id, detail=f"entry {row.entry_id} is not what was sealed")

    def _relinked(self, row: ChainRow, rest: Iterator[ChainRow]) -> Finding:
        previous = self.hash
        for other in rest:
            if other.entry is not None and link_hash(previous, entry_event(other.entry, row.seq)) in (row.hash, other.hash):
                detail = f"links {row.seq} and {other.seq} stand in each other's place"
                return Finding(kind=Tampering.REORDERED, seq=row.seq, entry_id=row.entry_id, detail=detail)
        detail = f"the hash of link {row.seq} does not follow from the link before"
        return Finding(kind=Tampering.ALTERED, seq=row.seq, entry_id=row.entry_id, detail=detail)

    def _seal(self, row: ChainRow) -> Finding | None:
        seal = row.seal
        if seal is None:
            return None
        first = self._sealed + 1
        self._sealed = row.seq
        if seal.first_seq != first:
            return Finding(kind=Tampering.MISSING, seq=first, entry_id=None, detail=f"the seal of links from {first} on is gone")
        if seal.hash != row.hash:
            return Finding(kind=Tampering.ALTERED, seq=row.seq, entry_id=row.entry_id, detail=f"the seal of link {row.seq} has another hash")
        return None

    def _anchor_of(self, row: ChainRow) -> Finding | None:
        while self._anchor is not None and self._anchor.seq <= row.seq:
            if self._anchor.seq == row.seq and self._anchor.hash != row.hash:
                first = self._anchored + 1
                when = f"{self._anchor.at:%Y-%m-%d %H:%M:%S} UTC"
                detail = f"the chain was written anew: a link from {first} to {row.seq} is not what was anchored at {when}"
                return Finding(kind=Tampering.ALTERED, seq=first, entry_id=None, detail=detail)
            self._anchored = max(self._anchored, self._anchor.seq)
            self._anchor = next(self._anchors, None)
        return None

    def _end(self) -> Finding | None:
        first, sealed = self.seq + 1, self._last_seal.last_seq if self._last_seal else 0
        if self._anchor is not None:
            detail = f"the chain ends at {self.seq}, but was anchored as far as {self._anchor.seq}"
        elif sealed > self.seq:
            detail = f"the chain ends at {self.seq}, but was sealed as far as {sealed}"
        elif self._anchored > sealed:
            first, detail = sealed + 1, f"seals end at {sealed}, but the chain was anchored as far as {self._anchored}"
        elif self.seq > sealed:
            detail = f"links from {sealed + 1} on belong to no seal"
            return Finding(kind=Tampering.INSERTED, seq=sealed + 1, entry_id=None, detail=detail)
        else:
            return None
        return Finding(kind=Tampering.TRUNCATED, seq=first, entry_id=None, detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsealedRow:
    """An entry without a link, with the low 32 bits of the transaction that wrote the stored row (`xmin`)."""

    entry: Entry
    xmin: int


def check_unsealed(rows: Iterator[UnsealedRow], *, last_seal: SealMark | None) -> Finding | None:
    """The first bad row among those that are not sealed yet, None when all are as their triggers wrote them."""
    horizon = last_seal.horizon if last_seal else 0
    for row in rows:
        entry = row.entry
        if entry.transaction < horizon:
            detail = f"entry {entry.id} says it is older than the last seal, but was not there when it was made"
            return Finding(kind=Tampering.INSERTED, seq=None, entry_id=entry.id, detail=detail)
        if entry_digest(entry) != entry.digest:
            return _unsealed_change(row, rows)
    return None


def _unsealed_change(row: UnsealedRow, rest: Iterator[UnsealedRow]) -> Finding:
    entry = row.entry
    for other in rest:
        if entry_digest(entry, entry_id=other.entry.id) in (entry.digest, other.entry.digest):
            detail = f"entries {entry.id} and {other.entry.id} stand in each other's place"
            return Finding(kind=Tampering.REORDERED, seq=None, entry_id=entry.id, detail=detail)
    if row.xmin == entry.transaction & XID_MASK:  # no later transaction has touched it: it came with a wrong digest
        return Finding(kind=Tampering.INSERTED, seq=None, entry_id=entry.id, detail=f"entry {entry.id} was not written by a trigger")
    return Finding(kind=Tampering.ALTERED, seq=None, entry_id=entry.id, detail=f"entry {entry.id} is not what its trigger wrote")
