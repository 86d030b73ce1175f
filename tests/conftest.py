"""The desk that tests of whole desks begin with."""

from collections.abc import Iterator

import pytest

from tests.recovery.desk import RunningDesk


@pytest.fixture(scope="session")
def loaded_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDesk]:
    """The demo desk after its first start, from nothing, and Ctrl-C. Others copy its folder: loading it anew would take each a minute."""
    first = RunningDesk(tmp_path_factory.mktemp("loaded"))
    try:
        first.start()
        first.stop()
        yield first
    finally:
        first.abandon()
