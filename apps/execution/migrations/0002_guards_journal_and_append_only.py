"""What the database itself guarantees of orders, whichever way a change comes: ORM, bulk, admin, raw SQL."""

from django.db import migrations

from apps.core.operations import AppendOnly, Journal, NoTruncate


# As `domain.guards` wrote it when this migration was made: a later migration brings the later text.
GUARD = r'''
-- The search path is fixed: a temporary table must not stand in for the decisions.
create or replace function execution_intent_digest(intent execution_order) returns text language sql stable
    set search_path = pg_catalog, public, pg_temp as $$
    -- The canonical JSON of apps.core.trading.OrderIntent.digest: keys sorted, no spaces, decimals without trailing zeros.
    select encode(sha256(convert_to(
        '{"book_id":' || intent.book_id
        || ',"client_order_id":' || to_json(intent.client_order_id::text)
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
        || '}', 'UTF8')), 'hex')
    from marketdata_instrument instrument where instrument.id = intent.instrument_id
$$;

create or replace function execution_order_is_allowed(the_order bigint, digest text, at timestamptz) returns boolean language sql stable
    set search_path = pg_catalog, public, pg_temp as $$
    -- `at` null: the decisions may have run out since.
    select count(distinct authority) = 2 from execution_orderdecision
    where order_id = the_order and intent_digest = digest and authority in ('risk', 'compliance') and allowed
        and (at is null or expires_at > at)
$$;

create or replace function execution_order_guard() returns trigger language plpgsql
    set search_path = pg_catalog, public, pg_temp as $$
begin
    if tg_op = 'INSERT' then
        if new.intent_digest is distinct from execution_intent_digest(new) then
            raise exception 'order %: the digest is not that of its intent', new.id using errcode = 'check_violation';
        end if;
        if new.status not in ('canceled', 'denied', 'expired', 'pending_new', 'rejected') or new.cumulative_quantity <> 0 then
            if not execution_order_is_allowed(new.id, new.intent_digest, statement_timestamp()) then
                raise exception 'order % cannot be % without decisions of risk and compliance', new.id, new.status
                    using errcode = 'check_violation';
            end if;
        end if;
        return new;
    end if;
    if new.client_order_id is distinct from old.client_order_id or new.portfolio_id is distinct from old.portfolio_id or new.book_id is distinct from old.book_id or new.account_id is distinct from old.account_id or new.instrument_id is distinct from old.instrument_id or new.side is distinct from old.side or new.quantity is distinct from old.quantity or new.order_type is distinct from old.order_type or new.time_in_force is distinct from old.time_in_force or new.limit_price is distinct from old.limit_price or new.stop_price is distinct from old.stop_price or new.strategy is distinct from old.strategy or new.intent_digest is distinct from old.intent_digest or new.reference_price is distinct from old.reference_price or new.created_by_id is distinct from old.created_by_id or new.market_time is distinct from old.market_time or new.created_at is distinct from old.created_at then
        raise exception 'order %: what was intended cannot be changed', new.id using errcode = 'check_violation';
    end if;
    if new.status is distinct from old.status and (old.status, new.status) not in (('canceled', 'filled'), ('expired', 'filled'), ('new', 'canceled'), ('new', 'expired'), ('new', 'filled'), ('new', 'partially_filled'), ('new', 'pending_cancel'), ('new', 'rejected'), ('partially_filled', 'canceled'), ('partially_filled', 'expired'), ('partially_filled', 'filled'), ('partially_filled', 'pending_cancel'), ('pending_cancel', 'canceled'), ('pending_cancel', 'expired'), ('pending_cancel', 'filled'), ('pending_cancel', 'new'), ('pending_cancel', 'partially_filled'), ('pending_new', 'canceled'), ('pending_new', 'denied'), ('pending_new', 'expired'), ('pending_new', 'rejected'), ('pending_new', 'sent'), ('sent', 'canceled'), ('sent', 'expired'), ('sent', 'filled'), ('sent', 'new'), ('sent', 'partially_filled'), ('sent', 'pending_cancel'), ('sent', 'rejected')) then
        raise exception 'order % cannot move from % to %', new.id, old.status, new.status using errcode = 'check_violation';
    end if;
    if new.cumulative_quantity < old.cumulative_quantity then
        raise exception 'order %: what has traded cannot be undone', new.id using errcode = 'check_violation';
    end if;
    if old.status = 'pending_new' and new.status not in ('canceled', 'denied', 'expired', 'pending_new', 'rejected') then
        if not execution_order_is_allowed(new.id, new.intent_digest, statement_timestamp()) then
            raise exception 'order % cannot be % without unexpired decisions of risk and compliance', new.id, new.status
                using errcode = 'check_violation';
        end if;
    elsif new.cumulative_quantity <> old.cumulative_quantity
        or (old.status in ('canceled', 'denied', 'expired', 'filled', 'rejected') and new.status is distinct from old.status) then
        if not execution_order_is_allowed(new.id, new.intent_digest, null) then
            raise exception 'order % was never allowed and cannot trade', new.id using errcode = 'check_violation';
        end if;
    end if;
    return new;
end
$$;

create trigger order_guard before insert or update on execution_order for each row execute function execution_order_guard();
create trigger order_not_deleted before delete on execution_order for each row execute function core_refuse_change();
'''
GUARD_REMOVAL = '''
drop trigger if exists order_not_deleted on execution_order;
drop trigger if exists order_guard on execution_order;
drop function if exists execution_order_guard();
drop function if exists execution_order_is_allowed(bigint, text, timestamptz);
drop function if exists execution_intent_digest(execution_order);
'''


class Migration(migrations.Migration):
    dependencies = [("execution", "0001_initial"), ("core", "0002_journal"), ("marketdata", "0001_initial")]

    operations = [
        # An order reaches the broker's statuses only with allowing, unexpired decisions of risk and compliance for its exact intent;
        # its status moves only as the transition table says; what was intended is written once.
        migrations.RunSQL(GUARD, GUARD_REMOVAL),
        Journal("Order"),
        NoTruncate("Order"),
        Journal("OrderDecision"),
        AppendOnly("OrderDecision"),
        AppendOnly("OrderEvent"),
        Journal("Fill"),
        AppendOnly("Fill"),
        Journal("BrokerageAccount"),
        NoTruncate("BrokerageAccount"),
        AppendOnly("HistoricalOrder"),
        AppendOnly("HistoricalBrokerageAccount"),
    ]
