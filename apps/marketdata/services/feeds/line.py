"""The line to the vendor: a thread that reads ticks, and opens the line again when it breaks.

Nothing is lost between here and the feed: what is not taken stays, and when too much waits, the vendor's socket is not read.
"""

import asyncio
import logging
import random
import threading
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime
from queue import SimpleQueue
from time import monotonic, sleep
from typing import Any

from apps.core.errors import DeskError, Unavailable
from apps.marketdata.domain.reconnecting import reconnect_pause
from apps.marketdata.domain.vendor import Tick
from apps.marketdata.models.feed import FaultKind
from apps.marketdata.providers.protocol import MissingKey, Provider, RateLimited, VendorNonsense, VendorRefused
from apps.marketdata.services.feeds.records import Fault
from apps.marketdata.services.vendors.guard import TooSoon

logger = logging.getLogger(__name__)

MOST_WAITING = 200_000
LOOK_SECONDS = 0.05
#: A line that held for so long [s] had recovered: its next break counts as the first.
STEADY_SECONDS = 10.0


class Line(threading.Thread):
    """Streams the symbols of `subscribe` from the provider. `failed` holds an error after which trying again is of no use."""

    def __init__(self, provider: Provider, *, clock: Callable[[], datetime], chance: Callable[[], float] = random.random) -> None:
        super().__init__(name=f"line to {provider.name}", daemon=True)
        self.failed: DeskError | None = None
        self.reconnects = 0
        self.malformed = 0
        self.connected = False
        self._provider, self._clock, self._chance = provider, clock, chance
        self._queue: SimpleQueue[Tick | Fault] = SimpleQueue()
        self._symbols: tuple[str, ...] = ()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed: asyncio.Event | None = None
        self._stopping = threading.Event()
        self._ready = threading.Event()
        provider.bad_frames.report = self._bad_frame
        self._failures, self._since = 0, 0.0
        self._down: tuple[datetime, str] | None = None

    def subscribe(self, symbols: tuple[str, ...]) -> None:
        """Stream these symbols from now on: the line is opened again with them."""
        self._symbols = symbols
        self._wake()

    def reopen(self) -> None:
        """Hang up and call again: nothing has come for too long."""
        self._wake()

    def stop(self) -> None:
        """Hang up and end."""
        self._stopping.set()
        if self.is_alive():
            self._wake()
            self.join(timeout=10)

    def take(self, until: float) -> list[Tick | Fault]:
        """What has come until a moment of `time.monotonic`, in the order in which it came."""
        sleep(max(0.0, until - monotonic()))
        return self.rest()

    def rest(self) -> list[Tick | Fault]:
        """What has come and was not taken."""
        return [self._queue.get_nowait() for _ in range(self._queue.qsize())]

    def run(self) -> None:
        """Read until `stop`."""
        asyncio.run(self._keep())

    def _wake(self) -> None:
        if self._ready.wait(timeout=10) and self._loop is not None and self._changed is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.set)

    async def _keep(self) -> None:
        self._loop, self._changed = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        while not self._stopping.is_set() and self.failed is None:
            self._changed.clear()
            reading = asyncio.create_task(self._read_again_and_again(self._symbols)) if self._symbols else None
            changed = asyncio.create_task(self._changed.wait())
            await asyncio.wait([task for task in (reading, changed) if task], return_when=asyncio.FIRST_COMPLETED)
            if self.connected:
                self._broken("the line was opened again with other symbols")
            for task in filter(None, (reading, changed)):
                task.cancel()
            await asyncio.gather(*filter(None, (reading, changed)), return_exceptions=True)

    async def _read_again_and_again(self, symbols: tuple[str, ...]) -> None:
        while True:
            pause, failures = 0.0, 1
            try:
                await self._read(symbols)
                self._broken("the vendor ended the stream")
            except VendorNonsense as error:
                self._bad_frame(error.detail)
                self._broken(error.detail)
            except TooSoon as error:  # the desk's own pace: no failure, and no reason to wait longer each time
                pause, failures = error.retry_after or 0.0, 0
                self._broken(error.detail)
            except RateLimited as error:
                pause = error.retry_after or 0.0
                self._broken(error.detail)
            except (MissingKey, VendorRefused) as error:
                self.failed = error
                return
            except Unavailable as error:  # the vendor is away, its breaker is open, or Redis, which knows that, is away
                self._broken(error.detail)
            except DeskError as error:
                self.failed = error
                return
            except Exception as error:  # an adapter's or a vendor library's own: the feed must outlive it
                logger.exception("the line to %s", self._provider.name)
                self._broken(f"{type(error).__name__}: {error}")
            finally:
                self.connected = False
            recovered = self._since and monotonic() - self._since > STEADY_SECONDS
            self._failures = max(1, (0 if recovered else self._failures) + failures)
            self._since = 0.0
            await asyncio.sleep(max(pause, reconnect_pause(self._failures, self._chance())))
            self.reconnects += 1

    async def _read(self, symbols: tuple[str, ...]) -> None:
        stream: Any = self._provider.stream_quotes(symbols)
        async with aclosing(stream):
            async for tick in stream:
                if not self.connected:
                    self.connected, self._since = True, monotonic()
                    self._mended(symbols)
                self._queue.put(tick)
                while self._queue.qsize() > MOST_WAITING:
                    await asyncio.sleep(LOOK_SECONDS)

    def _bad_frame(self, detail: str) -> None:
        """One message that could not be read; the line goes on."""
        now = self._clock()
        self.malformed += 1
        self._queue.put(Fault(kind=FaultKind.MALFORMED.value, from_at=now, to_at=now, detail=detail))

    def _broken(self, detail: str) -> None:
        """Remember since when ticks are missing."""
        if self._down is None:
            self._down = (self._clock(), detail)

    def _mended(self, symbols: tuple[str, ...]) -> None:
        if self._down is not None:
            from_at, detail = self._down
            self._queue.put(Fault(kind=FaultKind.DISCONNECTED.value, from_at=from_at, to_at=self._clock(), detail=detail, count=len(symbols)))
            self._down = None
