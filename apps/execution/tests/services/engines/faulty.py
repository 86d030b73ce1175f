"""A desk's own strategy, given by its dotted path, that fails in a way which the desk does not foresee."""

from dataclasses import dataclass
from typing import Any, ClassVar

from apps.strategies.domain.strategy import MarketSnapshot, SignalAction, Strategy, StrategySignal

PATH = "apps.execution.tests.services.engines.faulty.Faulty"


class Faulty(Strategy):
    """Buys at each bar; raises ValueError at a close above `fails_above`, and cannot even be made where `broken` is set."""

    name = "faulty"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Parameters:
        fails_above: float = 100.0

    broken = False
    #: What it says instead of what it is asked for.
    instead: ClassVar[list[Any]] = []

    def __init__(self, parameters: Parameters | None = None) -> None:
        super().__init__(parameters)
        if self.broken:
            raise ValueError("the model's file is damaged")

    def generate_signals(self, snapshot: MarketSnapshot) -> list[StrategySignal]:
        if self.instead:
            return self.instead[0]
        if max(snapshot.prices.values()) > self.parameters.fails_above:
            raise ValueError("a price that the model does not know")
        return [
            StrategySignal(action=SignalAction.BUY, symbol=symbol, price=price, timestamp=snapshot.timestamp)
            for symbol, price in snapshot.prices.items()
        ]
