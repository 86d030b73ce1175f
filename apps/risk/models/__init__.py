from apps.risk.domain.limits import LimitKind
from apps.risk.models.changes import ChangeState, LimitChange
from apps.risk.models.events import LimitEvent, LimitUtilisation
from apps.risk.models.limits import DeskLimit, RiskLimit
from apps.risk.models.measured import RiskSnapshot, VarForecast, VarZoneChange
from apps.risk.models.monitor import MonitorState
from apps.risk.models.reports import RiskReport
from apps.risk.models.scenarios import StressExposure, StressScenario, StressShock
from apps.risk.models.state import ReleaseRequest, ReleaseState, TradingStateChange

__all__ = [
    "ChangeState",
    "DeskLimit",
    "LimitChange",
    "LimitEvent",
    "LimitKind",
    "LimitUtilisation",
    "MonitorState",
    "ReleaseRequest",
    "ReleaseState",
    "RiskLimit",
    "RiskReport",
    "RiskSnapshot",
    "StressExposure",
    "StressScenario",
    "StressShock",
    "TradingStateChange",
    "VarForecast",
    "VarZoneChange",
]
