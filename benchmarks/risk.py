"""Full risk of a large portfolio: from returns that were just read, from the matrix that is kept, and beside plain NumPy on the same arrays.

What it costs by positions is drawn in `risk_by_positions.svg`. The desk's own scenarios are held against as many positions by themselves.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.plot import cost_by_size
from benchmarks.report import Row

POSITIONS, SESSIONS, SCENARIOS = 1000, 2500, 10
SIZES = (100, 1000, 10_000)
COLD_MS, KEPT_MS, TIMES_NUMPY = 1000.0, 100.0, 2.0
#: The cost of ten times the positions: linear is 10, and this leaves room for caches that no longer hold the matrix.
LINEAR = 15.0
RUNS = 7
#: Scenarios come by position and with names: that costs more than a product of arrays, and must stay far below a second.
STRESS_MS = 100.0
PLOT = Path(__file__).with_name("risk_by_positions.svg")


def _case(positions: int) -> tuple[Any, dict[str, float], Any]:
    """Returns with one common factor, positions of which half are short, and scenario moves [S, N]."""
    drawn = np.random.default_rng(positions)
    returns = drawn.standard_normal((SESSIONS, 1)) * 0.008 + drawn.standard_normal((SESSIONS, positions)) * 0.015
    values = dict(zip((f"P{at:05d}" for at in range(positions)), drawn.normal(0, 100_000, positions).tolist(), strict=True))
    return returns, values, drawn.normal(-0.1, 0.1, (SCENARIOS, positions))


def _matrix(symbols: Any, returns: Any) -> Any:
    from apps.risk.domain.risk_numbers import matrix_of

    return matrix_of(symbols=tuple(symbols), dates=np.datetime64("2016-01-04") + np.arange(SESSIONS), returns=returns)


def _ours(values: dict[str, float], matrix: Any, moves: Any) -> Any:
    """Five methods at two confidences and two horizons, shortfall, parts, exposures, correlation of the largest; ten scenarios."""
    from apps.risk.domain.portfolio_risk import full_risk

    risk = full_risk(values=values, matrix=matrix)
    return risk, moves @ np.fromiter(values.values(), float, len(values))


def _numpy(weights: Any, returns: Any, moves: Any) -> Any:
    """The least that anybody computes for it: three methods at two confidences, their shortfall, the parts of each position, ten scenarios."""
    pnl = returns @ weights
    mean, deviation = pnl.mean(), pnl.std()
    centred = pnl - mean
    skewness, kurtosis = (centred**3).mean() / deviation**3, (centred**4).mean() / deviation**4 - 3
    covariance = returns.T @ centred / len(pnl)
    means, deviations = returns.mean(axis=0), returns.std(axis=0)
    found: list[Any] = [moves @ weights]
    for z, at in ((1.6448536269514722, 0.05), (2.3263478740408408, 0.01)):
        threshold = np.quantile(pnl, at)
        tail = pnl <= threshold
        h = -z + (z**2 - 1) * skewness / 6 + (-(z**3) + 3 * z) * kurtosis / 24 - (-2 * z**3 + 5 * z) * skewness**2 / 36
        found += [-threshold, -pnl[tail].mean(), z * deviation - mean, -(mean + h * deviation), -weights * returns[tail].mean(axis=0)]
        found += [weights * (z * covariance / deviation - means), z * np.abs(weights) * deviations]
    return found


def _median(work: Callable[[], Any]) -> float:
    taken = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1000)
    return float(np.median(taken))


def rows() -> list[Row]:
    """Cold has the fingerprint and all that is derived from the matrix in it; kept is what a monitor pays each second."""
    returns, values, moves = _case(POSITIONS)
    _ours(*_small())  # libraries are loaded once in a process
    cold = _median(lambda: _ours(values, _matrix(values, returns), moves))
    kept_by_size, plain_by_size = {}, {}
    for positions in SIZES:
        its, held, scenarios = _case(positions)
        matrix = _matrix(held, its)
        weights = np.fromiter(held.values(), float, positions)
        _ours(held, matrix, scenarios)
        kept_by_size[positions] = _median(lambda held=held, matrix=matrix, scenarios=scenarios: _ours(held, matrix, scenarios))
        plain_by_size[positions] = _median(lambda weights=weights, its=its, scenarios=scenarios: _numpy(weights, its, scenarios))
    kept, plain = kept_by_size[POSITIONS], plain_by_size[POSITIONS]
    growth = kept_by_size[10_000] / kept_by_size[1000]
    title = f"Full risk, {SESSIONS:,} sessions, {SCENARIOS} scenarios, kept matrix"
    drawn = {"ours": kept_by_size, "plain NumPy": plain_by_size}
    PLOT.write_text(cost_by_size(title=title, x="positions (dashed: cost grows with positions)", y="milliseconds", series=drawn))
    stress, product = _stress(values, moves)
    return [
        Row(
            work=f"Full risk of {POSITIONS:,} positions x {SESSIONS:,} days, {SCENARIOS} scenarios: returns just read",
            ours=f"{cold:.0f} ms", peer="-", ratio="-", required=f"< {COLD_MS:.0f} ms", met=cold < COLD_MS,
        ),
        Row(
            work="The same from the matrix that is kept",
            ours=f"{kept:.1f} ms", peer="-", ratio="-", required=f"< {KEPT_MS:.0f} ms", met=kept < KEPT_MS,
        ),
        Row(
            work="The same beside three methods, ES, parts and scenarios in plain NumPy",
            ours=f"{kept:.1f} ms", peer=f"{plain:.1f} ms", ratio=f"{kept / plain:.2f} x",
            required=f"<= {TIMES_NUMPY:.0f} x", met=kept <= TIMES_NUMPY * plain,
        ),
        Row(
            work="Ten times the positions: 100, 1,000, 10,000",
            ours=", ".join(f"{kept_by_size[size]:.1f}" for size in SIZES) + " ms",
            peer=", ".join(f"{plain_by_size[size]:.1f}" for size in SIZES) + " ms",
            ratio=f"{growth:.1f} x", required=f"<= {LINEAR:.0f} x from 1,000", met=growth <= LINEAR,
        ),
        Row(
            work=f"{SCENARIOS} scenarios on {POSITIONS:,} positions, with each position's part, coverage and proxies",
            ours=f"{stress:.2f} ms", peer=f"{product:.3f} ms one product in NumPy", ratio=f"{stress / product:.0f} x",
            required=f"< {STRESS_MS:.0f} ms", met=stress < STRESS_MS,
        ),
    ]  # fmt: skip


def _stress(values: dict[str, float], moves: Any) -> tuple[float, float]:
    """Milliseconds of the scenarios as the risk page tells them, a fifth of the positions by a proxy, and of the bare product."""
    from apps.risk.domain.scenarios import Scenario, ScenarioKind, stressed

    scenarios = []
    for at, row in enumerate(moves):
        told = dict(zip(values, row.tolist(), strict=True))
        proxied = {symbol: told.pop(symbol) for symbol in list(told)[::5]}
        scenarios.append(Scenario(name=f"s{at}", title=f"Scenario {at}", kind=ScenarioKind.HISTORIC, moves=told, proxied=proxied))
    weights = np.fromiter(values.values(), float, len(values))
    return _median(lambda: stressed(values, scenarios, equity=1e9)), _median(lambda: moves @ weights)


def _small() -> tuple[dict[str, float], Any, Any]:
    returns, values, moves = _case(SIZES[0])
    return values, _matrix(values, returns), moves
