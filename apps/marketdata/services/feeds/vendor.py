"""The vendor of a live feed: its row by name, and the guard through which each opening of the line goes."""

from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from apps.core.errors import InvalidInput
from apps.marketdata.domain.pacing import RetryRule
from apps.marketdata.models import Vendor
from apps.marketdata.providers.protocol import Provider
from apps.marketdata.providers.registry import provider_make
from apps.marketdata.selectors.vendors import vendor_get
from apps.marketdata.services.fetching import AUTO, vendors_asked
from apps.marketdata.services.vendors import BreakerOpen, vendor_guard

Answer = TypeVar("Answer")

#: The line has pauses of its own, which end when the feed is stopped: the guard neither waits for its turn nor tries again.
ONCE = RetryRule(attempts=1, total_seconds=0.0)


class FeedGuard:
    """A `providers.protocol.Guard` that lives as long as a feed: each opening follows the vendor's row as it is then.

    Without the database the row that was read last stands, so that a feed goes on spooling.
    """

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    def call(self, request: Callable[[], Answer]) -> Answer:
        """Open the line now or not at all. Raises BreakerOpen (also for a vendor taken out of use), TooSoon, what opening raises, and
        Unavailable when Redis is away.
        """
        try:
            self._read()
            if not self._vendor.enabled:
                raise BreakerOpen(f"{self._vendor.name} is not asked: an operator took it out of use")
            return vendor_guard(self._vendor, retry=ONCE).call(request)
        finally:
            connection.close()  # of this thread, which may not be asked again for days

    def _read(self) -> None:
        try:
            self._vendor = vendor_get(self._vendor.name)
        except (OperationalError, InterfaceError):
            return


def feed_provider(name: str) -> Provider:
    """The adapter of the vendor of a live feed, behind its guard. It opens no connection yet.

    Raises InvalidInput for "auto", which is no single vendor, NotFound for an unknown one, RuleRefused for one that is not enabled.
    """
    if name == AUTO:
        raise InvalidInput(f"a live feed has one vendor: {AUTO!r} is none, name it", field="provider")
    (vendor,) = vendors_asked(name)
    return provider_make(vendor.name, settings=settings.VENDORS, guard=FeedGuard(vendor))
