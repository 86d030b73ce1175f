"""The one shape of every vendor of market data, the errors that adapters raise, and the door through which each request goes."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import date, datetime
from typing import ClassVar, Protocol, TypeVar

from apps.core.errors import InvalidInput, NotFound, Unavailable
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionRecord, BarsPage, BarTick, CalendarDay, FundamentalRecord, Offer, Tick

Answer = TypeVar("Answer")


class MissingKey(Unavailable):
    """The vendor wants an account, and the environment variable named in the text is not set."""

    code = "MISSING_KEY"


class VendorRefused(Unavailable):
    """The vendor does not accept the account (401, 403). Trying again does not help."""

    code = "VENDOR_REFUSED"


class RateLimited(Unavailable):
    """The vendor says: too many requests. `retry_after` in seconds, None when it does not say how long."""

    code = "RATE_LIMITED"

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class VendorUnavailable(Unavailable):
    """The vendor cannot be reached, takes too long, or fails (5xx): the same request may succeed later."""

    code = "VENDOR_UNAVAILABLE"


class VendorNonsense(Unavailable):
    """The vendor answered something that is not its own format, or that contradicts itself. Nothing of the answer is used."""

    code = "VENDOR_NONSENSE"


class UnknownVendorSymbol(NotFound):
    """The vendor does not know the symbol."""

    code = "UNKNOWN_VENDOR_SYMBOL"


class NotOffered(InvalidInput):
    """The vendor does not offer this at all; see `Provider.offer`."""

    code = "NOT_OFFERED"


class Guard(Protocol):
    """What stands between an adapter and its vendor: pace, retries, breaker. Adapters pass every single request through it."""

    def call(self, request: Callable[[], Answer]) -> Answer:
        """Make the request now, later or again. Raises what the request raises, or VendorUnavailable without having made it."""


class NoGuard:
    """Makes each request at once and once."""

    def call(self, request: Callable[[], Answer]) -> Answer:
        """Make the request."""
        return request()


class Provider(Protocol):
    """A vendor. Symbols are the desk's; times are UTC; prices are raw, as traded on their day.

    Every method raises NotOffered for what `offer` does not list, MissingKey without the account's keys, UnknownVendorSymbol,
    RateLimited, VendorRefused, VendorUnavailable, or VendorNonsense. A provider that is only made opens no connection.
    """

    name: ClassVar[str]
    offer: ClassVar[Offer]

    def fetch_bars(self, symbol: str, timeframe: Timeframe, start: datetime, end: datetime) -> Iterator[BarsPage]:
        """Bars whose start lies in [start, end), page by page in time order, each time once. Daily bars start at midnight UTC of their session."""

    def corporate_actions(self, symbol: str, start: date, end: date) -> tuple[ActionRecord, ...]:
        """Splits and dividends with an ex-date from start to end, both inclusive, in order of date."""

    def fundamentals(self, symbol: str) -> tuple[FundamentalRecord, ...]:
        """Reported figures with the time at which each became public."""

    def calendar(self, start: date, end: date) -> tuple[CalendarDay, ...]:
        """The vendor's sessions from start to end, both inclusive."""

    def stream_quotes(self, symbols: Sequence[str]) -> AsyncIterator[Tick]:
        """Quotes and trades as they come, until the caller stops or the line breaks, which raises VendorUnavailable. Nothing is reconnected here."""

    def stream_bars(self, symbols: Sequence[str], timeframe: Timeframe) -> AsyncIterator[BarTick]:
        """Finished bars as they come."""
