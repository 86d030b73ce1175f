"""The walk without a database: ten links, one seal, one anchor."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from apps.core.domain.chain import GENESIS, entry_digest, entry_event, link_hash
from apps.core.domain.verification import Anchor, ChainRow, ChainWalk, Finding, SealMark, Tampering
from apps.core.tests.domain.test_chain import make_entry

AT = datetime(2026, 11, 20, tzinfo=UTC)


def make_rows(count: int = 10) -> list[ChainRow]:
    rows, head = [], GENESIS
    for seq in range(1, count + 1):
        entry = make_entry(id=100 + seq, row_id=str(seq))
        entry = replace(entry, digest=entry_digest(entry))
        head = link_hash(head, entry_event(entry, seq))
        seal = SealMark(first_seq=1, last_seq=count, hash=head, horizon=1000) if seq == count else None
        rows.append(ChainRow(seq=seq, entry_id=entry.id, digest=entry.digest, hash=head, entry=entry, seal=seal))
    return rows


def walk(rows: list[ChainRow], *, intact: list[ChainRow]) -> Finding | None:
    last = intact[-1]
    return ChainWalk(anchors=[Anchor(seq=last.seq, hash=last.hash, at=AT)], last_seal=last.seal).run(iter(rows))


def kind(finding: Finding | None) -> tuple[str, int | None]:
    assert finding is not None
    return str(finding.kind), finding.seq


def test_a_whole_chain_has_no_finding() -> None:
    rows = make_rows()
    assert walk(rows, intact=rows) is None


def test_an_empty_chain_is_whole() -> None:
    assert ChainWalk(anchors=[], last_seal=None).run(iter([])) is None


def test_each_kind_is_told_apart() -> None:
    rows = make_rows()
    altered = [replace(row, entry=replace(row.entry, actor="x")) if row.seq == 4 else row for row in rows]
    gone = [replace(row, entry=None) if row.seq == 4 else row for row in rows]
    cut = [replace(row, entry=None) if row.seq >= 4 else row for row in rows]
    swapped = [replace(row, entry=replace(rows[{4: 6, 7: 3}[row.seq]].entry, id=row.entry_id)) if row.seq in (4, 7) else row for row in rows]
    assert kind(walk(altered, intact=rows)) == (Tampering.ALTERED, 4)
    assert kind(walk(gone, intact=rows)) == (Tampering.MISSING, 4)
    assert kind(walk(cut, intact=rows)) == (Tampering.TRUNCATED, 4)
    assert kind(walk(rows[:3] + rows[4:], intact=rows)) == (Tampering.MISSING, 4)
    assert kind(walk(rows[:3], intact=rows)) == (Tampering.TRUNCATED, 4)
    assert kind(walk(swapped, intact=rows)) == (Tampering.REORDERED, 4)


def test_only_the_anchor_sees_a_chain_that_ends_early_in_every_table() -> None:
    rows, shorter = make_rows(10), make_rows(6)
    last = shorter[-1].seal
    anchor = Anchor(seq=10, hash=rows[-1].hash, at=AT)
    assert ChainWalk(anchors=[], last_seal=last).run(iter(shorter)) is None
    assert kind(ChainWalk(anchors=[anchor], last_seal=last).run(iter(shorter))) == (Tampering.TRUNCATED, 7)


def test_links_without_a_seal_were_inserted() -> None:
    rows = make_rows(10)
    unsealed = [replace(row, seal=None) for row in rows]
    assert kind(ChainWalk(anchors=[], last_seal=None).run(iter(unsealed))) == (Tampering.INSERTED, 1)


def test_it_reads_no_further_than_the_first_bad_row_needs() -> None:
    rows = make_rows()
    read: list[int] = []

    def watched() -> Iterator[ChainRow]:
        for row in [replace(rows[0], hash="0" * 64), *rows[1:]]:
            read.append(row.seq)
            yield row

    finding = ChainWalk(anchors=[], last_seal=rows[-1].seal).run(watched())
    assert kind(finding) == (Tampering.ALTERED, 1)
    assert read == sorted(read)
