from django.conf import settings
from django.db import models


class Severity(models.TextChoices):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Alert(models.Model):
    """Something that people must know. A fact: rows are never changed; who saw it is an AlertReceipt."""

    code = models.CharField(max_length=60, help_text="Machine-readable kind, e.g. RISK_LIMIT_BREACH")
    severity = models.CharField(max_length=8, choices=Severity.choices)
    title = models.CharField(max_length=200)
    detail = models.TextField(blank=True)
    subject = models.CharField(max_length=100, blank=True, help_text='What it is about, e.g. "portfolio:3" or "order:17"')
    portfolio_id = models.BigIntegerField(null=True, help_text="Id of the portfolio that it concerns; alerts know no portfolios themselves")
    key = models.CharField(max_length=120, blank=True, help_text="Alerts of one key that come soon after one another are one")
    data = models.JSONField(default=dict, help_text="The numbers behind it, Decimals as strings")
    occurred_at = models.DateTimeField(help_text="Market time when it was true")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(severity__in=Severity.values), name="alert_severity")]
        indexes = [
            models.Index(fields=["-recorded_at"], name="alert_recorded"),
            models.Index(fields=["key", "-recorded_at"], condition=~models.Q(key=""), name="alert_key"),
        ]

    def __str__(self) -> str:
        return f"{self.code} #{self.pk}"


class AlertReceipt(models.Model):
    """One person's copy of an alert, and their acknowledgement with a note."""

    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="receipts")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    acknowledged_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["alert", "user"], name="alert_receipt_once")]
        indexes = [
            models.Index(fields=["user", "-alert"], condition=models.Q(acknowledged_at__isnull=True), name="alert_receipt_open"),
        ]

    def __str__(self) -> str:
        return f"{self.alert_id} for {self.user_id}"


class AlertRepeat(models.Model):
    """The same again, while the alert was fresh and nobody had acknowledged it: counted, with its numbers, and not sent again."""

    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="repeats")
    title = models.CharField(max_length=200)
    detail = models.TextField(blank=True)
    data = models.JSONField(default=dict)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.alert_id} again"
