"""Seeded fault injection between the desk and a broker whose line another process holds: the outbox, that process, and both their deaths."""

import os
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from logging import CRITICAL
from uuid import uuid4

import pytest

from apps.alerts.models import Alert
from apps.core.roles import roles_synchronise
from apps.execution.models import Order
from apps.execution.services import ib_desk
from apps.execution.services.accounts import ib_account_create
from apps.execution.services.replacements import order_replace
from apps.execution.tests.factories import Desk, make_desk, noon_at, quote
from apps.execution.tests.faults.ib_double import ACCOUNT
from apps.execution.tests.faults.runs import OutboxDesk

SEED = int(os.environ.get("SOAK_SEED", "1"))
RUNS = int(os.environ.get("SOAK_RUNS", "3000"))


@pytest.fixture
def world(transactional_db: None, caplog: pytest.LogCaptureFixture) -> Iterator[OutboxDesk]:
    caplog.set_level(CRITICAL)
    roles_synchronise()
    made = make_desk(capital="10000000")
    made.account.delete()
    account = ib_account_create(portfolio_id=made.portfolio.pk, number=ACCOUNT)
    return OutboxDesk(Desk(trader=made.trader, portfolio=made.portfolio, instrument=made.instrument, account=account))


def test_whoever_dies_nothing_is_sent_twice_and_no_fill_is_lost(world: OutboxDesk) -> None:
    world.runs(seed=SEED, number=16)
    assert len(world.deaths) > 4


def test_a_change_that_waits_longer_than_its_decisions_hold_is_never_sent(world: OutboxDesk) -> None:
    """Neither by itself, nor beside the next change of the same order."""
    world.calm = True
    order = world.desk.submit(at=world.at, order_type="limit", limit_price="99", time_in_force="gtc")
    world.process.step(now=lambda: world.at)
    change(world, order, "12")
    world.at += timedelta(seconds=31)
    world.process.step(now=lambda: world.at)
    order.refresh_from_db()
    assert (order.status, order.quantity, world.venue.changed) == ("new", 10, [])
    assert order.events.order_by("-id").first().data == {"reason": "its decisions ran out before the gateway could be told"}
    change(world, order, "14")
    for _ in range(3):
        world.process.step(now=lambda: world.at)
    order.refresh_from_db()
    assert (order.status, order.quantity, len(world.venue.changed)) == ("new", 14, 1)


def test_what_the_gateway_forgot_at_midnight_stays_unknown_and_is_told(world: OutboxDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ib_desk, "GATEWAY_ZONE", noon_at(world.at))
    world.calm = True
    world.process.step(now=lambda: world.at)
    world.line._trouble = lambda: "lost"
    order = world.desk.submit(at=world.at)
    world.process.step(now=lambda: world.at)
    world.line._trouble = world.trouble
    world.at += timedelta(hours=14)
    for _ in range(3):
        world.at += 2 * ib_desk.PATIENCE
        world.process.step(now=lambda: world.at)
    order.refresh_from_db()
    assert (order.status, world.venue.arrived) == ("unknown_sent", [])
    assert {alert.code for alert in Alert.objects.all()} == {"ORDER_NOT_AT_BROKER"}


def change(world: OutboxDesk, order: Order, quantity: str) -> None:
    quote("AAPL", "100", at=world.at)
    order_replace(order_id=order.pk, user=world.desk.trader, replacement_id=uuid4(), changes={"quantity": Decimal(quantity)}, at=world.at)


@pytest.mark.soak
def test_thousands_of_lines_break(world: OutboxDesk, request: pytest.FixtureRequest) -> None:
    terminal = request.config.get_terminal_writer()
    terminal.line(f"\n{RUNS} runs from SOAK_SEED={SEED}")
    world.runs(seed=SEED, number=RUNS)
    terminal.line(f"{len(world.deaths)} processes died at {len(set(world.deaths))} points, {len(world.venue.arrived)} orders arrived")
