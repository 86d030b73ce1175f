"""A process that runs live engines: takes those that people want and nobody runs, drives them by the feed's messages, lets them go.

Who runs an engine is decided by a lease, a lock of the database that dies with its process; what the former one may still write is decided
by the fencing token. Several hosts may run this at once: what one leaves, another takes.
"""

import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError
from psycopg.errors import DeadlockDetected, LockNotAvailable

from apps.core.errors import DeskError, Unavailable
from apps.core.locks import LeaseSet
from apps.execution.domain.cycles import bar_words
from apps.execution.models import EngineState, TradingEngine
from apps.execution.services.engine_alerts import engine_alert
from apps.execution.services.engine_health import health_leave, health_write
from apps.execution.services.engine_records import Fenced
from apps.execution.services.engines import engine_leave
from apps.execution.services.live import LiveEngine, Step, step_as_dict
from apps.execution.services.live_building import live_engine_open
from apps.execution.services.live_config import LiveConfig
from apps.marketdata.selectors.quotes import FeedMessage

logger = logging.getLogger(__name__)

#: How often each engine looks at prices, at most: a feed speaks many times a second.
LOOK_EVERY = timedelta(seconds=1)
#: How often it says that it lives.
HEALTH_EVERY = timedelta(seconds=5)
#: Others held a row for too long: what was decided is sent at the next look.
BUSY = (LockNotAvailable, DeadlockDetected)
#: How often people are told, at most, that an engine cannot look: a fault may last for hours, and each telling is kept.
ALERT_EVERY = timedelta(minutes=1)
#: How long an engine that could not be taken is left alone.
TRY_AGAIN = timedelta(seconds=15)


def lease_name(*, strategy: str, portfolio_id: int) -> str:
    """The lease of a portfolio's engine for a strategy."""
    return f"trade:{strategy}:{portfolio_id}"


@dataclass(slots=True, kw_only=True)
class _Run:
    """An engine that this process runs."""

    live: LiveEngine
    looked_at: datetime | None = None
    healthy_at: datetime | None = None
    alerted_at: datetime | None = None
    bar_waits: bool = True  # a start looks for a bar that it missed


@dataclass(slots=True, kw_only=True)
class EngineHost:
    """Feed it messages (None for silence) with `hear`, and `close` it at the end. `only` one engine, or all that are wanted."""

    tell: Callable[[str], None]
    only: int | None = None
    leases: LeaseSet | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    _runs: dict[int, _Run] = field(default_factory=dict)
    _failed: dict[int, datetime] = field(default_factory=dict)
    _adopted_at: datetime | None = None

    @property
    def holder(self) -> str:
        """Who this is, for people."""
        return f"{socket.gethostname()}:{os.getpid()}"

    def hear(self, message: FeedMessage | None, *, at: datetime) -> None:
        """Drive every engine by a message, or by a second of silence."""
        if self._adopted_at is None or at - self._adopted_at >= LOOK_EVERY:
            self._adopted_at = at
            self._adopt(at)
        for engine_id, run in list(self._runs.items()):
            try:
                self._drive(run, message, at)
            except Fenced as error:
                self.tell(f"{run.live.engine}: {error.detail}")
                del self._runs[engine_id]
                self._let_go(run, error.detail, at)

    def close(self, *, at: datetime, reason: str) -> None:
        """Let everything go: another host may go on at once."""
        for run in self._runs.values():
            self._let_go(run, reason, at)
        self._runs.clear()
        if self.leases is not None:
            self.leases.close()
            self.leases = None

    def _adopt(self, at: datetime) -> None:
        """Let go what is no longer wanted or no longer ours, and take what is wanted and free."""
        try:
            if self.leases is None:
                self.leases = LeaseSet(application="desk engines")
            self.leases.check()
        except Unavailable as error:
            self.tell(f"the leases are lost, nothing is run until they are back: {error.detail}")
            self._runs.clear()
            self.leases = None
            return
        wanted = TradingEngine.objects.filter(wanted=True).select_related("runs_as", "book", "portfolio").order_by("id")
        if self.only is not None:
            wanted = wanted.filter(pk=self.only)
        engines = {engine.pk: engine for engine in wanted}
        tokens = dict(EngineState.objects.filter(engine__in=[*engines, *self._runs]).values_list("engine_id", "token"))
        for engine_id, run in list(self._runs.items()):
            if engine_id not in engines or tokens.get(engine_id) != run.live.token:
                self._drop(engine_id, run, wanted=engine_id in engines, at=at)
        for engine_id, engine in engines.items():
            if engine_id not in self._runs and at >= self._failed.get(engine_id, at):
                self._take(engine, at)

    def _drop(self, engine_id: int, run: _Run, *, wanted: bool, at: datetime) -> None:
        """Stopped by a person: the lease goes too. Configured anew: it is taken again at once."""
        del self._runs[engine_id]
        engine = run.live.engine
        self._let_go(run, "it is not wanted", at)
        if not wanted:
            self.tell(f"{engine} is stopped")
            if self.leases is not None and self.only is None:
                self.leases.release(lease_name(strategy=engine.strategy, portfolio_id=engine.portfolio_id))

    def _let_go(self, run: _Run, reason: str, at: datetime) -> None:
        engine = run.live.engine
        with self._contained(engine, "could not be let go"):
            engine_leave(engine, token=run.live.token, reason=reason, at=at)
        with self._contained(engine, "no health is known"):
            health_leave(engine.pk, at=at)

    @contextmanager
    def _contained(self, engine: TradingEngine, what: str) -> Iterator[None]:
        """What goes wrong with one engine is told or logged, and goes no further. Without its database a process lets everything go."""
        try:
            yield
        except DeskError as error:
            self.tell(f"{engine}: {what}: {error.detail}")
        except DatabaseError as error:
            if not isinstance(error.__cause__, BUSY):
                raise
            self.tell(f"{engine}: {what}: {str(error).splitlines()[0]}")
        except Exception:
            logger.exception("%s: %s", engine, what)

    def _take(self, engine: TradingEngine, at: datetime) -> None:
        name = lease_name(strategy=engine.strategy, portfolio_id=engine.portfolio_id)
        if self.leases is None or not self.leases.take(name):
            return
        try:
            live = live_engine_open(engine, holder=self.holder, at=at)
        except DeskError as error:
            self.tell(f"{engine} cannot run: {error.detail}")
            self._failed[engine.pk] = at + TRY_AGAIN
            if self.only is None:
                self.leases.release(name)
            return
        self._failed.pop(engine.pk, None)
        self._runs[engine.pk] = _Run(live=live)
        self.tell(f"{engine.strategy} trades {', '.join(engine.symbols)} in portfolio {engine.portfolio_id} as {engine.runs_as.get_username()}")

    def _drive(self, run: _Run, message: FeedMessage | None, at: datetime) -> None:
        completed = message is not None and _completes_bar(message, run.live.config)
        run.bar_waits |= completed
        if completed or run.looked_at is None or at - run.looked_at >= LOOK_EVERY:
            run.looked_at = at
            try:
                self._act(run, at)
            except Unavailable as error:
                self.tell(f"waiting: {error.detail}")
            except Fenced:
                raise
            except DeskError as error:
                self._give_up(run, error.detail, "warning", at)
            except DatabaseError as error:
                if not isinstance(error.__cause__, BUSY):
                    raise  # without its database a process lets everything go
                self.tell(f"waiting: {str(error).splitlines()[0]}")
            except Exception as error:  # a fault in one engine leaves the stops of the others held
                logger.exception("%s: a fault", run.live.engine)
                self._give_up(run, f"{type(error).__name__}: {error}", "critical", at)
        if run.healthy_at is None or at - run.healthy_at >= HEALTH_EVERY:
            run.healthy_at = at
            with self._contained(run.live.engine, "no health is known"):
                health_write(run.live.engine, token=run.live.token, at=at)

    def _give_up(self, run: _Run, detail: str, severity: str, at: datetime) -> None:
        """Of this look, and of the bar when it was that which failed; its stops are held at the next look all the same."""
        self.tell(f"{run.live.engine}: {detail}")
        if run.alerted_at is None or at - run.alerted_at >= ALERT_EVERY:
            run.alerted_at = at
            engine_alert(run.live.engine, "STRATEGY_NOT_TRADING", severity, "could not act upon a bar", detail, at)

    def _act(self, run: _Run, at: datetime) -> None:
        """Stops come first, so that a bar whose sizing waits for a price does not keep them from being held.

        The bar waits on where the look fails, or where what it needs is away or busy. Where the bar itself fails it is lost, and that is told
        whatever was told a moment ago.
        """
        self._tell_step(run.live.look(at=at))
        if not run.bar_waits:
            return
        try:
            self._tell_step(run.live.step(at=at))
        except (Unavailable, DatabaseError):
            raise
        except Exception:
            run.bar_waits, run.alerted_at = False, None
            raise
        run.bar_waits = False

    def _tell_step(self, step: Step | None) -> None:
        if step is None:
            return
        self.steps.append(step_as_dict(step))
        del self.steps[:-1000]
        for order in step.orders:
            what = bar_words(step.bar) if step.bar else "stop"
            self.tell(f"{what} {order.side} {order.quantity.normalize():f} {order.instrument.symbol}: {order.status} {order.reason}")


def _completes_bar(message: FeedMessage, config: LiveConfig) -> bool:
    """Whether it says that there is a new bar of those that the engine trades on."""
    return message.kind in ("bars", "intraday") and message.timeframe is config.timeframe and not set(message.symbols).isdisjoint(config.symbols)
