from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from apps.marketdata.domain.sectors import SECTOR_CHOICES, Sector
from apps.risk.domain.limits import BOOK_KINDS, INSTRUMENT_KINDS, LONGEST_WINDOW, SECTOR_KINDS, LimitAction, LimitKind
from apps.risk.models.changes import LimitChange

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


class LimitTerms(models.Model):
    """What every limit has: a level above which orders are warned (`soft`) and blocked (`hard`), what the monitor does when the number
    breaks the hard level by itself, from when to when, and why.

    With an instrument or a sector it holds for that alone, in the place of the limit that holds for all of them. A row is never edited: an
    approved change makes it, and another ends it. The database refuses everything else.
    """

    kind = models.CharField(max_length=20, choices=[(kind.value, kind.label) for kind in LimitKind])
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    sector = models.CharField(max_length=30, choices=SECTOR_CHOICES, blank=True, default="")
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
    change = models.ForeignKey(
        LimitChange, on_delete=models.PROTECT, related_name="+", null=True, editable=False, help_text="By which two people; empty: an opening control"
    )
    ended_by = models.ForeignKey(LimitChange, on_delete=models.PROTECT, related_name="+", null=True, editable=False)

    # Type only: django-simple-history reads these from the instance when it saves a history row.
    _change_reason: str
    _history_user: "AbstractBaseUser"

    class Meta:
        abstract = True


def _constraints(name: str, *, of: tuple[str, ...]) -> list[models.BaseConstraint]:
    """What the database holds a limit to; of several with the same `of` and kind one is open."""
    parts = {"instrument": Q(instrument__isnull=False), "sector": ~Q(sector="")} | ({"book": Q(book__isnull=False)} if "book" in of else {})
    kinds = {"instrument": INSTRUMENT_KINDS, "sector": SECTOR_KINDS, "book": BOOK_KINDS}
    one_part = [~(given & other) for name, given in parts.items() for more, other in parts.items() if name < more]
    fitting = [~given | Q(kind__in=[kind.value for kind in kinds[name]]) for name, given in parts.items()]
    return [
        models.CheckConstraint(condition=Q(kind__in=[kind.value for kind in LimitKind]), name=f"{name}_kind"),
        models.CheckConstraint(condition=Q(action__in=[action.value for action in LimitAction]), name=f"{name}_action"),
        models.CheckConstraint(condition=Q(hard__gt=0) & (Q(soft__isnull=True) | Q(soft__gt=0, soft__lte=F("hard"))), name=f"{name}_order"),
        models.CheckConstraint(condition=Q(active_to__isnull=True) | Q(active_to__gt=F("active_from")), name=f"{name}_period"),
        models.CheckConstraint(condition=~Q(reason=""), name=f"{name}_reason"),
        models.CheckConstraint(condition=~Q(kind="duplicate_window") | Q(hard__lte=LONGEST_WINDOW), name=f"{name}_window"),
        models.CheckConstraint(condition=Q(*one_part, *fitting), name=f"{name}_scope"),
        models.CheckConstraint(condition=Q(sector__in=["", *[sector.value for sector in Sector]]), name=f"{name}_sector"),
        models.UniqueConstraint(fields=[*of, "kind"], condition=Q(active_to__isnull=True), nulls_distinct=False, name=f"{name}_one_open"),
    ]


class RiskLimit(LimitTerms):
    """A limit of one portfolio, or of one book, instrument or sector in it. Orders are blocked above `hard` and warned above `soft`.

    Where the desk has a control of the same kind (`DeskLimit`), the portfolio's own limit stands in its place.
    """

    portfolio = models.ForeignKey("portfolios.Portfolio", on_delete=models.PROTECT, related_name="+")
    book = models.ForeignKey("portfolios.Book", on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    history = HistoricalRecords()

    class Meta:
        constraints = _constraints("risk_limit", of=("portfolio", "book", "instrument", "sector"))

    def __str__(self) -> str:
        return f"{self.kind} of {self.book or self.instrument or self.sector or 'all'} in {self.portfolio}"


class DeskLimit(LimitTerms):
    """A control of the desk: it holds for every portfolio that has no limit of its own of the same kind."""

    history = HistoricalRecords()

    class Meta:
        constraints = _constraints("desk_limit", of=("instrument", "sector"))

    def __str__(self) -> str:
        return f"{self.kind} of {self.instrument or self.sector or 'all'} on the desk"
