"""The Redis in which the latest prices live. It holds nothing that a feed's start does not rebuild."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.core.errors import Unavailable

#: Hash: symbol -> latest quote (JSON).
LATEST = "marketdata:latest"
#: Pub/sub channels by kind of message.
CHANNELS = {"quotes": "marketdata:quotes", "bars": "marketdata:bars", "intraday": "marketdata:intraday"}

TIMEOUT_SECONDS = 5.0
GONE = (redis.ConnectionError, redis.TimeoutError, OSError)


@lru_cache(maxsize=1)
def redis_client() -> redis.Redis:
    """The process's client: a pool of connections, safe for threads and after a fork."""
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, decode_responses=True)


def redis_impatient() -> redis.Redis:
    """A client that says at once that Redis is away instead of trying again: for a feed, which has other things to do meanwhile."""
    patience = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}
    return redis.Redis.from_url(settings.REDIS_URL, **patience, retry=Retry(NoBackoff(), 0), decode_responses=True)


@contextmanager
def redis_errors() -> Iterator[None]:
    """Turns a Redis that does not answer into Unavailable."""
    try:
        yield
    except GONE as error:
        raise Unavailable(f"Redis does not answer: {error}") from error
