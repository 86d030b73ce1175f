from django.conf import settings
from django.db import models
from django.db.models import F, Q

from apps.core.trading import TradingState


class TradingStateChange(models.Model):
    """A fact: who switched trading of one portfolio (or, with none, of the whole desk) to which state, and why.

    The newest row of a scope is its state. Halting needs one person, going back to ACTIVE needs two. `flatten` says that REDUCING is
    for closing everything: execution cancels what works and sends the closing orders until nothing is held or a newer row comes.
    """

    portfolio = models.ForeignKey("portfolios.Portfolio", null=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=[(state.value, state.name) for state in TradingState])
    flatten = models.BooleanField(default=False)
    reason = models.CharField(max_length=500)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Empty: the live monitor, or somebody at the command line of the desk's machine; the journal names the command",
    )
    limit_event = models.ForeignKey(
        "risk.LimitEvent", null=True, on_delete=models.PROTECT, related_name="+", help_text="The breach on which the live monitor acted"
    )
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()

    class Meta:
        permissions = [
            ("halt_trading", "Can halt trading, alone"),
            ("release_trading", "Can request or approve the release of a halt"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=[state.value for state in TradingState]), name="trading_state_known"),
            models.CheckConstraint(
                condition=~Q(state=TradingState.ACTIVE) | Q(changed_by__isnull=False, approved_by__isnull=False) & ~Q(approved_by=F("changed_by")),
                name="trading_state_release_by_two",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="trading_state_reason"),
            models.CheckConstraint(
                condition=Q(flatten=False) | Q(state=TradingState.REDUCING, changed_by__isnull=False), name="trading_state_flatten_by_somebody"
            ),
        ]
        indexes = [models.Index(fields=["portfolio", "-id"], name="trading_state_newest")]

    def __str__(self) -> str:
        return f"{self.state} for {self.portfolio or 'the desk'}"


class ReleaseState(models.TextChoices):
    PENDING = "pending"
    APPROVED = "approved"
    WITHDRAWN = "withdrawn"


class ReleaseRequest(models.Model):
    """One person asks that a halt ends; a second one may approve until `expires_at`.

    It names the halt that it would end: a newer halt of the same scope is not ended by an older request.
    """

    portfolio = models.ForeignKey("portfolios.Portfolio", null=True, on_delete=models.PROTECT, related_name="+")
    halt = models.ForeignKey(TradingStateChange, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=9, choices=ReleaseState.choices, default=ReleaseState.PENDING)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("requested_by")), name="release_by_two"),
            models.CheckConstraint(
                condition=Q(state=ReleaseState.PENDING, approved_by__isnull=True, decided_at__isnull=True)
                | Q(state=ReleaseState.APPROVED, approved_by__isnull=False, decided_at__isnull=False)
                | Q(state=ReleaseState.WITHDRAWN, approved_by__isnull=True, decided_at__isnull=False),
                name="release_decided_once",
            ),
            models.CheckConstraint(condition=Q(expires_at__gt=F("requested_at")), name="release_expires"),
            models.UniqueConstraint(fields=["halt"], condition=Q(state=ReleaseState.PENDING), name="release_one_pending"),
        ]

    def __str__(self) -> str:
        return f"release of {self.portfolio or 'the desk'}: {self.state}"
