"""PostgreSQL refuses root, so root's servers run as nobody: in a user namespace, or where that is refused, as another account."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from apps.core.servers import EmbeddedServers, account


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that other accounts may enter, which pytest's own temporary folders are not."""
    folder = Path(tempfile.mkdtemp(prefix="desk-account-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_server_runs_without_root_where_user_namespaces_are_refused(reachable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "USER_NAMESPACE", ["false"])
    servers = EmbeddedServers(reachable)
    servers.start()
    try:
        with psycopg.connect(servers.postgres.url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        owner = Path(f"/proc/{servers.postgres.pid()}").stat().st_uid
        assert owner != 0
        assert servers.postgres.data.stat().st_uid == owner
        assert servers.run.stat().st_mode & 0o077 == 0
    finally:
        servers.stop()


def test_normal_user_needs_no_other_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert account.as_unprivileged(Path("/bin/true"), owned=()) == ([], "0700")
