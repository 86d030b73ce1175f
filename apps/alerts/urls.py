"""Addresses of the alert inbox."""

from django.urls import path

from apps.alerts import pages

urlpatterns = [
    path("alerts", pages.inbox, name="alerts"),
    path("alerts/<int:alert_id>/acknowledge", pages.acknowledge, name="alert-acknowledge"),
]
