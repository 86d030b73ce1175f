"""SQL of the triggers that take a fact only where it could have happened: a decision that is whole, of now and of an order that may be judged, a
fill of an order that was sent."""

from collections.abc import Iterable

from apps.core.check_codes import ALWAYS_MADE
from apps.execution.domain.states import CHANGEABLE_STATUSES, OrderStatus

#: How long an allowing decision may hold [seconds], and how far before and after the database's clock its time may be. The time of an order is passed
#: in by whoever makes it, and a rehearsal may run ahead.
LONGEST_VALIDITY = 30
MOST_BEFORE = 300
MOST_AFTER = 86_400


def decision_guard_sql() -> str:
    """The statements that install the trigger on `execution_orderdecision`.

    A decision of an order which is not stored yet belongs to one that is made in the same transaction: the foreign key sees to that at its
    end, and the order's guard compares the digest with the order's own columns.
    """
    made = " ".join(f"when '{authority}' then array[{_texts(codes)}]" for authority, codes in sorted(ALWAYS_MADE.items()))
    judged = _texts(sorted(CHANGEABLE_STATUSES | {OrderStatus.PENDING_NEW}))
    return f"""
create or replace function execution_decision_guard() returns trigger language plpgsql
    set search_path = pg_catalog, public, pg_temp as $$
declare
    the_status text;
    digest text;
begin
    select status, intent_digest into the_status, digest from execution_order where id = new.order_id;
    if found and the_status not in ({judged}) then
        raise exception 'order % is % and is judged no more', new.order_id, the_status using errcode = 'check_violation';
    end if;
    if the_status = '{OrderStatus.PENDING_NEW}' and new.intent_digest <> digest then
        raise exception 'order %: the decision is not of its intent', new.order_id using errcode = 'check_violation';
    end if;
    if not new.allowed then
        return new;
    end if;
    if new.checks @? '$[*] ? (!(@.outcome == "pass" || @.outcome == "warn"))' then
        raise exception 'order %: % allows it against its own checks', new.order_id, new.authority using errcode = 'check_violation';
    end if;
    if not jsonb_path_query_array(new.checks, '$[*].code') ?& (case new.authority {made} end) then
        raise exception 'order %: % allows it without all its checks', new.order_id, new.authority using errcode = 'check_violation';
    end if;
    if extract(epoch from new.decided_at - statement_timestamp()) not between -{MOST_BEFORE} and {MOST_AFTER}
        or new.expires_at > new.decided_at + interval '{LONGEST_VALIDITY} seconds' then
        raise exception 'order %: % allows it for another time', new.order_id, new.authority using errcode = 'check_violation';
    end if;
    return new;
end
$$;
drop trigger if exists decision_guard on execution_orderdecision;
create trigger decision_guard before insert on execution_orderdecision for each row execute function execution_decision_guard();
"""  # noqa: S608 - everything in it comes from tables of the code


def decision_guard_removal_sql() -> str:
    """The statements that take it away again."""
    return """
drop trigger if exists decision_guard on execution_orderdecision;
drop function if exists execution_decision_guard();
"""


def fill_guard_sql() -> str:
    """The trigger that takes a fill of an order only that was sent, with all that sending it takes. It may have ended since."""
    return """
create or replace function execution_fill_guard() returns trigger language plpgsql
    set search_path = pg_catalog, public, pg_temp as $$
begin
    if exists (select from execution_order where id = new.order_id and sent_at is null) then
        raise exception 'order % was never sent and has no fills', new.order_id using errcode = 'check_violation';
    end if;
    return new;
end
$$;
create trigger fill_guard before insert on execution_fill for each row execute function execution_fill_guard();
"""


def fill_guard_removal_sql() -> str:
    """The statements that take it away again."""
    return """
drop trigger if exists fill_guard on execution_fill;
drop function if exists execution_fill_guard();
"""


def _texts(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)
