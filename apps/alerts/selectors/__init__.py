"""Reads of the alerts app."""

from apps.alerts.selectors.alerts import ReceivedAlert, alerts_about, open_alert_count, open_alerts, receipts, user_channel

__all__ = ["ReceivedAlert", "alerts_about", "open_alert_count", "open_alerts", "receipts", "user_channel"]
