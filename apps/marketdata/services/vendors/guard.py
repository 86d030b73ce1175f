"""The door between an adapter and its vendor: pace, retries and breaker around every single request."""

import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from apps.core import clock as wall
from apps.marketdata.domain.pacing import BreakerRule, RetryRule, retry_pause
from apps.marketdata.models import IncidentKind, Vendor
from apps.marketdata.providers.protocol import RateLimited, UnknownVendorSymbol, VendorNonsense, VendorRefused, VendorUnavailable
from apps.marketdata.services.vendors.breaker import BreakerOpen, CircuitBreaker, Outcome, breaker_remind
from apps.marketdata.services.vendors.bucket import Clock, TokenBucket
from apps.marketdata.services.vendors.incidents import incident_record

Answer = TypeVar("Answer")

#: How each error is recorded. To the breaker the first three are failures; a vendor that says "too many" or "no such symbol" answers.
KINDS: dict[type[Exception], IncidentKind] = {
    VendorNonsense: IncidentKind.NONSENSE,
    VendorUnavailable: IncidentKind.UNAVAILABLE,
    VendorRefused: IncidentKind.REFUSED,
    RateLimited: IncidentKind.RATE_LIMITED,
}
RETRY = RetryRule()
BREAKER = BreakerRule()
FAILURES = (VendorNonsense, VendorUnavailable, VendorRefused)


class TooSoon(RateLimited):
    """The desk's own pace for this vendor does not allow a request within the time that the caller has."""

    code = "TOO_SOON"


class VendorGuard:
    """A `providers.protocol.Guard`. `symbol` is what the caller asks about just now, for the incidents.

    `sleep`, `monotonic`, `chance` and `clock` (of bucket and breaker) are real unless a test gives its own.
    """

    def __init__(
        self,
        vendor: str,
        *,
        rate: float,
        burst: int,
        retry: RetryRule = RETRY,
        breaker: BreakerRule = BREAKER,
        clock: Clock | None = None,
        sleep: Callable[[float], object] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        now: Callable[[], datetime] = wall.now,
    ) -> None:
        self.vendor, self.symbol = vendor, ""
        self._retry = retry
        self._bucket = TokenBucket(vendor, rate=rate, burst=burst, clock=clock)
        self._breaker = CircuitBreaker(vendor, rule=breaker, clock=clock)
        self._sleep, self._monotonic, self._chance, self._now = sleep, monotonic, chance, now
        self._counted: Exception | None = None

    def call(self, request: Callable[[], Answer]) -> Answer:
        """Make the request when its turn comes; again, later, when the vendor is away or says that it was asked too often.

        Raises what the last try raised; without having asked, BreakerOpen, TooSoon (its turn would come too late), and Unavailable
        when Redis is away.
        """
        deadline = self._monotonic() + self._retry.total_seconds
        for attempt in range(1, self._retry.attempts + 1):
            try:
                return self._once(request, deadline)
            except (BreakerOpen, TooSoon):
                raise
            except (RateLimited, VendorUnavailable) as error:
                given = error.retry_after if isinstance(error, RateLimited) else None
                pause = retry_pause(self._retry, attempt=attempt, retry_after=given, chance=self._chance())
                if attempt == self._retry.attempts or self._monotonic() + pause > deadline:
                    self._incident(error, f"given up after {attempt} tries: {error}")
                    raise
                self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def report(self, error: Exception) -> None:
        """Count and record a failure that showed only after the request was over, such as nonsense in its answer. Each error counts once."""
        if error is self._counted or not isinstance(error, FAILURES) or isinstance(error, BreakerOpen):
            return
        self._counted = error
        self._incident(error, str(error))
        try:
            permit = self._breaker.permit()
        except BreakerOpen:
            return
        self._follow(self._breaker.record(permit, Outcome.BAD), error)

    def _once(self, request: Callable[[], Answer], deadline: float) -> Answer:
        permit = self._breaker.permit()
        outcome, failure = Outcome.NONE, None
        try:
            if permit.event:
                self._record(IncidentKind.PROBED, "one request tries whether the vendor works again")
            self._take(deadline)
            answer = request()
            outcome = Outcome.GOOD
            return answer
        except FAILURES as error:
            self._counted = failure = error
            outcome = Outcome.BAD
            if not isinstance(error, VendorUnavailable):
                self._incident(error, str(error))  # one that is away is recorded when it is given up
            raise
        except TooSoon:
            raise
        except RateLimited as error:
            outcome = Outcome.GOOD
            if error.retry_after:
                self._bucket.pause(error.retry_after)
            raise
        except UnknownVendorSymbol:
            outcome = Outcome.GOOD
            raise
        finally:
            self._follow(self._breaker.record(permit, outcome), failure)

    def _take(self, deadline: float) -> None:
        while wait := self._bucket.take():
            if self._monotonic() + wait > deadline:
                raise TooSoon(f"{self.vendor} may not be asked for another {wait:.0f} s", retry_after=wait)
            self._sleep(wait)

    def _follow(self, event: str, error: Exception | None) -> None:
        if event == "opened":
            self._record(
                IncidentKind.OPENED, f"asked again in {self._breaker.rule.cooldown_seconds:.0f} s at the earliest; the last failure: {error}"
            )
        elif event == "closed":
            self._record(IncidentKind.CLOSED, "the vendor works again")

    def _incident(self, error: Exception, detail: str) -> None:
        self._record(next(kind for type_, kind in KINDS.items() if isinstance(error, type_)), detail)

    def _record(self, kind: IncidentKind, detail: str) -> None:
        at = self._now()
        incident_record(vendor=self.vendor, kind=kind, detail=detail, symbol=self.symbol, occurred_at=at, recorded_at=at)


def vendor_guard(vendor: Vendor, **options: Any) -> VendorGuard:
    """The guard of a vendor with the pace of its row. Raises Unavailable when Redis is away."""
    breaker_remind(vendor.name, vendor.forced)
    return VendorGuard(vendor.name, rate=vendor.rate, burst=vendor.burst, **options)
