from django.conf import settings
from django.db import models
from django.db.models import Q

from apps.marketdata.domain.quality.findings import QualityCheck, Severity

SEVERITIES = [severity.value for severity in Severity]


class QualityRun(models.Model):
    """One run of the data checks: who asked, for what, as of which market time. A fact."""

    job_run_id = models.BigIntegerField(null=True, help_text="Row of core_jobrun, which forgets scheduled runs after two days")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    parameters = models.JSONField(default=dict)
    market_time = models.DateTimeField(help_text="What was expected ends with the last session completed at this time")
    recorded_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"data check {self.pk}"


class SeriesQuality(models.Model):
    """What one run says of one instrument's bars of one time frame. A fact; the newest row of a series is its present state."""

    run = models.ForeignKey(QualityRun, on_delete=models.PROTECT, related_name="series")
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    timeframe = models.SmallIntegerField()
    rows = models.IntegerField()
    first_bar = models.DateTimeField(null=True)
    last_bar = models.DateTimeField(null=True)
    sessions_behind = models.IntegerField(null=True)
    expected = models.IntegerField()
    completeness = models.FloatField(null=True, help_text="Fraction; empty where nothing is expected")
    gaps = models.IntegerField()
    errors = models.IntegerField()
    warnings = models.IntegerField()
    infos = models.IntegerField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(rows__gte=0, expected__gte=0, gaps__gte=0, errors__gte=0, warnings__gte=0, infos__gte=0), name="series_quality_counts"
            ),
            models.CheckConstraint(
                condition=Q(completeness__isnull=True) | Q(completeness__gte=0, completeness__lte=1), name="series_quality_completeness"
            ),
        ]
        indexes = [models.Index(fields=["instrument", "timeframe", "-id"], name="series_quality_newest")]

    def __str__(self) -> str:
        return f"quality of {self.instrument_id} in run {self.run_id}"


class QualityFinding(models.Model):
    """One thing that a check found in a series. A fact: what became of it is said by the next run."""

    run = models.ForeignKey(QualityRun, on_delete=models.PROTECT, related_name="findings")
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    timeframe = models.SmallIntegerField()
    check_code = models.CharField(max_length=30)
    severity = models.CharField(max_length=7, choices=[(value, value) for value in SEVERITIES])
    first = models.DateTimeField(null=True, help_text="Start of the first bar concerned")
    last = models.DateTimeField(null=True)
    count = models.IntegerField()
    text = models.CharField(max_length=500)
    numbers = models.JSONField(default=dict)
    found_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(severity__in=SEVERITIES), name="quality_finding_severity"),
            models.CheckConstraint(condition=Q(check_code__in=[check.value for check in QualityCheck]), name="quality_finding_check"),
            models.CheckConstraint(condition=Q(count__gte=0), name="quality_finding_count"),
        ]
        indexes = [
            models.Index(fields=["instrument", "timeframe", "-id"], name="quality_finding_newest"),
            models.Index(fields=["run", "severity"], name="quality_finding_run"),
        ]

    def __str__(self) -> str:
        return f"{self.check_code} {self.severity}"
