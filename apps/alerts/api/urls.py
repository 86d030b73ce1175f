"""Addresses of alerts below /api/v1/."""

from django.urls import path

from apps.alerts.api.routes import DeliveryList, DeliveryRetry, RouteDetail, RouteList, RouteSecret, RouteTest
from apps.alerts.api.views import AlertAcknowledge, AlertList

urlpatterns = [
    path("alerts/", AlertList.as_view(), name="api-alerts"),
    path("alerts/<int:alert_id>/acknowledge/", AlertAcknowledge.as_view(), name="api-alert-acknowledge"),
    path("alerts/routes/", RouteList.as_view(), name="api-alert-routes"),
    path("alerts/routes/<int:route_id>/", RouteDetail.as_view(), name="api-alert-route"),
    path("alerts/routes/<int:route_id>/secret/", RouteSecret.as_view(), name="api-alert-route-secret"),
    path("alerts/routes/<int:route_id>/test/", RouteTest.as_view(), name="api-alert-route-test"),
    path("alerts/deliveries/", DeliveryList.as_view(), name="api-alert-deliveries"),
    path("alerts/deliveries/<int:delivery_id>/retry/", DeliveryRetry.as_view(), name="api-alert-delivery-retry"),
]
