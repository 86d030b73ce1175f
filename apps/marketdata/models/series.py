from django.db import models
from django.db.models import Q


class ClosePrice(models.Model):
    """A close of a series that has nothing but closes: an index level, or closes which their source adjusted. Never a bar.

    `adjustment` is a `domain.points.CloseKind`. A later, different value is a new revision. A time series, written and read by COPY;
    `ts` is midnight UTC of the session date.
    """

    pk = models.CompositePrimaryKey("instrument_id", "adjustment", "ts", "revision")
    instrument_id = models.BigIntegerField()
    adjustment = models.SmallIntegerField(help_text="0: as traded, 1: total return")
    ts = models.DateTimeField()
    revision = models.SmallIntegerField(default=0)
    value = models.FloatField()
    source_id = models.SmallIntegerField(help_text="Row of marketdata_barsource")
    recorded_at = models.DateTimeField(help_text="When the desk learned it")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="close_price_values",  # PostgreSQL sorts NaN above infinity, so this refuses both
                condition=Q(value__gt=0, value__lt=float("inf"), revision__gte=0, adjustment__in=(0, 1)),
            ),
        ]


class ReferenceSeries(models.Model):
    """A series that is no instrument's: an interest rate, a factor's return, a figure of the economy."""

    name = models.CharField(max_length=60, unique=True)
    title = models.CharField(max_length=200)
    unit = models.CharField(max_length=40, help_text="What a value is: fraction per month, percent, index level")
    frequency = models.CharField(max_length=1, help_text="D day, W week, M month, Q quarter, A year")
    source = models.CharField(max_length=200)
    licence = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(frequency__in=["D", "W", "M", "Q", "A"]), name="reference_series_frequency"),
        ]
        verbose_name_plural = "reference series"

    def __str__(self) -> str:
        return self.name


class ReferencePoint(models.Model):
    """A value of a reference series. `ts` is midnight UTC of the period's last day. A later, different value is a new revision."""

    pk = models.CompositePrimaryKey("series_id", "ts", "revision")
    series_id = models.BigIntegerField(help_text="Row of marketdata_referenceseries")
    ts = models.DateTimeField()
    revision = models.SmallIntegerField(default=0)
    value = models.FloatField()
    recorded_at = models.DateTimeField(help_text="When the desk learned it")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="reference_point_values",
                condition=Q(value__gt=float("-inf"), value__lt=float("inf"), revision__gte=0),
            ),
        ]
