from django.conf import settings
from django.db import models


class JobState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobRun(models.Model):
    """One run of long work: a command, a scheduled job or a request's job. Progress is written outside the work's transaction."""

    job = models.CharField(max_length=100)
    scheduled_for = models.DateTimeField(null=True, help_text="Moment for which beat fired; null for runs that somebody asked for")
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    parameters = models.JSONField(default=dict)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True)
    message = models.CharField(max_length=500, blank=True)
    result = models.JSONField(null=True)
    error = models.TextField(blank=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    cancel_requested = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["job", "scheduled_for"], condition=models.Q(scheduled_for__isnull=False), name="job_run_once_per_schedule"
            ),
        ]
        indexes = [models.Index(fields=["-created_at"], name="job_run_created")]

    def __str__(self) -> str:
        return f"{self.job} #{self.pk}"
