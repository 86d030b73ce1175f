"""Addresses of core's endpoints."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from apps.core.api.views import JobViewSet, MeasuresView, ProblemCodeView, RefreshView, TokenView

router = SimpleRouter()
router.register("jobs", JobViewSet, basename="api-jobs")

urlpatterns = [
    path("token/", TokenView.as_view(), name="api-token"),
    path("token/refresh/", RefreshView.as_view(), name="api-token-refresh"),
    path("measures/", MeasuresView.as_view(), name="api-measures"),
    path("problems/<str:code>/", ProblemCodeView.as_view(), name="api-problem"),
    path("", include(router.urls)),
]
