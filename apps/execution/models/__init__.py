from apps.execution.domain.states import OrderStatus
from apps.execution.models.accounts import BrokerageAccount
from apps.execution.models.events import Fill, OrderDecision, OrderEvent
from apps.execution.models.orders import Order, OrderReplacement
from apps.execution.models.requests import BrokerRequest

__all__ = ["BrokerRequest", "BrokerageAccount", "Fill", "Order", "OrderDecision", "OrderEvent", "OrderReplacement", "OrderStatus"]
