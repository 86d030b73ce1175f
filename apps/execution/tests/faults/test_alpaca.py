"""Seeded fault injection between the desk and Alpaca: its process dies, answers get lost, and orders arrive after they were given up."""

import os
from collections.abc import Iterator
from logging import CRITICAL

import pytest

from apps.alerts.models import Alert
from apps.core.roles import roles_synchronise
from apps.execution.models import Order
from apps.execution.services.accounts import alpaca_account_create
from apps.execution.tests.factories import Desk, make_desk
from apps.execution.tests.faults.runs import AlpacaRuns

SEED = int(os.environ.get("SOAK_SEED", "1"))
RUNS = int(os.environ.get("SOAK_RUNS", "3000"))


@pytest.fixture
def world(transactional_db: None, caplog: pytest.LogCaptureFixture) -> Iterator[AlpacaRuns]:
    caplog.set_level(CRITICAL)
    roles_synchronise()
    made = make_desk(capital="10000000")
    made.account.delete()
    account = alpaca_account_create(portfolio_id=made.portfolio.pk, number="PA3TESTS")
    return AlpacaRuns(Desk(trader=made.trader, portfolio=made.portfolio, instrument=made.instrument, account=account))


def test_whoever_dies_nothing_is_sent_twice_and_no_fill_is_lost(world: AlpacaRuns) -> None:
    world.runs(seed=SEED, number=24)
    assert len(world.deaths) > 6
    assert Order.objects.filter(fills__isnull=False).exists()
    assert Alert.objects.filter(code__in=["ORDER_ARRIVED_LATE", "LATE_FILL"]).exists()


@pytest.mark.soak
def test_thousands_of_requests_get_lost(world: AlpacaRuns, request: pytest.FixtureRequest) -> None:
    terminal = request.config.get_terminal_writer()
    terminal.line(f"\n{RUNS} runs from SOAK_SEED={SEED}")
    world.runs(seed=SEED, number=RUNS)
    late = Alert.objects.filter(code="ORDER_ARRIVED_LATE").count()
    terminal.line(f"{len(world.deaths)} processes died at {len(set(world.deaths))} points, {len(world.venue.posted)} orders sent, {late} came late")
