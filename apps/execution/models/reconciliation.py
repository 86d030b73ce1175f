from django.conf import settings
from django.db import models
from django.db.models import Q

from apps.core.money import PRICE_DIGITS, PRICE_PLACES
from apps.execution.domain.reconciliation import BreakKind, BreakSubject
from apps.execution.models.accounts import BrokerageAccount

BREAK_KINDS = [(x.value, x.name.replace("_", " ").capitalize()) for x in BreakKind]
BREAK_SUBJECTS = [(x.value, x.name.replace("_", " ").capitalize()) for x in BreakSubject]


class ReconciliationTrigger(models.TextChoices):
    START = "start", "Start of the broker's process"
    RECONNECT = "reconnect", "New line to the broker"
    FILL = "fill", "Fills"
    BEAT = "beat", "Schedule"
    REQUEST = "request", "Somebody asked"


class ReconciliationState(models.TextChoices):
    CLEAN = "clean"
    BREAKS = "breaks"
    FAILED = "failed", "The broker could not be asked"


class ReconciliationRun(models.Model):
    """One comparison of the desk's book of an account with its broker's. Append-only.

    `open_breaks` is how many were open when it ended, `accepted` the ids of those that it found again and that a person had resolved: what
    a person has accepted stays accepted while every run finds it unchanged.
    """

    account = models.ForeignKey(BrokerageAccount, on_delete=models.PROTECT, related_name="reconciliations")
    trigger = models.CharField(max_length=10, choices=ReconciliationTrigger.choices)
    state = models.CharField(max_length=10, choices=ReconciliationState.choices)
    detail = models.CharField(max_length=500, blank=True, help_text="Why it failed")
    compared = models.JSONField(default=dict, help_text="How many orders, executions, positions and currencies the broker told of")
    booked_fills = models.PositiveIntegerField(default=0, help_text="Executions that the desk had missed and that it booked")
    open_breaks = models.PositiveIntegerField(default=0)
    accepted = models.JSONField(default=list)
    started_at = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state=ReconciliationState.CLEAN, open_breaks=0)
                | Q(state=ReconciliationState.BREAKS, open_breaks__gt=0)
                | Q(state=ReconciliationState.FAILED) & ~Q(detail=""),
                name="reconciliation_state",
            )
        ]
        indexes = [models.Index(fields=["account", "-id"], name="reconciliation_account")]

    def __str__(self) -> str:
        return f"reconciliation {self.pk} of {self.account}: {self.state}"


class ReconciliationBreak(models.Model):
    """A difference between the desk's book and the broker's, when it was first found. Append-only: it is open until it has a resolution.

    `difference` is theirs - ours. While one that `halts` is open, nothing new is opened in the portfolio.
    """

    run = models.ForeignKey(ReconciliationRun, on_delete=models.PROTECT, related_name="breaks")
    account = models.ForeignKey(BrokerageAccount, on_delete=models.PROTECT, related_name="breaks")
    portfolio = models.ForeignKey("portfolios.Portfolio", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=BREAK_KINDS)
    subject = models.CharField(max_length=15, choices=BREAK_SUBJECTS)
    key = models.CharField(max_length=150, help_text="The order's reference, the execution id, the symbol or the currency")
    symbol = models.CharField(max_length=20, blank=True)
    ours = models.CharField(max_length=200, blank=True)
    theirs = models.CharField(max_length=200, blank=True)
    difference = models.DecimalField(max_digits=PRICE_DIGITS + 8, decimal_places=PRICE_PLACES, null=True)
    halts = models.BooleanField(default=False)
    found_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "kind", "subject", "key"], name="break_once_per_run"),
            models.CheckConstraint(condition=Q(kind__in=[x.value for x in BreakKind]), name="break_kind"),
            models.CheckConstraint(condition=Q(subject__in=[x.value for x in BreakSubject]), name="break_subject"),
        ]
        indexes = [
            models.Index(fields=["account", "-id"], name="break_account"),
            models.Index(fields=["portfolio"], condition=Q(halts=True), name="break_halts"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.subject} {self.key}"


class BreakResolution(models.Model):
    """Why a break is no longer open: a person says so, with a reason, or a later run did not find it any more. Append-only."""

    found = models.OneToOneField(ReconciliationBreak, on_delete=models.PROTECT, related_name="resolution", verbose_name="break")
    run = models.ForeignKey(ReconciliationRun, null=True, on_delete=models.PROTECT, related_name="+")
    resolved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)
    resolved_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(run__isnull=True, resolved_by__isnull=False) | Q(run__isnull=False, resolved_by__isnull=True),
                name="resolution_by_person_or_run",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="resolution_has_reason"),
        ]

    def __str__(self) -> str:
        return f"resolution of break {self.found_id}"
