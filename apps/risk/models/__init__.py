from apps.risk.models.limits import LimitKind, RiskLimit
from apps.risk.models.state import TradingStateChange

__all__ = ["LimitKind", "RiskLimit", "TradingStateChange"]
