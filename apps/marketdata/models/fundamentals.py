from django.db import models
from django.db.models import F, Q


class Period(models.TextChoices):
    """What stretch of time a figure is about: a moment, a quarter, a year, the last twelve months."""

    INSTANT = "instant"
    QUARTER = "quarter"
    YEAR = "year"
    TTM = "ttm"


class Fundamental(models.Model):
    """A reported figure, known to the public from `published_at` on. A restatement is a row with a later `published_at`.

    When a source corrects what it had said about the same publication, that is a new revision. Written by COPY; no foreign keys.
    """

    pk = models.CompositePrimaryKey("instrument_id", "metric", "period", "period_end", "published_at", "source_id", "revision")
    instrument_id = models.BigIntegerField()
    metric = models.CharField(max_length=40, help_text="See domain.fundamentals.METRICS")
    period = models.CharField(max_length=7, choices=Period.choices)
    period_end = models.DateField()
    published_at = models.DateTimeField()
    source_id = models.SmallIntegerField(help_text="Row of marketdata_barsource")
    revision = models.SmallIntegerField(default=0)
    value = models.FloatField()
    unit = models.CharField(max_length=10)
    recorded_at = models.DateTimeField(help_text="When the desk learned it")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="fundamental_values",
                condition=Q(value__gt=float("-inf"), value__lt=float("inf"), revision__gte=0, period__in=Period.values),
            ),
            models.CheckConstraint(name="fundamental_published_after_its_period", condition=Q(published_at__date__gte=F("period_end"))),
        ]
