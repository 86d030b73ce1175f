from django.conf import settings
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from apps.core.money import MONEY_DIGITS, MONEY_PLACES, PRICE_DIGITS, PRICE_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES
from apps.core.trading import Side
from apps.execution.domain.algos import Algo, AlgoStatus


class AlgoOrder(models.Model):
    """A parent order that an algorithm works by children. It was judged for its whole quantity; each child is judged again.

    What was ordered never changes; the database lets its status move by `domain.algos.ALGO_MOVES` only, and lets no child in that would
    make what has traded and what works exceed the parent.
    """

    client_order_id = models.UUIDField()
    portfolio = models.ForeignKey("portfolios.Portfolio", on_delete=models.PROTECT, related_name="+")
    book = models.ForeignKey("portfolios.Book", on_delete=models.PROTECT, related_name="+")
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    side = models.CharField(max_length=4, choices=[(x.value, x.name) for x in Side])
    quantity = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES)
    limit_price = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, null=True, blank=True)
    strategy = models.CharField(max_length=100, blank=True)
    algo = models.CharField(max_length=10, choices=[(x.value, x.name.title()) for x in Algo])
    parameters = models.JSONField(default=dict)
    plan = models.JSONField(default=dict, help_text="Slices in seconds and shares, and from what they were made")
    participation_cap = models.DecimalField(max_digits=5, decimal_places=4, null=True, blank=True, help_text="Share of the total volume")
    start_at = models.DateTimeField(help_text="In market time")
    end_at = models.DateTimeField(help_text="In market time; pauses move it, at most to the session's close")
    latest_end_at = models.DateTimeField(help_text="The close of its session, in market time")
    paused_at = models.DateTimeField(null=True, blank=True, help_text="In market time, while it is paused")
    paused_for = models.DurationField(help_text="Market time of all pauses that are over")
    status = models.CharField(max_length=10, choices=[(x.value, x.name.title()) for x in AlgoStatus], default=AlgoStatus.PENDING.value)
    reason = models.CharField(max_length=500, blank=True, help_text="Why it stands where it stands")
    intent_digest = models.CharField(max_length=64)
    reference_price = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, null=True, help_text="At the gate: the arrival price")
    note = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    market_time = models.DateTimeField(help_text="Market time when it was made")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    history = HistoricalRecords()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "client_order_id"], name="algo_client_id_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="algo_quantity_positive"),
            models.CheckConstraint(condition=Q(limit_price__isnull=True) | Q(limit_price__gt=0), name="algo_limit_price"),
            models.CheckConstraint(condition=Q(algo__in=[x.value for x in Algo]), name="algo_kind"),
            models.CheckConstraint(condition=Q(status__in=[x.value for x in AlgoStatus]), name="algo_status"),
            models.CheckConstraint(
                condition=Q(participation_cap__isnull=True) | Q(participation_cap__gt=0, participation_cap__lt=1), name="algo_participation_cap"
            ),
            models.CheckConstraint(condition=Q(start_at__lt=models.F("end_at"), end_at__lte=models.F("latest_end_at")), name="algo_times"),
            models.CheckConstraint(
                condition=Q(status=AlgoStatus.PAUSED.value, paused_at__isnull=False)
                | (~Q(status=AlgoStatus.PAUSED.value) & Q(paused_at__isnull=True)),
                name="algo_paused_at",
            ),
        ]
        indexes = [
            models.Index(fields=["portfolio", "-id"], name="algo_portfolio"),
            models.Index(fields=["status"], condition=Q(status__in=["working", "paused"]), name="algo_active"),
        ]

    def __str__(self) -> str:
        return f"{self.algo} {self.pk}: {self.side} {self.quantity} {self.instrument}"


class AlgoDecision(models.Model):
    """What risk or compliance said of the whole parent, with every check and its numbers. Append-only."""

    algo = models.ForeignKey(AlgoOrder, on_delete=models.PROTECT, related_name="decisions")
    authority = models.CharField(max_length=10, choices=[("risk", "Risk"), ("compliance", "Compliance")])
    intent_digest = models.CharField(max_length=64)
    allowed = models.BooleanField()
    checks = models.JSONField()
    decided_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["algo", "authority"], name="algo_decision_once")]

    def __str__(self) -> str:
        return f"{self.authority} {'allows' if self.allowed else 'denies'} parent {self.algo_id}"


class AlgoEvent(models.Model):
    """One step of a parent's life. Append-only."""

    algo = models.ForeignKey(AlgoOrder, on_delete=models.PROTECT, related_name="events")
    kind = models.CharField(max_length=20)
    data = models.JSONField(default=dict)
    market_time = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["algo", "id"], name="algo_event_algo")]

    def __str__(self) -> str:
        return f"{self.kind} of parent {self.algo_id}"


class Venue(models.Model):
    """A (simulated) place where orders meet displayed quotes."""

    name = models.CharField(max_length=20, unique=True)
    taker_fee = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, default=0, help_text="Per share, a rebate is negative")
    maker_fee = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, default=0, help_text="Per share, a rebate is negative")
    latency_ms = models.PositiveIntegerField(default=0)
    active = models.BooleanField(default=True)
    history = HistoricalRecords()

    def __str__(self) -> str:
        return self.name


class OrderProtection(models.Model):
    """From which day orders had to take the best displayed price first (Regulation NMS rule 611), and since when no longer. Append-only."""

    effective_from = models.DateField(unique=True)
    in_force = models.BooleanField()
    source = models.CharField(max_length=200)
    recorded_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"order protection {'in force' if self.in_force else 'not in force'} from {self.effective_from}"


class RoutingDecision(models.Model):
    """Which venues took which part of a parent, with all that they displayed at that moment: for best execution. Append-only."""

    algo = models.OneToOneField(AlgoOrder, on_delete=models.PROTECT, related_name="routing")
    quantity = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES)
    best_bid = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, null=True)
    best_ask = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, null=True)
    order_protection = models.BooleanField()
    quotes = models.JSONField(help_text="Every active venue: price, size, fee, source")
    routes = models.JSONField(help_text="Venue, quantity and price in routing order")
    remainder = models.JSONField(help_text="What no venue took, and what was done with it")
    market_time = models.DateTimeField()
    recorded_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"routing of parent {self.algo_id}"
