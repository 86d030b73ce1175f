from decimal import Decimal
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from apps.core.money import PRICE_DIGITS, PRICE_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES, ZERO
from apps.core.trading import OrderType, Side, TimeInForce
from apps.execution.domain.states import TERMINAL_STATUSES, OrderStatus

#: In this order in the partial index and in the queries that mean to use it.
ENDED = [x.value for x in OrderStatus if x in TERMINAL_STATUSES]
STATUS_CHOICES = [(x.value, x.name.replace("_", " ").title()) for x in OrderStatus]


class OrderQuerySet(models.QuerySet):
    def working(self) -> Self:
        """Orders that may still trade."""
        return self.exclude(status__in=ENDED)


class Order(models.Model):
    """One order, denied ones included. Its history is in its events; this row is where it stands.

    `client_order_id` is the desk's name of it at every broker, so no other order of the desk has it, whatever the portfolio.
    """

    client_order_id = models.UUIDField()
    # No index of its own where a longer one below begins with it: every order writes each of them twice.
    portfolio = models.ForeignKey("portfolios.Portfolio", on_delete=models.PROTECT, related_name="+", db_index=False)
    book = models.ForeignKey("portfolios.Book", on_delete=models.PROTECT, related_name="+")
    account = models.ForeignKey("execution.BrokerageAccount", on_delete=models.PROTECT, related_name="orders")
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    side = models.CharField(max_length=4, choices=[(x.value, x.name) for x in Side])
    quantity = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES)
    order_type = models.CharField(max_length=15, choices=[(x.value, x.name) for x in OrderType])
    time_in_force = models.CharField(max_length=3, choices=[(x.value, x.name) for x in TimeInForce])
    limit_price = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, null=True, blank=True)
    stop_price = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, null=True, blank=True)
    trail_offset = models.DecimalField(
        max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, null=True, blank=True, help_text="How far the stop follows the best price"
    )
    expire_at = models.DateTimeField(null=True, blank=True, help_text="End of a good-till-date order, in market time")
    strategy = models.CharField(max_length=100, blank=True)
    note = models.CharField(max_length=200, blank=True)
    algo = models.ForeignKey("execution.AlgoOrder", on_delete=models.PROTECT, null=True, blank=True, related_name="children", db_index=False)
    slice = models.PositiveIntegerField(null=True, blank=True, help_text="Which child of its parent it is")
    venue = models.CharField(max_length=20, blank=True, help_text="Where it was routed to; empty: the broker decides")
    group = models.ForeignKey("execution.OrderGroup", on_delete=models.PROTECT, null=True, blank=True, related_name="orders", db_index=False)
    group_role = models.CharField(max_length=15, blank=True, help_text="What it is in its bracket or OCO pair")
    lots = models.JSONField(null=True, blank=True, help_text="Lots that it closes, in this order: [lot, quantity as text]; null: by the lot method")
    intent_digest = models.CharField(max_length=64)
    status = models.CharField(max_length=20, choices=STATUS_CHOICES, default=OrderStatus.PENDING_NEW.value)
    stop_triggered = models.BooleanField(default=False)
    working_stop = models.DecimalField(
        max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, null=True, blank=True, help_text="Where a trailing stop stands now"
    )
    cumulative_quantity = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES, default=0)
    average_price = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, null=True)
    reference_price = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, null=True, help_text="At the gate: the arrival price")
    reason = models.CharField(max_length=500, blank=True, help_text="Why it was denied, rejected or cancelled")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    market_time = models.DateTimeField(null=True, help_text="Market time when it was made (differs from created_at in a replay)")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    sent_at = models.DateTimeField(
        null=True, editable=False, help_text="When it was given to its broker: the database writes it, with all that sending takes, and nobody else"
    )
    revision = models.BigIntegerField(default=0, editable=False, help_text="The database gives each write of an order the next one")
    # Of a past row one asks by its order and its time: every other index would be written twice for each order, and read by nobody.
    history = HistoricalRecords(no_db_index=["portfolio", "book", "account", "instrument", "algo", "group", "created_by"])

    objects = OrderQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["client_order_id"], name="order_client_id_once"),
            models.CheckConstraint(condition=Q(status__in=[x.value for x in OrderStatus]), name="order_status"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="order_quantity_positive"),
            models.CheckConstraint(condition=Q(cumulative_quantity__gte=0, cumulative_quantity__lte=F("quantity")), name="order_never_overfilled"),
            models.CheckConstraint(condition=~Q(status=OrderStatus.FILLED.value) | Q(cumulative_quantity=F("quantity")), name="order_filled_is_full"),
            models.CheckConstraint(
                condition=Q(order_type__in=["limit", "stop_limit"], limit_price__gt=0)
                | Q(order_type__in=["market", "stop", "trailing_stop", "market_on_close"], limit_price__isnull=True),
                name="order_limit_price",
            ),
            models.CheckConstraint(
                condition=Q(order_type__in=["stop", "stop_limit"], stop_price__gt=0)
                | Q(order_type__in=["market", "limit", "trailing_stop", "market_on_close"], stop_price__isnull=True),
                name="order_stop_price",
            ),
            models.CheckConstraint(
                condition=Q(order_type="trailing_stop", trail_offset__gt=0)
                | (~Q(order_type="trailing_stop") & Q(trail_offset__isnull=True, working_stop__isnull=True)),
                name="order_trail_offset",
            ),
            models.CheckConstraint(
                condition=Q(time_in_force="gtd", expire_at__isnull=False) | (~Q(time_in_force="gtd") & Q(expire_at__isnull=True)),
                name="order_expire_at",
            ),
            models.UniqueConstraint(fields=["algo", "slice"], condition=Q(algo__isnull=False), name="order_slice_once"),
            models.CheckConstraint(
                condition=Q(algo__isnull=True, slice__isnull=True) | Q(algo__isnull=False, slice__isnull=False), name="order_slice"
            ),
            models.UniqueConstraint(
                fields=["group", "group_role"], condition=Q(group__isnull=False) & ~Q(status__in=ENDED), name="order_group_role_works_once"
            ),
            models.CheckConstraint(
                condition=Q(group__isnull=True, group_role="") | (Q(group__isnull=False) & ~Q(group_role="")), name="order_group_role"
            ),
            models.CheckConstraint(condition=~Q(order_type="market_on_close") | Q(time_in_force="day"), name="order_on_close_is_for_the_day"),
        ]
        indexes = [
            models.Index(fields=["portfolio", "-id"], name="order_portfolio"),
            models.Index(fields=["group", "group_role"], condition=Q(group__isnull=False), name="order_group"),
            models.Index(
                fields=["portfolio", "instrument"],
                condition=~Q(status__in=ENDED),
                name="order_working",
            ),
            models.Index(fields=["portfolio", "created_at"], name="order_rate"),
            models.Index(fields=["portfolio", "revision"], name="order_revision"),
        ]

    def __str__(self) -> str:
        return f"order {self.pk}: {self.side} {self.quantity} {self.instrument}"

    @property
    def leaves_quantity(self) -> Decimal:
        """What may still fill: zero once the order is terminal."""
        return ZERO if self.status in TERMINAL_STATUSES else self.quantity - self.cumulative_quantity


class OrderReplacement(models.Model):
    """A change that somebody asked for, judged like a new order. Append-only: the order's events say what became of it.

    `intent_digest` is that of the order's intent with these values; the database changes the order to nothing else.
    """

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="replacements")
    replacement_id = models.UUIDField(help_text="The client's own id of this change: asked twice, it is one change")
    quantity = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES)
    time_in_force = models.CharField(max_length=3, choices=[(x.value, x.name) for x in TimeInForce])
    limit_price = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, null=True)
    stop_price = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, null=True)
    trail_offset = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, null=True)
    expire_at = models.DateTimeField(null=True)
    day_since = models.DateTimeField(null=True, help_text="Market time at which another order was to become a day order: its session is that one's")
    intent_digest = models.CharField(max_length=64)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "replacement_id"], name="replacement_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="replacement_quantity_positive"),
        ]

    def __str__(self) -> str:
        return f"change of order {self.order_id} to {self.quantity}"
