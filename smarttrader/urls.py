"""All addresses of the desk: pages at the root, REST under /api/v1/ (and, as the first design had it, /api/), the admin."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

#: Addresses are looked for in this order: first those of orders, which are not to wait for a search.
WITH_API = ("execution", "core", "alerts", "marketdata", "portfolios", "risk", "compliance", "strategies", "analytics")
WITH_PAGES = ("desk", "alerts", "marketdata", "portfolios", "risk", "strategies", "execution")

endpoints = [path("", include(f"apps.{app}.api.urls")) for app in WITH_API]

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/schema/", SpectacularAPIView.as_view(api_version="v1"), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("api/v1/", include(endpoints)),
    path("api/", include(endpoints)),
    path("", include("apps.desk.health_urls")),
    *[path("", include(f"apps.{app}.urls")) for app in WITH_PAGES],
]
