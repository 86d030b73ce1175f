"""The addresses of PostgreSQL and Redis, given or private."""

from dataclasses import dataclass
from pathlib import Path

from apps.core.servers.folders import run_folder
from apps.core.servers.postgres import postgres_url
from apps.core.servers.redis import redis_url as private_redis_url


@dataclass(frozen=True, slots=True)
class ServerUrls:
    """What Django, Redis clients and Celery connect to."""

    database: str
    redis_base: str

    def redis(self, number: int) -> str:
        """URL of one of Redis's numbered databases."""
        if self.redis_base.startswith("unix:"):
            return f"{self.redis_base}?db={number}"
        return f"{self.redis_base.rstrip('/')}/{number}"

    def celery(self, number: int) -> str:
        """The same for Celery, whose transport spells a socket differently."""
        if self.redis_base.startswith("unix:"):
            return f"redis+socket:{self.redis_base.removeprefix('unix:')}?virtual_host={number}"
        return self.redis(number)


def server_urls(*, var: Path, database_url: str, redis_url: str) -> ServerUrls:
    """The given URLs, and the private servers' for those that are empty."""
    run = run_folder(var)
    return ServerUrls(database_url or postgres_url(run), redis_url or private_redis_url(run))
