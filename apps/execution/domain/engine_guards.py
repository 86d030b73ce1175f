"""What the database itself holds of live engines: only the holder of the current fencing token writes, and approvals are decided once."""

FENCED = ("execution_enginecycle", "execution_enginestep")

_FENCE = """
create function execution_engine_fence() returns trigger language plpgsql as $$
declare
    owner bigint;
begin
    if tg_table_name = 'execution_enginecycle' then
        owner := new.engine_id;
    else
        select engine_id into owner from execution_enginecycle where id = new.cycle_id;
    end if;
    -- Shared with other writers of the same holder; a take-over waits for them, or they see it.
    perform 1 from execution_enginestate where engine_id = owner and token = new.token for share;
    if not found then
        raise exception 'token % no longer runs engine %', new.token, owner using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end $$;
create function execution_engine_token() returns trigger language plpgsql as $$
begin
    if new.token < old.token then
        raise exception 'the token of engine % only grows', new.engine_id using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end $$;
create trigger execution_engine_token before update of token on execution_enginestate for each row execute function execution_engine_token();
create function execution_live_approval() returns trigger language plpgsql as $$
begin
    if (new.engine_id, new.config_digest, new.reason, new.requested_by_id, new.requested_at, new.expires_at)
        is distinct from (old.engine_id, old.config_digest, old.reason, old.requested_by_id, old.requested_at, old.expires_at)
        or (old.approved_at is not null and (new.approved_by_id, new.approved_at) is distinct from (old.approved_by_id, old.approved_at))
        or old.revoked_at is not null then
        raise exception 'approval % is decided', old.id using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end $$;
create trigger execution_live_approval before update on execution_liveapproval for each row execute function execution_live_approval();
"""


def engine_guard_sql() -> str:
    """The triggers, to be made once their tables are there."""
    fences = "".join(
        f"create trigger engine_fence_{table} before insert on {table} for each row execute function execution_engine_fence();\n" for table in FENCED
    )
    return _FENCE + fences


def engine_guard_removal_sql() -> str:
    """Undoes it."""
    fences = "".join(f"drop trigger engine_fence_{table} on {table};\n" for table in FENCED)
    return fences + (
        "drop trigger execution_live_approval on execution_liveapproval;\n"
        "drop trigger execution_engine_token on execution_enginestate;\n"
        "drop function execution_live_approval();\ndrop function execution_engine_token();\ndrop function execution_engine_fence();\n"
    )
