"""Processes that are really killed: one order at every stage of its life, and a desk that trades while it is."""

import os
import time
from collections.abc import Iterator
from logging import CRITICAL
from pathlib import Path
from random import Random
from signal import SIGKILL
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import connection

from apps.core import clock
from apps.core.roles import roles_synchronise
from apps.execution.models import Fill, Order
from apps.execution.services import routing
from apps.execution.tests.factories import make_desk
from apps.execution.tests.faults.desks import busy_desk
from apps.execution.tests.faults.lives import VenueOnDisk
from apps.execution.tests.faults.mortal import Mortal
from apps.execution.tests.faults.runs import DirectDesk

SEED = int(os.environ.get("SOAK_SEED", "1"))
ORDERS = int(os.environ.get("SOAK_ORDERS", "10000"))
#: Points that an order passes which is submitted, changed and cancelled.
POINTS = 150


@pytest.fixture(scope="module")
def processes(django_db_setup: None) -> Iterator[Mortal]:
    """Loaded once, which takes longer than most lives."""
    with Mortal(database=str(connection.settings_dict["NAME"])) as made:
        yield made


@pytest.fixture
def mortal(processes: Mortal, transactional_db: None, caplog: pytest.LogCaptureFixture, settings: object, tmp_path: Path) -> Mortal:
    caplog.set_level(CRITICAL)
    settings.JOURNAL_ANCHOR_DIR = tmp_path / "anchors"  # type: ignore[attr-defined]
    roles_synchronise()
    return processes


def test_a_killed_process_leaves_what_the_next_one_finishes(mortal: Mortal, tmp_path: Path) -> None:
    world = DirectDesk(make_desk(capital="10000000"))
    points = [*Random(SEED).sample(range(POINTS), 7), 10_000]
    killed = 0
    for number, point in enumerate(points):
        key = UUID(int=number)
        names = {"path": str(tmp_path / "venue"), "portfolio_id": world.desk.portfolio.pk, "user_id": world.desk.trader.pk}
        signal = mortal.run("one_order", key=str(key), point=point, **names)
        assert signal in (0, SIGKILL)
        killed += signal == SIGKILL
        world.venue = VenueOnDisk(tmp_path / "venue", around=lambda _, work: work())
        world.key, world.at = key, clock.now()
        with patch.dict(routing._ADAPTERS, {("paper", "paper"): lambda _: world.venue}):
            world._calm_down()
            world._check()
    assert signal == 0
    assert 3 < killed < len(points)
    assert world.order.cumulative_quantity == 8  # four before the change to eight, four with it


def trade(mortal: Mortal, folder: Path, *, orders: int, batch: int) -> tuple[int, float]:
    """Let a desk trade and compare its books; returns how many processes were killed, and in how many seconds it traded."""
    with busy_desk(folder, seed=SEED) as desk:
        begun = time.monotonic()
        desk.trade(mortal, orders=orders, batch=batch)
        took = time.monotonic() - begun
        desk.calm_down()
        desk.check()
        return desk.killed, took


def test_a_desk_that_trades_while_it_is_killed(mortal: Mortal, tmp_path: Path) -> None:
    trade(mortal, tmp_path, orders=100, batch=25)
    assert Order.objects.count() >= 100
    assert Fill.objects.count() > 10


@pytest.mark.soak
def test_ten_thousand_orders(mortal: Mortal, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    terminal = request.config.get_terminal_writer()
    terminal.line(f"\n{ORDERS} orders from SOAK_SEED={SEED}")
    killed, seconds = trade(mortal, tmp_path, orders=ORDERS, batch=200)
    terminal.line(f"{Order.objects.count()} orders, {Fill.objects.count()} fills in {seconds:.0f} s, {killed} processes killed; all books agree")
