"""Addresses of the compliance endpoints, under /api/v1/ and /api/."""

from django.urls import path

from apps.compliance.api.views import RestrictionViewSet

urlpatterns = [path("restrictions/", RestrictionViewSet.as_view({"get": "list"}), name="api-restrictions")]
