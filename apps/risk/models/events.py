from django.db import models
from django.db.models import Q

from apps.risk.domain.hysteresis import Change, Level
from apps.risk.domain.limits import LimitKind, LimitScope, UseState


class LimitEvent(models.Model):
    """A fact: the number of a portfolio, or of a part of it, crossed a level of a limit, or is well below it again. Append-only.

    The newest row of (portfolio, kind, part, level) says whether the level is raised, so that a restarted monitor repeats no alert.
    """

    portfolio = models.ForeignKey("portfolios.Portfolio", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=[(kind.value, kind.label) for kind in LimitKind])
    part = models.CharField(max_length=120, blank=True, default="", help_text="Book, instrument or sector; empty for the whole portfolio")
    level = models.CharField(max_length=4, choices=[(level.value, level.name) for level in Level])
    change = models.CharField(max_length=7, choices=[(change.value, change.name) for change in Change])
    used = models.DecimalField(max_digits=26, decimal_places=12)
    limit = models.DecimalField(max_digits=20, decimal_places=6)
    market_time = models.DateTimeField(null=True)
    recorded_at = models.DateTimeField()
    told = models.BooleanField(default=False, help_text="People were told by an alert")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=[kind.value for kind in LimitKind]), name="limit_event_kind"),
            models.CheckConstraint(condition=Q(level__in=[level.value for level in Level]), name="limit_event_level"),
            models.CheckConstraint(condition=Q(change__in=[change.value for change in Change]), name="limit_event_change"),
        ]
        indexes = [models.Index(fields=["portfolio", "kind", "level", "-id"], name="limit_event_newest")]

    def __str__(self) -> str:
        return f"{self.kind} {self.level} {self.change} in {self.portfolio}"


class LimitUtilisation(models.Model):
    """How far a limit was used at a moment: a time series. `share` is used / hard; both are null where they could not be computed."""

    pk = models.CompositePrimaryKey("portfolio_id", "recorded_at", "kind", "scope", "subject")
    portfolio_id = models.BigIntegerField()
    recorded_at = models.DateTimeField()
    kind = models.CharField(max_length=20, choices=[(kind.value, kind.label) for kind in LimitKind])
    scope = models.CharField(max_length=10, choices=[(scope.value, scope.value) for scope in LimitScope])
    subject = models.CharField(max_length=100, blank=True, help_text="Book, symbol or sector; empty for the whole portfolio")
    soft = models.DecimalField(max_digits=20, decimal_places=6, null=True)
    hard = models.DecimalField(max_digits=20, decimal_places=6)
    used = models.DecimalField(max_digits=32, decimal_places=12, null=True)
    share = models.DecimalField(max_digits=32, decimal_places=12, null=True)
    state = models.CharField(max_length=10, choices=[(state.value, state.name) for state in UseState])

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=[kind.value for kind in LimitKind]), name="limit_utilisation_kind"),
            models.CheckConstraint(
                condition=Q(used__isnull=True, share__isnull=True) | Q(used__isnull=False, share__isnull=False), name="limit_utilisation_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of portfolio {self.portfolio_id} at {self.recorded_at}: {self.state}"
