from django.db import models

from apps.execution.domain.states import OrderEventKind
from apps.execution.models.events import OrderEvent

ASKING = (OrderEventKind.SENT.value, OrderEventKind.PENDING_CANCEL.value, OrderEventKind.PENDING_REPLACE.value)


class BrokerRequest(models.Model):
    """A request that a broker's process is about to make, committed before a byte of it leaves. Append-only.

    `event` is what asked for it. An order, and each change of it, is sent at most once, and the database holds that; a cancel may be
    asked for again. Whatever has a row here may have reached the broker: it is looked up, never sent again.
    """

    event = models.ForeignKey(OrderEvent, on_delete=models.PROTECT, related_name="requests")
    kind = models.CharField(max_length=20, choices=[(kind, kind.replace("_", " ").title()) for kind in ASKING])
    broker_order_id = models.BigIntegerField(help_text="The id under which the broker was told of the order")
    client_id = models.IntegerField(help_text="Who we were at the gateway")
    gateway = models.CharField(max_length=100)
    attempted_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["event"], condition=~models.Q(kind=OrderEventKind.PENDING_CANCEL.value), name="request_sent_once"),
            models.CheckConstraint(condition=models.Q(kind__in=ASKING), name="request_kind"),
        ]
        indexes = [models.Index(fields=["event", "-id"], name="request_event")]

    def __str__(self) -> str:
        return f"{self.kind} of order {self.event.order_id} at {self.gateway}"
