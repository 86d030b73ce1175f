"""The live engine: the eleven steps of seed 003 as one cycle, after each completed bar and on each look at the prices.

It keeps nothing in memory that matters: positions, working orders, what was said and what the stops remember stand in the database. Steps 1
to 8 and what follows from them are committed before anything is ordered, once per bar; so a start is a recovery, and whoever goes on after
a crash finishes the last cycle and never orders twice.
"""

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any

from django.db import transaction

from apps.core.errors import DeskError, Unavailable
from apps.core.trading import Side
from apps.execution.domain.cycles import CycleStep, Purpose, StepRecord, Trigger, Wanted, bar_words, exit_quantity, passes, tried_again_after
from apps.execution.domain.protection import Guarded, check_stops, drawdown, stop_levels
from apps.execution.models import EngineCycle, EngineState, Order, TradingEngine
from apps.execution.models.engines import EngineEventKind
from apps.execution.services.engine_alerts import engine_alert
from apps.execution.services.engine_orders import Executed, cycle_finish
from apps.execution.services.engine_records import (
    CycleHead,
    attempts,
    cycle_of_bar,
    cycle_record,
    cycle_unfinished,
    protection_of,
    protection_store,
    state_lock,
    stopped_lately,
)
from apps.execution.services.engine_strategy import StrategyFailed, strategy_signals
from apps.execution.services.engine_view import EngineView, engine_view
from apps.execution.services.engines import event_record
from apps.execution.services.live_config import LiveConfig
from apps.execution.services.live_sizing import Sizing
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.bars import fingerprint
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.bars import bar_panel, visible_end
from apps.marketdata.selectors.instruments import instrument_get
from apps.strategies.domain.sizers import bars_wanted
from apps.strategies.domain.strategy import MarketSnapshot, Strategy, StrategySignal, snapshot_at
from apps.strategies.selectors.signals import signals_last, signals_said
from apps.strategies.services.signals import signals_record

if TYPE_CHECKING:
    from apps.core.models import User
    from apps.execution.models import BrokerageAccount
    from apps.marketdata.models import Instrument

logger = logging.getLogger(__name__)

#: Calendar days that hold a session, with room for holidays and for days on which a symbol did not trade; and a session with few bars.
DAYS_PER_SESSION = 1.7
SHORTEST_SESSION = timedelta(hours=3)
FEWEST_DAYS = 30
#: How long a stop waits before it tries again to close what it could not close.
RETRY_AFTER = timedelta(seconds=60)
#: How often it is looked, at most, whether what waits for its answer may be tried again.
TRY_EVERY = timedelta(seconds=10)
#: What people are told of at once, by its code.
ALERTS = {EngineEventKind.TRIPPED: "CIRCUIT_BREAKER", EngineEventKind.FAILED: "STRATEGY_FAILED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What the engine did in one cycle: what was said anew, and the orders that followed. `bar` is None for a look at prices."""

    bar: datetime | None
    signals: tuple[StrategySignal, ...]
    orders: tuple[Order, ...]
    cycle: int


@dataclass(slots=True, kw_only=True)
class _Course:
    """A cycle while it runs: its steps so far, and what it wants."""

    trigger: Trigger
    view: EngineView
    steps: list[StepRecord] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)
    withdraw: set[str] = field(default_factory=set)
    signals: tuple[StrategySignal, ...] = ()
    news: list[tuple[EngineEventKind, str, str]] = field(default_factory=list)

    @property
    def idle(self) -> bool:
        """A look at prices that led to nothing."""
        return self.trigger is Trigger.PRICE and not (self.wanted or self.withdraw or self.news)

    def done(self, step: CycleStep, outcome: str, **data: Any) -> None:
        self.steps.append(StepRecord(step=step, outcome=outcome, data=data))

    def skip(self, *steps: CycleStep, why: str) -> None:
        for step in steps:
            self.done(step, f"skipped: {why}")


@dataclass(slots=True, kw_only=True)
class LiveEngine:
    """One strategy in one portfolio, trading in its own book, under a fencing token. Made by `live_engine_build` or `live_engine_open`."""

    config: LiveConfig
    user: "User"
    strategy: Strategy
    instruments: dict[str, "Instrument"]
    account: "BrokerageAccount"
    engine: TradingEngine
    token: int
    _tried_at: datetime | None = None

    @property
    def book_id(self) -> int:
        """Where it trades."""
        return self.engine.book_id

    def step(self, *, at: datetime) -> Step | None:
        """Act on the last bar that the market has completed; None when it is recorded already, or when there is no bar.

        Raises Unavailable before anything is recorded when a price that sizing needs or the day's result cannot be had (the bar is tried
        again), and Fenced when another process runs the engine.
        """
        self.finish(at=at)
        snapshot = self._snapshot(at)
        if snapshot is None or cycle_of_bar(self.engine, snapshot.timestamp):
            return None
        return self._cycle(Trigger.BAR, snapshot, at)

    def look(self, *, at: datetime) -> Step | None:
        """Hold the latest prices to the stops. None when nothing was to be done; then only what the stops remember has moved."""
        self.finish(at=at)
        return self._cycle(Trigger.PRICE, None, at)

    def finish(self, *, at: datetime) -> Executed | None:
        """Send what a cycle that was cut short had decided, unless its time has passed. None when the last cycle is whole."""
        cycle = cycle_unfinished(self.engine)
        return None if cycle is None else self._execute(cycle, at)

    def _cycle(self, trigger: Trigger, snapshot: MarketSnapshot | None, at: datetime) -> Step | None:
        config = self.config
        view = engine_view(portfolio_id=config.portfolio_id, book_id=self.book_id, symbols=config.symbols, stops=config.stop_loss, at=at)
        if snapshot is not None:
            self._check_known(view)
        course = _Course(trigger=trigger, view=view)
        with transaction.atomic():
            cycle = self._decide(course, snapshot, at)
        if cycle is None:
            return None
        for kind, title, detail in course.news:
            engine_alert(self.engine, ALERTS[kind], "critical", title, detail, at)
        executed = self._execute(cycle, at)
        bar = None if snapshot is None else snapshot.timestamp
        return Step(bar=bar, signals=course.signals, orders=executed.orders, cycle=cycle.number)

    def _check_known(self, view: EngineView) -> None:
        """What is missing now may come: the bar waits for it, and is not spent."""
        if view.valuation.total is None:
            raise Unavailable(f"no price of {', '.join(view.valuation.missing)}: positions cannot be sized")
        if self.config.stop_loss.portfolio_stop_pct is not None and view.look.day_return is None:
            raise Unavailable("the day's result is unknown, so the portfolio stop cannot be held")

    def _decide(self, course: _Course, snapshot: MarketSnapshot | None, at: datetime) -> EngineCycle | None:
        """Steps 1 to 8, kept; None when nothing was to be kept."""
        state = state_lock(self.engine, self.token)
        self._received(course, snapshot)
        guarded = check_stops(self.config.stop_loss, protection_of(state), course.view.look)
        self._stops(course, guarded, at)
        if guarded.blocked:
            course.skip(CycleStep.SNAPSHOT, CycleStep.SIGNALS, CycleStep.DEDUPLICATE, why=guarded.blocked)
        elif snapshot is None:
            if not self._again(course, state, at):
                course.skip(CycleStep.SNAPSHOT, CycleStep.SIGNALS, CycleStep.DEDUPLICATE, why="no bar has been completed")
        elif not self._speaks(course, state, snapshot, at):
            return None  # somebody said it before this engine kept its cycles
        protection_store(state, guarded.state, at=at, bar=snapshot.timestamp if snapshot else None)
        if guarded.trips:
            course.news.append((EngineEventKind.TRIPPED, "the circuit breaker has tripped", guarded.state.reason))
        if course.idle:
            return None
        cycle = self._keep(course, snapshot, at)
        for kind, _, reason in course.news:
            event_record(self.engine, kind, token=self.token, at=at, reason=reason, data={"cycle": cycle.number})
        return cycle

    def _received(self, course: _Course, snapshot: MarketSnapshot | None) -> None:
        view, symbols = course.view, self.config.symbols
        prices = {symbol: {"price": p.price, "market_time": p.market_time, "source": p.source} for symbol, p in view.prices.items()}
        known = sum(symbol in prices for symbol in symbols)
        what = bar_words(snapshot.timestamp) if snapshot else "prices"
        course.done(CycleStep.RECEIVE, f"{what}; {known} of {len(symbols)} symbols have a price", prices=prices, market_time=view.market.market_time)
        value = "unknown" if view.look.equity is None else f"{view.look.equity:,.2f}"
        course.done(CycleStep.UPDATE, f"{len(view.look.positions)} positions, the portfolio is worth {value}", **view.as_dict())

    def _stops(self, course: _Course, guarded: Guarded, at: datetime) -> None:
        """Steps 3 and 4. What sells already, and what a stop has tried a moment ago, is not tried again."""
        view, state = course.view, guarded.state
        tried = stopped_lately(self.engine, at - RETRY_AFTER) if guarded.exits else set()
        for found in guarded.exits:
            instrument = self._instrument(found.symbol)
            quantity = exit_quantity(held=found.quantity, leaves=view.leaves(instrument, Side.SELL))
            if quantity > 0 and found.symbol not in tried:
                purpose = Purpose(found.kind.value)
                course.wanted.append(Wanted(symbol=found.symbol, purpose=purpose, side=Side.SELL, quantity=quantity, reason=found.reason))
        closing = {wanted.symbol for wanted in course.wanted}
        course.withdraw |= {w.symbol for w in view.working if w.side is Side.BUY and (guarded.blocked or w.symbol in closing)}
        levels = {
            position.symbol: {str(kind): level for kind, level in stop_levels(self.config.stop_loss, position, state.marks[position.symbol]).items()}
            for position in view.look.positions
        }
        said = "; ".join(found.reason for found in guarded.exits) or "no stop is reached"
        remembered = {"marks": state.marks, "peak": state.peak, "drawdown": drawdown(state.peak, view.look.equity)}
        course.done(CycleStep.CHECK_STOPS, said, levels=levels, exits=guarded.exits, tried=sorted(tried), **remembered)
        course.done(CycleStep.CIRCUIT_BREAKER, guarded.blocked or "closed", tripped=state.tripped, trips=guarded.trips)

    def _speaks(self, course: _Course, state: EngineState, snapshot: MarketSnapshot, at: datetime) -> bool:
        """Steps 5 to 7. A strategy that fails has spoken of this bar: it is asked again at the next one, and people are told once."""
        failed_before, state.failure = state.failure, ""
        try:
            return self._signals(course, state, snapshot, at)
        except StrategyFailed as error:
            state.failure = error.detail
            logger.warning("%s has failed", self.engine, exc_info=True)
        course.done(CycleStep.SIGNALS, f"failed: {state.failure}")
        course.skip(CycleStep.DEDUPLICATE, why="the strategy has failed")
        if not failed_before:
            course.news.append((EngineEventKind.FAILED, "the strategy has failed: no signals, its stops are held", state.failure))
        return True

    def _signals(self, course: _Course, state: EngineState, snapshot: MarketSnapshot, at: datetime) -> bool:
        """Steps 5 to 7; False when all of it was recorded before."""
        panel = snapshot.history
        kept = {
            "bars": len(panel),
            "first": str(panel.ts[0]),
            "last": str(panel.ts[-1]),
            "fingerprint": fingerprint(panel),
            "prices": snapshot.prices,
        }
        course.done(CycleStep.SNAPSHOT, f"{len(panel)} bars of {len(panel.symbols)} symbols", adjustment=Adjustment.SPLIT.value, **kept)
        before = signals_last(strategy=self.engine.strategy, book_id=self.book_id, before=snapshot.timestamp)
        said = strategy_signals(self.strategy, snapshot)
        recorded = signals_record(
            strategy=self.engine.strategy,
            parameters=dict(self.config.parameters),
            book_id=self.book_id,
            signals=said,
            market_time=course.view.market.market_time,
            recorded_at=at,
        )
        if said and not recorded.new:
            return False
        fresh = {row.instrument.symbol for row in recorded.new}
        course.signals = tuple(signal for signal in said if signal.symbol in fresh)
        words = ", ".join(f"{signal.action} {signal.symbol}" for signal in course.signals if signal.action.sign)
        parameters = dict(self.config.parameters)
        course.done(CycleStep.SIGNALS, words or "nothing to do", signals=[signal.as_dict() for signal in said], parameters=parameters)
        self._answer(course, state, snapshot, before, at)
        return True

    def _answer(self, course: _Course, state: EngineState, snapshot: MarketSnapshot, before: dict[str, str], at: datetime) -> None:
        """Step 7, and what follows from what is new."""
        # What it said last time is no news, unless that waits for its answer: an order, or a refusal that does not pass by itself.
        last = {symbol: action for symbol, action in before.items() if state.waiting.get(symbol) != action}
        changed = [signal for signal in course.signals if signal.action.sign and signal.action.value.lower() != last.get(signal.symbol)]
        names = ", ".join(f"{signal.action} {signal.symbol}" for signal in changed)
        course.done(CycleStep.DEDUPLICATE, f"new: {names}" if changed else "nothing new", said_before=before, waiting=state.waiting)
        closing = {wanted.symbol for wanted in course.wanted}
        for signal in changed:
            waits = signal.symbol not in closing and self._want(course, signal, snapshot, at)
            state.waiting = _waiting(state.waiting, signal, waits=waits)

    def _again(self, course: _Course, state: EngineState, at: datetime) -> bool:
        """Steps 5 to 7 of a look: what was said after the last bar and waits for its answer is tried again. False when nothing is."""
        lately = self._tried_at is not None and at - self._tried_at < TRY_EVERY
        if not state.waiting or not self.config.enable_trading or course.view.valuation.total is None or lately:
            return False
        self._tried_at = at
        snapshot = self._snapshot(at)
        if snapshot is None or snapshot.timestamp != state.last_bar:
            return False  # a signal is for the bar that follows it
        closing = {wanted.symbol for wanted in course.wanted}
        said = signals_said(strategy=self.engine.strategy, book_id=self.book_id, bar=snapshot.timestamp)
        due = [signal for signal in said if signal.symbol not in closing and state.waiting.get(signal.symbol) == signal.action.value.lower()]
        if not due:
            return False
        for signal in due:
            tried, last = attempts(self.engine, signal.symbol, signal.timestamp)
            if last is None or at - last >= tried_again_after(tried):
                state.waiting = _waiting(state.waiting, signal, waits=self._want(course, signal, snapshot, at, tried=tried))
        names = ", ".join(f"{signal.action} {signal.symbol}" for signal in due)
        course.done(CycleStep.SNAPSHOT, f"as of {bar_words(snapshot.timestamp)}")
        course.done(CycleStep.SIGNALS, f"said after the last bar and not ordered: {names}")
        course.done(CycleStep.DEDUPLICATE, "waited for an order", waiting=state.waiting)
        return True

    def _want(self, course: _Course, signal: StrategySignal, snapshot: MarketSnapshot, at: datetime, *, tried: int = 0) -> bool:
        """Size one signal and hold it to the engine's own limits; whether what was said waits for an order.

        A failure is told to people, and does not stop the other symbols.
        """
        if not self.config.enable_trading:
            return True
        instrument = self.instruments[signal.symbol]
        sizing = Sizing(config=self.config, account=self.account, engine=self.engine, view=course.view, history=snapshot.history)
        try:
            wanted = sizing.wanted(signal, instrument)
        except DeskError as error:
            logger.warning("%s: no order of %s: %s", self.engine.strategy, signal.symbol, error)
            self._tell(f"could not trade {signal.symbol}", error.detail, at)
            return isinstance(error, Unavailable)
        if wanted is not None and wanted.side is Side.SELL:
            course.withdraw |= {order.symbol for order in course.view.waiting(instrument)}
        if wanted is None or wanted.quantity <= 0:
            return False
        broken = sizing.broken(wanted, signal, instrument, course.wanted, at)
        if broken:
            self._tell(f"did not order {wanted.quantity:f} {signal.symbol}", "; ".join(text for _, text in broken), at)
            course.steps.append(StepRecord(step=CycleStep.VALIDATE, outcome=signal.symbol, data={"broken": broken, "quantity": wanted.quantity}))
            return passes(code for code, _ in broken)
        course.wanted.append(replace(wanted, attempt=tried + 1))
        return True

    def _keep(self, course: _Course, snapshot: MarketSnapshot | None, at: datetime) -> EngineCycle:
        """Step 8 as one record, then all that was done so far, with what is to be ordered."""
        broken = {step.outcome: step.data for step in course.steps if step.step is CycleStep.VALIDATE}
        course.steps = [step for step in course.steps if step.step is not CycleStep.VALIDATE]
        orders = ", ".join(f"{w.side} {w.quantity.normalize():f} {w.symbol}" for w in course.wanted)
        off = "" if self.config.enable_trading or course.wanted else "trading is not enabled: nothing is ordered"
        refused = "; ".join(f"{symbol}: {', '.join(code for code, _ in data['broken'])}" for symbol, data in broken.items())
        said = "; ".join(text for text in (orders, refused and f"refused {refused}", off) if text) or "nothing to order"
        limits = self.config.document()
        course.done(CycleStep.VALIDATE, said, wanted=course.wanted, refused=broken, withdraw=sorted(course.withdraw), limits=limits)
        head = CycleHead(
            engine=self.engine,
            token=self.token,
            trigger=course.trigger,
            bar_ts=snapshot.timestamp if snapshot else None,
            market_time=course.view.market.market_time,
            at=at,
        )
        cycle, _ = cycle_record(head, course.steps, course.wanted, self.instruments)
        return cycle

    def _execute(self, cycle: EngineCycle, at: datetime) -> Executed:
        return cycle_finish(cycle, engine=self.engine, token=self.token, user=self.user, oldest=self._oldest(at), at=at)

    def _instrument(self, symbol: str) -> "Instrument":
        """Also one that it holds and no longer trades: its stops hold all the same."""
        if symbol not in self.instruments:
            self.instruments[symbol] = instrument_get(symbol)
        return self.instruments[symbol]

    def _snapshot(self, at: datetime) -> MarketSnapshot | None:
        """History up to the last bar that the market has completed: never a bar that still runs, never one that is old.

        It is told in today's shares: a split in it is no signal.
        """
        timeframe, end = self.config.timeframe, self._visible_end(at)
        bars = max(self.strategy.history_needed, bars_wanted(self.config.sized_by))
        sessions = bars if timeframe is Timeframe.DAY else ceil(bars * timeframe.duration / SHORTEST_SESSION)
        start = end - timedelta(days=int(sessions * DAYS_PER_SESSION) + FEWEST_DAYS)
        panel = bar_panel(symbols=list(self.config.symbols), timeframe=timeframe, start=start, end=end, adjustment=Adjustment.SPLIT)
        snapshot = snapshot_at(panel, len(panel) - 1) if len(panel) else None
        return snapshot if snapshot is not None and snapshot.timestamp >= self._oldest(at) else None

    def _visible_end(self, at: datetime) -> date | datetime:
        return visible_end(at, timeframe=self.config.timeframe, calendar=next(iter(self.instruments.values())).calendar)

    def _oldest(self, at: datetime) -> datetime:
        """When the last bar that may be complete by now begins, at the earliest: what was said of an older one is too late."""
        end = self._visible_end(at)
        if isinstance(end, datetime):
            return end - self.config.timeframe.duration
        return datetime.combine(end, time(), UTC)

    def _tell(self, title: str, detail: str, at: datetime) -> None:
        engine_alert(self.engine, "STRATEGY_NOT_TRADING", "warning", title, detail, at)


def _waiting(before: dict[str, str], signal: StrategySignal, *, waits: bool) -> dict[str, str]:
    others = {symbol: action for symbol, action in before.items() if symbol != signal.symbol}
    return {**others, signal.symbol: signal.action.value.lower()} if waits else others


def step_as_dict(step: Step) -> dict[str, Any]:
    """JSON form of a step."""
    return {
        "bar": step.bar,
        "cycle": step.cycle,
        "signals": [signal.as_dict() for signal in step.signals if signal.action.sign],
        "orders": [{"id": order.pk, "status": order.status, "reason": order.reason} for order in step.orders],
    }
