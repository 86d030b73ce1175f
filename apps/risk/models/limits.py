from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from apps.risk.domain.limits import LONGEST_WINDOW, LimitAction, LimitKind

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


class LimitTerms(models.Model):
    """What every limit has: a level above which orders are warned (`soft`) and blocked (`hard`), what the monitor does when the number
    breaks the hard level by itself, from when to when, and why."""

    kind = models.CharField(max_length=20, choices=[(kind.value, kind.label) for kind in LimitKind])
    soft = models.DecimalField(max_digits=20, decimal_places=6, null=True, blank=True)
    hard = models.DecimalField(max_digits=20, decimal_places=6)
    action = models.CharField(
        max_length=7,
        choices=[(action.value, action.label) for action in LimitAction],
        default=LimitAction.WARN.value,
        help_text="What the live monitor does when the hard level is broken",
    )
    active_from = models.DateTimeField()
    active_to = models.DateTimeField(null=True, blank=True, help_text="Exclusive; empty means until further notice")
    reason = models.CharField(max_length=500)

    # Type only: django-simple-history reads these from the instance when it saves a history row.
    _change_reason: str
    _history_user: "AbstractBaseUser"

    class Meta:
        abstract = True


def _constraints(name: str, *, of: tuple[str, ...]) -> list[models.BaseConstraint]:
    """What the database holds a limit to; of several with the same `of` and kind one is open."""
    return [
        models.CheckConstraint(condition=Q(kind__in=[kind.value for kind in LimitKind]), name=f"{name}_kind"),
        models.CheckConstraint(condition=Q(action__in=[action.value for action in LimitAction]), name=f"{name}_action"),
        models.CheckConstraint(condition=Q(hard__gt=0) & (Q(soft__isnull=True) | Q(soft__gt=0, soft__lte=F("hard"))), name=f"{name}_order"),
        models.CheckConstraint(condition=Q(active_to__isnull=True) | Q(active_to__gt=F("active_from")), name=f"{name}_period"),
        models.CheckConstraint(condition=~Q(reason=""), name=f"{name}_reason"),
        models.CheckConstraint(condition=~Q(kind="duplicate_window") | Q(hard__lte=LONGEST_WINDOW), name=f"{name}_window"),
        models.UniqueConstraint(fields=[*of, "kind"], condition=Q(active_to__isnull=True), name=f"{name}_one_open"),
    ]


class RiskLimit(LimitTerms):
    """A limit of one portfolio. Orders are blocked above `hard` and warned above `soft`; a missing limit denies.

    Where the desk has a control of the same kind (`DeskLimit`), the portfolio's own limit stands in its place.
    """

    portfolio = models.ForeignKey("portfolios.Portfolio", on_delete=models.PROTECT, related_name="+")
    history = HistoricalRecords()

    class Meta:
        constraints = _constraints("risk_limit", of=("portfolio",))

    def __str__(self) -> str:
        return f"{self.kind} of {self.portfolio}"


class DeskLimit(LimitTerms):
    """A control of the desk: it holds for every portfolio that has no limit of its own of the same kind."""

    history = HistoricalRecords()

    class Meta:
        constraints = _constraints("desk_limit", of=())

    def __str__(self) -> str:
        return f"{self.kind} of the desk"
