from django.db import models
from django.db.models import F, Q


class BarCoverage(models.Model):
    """A stretch of time for which a vendor has given all bars of an instrument that it has, and when. Only added.

    What is covered needs no second request; the union of the rows counts, and `ends_at` is exclusive.
    """

    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    timeframe = models.SmallIntegerField(help_text="See domain.timeframes.Timeframe")
    vendor = models.CharField(max_length=30)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    fetched_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(starts_at__lt=F("ends_at")), name="bar_coverage_span")]
        indexes = [models.Index(fields=["instrument", "timeframe", "vendor"], name="bar_coverage_key")]

    def __str__(self) -> str:
        return f"{self.vendor} {self.starts_at:%Y-%m-%d %H:%M} to {self.ends_at:%Y-%m-%d %H:%M}"
