"""What one order does to value at risk, expected shortfall and stress losses, in time that grows with the history and not with the positions.

A portfolio's profit and loss by session is one vector; an order adds its value times the returns of its own instrument to it. From the vector
come the historical numbers and, by its mean and deviation, the normal ones: those of the sample covariance, without making one. Stress losses
change by value times move.

Orders that still work may fill or not. Of the four cases (none, all buys, all sells, all) the worst counts, before the order and after it.
Money is in the portfolio's currency, losses are positive.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import cast

import numpy as np
from numpy.typing import NDArray

from apps.risk.domain.risk_numbers import Numbers, ReturnMatrix, RiskState, least_observations
from apps.risk.domain.scenarios import Scenario, ScenarioKind
from apps.risk.domain.value_at_risk import tail_historical, tail_normal

#: The confidence that limits of value at risk are set at.
CONFIDENCE = 0.95
#: Where more than this share of the positions has another value than before, the vector is made anew.
FEW = 0.125
#: Updates of one vector after which it is made anew, so that their rounding does not add up.
MOST_UPDATES = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class RiskBook:
    """Returns [N, T] of symbols (0 where one is missing), `gaps` [G, T] of the rows `gapped` in which one is, and moves [S, N] in each
    scenario (NaN where nothing is known), by name and title. Arrays are never written to. `fingerprint` is that of the returns."""

    symbols: tuple[str, ...]
    returns: Numbers
    gapped: NDArray[np.intp]
    gaps: NDArray[np.bool_]
    scenarios: tuple[tuple[str, str], ...]
    moves: Numbers
    fingerprint: str

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each symbol."""
        return {symbol: row for row, symbol in enumerate(self.symbols)}

    @cached_property
    def gap_rows(self) -> dict[int, int]:
        """Row in `gaps` of the row of a symbol."""
        return {int(row): at for at, row in enumerate(self.gapped)}

    @cached_property
    def known_moves(self) -> Numbers:
        """The moves with 0 for what is not known."""
        return np.nan_to_num(self.moves)

    @cached_property
    def unknown_moves(self) -> Numbers:
        """1 where a move is not known, else 0 [S, N]."""
        return np.isnan(self.moves).astype(np.float64)

    def weights(self, values: Mapping[str, float]) -> Numbers:
        """Money by row [N]. Raises KeyError for a symbol that the book does not have."""
        weights = np.zeros(len(self.symbols))
        weights[[self.rows[symbol] for symbol in values]] = list(values.values())
        return weights

    def joined(self, other: "RiskBook") -> "RiskBook":
        """This book with the symbols of another one, of the same sessions and scenarios."""
        return RiskBook(
            symbols=(*self.symbols, *other.symbols),
            returns=np.vstack([self.returns, other.returns]),
            gapped=np.concatenate([self.gapped, other.gapped + len(self.symbols)]),
            gaps=np.vstack([self.gaps, other.gaps]),
            scenarios=self.scenarios,
            moves=np.hstack([self.moves, other.moves]),
            fingerprint=f"{self.fingerprint}+{other.fingerprint}",
        )


def risk_book(matrix: ReturnMatrix, scenarios: Iterable[Scenario] = ()) -> RiskBook:
    """A book of the matrix' symbols. Scenarios that lose what they were told to lose (reverse) say nothing of an order and are left out."""
    missing = np.isnan(matrix.returns).T
    gapped = np.flatnonzero(missing.any(axis=1))
    told = [scenario for scenario in scenarios if scenario.kind is not ScenarioKind.REVERSE]
    moves = [[np.nan if (move := one.move(symbol)) is None else move for symbol in matrix.symbols] for one in told]
    return RiskBook(
        symbols=matrix.symbols,
        returns=np.ascontiguousarray(matrix.filled.T),
        gapped=gapped,
        gaps=missing[gapped],
        scenarios=tuple((scenario.name, scenario.title) for scenario in told),
        moves=np.array(moves).reshape(len(told), len(matrix.symbols)),
        fingerprint=matrix.fingerprint,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldVector:
    """Positions in money by row of the book, their profit and loss by session [T], in how many of them a return is missing [T], and what
    each scenario makes of them [S] with how many of them it knows nothing of [S]."""

    book: RiskBook
    weights: Numbers
    pnl: Numbers
    missing: NDArray[np.intp]
    stressed: Numbers
    unknown: NDArray[np.intp]
    updates: int = 0

    @cached_property
    def tail(self) -> "Tail":
        """The numbers of the positions as they are."""
        return tail_of(self.pnl, self.missing)


def held_vector(book: RiskBook, weights: Numbers, before: HeldVector | None = None) -> HeldVector:
    """The vector of these weights, from the one `before` where only a few of them are others."""
    if before is None or before.book is not book or before.updates >= MOST_UPDATES:
        return _anew(book, weights)
    changed = np.flatnonzero(weights != before.weights)
    if not changed.size:
        return before
    if changed.size > FEW * weights.size:
        return _anew(book, weights)
    added = weights[changed] - before.weights[changed]
    turned = changed[(weights[changed] != 0) != (before.weights[changed] != 0)]
    return HeldVector(
        book=book,
        weights=weights,
        pnl=before.pnl + added @ book.returns[changed],
        missing=before.missing if not turned.size else _missing(book, weights),
        stressed=before.stressed + book.known_moves[:, changed] @ added,
        unknown=before.unknown if not turned.size else _unknown(book, weights),
        updates=before.updates + 1,
    )


def _anew(book: RiskBook, weights: Numbers) -> HeldVector:
    return HeldVector(
        book=book,
        weights=weights,
        pnl=np.asarray(weights @ book.returns),
        missing=_missing(book, weights),
        stressed=np.asarray(book.known_moves @ weights),
        unknown=_unknown(book, weights),
    )


def _missing(book: RiskBook, weights: Numbers) -> NDArray[np.intp]:
    return np.asarray(book.gaps[weights[book.gapped] != 0].sum(axis=0, dtype=np.intp))


def _unknown(book: RiskBook, weights: Numbers) -> NDArray[np.intp]:
    return np.asarray(book.unknown_moves @ (weights != 0), dtype=np.intp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Numbers of one vector in money, None where `n` observations are too few."""

    n: int
    var: float | None = None
    es: float | None = None
    normal_var: float | None = None
    normal_es: float | None = None


def tail_of(pnl: Numbers, missing: NDArray[np.intp], confidence: float = CONFIDENCE) -> Tail:
    """Historical and normal numbers over the sessions in which every position has a return."""
    kept = pnl[missing == 0] if missing.any() else pnl
    if kept.size < least_observations(confidence):
        return Tail(n=kept.size)
    series = cast("Sequence[float]", kept)
    (var, es), (normal_var, normal_es) = tail_historical(series, confidence), tail_normal(series, confidence)
    return Tail(n=kept.size, var=var, es=es, normal_var=normal_var, normal_es=normal_es)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskChange:
    """One number in money before the order and after it. Without a value the state of it says why, and `note` names what it is for.

    A stress loss that is a gain is 0. `n` observations (0 for stress)."""

    name: str
    title: str
    state: RiskState
    before: float | None
    after: float | None
    n: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskImpact:
    """What an order does: `var` and `es` historical at 95 % over one session, the same of a normal distribution, and each scenario's loss.

    `stress` is the worst loss of all scenarios, before and after. `equity` is what limits are fractions of.
    """

    var: RiskChange
    es: RiskChange
    normal_var: RiskChange
    normal_es: RiskChange
    stress: RiskChange
    scenarios: tuple[RiskChange, ...]
    equity: float
    fingerprint: str

    @property
    def headline(self) -> tuple[RiskChange, ...]:
        """What people look at first: all but the single scenarios, in the order in which people read them."""
        return (self.var, self.normal_var, self.es, self.normal_es, self.stress)

    @property
    def changes(self) -> tuple[RiskChange, ...]:
        """All of them."""
        return (*self.headline, *self.scenarios)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskQuestion:
    """An order in money by symbol (signed), and what working buys and sells may add to the portfolio; `unpriced` are held without a price."""

    order: Mapping[str, float]
    buys: Mapping[str, float] = field(default_factory=dict)
    sells: Mapping[str, float] = field(default_factory=dict)
    unpriced: tuple[str, ...] = ()
    equity: float = 0.0


_NUMBERS = (
    ("var", "Value at risk, historical"),
    ("es", "Expected shortfall, historical"),
    ("normal_var", "Value at risk, normal"),
    ("normal_es", "Expected shortfall, normal"),
)


def risk_impact(held: HeldVector, asked: RiskQuestion) -> RiskImpact:
    """What the order does to every number. The book has a row for each symbol of the question; bad data is a state, never an exception."""
    book = held.book
    cases = list(product(({}, asked.buys) if asked.buys else ({},), ({}, asked.sells) if asked.sells else ({},)))
    before = [_added(held, case) for case in cases]
    after = [_added(held, (*case, asked.order)) for case in cases]
    state, note = _state(held, asked)
    tails = [case.tail for case in before], [case.tail for case in after]
    numbers = {name: _tail_change(name, title, *tails, state, note) for name, title in _NUMBERS}
    scenarios = tuple(_stress_change(book, at, before, after, asked) for at in range(len(book.scenarios)) if not np.isnan(book.moves[at]).all())
    return RiskImpact(**numbers, stress=_worst(scenarios, asked), scenarios=scenarios, equity=asked.equity, fingerprint=book.fingerprint)


def _added(held: HeldVector, parts: Iterable[Mapping[str, float]]) -> HeldVector:
    """The vector with further positions: the cost is that of their own rows."""
    book, sums = held.book, dict[int, float]()
    for part in parts:
        for symbol, value in part.items():
            sums[book.rows[symbol]] = sums.get(book.rows[symbol], 0.0) + value
    if not any(sums.values()):
        return held
    rows, added = list(sums), np.array(list(sums.values()))
    missing, unknown = held.missing, held.unknown
    for row, value in sums.items():
        turn = int(held.weights[row] + value != 0) - int(held.weights[row] != 0)
        if turn and row in book.gap_rows:
            missing = missing + turn * book.gaps[book.gap_rows[row]]
        if turn:
            unknown = unknown + turn * book.unknown_moves[:, row].astype(np.intp)
    weights = held.weights.copy()
    weights[rows] += added
    return HeldVector(
        book=book,
        weights=weights,
        pnl=held.pnl + added @ book.returns[rows],
        missing=missing,
        stressed=held.stressed + book.known_moves[:, rows] @ added,
        unknown=unknown,
    )


def _state(held: HeldVector, asked: RiskQuestion) -> tuple[RiskState, str]:
    """What stands against any number, and for which symbols."""
    if asked.unpriced:
        return RiskState.PRICE_MISSING, _names(asked.unpriced)
    book = held.book
    touched = {book.rows[symbol] for part in (asked.order, asked.buys, asked.sells) for symbol in part}
    bare = [int(row) for row, gaps in zip(book.gapped, book.gaps, strict=True) if (held.weights[row] or int(row) in touched) and gaps.all()]
    return (RiskState.NO_HISTORY, _names([book.symbols[row] for row in bare])) if bare else (RiskState.OK, "")


def _names(symbols: Sequence[str]) -> str:
    return ", ".join(symbols[:5]) + (" and others" if len(symbols) > 5 else "")


def _tail_change(name: str, title: str, before: list[Tail], after: list[Tail], state: RiskState, note: str) -> RiskChange:
    n = min(tail.n for tail in (*before, *after))
    if state is RiskState.OK and any(getattr(tail, name) is None for tail in (*before, *after)):
        state, note = RiskState.INSUFFICIENT_DATA, f"{n} sessions in which every position has a return, {least_observations(CONFIDENCE)} are needed"
    if state is not RiskState.OK:
        return RiskChange(name=name, title=title, state=state, before=None, after=None, n=n, note=note)
    worst = [max(getattr(tail, name) for tail in tails) for tails in (before, after)]
    return RiskChange(name=name, title=title, state=state, before=worst[0], after=worst[1], n=n)


def _stress_change(book: RiskBook, at: int, before: list[HeldVector], after: list[HeldVector], asked: RiskQuestion) -> RiskChange:
    name, title = book.scenarios[at]
    if asked.unpriced:
        return RiskChange(name=name, title=title, state=RiskState.PRICE_MISSING, before=None, after=None, note=_names(asked.unpriced))
    if any(case.unknown[at] for case in (*before, *after)):
        weights = np.any([case.weights != 0 for case in (*before, *after)], axis=0)
        unknown = [book.symbols[row] for row in np.flatnonzero(weights & np.isnan(book.moves[at]))]
        return RiskChange(name=name, title=title, state=RiskState.INSUFFICIENT_DATA, before=None, after=None, note=f"no move of {_names(unknown)}")
    losses = [max(0.0, *(-float(case.stressed[at]) for case in cases)) for cases in (before, after)]
    return RiskChange(name=name, title=title, state=RiskState.OK, before=losses[0], after=losses[1])


def _worst(scenarios: tuple[RiskChange, ...], asked: RiskQuestion) -> RiskChange:
    """The largest loss before and after. One scenario of which something is not known leaves the worst unknown."""
    title = "Worst stress loss"
    unknown = next((change for change in scenarios if change.state is not RiskState.OK), None)
    if unknown is not None:
        note = f"{unknown.title}: {unknown.note}"
        return RiskChange(name="stress", title=title, state=unknown.state, before=None, after=None, note=note)
    if not scenarios:
        state = RiskState.PRICE_MISSING if asked.unpriced else RiskState.NO_HISTORY
        return RiskChange(name="stress", title=title, state=state, before=None, after=None, note="no scenario is known of these positions")
    before, after = (max(getattr(change, when) or 0.0 for change in scenarios) for when in ("before", "after"))
    at = max(scenarios, key=lambda change: change.after or 0.0)
    return RiskChange(name="stress", title=title, state=RiskState.OK, before=before, after=after, note=at.title)
