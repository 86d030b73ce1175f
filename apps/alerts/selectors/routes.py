"""A person's routes and what went out by them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db.models import Prefetch, QuerySet

from apps.alerts.models import AlertDelivery, AlertDeliveryAttempt, AlertDeliveryItem, AlertRoute
from apps.core.errors import NotFound

if TYPE_CHECKING:
    from apps.core.models import User


def routes_of(user: "User") -> QuerySet[AlertRoute]:
    """The user's routes in use, in the order in which they were made."""
    return AlertRoute.objects.filter(user=user, ended_at__isnull=True).order_by("id")


def route_get(*, user: "User", route_id: int) -> AlertRoute:
    """One route in use. Raises NotFound, also for that of somebody else."""
    route = routes_of(user).filter(pk=route_id).first()
    if route is None:
        raise NotFound(f"no route {route_id}")
    return route


def deliveries_of(user: "User") -> QuerySet[AlertDelivery]:
    """What went out, or will, by the user's routes, removed ones included, newest first; with route, alerts and attempts."""
    rows = AlertDelivery.objects.filter(route__user=user).select_related("route").order_by("-id")
    tries = AlertDeliveryAttempt.objects.order_by("number", "id")
    items = AlertDeliveryItem.objects.select_related("alert").order_by("id")
    return rows.prefetch_related(Prefetch("tries", tries), Prefetch("items", items))


def delivery_items(user: "User", alert_ids: Iterable[int]) -> dict[int, list[AlertDeliveryItem]]:
    """By alert, in what messages it went out to this user."""
    rows = AlertDeliveryItem.objects.filter(alert_id__in=list(alert_ids), route__user=user).select_related("delivery__route").order_by("id")
    found: dict[int, list[AlertDeliveryItem]] = {}
    for item in rows:
        found.setdefault(item.alert_id, []).append(item)
    return found
