"""Sealing: entries of ended transactions become links of the chain, and the chain's head goes into a file outside the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from apps.core.anchor import AnchorFile, other_anchors
from apps.core.domain.chain import GENESIS, Entry, entry_event, link_hash
from apps.core.domain.verification import Anchor
from apps.core.errors import IntegrityBroken
from apps.core.locks import lock_transaction
from apps.core.models import JournalChain, JournalLink, JournalSeal

BATCH = 5_000

# Below the oldest transaction that is still running nothing can appear any more. Order by id within what is safe: a lower id may
# commit later than a higher one, and then belongs to a later batch.
UNSEALED = """
with candidate as materialized (
    select entry.id from core_journalentry as entry
    where entry.transaction >= %(after)s and entry.transaction < %(horizon)s
    and not exists (select from core_journallink as link where link.entry_id = entry.id)
)
select entry.id, entry.transaction, entry.recorded_at, entry.table_name, entry.operation, entry.row_id, entry.actor, entry.request_id,
    entry.old::text, entry.new::text, entry.digest
from core_journalentry as entry join candidate using (id) order by entry.id limit %(limit)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealReport:
    """What one run sealed, and where the chain ends now."""

    entries: int
    batches: int
    seq: int
    hash: str


def journal_seal(*, at: datetime, batch: int = BATCH) -> SealReport:
    """Seal every entry whose transaction has ended, in bounded batches, and anchor each batch's head.

    Raises IntegrityBroken, and seals nothing, when the anchor is lost or the database's chain is shorter or other than what was anchored:
    going on would bury the evidence. Raises Conflict while another process seals.
    """
    anchor = AnchorFile(_chain(at=at).pk)
    _check_anchor(anchor, at=at)
    entries = batches = 0
    while True:
        with transaction.atomic():
            seal, count = _seal_batch(at=at, limit=batch)
        if seal is not None:
            anchor.append(Anchor(seq=seal.last_seq, hash=seal.hash, at=at))
            batches += 1
        entries += count
        if count < batch:
            break
    head = JournalSeal.objects.order_by("last_seq").last()
    return SealReport(entries=entries, batches=batches, seq=head.last_seq if head else 0, hash=head.hash if head else GENESIS)


def anchor_renew(*, at: datetime) -> Anchor:
    """Begin a new anchor file at the present head, when the old one is lost for good. It proves nothing about what was sealed before.

    Raises IntegrityBroken when there is an anchor.
    """
    file = AnchorFile(_chain(at=at).pk)
    if file.exists():
        raise IntegrityBroken(f"{file.path} exists: an anchor is never replaced")
    head = JournalSeal.objects.order_by("last_seq").last()
    anchor = Anchor(seq=head.last_seq if head else 0, hash=head.hash if head else GENESIS, at=at)
    file.begin(at=at)
    file.append(anchor)
    return anchor


def _chain(*, at: datetime) -> JournalChain:
    """This database's chain. Migration makes it; a database that was emptied gets a new one, unless anchors say that it had one."""
    chain = JournalChain.objects.order_by("created_at", "id").first()
    if chain is None:
        if JournalLink.objects.exists() or other_anchors(None):
            raise IntegrityBroken("the journal's chain is gone from the database, but it has been anchored: run audit_verify")
        chain = JournalChain.objects.create(created_at=at)
    return chain


def _check_anchor(anchor: AnchorFile, *, at: datetime) -> None:
    head = JournalSeal.objects.order_by("last_seq").last()
    if not anchor.exists():
        if head is not None:
            raise IntegrityBroken(f"the anchor {anchor.path} is lost: bring it back, or begin a new one with audit_seal --new-anchor")
        anchor.begin(at=at)
        return
    last = anchor.last()
    if last is None or last.seq == 0:
        _catch_up(anchor, head, at=at)
        return
    link = JournalLink.objects.filter(seq=last.seq).first()
    if head is None or link is None or head.last_seq < last.seq or link.hash != last.hash:
        raise IntegrityBroken(f"the chain was anchored as far as {last.seq}, which the database does not bear out: run audit_verify")
    _catch_up(anchor, head, at=at)


def _catch_up(anchor: AnchorFile, head: JournalSeal | None, *, at: datetime) -> None:
    """Anchor a head that was committed just before a crash."""
    if head is not None:
        anchor.append(Anchor(seq=head.last_seq, hash=head.hash, at=at))


def _seal_batch(*, at: datetime, limit: int) -> tuple[JournalSeal | None, int]:
    lock_transaction("core.journal_seal")
    last = JournalSeal.objects.order_by("last_seq").last()
    after = last.horizon if last else 0
    seq, head = (last.last_seq, last.hash) if last else (0, GENESIS)
    with connection.cursor() as cursor:
        cursor.execute("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        horizon = int(cursor.fetchone()[0])
        cursor.execute(UNSEALED, {"after": after, "horizon": horizon, "limit": limit})
        entries = [entry_of(row) for row in cursor.fetchall()]
        if not entries:
            return None, 0
        with cursor.copy("copy core_journallink (seq, entry_id, digest, hash) from stdin") as copy:
            for number, entry in enumerate(entries, start=seq + 1):
                head = link_hash(head, entry_event(entry, number))
                copy.write_row((number, entry.id, entry.digest, head))
    complete = len(entries) < limit  # a full batch may have left rows behind: only the last one moves the horizon
    seal = JournalSeal.objects.create(first_seq=seq + 1, last_seq=seq + len(entries), hash=head, horizon=horizon if complete else after, sealed_at=at)
    return seal, len(entries)


def entry_of(row: tuple[Any, ...]) -> Entry:
    """The entry from a row of (id, transaction, recorded_at, table, operation, row id, actor, request id, old, new, digest)."""
    names = ("id", "transaction", "recorded_at", "table_name", "operation", "row_id", "actor", "request_id", "old", "new", "digest")
    return Entry(**dict(zip(names, row, strict=True)))
