from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


class Forced(models.TextChoices):
    """What an operator has decided about a vendor's breaker."""

    NO = "", "automatic"
    OPEN = "open", "forced open: the vendor is not asked"
    CLOSED = "closed", "forced closed: the vendor is asked whatever happens"


class Vendor(models.Model):
    """A vendor of market data as the desk treats it: pace, place in the order of "auto", and what an operator decided about its breaker.

    The rows come with the adapters, people change their values.
    """

    name = models.CharField(max_length=30, unique=True)
    rate = models.FloatField(help_text="Requests a second, by all processes of the desk together")
    burst = models.PositiveSmallIntegerField(help_text="Requests that may follow each other at once")
    priority = models.PositiveSmallIntegerField(default=100, help_text='Place in the order of "auto": the lowest is asked first')
    enabled = models.BooleanField(default=True, help_text="A vendor that is not enabled is never asked")
    forced = models.CharField(max_length=6, choices=Forced.choices, default=Forced.NO, blank=True)
    reason = models.CharField(max_length=500, blank=True, help_text="Why the breaker was forced or released, or the row changed")
    history = HistoricalRecords()

    # Type only: django-simple-history reads these from the instance when it saves a history row.
    _change_reason: str
    _history_user: "AbstractBaseUser | None"

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(rate__gt=0, rate__lte=1000, burst__gte=1), name="vendor_pace"),
            models.CheckConstraint(condition=Q(forced__in=Forced.values), name="vendor_forced"),
        ]
        permissions = [
            ("fetch_data", "Can start the fetching of market data"),
            ("control_vendor", "Can force and release the breaker of a vendor"),
        ]

    def __str__(self) -> str:
        return self.name


class IncidentKind(models.TextChoices):
    NONSENSE = "nonsense", "answered nonsense"
    UNAVAILABLE = "unavailable", "not available"
    RATE_LIMITED = "rate_limited", "said: too many requests"
    REFUSED = "refused", "refused the account"
    OPENED = "opened", "breaker opened"
    PROBED = "probed", "breaker let a probe through"
    CLOSED = "closed", "breaker closed"
    FORCED_OPEN = "forced_open", "breaker forced open"
    FORCED_CLOSED = "forced_closed", "breaker forced closed"
    RELEASED = "released", "breaker released"


class VendorIncident(models.Model):
    """Something that went wrong with a vendor, or that its breaker or an operator did about it. Only added."""

    vendor = models.CharField(max_length=30)
    kind = models.CharField(max_length=14, choices=IncidentKind.choices)
    symbol = models.CharField(max_length=20, blank=True)
    detail = models.TextField(blank=True)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(kind__in=IncidentKind.values), name="vendor_incident_kind")]
        indexes = [models.Index(fields=["vendor", "-occurred_at"], name="vendor_incident_newest")]

    def __str__(self) -> str:
        return f"{self.vendor} {self.kind} at {self.occurred_at:%Y-%m-%d %H:%M}"
