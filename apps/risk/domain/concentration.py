"""How much of a portfolio stands on few positions."""

from collections.abc import Mapping
from dataclasses import dataclass

TOP = (1, 5, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concentration:
    """Shares of gross value. `hhi` (Herfindahl-Hirschman) is the sum of their squares, between 1/N and 1; `effective` = 1 / hhi positions of
    one size would be as concentrated. `largest` are the biggest with their shares, `top` the share of the n biggest by n. Nothing held:
    hhi and effective are 0.
    """

    hhi: float
    effective: float
    largest: tuple[tuple[str, float], ...]
    top: Mapping[int, float]


def concentration(values: Mapping[str, float], show: int = 10) -> Concentration:
    """Of positions in money by symbol (short negative)."""
    gross = sum(map(abs, values.values()))
    shares = sorted(((symbol, abs(value) / gross) for symbol, value in values.items() if value), key=lambda item: (-item[1], item[0]))
    hhi = sum(share**2 for _, share in shares)
    return Concentration(
        hhi=hhi,
        effective=1 / hhi if hhi else 0.0,
        largest=tuple(shares[:show]),
        top={count: sum(share for _, share in shares[:count]) for count in TOP},
    )
