"""A private, durable PostgreSQL and Redis for the time of the benchmarks, with a migrated database."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apps.core.servers import EmbeddedServers

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def bench_servers() -> Iterator[EmbeddedServers]:
    """Start from nothing, with the durability of the desk; forget everything at the end."""
    var = ROOT / os.environ.get("DESK_VAR", "var") / "bench"
    shutil.rmtree(var, ignore_errors=True)
    os.environ |= {"DESK_VAR": str(var), "DJANGO_SETTINGS_MODULE": "benchmarks.settings"}
    servers = EmbeddedServers(var)
    servers.start()
    try:
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield servers
    finally:
        servers.stop()
        shutil.rmtree(var, ignore_errors=True)
