from apps.execution.models.accounts import BrokerageAccount
from apps.execution.models.events import Fill, OrderDecision, OrderEvent
from apps.execution.models.orders import Order, OrderStatus

__all__ = ["BrokerageAccount", "Fill", "Order", "OrderDecision", "OrderEvent", "OrderStatus"]
