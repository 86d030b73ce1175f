"""How long it takes to leave a portfolio without being the market."""

from collections.abc import Mapping
from dataclasses import dataclass

#: Share of a session's volume that a desk takes part in without moving the price much [desk practice].
PARTICIPATION = 0.2
WITHIN = (1, 5, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidity:
    """Sessions until each position is sold at `participation` of the average volume. `within` is the share of gross value that is sold
    after so many sessions, positions of unknown volume counted as never; `longest` is the slowest position (None: nothing is known).
    """

    participation: float
    days: Mapping[str, float]
    longest: tuple[str, float] | None
    within: Mapping[int, float]
    unknown: tuple[str, ...]


def liquidity(values: Mapping[str, float], traded: Mapping[str, float], participation: float = PARTICIPATION) -> Liquidity:
    """Of positions in money by symbol; `traded` is the average money traded in a session, left out or 0 where it is unknown."""
    held = {symbol: abs(value) for symbol, value in values.items() if value}
    days = {symbol: value / (participation * traded[symbol]) for symbol, value in held.items() if traded.get(symbol, 0.0) > 0}
    gross = sum(held.values())
    sold = {at: sum(held[symbol] * min(1.0, at / needed) for symbol, needed in days.items()) for at in WITHIN}
    return Liquidity(
        participation=participation,
        days=days,
        longest=max(days.items(), key=lambda item: (item[1], item[0]), default=None),
        within={at: value / gross if gross else 1.0 for at, value in sold.items()},
        unknown=tuple(symbol for symbol in held if symbol not in days),
    )
