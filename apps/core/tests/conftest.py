from collections.abc import Callable
from pathlib import Path

import pytest
from rest_framework.test import APIClient

from apps.core.models import User
from apps.core.tests.factories import UserFactory


@pytest.fixture(autouse=True)
def anchor_dir(settings, tmp_path: Path) -> Path:
    """Each test's own place for anchors."""
    settings.JOURNAL_ANCHOR_DIR = tmp_path / "journal"
    return settings.JOURNAL_ANCHOR_DIR


@pytest.fixture
def user(db: None) -> User:
    return UserFactory()


@pytest.fixture
def api(user: User) -> APIClient:
    """A client with a session of `user`."""
    client = APIClient()
    client.force_login(user)
    return client


@pytest.fixture
def tamper(transactional_db: None) -> Callable[..., None]:
    """Raw SQL with every trigger disabled, as a database administrator has it."""
    from django.db import connection

    def run(sql: str, *parameters: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("set session_replication_role = replica")
            try:
                cursor.execute(sql, parameters or None)
            finally:
                cursor.execute("set session_replication_role = origin")

    return run
