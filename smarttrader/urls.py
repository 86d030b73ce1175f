"""All addresses of the desk: pages at the root, REST under /api/v1/ (and, as the first design had it, /api/), the admin."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

APPS = ("desk", "analytics", "execution", "strategies", "risk", "compliance", "portfolios", "marketdata", "alerts", "core")


def _existing(pattern: str) -> list[str]:
    return [name for app in APPS if find_spec(f"apps.{app}.{pattern.split('.')[0]}") and find_spec(name := f"apps.{app}.{pattern}")]


endpoints = [path("", include(module)) for module in _existing("api.urls")]

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/schema/", SpectacularAPIView.as_view(api_version="v1"), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("api/v1/", include(endpoints)),
    path("api/", include(endpoints)),
    *[path("", include(module)) for module in _existing("health_urls")],
    *[path("", include(module)) for module in _existing("urls")],
]
