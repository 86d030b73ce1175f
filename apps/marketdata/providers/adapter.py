"""What all adapters have in common: they ask window by window, judge each answer, and refuse what their vendor does not offer."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar, TypeVar

from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionRecord, BarsPage, BarTick, CalendarDay, FundamentalRecord, Offer, Tick
from apps.marketdata.providers.protocol import BadFrames, Guard, NoGuard, UnknownVendorSymbol, VendorNonsense, VendorSettings
from apps.marketdata.providers.shaping import Row, Window, page_of, refuse_unless, windows

Opened = TypeVar("Opened")
Answer = TypeVar("Answer")

#: So many linked answers to one question are believed; a vendor whose links lead round in a circle would never end.
MOST_PAGES = 200

#: What a symbol may be made of: it becomes part of addresses and names of files.
SYMBOL = re.compile(r"\^?[A-Za-z0-9][A-Za-z0-9.:=_-]{0,29}")


class BoundedGuard:
    """A guard that lets at most so many requests pass for one question."""

    def __init__(self, vendor: str, guard: Guard) -> None:
        self._vendor, self._guard = vendor, guard
        self._left: int | None = None

    @contextmanager
    def question(self) -> Iterator[None]:
        """Requests inside belong together."""
        self._left = MOST_PAGES
        try:
            yield
        finally:
            self._left = None

    def call(self, request: Callable[[], Answer]) -> Answer:
        """See `Guard.call`. Raises VendorNonsense when a question has no end."""
        if self._left is not None:
            if not self._left:
                raise VendorNonsense(f"{self._vendor} answers one question with more than {MOST_PAGES} linked pages")
            self._left -= 1
        return self._guard.call(request)


class Adapter:
    """A provider that offers nothing yet. Adapters say in `offer` what they add, and how much they ask for at once in `longest`."""

    name: ClassVar[str]
    offer: ClassVar[Offer]
    #: The longest range of one request (or of one run of linked pages) for each time frame.
    longest: ClassVar[Mapping[Timeframe, timedelta]]
    #: Where bars may start, in minutes, when it is not on multiples of their own length in UTC.
    grid_minutes: ClassVar[Mapping[Timeframe, int]] = {}

    def __init__(
        self,
        settings: VendorSettings,
        guard: Guard | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_bad_frame: Callable[[str], None] | None = None,
    ) -> None:
        self.settings = settings
        self.guard = BoundedGuard(self.name, guard or NoGuard())
        self.clock = clock
        self.bad_frames = BadFrames(report=on_bad_frame)

    def fetch_bars(self, symbol: str, timeframe: Timeframe, start: datetime, end: datetime) -> Iterator[BarsPage]:
        """See `Provider.fetch_bars`."""
        grid = self.grid_minutes.get(timeframe, 0)
        found = windows(self.name, self.offer, timeframe, start, end, self.longest.get(timeframe, timedelta(days=1)), grid_minutes=grid)
        return self._pages(symbol, timeframe, end, found)

    def _pages(self, symbol: str, timeframe: Timeframe, end: datetime, found: Sequence[Window]) -> Iterator[BarsPage]:
        end = end.astimezone(UTC)
        if not found:
            yield page_of(self.name, symbol, timeframe, Window(end, end), [], end)
            return
        fetch = self.bars_of(symbol, timeframe, found[0].first)
        for window in found:
            with self.guard.question():
                rows = fetch(window)
            if not rows and window is found[0]:
                self.confirm(symbol)
            yield page_of(self.name, symbol, timeframe, window, rows, min(window.end, end))

    def bars_of(self, symbol: str, timeframe: Timeframe, start: datetime) -> Callable[[Window], list[Row]]:
        """What fetches the rows of one window of a range that begins at `start`."""
        raise NotImplementedError

    def confirm(self, symbol: str) -> None:
        """Raise UnknownVendorSymbol when an empty answer means that. Vendors whose answer says so themselves need not ask."""

    def corporate_actions(self, symbol: str, start: date, end: date) -> tuple[ActionRecord, ...]:
        """See `Provider.corporate_actions`."""
        refuse_unless(False, self.name, "corporate actions")
        return ()

    def fundamentals(self, symbol: str) -> tuple[FundamentalRecord, ...]:
        """See `Provider.fundamentals`."""
        refuse_unless(False, self.name, "fundamentals with the time of their publication")
        return ()

    def calendar(self, start: date, end: date) -> tuple[CalendarDay, ...]:
        """See `Provider.calendar`."""
        refuse_unless(False, self.name, "calendar")
        return ()

    def stream_quotes(self, symbols: Sequence[str]) -> AsyncIterator[Tick]:
        """See `Provider.stream_quotes`."""
        refuse_unless(False, self.name, "stream of quotes")
        raise AssertionError

    def stream_bars(self, symbols: Sequence[str], timeframe: Timeframe) -> AsyncIterator[BarTick]:
        """See `Provider.stream_bars`."""
        refuse_unless(False, self.name, "stream of bars")
        raise AssertionError

    def plain(self, symbol: str) -> str:
        """The symbol, when it may stand in an address. Raises UnknownVendorSymbol."""
        if not SYMBOL.fullmatch(symbol):
            raise UnknownVendorSymbol(f"{self.name} has no symbol {symbol!r}", field="symbol")
        return symbol

    async def opened(self, opening: Callable[[], Awaitable[Opened]]) -> Opened:
        """Open a stream through the guard, which may wait, without holding up the event loop. Who is cancelled opens nothing any more."""
        loop = asyncio.get_running_loop()
        asked: list[Future[Opened]] = []
        wanted = True

        async def attempt() -> Opened:
            if not wanted:
                raise asyncio.CancelledError
            return await opening()

        def ask() -> Opened:
            asked.append(asyncio.run_coroutine_threadsafe(attempt(), loop))
            return asked[-1].result()

        try:
            return await asyncio.to_thread(self.guard.call, ask)
        except asyncio.CancelledError:
            wanted = False
            for item in asked:
                item.cancel()
            raise
