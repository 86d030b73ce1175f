"""Value at risk, shortfall and stress losses of every portfolio, each second, beside the monitor's work on prices.

Histories and scenarios are read when a portfolio holds other instruments or the session changes, and now and then; each second only prices
and numbers of shares are new.
"""

import logging
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from threading import Event, Lock, Thread
from typing import Final

from django.db import connection

from apps.core import clock
from apps.portfolios.domain.holdings import Holdings, pair
from apps.risk.domain.live_numbers import LiveNumbers, live_numbers
from apps.risk.domain.portfolio_risk import historical_risk
from apps.risk.domain.scenarios import Scenario
from apps.risk.domain.summary import RiskView
from apps.risk.selectors.portfolio_risk import RiskInputs, position_values, risk_inputs
from apps.risk.selectors.scenarios import scenarios_kept

logger = logging.getLogger(__name__)

EVERY: Final = timedelta(seconds=1)
#: Histories, scenarios and shocks that people have edited are read again after this time.
READ_EVERY: Final = timedelta(minutes=5)
#: How long [s] somebody who ends it waits for the portfolio at work.
LONGEST_WAIT: Final = 5.0
#: How long [s] each portfolio waits at most while the monitor is at work on prices, which must not share the interpreter with it.
LONGEST_PAUSE: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A portfolio as the monitor has just valued it, and the holdings that this was of."""

    view: RiskView
    holdings: Holdings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ready:
    holdings: Holdings
    read_at: datetime
    session: date
    inputs: RiskInputs
    scenarios: tuple[Scenario, ...]

    def holds_for(self, one: Held, now: datetime) -> bool:
        """Whether it was read for what is held now, in this session, and is not old."""
        same = self.holdings is one.holdings or _read_for(self.holdings) == _read_for(one.holdings)
        return same and self.session == one.view.summary.session and now - self.read_at < READ_EVERY


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Measured:
    """Numbers and all that they depend on."""

    ready: _Ready
    values: Mapping[str, float | None]
    equity: float | None
    numbers: LiveNumbers


class LiveRisk:
    """`show` it portfolios from the monitor's thread, call `compute` from any, and `take` what is new. Numbers are kept by portfolio id."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: dict[int, Held] = {}
        self._fresh: dict[int, LiveNumbers] = {}
        self._ready: dict[int, _Ready] = {}
        self._measured: dict[int, _Measured] = {}
        self._free = Event()
        self._free.set()

    @contextmanager
    def standing_back(self) -> Iterator[None]:
        """Within the block `compute` begins with a portfolio only after LONGEST_PAUSE: prices that have come go before."""
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    def show(self, held: Mapping[int, Held]) -> None:
        """The portfolios as they are now; those that are not among them are forgotten."""
        with self._lock:
            self._held = dict(held)

    def take(self) -> dict[int, LiveNumbers]:
        """What was computed since the last call."""
        with self._lock:
            fresh, self._fresh = self._fresh, {}
        return fresh

    def compute(self, now: datetime, *, stopping: Callable[[], bool] = lambda: False) -> None:
        """Every portfolio once. One that cannot be read is logged and computed the next time; the others do not wait for it."""
        with self._lock:
            held = dict(self._held)
        self._ready = {key: ready for key, ready in self._ready.items() if key in held}
        self._measured = {key: measured for key, measured in self._measured.items() if key in held}
        for portfolio_id, one in sorted(held.items()):
            self._free.wait(LONGEST_PAUSE)
            if stopping():
                return
            try:
                found = self._measure(portfolio_id, one, now)
            except Exception:
                logger.exception("value at risk of portfolio %s could not be computed", portfolio_id)
                connection.close()
                continue
            with self._lock:
                self._fresh[portfolio_id] = found

    def _measure(self, portfolio_id: int, one: Held, now: datetime) -> LiveNumbers:
        ready = self._ready.get(portfolio_id)
        if ready is None or not ready.holds_for(one, now):
            inputs = risk_inputs(one.view, now=now)
            scenarios = scenarios_kept(symbols=sorted(inputs.values), now=now, currencies=_foreign(one.holdings))
            ready = _Ready(holdings=one.holdings, read_at=now, session=one.view.summary.session, inputs=inputs, scenarios=scenarios)
            self._ready[portfolio_id] = ready
        valuation = one.view.valuation
        cash = {pair(currency, one.holdings.currency) for currency, _ in one.holdings.foreign_cash}
        values = {symbol: value for symbol, value in ready.inputs.values.items() if symbol in cash} | position_values(valuation)
        facts = replace(ready.inputs.facts, equity=None if valuation.total is None else float(valuation.total))
        before = self._measured.get(portfolio_id)
        if before is not None and before.ready is ready and (before.values, before.equity) == (values, facts.equity):
            return replace(before.numbers, computed_at=now)  # nothing has moved: they would be the same
        matrix, as_of = ready.inputs.matrix, one.view.summary.market_time
        risk = historical_risk(values=values, matrix=matrix, facts=facts, as_of=as_of)
        numbers = live_numbers(risk, values=values, scenarios=ready.scenarios, equity=facts.equity, at=now)
        self._measured[portfolio_id] = _Measured(ready=ready, values=values, equity=facts.equity, numbers=numbers)
        return numbers


def _read_for(held: Holdings) -> Hashable:
    """All of the holdings that histories and scenarios depend on. How many shares of each are held is not: a desk that trades changes it
    every second, and `_measure` multiplies by what is held then.
    """
    return held.currency, frozenset((position.symbol, position.currency) for position in held.positions), held.foreign_cash


def _foreign(held: Holdings) -> dict[str, str]:
    return {position.symbol: position.currency for position in held.positions if position.currency}


@contextmanager
def computing(current: Callable[[], LiveRisk | None]) -> Iterator[None]:
    """Within the block a thread computes each second what `current` names then, on a connection of its own."""
    ended = Event()

    def work() -> None:
        while not ended.wait(EVERY.total_seconds()):
            live = current()
            if live is not None:
                live.compute(clock.now(), stopping=ended.is_set)
        connection.close()

    thread = Thread(target=work, name="live-risk", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(LONGEST_WAIT)
