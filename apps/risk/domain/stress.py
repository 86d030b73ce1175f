"""What a scenario would cost, and which scenario would cost so much (domain.md B5). Profit and loss in money, a loss is negative."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.core.measures import measure

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class StressResult:
    """Profit and loss of a scenario, by position; `excluded` are positions that nothing is known about, which count as nothing and lower `coverage`.

    `coverage` is the covered share of gross value (1 when nothing is held), `proxied` the symbols judged by a proxy.
    """

    pnl: float
    by_symbol: Mapping[str, float]
    excluded: tuple[str, ...]
    proxied: tuple[str, ...]
    coverage: float


def replayed(values: Mapping[str, float], returns: Mapping[str, float], proxies: Mapping[str, float]) -> StressResult:
    """A historic window on today's positions: `values` in money by symbol (short negative), `returns` each symbol's own over the window.

    A symbol without a return of its own is judged by its proxy's (`proxies`, already times beta); one without either is excluded,
    never taken for zero.
    """
    by_symbol, excluded, proxied = {}, [], []
    for symbol, value in values.items():
        if symbol in returns:
            by_symbol[symbol] = value * returns[symbol]
        elif symbol in proxies:
            by_symbol[symbol] = value * proxies[symbol]
            proxied.append(symbol)
        else:
            excluded.append(symbol)
    gross = sum(map(abs, values.values()))
    covered = gross - sum(abs(values[symbol]) for symbol in excluded)
    return StressResult(
        pnl=sum(by_symbol.values()),
        by_symbol=by_symbol,
        excluded=tuple(excluded),
        proxied=tuple(proxied),
        coverage=covered / gross if gross else 1.0,
    )


@measure(
    "risk.stress.hypothetical",
    units="money, a loss is negative",
    convention="sum over positions and factors of value x exposure x shock, plus half gamma x shock squared where given",
    source="domain.md B5",
)
def hypothetical(
    values: Sequence[float],
    exposures: Sequence[Mapping[str, float]],
    shocks: Mapping[str, float],
    gammas: Sequence[Mapping[str, float]] | None = None,
) -> dict[str, Any]:
    """Factor shocks: `values` [N] in money, `exposures` [N] factor -> beta, `shocks` factor -> fraction. {pnl, by_position[]}.

    A position without exposure to a shocked factor does not move with it. Raises InvalidInput for lists of different lengths.
    """
    if len(exposures) != len(values) or (gammas is not None and len(gammas) != len(values)):
        raise InvalidInput(f"{len(values)} positions need as many exposures", field="exposures")
    curvature: Sequence[Mapping[str, float]] = gammas or [{}] * len(values)
    parts = [
        value * sum(beta.get(factor, 0.0) * shock + gamma.get(factor, 0.0) * shock**2 / 2 for factor, shock in shocks.items())
        for value, beta, gamma in zip(values, exposures, curvature, strict=True)
    ]
    return {"pnl": float(sum(parts)), "by_position": [float(part) for part in parts]}


@measure(
    "risk.stress.reverse",
    units="shock in fractions per factor, distance in standard deviations of the portfolio",
    convention="the most likely shock that loses `loss`: -loss S w / (w' S w); distance = loss / sigma_p",
    source="domain.md B5; Breuer et al. (2009)",
)
def reverse(exposures: Sequence[float], covariance: Sequence[Any], loss: float) -> dict[str, Any]:
    """Reverse stress: which joint move of the factors costs `loss` (> 0) and how far away it is. {shock[], distance}.

    Raises InvalidInput for sizes that do not fit, a loss that is not positive, and a portfolio without risk.
    """
    held = np.asarray(exposures, dtype=np.float64)
    matrix = np.asarray(covariance, dtype=np.float64)
    if matrix.shape != (held.size, held.size):
        raise InvalidInput(f"{held.size} exposures need a covariance of that size, it is {matrix.shape}", field="covariance")
    if not loss > 0:
        raise InvalidInput(f"{loss} is no loss: it must be above zero", field="loss")
    covaried: Numbers = matrix @ held
    variance = float(held @ covaried)
    if not variance > 0:
        raise InvalidInput("a portfolio without risk cannot lose that much", field="exposures")
    return {"shock": -loss * covaried / variance, "distance": loss / variance**0.5}
