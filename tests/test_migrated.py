"""The migrated database that all tests begin with."""

import os
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tests.migrated import migrated_template, migrations_hash, with_database


@pytest.mark.django_db
def test_it_is_made_once_and_has_every_migration() -> None:
    name = migrated_template(os.environ["DATABASE_URL"])
    assert name == f"desk_template_{migrations_hash()}"
    executor = MigrationExecutor(connection)
    assert executor.migration_plan(executor.loader.graph.leaf_nodes()) == []


@pytest.mark.django_db
def test_nobody_gets_into_the_one_that_is_copied() -> None:
    url = with_database(os.environ["DATABASE_URL"], migrated_template(os.environ["DATABASE_URL"]))
    with pytest.raises(psycopg.OperationalError, match="not currently accepting connections"):
        psycopg.connect(url)


@pytest.mark.parametrize("url", ["postgresql://desk@/desk?host=/run&port=5432", "postgresql://desk:word@server:5432/desk"])
def test_another_database_of_the_same_server(url: str) -> None:
    other = urlsplit(with_database(url, "other"))
    assert (other.path, other.netloc, other.query) == ("/other", urlsplit(url).netloc, urlsplit(url).query)
