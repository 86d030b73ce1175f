from typing import TYPE_CHECKING

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from apps.marketdata.domain.schedules import ScheduleKind
from apps.marketdata.domain.timeframes import Timeframe

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


class Subscription(models.Model):
    """A standing order for bars: which, from whom, and when to look for new ones."""

    name = models.CharField(max_length=60, unique=True)
    provider = models.CharField(max_length=30, default="auto", help_text='A vendor, or "auto" for all enabled ones in their order')
    symbols = ArrayField(models.CharField(max_length=20), blank=True, default=list, help_text="Separated by commas; empty: all tradable instruments")
    timeframe = models.SmallIntegerField(choices=[(int(item), item.code) for item in Timeframe], default=int(Timeframe.DAY))
    lookback_days = models.PositiveSmallIntegerField(default=30, help_text="How far back bars are looked for that are missing")
    schedule = models.CharField(
        max_length=11,
        choices=[
            (ScheduleKind.AFTER_CLOSE.value, "after each close"),
            (ScheduleKind.IN_SESSION.value, "while the market is open"),
            (ScheduleKind.EVERY.value, "day and night"),
        ],
        default=ScheduleKind.AFTER_CLOSE.value,
    )
    minutes = models.PositiveSmallIntegerField(default=45, help_text="After the close, or between two looks")
    calendar = models.CharField(max_length=20, default="XNYS", help_text="Name of the exchange calendar (ISO 10383 MIC)")
    enabled = models.BooleanField(default=True)
    reason = models.CharField(max_length=500, help_text="What it is for, or why it was changed")
    history = HistoricalRecords()

    # Type only: django-simple-history reads these from the instance when it saves a history row.
    _change_reason: str
    _history_user: "AbstractBaseUser | None"

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(schedule__in=[kind.value for kind in ScheduleKind]), name="subscription_schedule"),
            models.CheckConstraint(condition=Q(timeframe__in=[int(item) for item in Timeframe]), name="subscription_timeframe"),
            models.CheckConstraint(condition=Q(minutes__gte=1, lookback_days__gte=1) & ~Q(reason=""), name="subscription_values"),
        ]

    def __str__(self) -> str:
        return self.name


class RunOutcome(models.TextChoices):
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"


class SubscriptionRun(models.Model):
    """That a subscription was run for a slot, and what came of it. Only added; a slot that did not bring everything is tried again."""

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="runs")
    slot = models.DateTimeField(help_text="The moment for which it counts")
    attempt = models.PositiveSmallIntegerField(default=1)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    outcome = models.CharField(max_length=9, choices=RunOutcome.choices)
    inserted = models.PositiveIntegerField()
    revised = models.PositiveIntegerField()
    failed = ArrayField(models.CharField(max_length=20), default=list, help_text="Symbols that nobody delivered")
    detail = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subscription", "slot", "attempt"], name="subscription_run_once"),
            models.CheckConstraint(condition=Q(outcome__in=RunOutcome.values), name="subscription_run_outcome"),
        ]

    def __str__(self) -> str:
        return f"{self.subscription_id} for {self.slot:%Y-%m-%d %H:%M}"
