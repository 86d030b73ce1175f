"""Addresses of the health views."""

from django.urls import path

from apps.desk import health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
