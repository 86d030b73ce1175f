from apps.risk.domain.limits import LimitKind
from apps.risk.models.events import LimitEvent
from apps.risk.models.limits import RiskLimit
from apps.risk.models.state import ReleaseRequest, ReleaseState, TradingStateChange

__all__ = ["LimitEvent", "LimitKind", "ReleaseRequest", "ReleaseState", "RiskLimit", "TradingStateChange"]
