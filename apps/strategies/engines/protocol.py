"""What every engine takes and gives."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import BarPanel
from apps.strategies.domain.matching import FillAt
from apps.strategies.domain.round_trips import EngineFill, RoundTrip
from apps.strategies.domain.strategy import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """`commission` in money per order (with its first fill), `slippage_bps` against the trader, `max_volume_pct` a fraction of a bar's volume.

    `size_fraction` is the share of equity that one new position gets; 1 / (number of symbols) when None.
    """

    cash: float = 100_000.0
    commission: float = 0.0
    slippage_bps: float = 0.0
    fill_at: FillAt = FillAt.CLOSE
    max_volume_pct: float = 0.1
    size_fraction: float | None = None

    def __post_init__(self) -> None:
        checks = {
            "cash": self.cash > 0,
            "commission": self.commission >= 0,
            "slippage_bps": 0 <= self.slippage_bps < 10_000,
            "max_volume_pct": 0 < self.max_volume_pct <= 1,
            "size_fraction": self.size_fraction is None or 0 < self.size_fraction <= 1,
        }
        for name, good in checks.items():
            if not good:
                raise InvalidInput(f"{name} was {getattr(self, name)}, which is out of range", field=name)

    def fraction(self, symbols: int) -> float:
        return 1.0 / symbols if self.size_fraction is None else self.size_fraction


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EngineResult:
    """`equity` float64 [T]: cash and positions at each bar's close, in money. The last value is after everything was sold."""

    equity: NDArray[np.float64]
    fills: tuple[EngineFill, ...]
    trades: tuple[RoundTrip, ...]


class Engine(Protocol):
    """Runs a strategy over a panel. Deterministic: the same input gives the same result to the last bit."""

    name: str

    def run(self, *, strategy: Strategy, panel: BarPanel, costs: Costs) -> EngineResult: ...
