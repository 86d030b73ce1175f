"""Alpaca's stream of trade updates, by the library's own parts, on a thread: which orders something happened to, and when a line was lost.

What a message says is not booked: it may come twice, late, or not at all. It says of which order there is something to read.
"""

import asyncio
import json
import logging
import select
import socket
import threading
from contextlib import suppress
from typing import Any

from websockets.exceptions import WebSocketException

from apps.execution.brokers.alpaca_line import AlpacaSettings
from apps.execution.brokers.alpaca_words import reference_of

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


class AlpacaUpdates:
    """`take` gives the references that were spoken of since the last time; `opened` counts lines, so that a new one can be recovered."""

    def __init__(self, settings: AlpacaSettings, *, first_pause: float = FIRST_PAUSE) -> None:
        self._settings, self._first_pause = settings, first_pause
        self.opened = 0
        self.connected = False
        self._changed: set[str] = set()
        self._lock = threading.Lock()
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name=f"alpaca {settings}", daemon=True)

    def __enter__(self) -> "AlpacaUpdates":
        # Loaded before there is a second thread: the library's modules import each other, and two threads that load them at once block each other.
        from alpaca.trading.stream import TradingStream

        self._stream_class: Any = TradingStream
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(timeout=10)
        self._ours.close()
        self._theirs.close()

    def take(self) -> set[str]:
        """References of orders that something happened to; strangers are among them."""
        with self._lock:
            taken, self._changed = self._changed, set()
        with suppress(BlockingIOError):
            while self._ours.recv(4096):
                continue
        return taken

    def wait(self, seconds: float, *, fd: int | None = None) -> None:
        """Until something is said, or `fd` can be read, or the time is over."""
        select.select([self._ours.fileno(), *([fd] if fd is not None else [])], [], [], seconds)

    # In the thread.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self._listen())
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.close()

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _listen(self) -> None:
        """Open a line, hear what it says, and open another one when it breaks."""
        pause = self._first_pause
        while True:
            try:
                await self._hear_line()
            except (OSError, ValueError, LookupError, AttributeError, WebSocketException) as error:
                # The socket's, the library's ValueError for refused keys, and what a message of another form leads to: there is no line.
                logger.warning("trade updates of %s: %s: %s; again in %.0f s", self._settings, type(error).__name__, error, pause)
            if self.connected:
                pause = self._first_pause
            self.connected = False
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _hear_line(self) -> None:
        settings = self._settings
        stream = self._stream_class(settings.key, settings.secret, raw_data=True, url_override=settings.stream_url)
        stream.subscribe_trade_updates(self._hear)
        try:
            await stream._start_ws()
            self.opened, self.connected = self.opened + 1, True
            self._wake()
            while True:
                await stream._dispatch(json.loads(await stream._ws.recv()))
        finally:
            if stream._ws is not None:
                with suppress(Exception):
                    await stream._ws.close()

    async def _hear(self, message: Any) -> None:
        reference = reference_of(str(message["data"]["order"]["client_order_id"]))
        with self._lock:
            self._changed.add(reference)
        self._wake()

    def _wake(self) -> None:
        with suppress(BlockingIOError):
            self._theirs.send(b"!")
