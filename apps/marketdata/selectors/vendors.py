"""Vendors with the state of their breakers."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet

from apps.core.errors import NotFound, Unavailable
from apps.marketdata.models import IncidentKind, Vendor, VendorIncident
from apps.marketdata.selectors.store import redis_client, redis_errors

#: With which incidents a breaker comes into a state.
BEGINS: dict[str, tuple[IncidentKind, ...]] = {
    "closed": (IncidentKind.CLOSED, IncidentKind.RELEASED),
    "open": (IncidentKind.OPENED,),
    "half_open": (IncidentKind.PROBED,),
    "forced_open": (IncidentKind.FORCED_OPEN,),
    "forced_closed": (IncidentKind.FORCED_CLOSED,),
}
MOVES = tuple(kind for kinds in BEGINS.values() for kind in kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorState:
    """A vendor as operators see it.

    `breaker` is "closed", "open", "half_open", "forced_open", "forced_closed", or "unknown" when Redis is away; `opened_at` when it
    opened last, while it is not closed. `since` is when it came into this state, None when no change is recorded.
    """

    name: str
    enabled: bool
    priority: int
    rate: float
    burst: int
    breaker: str
    opened_at: datetime | None
    since: datetime | None
    reason: str
    last_incident: str
    last_incident_at: datetime | None


def vendor_get(name: str) -> Vendor:
    """The vendor. Raises NotFound which lists the known ones."""
    found = Vendor.objects.filter(name=name).first()
    if found is None:
        known = ", ".join(Vendor.objects.order_by("name").values_list("name", flat=True))
        raise NotFound(f"there is no vendor {name!r}; known are {known or 'none'}", field="provider")
    return found


def vendors_in_order() -> list[Vendor]:
    """The enabled vendors in the order in which "auto" asks them."""
    return list(Vendor.objects.filter(enabled=True).order_by("priority", "name"))


def vendor_states() -> list[VendorState]:
    """All vendors by priority, with their breakers and their newest incident."""
    vendors = list(Vendor.objects.order_by("priority", "name"))
    newest, moved = _newest(VendorIncident.objects.all()), _newest(VendorIncident.objects.filter(kind__in=MOVES))
    return [_state(vendor, breaker_hash(vendor.name), newest.get(vendor.name), moved.get(vendor.name)) for vendor in vendors]


def _newest(incidents: QuerySet[VendorIncident]) -> dict[str, VendorIncident]:
    return {item.vendor: item for item in incidents.order_by("vendor", "-occurred_at", "-pk").distinct("vendor")}


def breaker_state(vendor: Vendor) -> str:
    """The breaker's state in a word; see `VendorState.breaker`."""
    return _word(vendor, breaker_hash(vendor.name))


def breaker_key(vendor: str) -> str:
    """Where a breaker's state lives in Redis: a hash of state, opened_at, probe, probe_until and forced."""
    return f"marketdata:vendor:{vendor}:breaker"


def breaker_hash(name: str) -> dict[str, str] | None:
    """The breaker's hash; None when Redis is away."""
    try:
        with redis_errors():
            found: dict[str, Any] = redis_client().hgetall(breaker_key(name))  # type: ignore[assignment]
            return found
    except Unavailable:
        return None


def _word(vendor: Vendor, found: dict[str, str] | None) -> str:
    if found is None:
        return "unknown"
    forced = found.get("forced", vendor.forced)
    return f"forced_{forced}" if forced else found.get("state", "closed")


def _state(vendor: Vendor, found: dict[str, str] | None, incident: VendorIncident | None, moved: VendorIncident | None) -> VendorState:
    word = _word(vendor, found)
    opened = found.get("opened_at") if found and word in ("open", "half_open") else None
    return VendorState(
        name=vendor.name,
        enabled=vendor.enabled,
        priority=vendor.priority,
        rate=vendor.rate,
        burst=vendor.burst,
        breaker=word,
        opened_at=None if opened is None else datetime.fromtimestamp(float(opened), UTC),
        since=moved.occurred_at if moved is not None and moved.kind in BEGINS.get(word, ()) else None,
        reason=vendor.reason,
        last_incident="" if incident is None else incident.get_kind_display(),
        last_incident_at=None if incident is None else incident.occurred_at,
    )
