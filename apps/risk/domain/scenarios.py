"""Stress scenarios on positions: what each would cost, by symbol, and of how much of the portfolio that is known (domain.md B5).

A scenario is prepared once for the symbols that matter (`domain.scenario_moves`): what each would move, by its own history or by a proxy.
Then it is held against any positions in microseconds. Moves are fractions of value, money is in the portfolio's currency, a loss is negative.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.risk.domain.stress import replayed, reverse


class ScenarioKind(StrEnum):
    """Where the moves come from."""

    HISTORIC = "historic"
    FACTOR = "factor"
    REVERSE = "reverse"

    @property
    def label(self) -> str:
        """As people read it."""
        return _KIND_LABELS[self]


class ShockFactor(StrEnum):
    """What a scenario shocks. The unit of the shock is in `label`; FX, SECTOR and INSTRUMENT need a key: which one."""

    EQUITY = "equity"
    RATES = "rates"
    CREDIT = "credit"
    VOL = "vol"
    VOL_LEVEL = "vol_level"
    FX = "fx"
    SECTOR = "sector"
    INSTRUMENT = "instrument"

    @property
    def label(self) -> str:
        """As people read it, with the unit."""
        return _FACTOR_LABELS[self]

    @property
    def keyed(self) -> bool:
        """Whether it needs a key."""
        return self in {ShockFactor.FX, ShockFactor.SECTOR, ShockFactor.INSTRUMENT}


_KIND_LABELS = {
    ScenarioKind.HISTORIC: "Historic window on today's positions",
    ScenarioKind.FACTOR: "Shocks of factors",
    ScenarioKind.REVERSE: "Reverse: the likeliest move that costs so much",
}
#: So many positions are named of which a scenario knows nothing.
MOST_NAMED = 5
_FACTOR_LABELS = {
    ShockFactor.EQUITY: "Equity market [fraction, -0.2 is a fall by 20 %]",
    ShockFactor.RATES: "Interest rates [fraction, 0.02 is 200 basis points up]",
    ShockFactor.CREDIT: "Credit spreads [fraction, 0.01 is 100 basis points wider]",
    ShockFactor.VOL: "Volatility index [fraction of its level, 1 is twice as high]",
    ShockFactor.VOL_LEVEL: "Volatility index [points that it reaches]",
    ShockFactor.FX: "A currency against the portfolio's [fraction; the key is the currency]",
    ShockFactor.SECTOR: "A sector [fraction; the key is the sector]",
    ShockFactor.INSTRUMENT: "An instrument [fraction; the key is its symbol]",
}


class StressState(StrEnum):
    """What a scenario's result is worth."""

    OK = "ok"
    PARTIAL = "partial"
    EMPTY = "empty"
    PRICE_MISSING = "price_missing"
    INSUFFICIENT_DATA = "insufficient_data"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointMoves:
    """How symbols move together: `covariance` [N, N] of their daily returns, from `n` days."""

    symbols: tuple[str, ...]
    covariance: NDArray[np.float64]
    n: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scenario:
    """A scenario made ready: `moves` of the symbols that it is known of, `proxied` of those that are judged by something else.

    A reverse scenario has no moves but a `loss` (a fraction of equity, > 0) and the `joint` moves to lose it by.
    `note` says what the numbers do not hold, "" for nothing.
    """

    name: str
    title: str
    kind: ScenarioKind
    moves: Mapping[str, float] = field(default_factory=dict)
    proxied: Mapping[str, float] = field(default_factory=dict)
    loss: float | None = None
    joint: JointMoves | None = None
    note: str = ""

    def move(self, symbol: str) -> float | None:
        """What one symbol would move; None when nothing is known about it. An order changes the result by its value times this."""
        return self.moves.get(symbol, self.proxied.get(symbol))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioOutcome:
    """What a scenario does to a portfolio. `coverage` is the share of gross value that it says something about.

    `pnl` is None unless the state is OK, PARTIAL (`excluded` symbols are not in it) or EMPTY (nothing is held). `unpriced` symbols have no
    value to be stressed. For a reverse scenario `moves` is the joint move that loses so much and `distance` how many daily standard
    deviations of the portfolio it is away.
    """

    name: str
    title: str
    kind: ScenarioKind
    state: StressState
    pnl: float | None
    by_symbol: Mapping[str, float]
    coverage: float
    proxied: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    unpriced: tuple[str, ...] = ()
    fraction: float | None = None
    distance: float | None = None
    moves: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def loss(self) -> float | None:
        """Money >= 0; a gain is no loss."""
        return None if self.pnl is None else max(0.0, -self.pnl)


def stressed(
    values: Mapping[str, float], scenarios: Iterable[Scenario], *, equity: float | None = None, unpriced: Sequence[str] = ()
) -> tuple[ScenarioOutcome, ...]:
    """Each scenario on positions: `values` in money by symbol (short negative), `unpriced` the symbols that are held without a price.

    `equity` is what fractions are of and what a reverse scenario loses a part of; a value that is no number counts as unpriced.
    """
    known = {symbol: value for symbol, value in values.items() if math.isfinite(value)}
    missing = tuple(sorted({*unpriced, *(values.keys() - known.keys())}))
    held = {symbol: value for symbol, value in known.items() if value}
    return tuple(_outcome(scenario, held, missing, equity) for scenario in scenarios)


def worst_outcome(outcomes: Iterable[ScenarioOutcome]) -> ScenarioOutcome | None:
    """That of the least profit among scenarios that say something; of equal ones the first by name. None where none says anything.

    Reverse scenarios lose what they were told to and are no stress.
    """
    known = ((outcome.pnl, outcome.name, outcome) for outcome in outcomes if outcome.pnl is not None and outcome.kind is not ScenarioKind.REVERSE)
    found = min(known, key=lambda one: one[:2], default=None)
    return None if found is None else found[2]


def partly_known(outcomes: Iterable[ScenarioOutcome]) -> ScenarioOutcome | None:
    """The scenario that knows least of the positions among those that know a part of them, of equal ones the first by name; None where each
    that says something knows all. It may be worse than the worst that is known, so nothing new is opened where stress losses are limited."""
    partial = [outcome for outcome in outcomes if outcome.state is StressState.PARTIAL and outcome.kind is not ScenarioKind.REVERSE]
    return min(partial, key=lambda one: (one.coverage, one.name), default=None)


def not_known(outcome: ScenarioOutcome | None) -> str:
    """What such a scenario leaves open, for people; "" for none."""
    if outcome is None:
        return ""
    more = " and others" if len(outcome.excluded) > MOST_NAMED else ""
    return f"{outcome.title} knows {outcome.coverage:.0%} of the gross value, no move of {', '.join(outcome.excluded[:MOST_NAMED])}{more}"


def _outcome(scenario: Scenario, held: Mapping[str, float], missing: tuple[str, ...], equity: float | None) -> ScenarioOutcome:
    if scenario.kind is ScenarioKind.REVERSE:
        return _reversed(scenario, held, missing, equity)
    result = replayed(held, scenario.moves, scenario.proxied)
    if missing:
        state = StressState.PRICE_MISSING
    elif not held:
        state = StressState.EMPTY
    elif not result.by_symbol:
        state = StressState.INSUFFICIENT_DATA
    else:
        state = StressState.PARTIAL if result.excluded else StressState.OK
    pnl = result.pnl if state in {StressState.OK, StressState.PARTIAL, StressState.EMPTY} else None
    return ScenarioOutcome(
        name=scenario.name,
        title=scenario.title,
        kind=scenario.kind,
        state=state,
        pnl=pnl,
        by_symbol=result.by_symbol,
        coverage=result.coverage,
        proxied=result.proxied,
        excluded=result.excluded,
        unpriced=missing,
        fraction=None if pnl is None or not equity or equity <= 0 else pnl / equity,
        note=scenario.note,
    )


def _reversed(scenario: Scenario, held: Mapping[str, float], missing: tuple[str, ...], equity: float | None) -> ScenarioOutcome:
    joint = scenario.joint
    known = {symbol: n for n, symbol in enumerate(joint.symbols)} if joint else {}
    covered = [symbol for symbol in held if symbol in known]
    gross = sum(map(abs, held.values()))
    unknown = ScenarioOutcome(
        name=scenario.name,
        title=scenario.title,
        kind=scenario.kind,
        state=StressState.PRICE_MISSING if missing else StressState.INSUFFICIENT_DATA if held else StressState.EMPTY,
        pnl=None if missing or held else 0.0,
        by_symbol={},
        coverage=sum(abs(held[symbol]) for symbol in covered) / gross if gross else 1.0,
        excluded=tuple(symbol for symbol in held if symbol not in known),
        unpriced=missing,
        note=scenario.note,
    )
    if missing or joint is None or not covered or equity is None or equity <= 0 or scenario.loss is None:
        return unknown
    rows = [known[symbol] for symbol in covered]
    try:
        found = reverse([held[symbol] for symbol in covered], list(joint.covariance[np.ix_(rows, rows)]), scenario.loss * equity)
    except InvalidInput:  # what is held never moved: no move of it loses anything
        return unknown
    moves = dict(zip(covered, map(float, found["shock"]), strict=True))
    return replace(
        unknown,
        state=StressState.PARTIAL if unknown.excluded else StressState.OK,
        pnl=-scenario.loss * equity,
        by_symbol={symbol: held[symbol] * move for symbol, move in moves.items()},
        fraction=-scenario.loss,
        distance=float(found["distance"]),
        moves=moves,
    )
