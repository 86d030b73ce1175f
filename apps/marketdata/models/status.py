from django.db import models
from django.db.models import F, Q


class MarketStatus(models.Model):
    """The exchange's word on one instrument from a moment of market time on: whether it trades, and between which prices. Append-only.

    The newest row that has begun holds; bands without a newer row hold on.
    """

    class Status(models.TextChoices):
        TRADING = "trading", "Trading"
        PAUSED = "paused", "Paused by a price band"
        HALTED = "halted", "Halted"

    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=7, choices=Status.choices)
    low = models.DecimalField(max_digits=20, decimal_places=6, null=True, blank=True, help_text="Lower price band; empty: none published")
    high = models.DecimalField(max_digits=20, decimal_places=6, null=True, blank=True, help_text="Upper price band; empty: none published")
    reason = models.CharField(max_length=200, blank=True, help_text="The exchange's code or words, for example T1 or LUDP")
    source = models.CharField(max_length=50)
    effective_at = models.DateTimeField(help_text="Market time")
    recorded_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "market statuses"
        constraints = [
            models.CheckConstraint(condition=Q(status__in=["trading", "paused", "halted"]), name="market_status_known"),
            models.CheckConstraint(condition=Q(low__isnull=True, high__isnull=True) | Q(low__gte=0, high__gt=F("low")), name="market_status_band"),
            models.CheckConstraint(condition=Q(status="trading") | ~Q(reason=""), name="market_status_reason"),
        ]
        indexes = [models.Index(fields=["instrument", "-effective_at", "-id"], name="market_status_newest")]

    def __str__(self) -> str:
        return f"{self.instrument} {self.status} from {self.effective_at:%Y-%m-%d %H:%M}"
