"""SQL of the triggers that keep orders honest, written from the one transition table.

What the database refuses, whichever way the change comes: an order that reaches a broker's status without allowing decisions of
risk and compliance for its exact intent, a digest that does not belong to the row, a change of what was intended (but for a
replacement that was judged and allowed like a new order), a status move that `states` does not have, and the deletion of an order.
"""

from apps.execution.domain.algos import ALGO_MOVES, AlgoStatus
from apps.execution.domain.states import TERMINAL_STATUSES, UNSENT_STATUSES, OrderStatus, status_moves

#: Columns that the gate judged, and who asked: written once.
FIXED_COLUMNS = (
    "client_order_id",
    "portfolio_id",
    "book_id",
    "account_id",
    "instrument_id",
    "side",
    "order_type",
    "strategy",
    "algo_id",
    "slice",
    "venue",
    "group_id",
    "group_role",
    "reference_price",
    "created_by_id",
    "market_time",
    "created_at",
    "lots",
)
#: Columns that only an allowed replacement changes, all of them together.
REPLACEABLE_COLUMNS = ("quantity", "time_in_force", "limit_price", "stop_price", "trail_offset", "expire_at", "intent_digest")
INTENT_COLUMNS = FIXED_COLUMNS + REPLACEABLE_COLUMNS


def _values(statuses: frozenset[OrderStatus]) -> str:
    return ", ".join(f"'{status}'" for status in sorted(statuses))


def order_guard_sql() -> str:
    """The statements that install the triggers on `execution_order`."""
    moves = ", ".join(f"('{source}', '{target}')" for source, target in status_moves())
    changed = " or ".join(f"new.{column} is distinct from old.{column}" for column in FIXED_COLUMNS)
    replaced = " or ".join(f"new.{column} is distinct from old.{column}" for column in REPLACEABLE_COLUMNS)
    same = " and ".join(f"r.{column} is not distinct from new.{column}" for column in REPLACEABLE_COLUMNS if column != "quantity")
    return f"""
-- The search path is fixed: a temporary table must not stand in for the decisions.
create or replace function execution_intent_digest(intent execution_order) returns text language sql stable
    set search_path = pg_catalog, public, pg_temp as $$
    -- The canonical JSON of apps.core.trading.OrderIntent.digest: keys sorted, no spaces, decimals without trailing zeros.
    select encode(sha256(convert_to(
        '{{"book_id":' || intent.book_id
        || ',"client_order_id":' || to_json(intent.client_order_id::text)
        || ',"expire_at":' || coalesce(to_json(to_char(intent.expire_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text, 'null')
        || ',"instrument_id":' || intent.instrument_id
        || ',"limit_price":' || coalesce(to_json(trim_scale(intent.limit_price)::text)::text, 'null')
        || ',"order_type":' || to_json(intent.order_type)
        || ',"portfolio_id":' || intent.portfolio_id
        || ',"quantity":' || to_json(trim_scale(intent.quantity)::text)
        || ',"side":' || to_json(intent.side)
        || ',"stop_price":' || coalesce(to_json(trim_scale(intent.stop_price)::text)::text, 'null')
        || ',"strategy":' || to_json(intent.strategy)
        || ',"symbol":' || to_json(instrument.symbol)
        || ',"time_in_force":' || to_json(intent.time_in_force)
        || ',"trail_offset":' || coalesce(to_json(trim_scale(intent.trail_offset)::text)::text, 'null')
        || '}}', 'UTF8')), 'hex')
    from marketdata_instrument instrument where instrument.id = intent.instrument_id
$$;

create or replace function execution_order_is_allowed(the_order bigint, digest text, at timestamptz) returns boolean language sql stable
    set search_path = pg_catalog, public, pg_temp as $$
    -- The last word of each authority. `at` null: the decisions may have run out since.
    select count(*) = 2 from (
        select distinct on (authority) allowed, expires_at from execution_orderdecision
        where order_id = the_order and intent_digest = digest and authority in ('risk', 'compliance') order by authority, id desc) said
    where allowed and (at is null or expires_at > at)
$$;

create or replace function execution_order_reduces(o execution_order) returns boolean language plpgsql
    set search_path = pg_catalog, public, pg_temp as $$
declare
    in_portfolio numeric;
    in_book numeric;
begin
    -- As apps.core.trading.closable_quantity: what is held, in the portfolio and in the book, less what else works on the same side. Others of
    -- its group cannot trade beside it. Under the portfolio's lock, so that no two orders close the same shares.
    perform from portfolios_portfolio where id = o.portfolio_id for update;
    select coalesce(sum(p.quantity), 0), coalesce(sum(p.quantity) filter (where p.book_id = o.book_id), 0) into in_portfolio, in_book
    from portfolios_book b join portfolios_position p on p.book_id = b.id
    where b.portfolio_id = o.portfolio_id and p.instrument_id = o.instrument_id;
    if o.side = 'buy' then
        in_portfolio := -in_portfolio;
        in_book := -in_book;
    end if;
    select in_portfolio - coalesce(sum(w.leaves), 0), in_book - coalesce(sum(w.leaves) filter (where w.book_id = o.book_id), 0)
    into in_portfolio, in_book from (
        select w.book_id, w.quantity - w.cumulative_quantity as leaves from execution_order w
        where w.portfolio_id = o.portfolio_id and w.instrument_id = o.instrument_id and w.side = o.side and w.id <> o.id
            and (o.group_id is null or w.group_id is distinct from o.group_id) and w.status not in ({_values(TERMINAL_STATUSES)})
        union all
        select a.book_id, greatest(a.quantity - (
            select coalesce(sum(case when c.status in ({_values(TERMINAL_STATUSES)}) then c.cumulative_quantity else c.quantity end), 0)
            from execution_order c where c.algo_id = a.id), 0) from execution_algoorder a
        where a.portfolio_id = o.portfolio_id and a.instrument_id = o.instrument_id and a.side = o.side and a.status = '{AlgoStatus.WORKING}'
            and a.id is distinct from o.algo_id) w;
    return o.quantity - o.cumulative_quantity <= least(in_portfolio, in_book);
end
$$;

create or replace function execution_order_is_approved(o execution_order, at timestamptz) returns boolean language plpgsql volatile
    set search_path = pg_catalog, public, pg_temp as $$
declare
    most numeric;
    rate numeric := 1;
begin
    -- True as well where nothing in force asks for a second person. The portfolio's own limit stands in the place of the desk's.
    select min(hard) into most from risk_risklimit where kind = 'approval_value' and portfolio_id = o.portfolio_id
        and active_from <= at and (active_to is null or active_to > at);
    if most is null then
        select min(hard) into most from risk_desklimit where kind = 'approval_value' and active_from <= at and (active_to is null or active_to > at);
    end if;
    if most is null then
        return true;
    end if;
    if exists (select from portfolios_portfolio f, marketdata_instrument i
        where f.id = o.portfolio_id and i.id = o.instrument_id and f.base_currency <> i.currency) then
        -- The rate by which risk judged it last; none is too much for everybody.
        select (jsonb_path_query_first(checks, '$[*] ? (@.code == "FX_RATE_MISSING")') ->> 'before')::numeric into rate
        from execution_orderdecision where order_id = o.id and authority = 'risk' order by id desc limit 1;
    end if;
    return coalesce(o.quantity * greatest(o.limit_price, o.stop_price, o.reference_price) * rate <= most, false)
        or exists (select 1 from execution_orderapproval a where a.order_id = o.id and a.intent_digest = o.intent_digest and a.approved
            and a.decided_by_id <> o.created_by_id and a.expires_at > at)
        or execution_order_reduces(o);
end
$$;

create or replace function execution_replacement_is_allowed(after execution_order) returns boolean language plpgsql stable
    set search_path = pg_catalog, public, pg_temp as $$
declare
    asked execution_order := after;
begin
    -- What trades before the change arrives may exceed the quantity asked for: then all that has traded is the order.
    select r.quantity into asked.quantity from execution_orderreplacement r
    where r.order_id = after.id and {same.replace("new.", "after.")}
        and (r.quantity = after.quantity or (r.quantity < after.quantity and after.quantity = after.cumulative_quantity));
    return found and after.intent_digest = execution_intent_digest(asked) and execution_order_is_allowed(after.id, after.intent_digest, null);
end
$$;

create or replace function execution_order_guard() returns trigger language plpgsql
    set search_path = pg_catalog, public, pg_temp as $$
begin
    if tg_op = 'INSERT' then
        if new.intent_digest is distinct from execution_intent_digest(new) then
            raise exception 'order %: the digest is not that of its intent', new.id using errcode = 'check_violation';
        end if;
        if new.status not in ({_values(UNSENT_STATUSES)}) or new.cumulative_quantity <> 0 then
            if not execution_order_is_allowed(new.id, new.intent_digest, statement_timestamp()) then
                raise exception 'order % cannot be % without decisions of risk and compliance', new.id, new.status
                    using errcode = 'check_violation';
            end if;
            if not execution_order_is_approved(new, statement_timestamp()) then
                raise exception 'order % cannot be % without the approval of a second person', new.id, new.status
                    using errcode = 'check_violation';
            end if;
            new.sent_at := statement_timestamp();
        else
            new.sent_at := null;
        end if;
        return new;
    end if;
    new.sent_at := old.sent_at;
    if {changed} then
        raise exception 'order %: what was intended cannot be changed', new.id using errcode = 'check_violation';
    end if;
    if ({replaced}) and (old.status not in ('{OrderStatus.PENDING_REPLACE}', '{OrderStatus.PENDING_CANCEL}')
            or not execution_replacement_is_allowed(new)) then
        raise exception 'order %: what was intended is changed by an allowed replacement only', new.id using errcode = 'check_violation';
    end if;
    if new.status is distinct from old.status and (old.status, new.status) not in ({moves}) then
        raise exception 'order % cannot move from % to %', new.id, old.status, new.status using errcode = 'check_violation';
    end if;
    if new.cumulative_quantity < old.cumulative_quantity then
        raise exception 'order %: what has traded cannot be undone', new.id using errcode = 'check_violation';
    end if;
    if old.status = '{OrderStatus.PENDING_NEW}' and new.status not in ({_values(UNSENT_STATUSES)}) then
        if not execution_order_is_allowed(new.id, new.intent_digest, statement_timestamp()) then
            raise exception 'order % cannot be % without unexpired decisions of risk and compliance', new.id, new.status
                using errcode = 'check_violation';
        end if;
        if not execution_order_is_approved(new, statement_timestamp()) then
            raise exception 'order % cannot be % without the approval of a second person', new.id, new.status
                using errcode = 'check_violation';
        end if;
        new.sent_at := statement_timestamp();
    elsif old.sent_at is null and (new.cumulative_quantity <> 0 or (old.status in ({_values(TERMINAL_STATUSES)}) and new.status <> old.status)) then
        raise exception 'order % was never sent and cannot trade', new.id using errcode = 'check_violation';
    end if;
    return new;
end
$$;

drop trigger if exists order_guard on execution_order;
create trigger order_guard before insert or update on execution_order for each row execute function execution_order_guard();
drop trigger if exists order_not_deleted on execution_order;
create trigger order_not_deleted before delete on execution_order for each row execute function core_refuse_change();
"""  # noqa: S608 - everything in it comes from the table of transitions


def order_revision_sql() -> str:
    """Every write of an order gives its row the next revision, whoever writes: what has changed since a moment is one look into an index."""
    return """
create sequence execution_order_revision;
create function execution_order_revise() returns trigger language plpgsql as $$
begin
    new.revision := nextval('public.execution_order_revision');
    return new;
end
$$;
create trigger order_revision before insert or update on execution_order for each row execute function execution_order_revise();
"""


def order_revision_removal_sql() -> str:
    """The statements that take it away again."""
    return """
drop trigger if exists order_revision on execution_order;
drop function if exists execution_order_revise();
drop sequence if exists execution_order_revision;
"""


def order_guard_removal_sql() -> str:
    """The statements that take them away again."""
    return """
drop trigger if exists order_not_deleted on execution_order;
drop trigger if exists order_guard on execution_order;
drop function if exists execution_order_guard();
drop function if exists execution_replacement_is_allowed(execution_order);
drop function if exists execution_order_is_approved(execution_order, timestamptz);
drop function if exists execution_order_reduces(execution_order);
drop function if exists execution_order_is_allowed(bigint, text, timestamptz);
drop function if exists execution_intent_digest(execution_order);
"""


def replacement_guard_sql() -> str:
    """The trigger that lets nobody make an order worth more by a change than may be sent alone."""
    return """
create or replace function execution_replacement_guard() returns trigger language plpgsql
    set search_path = pg_catalog, public, pg_temp as $$
declare
    changed execution_order;
begin
    select * into changed from execution_order where id = new.order_id;
    changed.quantity := new.quantity;
    changed.limit_price := new.limit_price;
    changed.stop_price := new.stop_price;
    changed.intent_digest := new.intent_digest;
    if not execution_order_is_approved(changed, statement_timestamp()) then
        raise exception 'order % cannot be changed without the approval of a second person', new.order_id using errcode = 'check_violation';
    end if;
    return new;
end
$$;

drop trigger if exists replacement_guard on execution_orderreplacement;
create trigger replacement_guard before insert on execution_orderreplacement for each row execute function execution_replacement_guard();
"""


def replacement_guard_removal_sql() -> str:
    """The statements that take it away again."""
    return """
drop trigger if exists replacement_guard on execution_orderreplacement;
drop function if exists execution_replacement_guard();
"""


#: What of a parent order may change.
ALGO_CHANGING = ("status", "reason", "paused_at", "paused_for", "updated_at")


def algo_guard_sql(columns: tuple[str, ...]) -> str:
    """The triggers that hold parents and children together. `columns` are all of `execution_algoorder`.

    A parent works only after both authorities allowed it, moves only along `ALGO_MOVES`, and its terms never change. A child is of the
    parent's portfolio, book, instrument and side, comes only while the parent works, and never makes what has traded and what works
    more than the parent.
    """
    moves = ", ".join(f"('{source}', '{target}')" for source, target in ALGO_MOVES)
    changed = " or ".join(f"new.{column} is distinct from old.{column}" for column in columns if column not in ALGO_CHANGING)
    return f"""
create or replace function execution_algo_guard() returns trigger language plpgsql
    set search_path = pg_catalog, public, pg_temp as $$
begin
    if tg_op = 'INSERT' then
        if new.status <> '{AlgoStatus.PENDING}' then
            raise exception 'parent %: begins as {AlgoStatus.PENDING}', new.id using errcode = 'check_violation';
        end if;
        return new;
    end if;
    if {changed} then
        raise exception 'parent %: what was ordered cannot be changed', new.id using errcode = 'check_violation';
    end if;
    if new.status is distinct from old.status and (old.status, new.status) not in ({moves}) then
        raise exception 'parent % cannot move from % to %', new.id, old.status, new.status using errcode = 'check_violation';
    end if;
    if old.status = '{AlgoStatus.PENDING}' and new.status = '{AlgoStatus.WORKING}' and (
        select count(distinct authority) from execution_algodecision
        where algo_id = new.id and intent_digest = new.intent_digest and allowed and authority in ('risk', 'compliance')) <> 2 then
        raise exception 'parent % cannot work without decisions of risk and compliance', new.id using errcode = 'check_violation';
    end if;
    return new;
end
$$;

create or replace function execution_child_guard() returns trigger language plpgsql
    set search_path = pg_catalog, public, pg_temp as $$
declare
    parent execution_algoorder;
    spoken numeric;
begin
    select * into parent from execution_algoorder where id = new.algo_id for update;
    if tg_op = 'INSERT' and parent.status <> '{AlgoStatus.WORKING}' then
        raise exception 'parent % is % and takes no child', parent.id, parent.status using errcode = 'check_violation';
    end if;
    if (new.portfolio_id, new.book_id, new.instrument_id, new.side) is distinct from
        (parent.portfolio_id, parent.book_id, parent.instrument_id, parent.side) then
        raise exception 'order % is no child of parent %', new.id, parent.id using errcode = 'check_violation';
    end if;
    select coalesce(sum(case when status in ({_values(TERMINAL_STATUSES)}) then cumulative_quantity else quantity end), 0) into spoken
    from execution_order where algo_id = new.algo_id and id <> new.id;
    if spoken + new.quantity > parent.quantity then
        raise exception 'child % would make parent % trade more than it is', new.id, parent.id using errcode = 'check_violation';
    end if;
    return new;
end
$$;

drop trigger if exists algo_guard on execution_algoorder;
create trigger algo_guard before insert or update on execution_algoorder for each row execute function execution_algo_guard();
drop trigger if exists algo_not_deleted on execution_algoorder;
create trigger algo_not_deleted before delete on execution_algoorder for each row execute function core_refuse_change();
drop trigger if exists child_guard on execution_order;
create trigger child_guard before insert or update of quantity on execution_order for each row
    when (new.algo_id is not null) execute function execution_child_guard();
"""  # noqa: S608 - everything in it comes from the tables of moves


def algo_guard_removal_sql() -> str:
    """The statements that take them away again."""
    return """
drop trigger if exists child_guard on execution_order;
drop trigger if exists algo_not_deleted on execution_algoorder;
drop trigger if exists algo_guard on execution_algoorder;
drop function if exists execution_child_guard();
drop function if exists execution_algo_guard();
"""


def break_guard_sql() -> str:
    """What the desk did not send is explained by a person: no run closes such a break."""
    return """
create or replace function execution_break_guard() returns trigger language plpgsql as $$
begin
    if new.resolved_by_id is null and exists (select from execution_reconciliationbreak where id = new.found_id and halts) then
        raise exception 'break % halts trading: only a person resolves it', new.found_id using errcode = 'check_violation';
    end if;
    return new;
end
$$;
create trigger break_guard before insert on execution_breakresolution for each row execute function execution_break_guard();
"""


def break_guard_removal_sql() -> str:
    """The statements that take it away again."""
    return """
drop trigger if exists break_guard on execution_breakresolution;
drop function if exists execution_break_guard();
"""
