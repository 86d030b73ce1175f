"""What replaces a fixture of pytest-django for all tests: only a conftest comes after plugins."""

import os

import pytest

from tests.migrated import migrated_template


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:  # noqa: ARG001  (first the suffix of the worker)
    """Each worker's database begins as a copy of the one that the first of them has migrated."""
    from django.db import connection

    connection.settings_dict["TEST"]["TEMPLATE"] = migrated_template(os.environ["DATABASE_URL"])
