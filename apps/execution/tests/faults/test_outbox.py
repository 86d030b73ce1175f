"""Seeded fault injection between the desk and a broker whose line another process holds: the outbox, that process, and both their deaths."""

import os
from collections.abc import Iterator
from logging import CRITICAL

import pytest

from apps.core.roles import roles_synchronise
from apps.execution.services.accounts import ib_account_create
from apps.execution.tests.factories import Desk, make_desk
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
    world.runs(seed=SEED, number=25)
    assert len(world.deaths) > 5


@pytest.mark.soak
def test_thousands_of_lines_break(world: OutboxDesk, request: pytest.FixtureRequest) -> None:
    terminal = request.config.get_terminal_writer()
    terminal.line(f"\n{RUNS} runs from SOAK_SEED={SEED}")
    world.runs(seed=SEED, number=RUNS)
    terminal.line(f"{len(world.deaths)} processes died at {len(set(world.deaths))} points, {len(world.venue.arrived)} orders arrived")
