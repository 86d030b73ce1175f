"""Addresses of the alert centre."""

from django.urls import path

from apps.alerts import pages

urlpatterns = [
    path("alerts", pages.inbox, name="alerts"),
    path("alerts/delivery", pages.delivery, name="alert-delivery"),
    path("alerts/deliveries/<int:delivery_id>/retry", pages.retry, name="alert-delivery-retry"),
    path("alerts/<int:alert_id>/acknowledge", pages.acknowledge, name="alert-acknowledge"),
]
