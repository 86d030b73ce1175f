"""Writes of the alerts app."""

from apps.alerts.services.alerts import alert_acknowledge, alert_raise

__all__ = ["alert_acknowledge", "alert_raise"]
