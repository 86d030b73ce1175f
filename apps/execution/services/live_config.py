"""What a live engine or a dry run is: a strategy, its symbols, the portfolio, and how it sizes, stops and limits itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.core.errors import InvalidInput
from apps.execution.domain.engine_config import LiveEngineConfig, RiskConfig, engine_config_document, timeframe_check
from apps.execution.domain.protection import StopLossConfig
from apps.marketdata.domain.timeframes import Timeframe
from apps.strategies.domain.sizers import PercentSizer, PositionSizer


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveConfig:
    """What runs where. Without a `sizer`, `size_fraction` of the portfolio's value goes into each new position."""

    strategy: str
    symbols: tuple[str, ...]
    portfolio_id: int
    parameters: Mapping[str, str] = field(default_factory=dict)
    size_fraction: float = 0.1
    max_volume_pct: float = 0.1
    sizer: PositionSizer | None = None
    stop_loss: StopLossConfig = field(default_factory=StopLossConfig)
    risk: RiskConfig = field(default_factory=RiskConfig)
    enable_trading: bool = True
    timeframe: Timeframe = Timeframe.DAY

    def __post_init__(self) -> None:
        if not self.symbols or len(set(self.symbols)) != len(self.symbols):
            raise InvalidInput("symbols are named once each, and at least one", field="symbols")
        if not 0 < self.size_fraction <= 1:
            raise InvalidInput("the size is above 0 and at most 100 percent", field="size_percent")
        timeframe_check(self.timeframe)

    @property
    def sized_by(self) -> PositionSizer:
        """The sizer that holds."""
        return self.sizer or PercentSizer(self.size_fraction)

    def document(self) -> dict[str, Any]:
        """Stops, limits and sizer as JSON, with the strategy as it was asked for: a name or a dotted path."""
        settings = LiveEngineConfig(
            stop_loss=self.stop_loss,
            risk=self.risk,
            position_sizer=self.sized_by,
            enable_trading=self.enable_trading,
            timeframe=self.timeframe,
        )
        return {"strategy": self.strategy, **engine_config_document(settings)}
