"""A person's routes: made, changed, ended by the person alone."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from apps.alerts.domain.wishes import check_wishes, kinds_of
from apps.alerts.models import AlertDelivery, AlertRoute, Channel
from apps.alerts.selectors.routes import routes_of
from apps.alerts.services.alerts import alert_raise
from apps.alerts.services.outbox import delivery_queue_one
from apps.alerts.services.webhooks import webhook_target
from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.core.models import User

#: So many routes a person may have in use.
MOST_ROUTES = 10
WISHES = ("minimum", "kinds", "portfolios", "quiet_from", "quiet_to", "time_zone", "digest_minutes")


def route_create(*, user: User, channel: str, target: str, at: datetime, **wishes: Any) -> AlertRoute:
    """A new way out for the user's alerts; `wishes` are the fields of `Wishes`. Raises InvalidInput, Conflict (too many routes)."""
    if channel not in Channel.values:
        raise InvalidInput(f"{channel!r} is no channel ({', '.join(Channel.values)})", field="channel")
    route = AlertRoute(user=user, channel=channel, created_at=at)
    _assign(route, target=target, **wishes)
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)  # two requests at once count one after the other
        if routes_of(user).count() >= MOST_ROUTES:
            raise Conflict(f"at most {MOST_ROUTES} routes are in use at once")
        route.save()
    return route


def route_change(*, user: User, route_id: int, **changes: Any) -> AlertRoute:
    """Change the target or the wishes of a route; what is left out stays. Raises NotFound, InvalidInput."""
    with transaction.atomic():
        route = _locked(user, route_id)
        _assign(route, **{"target": route.target, **changes})
        route.save()
    return route


def route_end(*, user: User, route_id: int, at: datetime) -> AlertRoute:
    """Remove a route: nothing goes out by it any more, what waits included. Raises NotFound."""
    with transaction.atomic():
        route = _locked(user, route_id)
        route.ended_at = at
        route.save()
    return route


def route_secret_renew(*, user: User, route_id: int) -> AlertRoute:
    """Sign by another secret from now on. Raises NotFound, Conflict (an e-mail has none)."""
    with transaction.atomic():
        route = _locked(user, route_id)
        if route.channel != Channel.WEBHOOK:
            raise Conflict("only webhooks are signed")
        route.secret_version += 1
        route.save()
    return route


def route_test(*, user: User, route_id: int, at: datetime) -> AlertDelivery:
    """Send a trial alert by this route alone, at once, whatever its wishes. Raises NotFound."""
    with transaction.atomic():
        route = _locked(user, route_id)
        alert = alert_raise(
            code="ALERT_TEST",
            severity="info",
            title=f"Trial of alerts by {route.get_channel_display().lower()}",
            detail=f"Asked for by {user.get_username()}.",
            subject=f"route:{route.pk}",
            recipients=[user.pk],
            occurred_at=at,
            recorded_at=at,
            deliver=False,
        )
        return delivery_queue_one(alert=alert, route=route, at=at)


def _locked(user: User, route_id: int) -> AlertRoute:
    route = AlertRoute.objects.select_for_update().filter(pk=route_id, user=user, ended_at__isnull=True).first()
    if route is None:
        raise NotFound(f"no route {route_id}")
    return route


def _assign(route: AlertRoute, *, target: str, **wishes: Any) -> None:
    """Set what is given, checked: nothing is saved that a delivery could not use."""
    unknown = sorted(set(wishes) - set(WISHES))
    if unknown:
        raise InvalidInput(f"{unknown[0]!r} is nothing that a route has", field=unknown[0])
    if "kinds" in wishes:
        wishes["kinds"] = kinds_of(wishes["kinds"])
    if "portfolios" in wishes:
        wishes["portfolios"] = tuple(dict.fromkeys(wishes["portfolios"]))
    wanted = replace(route.wishes, **wishes)
    check_wishes(wanted)
    route.target = _checked_target(route.channel, target.strip())
    for name in WISHES:
        value = getattr(wanted, name)
        setattr(route, name, list(value) if isinstance(value, tuple) else value)


def _checked_target(channel: str, target: str) -> str:
    if channel == Channel.WEBHOOK:
        webhook_target(target)
        return target
    try:
        validate_email(target)
    except ValidationError as error:
        raise InvalidInput(f"{target[:80]!r} is no e-mail address", field="target") from error
    return target
