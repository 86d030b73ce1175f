"""A vendor's circuit breaker, its state in Redis and therefore shared by all processes of the desk.

CLOSED: requests pass. Enough failures within the window: OPEN, nothing passes. After the cool-down HALF_OPEN: one request at a time
passes as a probe; its success closes the breaker, its failure opens it again. An operator may force it open or closed.
When Redis is away nothing passes: without it nobody knows the pace that all processes keep together, and a vendor that blocks
the desk's account costs more than bars that come later.
"""

import uuid
from dataclasses import dataclass
from enum import StrEnum

from apps.marketdata.domain.pacing import BreakerRule
from apps.marketdata.providers.protocol import VendorUnavailable
from apps.marketdata.selectors.store import redis_client, redis_errors
from apps.marketdata.selectors.vendors import breaker_key
from apps.marketdata.services.vendors.bucket import Clock

NOW = "local now = tonumber(ARGV[1])\nif not now then local t = redis.call('time'); now = t[1] + t[2] / 1000000 end\n"

PERMIT = f"""{NOW}
local forced, state, opened, probing = unpack(redis.call('hmget', KEYS[1], 'forced', 'state', 'opened_at', 'probe_until'))
if forced == 'open' then return {{'no', 'forced', '-1'}} end
if forced == 'closed' or not state or state == 'closed' then return {{'yes', '', ''}} end
local wait = state == 'open' and tonumber(opened) + ARGV[3] - now or tonumber(probing) - now
if wait > 0 then return {{'no', state, string.format('%.3f', wait)}} end
redis.call('hset', KEYS[1], 'state', 'half_open', 'probe', ARGV[2], 'probe_until', string.format('%.6f', now + ARGV[4]))
return {{'yes', 'probed', ''}}
"""

RECORD = f"""{NOW}
local forced, state, probe = unpack(redis.call('hmget', KEYS[1], 'forced', 'state', 'probe'))
local ours, outcome = probe == ARGV[2], ARGV[3]
if state == 'half_open' and ours then
  if outcome == 'none' then redis.call('hset', KEYS[1], 'probe_until', '0') return '' end
  redis.call('hdel', KEYS[1], 'probe', 'probe_until')
  redis.call('del', KEYS[2])
  if outcome == 'good' then redis.call('hset', KEYS[1], 'state', 'closed') return 'closed' end
  redis.call('hset', KEYS[1], 'state', 'open', 'opened_at', string.format('%.6f', now))
  return 'opened'
end
if outcome ~= 'bad' or (forced and forced ~= '') or (state and state ~= 'closed') then return '' end
redis.call('zremrangebyscore', KEYS[2], '-inf', now - ARGV[5])
redis.call('zadd', KEYS[2], now, ARGV[2])
redis.call('expire', KEYS[2], math.ceil(ARGV[5]) + 1)
if redis.call('zcard', KEYS[2]) < tonumber(ARGV[4]) then return '' end
redis.call('del', KEYS[2])
redis.call('hset', KEYS[1], 'state', 'open', 'opened_at', string.format('%.6f', now))
return 'opened'
"""


class Outcome(StrEnum):
    """How a permitted request ended. NONE: it was not made, or says nothing about the vendor."""

    GOOD = "good"
    BAD = "bad"
    NONE = "none"


class BreakerOpen(VendorUnavailable):
    """The desk does not ask this vendor for now: it failed too often, or an operator decided so."""

    code = "BREAKER_OPEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Leave to make one request. `event` is "probed" for the request that tries whether the vendor works again."""

    number: str
    event: str


class CircuitBreaker:
    """The breaker of one vendor."""

    def __init__(self, vendor: str, *, rule: BreakerRule, clock: Clock | None = None) -> None:
        self.vendor, self.rule, self._clock = vendor, rule, clock
        self._state, self._failures = breaker_key(vendor), f"{breaker_key(vendor)}:failures"

    def permit(self) -> Permit:
        """Leave to make a request; say with `record` how it ended. Raises BreakerOpen, and Unavailable when Redis is away."""
        number = uuid.uuid4().hex
        with redis_errors():
            answer, why, wait = redis_client().eval(PERMIT, 1, self._state, self._now(), number, self.rule.cooldown_seconds, self.rule.probe_seconds)
        if answer == "yes":
            return Permit(number=number, event=why)
        if why == "forced":
            raise BreakerOpen(f"{self.vendor} is not asked: an operator forced its breaker open")
        raise BreakerOpen(
            f"{self.vendor} is not asked after too many failures; the next try is in {float(wait):.0f} s", retry_after=max(1, round(float(wait)))
        )

    def record(self, permit: Permit, outcome: Outcome) -> str:
        """Say how the request ended. Returns "opened" or "closed" when that changed the breaker, else ""."""
        rule = self.rule
        with redis_errors():
            return str(
                redis_client().eval(RECORD, 2, self._state, self._failures, self._now(), permit.number, outcome, rule.failures, rule.window_seconds)
            )

    def _now(self) -> str:
        return "" if self._clock is None else repr(self._clock())


def breaker_force(vendor: str, forced: str) -> None:
    """Make all processes follow an operator's decision ("open", "closed" or "")."""
    with redis_errors():
        redis_client().hset(breaker_key(vendor), "forced", forced)


def breaker_remind(vendor: str, forced: str) -> None:
    """The same where Redis has no decision at all, because it was restarted empty."""
    with redis_errors():
        redis_client().hsetnx(breaker_key(vendor), "forced", forced)
