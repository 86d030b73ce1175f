"""The journal against somebody who may do anything in the database."""

import pytest
from django.db import connection

from apps.core.domain.chain import chain, entry_digest, entry_event
from apps.core.domain.verification import Tampering
from apps.core.models import JournalEntry, JournalLink, JournalSeal
from apps.core.selectors.journal import Verdict, Verification, journal_verify
from apps.core.services.journal import entry_of
from apps.core.tests.journalling import COLUMNS, Tamper, seal_all, seq_of, write_entries

CONTENT = "transaction, recorded_at, table_name, operation, row_id, actor, request_id, old, new, digest"


def assert_broken(kind: Tampering, *, seq: int | None = None, entry_id: int | None = None) -> Verification:
    found = journal_verify()
    assert found.verdict is Verdict.BROKEN, found
    assert found.finding is not None
    assert found.finding.kind is kind, found.finding
    assert found.finding.seq == seq, found.finding
    if entry_id is not None:
        assert found.finding.entry_id == entry_id
    return found


class TestTamperingWithSealedRows:
    @pytest.mark.parametrize(
        "change",
        [
            "actor = 'user:mallory'",
            "recorded_at = recorded_at + interval '1 microsecond'",
            "new = jsonb_set(new, '{username}', '\"other\"')",
            "new = null",
            "old = '{}'",
            "digest = repeat('0', 64)",
            "transaction = transaction + 1",
            "row_id = '0'",
            "operation = 'update'",
            "request_id = ''",
            "table_name = 'core_jobrun'",
        ],
    )
    def test_edited(self, sealed: list[int], tamper: Tamper, change: str) -> None:
        seq = seq_of(sealed[1])
        tamper(f"update core_journalentry set {change} where id = %s", sealed[1])
        found = assert_broken(Tampering.ALTERED, seq=seq, entry_id=sealed[1])
        assert found.seq == seq - 1

    def test_edited_with_a_digest_to_match(self, sealed: list[int], tamper: Tamper) -> None:
        tamper("update core_journalentry set actor = 'user:mallory' where id = %s", sealed[1])
        with connection.cursor() as cursor:
            cursor.execute(f"select {COLUMNS} from core_journalentry where id = %s", [sealed[1]])
            digest = entry_digest(entry_of(cursor.fetchone()))
        tamper("update core_journalentry set digest = %s where id = %s", digest, sealed[1])
        assert_broken(Tampering.ALTERED, seq=seq_of(sealed[1]))
        tamper("update core_journallink set digest = %s where entry_id = %s", digest, sealed[1])
        assert_broken(Tampering.ALTERED, seq=seq_of(sealed[1]))

    def test_edited_with_the_whole_chain_computed_anew(self, sealed: list[int], tamper: Tamper) -> None:
        # Another test's transaction may have held the horizon back while `sealed` was made: then more than two seals were.
        seal = JournalSeal.objects.get(first_seq__lte=seq_of(sealed[4]), last_seq__gte=seq_of(sealed[4]))
        tamper("update core_journalentry set actor = 'user:mallory' where id = %s", sealed[4])
        _recompute(tamper)
        assert_broken(Tampering.ALTERED, seq=seal.first_seq)

    def test_deleted(self, sealed: list[int], tamper: Tamper) -> None:
        tamper("delete from core_journalentry where id = %s", sealed[1])
        assert_broken(Tampering.MISSING, seq=seq_of(sealed[1]), entry_id=sealed[1])

    def test_deleted_with_its_link(self, sealed: list[int], tamper: Tamper) -> None:
        seq = seq_of(sealed[1])
        tamper("delete from core_journalentry where id = %s", sealed[1])
        tamper("delete from core_journallink where entry_id = %s", sealed[1])
        assert_broken(Tampering.MISSING, seq=seq)

    def test_deleted_with_the_whole_chain_computed_anew(self, sealed: list[int], tamper: Tamper) -> None:
        tamper("delete from core_journalentry where id = %s", sealed[1])
        _recompute(tamper)
        assert journal_verify().verdict is Verdict.BROKEN

    def test_inserted(self, sealed: list[int], tamper: Tamper) -> None:
        tamper(f"insert into core_journalentry ({CONTENT}) select {CONTENT} from core_journalentry where id = %s", sealed[1])
        new = JournalEntry.objects.order_by("id").last().pk
        assert_broken(Tampering.INSERTED, entry_id=new)

    def test_inserted_with_a_link_of_its_own(self, sealed: list[int], tamper: Tamper) -> None:
        tamper(f"insert into core_journalentry ({CONTENT}) select {CONTENT} from core_journalentry where id = %s", sealed[1])
        new = JournalEntry.objects.order_by("id").last().pk
        last = JournalLink.objects.order_by("seq").last()
        tamper("insert into core_journallink values (%s, %s, %s, %s)", last.seq + 1, new, last.digest, last.hash)
        assert journal_verify().verdict is Verdict.BROKEN

    def test_ids_swapped(self, sealed: list[int], tamper: Tamper) -> None:
        first, second = sealed[1], sealed[4]
        tamper("update core_journalentry set id = case id when %s then -1 else id end", first)
        tamper("update core_journalentry set id = %s where id = %s", first, second)
        tamper("update core_journalentry set id = %s where id = -1", second)
        assert_broken(Tampering.REORDERED, seq=seq_of(first), entry_id=first)

    @pytest.mark.parametrize("with_digest", [True, False])
    def test_contents_swapped(self, sealed: list[int], tamper: Tamper, with_digest: bool) -> None:
        names = [name.strip() for name in CONTENT.split(",") if with_digest or "digest" not in name]
        assignments = ", ".join(f"{name} = other.{name}" for name in names)
        tamper(
            f"update core_journalentry as entry set {assignments} from core_journalentry as other where (entry.id, other.id) in ((%s, %s), (%s, %s))",
            sealed[1],
            sealed[4],
            sealed[4],
            sealed[1],
        )
        assert_broken(Tampering.REORDERED, seq=seq_of(sealed[1]), entry_id=sealed[1])

    def test_links_swapped(self, sealed: list[int], tamper: Tamper) -> None:
        first, second = seq_of(sealed[1]), seq_of(sealed[4])
        tamper("update core_journallink set seq = -1 where seq = %s", first)
        tamper("update core_journallink set seq = %s where seq = %s", first, second)
        tamper("update core_journallink set seq = %s where seq = -1", second)
        assert_broken(Tampering.REORDERED, seq=first)

    def test_links_pointing_at_each_others_entries(self, sealed: list[int], tamper: Tamper) -> None:
        first, second = JournalLink.objects.get(entry_id=sealed[1]), JournalLink.objects.get(entry_id=sealed[4])
        for values in ((-1, "", first.seq), (first.entry_id, first.digest, second.seq), (second.entry_id, second.digest, first.seq)):
            tamper("update core_journallink set entry_id = %s, digest = %s where seq = %s", *values)
        assert_broken(Tampering.REORDERED, seq=first.seq)

    @pytest.mark.parametrize("rows", [1, 4])
    def test_the_tail_of_entries_cut_off(self, sealed: list[int], tamper: Tamper, rows: int) -> None:
        seq = seq_of(sealed[-rows])
        tamper("delete from core_journalentry where id >= %s", sealed[-rows])
        assert_broken(Tampering.TRUNCATED, seq=seq, entry_id=sealed[-rows])

    def test_the_tail_cut_off_everywhere(self, sealed: list[int], tamper: Tamper) -> None:
        last = JournalSeal.objects.order_by("last_seq").last()
        tamper("delete from core_journalentry where id in (select entry_id from core_journallink where seq >= %s)", last.first_seq)
        tamper("delete from core_journallink where seq >= %s", last.first_seq)
        tamper("delete from core_journalseal where id = %s", last.pk)
        found = assert_broken(Tampering.TRUNCATED, seq=last.first_seq)
        assert "anchored" in found.finding.detail

    def test_the_tail_of_links_cut_off(self, sealed: list[int], tamper: Tamper) -> None:
        seq = seq_of(sealed[-2])
        tamper("delete from core_journallink where seq >= %s", seq)
        assert_broken(Tampering.TRUNCATED, seq=seq)

    @pytest.mark.parametrize(
        "tables",
        [
            "core_journalentry",
            "core_journallink",
            "core_journalentry, core_journallink",
            "core_journalentry, core_journallink, core_journalseal",
            "core_journalentry, core_journallink, core_journalseal, core_journalchain",
        ],
    )
    def test_truncate(self, sealed: list[int], tamper: Tamper, tables: str) -> None:
        tamper(f"truncate {tables}")
        assert_broken(Tampering.TRUNCATED, seq=1)

    def test_seals_removed_or_edited(self, sealed: list[int], tamper: Tamper) -> None:
        first, last = JournalSeal.objects.order_by("last_seq").first(), JournalSeal.objects.order_by("last_seq").last()
        tamper("update core_journalseal set hash = %s where id = %s", "0" * 64, last.pk)
        assert_broken(Tampering.ALTERED, seq=last.last_seq)
        tamper("delete from core_journalseal where id = %s", last.pk)
        assert_broken(Tampering.TRUNCATED, seq=last.first_seq)
        tamper("delete from core_journalseal where id = %s", first.pk)
        assert journal_verify().verdict is Verdict.BROKEN

    def test_a_seal_from_the_middle_removed(self, sealed: list[int], tamper: Tamper) -> None:
        first = JournalSeal.objects.order_by("last_seq").first()
        tamper("delete from core_journalseal where id = %s", first.pk)
        assert_broken(Tampering.MISSING, seq=first.first_seq)


class TestTamperingWithRowsNotYetSealed:
    @pytest.fixture
    def fresh(self, sealed: list[int]) -> list[int]:
        return write_entries(3, "fresh")

    def test_untouched_rows_are_clean(self, fresh: list[int]) -> None:
        assert journal_verify().verdict is Verdict.CLEAN

    def test_edited(self, fresh: list[int], tamper: Tamper) -> None:
        tamper("update core_journalentry set actor = 'user:mallory' where id = %s", fresh[1])
        assert_broken(Tampering.ALTERED, entry_id=fresh[1])

    def test_edited_and_then_sealed(self, fresh: list[int], tamper: Tamper) -> None:
        tamper("update core_journalentry set actor = 'user:mallory' where id = %s", fresh[1])
        seal_all()
        assert_broken(Tampering.ALTERED, seq=seq_of(fresh[1]), entry_id=fresh[1])

    def test_inserted_with_a_wrong_digest(self, fresh: list[int], tamper: Tamper) -> None:
        tamper(
            f"insert into core_journalentry ({CONTENT}) select pg_current_xact_id()::text::bigint, clock_timestamp(), table_name, operation, "
            "row_id, 'user:mallory', request_id, old, new, digest from core_journalentry where id = %s",
            fresh[1],
        )
        assert_broken(Tampering.INSERTED, entry_id=JournalEntry.objects.order_by("id").last().pk)

    def test_swapped(self, fresh: list[int], tamper: Tamper) -> None:
        tamper("update core_journalentry set id = -1 where id = %s", fresh[0])
        tamper("update core_journalentry set id = %s where id = %s", fresh[0], fresh[2])
        tamper("update core_journalentry set id = %s where id = -1", fresh[2])
        assert_broken(Tampering.REORDERED, entry_id=fresh[0])


def _recompute(tamper: Tamper) -> None:
    """Write digests, links and seals anew over the entries as they now are, as an administrator with patience would."""
    with connection.cursor() as cursor:
        cursor.execute(f"select {COLUMNS} from core_journalentry where id in (select entry_id from core_journallink) order by id")
        entries = [entry_of(row) for row in cursor.fetchall()]
    for entry in entries:
        tamper("update core_journalentry set digest = %s where id = %s", entry_digest(entry), entry.id)
    with connection.cursor() as cursor:
        cursor.execute(f"select {COLUMNS} from core_journalentry where id in (select entry_id from core_journallink) order by id")
        entries = [entry_of(row) for row in cursor.fetchall()]
    tamper("truncate core_journallink")
    hashes = chain(entry_event(entry, seq) for seq, entry in enumerate(entries, start=1))
    for seq, (entry, link) in enumerate(zip(entries, hashes, strict=True), start=1):
        tamper("insert into core_journallink values (%s, %s, %s, %s)", seq, entry.id, entry.digest, link)
        tamper("update core_journalseal set hash = %s where last_seq = %s", link, seq)
