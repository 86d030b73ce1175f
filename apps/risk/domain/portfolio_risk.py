"""The whole risk of a portfolio at one moment: today's positions in money over the history of their returns.

Profit and loss of the past is what today's positions would have made (full re-weighting), never what was held then. A session in which
any position has no return is left out, and counted; a number for which too few are left has a state and no value.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InsufficientData
from apps.risk.domain.concentration import Concentration, concentration
from apps.risk.domain.contributions import Contributions, Sample, contributions, sample
from apps.risk.domain.correlation import Correlation, correlated
from apps.risk.domain.drawdown import drawdowns, falls
from apps.risk.domain.liquidity import Liquidity, liquidity
from apps.risk.domain.risk_numbers import LEAST_OBSERVATIONS, Numbers, ReturnMatrix, RiskNumber, RiskState, least_observations, matrix_of
from apps.risk.domain.tail_risk import Method, Tail, historical_tail, tails
from apps.risk.domain.volatility import beta, ewma_volatility, shrunk_volatility

__all__ = [
    "Method",
    "PortfolioFacts",
    "PortfolioRisk",
    "ReturnMatrix",
    "RiskNumber",
    "RiskState",
    "Track",
    "full_risk",
    "historical_risk",
    "matrix_of",
]

CONFIDENCES = (0.95, 0.99)
HORIZONS = (1, 10)
SESSIONS_PER_YEAR = 252
CORRELATED = 30
DEEPEST = 5
NOTHING_HELD = "nothing is held"
OF_GROSS = "of gross value: equity is not known, or not positive"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Track:
    """Daily returns that the portfolio really made: `dates` datetime64[D] [D], `returns` [D]."""

    dates: NDArray[np.datetime64]
    returns: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioFacts:
    """What is known of a portfolio beside values and returns.

    `equity` in money is what volatility and beta are fractions of; `stale` are symbols whose price is old; `benchmark` [T] returns on the
    matrix' dates, NaN where there is none; `sectors`, `currencies` by symbol; `traded` average money traded per session by symbol.
    """

    equity: float | None = None
    stale: Collection[str] = ()
    benchmark: Numbers | None = None
    sectors: Mapping[str, str] = field(default_factory=dict)
    currencies: Mapping[str, str] = field(default_factory=dict)
    traded: Mapping[str, float] = field(default_factory=dict)
    track: Track | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Money held, of the positions that have a price: `gross` = long - short, `net` = long + short (short <= 0); by sector and by currency
    the net, "" where it is not known."""

    gross: float
    net: float
    long: float
    short: float
    by_sector: Mapping[str, float]
    by_currency: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedFall:
    """One drawdown; `depth` a fraction <= 0, `recovered` None while it lasts, `length` in sessions so far."""

    began: date
    trough: date
    recovered: date | None
    depth: float
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawdownRisk:
    """`current` and `deepest` as fractions <= 0 and the deepest falls. `actual`: of the values the portfolio really had; else of today's
    positions over their history, on the equity of today."""

    actual: bool
    current: float
    deepest: float
    falls: tuple[DatedFall, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PortfolioRisk:
    """Everything `full_risk` found. Money is in the portfolio's currency, losses are positive.

    `state` is the worst of all; `missing`, `stale`, `without_history` name the symbols it is for; `shortest` is the position with the
    fewest returns, which limits `n` of the `window`; `base` is what fractions are of: equity, or gross value without. `pnl` [n] on `dates`
    is what today's positions would have made. `contributions` is by confidence; None for `drawdown` and `correlation` where nothing can
    be said.
    """

    state: RiskState
    as_of: date
    fingerprint: str
    window: int
    n: int
    equity: float | None
    base: float
    values: Mapping[str, float]
    missing: tuple[str, ...]
    stale: tuple[str, ...]
    without_history: tuple[str, ...]
    shortest: tuple[str, int] | None
    var: tuple[RiskNumber, ...]
    es: tuple[RiskNumber, ...]
    simulation_error: tuple[RiskNumber, ...]
    contributions: Mapping[float, Contributions]
    volatility: tuple[RiskNumber, ...]
    beta: RiskNumber
    exposure: Exposure
    concentration: Concentration
    liquidity: Liquidity
    drawdown: DrawdownRisk | None
    correlation: Correlation | None
    dates: NDArray[np.datetime64]
    pnl: Numbers

    def var_of(self, method: Method, confidence: float, horizon: int = 1) -> RiskNumber:
        """One value at risk. Raises KeyError for one that was not asked for."""
        return _one(self.var, method, confidence, horizon)

    def es_of(self, method: Method, confidence: float, horizon: int = 1) -> RiskNumber:
        """One expected shortfall. Raises KeyError for one that was not asked for."""
        return _one(self.es, method, confidence, horizon)


def full_risk(
    *,
    values: Mapping[str, float | None],
    matrix: ReturnMatrix,
    facts: PortfolioFacts | None = None,
    as_of: date | None = None,
    confidences: Sequence[float] = CONFIDENCES,
    horizons: Sequence[int] = HORIZONS,
    correlated_positions: int = CORRELATED,
) -> PortfolioRisk:
    """The risk of positions in money by symbol: short negative, None (or NaN) where a price is missing.

    `as_of` is the market's time that the values are of, by default the matrix' last session. The `correlated_positions` largest are
    correlated, none with 0. Bad data is a state of the numbers, never an exception.
    """
    facts = facts or PortfolioFacts()
    work = _Work(values, matrix, facts, as_of or _last(matrix))
    held, found = work.held, work.found
    enough = tuple(confidence for confidence in confidences if work.enough(confidence))
    tail = {(one.method, one.confidence, one.horizon): one for one in (tails(found.pnl, enough, horizons) if enough else ())}
    keys = [(method, confidence, horizon) for horizon in horizons for confidence in confidences for method in Method]
    numbers = [work.tail_number(key, tail.get(key)) for key in keys]
    return PortfolioRisk(
        state=work.state(max(map(least_observations, confidences))),
        as_of=work.as_of,
        fingerprint=matrix.fingerprint,
        window=len(matrix),
        n=work.n,
        equity=facts.equity,
        base=work.base,
        values=held,
        missing=work.missing,
        stale=work.stale,
        without_history=work.without,
        shortest=min(((symbol, _observed(matrix, symbol)) for symbol in held), key=lambda item: (item[1], item[0]), default=None),
        var=tuple(var for var, _, _ in numbers),
        es=tuple(es for _, es, _ in numbers),
        simulation_error=tuple(error for _, _, error in numbers if error is not None),
        contributions={one.confidence: one for one in contributions(found, enough)} if enough else {},
        volatility=work.volatilities(),
        beta=work.beta(),
        exposure=_exposure(held, facts),
        concentration=concentration(held),
        liquidity=liquidity(held, facts.traded),
        drawdown=work.drawdown(),
        correlation=_correlation(held, matrix, correlated_positions),
        dates=matrix.dates[found.rows],
        pnl=found.pnl,
    )


def historical_risk(
    *, values: Mapping[str, float | None], matrix: ReturnMatrix, facts: PortfolioFacts | None = None, as_of: date | None = None
) -> dict[float, tuple[RiskNumber, RiskNumber]]:
    """Historical value at risk and expected shortfall of one session by confidence: the same numbers as those of `full_risk`, by themselves."""
    work = _Work(values, matrix, facts or PortfolioFacts(), as_of or _last(matrix))
    found = {}
    for confidence in CONFIDENCES:
        tail = historical_tail(work.found.pnl, confidence) if work.enough(confidence) else None
        var, es, _ = work.tail_number((Method.HISTORICAL, confidence, 1), tail)
        found[confidence] = var, es
    return found


class _Work:
    """What the numbers of one portfolio share."""

    def __init__(self, values: Mapping[str, float | None], matrix: ReturnMatrix, facts: PortfolioFacts, as_of: date) -> None:
        held = {symbol: float(value) for symbol, value in values.items() if value is not None and not math.isnan(value) and value}
        self.missing = tuple(symbol for symbol, value in values.items() if value is None or math.isnan(value))
        self.without = tuple(symbol for symbol in held if not _observed(matrix, symbol))
        self.found: Sample = sample({} if self.without else held, matrix)
        self.held, self.facts, self.as_of = held, facts, as_of
        self.stale = tuple(symbol for symbol in held if symbol in facts.stale)
        self.n = 0 if self.without else self.found.pnl.size
        equity = facts.equity
        self.of_equity = equity is not None and equity > 0
        self.base = equity if equity is not None and equity > 0 else sum(map(abs, held.values()))

    def enough(self, confidence: float) -> bool:
        """Whether anything is held, and so much of it known that there is a number at this confidence."""
        return bool(self.held) and not self.missing and not self.without and self.n >= least_observations(confidence)

    def state(self, least: int) -> RiskState:
        """State of a number that needs so many observations."""
        if self.missing:
            return RiskState.PRICE_MISSING
        if self.without:
            return RiskState.NO_HISTORY
        if self.held and self.n < least:
            return RiskState.INSUFFICIENT_DATA
        return RiskState.PRICE_STALE if self.stale else RiskState.OK

    def tail_number(self, key: tuple[Method, float, int], tail: Tail | None) -> tuple[RiskNumber, RiskNumber, RiskNumber | None]:
        """Value at risk, expected shortfall and, of a simulation, the standard error."""
        method, confidence, horizon = key
        n = tail.n if tail else self.n
        state = self.state(least_observations(confidence))
        if state.has_value and self.held and (tail is None or n < least_observations(confidence)):
            state = RiskState.INSUFFICIENT_DATA

        def number(value: float | None, name: str) -> RiskNumber:
            return self.number(value, state, name, confidence=confidence, horizon=horizon, n=n, note=tail.note if tail else "")

        error = number(tail.error, f"{method} standard error") if tail and tail.error is not None else None
        return number(tail.var if tail else None, method), number(tail.es if tail else None, method), error

    def number(
        self,
        value: float | None,
        state: RiskState,
        method: str,
        *,
        confidence: float | None = None,
        horizon: int = 1,
        n: int | None = None,
        note: str = "",
    ) -> RiskNumber:
        """A number; nothing held is a risk of nothing."""
        if state.has_value and not self.held:
            value, note = 0.0, NOTHING_HELD
        return RiskNumber(
            value=value if state.has_value else None,
            state=state,
            method=method,
            confidence=confidence,
            horizon=horizon,
            window=len(self.found.matrix),
            n=self.n if n is None else n,
            as_of=self.as_of,
            fingerprint=self.found.matrix.fingerprint,
            note=note,
        )

    def volatilities(self) -> tuple[RiskNumber, ...]:
        """Annual volatility as a fraction of the base, by sample, EWMA and shrunk covariance."""
        state = self.state(LEAST_OBSERVATIONS)
        scale = math.sqrt(SESSIONS_PER_YEAR) / self.base if self.base else 0.0
        deviations: tuple[float | None, ...] = (None, None, None)
        if state.has_value and self.held:
            deviations = (float(self.found.pnl.std(ddof=1)), ewma_volatility(self.found.pnl), shrunk_volatility(self.found))
        names = ("sample", "ewma", "ledoit_wolf")
        return tuple(
            self.number(None if value is None else value * scale, state, name, horizon=SESSIONS_PER_YEAR, note=self._of())
            for name, value in zip(names, deviations, strict=True)
        )

    def beta(self) -> RiskNumber:
        """Sensitivity of the base to the benchmark's return."""
        state, value, n = self.state(LEAST_OBSERVATIONS), None, self.n
        if state.has_value and self.held:
            try:
                money, n = beta(self.found.pnl, self._benchmark())
                value = money / self.base
            except InsufficientData:
                n = 0
            if n < LEAST_OBSERVATIONS:
                state = RiskState.INSUFFICIENT_DATA
        return self.number(value, state, "least squares", n=n, note=self._of())

    def _benchmark(self) -> Numbers:
        its = self.facts.benchmark
        return np.full(self.n, np.nan) if its is None else its[self.found.rows]

    def _of(self) -> str:
        return "" if self.of_equity else OF_GROSS

    def drawdown(self) -> DrawdownRisk | None:
        """Of the real track where there is one, else of today's positions."""
        track = self.facts.track
        if track is not None and track.returns.size:
            return drawdown_risk(track.returns, track.dates, actual=True)
        if not self.held or not self.n or not self.state(0).has_value:
            return None
        return drawdown_risk(self.found.pnl / self.base, self.found.matrix.dates[self.found.rows], actual=False)


def drawdown_risk(returns: Numbers, dates: NDArray[np.datetime64], *, actual: bool) -> DrawdownRisk:
    """The falls of a series of returns with their dates; NaN is left out."""
    kept = ~np.isnan(returns)
    days = dates[kept].astype("datetime64[D]").tolist()
    depths = drawdowns(returns)
    deepest = sorted(falls(returns), key=lambda fall: (fall.depth, fall.start))[:DEEPEST]
    return DrawdownRisk(
        actual=actual,
        current=float(depths[-1]) if depths.size else 0.0,
        deepest=float(depths.min()) if depths.size else 0.0,
        falls=tuple(
            DatedFall(
                began=days[fall.start],
                trough=days[fall.trough],
                recovered=None if fall.recovery is None else days[fall.recovery],
                depth=fall.depth,
                length=fall.length,
            )
            for fall in deepest
        ),
    )


def _exposure(held: Mapping[str, float], facts: PortfolioFacts) -> Exposure:
    long = sum(value for value in held.values() if value > 0)
    short = sum(value for value in held.values() if value < 0)
    return Exposure(
        gross=long - short,
        net=long + short,
        long=long,
        short=short,
        by_sector=_grouped((facts.sectors.get(symbol, ""), value) for symbol, value in held.items()),
        by_currency=_grouped((facts.currencies.get(symbol, ""), value) for symbol, value in held.items()),
    )


def _grouped(parts: Iterable[tuple[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for name, value in parts:
        sums[name] = sums.get(name, 0.0) + value
    return dict(sorted(sums.items()))


def _correlation(held: Mapping[str, float], matrix: ReturnMatrix, most: int) -> Correlation | None:
    known = sorted((symbol for symbol in held if symbol in matrix.columns), key=lambda symbol: (-abs(held[symbol]), symbol))[:most]
    if not known:
        return None
    columns = np.array(sorted(matrix.columns[symbol] for symbol in known))
    found: Correlation = matrix.derive("correlation", np.empty(0, np.intp), columns, lambda: correlated(matrix, columns))
    return found


def _observed(matrix: ReturnMatrix, symbol: str) -> int:
    column = matrix.columns.get(symbol)
    return 0 if column is None else int(matrix.observed[column])


def _last(matrix: ReturnMatrix) -> date:
    last: date = matrix.dates[-1].astype("datetime64[D]").item() if len(matrix) else date.min
    return last


def _one(numbers: Sequence[RiskNumber], method: Method, confidence: float, horizon: int) -> RiskNumber:
    for number in numbers:
        if (number.method, number.confidence, number.horizon) == (method, confidence, horizon):
            return number
    raise KeyError((method, confidence, horizon))
