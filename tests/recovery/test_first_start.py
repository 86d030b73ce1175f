"""A desk that was started from nothing on the PostgreSQL that comes with Python's packages."""

import pytest

from tests.recovery.desk import RunningDesk

pytestmark = pytest.mark.slow


def test_plain_postgresql_is_migrated_and_says_so(loaded_desk: RunningDesk) -> None:
    """No TimescaleDB there: the same migrations, plain tables, and the reason."""
    assert loaded_desk.process.returncode == 0
    done = loaded_desk.command("storage_status", "--json")
    assert done.returncode == 0, done.stderr
    assert '"hypertables_off": "the server has no TimescaleDB"' in done.stdout
    assert '"hypertable": false' in done.stdout
    assert '"hypertable": true' not in done.stdout
