"""No way around the gate: every way in which somebody could make an order SENT, tried on every flaw. Zero succeed.

Beside each refusal stands the same attempt on an order that lacks nothing: it succeeds, so the refusals are the guard's doing.
"""

import io
import os
import queue
import subprocess
import sys
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from celery import current_app, shared_task
from celery.contrib.testing.worker import start_worker
from celery.signals import setup_logging, task_failure, task_success
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client

from apps.core import clock
from apps.core.models import User
from apps.core.roles import Role
from apps.execution.domain.halting import FLATTEN_STRATEGY
from apps.execution.models import Fill, Order, OrderApproval
from apps.execution.services.approvals import order_approve
from apps.execution.tests.factories import make_desk, make_user, quote
from apps.execution.tests.test_guards import by_bulk_update, by_save, by_sql, by_update, by_upsert, decide, make_order
from apps.portfolios.tests.factories import InstrumentFactory

ROOT = Path(__file__).parents[3]
BIG = {"approval_value": "500"}  # the order of these tests is worth 1,000


@shared_task(name="execution.tests.send_anyway")
def send_anyway(order_id: int, status: str) -> None:
    Order.objects.filter(pk=order_id).update(status=status)


def by_task(order, status):
    send_anyway.apply(args=[order.pk, str(status)], throw=True)


def by_shell(order, status):
    with redirect_stdout(io.StringIO()):
        call_command("shell", command=f"from apps.execution.models import Order; Order.objects.filter(pk={order.pk}).update(status={str(status)!r})")


def by_merge(order, status):
    with connection.cursor() as cursor:
        cursor.execute(
            "merge into execution_order o using (values (%s::bigint)) as wanted (id) on o.id = wanted.id when matched then update set status = %s",
            [order.pk, str(status)],
        )


WAYS = [by_save, by_update, by_bulk_update, by_sql, by_upsert, by_merge, by_task, by_shell]


def flawless(desk, **fields) -> Order:
    order = make_order(desk, **fields)
    decide(order, authority="risk")
    decide(order, authority="compliance")
    return order


def approve(order, *, by, **changes) -> None:
    now = clock.now()
    given = {"order": order, "intent_digest": order.intent_digest, "approved": True, "decided_by": by, "reason": "seen", "decided_at": now}
    OrderApproval.objects.create(**given | {"expires_at": now + timedelta(seconds=30)} | changes)


def no_decision(desk):
    return make_order(desk)


def one_decision(desk):
    order = make_order(desk)
    decide(order, authority="risk")
    return order


def denied(desk):
    order = make_order(desk)
    decide(order, authority="risk")
    decide(order, authority="compliance", allowed=False)
    return order


def expired(desk):
    order = make_order(desk)
    decide(order, authority="risk", seconds=-1)
    decide(order, authority="compliance")
    return order


@pytest.mark.parametrize("flaw", [no_decision, one_decision, denied, expired])
@pytest.mark.parametrize("way", WAYS)
def test_no_way_makes_an_order_sent_without_both_decisions(desk, way, flaw) -> None:
    order = flaw(desk)
    with pytest.raises(DatabaseError, match="decisions of risk and compliance"), transaction.atomic():
        way(order, "sent")
    assert Order.objects.get(pk=order.pk).status == "pending_new"


@pytest.mark.parametrize("way", WAYS)
def test_each_way_works_on_an_order_that_lacks_nothing(desk, way) -> None:
    order = flawless(desk)
    way(order, "sent")
    assert Order.objects.get(pk=order.pk).status == "sent"


def unapproved(order, desk, other):
    pass


def by_oneself(order, desk, other):
    approve(order, by=desk.trader)


def refused(order, desk, other):
    approve(order, by=other, approved=False)


def run_out(order, desk, other):
    approve(order, by=other, expires_at=clock.now() - timedelta(seconds=1))


def of_another_intent(order, desk, other):
    approve(order, by=other, intent_digest="0" * 64)


@pytest.mark.parametrize("flaw", [unapproved, by_oneself, refused, run_out, of_another_intent])
@pytest.mark.parametrize("way", WAYS)
def test_no_way_makes_a_large_order_sent_without_a_second_person(db, way, flaw) -> None:
    desk, other = make_desk(**BIG), make_user("second", Role.RISK)
    order = flawless(desk)
    flaw(order, desk, other)
    with pytest.raises(DatabaseError, match="approval of a second person"), transaction.atomic():
        way(order, "sent")
    assert Order.objects.get(pk=order.pk).status == "pending_new"


@pytest.mark.parametrize("way", WAYS)
def test_each_way_works_on_a_large_order_that_somebody_else_approved(db, way) -> None:
    desk, other = make_desk(**BIG), make_user("second", Role.RISK)
    order = flawless(desk)
    approve(order, by=other)
    way(order, "sent")
    assert Order.objects.get(pk=order.pk).status == "sent"


def test_nobody_is_born_sent(desk) -> None:
    with pytest.raises(DatabaseError, match="without decisions"), transaction.atomic():
        make_order(desk, status="sent")


@pytest.mark.parametrize("path", ["change", "add", "delete", "action"])
def test_the_admin_has_no_way_not_even_for_a_superuser(desk, path) -> None:
    order = make_order(desk)
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="a-root-password"))
    base = "/admin/execution/order/"
    address = {"change": f"{base}{order.pk}/change/", "add": f"{base}add/", "delete": f"{base}{order.pk}/delete/", "action": base}[path]
    form = {"status": "sent", "post": "yes"} | ({"action": "delete_selected", ACTION_CHECKBOX_NAME: [order.pk]} if path == "action" else {})
    assert client.get(base).status_code == 200
    client.post(address, form)
    assert Order.objects.get(pk=order.pk).status == "pending_new"


@pytest.mark.django_db(transaction=True)
def test_another_process_has_no_way_either() -> None:
    """`manage.py shell` for itself, on the same database, as the desk's own user."""
    order = no_decision(make_desk())
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    command = f"from apps.execution.models import Order; print('seen', Order.objects.get(pk={order.pk}).status); "
    command += f"Order.objects.filter(pk={order.pk}).update(status='sent')"
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "-c", command],
        cwd=ROOT, env={**os.environ, "DATABASE_URL": url}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "seen pending_new" in done.stdout
    assert "without unexpired decisions of risk and compliance" in done.stderr
    assert Order.objects.get(pk=order.pk).status == "pending_new"


def hold_ten(desk) -> None:
    for _ in range(2):
        assert desk.submit(quantity="5").status == "filled"


@pytest.mark.parametrize("way", WAYS)
def test_each_way_sends_a_large_order_that_only_reduces(db, way) -> None:
    desk = make_desk(**BIG)
    hold_ten(desk)
    order = flawless(desk, side="sell")
    way(order, "sent")
    assert Order.objects.get(pk=order.pk).status == "sent"


def sells_what_is_not_held(desk) -> Order:
    return flawless(desk, side="sell", strategy=FLATTEN_STRATEGY)


def sells_what_is_offered_already(desk) -> Order:
    hold_ten(desk)
    assert desk.submit(side="sell", order_type="limit", limit_price="120", quantity="1").status == "new"
    return flawless(desk, side="sell", strategy=FLATTEN_STRATEGY)


def buys_more(desk) -> Order:
    hold_ten(desk)
    return flawless(desk, order_type="stop", stop_price="101", strategy=FLATTEN_STRATEGY)


@pytest.mark.parametrize("flaw", [sells_what_is_not_held, sells_what_is_offered_already, buys_more])
@pytest.mark.parametrize("way", WAYS)
def test_no_name_makes_a_reduction_of_what_is_none(db, way, flaw) -> None:
    order = flaw(make_desk(**BIG))
    with pytest.raises(DatabaseError, match="approval of a second person"), transaction.atomic():
        way(order, "sent")
    assert Order.objects.get(pk=order.pk).status == "pending_new"


def test_an_order_abroad_is_not_sent_on_a_price_without_its_rate(db) -> None:
    """Of ten at 80 the database asks for the rate by which risk judged it: without one nothing is small."""
    desk = make_desk(approval_value="900")
    InstrumentFactory(symbol="SAP", currency="EUR")
    quote("SAP", "80")
    order = flawless(desk, symbol="SAP", order_type="limit", limit_price="80")
    with pytest.raises(DatabaseError, match="approval of a second person"), transaction.atomic():
        by_sql(order, "sent")


def fill_of(order, way) -> None:
    """The order ends and is then filled, by each way in which one may write."""
    way(order, "canceled")
    order.cumulative_quantity = order.quantity
    if way is by_save:
        by_save(order, "filled")
    elif way is by_bulk_update:
        order.status = "filled"
        Order.objects.bulk_update([order], ["status", "cumulative_quantity"])
    elif way in (by_update, by_task, by_shell):
        Order.objects.filter(pk=order.pk).update(status="filled", cumulative_quantity=order.quantity)
    else:
        with connection.cursor() as cursor:
            cursor.execute("update execution_order set status = 'filled', cumulative_quantity = quantity where id = %s", [order.pk])


@pytest.mark.parametrize("way", WAYS)
def test_a_large_order_that_waited_and_was_cancelled_has_no_fills(db, way) -> None:
    order = flawless(make_desk(**BIG))
    with pytest.raises(DatabaseError, match="was never sent"), transaction.atomic():
        fill_of(order, way)
    with pytest.raises(DatabaseError, match="was never sent"), transaction.atomic():
        fill_row(order)
    Order.objects.filter(pk=order.pk).update(status="canceled", sent_at=clock.now())  # which the database writes, and nobody else
    with pytest.raises(DatabaseError, match="was never sent"), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(status="canceled", cumulative_quantity=1)


@pytest.mark.parametrize("way", WAYS)
def test_a_fill_after_the_end_of_an_order_that_was_sent_is_taken(db, way) -> None:
    desk, other = make_desk(**BIG), make_user("second", Role.RISK)
    order = flawless(desk)
    approve(order, by=other)
    way(order, "sent")
    fill_of(order, way)
    fill_row(order)
    assert Order.objects.get(pk=order.pk).cumulative_quantity == order.quantity


def fill_row(order) -> None:
    now = clock.now()
    values = {"quantity": 10, "price": 100, "market_time": now, "executed_at": now, "recorded_at": now}
    Fill.objects.create(order=order, broker="paper", execution_id=str(order.pk), **values)


@pytest.mark.django_db(transaction=True)
def test_a_worker_has_no_way_either() -> None:
    """A task that comes through the queue to a Celery worker, with a connection of its own. The same task sends an order that lacks nothing."""
    desk = make_desk()
    order, ended = no_decision(desk), queue.Queue()

    def hear(sender=None, exception=None, **_):
        if sender.name == send_anyway.name:
            ended.put(exception)

    def leave_logging(**_):
        """Somebody hears the signal: then Celery sets up none of its own, which would outlive the worker."""

    setup_logging.connect(leave_logging)
    task_failure.connect(hear)
    task_success.connect(hear)
    try:
        with start_worker(current_app, queues=["trade"], perform_ping_check=False, pool="solo", shutdown_timeout=60):
            send_anyway.apply_async(args=[order.pk, "sent"], queue="trade")
            assert "without unexpired decisions of risk and compliance" in str(ended.get(timeout=60))
            assert Order.objects.get(pk=order.pk).status == "pending_new"
            for authority in ("risk", "compliance"):
                decide(order, authority=authority)
            send_anyway.apply_async(args=[order.pk, "sent"], queue="trade")
            assert ended.get(timeout=60) is None
    finally:
        setup_logging.disconnect(leave_logging)
        task_failure.disconnect(hear)
        task_success.disconnect(hear)
    assert Order.objects.get(pk=order.pk).status == "sent"


def test_a_change_makes_no_order_large_without_a_second_person(db) -> None:
    from apps.core.errors import Conflict
    from apps.execution.models import OrderReplacement
    from apps.execution.services.replacements import FIELDS, order_replace

    desk = make_desk(approval_value="1000")
    order = desk.submit(order_type="limit", limit_price="99")
    assert order.status == "new"
    given = {"order_id": order.pk, "user": desk.trader, "replacement_id": order.client_order_id, "at": clock.now()}
    with pytest.raises(Conflict, match="send a new one"):
        order_replace(changes={"quantity": "11"}, **given)
    values = {name: getattr(order, name) for name in FIELDS} | {"quantity": 11}
    with pytest.raises(DatabaseError, match="second person"), transaction.atomic():
        OrderReplacement.objects.create(
            order=order, replacement_id=order.client_order_id, intent_digest="0" * 64, requested_by=desk.trader, requested_at=clock.now(), **values
        )
    assert order_replace(changes={"quantity": "9"}, **given).quantity == 9


def test_the_service_is_the_one_way(db) -> None:
    desk, other = make_desk(**BIG), make_user("second", Role.RISK)
    order = desk.submit()
    assert order.status == "pending_new"
    sent = order_approve(order_id=order.pk, user=other, approve=True, reason="seen", at=clock.now())
    assert sent.status == "filled"
