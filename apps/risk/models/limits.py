from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords


class LimitKind(models.TextChoices):
    """What a limit limits; the unit stands in brackets."""

    POSITION_SIZE = "position_size", "Position size [shares]"
    POSITION_VALUE = "position_value", "Position value [money]"
    TOTAL_EXPOSURE = "total_exposure", "Gross exposure [money]"
    ORDER_RATE = "order_rate", "Orders of the portfolio [per minute]"
    SYMBOL_ORDER_RATE = "symbol_order_rate", "Orders of one symbol [per minute]"
    PRICE_COLLAR = "price_collar", "Distance of the limit price from the reference price [fraction]"
    DAILY_LOSS = "daily_loss", "Loss since the last session's close [fraction]"
    DRAWDOWN = "drawdown", "Fall from the highest value [fraction]"


class RiskLimit(models.Model):
    """A limit of one portfolio. Orders are blocked above `hard` and warned above `soft`; a missing limit denies."""

    portfolio = models.ForeignKey("portfolios.Portfolio", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=LimitKind.choices)
    soft = models.DecimalField(max_digits=20, decimal_places=6, null=True, blank=True)
    hard = models.DecimalField(max_digits=20, decimal_places=6)
    active_from = models.DateTimeField()
    active_to = models.DateTimeField(null=True, blank=True, help_text="Exclusive; empty means until further notice")
    reason = models.CharField(max_length=500)
    history = HistoricalRecords()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=LimitKind.values), name="risk_limit_kind"),
            models.CheckConstraint(condition=Q(hard__gt=0) & (Q(soft__isnull=True) | Q(soft__gt=0, soft__lte=F("hard"))), name="risk_limit_order"),
            models.CheckConstraint(condition=Q(active_to__isnull=True) | Q(active_to__gt=F("active_from")), name="risk_limit_period"),
            models.UniqueConstraint(fields=["portfolio", "kind"], condition=Q(active_to__isnull=True), name="risk_limit_one_open"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.portfolio}"
