from apps.alerts.models.alerts import Alert, AlertReceipt, AlertRepeat, Severity
from apps.alerts.models.deliveries import UNDER_WAY, AlertDelivery, AlertDeliveryAttempt, AlertDeliveryItem, DeliveryState
from apps.alerts.models.escalation import AlertEscalation, EscalationPolicy, EscalationStep
from apps.alerts.models.routes import AlertRoute, Channel

__all__ = [
    "UNDER_WAY",
    "Alert",
    "AlertDelivery",
    "AlertDeliveryAttempt",
    "AlertDeliveryItem",
    "AlertEscalation",
    "AlertReceipt",
    "AlertRepeat",
    "AlertRoute",
    "Channel",
    "DeliveryState",
    "EscalationPolicy",
    "EscalationStep",
    "Severity",
]
