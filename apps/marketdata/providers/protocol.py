"""The one shape of every vendor of market data, the errors that adapters raise, and the door through which each request goes."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorSettings:
    """What the environment says about vendors: name of a variable -> its value; what is not set is absent. Never shown: it holds keys.

    `timeout_seconds` is how long a vendor may take to connect, and between two parts of an answer.
    """

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_seconds: float = 20.0

    def key(self, variable: str) -> str:
        """A key. Raises MissingKey, naming the variable."""
        if not (value := self.values.get(variable, "")):
            raise MissingKey(f"the environment variable {variable} is not set", field=variable)
        return value

    def get(self, variable: str, default: str) -> str:
        """A value that need not be set, like a vendor's address."""
        return self.values.get(variable, "") or default


@dataclass(slots=True)
class BadFrames:
    """Messages of a stream that could not be read. They are left out, counted and reported; the stream goes on.

    One malformed message says nothing about the next one, and a feed that dies of it would lose the good ones.
    """

    count: int = 0
    last: str = ""
    report: Callable[[str], None] | None = None

    def add(self, text: str) -> None:
        """Count one, and tell whoever asked to hear of it."""
        self.count += 1
        self.last = text
        if self.report is not None:
            self.report(text)


class Provider(Protocol):
    """A vendor. Symbols are the desk's; times are UTC; prices are raw, as traded on their day.

    Every method raises NotOffered for what `offer` does not list, MissingKey without the account's keys, UnknownVendorSymbol,
    RateLimited, VendorRefused, VendorUnavailable, or VendorNonsense. A provider that is only made opens no connection and
    needs no key. One provider serves one thread (streams: one event loop) at a time.
    """

    name: ClassVar[str]
    offer: ClassVar[Offer]
    bad_frames: BadFrames

    def fetch_bars(self, symbol: str, timeframe: Timeframe, start: datetime, end: datetime) -> Iterator[BarsPage]:
        """Bars whose start lies in [start, end), page by page in time order, each time once. Daily bars start at midnight UTC of their session.

        The pages cover the range without a hole: their `complete_to` rises, the last one is `end`, and a page may be empty. Who asks
        beyond the last finished bar gets a bar that still moves: do not. Nothing is asked before the first page is taken.
        """

    def corporate_actions(self, symbol: str, start: date, end: date) -> tuple[ActionRecord, ...]:
        """Splits and dividends with an ex-date from start to end, both inclusive, in order of date."""

    def fundamentals(self, symbol: str) -> tuple[FundamentalRecord, ...]:
        """Reported figures with the time at which each became public."""

    def calendar(self, start: date, end: date) -> tuple[CalendarDay, ...]:
        """The vendor's sessions from start to end, both inclusive."""

    def stream_quotes(self, symbols: Sequence[str]) -> AsyncIterator[Tick]:
        """Quotes and trades as they come, until the caller stops or the line breaks, which raises VendorUnavailable. Nothing is reconnected here.

        Repeated ticks are handed on. A message that cannot be read is left out and counted in `bad_frames`. Opening the line is one
        request to the guard.
        """

    def stream_bars(self, symbols: Sequence[str], timeframe: Timeframe) -> AsyncIterator[BarTick]:
        """Finished bars as they come."""
