"""The journal: what the database itself records and refuses, whichever way a change comes (ORM, bulk, raw SQL)."""

import django.contrib.postgres.indexes
from django.db import migrations

from apps.core.operations import AppendOnly, Journal, NoTruncate

# Secrets never reach the journal: of a password it says only that it changed.
# The digest is over all columns, each as "<length>:<text>," so that no two rows share a preimage; a null is "-,".
# `apps.core.domain.chain.entry_digest` computes the same. Written out in one expression: it runs for every row that the desk writes.
RECORD = """
create function core_journal_record() returns trigger
language plpgsql set search_path = pg_catalog, public, pg_temp as $$
declare
    before_row jsonb;
    after_row jsonb;
    before_text text;
    after_text text;
    at text;
    entry public.core_journalentry;
begin
    if tg_op <> 'INSERT' then before_row := to_jsonb(old); end if;
    if tg_op <> 'DELETE' then after_row := to_jsonb(new); end if;
    entry.row_id := coalesce(after_row, before_row) ->> coalesce(tg_argv[0], 'id');
    if entry.row_id is null then
        select string_agg(coalesce(after_row, before_row) ->> attribute.attname, ',' order by array_position(key.indkey::int2[], attribute.attnum))
        into entry.row_id
        from pg_index as key join pg_attribute as attribute on attribute.attrelid = key.indrelid and attribute.attnum = any (key.indkey)
        where key.indrelid = tg_relid and key.indisprimary;
    end if;
    if before_row ? 'password' or after_row ? 'password' then
        after_row := case when after_row is null then null
            when before_row ->> 'password' is distinct from after_row ->> 'password' then after_row || '{"password": "*** changed"}'
            else after_row || '{"password": "***"}' end;
        before_row := before_row || '{"password": "***"}';
    end if;
    entry.id := nextval('public.core_journalentry_id_seq');
    entry.transaction := pg_current_xact_id()::text::bigint;
    entry.recorded_at := clock_timestamp();
    entry.table_name := tg_table_name;
    entry.operation := lower(tg_op);
    entry.row_id := left(entry.row_id, 200);
    entry.actor := left(coalesce(nullif(current_setting('desk.actor', true), ''), 'database:' || session_user), 200);
    entry.request_id := left(coalesce(current_setting('desk.request_id', true), ''), 100);
    entry.old := before_row;
    entry.new := after_row;
    at := to_char(entry.recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
    before_text := before_row::text;
    after_text := after_row::text;
    entry.digest := encode(sha256(convert_to(
        length(entry.id::text) || ':' || entry.id || ',' || length(entry.transaction::text) || ':' || entry.transaction || ','
        || length(at) || ':' || at || ',' || length(entry.table_name) || ':' || entry.table_name || ','
        || length(entry.operation) || ':' || entry.operation || ',' || length(entry.row_id) || ':' || entry.row_id || ','
        || length(entry.actor) || ':' || entry.actor || ',' || length(entry.request_id) || ':' || entry.request_id || ','
        || coalesce(length(before_text) || ':' || before_text, '-') || ',' || coalesce(length(after_text) || ':' || after_text, '-') || ',',
        'UTF8')), 'hex');
    insert into public.core_journalentry (id, transaction, recorded_at, table_name, operation, row_id, actor, request_id, old, new, digest)
    values (entry.id, entry.transaction, entry.recorded_at, entry.table_name, entry.operation, entry.row_id, entry.actor, entry.request_id,
        entry.old, entry.new, entry.digest);
    return null;
end
$$;
"""

REFUSE = """
create function core_refuse_change() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    raise exception '% of % is refused: its rows are facts', tg_op, tg_table_name
        using errcode = 'restrict_violation', hint = 'Corrections are new rows.';
end
$$;
"""

# The journal is written by triggers alone: a plain INSERT fires this at depth 1.
ONLY_TRIGGERS = """
create function core_journal_only_triggers() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    if pg_trigger_depth() < 2 then
        raise exception 'INSERT into % is refused: the journal is written by triggers', tg_table_name using errcode = 'restrict_violation';
    end if;
    return new;
end
$$;
create trigger only_triggers_core_journalentry before insert on core_journalentry
for each row execute function core_journal_only_triggers();
"""

# auth_group and its permissions belong to Django, so no operation of ours can name them by model.
GROUPS = """
create trigger journal_auth_group after insert or update or delete on auth_group for each row execute function core_journal_record();
create trigger no_truncate_auth_group before truncate on auth_group for each statement execute function core_refuse_change();
create trigger journal_auth_group_permissions after insert or update or delete on auth_group_permissions
for each row execute function core_journal_record();
create trigger no_truncate_auth_group_permissions before truncate on auth_group_permissions for each statement execute function core_refuse_change();
"""
DROP_GROUPS = """
drop trigger journal_auth_group on auth_group;
drop trigger no_truncate_auth_group on auth_group;
drop trigger journal_auth_group_permissions on auth_group_permissions;
drop trigger no_truncate_auth_group_permissions on auth_group_permissions;
"""

JOURNALLED = ("User", "User_groups", "User_user_permissions")
APPEND_ONLY = ("JournalEntry", "JournalLink", "JournalSeal", "JournalChain")


class Migration(migrations.Migration):
    dependencies = [("core", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]

    operations = [
        migrations.RemoveIndex("JournalEntry", "journal_time"),
        migrations.AddIndex(
            "JournalEntry", django.contrib.postgres.indexes.BrinIndex(fields=["recorded_at"], autosummarize=True, name="journal_time")
        ),
        migrations.AddIndex(
            "JournalEntry", django.contrib.postgres.indexes.BrinIndex(fields=["transaction"], autosummarize=True, name="journal_transaction")
        ),
        migrations.RunSQL("insert into core_journalchain (id, created_at) values (gen_random_uuid(), clock_timestamp())", migrations.RunSQL.noop),
        migrations.RunSQL(RECORD, "drop function core_journal_record"),
        migrations.RunSQL(REFUSE, "drop function core_refuse_change"),
        migrations.RunSQL(ONLY_TRIGGERS, "drop trigger only_triggers_core_journalentry on core_journalentry; drop function core_journal_only_triggers"),
        *[AppendOnly(name) for name in APPEND_ONLY],
        *[operation(name) for name in JOURNALLED for operation in (Journal, NoTruncate)],
        migrations.RunSQL(GROUPS, DROP_GROUPS),
    ]
