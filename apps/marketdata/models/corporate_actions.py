from django.conf import settings
from django.db import models
from django.db.models import Q

from apps.marketdata.domain.vendor import ActionKind


class ActionStatus(models.TextChoices):
    """Only applied actions change what is read."""

    APPLIED = "applied"
    QUARANTINED = "quarantined"
    WITHDRAWN = "withdrawn"


class CorporateAction(models.Model):
    """A fact: what the desk held of a split or dividend from `recorded_at` on. The highest revision of an action counts.

    Append-only and bitemporal: a vendor's correction, a release and a withdrawal are new revisions. `value` is, for a split, new
    shares per old share, for a dividend cash per share as it was paid, not adjusted for later splits.
    """

    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=8, choices=[(kind.value, kind.value) for kind in ActionKind])
    ex_date = models.DateField()
    revision = models.SmallIntegerField(default=0)
    value = models.DecimalField(max_digits=24, decimal_places=10)
    currency = models.CharField(max_length=3)
    source = models.ForeignKey("marketdata.BarSource", on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=11, choices=ActionStatus.choices)
    doubt = models.CharField(max_length=20, blank=True, help_text="Code of the reason for which the desk itself does not apply it")
    reason = models.CharField(max_length=500, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", help_text="Empty: the desk itself, by the bars"
    )
    recorded_at = models.DateTimeField(help_text="When the desk learned it")

    class Meta:
        permissions = [("decide_corporateaction", "Can release and withdraw corporate actions")]
        constraints = [
            models.UniqueConstraint(fields=["instrument", "kind", "ex_date", "revision"], name="action_revision"),
            models.CheckConstraint(condition=Q(kind__in=[kind.value for kind in ActionKind]), name="action_kind"),
            models.CheckConstraint(condition=Q(value__gt=0, revision__gte=0), name="action_value"),
            models.CheckConstraint(condition=Q(status__in=ActionStatus.values), name="action_status"),
            models.CheckConstraint(condition=Q(status=ActionStatus.APPLIED) | ~Q(reason=""), name="action_reason"),
            models.CheckConstraint(condition=~Q(status=ActionStatus.WITHDRAWN) | Q(decided_by__isnull=False), name="action_withdrawn_by"),
            models.CheckConstraint(condition=Q(status=ActionStatus.QUARANTINED) ^ Q(doubt=""), name="action_doubt"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.instrument} on {self.ex_date}"
