"""Who is told when nobody acknowledges an alert."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from apps.alerts.domain.wishes import Wishes
from apps.alerts.models.alerts import Alert, Severity
from apps.core.roles import Role

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

ROLES = [(role.value, role.value) for role in Role]


class EscalationPolicy(models.Model):
    """A ladder of people for alerts that stay open. It begins with alerts raised after `active_from`, never with older ones."""

    name = models.CharField(max_length=80, unique=True)
    minimum = models.CharField(max_length=8, choices=Severity.choices, default=Severity.CRITICAL, help_text="Least severity")
    kinds = ArrayField(models.CharField(max_length=60), default=list, blank=True, help_text="Beginnings of codes, by commas; empty for all")
    portfolios = ArrayField(models.BigIntegerField(), default=list, blank=True, help_text="Ids of portfolios, by commas; empty for all")
    repeat_minutes = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Tell the last step's people again every so many minutes; empty: the last step is the last word"
    )
    active_from = models.DateTimeField()
    active_to = models.DateTimeField(null=True, blank=True, help_text="Exclusive; empty means until further notice")
    reason = models.CharField(max_length=500)
    history = HistoricalRecords()

    # Type only: django-simple-history reads these from the instance when it saves a history row.
    _history_user: "AbstractBaseUser"
    _change_reason: str

    class Meta:
        verbose_name_plural = "escalation policies"
        constraints = [
            models.CheckConstraint(condition=Q(minimum__in=Severity.values), name="escalation_minimum"),
            models.CheckConstraint(condition=Q(repeat_minutes__isnull=True) | Q(repeat_minutes__gte=1), name="escalation_repeat"),
            models.CheckConstraint(condition=Q(active_to__isnull=True) | Q(active_to__gt=F("active_from")), name="escalation_dates"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def wishes(self) -> Wishes:
        """Which alerts it takes up."""
        return Wishes(minimum=self.minimum, kinds=tuple(self.kinds), portfolios=tuple(self.portfolios))


class EscalationStep(models.Model):
    """One rung: after so many minutes, this role's people or this person."""

    policy = models.ForeignKey(EscalationPolicy, on_delete=models.PROTECT, related_name="steps")
    position = models.PositiveSmallIntegerField(help_text="From 1")
    after_minutes = models.PositiveSmallIntegerField(help_text="Since the step before, or since the alert")
    role = models.CharField(max_length=12, choices=ROLES, blank=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    history = HistoricalRecords()

    _history_user: "AbstractBaseUser"

    class Meta:
        ordering = ("policy", "position")
        constraints = [
            models.UniqueConstraint(fields=["policy", "position"], name="escalation_step_once"),
            models.CheckConstraint(condition=Q(position__gte=1, after_minutes__gte=1), name="escalation_step_numbers"),
            models.CheckConstraint(
                condition=Q(role="", user__isnull=False) | (~Q(role="") & Q(user__isnull=True)), name="escalation_step_role_or_person"
            ),
        ]

    def __str__(self) -> str:
        return self.role or str(self.user)


class AlertEscalation(models.Model):
    """A step that was taken: whom the desk told. `number` counts the escalations of the alert from 1."""

    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="escalations")
    policy = models.ForeignKey(EscalationPolicy, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField()
    step = models.PositiveSmallIntegerField(help_text="Position of the step")
    told = models.CharField(max_length=160, help_text="Role or person of the step, as it was")
    people = ArrayField(models.BigIntegerField(), default=list, help_text="Ids of the users who were told")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["alert", "number"], name="alert_escalation_once")]

    def __str__(self) -> str:
        return f"{self.alert_id} to {self.told}"
