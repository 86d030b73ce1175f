"""Addresses of alerts below /api/v1/."""

from django.urls import path

from apps.alerts.api.views import AlertAcknowledge, AlertList

urlpatterns = [
    path("alerts/", AlertList.as_view(), name="api-alerts"),
    path("alerts/<int:alert_id>/acknowledge/", AlertAcknowledge.as_view(), name="api-alert-acknowledge"),
]
