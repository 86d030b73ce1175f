from django.db import models
from django.db.models import F, Q

INFINITY = float("inf")


class Bar(models.Model):
    """One bar as its source gave it (raw prices, float64). A later, different value is a new revision, never an overwrite.

    A time series: written and read in bulk by COPY (`services.bars`, `selectors.bars`); nothing has a foreign key into it,
    and `instrument_id` is a plain number because a hypertable's bulk load must not check a key per row.
    `ts` is the bar's start in UTC; a daily bar starts at midnight UTC of its session date.
    """

    pk = models.CompositePrimaryKey("instrument_id", "timeframe", "ts", "revision")
    instrument_id = models.BigIntegerField()
    timeframe = models.SmallIntegerField(help_text="Seconds are too fine for months: see domain.timeframes.Timeframe")
    ts = models.DateTimeField()
    revision = models.SmallIntegerField(default=0)
    open = models.FloatField()
    high = models.FloatField()
    low = models.FloatField()
    close = models.FloatField()
    volume = models.FloatField()
    source_id = models.SmallIntegerField(help_text="Row of marketdata_barsource")
    recorded_at = models.DateTimeField(help_text="When the desk learned it")
    off_range = models.BooleanField(
        default=False, db_default=False, help_text="An index's open or close outside low to high, stored as the vendor publishes it"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="bar_values",
                condition=Q(
                    low__gt=0,
                    high__gte=F("low"),
                    high__lt=INFINITY,  # PostgreSQL sorts NaN above infinity, so this refuses both
                    open__gt=0,
                    open__lt=INFINITY,
                    close__gt=0,
                    close__lt=INFINITY,
                    volume__gte=0,
                    volume__lt=INFINITY,
                    revision__gte=0,
                )
                & (Q(off_range=True) | Q(open__gte=F("low"), open__lte=F("high"), close__gte=F("low"), close__lte=F("high"))),
            ),
        ]
        indexes = [
            models.Index(fields=["instrument_id", "timeframe", "ts"], condition=Q(revision__gt=0), name="bar_revised"),
        ]


class BarSource(models.Model):
    """Where bars and ticks came from: a file or a vendor, by name."""

    id = models.SmallAutoField(primary_key=True)
    name = models.CharField(max_length=100, unique=True)

    def __str__(self) -> str:
        return self.name
