from django.conf import settings
from django.db import models
from django.db.models import F, Q

from apps.core.trading import TradingState


class TradingStateChange(models.Model):
    """A fact: who switched trading of one portfolio (or, with none, of the whole desk) to which state, and why.

    The newest row of a scope is its state. Halting needs one person, going back to ACTIVE needs two.
    """

    portfolio = models.ForeignKey("portfolios.Portfolio", null=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=[(state.value, state.name) for state in TradingState])
    reason = models.CharField(max_length=500)
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=[state.value for state in TradingState]), name="trading_state_known"),
            models.CheckConstraint(
                condition=~Q(state=TradingState.ACTIVE) | Q(approved_by__isnull=False) & ~Q(approved_by=F("changed_by")),
                name="trading_state_release_by_two",
            ),
        ]
        indexes = [models.Index(fields=["portfolio", "-id"], name="trading_state_newest")]

    def __str__(self) -> str:
        return f"{self.state} for {self.portfolio or 'the desk'}"
