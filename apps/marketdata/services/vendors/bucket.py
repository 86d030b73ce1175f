"""A vendor's token bucket in Redis: one script, one clock, shared by all processes and hosts of the desk."""

from collections.abc import Callable

from apps.marketdata.selectors.store import redis_client, redis_errors

#: A moment in seconds since 1970; None: the clock of Redis, so that hosts whose clocks differ still share one pace.
Clock = Callable[[], float]

TAKE = """
local now = tonumber(ARGV[1])
if not now then local t = redis.call('time'); now = t[1] + t[2] / 1000000 end
local rate, burst = tonumber(ARGV[2]), tonumber(ARGV[3])
local tokens, at, pause = unpack(redis.call('hmget', KEYS[1], 'tokens', 'at', 'pause'))
tokens = math.min(burst, tonumber(tokens or burst) + math.max(0, now - tonumber(at or now)) * rate)
at = math.max(now, tonumber(at or now))
local wait = math.max(0, tonumber(pause or 0) - now)
if wait == 0 and tokens >= 1 then tokens = tokens - 1 elseif tokens < 1 then wait = math.max(wait, (1 - tokens) / rate) end
redis.call('hset', KEYS[1], 'tokens', string.format('%.9f', tokens), 'at', string.format('%.6f', at))
redis.call('expire', KEYS[1], math.ceil(burst / rate + math.max(0, tonumber(pause or 0) - now)) + 60)
return string.format('%.6f', wait)
"""

PAUSE = """
local now = tonumber(ARGV[1])
if not now then local t = redis.call('time'); now = t[1] + t[2] / 1000000 end
local till = now + tonumber(ARGV[2])
if till > tonumber(redis.call('hget', KEYS[1], 'pause') or 0) then redis.call('hset', KEYS[1], 'pause', string.format('%.6f', till)) end
redis.call('expire', KEYS[1], math.ceil(tonumber(ARGV[2])) + 3600)
"""


class TokenBucket:
    """A bucket that begins full. A token is taken when the request is made, never ahead, so no moment sees more than burst + rate x t."""

    def __init__(self, vendor: str, *, rate: float, burst: int, clock: Clock | None = None) -> None:
        self._key = f"marketdata:vendor:{vendor}:bucket"
        self._rate, self._burst, self._clock = rate, burst, clock

    def take(self) -> float:
        """Take a token and return 0, or take none and return the seconds until there may be one. Raises Unavailable when Redis is away."""
        with redis_errors():
            return float(redis_client().eval(TAKE, 1, self._key, self._now(), self._rate, self._burst))

    def pause(self, seconds: float) -> None:
        """Give nobody a token for so long: what the vendor asks for with Retry-After holds for all processes."""
        with redis_errors():
            redis_client().eval(PAUSE, 1, self._key, self._now(), seconds)

    def _now(self) -> str:
        return "" if self._clock is None else repr(self._clock())
