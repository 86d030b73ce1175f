"""Where a person's alerts go besides the screen."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from apps.alerts.domain.wishes import LONGEST_DIGEST, Wishes
from apps.alerts.models.alerts import Severity

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


class Channel(models.TextChoices):
    EMAIL = "email", "E-mail"
    WEBHOOK = "webhook", "Webhook"


class AlertRoute(models.Model):
    """One way out for a person's alerts, with what they want to get by it. A route that is removed ends, and its deliveries stay.

    The secret that signs a webhook is not stored: it is derived from the desk's own key, the route and `secret_version`.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    channel = models.CharField(max_length=8, choices=Channel.choices)
    target = models.CharField(max_length=500, help_text="An e-mail address, or a webhook's URL")
    minimum = models.CharField(max_length=8, choices=Severity.choices, default=Severity.WARNING, help_text="Least severity")
    kinds = ArrayField(models.CharField(max_length=60), default=list, blank=True, help_text="Beginnings of codes; none for all")
    portfolios = ArrayField(models.BigIntegerField(), default=list, blank=True, help_text="Ids of portfolios; none for all")
    quiet_from = models.TimeField(null=True, blank=True, help_text="Quiet hours, in the time zone; critical alerts pass")
    quiet_to = models.TimeField(null=True, blank=True)
    time_zone = models.CharField(max_length=60, default="UTC")
    digest_minutes = models.PositiveSmallIntegerField(default=0, help_text="One message for so many minutes of alerts; 0: each at once")
    secret_version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    history = HistoricalRecords()

    # Type only: django-simple-history reads this from the instance when it saves a history row.
    _history_user: "AbstractBaseUser"

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(channel__in=Channel.values), name="alert_route_channel"),
            models.CheckConstraint(condition=Q(minimum__in=Severity.values), name="alert_route_minimum"),
            models.CheckConstraint(condition=~Q(target=""), name="alert_route_target"),
            models.CheckConstraint(condition=Q(digest_minutes__lte=LONGEST_DIGEST), name="alert_route_digest"),
            models.CheckConstraint(
                condition=Q(quiet_from__isnull=True, quiet_to__isnull=True)
                | (Q(quiet_from__isnull=False, quiet_to__isnull=False) & ~Q(quiet_from=F("quiet_to"))),
                name="alert_route_quiet_hours",
            ),
        ]
        indexes = [models.Index(fields=["user"], condition=Q(ended_at__isnull=True), name="alert_route_in_use")]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} to {self.target}"

    @property
    def wishes(self) -> Wishes:
        """What the owner wants, as the domain reads it."""
        return Wishes(
            minimum=self.minimum,
            kinds=tuple(self.kinds),
            portfolios=tuple(self.portfolios),
            quiet_from=self.quiet_from,
            quiet_to=self.quiet_to,
            time_zone=self.time_zone,
            digest_minutes=self.digest_minutes,
        )
