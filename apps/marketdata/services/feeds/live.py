"""The live feed: a vendor's ticks to the disk, to Redis and screens, to the database, as bars.

A tick is acknowledged when its batch is in the spool (fsync): only then is it shown, and whatever is killed afterwards, it is stored.
Four threads: the line reads the vendor, the main one accepts and sends, the keeper holds the leases of the symbols, the writer brings
the spool to the database. Without its lease a feed accepts and spools, and writes nothing to Redis.
"""

import gc
import os
import socket
import sys
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from time import monotonic

from apps.core.errors import InvalidInput
from apps.marketdata.domain import calendars
from apps.marketdata.domain.latest import Latest, refusal
from apps.marketdata.domain.sharding import shard_of
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import QuoteTick, Tick
from apps.marketdata.models import Instrument
from apps.marketdata.models.feed import FaultKind
from apps.marketdata.providers.protocol import Provider
from apps.marketdata.selectors.instruments import instruments_get
from apps.marketdata.selectors.market import HOME_CALENDAR, MarketClock, clock_at
from apps.marketdata.services.feeds.health import FeedCounters, Identity, health_write, state_write
from apps.marketdata.services.feeds.line import Line
from apps.marketdata.services.feeds.minutes import Minutes
from apps.marketdata.services.feeds.records import Fault, Numbering, Record, fault_record, tick_record, together
from apps.marketdata.services.feeds.screens import Screens
from apps.marketdata.services.feeds.shards import ShardKeeper
from apps.marketdata.services.feeds.spool import Spool, SpoolFull, remove
from apps.marketdata.services.feeds.storing import Origin, latest_stored, spool_forget
from apps.marketdata.services.feeds.writer import Writer

#: A tick waits at most so long for its batch.
BATCH_SECONDS = 0.025
SAY_SECONDS = 1.0
DRAIN_SECONDS = 10.0
#: While a market is open and nothing at all comes for so long, the line is taken for dead and opened again.
SILENCE_SECONDS = 30.0
BAR_LENGTHS = (Timeframe.MINUTE, Timeframe.MINUTES_5, Timeframe.MINUTES_15)


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePlan:
    """What to feed. Feeds of one name split the symbols, in `shards` parts, and must be given the same ones."""

    symbols: tuple[str, ...]
    spool_root: Path
    name: str = "live"
    timeframe: Timeframe = Timeframe.MINUTE
    shards: int = 16
    spool_bytes: int = 1024 * 1024 * 1024


def live_run(
    *,
    plan: LivePlan,
    provider: Provider,
    clock: Callable[[], datetime],
    stopping: Callable[[], bool],
    on_line: Callable[[str], None] = lambda _text: None,
) -> FeedCounters:
    """Feed until told to stop. `on_line` hears one line a second.

    Raises InvalidInput for a plan that cannot be, NotFound for unknown symbols, and what the provider says when trying again is of no
    use: MissingKey, VendorRefused, NotOffered, UnknownVendorSymbol.
    """
    if not plan.symbols:
        raise InvalidInput("a live feed needs symbols", field="symbols")
    if plan.timeframe not in BAR_LENGTHS:
        raise InvalidInput(f"bars are built of {', '.join(item.code for item in BAR_LENGTHS)}: longer ones are made of these", field="timeframe")
    if not 1 <= plan.shards <= 256:
        raise InvalidInput("1 to 256 shards", field="shards")
    sys.setswitchinterval(0.001)  # the writer's work must not hold up a batch
    feed = _LiveFeed(plan, provider, clock, on_line)
    try:
        feed.start()
        gc.freeze()  # what is loaded stays: to look through all of it for garbage now and then would hold up a batch
        while not stopping() and feed.well():
            feed.batch()
    finally:
        feed.end()
    return feed.counters


class _LiveFeed:
    """One process. What must survive it is in the spool and in the database."""

    def __init__(self, plan: LivePlan, provider: Provider, clock: Callable[[], datetime], on_line: Callable[[str], None]) -> None:
        self.counters = FeedCounters()
        self._plan, self._clock, self._on_line = plan, clock, on_line
        self._instruments: dict[str, Instrument] = instruments_get(plan.symbols)
        self._shard_of = {symbol: shard_of(symbol, plan.shards) for symbol in self._instruments}
        self._book: dict[str, Latest] = {}
        self._numbering: dict[tuple[str, bool], Numbering] = {}
        self._seeds: deque[tuple[str, Latest]] = deque()
        self._faults: list[Fault] = []
        self._overflow: Fault | None = None
        self._last_tick_at: datetime | None = None
        self._market_time: datetime | None = None
        self._said_accepted = 0
        self._batch_at = self._said_at = self._heard_at = monotonic()
        self._spool = Spool(plan.spool_root, limit_bytes=plan.spool_bytes)
        self._line = Line(provider, clock=clock)
        self._keeper = ShardKeeper(plan.name, plan.shards, on_change=self._resubscribe)
        self._identity = Identity(
            instance=self._spool.name, feed=plan.name, provider=provider.name, host=socket.gethostname(), process=os.getpid(), started_at=clock()
        )
        ids = {symbol: item.pk for symbol, item in self._instruments.items()}
        self._screens = Screens(feed=plan.name, instance=self._spool.name, book=self._book, instruments=ids, counters=self.counters, clock=clock)
        self._minutes = Minutes(feed=plan.name, source=provider.name, instruments=self._instruments, timeframe=plan.timeframe)
        self._writer = Writer(
            spool=self._spool,
            root=plan.spool_root,
            origin=Origin(source=provider.name, feed=plan.name, host=self._identity.host, spool=self._spool.name),
            minutes=self._minutes,
            counters=self.counters,
            clock=clock,
            symbols=self._own_symbols,
            on_adopted=self._seed,
            on_fault=self._faults.append,
            each_second=self._show,
        )

    def start(self) -> None:
        for name in {HOME_CALENDAR, *(item.calendar for item in self._instruments.values())}:
            calendars.calendar_of(name)  # takes seconds the first time, in which no tick should wait
        self._line.start()
        self._keeper.start()
        self._writer.start()

    def well(self) -> bool:
        """False, by raising, when a thread met something that it cannot survive."""
        for error in (self._line.failed, self._keeper.error, self._writer.error):
            if error is not None:
                raise error
        return True

    def batch(self) -> None:
        """Take what has come within a batch's time: accept it, put it on the disk, send it on."""
        taken = self._line.take(self._batch_at + BATCH_SECONDS)
        self._batch_at = monotonic()
        self._change_hands()
        self._process(taken)
        now = monotonic()
        if taken:
            self._heard_at = now
        if now - self._said_at >= SAY_SECONDS:
            self._each_second(now)

    def end(self) -> None:
        """Hang up, bring home what is spooled, give back the symbols."""
        self._line.stop()
        self._process(self._line.rest())
        drained = self._writer.stop(DRAIN_SECONDS) if self._writer.is_alive() else False
        self._keeper.stop()
        self._count()
        self._spool.close()
        if drained:
            remove(self._spool.folder)
            spool_forget(self._spool.name)
            self._show(ended=True)

    def _process(self, taken: list[Tick | Fault]) -> None:
        at = self._clock()
        accepted, records = self._accept([item for item in taken if not isinstance(item, Fault)], at)
        self._faults += together([item for item in taken if isinstance(item, Fault)])
        self._acknowledge(accepted, records, at)
        with self._keeper.writing() as shards:
            fault = self._screens.send(lambda symbol: self._shard_of[symbol] in shards, lambda: self._market_clock(at))
        if fault is not None:
            self._faults.append(fault)

    def _change_hands(self) -> None:
        """Forget what another feed goes on with, and take what the writer has read of what was taken over."""
        wanted = self._keeper.wanted
        self._screens.forget([symbol for symbol in self._book if self._shard_of[symbol] not in wanted])
        while self._seeds:
            symbol, latest = self._seeds.popleft()
            if self._shard_of[symbol] in wanted and symbol not in self._book:
                self._book[symbol] = latest

    def _accept(self, ticks: list[Tick], at: datetime) -> tuple[list[Tick], list[Record]]:
        """The ticks to be believed, and what is spooled of them. The others are counted, and those that cannot be true recorded."""
        accepted, records, refused = [], [], Counter[str]()
        wanted, seen = self._keeper.wanted, set[Tick]()
        self.counters.received += len(ticks)
        for tick in ticks:
            if self._shard_of.get(tick.symbol) not in wanted:
                self.counters.foreign += 1
            elif reason := refusal(tick, at):
                refused[f"{tick.symbol}: {reason}"] += 1
            elif tick in seen or (tick.symbol in self._book and self._book[tick.symbol].repeats(tick)):
                self.counters.repeated += 1
            else:
                if isinstance(tick, QuoteTick) or tick.trade_id:
                    seen.add(tick)
                number = self._numbering.setdefault((tick.symbol, isinstance(tick, QuoteTick)), Numbering()).next(tick)
                accepted.append(tick)
                records.append(tick_record(tick, self._instruments[tick.symbol].pk, number))
        self.counters.refused += refused.total()
        self._faults += [Fault(kind=FaultKind.REFUSED.value, from_at=at, to_at=at, count=count, detail=text) for text, count in refused.items()]
        return accepted, records

    def _acknowledge(self, accepted: list[Tick], records: list[Record], at: datetime) -> None:
        """Put a batch on the disk; only then is it known to anybody. Without room it is dropped, counted, and told once there is room."""
        faults, self._faults[:] = list(self._faults), []
        if self._overflow is not None:
            faults.append(replace(self._overflow, to_at=at))
        if not records and not faults:
            return
        try:
            self._spool.append(records + [fault_record(fault) for fault in faults])
        except SpoolFull as error:
            self._faults[:0] = [fault for fault in faults if fault.kind != FaultKind.OVERFLOW.value]
            self.counters.overflow += len(accepted)
            count = len(accepted) + (self._overflow.count if self._overflow else 0)
            since = self._overflow.from_at if self._overflow else at
            self._overflow = Fault(kind=FaultKind.OVERFLOW.value, from_at=since, to_at=at, count=max(1, count), detail=error.detail)
            return
        self._overflow = None
        self.counters.accepted += len(accepted)
        for tick in accepted:
            self._book.setdefault(tick.symbol, Latest()).apply(tick, at)
            self._screens.changed(tick.symbol)
        if accepted:
            newest = max(tick.ts for tick in accepted)
            self._last_tick_at, self._market_time = at, max(newest, self._market_time or newest)

    def _each_second(self, now: float) -> None:
        self._count()
        counters = self.counters
        rate = (counters.accepted - self._said_accepted) / (now - self._said_at)
        self._said_at, self._said_accepted = now, counters.accepted
        shards, text = (
            len(self._keeper.wanted),
            f"{counters.accepted} ticks, {rate:.0f}/s, {counters.coalesced} coalesced, {counters.spool_ticks} spooled",
        )
        self._on_line(f"{shards} of {self._plan.shards} shards: {text}")
        if now - self._heard_at > SILENCE_SECONDS and self._market_open():
            self._heard_at = now
            at = self._clock()
            since = self._last_tick_at or self._identity.started_at
            self._faults.append(
                Fault(kind=FaultKind.SILENT.value, from_at=since, to_at=at, detail="nothing came while the market was open: the line is opened again")
            )
            self._line.reopen()

    def _count(self) -> None:
        """Take over what the other parts have counted."""
        counters, minutes = self.counters, self._minutes
        counters.reconnects, counters.malformed = self._line.reconnects, self._line.malformed
        counters.bars, counters.late_trades, counters.outside_trades = minutes.stored, minutes.late, minutes.outside
        counters.spool_bytes = self._spool.bytes_waiting()
        counters.spool_ticks = counters.accepted - counters.stored - counters.known - counters.refused_by_database

    def _resubscribe(self, shards: frozenset[int]) -> None:
        """Called by the keeper: other shards are ours now."""
        self._line.subscribe(tuple(symbol for symbol in self._instruments if self._shard_of[symbol] in shards))

    def _own_symbols(self) -> set[str]:
        wanted = self._keeper.wanted
        return {symbol for symbol, shard in self._shard_of.items() if shard in wanted}

    def _seed(self, symbols: set[str]) -> None:
        """Called by the writer: the latest prices of symbols taken over, as the database has them."""
        self._seeds.extend(latest_stored({symbol: self._instruments[symbol].pk for symbol in symbols}).items())

    def _market_open(self) -> bool:
        now = self._clock()
        own = self._own_symbols()
        return any(calendars.is_open(name, now) for name in {self._instruments[symbol].calendar for symbol in own})

    def _market_clock(self, at: datetime) -> MarketClock | None:
        return None if self._last_tick_at is None else clock_at(at, mode="live", feed_age_seconds=(at - self._last_tick_at).total_seconds())

    def _show(self, *, ended: bool = False) -> None:
        """Health and state, as the database has them."""
        at = self._clock()
        shards = [] if ended else sorted(self._keeper.wanted)
        symbols = 0 if ended else len(self._own_symbols())
        health_write(
            identity=self._identity, counters=self.counters, shards=shards, symbols=symbols, last_tick_at=self._last_tick_at, at=at, ended=ended
        )
        if self._last_tick_at is not None and self._market_time is not None:
            names = sorted({item.calendar for item in self._instruments.values()})
            state_write(feed=self._plan.name, market_time=self._market_time, last_tick_at=self._last_tick_at, calendars=names)
