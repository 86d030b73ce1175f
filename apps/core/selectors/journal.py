"""Verification: the whole chain, read in constant memory in one snapshot of the database, against its anchor."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, LiteralString
from uuid import UUID

import psycopg

from apps.core.anchor import AnchorFile, other_anchors
from apps.core.domain.chain import GENESIS
from apps.core.domain.verification import Anchor, ChainRow, ChainWalk, Finding, SealMark, Tampering, UnsealedRow, check_unsealed
from apps.core.errors import IntegrityBroken, Unavailable
from apps.core.models import JournalChain, JournalSeal
from apps.core.postgres.session import open_session
from apps.core.services.journal import entry_of

ROWS_AT_ONCE = 2_000

ENTRY = """entry.id, entry.transaction, entry.recorded_at, entry.table_name, entry.operation, entry.row_id, entry.actor, entry.request_id,
    entry.old::text, entry.new::text, entry.digest"""

LINKS = f"""
select link.seq, link.entry_id, link.digest, link.hash, seal.first_seq, seal.last_seq, seal.hash, seal.horizon, {ENTRY}
from core_journallink as link
left join core_journalentry as entry on entry.id = link.entry_id
left join core_journalseal as seal on seal.last_seq = link.seq
order by link.seq
"""  # noqa: S608 (no input)

UNSEALED = f"""
select entry.xmin::text::bigint, {ENTRY} from core_journalentry as entry
where not exists (select from core_journallink as link where link.entry_id = entry.id) order by entry.id
"""  # noqa: S608 (no input)


class Verdict(StrEnum):
    """What can be said of the journal."""

    CLEAN = "clean"
    BROKEN = "broken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The state of the journal. `seq` and `hash` are the last link found good; `reason` says why nothing can be said."""

    verdict: Verdict
    chain: UUID | None = None
    seq: int = 0
    hash: str = ""
    anchored_seq: int | None = None
    finding: Finding | None = None
    reason: str = ""

    @property
    def summary(self) -> str:
        """One line for people."""
        if self.verdict is Verdict.UNKNOWN:
            return f"Cannot say: {self.reason}"
        if self.finding is None:
            anchored = "nothing anchored yet" if self.anchored_seq is None else f"anchored as far as {self.anchored_seq}"
            return f"Clean: {self.seq} sealed entries, {anchored}. Head {self.hash}"
        place = "not sealed yet" if self.finding.seq is None else f"link {self.finding.seq}"
        entry = "" if self.finding.entry_id is None else f", entry {self.finding.entry_id}"
        return f"Broken: {self.finding.kind} ({place}{entry}): {self.finding.detail}. Good as far as link {self.seq}."


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainHead:
    """Where the chain ends, without checking it. `sealed_at` is None before the first seal, `anchored_seq` None without an anchor here."""

    chain: UUID | None
    seq: int
    hash: str
    sealed_at: datetime | None
    anchored_seq: int | None


def chain_head() -> ChainHead:
    """The end of the chain as the database and the anchor tell it."""
    chain = JournalChain.objects.order_by("created_at", "id").values_list("id", flat=True).first()
    seal = JournalSeal.objects.order_by("last_seq").last()
    file = AnchorFile(chain) if chain else None
    anchor = file.last() if file and file.exists() else None
    return ChainHead(
        chain=chain,
        seq=seal.last_seq if seal else 0,
        hash=seal.hash if seal else GENESIS,
        sealed_at=seal.sealed_at if seal else None,
        anchored_seq=anchor.seq if anchor else None,
    )


def journal_verify() -> Verification:
    """Walk the whole chain and every entry that is not sealed yet.

    Finds the first row that was edited, deleted, inserted, swapped or cut off, whichever rights its author had. UNKNOWN when there is no
    chain, when its anchor is lost or unreadable although something was sealed, and when the database does not answer.
    """
    try:
        session = open_session(application="desk audit_verify")
    except Unavailable as error:
        return Verification(verdict=Verdict.UNKNOWN, reason=error.detail)
    try:
        with session:
            return _verify(session)
    except psycopg.Error as error:
        return Verification(verdict=Verdict.UNKNOWN, reason=f"the database does not answer: {error}")


def _verify(session: "psycopg.Connection[Any]") -> Verification:
    row = session.execute("select id from core_journalchain order by created_at, id limit 1").fetchone()
    if row is None:
        return _without_chain()
    file = AnchorFile(UUID(str(row[0])))
    try:
        # Read before the snapshot: anchors are written after their seals are committed, so the snapshot holds all that is anchored here.
        last = file.last() if file.exists() else None
        lost = "" if last else f"the anchor {file.path} is lost"
        anchors = (anchor for anchor in file.lines() if last and anchor.seq <= last.seq) if last else iter(())
        with _snapshot(session):
            return _walk(session, file.chain_id, anchors=anchors, anchored=last.seq if last else None, lost=lost)
    except (IntegrityBroken, OSError) as error:
        with _snapshot(session):
            return _walk(session, file.chain_id, anchors=iter(()), anchored=None, lost=f"the anchor cannot be read: {error}")


@contextmanager
def _snapshot(session: "psycopg.Connection[Any]") -> Iterator[None]:
    with session.transaction():
        session.execute("set transaction isolation level repeatable read, read only")
        yield


def _without_chain() -> Verification:
    anchored = other_anchors(None)
    if not anchored:
        return Verification(verdict=Verdict.UNKNOWN, reason="the database has no chain: run migrate")
    detail = f"the chain is gone from the database, but {', '.join(anchored)} was anchored"
    return Verification(verdict=Verdict.BROKEN, finding=Finding(kind=Tampering.TRUNCATED, seq=1, entry_id=None, detail=detail))


def _walk(session: "psycopg.Connection[Any]", chain: UUID, *, anchors: Iterator[Anchor], anchored: int | None, lost: str) -> Verification:
    last_seal = _last_seal(session)
    walk = ChainWalk(anchors=anchors, last_seal=last_seal)
    finding = walk.run(_links(session)) or check_unsealed(_unsealed(session), last_seal=last_seal)
    verdict = Verdict.BROKEN if finding else Verdict.UNKNOWN if lost and last_seal else Verdict.CLEAN
    reason = lost if verdict is Verdict.UNKNOWN else ""
    return Verification(verdict=verdict, chain=chain, seq=walk.seq, hash=walk.hash, anchored_seq=anchored, finding=finding, reason=reason)


def _last_seal(session: "psycopg.Connection[Any]") -> SealMark | None:
    row = session.execute("select first_seq, last_seq, hash, horizon from core_journalseal order by last_seq desc limit 1").fetchone()
    return SealMark(first_seq=row[0], last_seq=row[1], hash=row[2], horizon=row[3]) if row else None


def _rows(session: "psycopg.Connection[Any]", name: str, query: LiteralString) -> Iterator[tuple[Any, ...]]:
    with session.cursor(name=name) as cursor:
        cursor.itersize = ROWS_AT_ONCE
        cursor.execute(query)
        yield from cursor


def _links(session: "psycopg.Connection[Any]") -> Iterator[ChainRow]:
    for seq, entry_id, digest, link, first_seq, last_seq, seal, horizon, *entry in _rows(session, "links", LINKS):
        yield ChainRow(
            seq=seq,
            entry_id=entry_id,
            digest=digest,
            hash=link,
            entry=entry_of(tuple(entry)) if entry[0] is not None else None,
            seal=SealMark(first_seq=first_seq, last_seq=last_seq, hash=seal, horizon=horizon) if seal is not None else None,
        )


def _unsealed(session: "psycopg.Connection[Any]") -> Iterator[UnsealedRow]:
    for xmin, *entry in _rows(session, "unsealed", UNSEALED):
        yield UnsealedRow(entry=entry_of(tuple(entry)), xmin=xmin)
