from apps.execution.domain.states import OrderStatus
from apps.execution.models.accounts import BrokerageAccount
from apps.execution.models.algos import AlgoDecision, AlgoEvent, AlgoOrder, OrderProtection, RoutingDecision, Venue
from apps.execution.models.engines import EngineCycle, EngineDecision, EngineEvent, EngineState, EngineStep, LiveApproval, TradingEngine
from apps.execution.models.events import Fill, OrderDecision, OrderEvent
from apps.execution.models.groups import OrderGroup
from apps.execution.models.orders import Order, OrderReplacement
from apps.execution.models.previews import OrderApproval, OrderPreview
from apps.execution.models.reconciliation import (
    BreakResolution,
    ReconciliationBreak,
    ReconciliationRun,
    ReconciliationState,
    ReconciliationTrigger,
)
from apps.execution.models.requests import BrokerRequest

__all__ = [
    "AlgoDecision",
    "AlgoEvent",
    "AlgoOrder",
    "BreakResolution",
    "BrokerRequest",
    "BrokerageAccount",
    "EngineCycle",
    "EngineDecision",
    "EngineEvent",
    "EngineState",
    "EngineStep",
    "Fill",
    "LiveApproval",
    "Order",
    "OrderApproval",
    "OrderDecision",
    "OrderEvent",
    "OrderGroup",
    "OrderPreview",
    "OrderProtection",
    "OrderReplacement",
    "OrderStatus",
    "ReconciliationBreak",
    "ReconciliationRun",
    "ReconciliationState",
    "ReconciliationTrigger",
    "RoutingDecision",
    "TradingEngine",
    "Venue",
]
