from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords


class RetentionPolicy(models.Model):
    """How long rows of a time series stay in the database before they are archived; empty: for ever."""

    table = models.CharField(max_length=63, unique=True, help_text="As `manage.py archive_data --table` names it")
    keep_days = models.PositiveIntegerField(null=True, blank=True)
    history = HistoricalRecords()

    # Type only: django-simple-history reads it from the instance when it saves a history row.
    _change_reason: str

    class Meta:
        verbose_name_plural = "retention policies"
        constraints = [models.CheckConstraint(condition=Q(keep_days__isnull=True) | Q(keep_days__gte=1), name="retention_days")]

    def __str__(self) -> str:
        return f"{self.table}: {'for ever' if self.keep_days is None else f'{self.keep_days} days'}"


class Archive(models.Model):
    """A fact: rows of one table in [lower, upper) stand in a Parquet file which was read back and is the same as the table was.

    `digest` is the database's own hash of those rows at that time; `content_sha256` that of the values read back from the file.
    """

    table_name = models.CharField(max_length=63)
    lower = models.DateTimeField()
    upper = models.DateTimeField()
    rows = models.BigIntegerField()
    min_time = models.DateTimeField()
    max_time = models.DateTimeField()
    digest = models.CharField(max_length=80)
    content_sha256 = models.CharField(max_length=64)
    file_sha256 = models.CharField(max_length=64)
    file = models.CharField(max_length=500, help_text="Path below the archive's folder")
    verified_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(upper__gt=F("lower"), rows__gt=0, min_time__gte=F("lower"), max_time__lt=F("upper")), name="archive_range"
            )
        ]
        indexes = [models.Index(fields=["table_name", "lower"], name="archive_of_table")]

    def __str__(self) -> str:
        return f"{self.table_name} {self.lower:%Y-%m-%d} to {self.upper:%Y-%m-%d}"


class ArchiveDrop(models.Model):
    """A fact, and the only way by which rows leave a time series: inserting one makes the database compare, then drop.

    A trigger (see the migration) refuses it unless the table's rows in the archive's range are still exactly those that were archived.
    """

    archive = models.OneToOneField(Archive, on_delete=models.PROTECT, related_name="dropped")
    rows = models.BigIntegerField()
    dropped_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"drop of archive {self.archive_id}"
