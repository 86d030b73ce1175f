"""Rows of vendors: made for every adapter, and an operator's hand on a breaker."""

from datetime import datetime

from django.apps import AppConfig, apps
from django.db import transaction

from apps.core.context import acting
from apps.core.errors import InvalidInput
from apps.core.models import User
from apps.marketdata.domain.pacing import PACES
from apps.marketdata.models import Forced, IncidentKind, Vendor
from apps.marketdata.selectors.vendors import vendor_get
from apps.marketdata.services.vendors.breaker import breaker_force
from apps.marketdata.services.vendors.incidents import incident_record

KINDS = {Forced.OPEN: IncidentKind.FORCED_OPEN, Forced.CLOSED: IncidentKind.FORCED_CLOSED, Forced.NO: IncidentKind.RELEASED}


def vendor_force(*, name: str, forced: Forced, reason: str, by: str, user: User | None = None, at: datetime) -> Vendor:
    """Force a vendor's breaker open or closed, or release it (Forced.NO). All processes follow at once.

    The decision stands in the vendor's row, with its history, and as an incident which names `by`. Raises NotFound, InvalidInput
    (no reason), and Unavailable when Redis is away, in which case nothing is changed.
    """
    if not reason.strip():
        raise InvalidInput("say why", field="reason")
    with transaction.atomic():
        vendor = Vendor.objects.select_for_update().get(pk=vendor_get(name).pk)
        vendor.forced, vendor.reason = forced, reason.strip()[:500]
        vendor._change_reason, vendor._history_user = vendor.reason[:100], user
        vendor.save(update_fields=["forced", "reason"])
        incident_record(vendor=vendor.name, kind=KINDS[forced], detail=f"{by}: {vendor.reason}", occurred_at=at, recorded_at=at)
        breaker_force(vendor.name, forced)  # last: when Redis is away, the row stays as it was
    return vendor


def vendors_synchronise() -> None:
    """Make the row of every known vendor that has none. Values that people changed stay."""
    there = set(Vendor.objects.values_list("name", flat=True))
    with acting(actor="system:vendors"):
        for name in sorted(PACES.keys() - there):
            pace = PACES[name]
            Vendor.objects.get_or_create(name=name, defaults={"rate": pace.rate, "burst": pace.burst, "priority": pace.priority})


def synchronise_after_migrate(sender: AppConfig, **_: object) -> None:
    """Receive post_migrate: once, after the last app, when the journal can record it."""
    last = [config for config in apps.get_app_configs() if config.models_module is not None][-1]
    if sender.label == last.label:
        vendors_synchronise()
