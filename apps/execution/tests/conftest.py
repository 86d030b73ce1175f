import pytest

from apps.execution.tests.factories import Desk, make_desk


@pytest.fixture
def desk(db) -> Desk:
    return make_desk()
