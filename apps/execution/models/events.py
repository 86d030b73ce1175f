from django.db import models
from django.db.models import Q

from apps.core.money import MONEY_DIGITS, MONEY_PLACES, PRICE_DIGITS, PRICE_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES
from apps.execution.domain.states import MESSAGES
from apps.execution.models.orders import Order


class OrderDecision(models.Model):
    """What risk or compliance said of one exact intent, with every check and its numbers. Append-only.

    The database lets an order leave PENDING_NEW for SENT only while an allowing, unexpired decision of each authority exists
    for the order's intent digest.
    """

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="decisions", db_index=False)
    authority = models.CharField(max_length=10, choices=[("risk", "Risk"), ("compliance", "Compliance")])
    intent_digest = models.CharField(max_length=64)
    allowed = models.BooleanField()
    checks = models.JSONField()
    decided_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "authority", "intent_digest", "decided_at"], name="decision_once"),
            models.CheckConstraint(condition=Q(authority__in=["risk", "compliance"]), name="decision_authority"),
        ]

    def __str__(self) -> str:
        return f"{self.authority} {'allows' if self.allowed else 'denies'} order {self.order_id}"


class OrderEvent(models.Model):
    """One step of an order's life: from which status to which, why, and on whose word. Append-only."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="events", db_index=False)
    kind = models.CharField(max_length=20, help_text="FIX 150 ExecType: new, trade, canceled, ...")
    from_status = models.CharField(max_length=20, blank=True)
    to_status = models.CharField(max_length=20)
    source = models.CharField(max_length=20, help_text='"desk", "gate" or the broker')
    data = models.JSONField(default=dict)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    stamped_at = models.DateTimeField(
        null=True, help_text="By the database's one clock: when it was written, and of a new order when its transaction began"
    )

    class Meta:
        indexes = [
            models.Index(fields=["order", "id"], name="order_event_order"),
            models.Index(fields=["kind", "recorded_at"], condition=Q(kind__in=[x.value for x in MESSAGES]), name="order_event_message"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of order {self.order_id}"


class Fill(models.Model):
    """One execution. Append-only, once per broker and execution id."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="fills", db_index=False)
    broker = models.CharField(max_length=20)
    execution_id = models.CharField(max_length=100)
    quantity = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES)
    price = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES)
    fee = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, default=0)
    quote = models.JSONField(default=dict, help_text="The price it was matched against: price, market_time, source, slippage_bps")
    market_time = models.DateTimeField()
    executed_at = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "execution_id"], name="fill_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0, price__gt=0, fee__gte=0), name="fill_values"),
        ]
        indexes = [models.Index(fields=["order", "id"], name="fill_order")]

    def __str__(self) -> str:
        return f"fill {self.execution_id} of order {self.order_id}"
