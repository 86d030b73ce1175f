"""Reads of the alerts app."""

from apps.alerts.selectors.alerts import ReceivedAlert, open_alert_count, open_alerts, user_channel

__all__ = ["ReceivedAlert", "open_alert_count", "open_alerts", "user_channel"]
