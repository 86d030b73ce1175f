"""The outbox: what is to be sent, what was sent, and every attempt."""

from django.db import models
from django.db.models import Q

from apps.alerts.domain.answers import Outcome
from apps.alerts.models.alerts import Alert
from apps.alerts.models.routes import AlertRoute


class DeliveryState(models.TextChoices):
    COLLECTING = "collecting", "Collecting"
    WAITING = "waiting", "Waiting"
    SENT = "sent", "Sent"
    DEAD = "dead", "Dead"
    DROPPED = "dropped", "Dropped"


#: States that still lead to a message.
UNDER_WAY = (DeliveryState.COLLECTING, DeliveryState.WAITING)


class AlertDelivery(models.Model):
    """One message by one route: a single alert, or a digest that collects them until it is due.

    `key` goes with every attempt, so that whoever gets the message twice can tell. While an attempt is going on, `due_at` stands so far
    ahead that the delivery is taken up again when the process that makes it dies. DEAD: given up. DROPPED: the route or its owner has gone.
    """

    route = models.ForeignKey(AlertRoute, on_delete=models.PROTECT, related_name="deliveries")
    key = models.UUIDField(unique=True)
    state = models.CharField(max_length=10, choices=DeliveryState.choices)
    due_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    attempts_allowed = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    detail = models.CharField(max_length=300, blank=True, help_text="What came of the last attempt")

    class Meta:
        verbose_name_plural = "alert deliveries"
        constraints = [
            models.CheckConstraint(condition=Q(state__in=DeliveryState.values), name="alert_delivery_state"),
            models.CheckConstraint(condition=Q(state__in=UNDER_WAY) ^ Q(finished_at__isnull=False), name="alert_delivery_finished"),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state__in=UNDER_WAY), name="alert_delivery_due"),
            models.Index(fields=["route", "-id"], name="alert_delivery_of_route"),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.key}"


class AlertDeliveryItem(models.Model):
    """An alert in a message. `round` is 0 for the alert itself, and the number of the escalation that sends it again."""

    delivery = models.ForeignKey(AlertDelivery, on_delete=models.PROTECT, related_name="items")
    route = models.ForeignKey(AlertRoute, on_delete=models.PROTECT, related_name="+")
    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="deliveries")
    round = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["route", "alert", "round"], name="alert_delivered_once")]

    def __str__(self) -> str:
        return f"{self.alert_id} in {self.delivery_id}"


class AlertDeliveryAttempt(models.Model):
    """One attempt. A number that is missing belongs to a process that died during its attempt."""

    delivery = models.ForeignKey(AlertDelivery, on_delete=models.PROTECT, related_name="tries")
    number = models.PositiveSmallIntegerField()
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    outcome = models.CharField(max_length=8, choices=[(outcome.value, outcome.value) for outcome in Outcome])
    status = models.PositiveSmallIntegerField(null=True, help_text="Of HTTP or SMTP")
    detail = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["delivery", "number"], name="alert_attempt_once")]

    def __str__(self) -> str:
        return f"{self.number}: {self.outcome}"
