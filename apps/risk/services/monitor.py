"""The live monitor: every active portfolio in memory, valued on prices as they come, held to its limits.

It keeps nothing that it cannot load again: killed at any moment, it or another starts from the ledger, the stored levels and Redis.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from apps.core.streams import publish, redis_client
from apps.core.trading import ReferencePrice
from apps.marketdata.selectors.market import MarketClock, market_clock
from apps.marketdata.selectors.quotes import FeedMessage, QuotesSince, reference_prices
from apps.portfolios.services.values import portfolio_values_catch_up
from apps.risk.domain.hysteresis import crossings
from apps.risk.domain.live_numbers import LiveNumbers
from apps.risk.domain.summary import RiskFacts, RiskView, risk_view
from apps.risk.domain.utilisation import limit_uses, part_name
from apps.risk.selectors.facts import PEAKS, facts_revision, facts_touched, facts_versions, live_peaks, risk_facts
from apps.risk.selectors.state import monitor_state
from apps.risk.selectors.summary import portfolio_frame
from apps.risk.selectors.utilisation import PartLimits, part_limits
from apps.risk.services.limit_events import Levels, levels_load, levels_record
from apps.risk.services.live_risk import Held, LiveRisk
from apps.risk.services.monitor_state import monitor_beat, monitor_progress

#: Prices that come within this time are one batch: a portfolio is valued and held to its limits once for all of them.
BATCH: Final = timedelta(milliseconds=50)
#: Screens get a portfolio at most so often. Alerts do not wait for that.
PUBLISH_EVERY: Final = timedelta(milliseconds=250)
LOOK_EVERY: Final = timedelta(milliseconds=250)
#: So many are shown in one step; those that wait longest come first, and a price that has come meanwhile before the rest of them.
MOST_SHOWN: Final = 8
BEAT_EVERY: Final = timedelta(seconds=1)
#: So often it is asked what every portfolio's facts depend on, and a screen hears at the latest that the monitor lives.
COMPARE_EVERY: Final = timedelta(seconds=5)
#: In this time each portfolio is read again, whether or not anything is said to have changed.
RELOAD_EVERY: Final = timedelta(seconds=60)
#: In the long load of all, so many portfolios are read at once: between two parts of a long load it says that it lives.
READ_AT_ONCE: Final = 50
#: An empty portfolio takes as long to read as so many positions.
SMALLEST_WIDTH: Final = 10
ONE: Final = Decimal(1)


class RiskMonitor:
    """Feed it messages with `receive` and call `step` often; both take the wall time. One per desk: the caller holds the lease.

    `token` is the fencing token under which it writes; without one it says nothing of itself and the caller's lease is trusted. `clock`
    is the wall time within a step, for the signs of life of one that takes long.
    """

    def __init__(self, token: int | None = None, *, clock: Callable[[], datetime] | None = None) -> None:
        self.token = token
        self._clock = clock
        self._told_at: datetime | None = None
        self.live = LiveRisk()
        self.numbers: dict[int, LiveNumbers] = {}
        self.market: MarketClock | None = None
        self.facts: dict[int, RiskFacts] = {}
        self.parts: dict[int, PartLimits] = {}
        self.prices: dict[str, ReferencePrice] = {}
        self.peaks: dict[int, Decimal] = {}
        self.levels: Levels | None = None
        self._holders: dict[str, set[int]] = defaultdict(set)
        self._views: dict[int, RiskView] = {}
        self._revision: tuple[int, ...] = ()
        self._session: date | None = None
        self._begun: date | None = None
        self._looked_at: datetime | None = None
        self._loaded_at: datetime | None = None
        self._compared_at: datetime | None = None
        self._versions: dict[int, Hashable] = {}
        self._quotes = QuotesSince()
        self._beat_at: datetime | None = None
        self._valued_at: dict[int, datetime] = {}
        self._published_at: dict[int, datetime] = {}
        self._dirty: set[int] = set()
        self._unshown: set[int] = set()
        self._waiting: list[int] = []

    def receive(self, message: FeedMessage) -> None:
        """Take in new prices, in memory only. Portfolios that hold one of them are valued again at the next step."""
        if message.session != self._session:
            if self._session is not None and message.session < self._session:
                self.prices, self._loaded_at = {}, None  # a replay has begun again: what is known comes from its future
            self._session = message.session
            if message.session != self._begun:
                self._loaded_at = None  # a new session: the day's result starts again
        for symbol, price in message.prices.items():
            self.prices[symbol] = ReferencePrice(price=price, market_time=message.market_time, received_at=message.received_at, source=message.feed)
            self._dirty |= self._holders.get(symbol, set())

    def step(self, now: datetime) -> tuple[RiskView, ...]:
        """Look for fills and changed limits, value what is due, tell of levels crossed, publish. Returns the views published.

        Raises what the database or Redis raise, and Deposed when another monitor has taken over; the next step tries again with everything
        loaded afresh.
        """
        try:
            with self.live.standing_back():
                return self._work(now)
        except Exception:
            # Nobody knows what of it was committed: levels too are read again.
            self._loaded_at = self._looked_at = self.levels = None
            raise

    def _work(self, now: datetime) -> tuple[RiskView, ...]:
        self._refresh(now)
        self._take_live()
        for portfolio_id in self._by_size(_due(self._dirty, self._valued_at, BATCH, now)):
            self._value(portfolio_id, now)
            self._progress()
        shown = tuple(self._show(portfolio_id, now) for portfolio_id in self._to_show(now))
        self._progress()
        self._show_live()
        self._beat(now)
        return shown

    def _refresh(self, now: datetime) -> None:
        """Read again what has moved, and by turns all the rest, so that a price never waits for all portfolios; everything at once in a new
        session, and when the limits or the state of the desk have changed."""
        if self._loaded_at is not None and self._looked_at is not None and now - self._looked_at < LOOK_EVERY:
            return
        revision = facts_revision()
        self._looked_at = now
        touched = frozenset[int]() if revision == self._revision or self._loaded_at is None else facts_touched(self._revision)
        if self._loaded_at is None or touched is None or not self._read_again(touched, now):
            self._load(now)
            self._loaded_at = now
        self._revision = revision

    def _load(self, now: datetime) -> None:
        self.market = market_clock(now)
        self._take_over(self.market.session)
        if self.market.session != self._begun:
            # The day's result counts from the last close: in a fast replay the scheduled job would record that close too late.
            portfolio_values_catch_up(market_time=self.market.market_time, recorded_at=now, on_each=self._progress)
        self._versions, self._compared_at = facts_versions(now), now  # before reading: what changes meanwhile is read once more
        before, found = set(self.facts), self._facts_of(self._versions, now)
        self._forget(before - found.keys())
        self._take_facts(found)
        self._peaks_load(self.market.session)
        self._begun = self.market.session
        if self.levels is None or self.facts.keys() != before:
            self.levels = levels_load(self.facts.keys())
        self._dirty, self._waiting = set(self.facts), []

    def _take_over(self, session: date) -> None:
        """What the last monitor has seen in this session is known, and the closes before it are recorded: a standby starts without them."""
        if self._begun is None and self.token is not None and (state := monitor_state()) is not None and state.session == session:
            self.peaks, self._begun = {int(key): Decimal(value) for key, value in state.peaks.items()}, session

    def _read_again(self, touched: frozenset[int], now: datetime) -> bool:
        """Read these and the next ones in turn; whether that is enough."""
        wanted = set(touched)
        if self._compared_at is None or now - self._compared_at >= COMPARE_EVERY:
            self.market = market_clock(now)
            versions = facts_versions(now)
            if self.market.session != self._begun or self.facts.keys() != versions.keys():
                return False
            wanted |= {portfolio_id for portfolio_id, version in versions.items() if version != self._versions.get(portfolio_id)}
            self._versions, self._compared_at = versions, now
            self._peaks_load(self.market.session)
            self._take_prices({symbol: quote.reference for symbol, quote in self._quotes.look(self._holders).items()})
            self._dirty |= {key for key in self.facts if key not in self._valued_at or now - self._valued_at[key] >= COMPARE_EVERY}
        if not self._waiting and self._loaded_at is not None and now - self._loaded_at >= RELOAD_EVERY:
            self._loaded_at, self._waiting = now, sorted(self.facts, key=self._width)
        if wanted := (wanted | self._next_turn()) & self.facts.keys():
            self._take_facts(self._facts_of(wanted, now))
        return True

    def _next_turn(self) -> set[int]:
        """As many of those that wait as must be read now for all to have their turn in time: a wide portfolio or a few small ones."""
        most = sum(map(self._width, self.facts)) * (LOOK_EVERY / RELOAD_EVERY)
        turn, width = set[int](), 0
        while self._waiting and width < most:
            turn.add(portfolio_id := self._waiting.pop())
            width += self._width(portfolio_id)
        return turn

    def _width(self, portfolio_id: int) -> int:
        return SMALLEST_WIDTH + len(self.facts[portfolio_id].holdings.positions)

    def _facts_of(self, portfolio_ids: Iterable[int], now: datetime) -> dict[int, RiskFacts]:
        assert self.market is not None  # noqa: S101 - loaded before
        wanted = sorted(portfolio_ids)
        found: dict[int, RiskFacts] = {}
        for start in range(0, len(wanted), READ_AT_ONCE):
            part = risk_facts(wanted[start : start + READ_AT_ONCE], market=self.market, now=now)
            self.parts |= part_limits(part.values(), now)
            found |= part
            self._progress()
        symbols = sorted({symbol for facts in found.values() for symbol in facts.symbols})
        self._take_prices(reference_prices(symbols, market_time=self.market.market_time) if symbols else {})
        return found

    def _take_prices(self, prices: Mapping[str, ReferencePrice]) -> None:
        """Prices as they are stored. A Redis that has lost them answers with closes: what was heard since is newer, and no level is crossed
        by forgetting. One that was announced while Redis was away is heard here."""
        for symbol, price in prices.items():
            known = self.prices.get(symbol)
            if known is not None and known.market_time > price.market_time:
                continue
            self.prices[symbol] = price
            if known is None or known.price != price.price:
                self._dirty |= self._holders.get(symbol, set())

    def _take_facts(self, found: dict[int, RiskFacts]) -> None:
        """Facts of these portfolios are new, or the same as before."""
        for portfolio_id, one in found.items():
            before = self.facts.get(portfolio_id)
            if before == one:
                continue
            self._hold(portfolio_id, before.symbols if before else frozenset(), one.symbols)
            self.facts[portfolio_id] = one
            self._dirty.add(portfolio_id)

    def _forget(self, portfolio_ids: set[int]) -> None:
        for portfolio_id in portfolio_ids:
            self._hold(portfolio_id, self.facts.pop(portfolio_id).symbols, frozenset())
            self.parts.pop(portfolio_id, None)
        self._dirty -= portfolio_ids
        self._unshown -= portfolio_ids

    def _hold(self, portfolio_id: int, before: frozenset[str], after: frozenset[str]) -> None:
        for symbol in before - after:
            self._holders[symbol].discard(portfolio_id)
        for symbol in after - before:
            self._holders[symbol].add(portfolio_id)

    def _peaks_load(self, session: date) -> None:
        """The highest of what Redis, the last monitor and this one have seen in the session; a Redis that knows less is told."""
        stored = live_peaks(session)
        peaks = dict(stored)
        for portfolio_id, peak in (self.peaks if self._begun == session else {}).items():
            peaks[portfolio_id] = max(peak, peaks.get(portfolio_id, ONE))
        self.peaks = peaks
        for portfolio_id in sorted(peaks.keys() & self.facts.keys()):
            if peaks[portfolio_id] != stored.get(portfolio_id):
                self._peak_store(portfolio_id, session)

    def _peak_store(self, portfolio_id: int, session: date) -> None:
        redis_client().hset(PEAKS, str(portfolio_id), f"{session.isoformat()} {self.peaks[portfolio_id]}")

    def _take_live(self) -> None:
        """What was computed beside: it is held to its limits, and shown, like a price that has come. The same numbers of a later moment wait
        for the next valuation."""
        fresh = {key: numbers for key, numbers in self.live.take().items() if key in self.facts}
        moved = {key for key, numbers in fresh.items() if not numbers.says_the_same(self.numbers.get(key))}
        self.numbers = {key: numbers for key, numbers in self.numbers.items() if key in self.facts} | fresh
        self._dirty |= moved

    def _show_live(self) -> None:
        self.live.show({key: Held(view=view, holdings=self.facts[key].holdings) for key, view in self._views.items() if key in self.facts})

    def _value(self, portfolio_id: int, now: datetime) -> None:
        market = self.market
        assert market is not None  # noqa: S101 - _refresh has loaded it
        facts = self.facts[portfolio_id]
        market_time = max((price.market_time for symbol in facts.symbols if (price := self.prices.get(symbol))), default=market.market_time)
        view = risk_view(
            facts,
            self.prices,
            peak=self.peaks.get(portfolio_id, ONE),
            market_time=max(market_time, market.market_time),
            computed_at=now,
            live=self.numbers.get(portfolio_id),
        )
        summary = view.summary
        if summary.wealth is not None and summary.wealth > self.peaks.get(portfolio_id, ONE):
            self.peaks[portfolio_id] = summary.wealth
            self._peak_store(portfolio_id, summary.session)
        self._views[portfolio_id] = self._watch(view, now)
        self._valued_at[portfolio_id] = now
        self._dirty.discard(portfolio_id)
        self._unshown.add(portfolio_id)

    def _watch(self, view: RiskView, now: datetime) -> RiskView:
        """Levels crossed, of the whole and of its parts, are stored, told and acted on in one transaction; memory follows only once that is
        done. Returns the view with what the parts' facts say of the whole."""
        assert self.levels is not None  # noqa: S101 - _refresh has loaded them
        summary = view.summary
        limits, parts = self.facts[summary.portfolio_id].limits, self.parts[summary.portfolio_id]
        uses = limit_uses(view, parts.limits, parts.facts)
        for use in uses:
            if use.used is None:
                continue
            limit = parts.limit_of(use) or limits[use.kind]
            before = self.levels.raised.get((summary.portfolio_id, use.kind, part_name(use)), frozenset())
            after, crossed = crossings(limit, use.used, before, whole=not use.not_known)
            if after != before:
                levels_record(
                    summary=summary,
                    use=use,
                    limit=limit,
                    crossed=crossed,
                    levels=self.levels,
                    after=after,
                    at=now,
                    token=self.token,
                )

        whole = {use.kind: use for use in uses if not part_name(use)}
        return replace(view, summary=replace(summary, limits=tuple(whole[use.kind] for use in summary.limits)))

    def _by_size(self, portfolio_ids: list[int]) -> list[int]:
        """Those with the fewest instruments first: a breach of theirs does not wait until a wide one is valued."""
        return sorted(portfolio_ids, key=lambda portfolio_id: len(self.facts[portfolio_id].symbols))

    def _to_show(self, now: datetime) -> list[int]:
        """What is shown in this step: all that nobody has seen yet, and of the others those that wait longest."""
        due = _due(self._unshown, self._published_at, PUBLISH_EVERY, now)
        new = [portfolio_id for portfolio_id in due if portfolio_id not in self._published_at]
        seen = sorted(set(due).difference(new), key=lambda portfolio_id: (self._published_at[portfolio_id], portfolio_id))
        return sorted(new + seen[:MOST_SHOWN])

    def _show(self, portfolio_id: int, now: datetime) -> RiskView:
        view = self._views[portfolio_id]
        publish(f"portfolio:{portfolio_id}", portfolio_frame(view))
        self._published_at[portfolio_id] = now
        self._unshown.discard(portfolio_id)
        return view

    def _progress(self) -> None:
        """After a part of a long work: say that it goes on. One that hangs within a part says nothing, and is taken for what it is."""
        if self.token is None or self._clock is None:
            return
        at = self._clock()
        if self._told_at is None or at - self._told_at >= BEAT_EVERY:
            monitor_progress(token=self.token, at=at)
            self._told_at = at

    def _beat(self, now: datetime) -> None:
        """Say that risk is computed: the gate opens nothing new without it."""
        if self.token is None or self.market is None or (self._beat_at is not None and now - self._beat_at < BEAT_EVERY):
            return
        monitor_beat(token=self.token, at=now, portfolios=len(self.facts), session=self.market.session, peaks=self.peaks)
        self._beat_at = now
        self._told_at = max(now, self._told_at or now)


def _due(waiting: set[int], done_at: dict[int, datetime], every: timedelta, now: datetime) -> list[int]:
    """Those that wait and whose last turn is long enough ago, by id."""
    return [one for one in sorted(waiting) if one not in done_at or now - done_at[one] >= every]
