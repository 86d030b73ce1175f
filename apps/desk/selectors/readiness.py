"""Whether the desk's servers answer and the database is migrated."""

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

PATIENCE_SECONDS = 2.0


def readiness() -> dict[str, str]:
    """State of the database, its migrations and Redis: "ok", "away" or "behind"."""
    database = _database()
    return {"database": database, "migrations": _migrations() if database == "ok" else "away", "redis": _redis()}


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    except DatabaseError:
        return "away"
    return "ok"


def _migrations() -> str:
    try:
        return "behind" if migrations_pending() else "ok"
    except DatabaseError:
        return "away"


def migrations_pending() -> bool:
    """True when the database lacks migrations that the code has."""
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _redis() -> str:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=PATIENCE_SECONDS)
    try:
        client.ping()
    except redis.RedisError:
        return "away"
    finally:
        client.close()
    return "ok"
