"""What a portfolio has in the factors that move its positions."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorExposure:
    """`money` by factor: the sum of position value x beta, signed, in the portfolio's currency. `coverage` is the share of gross value whose
    betas are known (1 when nothing is held), `unknown` the symbols without."""

    money: Mapping[str, float]
    coverage: float
    unknown: tuple[str, ...]


def weighted(values: Mapping[str, float], betas: Mapping[str, Mapping[str, float]]) -> FactorExposure:
    """Exposure of positions (`values` by symbol, short negative) whose `betas` are known. What has none is left out, and lowers the coverage."""
    money: dict[str, float] = {}
    for symbol, value in values.items():
        for factor, beta in betas.get(symbol, {}).items():
            money[factor] = money.get(factor, 0.0) + value * beta
    gross = sum(map(abs, values.values()))
    known = sum(abs(value) for symbol, value in values.items() if symbol in betas)
    return FactorExposure(
        money=money,
        coverage=known / gross if gross else 1.0,
        unknown=tuple(sorted(symbol for symbol in values if symbol not in betas)),
    )
