"""The replay feed: stored daily bars shown as a live market, step by step.

Each step is first committed (ticks and the feed's place in one transaction), then announced. A feed may therefore be killed at any
moment: the next one reads its place, writes the latest prices to Redis again, repeats the last announcement and goes on. A Redis
or a database that goes away is the same case: the feed drops everything and starts again from its place, with growing pauses.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import psycopg
from django.db import InterfaceError, OperationalError, connection, transaction

from apps.core.errors import InvalidInput, NotFound, Unavailable
from apps.core.locks import Lease, lease
from apps.core.money import price_from_float
from apps.marketdata.domain.copy_format import Layout
from apps.marketdata.domain.replay import Step, step_time
from apps.marketdata.models import FeedState
from apps.marketdata.models.feed import FeedMode
from apps.marketdata.selectors.history import SessionHistory, feed_state, symbols_with_daily_bars
from apps.marketdata.selectors.market import HOME_CALENDAR, market_clock
from apps.marketdata.selectors.quotes import Quote, latest_quotes
from apps.marketdata.services.quotes import StreamCoalescer, bars_announce, quotes_clear, quotes_publish
from apps.marketdata.services.storing import copy_in

logger = logging.getLogger(__name__)

FAULTS = (OperationalError, InterfaceError, psycopg.OperationalError, Unavailable)
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
#: A server that stays away for so long ends the feed with exit code 5.
GIVE_UP_SECONDS = 600.0
#: How often a replay that has come to its end looks for new bars.
LOOK_AGAIN_SECONDS = 5.0
#: How soon the feed sees that it shall stop.
LOOK_SECONDS = 0.05
COMPLETE = len(Step)
TICK = (("instrument_id", "int8"), ("received_at", "timestamptz"), ("market_time", "timestamptz"), ("price", "float8"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPlan:
    """What to replay. No symbols: all that have daily bars. `start` counts for a first run and with `restart`, else the feed
    goes on where it stopped. `sessions` ends it after so many, `once` at the last stored bar instead of waiting for more.
    """

    name: str = "replay"
    symbols: tuple[str, ...] = ()
    start: date | None = None
    session_seconds: float = 6.0
    restart: bool = False
    sessions: int | None = None
    once: bool = False


@dataclass(slots=True, kw_only=True)
class FeedReport:
    """What a feed did: sessions completed, steps shown, prices stored, prices that screens were spared, restarts after a fault."""

    sessions: int = 0
    steps: int = 0
    ticks: int = 0
    coalesced: int = 0
    faults: int = 0


def replay_run(
    *, plan: ReplayPlan, clock: Callable[[], datetime], stopping: Callable[[], bool], on_step: Callable[[str], None] = lambda _text: None
) -> FeedReport:
    """Replay until told to stop. `clock` gives the wall time, `stopping` is asked all the time, `on_step` hears one line per step.

    Raises Conflict when a feed of this name runs already, InvalidInput for a plan without bars, NotFound for unknown symbols,
    Unavailable when a server stays away for ten minutes.
    """
    if plan.session_seconds < 0:
        raise InvalidInput("a session cannot last less than no time", field="session_seconds")
    replay = _Replay(plan, clock, stopping, on_step)
    pause, healthy_at = FIRST_PAUSE_SECONDS, time.monotonic()
    while not stopping():
        shown = replay.report.steps
        try:
            with lease(f"feed:{plan.name}") as held:
                replay.attempt(held)
            return replay.report
        except FAULTS as error:
            if replay.report.steps > shown:
                pause, healthy_at = FIRST_PAUSE_SECONDS, time.monotonic()
            if time.monotonic() - healthy_at > GIVE_UP_SECONDS:
                raise Unavailable(f"feed {plan.name} gave up after {GIVE_UP_SECONDS:.0f} s: {error}") from error
            replay.report.faults += 1
            logger.warning("feed %s: %s; trying again in %.1f s", plan.name, str(error).strip(), pause)
            connection.close()
            replay.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
    return replay.report


class _Replay:
    """One run of the command. Everything that must survive it is in the database."""

    def __init__(self, plan: ReplayPlan, clock: Callable[[], datetime], stopping: Callable[[], bool], on_step: Callable[[str], None]) -> None:
        self.plan, self.clock, self.stopping, self.on_step = plan, clock, stopping, on_step
        self.report = FeedReport()
        self._screens = StreamCoalescer()
        self._rewound = False
        self._last_at = datetime.min.replace(tzinfo=UTC)

    def attempt(self, held: Lease) -> None:
        """From start-up, which is recovery, to the end of the plan. Raises one of FAULTS when a server goes away."""
        history = SessionHistory(self.plan.symbols or symbols_with_daily_bars())
        if not history.instruments:
            raise InvalidInput("there are no daily bars to replay: import some first", field="symbols")
        session, step = self._resume(history)
        while not self.stopping() and not self._enough():
            held.check()
            if step == COMPLETE:
                following = history.next_session(session)
                if following is None:
                    if not self._wait_for_bars(history, session):
                        return
                    continue
                session, step = following, Step.OPEN
            self._show(history, session, Step(step))
            step += 1
            self._pause(Step(step - 1))
        self._flush(force=True)

    def wait(self, seconds: float) -> None:
        """Sleep, but wake when the feed shall stop."""
        until = time.monotonic() + seconds
        while not self.stopping() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))

    def _enough(self) -> bool:
        return self.plan.sessions is not None and self.report.sessions >= self.plan.sessions

    def _resume(self, history: SessionHistory) -> tuple[date, int]:
        """Place of the next step. What was shown last is written to Redis and announced again."""
        state = feed_state(self.plan.name)
        if state is None or (self.plan.restart and not self._rewound):
            return self._begin(history)
        self._rewound = True
        if state.step > 0:
            self._announce(history, state.session, Step(state.step - 1), self._now())
        return state.session, state.step

    def _begin(self, history: SessionHistory) -> tuple[date, int]:
        before = self.plan.start - timedelta(days=1) if self.plan.start else None
        session = history.next_session(before)
        if session is None:
            raise NotFound(f"there is no daily bar from {self.plan.start} on", field="start")
        quotes_clear(symbols=history.instruments)
        opened = step_time(HOME_CALENDAR, session, Step.OPEN)
        self._store_place(session, 0, opened - timedelta(minutes=1), self._now(), ended=False)
        self._rewound = True
        return session, 0

    def _show(self, history: SessionHistory, session: date, step: Step) -> None:
        """Commit one step, then announce it."""
        at, market_time = self._now(), step_time(HOME_CALENDAR, session, step)
        quotes = self._quotes(history, session, step, at)
        with transaction.atomic():
            ticks_store(quotes=quotes, feed=self.plan.name)
            self._store_place(session, int(step) + 1, market_time, at, ended=False)
        self.report.steps += 1
        self.report.ticks += len(quotes)
        self._announce(history, session, step, at)
        self.report.sessions += step is Step.CLOSE
        self.on_step(f"{session} {step.field}: {len(quotes)} prices")

    def _announce(self, history: SessionHistory, session: date, step: Step, at: datetime) -> None:
        quotes = self._quotes(history, session, step, at)
        quotes_publish(quotes=quotes, feed=self.plan.name, session=session, step=step.field)
        if step is Step.CLOSE:
            symbols = [quote.symbol for quote in quotes]
            market_time = step_time(HOME_CALENDAR, session, step)
            bars_announce(feed=self.plan.name, session=session, symbols=symbols, market_time=market_time, received_at=at)
        self._screens.add(quotes)
        self._flush()

    def _flush(self, *, force: bool = False) -> None:
        self._screens.flush(market_clock(self._now()), force=force)
        self.report.coalesced = self._screens.coalesced

    def _quotes(self, history: SessionHistory, session: date, step: Step, at: datetime) -> list[Quote]:
        market_time = step_time(HOME_CALENDAR, session, step)
        return [
            Quote(
                symbol=symbol,
                instrument_id=history.instruments[symbol].pk,
                price=price_from_float(price),
                market_time=market_time,
                received_at=at,
                feed=self.plan.name,
            )
            for symbol, price in history.prices(session, step).items()
        ]

    def _pause(self, step: Step) -> None:
        """The time until the next step; screens get what was held back meanwhile."""
        seconds = self.plan.session_seconds * step.share
        due = self._screens.due_in()
        if due is not None and due < seconds:
            self.wait(due)
            self._flush()
            seconds -= due
        self.wait(seconds)

    def _wait_for_bars(self, history: SessionHistory, session: date) -> bool:
        """At the end of the stored bars: say so, and wait a while for more. False when the plan ends here.

        A Redis that lost the last prices meanwhile gets them again.
        """
        FeedState.objects.filter(pk=self.plan.name).update(ended=True, updated_at=self._now())
        self._flush(force=True)
        if self.plan.once:
            return False
        self.on_step("no more bars: waiting for an import")
        if not latest_quotes(history.instruments):
            quotes_publish(quotes=self._quotes(history, session, Step.CLOSE, self._now()), feed=self.plan.name, announce=False)
        self.wait(LOOK_AGAIN_SECONDS)
        history.forget()
        return not self.stopping()

    def _store_place(self, session: date, step: int, market_time: datetime, at: datetime, *, ended: bool) -> None:
        values = {"mode": FeedMode.REPLAY, "session": session, "step": step, "market_time": market_time, "ended": ended, "updated_at": at}
        FeedState.objects.update_or_create(pk=self.plan.name, defaults=values)

    def _now(self) -> datetime:
        """Wall time, each time later than before: it is part of a tick's key."""
        self._last_at = max(self.clock(), self._last_at + timedelta(microseconds=1))
        return self._last_at


def ticks_store(*, quotes: list[Quote], feed: str) -> None:
    """Store prices as ticks, by one binary COPY. Two quotes of an instrument must not have the same time of receipt."""
    if not quotes:
        return
    name = feed.encode()
    layout = Layout((*TICK, ("feed", f"text:{len(name)}")))
    columns = {
        "instrument_id": np.array([quote.instrument_id for quote in quotes]),
        "received_at": _times([quote.received_at for quote in quotes]),
        "market_time": _times([quote.market_time for quote in quotes]),
        "price": np.array([float(quote.price) for quote in quotes]),
        "feed": name,
    }
    copy_in(f"copy marketdata_tick ({', '.join(layout.names)}) from stdin (format binary)", layout.blocks(columns, len(quotes)))


def _times(moments: list[datetime]) -> np.ndarray:
    return np.array([moment.astimezone(UTC).replace(tzinfo=None) for moment in moments], "datetime64[us]")
