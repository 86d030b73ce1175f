"""Bars for the engine, and a folder of its own for what it tells about its health."""

import pytest

from apps.core import clock
from apps.execution.services.engine_host import EngineHost
from apps.execution.tests.services.test_live import CLOSES, START
from apps.marketdata.tests.factories import make_series, store_series


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.VAR = tmp_path


@pytest.fixture
def bars(desk):
    series = make_series("AAPL", CLOSES, start=START)
    store_series(series)
    return series


@pytest.fixture
def host():
    host = EngineHost(tell=lambda _: None)
    yield host
    host.close(at=clock.now(), reason="the test has ended")
