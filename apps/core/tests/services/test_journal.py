"""The journal: what is written, what is refused, how it is sealed, and what the command says."""

import json

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from apps.core import clock
from apps.core.anchor import AnchorFile
from apps.core.context import acting
from apps.core.domain.chain import GENESIS, chain, entry_digest, entry_event
from apps.core.errors import IntegrityBroken
from apps.core.models import JournalChain, JournalEntry, JournalLink, JournalSeal, User
from apps.core.selectors.journal import Verdict, journal_verify
from apps.core.services.journal import anchor_renew, entry_of, journal_seal
from apps.core.tests.journalling import COLUMNS, Tamper, seal_all, seq_of, write_entries


class TestWhatTheTriggerWrites:
    def test_insert_update_and_delete_are_recorded_with_actor_and_request(self, transactional_db: None) -> None:
        with acting(actor="user:zoë", request_id="r-17"):
            user = User.objects.create(username='zoë\n"x"', first_name="Zoë")
            User.objects.filter(pk=user.pk).update(first_name="Zo")
            with connection.cursor() as cursor:
                cursor.execute("delete from core_user where id = %s", [user.pk])
        rows = JournalEntry.objects.filter(table_name="core_user", row_id=str(user.pk)).order_by("id")
        assert [row.operation for row in rows] == ["insert", "update", "delete"]
        assert {(row.actor, row.request_id) for row in rows} == {("user:zoë", "r-17")}
        assert [(row.old or {}).get("first_name") for row in rows] == [None, "Zoë", "Zo"]
        assert [(row.new or {}).get("first_name") for row in rows] == ["Zoë", "Zo", None]

    def test_no_password_reaches_it_but_the_change_does(self, transactional_db: None) -> None:
        user = User.objects.create(username="bob")
        user.set_password("secret one")
        user.save()
        User.objects.filter(pk=user.pk).update(email="b@example.org")
        changed, untouched = JournalEntry.objects.filter(table_name="core_user", operation="update").order_by("id")
        assert changed.new["password"] == "*** changed"
        assert untouched.new["password"] == "***"
        assert user.password not in json.dumps([changed.old, changed.new, untouched.old, untouched.new])

    def test_python_computes_the_digest_that_the_database_wrote(self, transactional_db: None) -> None:
        User.objects.create(username='é\\"\t\x7f😀', first_name="a|b:3,")
        with connection.cursor() as cursor:
            cursor.execute(f"select {COLUMNS} from core_journalentry order by id")
            entries = [entry_of(row) for row in cursor.fetchall()]
        assert entries
        assert all(entry_digest(entry) == entry.digest for entry in entries)

    def test_rows_of_one_transaction_share_its_id_and_a_rollback_leaves_none(self, transactional_db: None) -> None:
        before = JournalEntry.objects.count()
        with transaction.atomic():
            User.objects.bulk_create([User(username="a"), User(username="b")])
        first, second = JournalEntry.objects.order_by("-id")[:2]
        assert first.transaction == second.transaction
        with transaction.atomic():
            User.objects.create(username="c")
            transaction.set_rollback(True)
        assert JournalEntry.objects.count() == before + 2

    def test_a_connection_without_a_name_is_called_after_its_database_role(self, transactional_db: None) -> None:
        User.objects.create(username="raw")
        assert JournalEntry.objects.order_by("id").last().actor == f"database:{connection.settings_dict['USER']}"


class TestWhatTheDatabaseRefuses:
    TABLES = (JournalEntry, JournalLink, JournalSeal, JournalChain)

    @pytest.mark.parametrize("model", TABLES)
    @pytest.mark.parametrize("verb", ["update", "delete", "truncate"])
    def test_raw_sql(self, sealed: list[int], model: type, verb: str) -> None:
        table, column = model._meta.db_table, model._meta.pk.column
        sql = {"update": f"update {table} set {column} = {column}", "delete": f"delete from {table}", "truncate": f"truncate {table} cascade"}[verb]
        with pytest.raises(IntegrityError, match=f"{verb.upper()} of core_journal"), connection.cursor() as cursor:
            cursor.execute(sql)
        assert journal_verify().verdict is Verdict.CLEAN

    @pytest.mark.parametrize("model", TABLES)
    def test_the_orm(self, sealed: list[int], model: type) -> None:
        row = model.objects.first()
        with pytest.raises(IntegrityError):
            row.save()
        with pytest.raises(IntegrityError):
            row.delete()
        with pytest.raises(IntegrityError):
            model.objects.all().delete()

    def test_bulk_update_and_queryset_update(self, sealed: list[int]) -> None:
        entries = list(JournalEntry.objects.all())
        entries[0].actor = "somebody else"
        with pytest.raises(IntegrityError):
            JournalEntry.objects.bulk_update(entries, ["actor"])
        with pytest.raises(IntegrityError):
            JournalEntry.objects.update(actor="somebody else")

    def test_an_insert_past_the_triggers(self, sealed: list[int]) -> None:
        last = JournalEntry.objects.order_by("id").last()
        with pytest.raises(IntegrityError, match="written by triggers"):
            JournalEntry.objects.create(**{name: getattr(last, name) for name in ("transaction", "recorded_at", "table_name", "operation", "digest")})

    def test_truncate_of_a_journalled_table(self, transactional_db: None) -> None:
        with pytest.raises(IntegrityError), connection.cursor() as cursor:
            cursor.execute("truncate core_user cascade")


class TestSealing:
    def test_links_are_gap_free_and_follow_the_chain_rule(self, sealed: list[int]) -> None:
        links = list(JournalLink.objects.order_by("seq"))
        assert [link.seq for link in links] == list(range(1, JournalEntry.objects.count() + 1))
        with connection.cursor() as cursor:
            cursor.execute(f"select {COLUMNS} from core_journalentry")
            entries = {row[0]: entry_of(row) for row in cursor.fetchall()}
        assert chain(entry_event(entries[link.entry_id], link.seq) for link in links) == [link.hash for link in links]

    def test_batches_are_bounded_and_each_head_is_anchored(self, transactional_db: None) -> None:
        write_entries(5)
        seal_all(batch=2)
        seals = list(JournalSeal.objects.order_by("last_seq"))
        assert len(seals) > 2
        assert all(seal.last_seq - seal.first_seq < 2 for seal in seals)
        anchors = list(AnchorFile(JournalChain.objects.get().pk).lines())
        assert (anchors[0].seq, anchors[0].hash) == (0, GENESIS)
        assert [(anchor.seq, anchor.hash) for anchor in anchors[1:]] == [(seal.last_seq, seal.hash) for seal in seals]

    def test_nothing_new_makes_no_seal(self, sealed: list[int]) -> None:
        before = JournalSeal.objects.count()
        assert journal_seal(at=clock.now()).entries == 0
        assert JournalSeal.objects.count() == before

    def test_entries_of_a_transaction_that_still_runs_wait_for_it(self, transactional_db: None) -> None:
        from apps.core.postgres.session import open_session

        session = open_session()
        try:
            session.autocommit = False
            session.execute("insert into auth_group (name) values ('slow')")
            (late,) = write_entries(1)
            journal_seal(at=clock.now())
            assert not JournalLink.objects.filter(entry_id=late).exists()
            session.commit()
        finally:
            session.close()
        seal_all()
        assert journal_verify().verdict is Verdict.CLEAN
        slow = JournalEntry.objects.get(new__name="slow")
        assert seq_of(slow.pk) < seq_of(late)

    def test_a_crash_between_commit_and_anchor_is_caught_up(self, sealed: list[int], anchor_dir) -> None:
        file = AnchorFile(JournalChain.objects.get().pk)
        lines = file.path.read_text().splitlines(keepends=True)
        file.path.write_text("".join(lines[:-1]) + lines[-1][:20])  # the last line was being written
        assert journal_verify().verdict is Verdict.CLEAN
        journal_seal(at=clock.now())
        assert file.path.read_text().splitlines()[-1].startswith('{"chain"')
        assert file.last().seq == JournalSeal.objects.order_by("last_seq").last().last_seq

    def test_a_lost_anchor_stops_sealing_until_somebody_begins_another(self, sealed: list[int]) -> None:
        AnchorFile(JournalChain.objects.get().pk).path.unlink()
        with pytest.raises(IntegrityBroken, match="is lost"):
            journal_seal(at=clock.now())
        assert journal_verify().verdict is Verdict.UNKNOWN
        anchor_renew(at=clock.now())
        write_entries(1, "after")
        seal_all()
        assert journal_verify().verdict is Verdict.CLEAN
        with pytest.raises(IntegrityBroken, match="never replaced"):
            anchor_renew(at=clock.now())

    def test_it_does_not_bury_a_truncation(self, sealed: list[int], tamper: Tamper) -> None:
        tamper("truncate core_journalentry, core_journallink, core_journalseal")
        write_entries(1, "after")
        with pytest.raises(IntegrityBroken, match="audit_verify"):
            journal_seal(at=clock.now())

    def test_it_does_not_begin_a_second_chain_over_a_lost_one(self, sealed: list[int], tamper: Tamper) -> None:
        tamper("truncate core_journalentry, core_journallink, core_journalseal, core_journalchain")
        with pytest.raises(IntegrityBroken, match="has been anchored"):
            journal_seal(at=clock.now())


class TestTheCommand:
    def run(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict]:
        code = 0
        try:
            call_command("audit_verify", "--json", *arguments)
        except SystemExit as stop:
            code = int(stop.code)
        return code, json.loads(capsys.readouterr().out)

    def test_clean(self, sealed: list[int], capsys: pytest.CaptureFixture[str]) -> None:
        code, found = self.run(capsys)
        assert (code, found["verdict"]) == (0, "clean")
        assert found["seq"] == found["anchored_seq"] == JournalEntry.objects.count()

    def test_broken(self, sealed: list[int], tamper: Tamper, capsys: pytest.CaptureFixture[str]) -> None:
        tamper("delete from core_journalentry where id = %s", sealed[0])
        code, found = self.run(capsys)
        assert code == 1
        assert (found["finding"]["kind"], found["finding"]["seq"]) == ("missing", seq_of(sealed[0]))

    def test_it_cannot_say_without_the_anchor(self, sealed: list[int], capsys: pytest.CaptureFixture[str]) -> None:
        AnchorFile(JournalChain.objects.get().pk).path.unlink()
        code, found = self.run(capsys)
        assert (code, found["verdict"]) == (2, "unknown")
        assert "lost" in found["reason"]

    def test_it_cannot_say_without_a_chain(self, tamper: Tamper, capsys: pytest.CaptureFixture[str]) -> None:
        tamper("truncate core_journalchain")
        code, found = self.run(capsys)
        assert (code, found["verdict"]) == (2, "unknown")

    def test_it_cannot_say_with_an_anchor_that_is_none(self, sealed: list[int], capsys: pytest.CaptureFixture[str]) -> None:
        AnchorFile(JournalChain.objects.get().pk).path.write_text("nonsense\n")
        assert self.run(capsys)[0] == 2

    def test_it_cannot_say_without_the_database(self, settings, transactional_db: None, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setitem(connection.settings_dict, "HOST", "/nowhere")
        code, found = self.run(capsys)
        assert (code, found["verdict"]) == (2, "unknown")
