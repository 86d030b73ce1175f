"""Seeded fault injection between the desk and a broker that is called directly: nothing doubled, nothing lost."""

import logging
import os
from collections.abc import Iterator

import pytest

from apps.core.roles import roles_synchronise
from apps.execution.tests.factories import make_desk
from apps.execution.tests.faults.runs import DirectDesk

SEED = int(os.environ.get("SOAK_SEED", "1"))
RUNS = int(os.environ.get("SOAK_RUNS", "3000"))


@pytest.fixture
def world(transactional_db: None, caplog: pytest.LogCaptureFixture) -> Iterator[DirectDesk]:
    caplog.set_level(logging.CRITICAL)  # hundreds of warnings of dying processes are the point here
    roles_synchronise()
    made = DirectDesk(make_desk(capital="10000000"))
    with made.at_the_venue():
        yield made


def test_a_process_that_dies_anywhere_loses_and_doubles_nothing(world: DirectDesk) -> None:
    world.runs(seed=SEED, number=50)
    assert len(world.deaths) > 12
    assert len(set(world.deaths)) > 10


@pytest.mark.soak
def test_thousands_of_processes_die(world: DirectDesk, request: pytest.FixtureRequest) -> None:
    terminal = request.config.get_terminal_writer()
    terminal.line(f"\n{RUNS} runs from SOAK_SEED={SEED}")
    world.runs(seed=SEED, number=RUNS)
    terminal.line(f"{len(world.deaths)} processes died at {len(set(world.deaths))} points, {len(world.venue.arrived)} orders arrived")
