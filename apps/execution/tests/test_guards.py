"""What the database refuses, tried through every way in. Each refusal has the success beside it that differs in one thing."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction

from apps.core import clock
from apps.core.check_codes import ALWAYS_MADE
from apps.core.trading import Check, Outcome, check_as_dict
from apps.execution.domain.fact_guards import LONGEST_VALIDITY
from apps.execution.domain.guards import INTENT_COLUMNS
from apps.execution.domain.states import OrderStatus, status_moves
from apps.execution.models import BrokerageAccount, Fill, Order, OrderDecision, OrderEvent
from apps.execution.services.accounts import account_of
from apps.execution.services.gate import DECISION_VALIDITY


def make_order(desk, *, status="pending_new", digest=None, pk=None, **fields):
    """An order as somebody would write it who goes around the gate."""
    now = clock.now()
    intent = desk.intent(**fields)
    order = Order(
        pk=pk,
        **{name: getattr(intent, name) for name in ("client_order_id", "portfolio_id", "book_id", "instrument_id", "quantity", "strategy")},
        side=intent.side.value,
        order_type=intent.order_type.value,
        time_in_force=intent.time_in_force.value,
        limit_price=intent.limit_price,
        stop_price=intent.stop_price,
        trail_offset=intent.trail_offset,
        expire_at=intent.expire_at,
        account=account_of(desk.portfolio.pk),
        intent_digest=digest or intent.digest,
        status=status,
        created_by=desk.trader,
        created_at=now,
        updated_at=now,
    )
    order.save(force_insert=True)
    return order


def checks_of(authority, **outcomes):
    """What the authority answers about each order, all of it passed but for `outcomes` by code."""
    return [check_as_dict(Check(code=code, outcome=Outcome(outcomes.get(code, "pass")), message="")) for code in ALWAYS_MADE[authority]]


def decide(order, *, authority, allowed=True, seconds=30, **fields):
    """A decision as somebody would forge it who knows what the database asks of one. It holds for `seconds` more."""
    expires_at = clock.now() + timedelta(seconds=seconds)
    outcomes = {} if allowed else {ALWAYS_MADE[authority][0]: "block"}
    values = {"intent_digest": order.intent_digest, "checks": checks_of(authority, **outcomes), "decided_at": expires_at - timedelta(seconds=30)}
    return OrderDecision.objects.create(order=order, authority=authority, allowed=allowed, expires_at=expires_at, **{**values, **fields})


def by_save(order, status):
    order.status = status
    order.save()


def by_update(order, status):
    Order.objects.filter(pk=order.pk).update(status=status)


def by_bulk_update(order, status):
    order.status = status
    Order.objects.bulk_update([order], ["status"])


def by_sql(order, status):
    with connection.cursor() as cursor:
        cursor.execute("update execution_order set status = %s where id = %s", [str(status), order.pk])


def by_upsert(order, status):
    with connection.cursor() as cursor:
        columns = [field.column for field in Order._meta.concrete_fields]
        cursor.execute(
            f"insert into execution_order ({', '.join(columns)}) select {', '.join(columns)} from execution_order where id = %s "
            "on conflict (id) do update set status = %s",
            [order.pk, str(status)],
        )


WAYS = [by_save, by_update, by_bulk_update, by_sql, by_upsert]


def refused(way, *args, match="decisions of risk and compliance"):
    with pytest.raises(DatabaseError, match=match), transaction.atomic():
        way(*args)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("given", [(), ("risk",), ("compliance",)])
def test_sent_is_refused_without_both_decisions(desk, way, given):
    order = make_order(desk)
    for authority in given:
        decide(order, authority=authority)
    refused(way, order, "sent")
    assert Order.objects.get(pk=order.pk).status == "pending_new"


@pytest.mark.parametrize("way", WAYS)
def test_sent_is_allowed_with_both_decisions(desk, way):
    order = make_order(desk)
    decide(order, authority="risk")
    decide(order, authority="compliance")
    way(order, "sent")
    assert Order.objects.get(pk=order.pk).status == "sent"


@pytest.mark.parametrize("flaw", [{"allowed": False}, {"seconds": -1}], ids=["denying decision", "expired decision"])
@pytest.mark.parametrize("way", WAYS)
def test_sent_is_refused_when_one_decision_does_not_hold(desk, way, flaw):
    order = make_order(desk)
    decide(order, authority="risk")
    decide(order, authority="compliance", **flaw)
    refused(way, order, "sent")


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"checks": []}, "without all its checks"),
        ({"checks": checks_of("compliance")[1:]}, "without all its checks"),
        ({"checks": checks_of("risk")}, "without all its checks"),
        ({"checks": checks_of("compliance", MARKET_HALTED="block")}, "against its own checks"),
        ({"checks": [*checks_of("compliance"), {"code": "X", "outcome": "unheard"}]}, "against its own checks"),
        ({"checks": [*checks_of("compliance"), {"code": "X"}]}, "against its own checks"),
        ({"intent_digest": "0" * 64}, "is not of its intent"),
        ({"expires_at": timedelta(hours=1), "decided_at": timedelta(0)}, "for another time"),
        ({"expires_at": timedelta(hours=25), "decided_at": timedelta(hours=25)}, "for another time"),
        ({"expires_at": -timedelta(minutes=6), "decided_at": -timedelta(minutes=6)}, "for another time"),
    ],
)
def test_a_decision_that_could_not_have_been_made_is_not_taken(desk, fields, match):
    order, now = make_order(desk), clock.now()
    flaw = {name: now + value if isinstance(value, timedelta) else value for name, value in fields.items()}
    whole = {
        "order": order, "authority": "compliance", "allowed": True, "intent_digest": order.intent_digest,
        "checks": checks_of("compliance"), "decided_at": now, "expires_at": now + timedelta(seconds=30),
    }  # fmt: skip
    refused(lambda: OrderDecision.objects.create(**{**whole, **flaw}), match=match)
    OrderDecision.objects.create(**whole)


@pytest.mark.parametrize("status", ["sent", "canceled", "denied", "expired", "rejected"])
def test_an_order_is_judged_while_it_waits_or_works_only(desk, status):
    order = make_order(desk)
    decide(order, authority="risk")
    decide(order, authority="compliance")
    by_sql(order, status)
    refused(lambda: decide(order, authority="risk", decided_at=clock.now()), match="is judged no more")


def test_the_last_word_of_each_authority_counts(desk):
    order = make_order(desk)
    for authority in ("risk", "compliance"):
        decide(order, authority=authority)
    decide(order, authority="risk", allowed=False)
    refused(by_sql, order, "sent")
    decide(order, authority="risk")
    by_sql(order, "sent")


def test_the_gate_answers_what_the_database_asks_for(desk):
    order = desk.submit(strategy="s")
    for decision in order.decisions.all():
        assert {check["code"] for check in decision.checks} >= {str(code) for code in ALWAYS_MADE[decision.authority]}
        assert decision.expires_at - decision.decided_at == timedelta(seconds=LONGEST_VALIDITY) == DECISION_VALIDITY


@pytest.mark.parametrize("status", sorted({"sent", "new", "partially_filled", "filled", "pending_cancel"}))
def test_an_order_cannot_be_inserted_into_the_market(desk, status):
    refused(lambda: make_order(desk, status=status), match="decisions of risk and compliance")


def test_an_order_cannot_be_inserted_with_another_digest(desk):
    refused(lambda: make_order(desk, digest="0" * 64), match="the digest is not that of its intent")
    make_order(desk)


def test_a_decision_for_another_order_does_not_help(desk):
    other, order = make_order(desk), make_order(desk)
    decide(other, authority="risk")
    decide(other, authority="compliance")
    refused(by_sql, order, "sent")


def test_a_temporary_table_does_not_stand_in_for_the_decisions(desk):
    order = make_order(desk)
    with connection.cursor() as cursor:
        cursor.execute("create temporary table execution_orderdecision (like execution_orderdecision)")
        cursor.execute(
            "insert into pg_temp.execution_orderdecision (id, order_id, authority, intent_digest, allowed, checks, decided_at, expires_at) "
            "select n, %s, a, %s, true, '[]', now(), now() + interval '1 day' from unnest(array['risk', 'compliance']) with ordinality as t (a, n)",
            [order.pk, order.intent_digest],
        )
    refused(by_sql, order, "sent")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"order_type": "limit", "limit_price": "100.10", "time_in_force": "ioc"},
        {"order_type": "stop_limit", "limit_price": "0.50", "stop_price": "100", "side": "sell", "strategy": "sma_cross-2.1:a"},
        {"quantity": "1000000"},
        {"order_type": "trailing_stop", "trail_offset": "2.50", "time_in_force": "gtd", "expire_at": datetime(2026, 3, 1, 21, 0, 0, 5, tzinfo=UTC)},
        {"order_type": "market_on_close"},
    ],
)
def test_the_database_computes_the_same_digest_as_the_intent(desk, fields):
    order = make_order(desk, **fields)
    with connection.cursor() as cursor:
        cursor.execute("select execution_intent_digest(o) from execution_order o where id = %s", [order.pk])
        assert cursor.fetchone()[0] == order.intent_digest


@pytest.mark.parametrize("column", INTENT_COLUMNS)
def test_what_was_intended_cannot_be_changed(desk, column):
    order = make_order(desk, order_type="stop_limit", limit_price="100", stop_price="101")
    field = next(field for field in Order._meta.concrete_fields if field.column == column)
    value = getattr(order, field.attname)
    others = {"UUIDField": UUID(int=1), "DateTimeField": order.created_at + timedelta(days=1), "ForeignKey": 10**9, "CharField": "x"}
    other = (value or Decimal(1)) * 2 if isinstance(value, Decimal) or value is None else others[field.get_internal_type()]
    if column in ("market_time", "expire_at"):
        other = order.created_at
    if column == "lots":
        other = [[1, "5"]]
    refused(
        lambda: Order.objects.filter(pk=order.pk).update(**{field.attname: other}),
        match="what was intended (cannot be changed|is changed by an allowed replacement only)",
    )


def test_the_database_knows_the_moves_of_the_table_and_no_others(desk):
    """Every pair of statuses is tried on an order that both authorities allow."""
    moves = set(status_moves())
    for source in OrderStatus:
        for target in set(OrderStatus) - {source}:
            order = make_order(desk)
            decide(order, authority="risk")
            decide(order, authority="compliance")
            with connection.cursor() as cursor:  # the one way to stand anywhere without having come there
                cursor.execute("set local session_replication_role = replica")
                done = "quantity" if source is OrderStatus.FILLED else "0"
                cursor.execute(f"update execution_order set status = %s, cumulative_quantity = {done} where id = %s", [source.value, order.pk])
                cursor.execute("set local session_replication_role = origin")
            move = (source, target)
            if move in moves and target is not OrderStatus.FILLED:
                by_sql(order, target)
            elif move not in moves:
                refused(by_sql, order, target, match="cannot move from")


def test_an_order_that_was_never_allowed_cannot_trade(desk):
    order = make_order(desk)
    by_sql(order, "canceled")

    def late_fill():
        with connection.cursor() as cursor:
            cursor.execute("update execution_order set cumulative_quantity = quantity, status = 'filled' where id = %s", [order.pk])

    refused(late_fill, match="was never sent")


def test_what_has_traded_cannot_be_undone(desk):
    order = make_order(desk)
    decide(order, authority="risk")
    decide(order, authority="compliance")
    for status in ("sent", "new"):
        by_sql(order, status)
    Order.objects.filter(pk=order.pk).update(status="partially_filled", cumulative_quantity=5)
    refused(lambda: Order.objects.filter(pk=order.pk).update(cumulative_quantity=4), match="cannot be undone")
    refused(lambda: Order.objects.filter(pk=order.pk).update(cumulative_quantity=11), match="order_never_overfilled")


def test_orders_are_not_deleted(desk):
    order = make_order(desk)
    refused(lambda: Order.objects.filter(pk=order.pk)._raw_delete(using="default"), match="DELETE of execution_order is refused")
    refused(sql, "truncate execution_order cascade", match="refused")


def sql(statement):
    with connection.cursor() as cursor:
        cursor.execute("set constraints all immediate")  # a table with checks still to come cannot be truncated by anybody
        cursor.execute(statement)


@pytest.mark.parametrize("table", ["execution_orderdecision", "execution_orderevent", "execution_fill", "execution_historicalorder"])
def test_facts_are_neither_changed_nor_removed(desk, table):
    order = make_order(desk)
    decide(order, authority="risk")
    decide(order, authority="compliance")
    by_sql(order, "sent")
    now = clock.now()
    OrderEvent.objects.create(order=order, kind="pending_new", to_status="pending_new", source="desk", occurred_at=now, recorded_at=now)
    Fill.objects.create(order=order, broker="paper", execution_id="1", quantity=1, price=1, market_time=now, executed_at=now, recorded_at=now)
    identity = "history_id" if "historical" in table else "id"
    refused(sql, f"update {table} set {identity} = {identity}", match="is refused: its rows are facts")
    refused(sql, f"delete from {table}", match="is refused: its rows are facts")
    refused(sql, f"truncate {table} cascade", match="is refused: its rows are facts")


def test_a_fill_is_stored_once_per_execution_id(desk):
    order, now = make_order(desk), clock.now()
    decide(order, authority="risk")
    decide(order, authority="compliance")
    by_sql(order, "sent")
    fields = {"order": order, "broker": "paper", "quantity": 1, "price": 1, "market_time": now, "executed_at": now, "recorded_at": now}
    Fill.objects.create(execution_id="1", **fields)
    refused(lambda: Fill.objects.create(execution_id="1", **fields), match="fill_once")


def test_a_paper_account_cannot_be_live(desk):
    refused(lambda: BrokerageAccount.objects.filter(pk=desk.account.pk).update(mode="live"), match="account_paper_is_paper")


def test_orders_decisions_fills_and_accounts_are_journalled(desk):
    order = make_order(desk)
    decide(order, authority="risk")
    BrokerageAccount.objects.filter(pk=desk.account.pk).update(commission=2)
    with connection.cursor() as cursor:
        cursor.execute("select table_name, operation from core_journalentry where table_name like 'execution_%%' order by id")
        rows = cursor.fetchall()
    assert ("execution_order", "insert") in rows
    assert ("execution_orderdecision", "insert") in rows
    assert ("execution_brokerageaccount", "update") in rows
