from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


class RestrictionLevel(models.TextChoices):
    RESTRICTED = "restricted", "Restricted: every order is blocked"
    WATCH = "watch", "Watch: orders pass with a warning"


class Restriction(models.Model):
    """An instrument on the restricted or watch list, for all portfolios or for one, between two moments."""

    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    portfolio = models.ForeignKey("portfolios.Portfolio", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    level = models.CharField(max_length=10, choices=RestrictionLevel.choices)
    reason = models.CharField(max_length=500)
    active_from = models.DateTimeField()
    active_to = models.DateTimeField(null=True, blank=True, help_text="Exclusive; empty means until further notice")
    history = HistoricalRecords()

    # Type only: django-simple-history reads these from the instance when it saves a history row.
    _change_reason: str
    _history_user: "AbstractBaseUser"

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(level__in=RestrictionLevel.values), name="restriction_level"),
            models.CheckConstraint(condition=Q(active_to__isnull=True) | Q(active_to__gt=F("active_from")), name="restriction_period"),
            models.CheckConstraint(condition=~Q(reason=""), name="restriction_reason"),
            models.UniqueConstraint(
                fields=["instrument", "portfolio", "level"],
                condition=Q(active_to__isnull=True),
                nulls_distinct=False,
                name="restriction_one_open",
            ),
        ]
        indexes = [models.Index(fields=["instrument", "active_from"], name="restriction_instrument")]

    def __str__(self) -> str:
        return f"{self.instrument} {self.level}"
