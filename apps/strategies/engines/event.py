"""The event engine: a strategy's signals, then the compiled loop."""

import numpy as np
from numpy.typing import NDArray

from apps.core.trading import Side
from apps.marketdata.domain.bars import BarPanel
from apps.strategies.domain.round_trips import EngineFill, round_trips
from apps.strategies.domain.strategy import Strategy, bar_time
from apps.strategies.engines import simulation
from apps.strategies.engines.protocol import Costs, EngineResult


class EventEngine:
    """Signals may come from arrays or from one `generate_signals` per bar; what follows is the same."""

    name = "event"

    def run(self, *, strategy: Strategy, panel: BarPanel, costs: Costs) -> EngineResult:
        """Run the strategy. The panel needs at least one bar and one symbol."""
        equity, rows = simulation.simulate(
            simulation.bars_of(panel),
            np.ascontiguousarray(strategy.signals(panel), np.int8),
            float(costs.cash),
            costs.fraction(len(panel.symbols)),
            (float(costs.commission), float(costs.slippage_bps), int(costs.fill_at), float(costs.max_volume_pct)),
        )
        fills = fills_of(rows, panel)
        return EngineResult(equity=equity, fills=fills, trades=round_trips(fills))


def fills_of(rows: NDArray[np.float64], panel: BarPanel) -> tuple[EngineFill, ...]:
    """The compiled loop's rows as fills."""
    return tuple(
        EngineFill(
            bar=int(row[simulation.BAR]),
            time=bar_time(panel, int(row[simulation.BAR])),
            symbol=panel.symbols[int(row[simulation.COLUMN])],
            side=Side.BUY if row[simulation.SIGN] > 0 else Side.SELL,
            quantity=float(row[simulation.QUANTITY]),
            price=float(row[simulation.PRICE]),
            fee=float(row[simulation.FEE]),
            closing=bool(row[simulation.CLOSING]),
        )
        for row in rows
    )
