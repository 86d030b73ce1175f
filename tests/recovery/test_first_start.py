"""A desk that was started from nothing on the PostgreSQL that comes with Python's packages."""

from pathlib import Path

import pytest

from tests.recovery.desk import RunningDesk

pytestmark = pytest.mark.slow


def test_plain_postgresql_is_migrated_and_says_so(loaded_desk: Path, tmp_path: Path) -> None:
    """No TimescaleDB there: the same migrations, plain tables, and the reason."""
    done = RunningDesk.copied(loaded_desk, tmp_path).command("storage_status", "--json")
    assert done.returncode == 0, done.stderr
    assert '"hypertables_off": "the server has no TimescaleDB"' in done.stdout
    assert '"hypertable": false' in done.stdout
    assert '"hypertable": true' not in done.stdout
