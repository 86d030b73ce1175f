"""A desk with an account at Interactive Brokers, a gateway, and the process between them."""

from collections.abc import Iterator

import pytest

from apps.core import clock
from apps.execution.services import ib_desk
from apps.execution.tests.factories import Desk, make_desk, noon_at
from apps.execution.tests.gateways.ib import IbGateway
from apps.execution.tests.services.ib.process import ACCOUNT, Process, at_ib


@pytest.fixture
def desk(db) -> Desk:
    made = make_desk()
    made.account.delete()
    return Desk(trader=made.trader, portfolio=made.portfolio, instrument=made.instrument, account=at_ib(made.portfolio.pk))


@pytest.fixture(autouse=True)
def _no_midnight() -> Iterator[None]:
    """The gateway forgets at midnight: whenever the tests run, it is noon there. A test that undoes its own patches leaves this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ib_desk, "GATEWAY_ZONE", noon_at(clock.now()))
        yield


@pytest.fixture
def gateway() -> Iterator[IbGateway]:
    with IbGateway(accounts=(ACCOUNT,)) as running:
        yield running


@pytest.fixture
def process(gateway) -> Iterator[Process]:
    running = Process(gateway)
    yield running
    running.die()
