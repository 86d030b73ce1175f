from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


class Quarantine(models.Model):
    """Data that must not be used: one instrument's, of one time frame or of all, of some days or of all of them.

    While it is open (not released) orders that open a position in the instrument are denied on its days, and backtests over its days
    are refused. Nothing is deleted: a released quarantine stays, so that any past refusal can be explained.
    """

    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    timeframe = models.SmallIntegerField(null=True, blank=True, help_text="Minutes of the time frame; empty for all")
    reason = models.CharField(max_length=500)
    from_date = models.DateField(null=True, blank=True, help_text="First day; empty means from the beginning")
    to_date = models.DateField(null=True, blank=True, help_text="Last day; empty means until further notice")
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", help_text="Empty: opened by a data check"
    )
    opened_at = models.DateTimeField()
    released_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    released_at = models.DateTimeField(null=True, blank=True)
    release_reason = models.CharField(max_length=500, blank=True)
    history = HistoricalRecords()

    # Type only: django-simple-history reads these from the instance when it saves a history row.
    _change_reason: str
    _history_user: "AbstractBaseUser | None"

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="quarantine_reason"),
            models.CheckConstraint(
                condition=Q(from_date__isnull=True) | Q(to_date__isnull=True) | Q(to_date__gte=F("from_date")), name="quarantine_period"
            ),
            models.CheckConstraint(
                condition=Q(released_at__isnull=True, released_by__isnull=True, release_reason="")
                | (Q(released_at__gte=F("opened_at"), released_by__isnull=False) & ~Q(release_reason="")),
                name="quarantine_released_by_somebody",
            ),
            models.UniqueConstraint(
                fields=["instrument", "timeframe"], condition=Q(released_at__isnull=True), nulls_distinct=False, name="quarantine_one_open"
            ),
        ]
        indexes = [models.Index(fields=["-opened_at"], name="quarantine_opened")]

    def __str__(self) -> str:
        return f"quarantine {self.pk}"
