from django.conf import settings
from django.db import models
from django.db.models import F, Q

from apps.marketdata.domain.sectors import SECTOR_CHOICES
from apps.risk.domain.limits import LimitAction, LimitKind


class ChangeState(models.TextChoices):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class LimitChange(models.Model):
    """One person asks for a limit, or (without `hard`) for the end of one; a second one decides until `expires_at`.

    Without a portfolio it is a control of the desk. Its content never changes, and is decided once: the database sees to both. A limit
    begins and ends with an approved change of exactly its content.
    """

    portfolio = models.ForeignKey("portfolios.Portfolio", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=[(kind.value, kind.label) for kind in LimitKind])
    book = models.ForeignKey("portfolios.Book", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    instrument = models.ForeignKey("marketdata.Instrument", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    sector = models.CharField(max_length=30, choices=SECTOR_CHOICES, blank=True, default="")
    soft = models.DecimalField(max_digits=20, decimal_places=6, null=True, blank=True, help_text="Orders are warned above it")
    hard = models.DecimalField(max_digits=20, decimal_places=6, null=True, blank=True, help_text="Orders are blocked above it; empty ends the limit")
    action = models.CharField(
        max_length=7,
        choices=[(action.value, action.label) for action in LimitAction],
        default=LimitAction.WARN.value,
        help_text="What the live monitor does when the hard level is broken",
    )
    active_from = models.DateTimeField(help_text="At the earliest: a change holds from its approval on")
    active_to = models.DateTimeField(null=True, blank=True, help_text="Exclusive; empty means until further notice")
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=9, choices=ChangeState.choices, default=ChangeState.PENDING)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=500, blank=True, help_text="What the second person says")

    class Meta:
        permissions = [("approve_limitchange", "Can approve or reject the change of a limit that another person asks for")]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=[kind.value for kind in LimitKind]), name="limit_change_kind"),
            models.CheckConstraint(condition=Q(action__in=[action.value for action in LimitAction]), name="limit_change_action"),
            models.CheckConstraint(
                condition=Q(hard__isnull=True, soft__isnull=True, active_to__isnull=True)
                | Q(hard__gt=0) & (Q(soft__isnull=True) | Q(soft__gt=0, soft__lte=F("hard"))),
                name="limit_change_order",
            ),
            models.CheckConstraint(condition=Q(active_to__isnull=True) | Q(active_to__gt=F("active_from")), name="limit_change_period"),
            models.CheckConstraint(condition=~Q(reason=""), name="limit_change_reason"),
            models.CheckConstraint(condition=Q(expires_at__gt=F("requested_at")), name="limit_change_expires"),
            models.CheckConstraint(
                condition=Q(state=ChangeState.PENDING, decided_by__isnull=True, decided_at__isnull=True)
                | Q(state__in=[ChangeState.APPROVED, ChangeState.REJECTED], decided_by__isnull=False, decided_at__lt=F("expires_at"))
                & ~Q(decided_by=F("requested_by"))
                | Q(state=ChangeState.WITHDRAWN, decided_by__isnull=False, decided_at__isnull=False),
                name="limit_change_by_two",
            ),
        ]
        indexes = [models.Index(fields=["state", "-id"], name="limit_change_open")]

    def __str__(self) -> str:
        what = f"{self.kind} of {self.book or self.instrument or self.sector or 'all'} in {self.portfolio or 'the desk'}"
        return f"change {self.pk} of {what}: {self.state}"
