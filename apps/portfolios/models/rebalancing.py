from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from apps.core.money import MONEY_DIGITS, MONEY_PLACES, PRICE_DIGITS, PRICE_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES
from apps.core.trading import Side
from apps.portfolios.domain.drift import WEIGHT_DIGITS, WEIGHT_PLACES
from apps.portfolios.domain.rebalancing import ENDED, Every, RebalanceReason, RebalanceStatus, StopAction, TradeReason
from apps.portfolios.models.portfolios import Book, Portfolio

FRACTION: dict[str, Any] = {"max_digits": 12, "decimal_places": 8}
MONEY: dict[str, Any] = {"max_digits": MONEY_DIGITS, "decimal_places": MONEY_PLACES}


class TargetPlan(models.Model):
    """The weights that a portfolio should have from a day on, and when it is brought back to them. Append-only: a change is a new plan.

    On a day the plan with the latest `effective_on` not after it holds, of several the one that was recorded last.
    """

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="target_plans")
    effective_on = models.DateField(help_text="Market date from which it holds")
    reason = models.CharField(max_length=200)
    drift_threshold = models.DecimalField(**FRACTION, default="0.05", help_text="A larger drift asks for a rebalance")
    band = models.DecimalField(**FRACTION, default="0.005", help_text="A drift up to this is not traded")
    price_tolerance = models.DecimalField(**FRACTION, default="0.02", help_text="A proposal is stale once a price has moved by more")
    drift_check = models.CharField(max_length=9, choices=[(x.value, x.value) for x in Every], default=Every.WEEK.value)
    schedule = models.CharField(max_length=9, choices=[(x.value, x.value) for x in Every], default=Every.NEVER.value)
    stop_loss = models.CharField(max_length=7, choices=[(x.value, x.name.title()) for x in StopAction], default=StopAction.PROPOSE.value)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="target_plan_fractions",
                condition=Q(drift_threshold__gt=0, drift_threshold__lte=1, band__gte=0, band__lt=1, price_tolerance__gt=0, price_tolerance__lte=1),
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="target_plan_has_reason"),
            models.CheckConstraint(
                name="target_plan_choices",
                condition=Q(
                    drift_check__in=[x.value for x in Every], schedule__in=[x.value for x in Every], stop_loss__in=[x.value for x in StopAction]
                ),
            ),
        ]
        indexes = [models.Index(fields=["portfolio", "-effective_on", "-id"], name="target_plan_in_force")]

    def __str__(self) -> str:
        return f"targets of {self.portfolio} from {self.effective_on}"


class TargetWeight(models.Model):
    """One instrument's target: a fraction of the portfolio's equity. Append-only; the database holds their sum at 1 or below."""

    plan = models.ForeignKey(TargetPlan, on_delete=models.PROTECT, related_name="weights")
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    weight = models.DecimalField(max_digits=WEIGHT_DIGITS, decimal_places=WEIGHT_PLACES)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["plan", "instrument"], name="target_weight_once"),
            models.CheckConstraint(condition=Q(weight__gte=0, weight__lte=1), name="target_weight_fraction"),
        ]

    def __str__(self) -> str:
        return f"{self.instrument} {self.weight}"


class RebalanceProposal(models.Model):
    """Trades that would bring a portfolio to its targets, with all numbers that they were made of. Append-only.

    Money is in the portfolio's currency. `skipped` are drifts left as they are: [symbol, why]. Where it stands, its events say.
    """

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="rebalances")
    plan = models.ForeignKey(TargetPlan, null=True, on_delete=models.PROTECT, related_name="+", help_text="None: a stop without targets")
    reason = models.CharField(max_length=15, choices=[(x.value, x.value) for x in RebalanceReason])
    session = models.DateField()
    market_time = models.DateTimeField()
    equity = models.DecimalField(**MONEY)
    cash_before = models.DecimalField(**MONEY)
    cash_after = models.DecimalField(**MONEY)
    max_drift = models.DecimalField(**FRACTION)
    total_drift = models.DecimalField(**FRACTION)
    turnover = models.DecimalField(**FRACTION, help_text="Value of all trades over equity, half")
    estimated_cost = models.DecimalField(**MONEY, help_text="Commission and slippage")
    commission = models.DecimalField(**MONEY, help_text="Per order")
    slippage_bps = models.DecimalField(max_digits=8, decimal_places=4)
    price_tolerance = models.DecimalField(**FRACTION)
    vix = models.FloatField(null=True)
    vix_regime = models.CharField(max_length=30, blank=True)
    stop_threshold = models.DecimalField(**FRACTION, null=True)
    skipped = models.JSONField(default=list)
    expires_at = models.DateTimeField(help_text="Wall time after which it is not executed")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", help_text="None: the watch")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(reason__in=[x.value for x in RebalanceReason]), name="rebalance_reason"),
            models.CheckConstraint(condition=Q(estimated_cost__gte=0), name="rebalance_cost"),
        ]
        indexes = [models.Index(fields=["portfolio", "-id"], name="rebalance_of_portfolio")]

    def __str__(self) -> str:
        return f"rebalance {self.pk} of {self.portfolio}"


class RebalanceTrade(models.Model):
    """One trade of a proposal, in the order in which they are sent: sales first. Append-only.

    `price` is in the instrument's currency, `value`, costs and `realised` in the portfolio's. `realised` is what the lots that the sale
    would close have earned at that price, `realised_short_term` the part of lots held for a year or less; None for a purchase.
    The order is sent under `client_order_id`, so it cannot be sent twice.
    """

    proposal = models.ForeignKey(RebalanceProposal, on_delete=models.PROTECT, related_name="trades")
    number = models.PositiveSmallIntegerField()
    book = models.ForeignKey(Book, on_delete=models.PROTECT, related_name="+")
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    side = models.CharField(max_length=4, choices=[(x.value, x.name) for x in Side])
    quantity = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES)
    held = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES, help_text="In the book, when it was proposed")
    price = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES)
    price_time = models.DateTimeField()
    price_source = models.CharField(max_length=50)
    value = models.DecimalField(**MONEY)
    commission = models.DecimalField(**MONEY)
    slippage = models.DecimalField(**MONEY)
    weight_before = models.DecimalField(**FRACTION)
    target_weight = models.DecimalField(max_digits=WEIGHT_DIGITS, decimal_places=WEIGHT_PLACES)
    weight_after = models.DecimalField(**FRACTION)
    reason = models.CharField(max_length=9, choices=[(x.value, x.value) for x in TradeReason])
    drawdown = models.DecimalField(**FRACTION, null=True, help_text="From the average cost, of what a stop ends")
    realised = models.DecimalField(**MONEY, null=True)
    realised_short_term = models.DecimalField(**MONEY, null=True)
    client_order_id = models.UUIDField(unique=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["proposal", "number"], name="rebalance_trade_number"),
            models.UniqueConstraint(fields=["proposal", "instrument"], name="rebalance_trade_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0, price__gt=0, commission__gte=0, slippage__gte=0), name="rebalance_trade_positive"),
            models.CheckConstraint(
                condition=Q(side=Side.BUY.value) | Q(side=Side.SELL.value, quantity__lte=models.F("held")), name="rebalance_trade_not_oversold"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.instrument}"

    @property
    def cost(self) -> Decimal:
        """Expected commission and slippage."""
        return self.commission + self.slippage


class RebalanceEvent(models.Model):
    """One step of a rebalance (`rebalance_events` of the first design). Append-only; the last one of a proposal is its status.

    `num_trades` and `total_cost` are what is proposed while it is pending, and what was really traded and paid at its end.
    """

    proposal = models.ForeignKey(RebalanceProposal, on_delete=models.PROTECT, related_name="events")
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="rebalance_events")
    date = models.DateField(help_text="Session of the market")
    reason = models.CharField(max_length=15, choices=[(x.value, x.value) for x in RebalanceReason])
    max_drift = models.DecimalField(**FRACTION)
    num_trades = models.PositiveIntegerField()
    total_cost = models.DecimalField(**MONEY)
    status = models.CharField(max_length=9, choices=[(x.value, x.name.title()) for x in RebalanceStatus])
    detail = models.TextField(blank=True)
    excluded = models.JSONField(default=list, help_text="Symbols that the person who executed left out")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", help_text="None: the watch")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["proposal", "status"], name="rebalance_step_once"),
            models.UniqueConstraint(fields=["proposal"], condition=Q(status__in=ENDED), name="rebalance_ends_once"),
            models.CheckConstraint(condition=Q(status__in=[x.value for x in RebalanceStatus]), name="rebalance_event_status"),
        ]
        indexes = [models.Index(fields=["portfolio", "-id"], name="rebalance_event_of_portfolio")]

    def __str__(self) -> str:
        return f"{self.status} {self.proposal}"
