"""What an order does to the risk of a large portfolio, as the gate asks it: beside bare NumPy of the same arithmetic on the same arrays."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from benchmarks.report import Row

POSITIONS, SESSIONS, SCENARIOS = 1000, 2500, 10
REPEATS = 60
LIMIT_MS, MOST_RATIO = 5.0, 2.0
SHARE = 0.05


def _matrix() -> Any:
    from apps.risk.domain.risk_numbers import matrix_of

    rng = np.random.default_rng(11)
    returns = 0.01 * (rng.standard_t(4, (SESSIONS, POSITIONS)) + rng.standard_t(4, (SESSIONS, 1)))
    dates = np.datetime64("2016-01-01") + np.arange(SESSIONS)
    return matrix_of(symbols=tuple(f"RISK{n:04d}" for n in range(POSITIONS)), dates=dates, returns=returns)


def _scenarios(symbols: tuple[str, ...]) -> list[Any]:
    from apps.risk.domain.scenarios import Scenario, ScenarioKind

    moves = np.random.default_rng(12).normal(-0.2, 0.1, (SCENARIOS, len(symbols)))
    return [
        Scenario(name=f"s{n}", title=f"Scenario {n}", kind=ScenarioKind.HISTORIC, moves=dict(zip(symbols, row.tolist(), strict=True)))
        for n, row in enumerate(moves)
    ]


def _bare(pnl: Any) -> tuple[float, ...]:
    """Historical and normal value at risk and shortfall of one vector, with nothing around them."""
    ordered = np.sort(pnl)
    threshold = np.quantile(pnl, SHARE)
    mean, deviation = pnl.mean(), pnl.std()
    below = ordered[ordered <= threshold]
    return -threshold, -below.mean(), 1.6448536269514722 * deviation - mean, 2.0627128075074257 * deviation - mean


def _times(work: Callable[[int], object]) -> float:
    """Median milliseconds of one call."""
    taken = []
    for n in range(REPEATS):
        started = time.perf_counter()
        work(n)
        taken.append((time.perf_counter() - started) * 1000)
    return median(taken)


def rows() -> list[Row]:
    """On the vector that is kept, as orders of one second find it, and with every price another one, which makes the vector anew."""
    from apps.risk.domain.pretrade_risk import RiskQuestion, held_vector, risk_book, risk_impact

    matrix = _matrix()
    book = risk_book(matrix, _scenarios(matrix.symbols))
    held = np.random.default_rng(13).normal(0, 1e5, POSITIONS)
    kept = held_vector(book, held)
    columns, moves = book.returns, book.moves
    symbols = matrix.symbols

    def ours(n: int) -> object:
        vector = held_vector(book, held.copy(), kept)
        return risk_impact(vector, RiskQuestion(order={symbols[n]: 5e4}, equity=1e7))

    def bare(n: int) -> object:
        before, after = kept.pnl, kept.pnl + 5e4 * columns[n]
        stressed = kept.stressed, kept.stressed + 5e4 * moves[:, n]
        return _bare(before), _bare(after), [one.min() for one in stressed]

    def ours_moved(n: int) -> object:
        vector = held_vector(book, held * (1 + n / 1e6), None)
        return risk_impact(vector, RiskQuestion(order={symbols[n]: 5e4}, equity=1e7))

    def bare_moved(n: int) -> object:
        weights = held * (1 + n / 1e6)
        before, stressed = weights @ columns, moves @ weights
        return _bare(before), _bare(before + 5e4 * columns[n]), [one.min() for one in (stressed, stressed + 5e4 * moves[:, n])]

    size = f"{POSITIONS:,} positions x {SESSIONS:,} sessions, {SCENARIOS} scenarios"
    return [
        _row(f"An order's value at risk, shortfall and stress, {size}", ours, bare, limit=LIMIT_MS),
        _row(f"The same with every price another one, once a second at most, {size}", ours_moved, bare_moved),
    ]


def _row(work: str, ours: Callable[[int], object], bare: Callable[[int], object], *, limit: float | None = None) -> Row:
    """Held to `limit` [ms], else to twice the bare arithmetic."""
    for call in (ours, bare):
        call(0)
    mine, theirs = _times(ours), _times(bare)
    return Row(
        work=work,
        ours=f"{mine:.2f} ms",
        peer=f"bare NumPy {theirs:.2f} ms",
        ratio=f"{mine / theirs:.2f} x",
        required=f"<= {MOST_RATIO:.0f} x" if limit is None else f"< {limit:.0f} ms",
        met=mine <= MOST_RATIO * theirs if limit is None else mine < limit,
    )
