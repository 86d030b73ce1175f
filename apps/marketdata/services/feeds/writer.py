"""The thread between the spool and the database: it brings every acknowledged tick home, in order, and builds the bars.

A database that is away costs nothing but time: the spool keeps what comes, and the place in it moves with the ticks it stands for.
Spools that dead runs on this host left are brought home first.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from django.db import InterfaceError, OperationalError, connection

from apps.core.errors import Unavailable
from apps.marketdata.domain.vendor import TradeTick
from apps.marketdata.models.feed import FaultKind
from apps.marketdata.services.feeds import spool as spools
from apps.marketdata.services.feeds.health import FeedCounters
from apps.marketdata.services.feeds.minutes import Minutes
from apps.marketdata.services.feeds.records import Fault, Record, moment, trade_of
from apps.marketdata.services.feeds.spool import Place, Spool
from apps.marketdata.services.feeds.storing import Origin, records_store, spool_forget, spool_place

logger = logging.getLogger(__name__)

FAULTS = (OperationalError, InterfaceError, psycopg.OperationalError, Unavailable)
WRITE_SECONDS = 0.5
MOST_RECORDS = 20_000
AGAIN_SECONDS = 0.5
ORPHAN_SECONDS = 10.0


class Writer(threading.Thread):
    """Writes one feed process's spool, and the orphans of its feed on this host.

    `on_adopted` gets the symbols that were taken over, after the orphans are home; `each_second` is called about once a second while
    the database answers (health and state); `on_fault` hears of what it survived.
    """

    def __init__(
        self,
        *,
        spool: Spool,
        root: Path,
        origin: Origin,
        minutes: Minutes,
        counters: FeedCounters,
        clock: Callable[[], datetime],
        symbols: Callable[[], set[str]],
        on_adopted: Callable[[set[str]], None],
        on_fault: Callable[[Fault], None],
        each_second: Callable[[], None],
    ) -> None:
        super().__init__(name="feed writer", daemon=True)
        self.down_since: datetime | None = None
        self.drained = False
        self.error: BaseException | None = None
        self._spool, self._root, self._origin, self._minutes, self._counters = spool, root, origin, minutes, counters
        self._clock, self._symbols, self._on_adopted, self._on_fault, self._each_second = clock, symbols, on_adopted, on_fault, each_second
        self._place = Place()
        self._market_time = datetime.min.replace(tzinfo=UTC)
        self._ending = threading.Event()
        self._orphans_at = self._second_at = 0.0
        self._symbol_of = {item.pk: symbol for symbol, item in minutes.instruments.items()}

    def stop(self, patience: float) -> bool:
        """Bring home what is spooled, for at most so many seconds; whether all of it is."""
        self._ending.set()
        self.join(timeout=patience)
        return self.drained

    def run(self) -> None:
        """Write until `stop`, then what is left."""
        try:
            while not self._ending.wait(WRITE_SECONDS):
                self._survive(self._round)
            deadline = time.monotonic() + AGAIN_SECONDS * 4
            while not self.drained and time.monotonic() < deadline:
                self._survive(self._last_round)
        except BaseException as error:  # noqa: BLE001  (told by whoever waits for the thread)
            self.error = error
        finally:
            connection.close()

    def _round(self) -> None:
        if time.monotonic() - self._orphans_at > ORPHAN_SECONDS:
            for folder in spools.orphans(self._root):
                self._bring_home(folder)
            self._orphans_at = time.monotonic()
        if fresh := self._minutes.adopt(self._symbols(), now=self._clock()):
            self._on_adopted(fresh)
        self._write_all(self._spool.durable)
        self._minutes.store(now=self._clock())
        if time.monotonic() - self._second_at >= 1.0:
            self._each_second()
            self._second_at = time.monotonic()

    def _last_round(self) -> None:
        self._write_all(self._spool.durable)
        self._minutes.store(now=self._clock())
        self.drained = self._place == self._spool.durable

    def _survive(self, work: Callable[[], None]) -> None:
        """Do the work; a server that is away is waited for."""
        try:
            work()
        except FAULTS as error:
            if self.down_since is None:
                self.down_since = self._clock()
                self._counters.database_faults += 1
                logger.warning("feed %s: not stored yet: %s", self._origin.feed, str(error).strip())
            connection.close()
            self._ending.wait(AGAIN_SECONDS)
            return
        if self.down_since is not None:
            detail = f"the database or Redis was away for the writer; {self._counters.spool_ticks} ticks waited"
            self._on_fault(Fault(kind=FaultKind.DATABASE.value, from_at=self.down_since, to_at=self._clock(), detail=detail))
            self.down_since = None

    def _write_all(self, target: Place) -> None:
        """Store what is spooled up to a place. What comes meanwhile waits for the next round: few large batches cost the least."""
        while self._place < target and self._write_some(target):
            pass

    def _write_some(self, target: Place) -> bool:
        """Store the next batches; whether there were any."""
        records, upto = _next(self._spool.folder, self._place, target)
        if not records:
            return False
        stored = records_store(records=records, upto=upto, origin=self._origin, at=self._clock())
        if upto.segment != self._place.segment:
            spools.forget_before(self._spool.folder, upto)
        self._place = upto
        self._counters.stored += stored.new
        self._counters.known += stored.repeated
        self._counters.refused_by_database += stored.refused
        trades = _trades(records, self._symbol_of)
        self._market_time = max([self._market_time, *(moment(record[2]) for record in records if record[0] in "qt")])
        self._minutes.add(trades, self._market_time)
        return True

    def _bring_home(self, folder: Path) -> None:
        """An orphan's ticks, with its own place; then it is removed, and the bars of its trades are built anew."""
        origin = Origin(source=self._origin.source, feed=self._origin.feed, host=socket.gethostname(), spool=folder.name)
        place, touched, count = spool_place(folder.name), set(), 0
        times: list[datetime] = []
        while True:
            records, upto = _next(folder, place, None)
            if not records:
                break
            self._counters.recovered += records_store(records=records, upto=upto, origin=origin, at=self._clock()).new
            trades = _trades(records, self._symbol_of)
            touched |= {trade.symbol for trade in trades}
            times += [min(trade.ts for trade in trades), max(trade.ts for trade in trades)] if trades else []
            count, place = count + len(records), upto
        spools.remove(folder)
        spool_forget(folder.name)
        if times:
            self._minutes.rebuild(sorted(touched), min(times), max(times))
        logger.warning("feed %s: %d records of a run that was killed are home", self._origin.feed, count)


def _next(folder: Path, place: Place, upto: Place | None) -> tuple[list[Record], Place]:
    """Whole batches after a place, about MOST_RECORDS, and the place behind them."""
    records: list[Record] = []
    for batch, end in spools.batches(folder, place, upto):
        records += batch
        place = end
        if len(records) >= MOST_RECORDS:
            break
    return records, place


def _trades(records: list[Record], symbol_of: dict[int, str]) -> list[TradeTick]:
    return [
        trade_of(symbol_of[record[1]], record[2], record[3], record[4], record[5])
        for record in records
        if record[0] == "t" and record[1] in symbol_of
    ]
