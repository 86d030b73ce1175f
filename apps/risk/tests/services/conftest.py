"""A desk that the live monitor watches."""

import pytest

from apps.core.streams import redis_client
from apps.risk.selectors.facts import PEAKS
from apps.risk.tests.watch import Watch


@pytest.fixture
def watch() -> Watch:
    redis_client().delete(PEAKS)
    return Watch()
