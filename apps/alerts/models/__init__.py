from apps.alerts.models.alerts import Alert, AlertReceipt, Severity

__all__ = ["Alert", "AlertReceipt", "Severity"]
