from django.db import models
from simple_history.models import HistoricalRecords

from apps.compliance.domain.regimes import AccountType, Regime
from apps.core.trading import TradingMode

ESTIMATE = "Of another broker it is what is expected, for previews: what was taken comes with the fills"


class BrokerageAccount(models.Model):
    """Where a portfolio's orders go. Paper or live is a property of this row, checked where the adapter is built."""

    portfolio = models.OneToOneField("portfolios.Portfolio", on_delete=models.PROTECT, related_name="+")
    broker = models.CharField(max_length=20, choices=[("paper", "Paper"), ("ib", "Interactive Brokers"), ("alpaca", "Alpaca")])
    mode = models.CharField(max_length=5, choices=[(mode.value, mode.name.title()) for mode in TradingMode], default=TradingMode.PAPER)
    number = models.CharField(max_length=50, unique=True)
    slippage_bps = models.DecimalField(
        max_digits=8, decimal_places=4, default=5, help_text=f"Paper fills are this much worse than the market. {ESTIMATE}"
    )
    commission = models.DecimalField(
        max_digits=20, decimal_places=4, default=1, help_text=f"Per order, at least; a paper account charges it with the first fill. {ESTIMATE}"
    )
    commission_per_share = models.DecimalField(max_digits=12, decimal_places=6, default=0, help_text=f"Not of a paper account. {ESTIMATE}")
    commission_cap = models.DecimalField(
        max_digits=5,
        decimal_places=4,
        null=True,
        blank=True,
        help_text=f"Fraction of an order's value that the commission never exceeds. Not of a paper account. {ESTIMATE}",
    )
    displayed_share = models.DecimalField(
        max_digits=5,
        decimal_places=4,
        null=True,
        blank=True,
        default=1,
        help_text="Fraction of the size displayed at bid or ask which one paper order takes; empty: any size fills whole",
    )
    latency_ms = models.PositiveIntegerField(default=0, help_text="A paper order, or its change, waits so long before it can trade; 0: not at all")
    reject_share = models.DecimalField(max_digits=5, decimal_places=4, default=0, help_text="Fraction of paper orders that is rejected on purpose")
    reject_seed = models.PositiveIntegerField(default=0, help_text="Which ones: that follows from this and the client order id")
    account_type = models.CharField(
        max_length=6,
        choices=[(kind.value, kind.name.title()) for kind in AccountType],
        default=AccountType.CASH.value,
        help_text="What the broker keeps",
    )
    day_trading_regime = models.CharField(
        max_length=15, choices=[(regime.value, regime.value) for regime in Regime], blank=True, help_text="Of a margin account (FINRA Rule 4210)"
    )
    regime_confirmed_with_broker_on = models.DateField(null=True, blank=True)
    regime_source = models.CharField(max_length=200, blank=True, help_text="Who at the broker said it, or the document that says it")
    house_rule = models.BooleanField(default=False, help_text="It is held to PDT_LEGACY whatever the law says")
    pattern_day_trader_since = models.DateField(null=True, blank=True, help_text="Stays until somebody takes it away: a firm may, once")
    frozen_until = models.DateField(null=True, blank=True, help_text="Last day of a freeze for unmet intraday deficits, as the broker told it")
    history = HistoricalRecords()

    class Meta:
        permissions = [("change_account_terms", "Can say which day-trading rules an account is held to")]
        constraints = [
            models.CheckConstraint(condition=~models.Q(broker="paper") | models.Q(mode=TradingMode.PAPER), name="account_paper_is_paper"),
            models.CheckConstraint(
                # Interactive Brokers' numbers say it themselves: DU... (an adviser's DF...) trades on paper, every other one may cost money.
                condition=~models.Q(broker="ib")
                | models.Q(mode=TradingMode.PAPER.value, number__regex="^D[UF]")
                | models.Q(~models.Q(number__regex="^D[UF]"), mode=TradingMode.LIVE.value),
                name="account_ib_number_has_its_mode",
            ),
            models.CheckConstraint(
                # And Alpaca's: PA... trades on paper.
                condition=~models.Q(broker="alpaca")
                | models.Q(mode=TradingMode.PAPER.value, number__startswith="PA")
                | models.Q(~models.Q(number__startswith="PA"), mode=TradingMode.LIVE.value),
                name="account_alpaca_number_has_its_mode",
            ),
            models.CheckConstraint(condition=models.Q(slippage_bps__gte=0, commission__gte=0), name="account_costs"),
            models.CheckConstraint(
                condition=models.Q(commission_per_share__gte=0, commission_cap__gt=0, commission_cap__lte=1), name="account_estimates"
            ),
            models.CheckConstraint(
                condition=~models.Q(broker="paper") | models.Q(commission_per_share=0, commission_cap__isnull=True),
                name="account_paper_charges_per_order",
            ),
            models.CheckConstraint(condition=models.Q(displayed_share__gt=0, displayed_share__lte=1), name="account_displayed_share"),
            models.CheckConstraint(condition=models.Q(reject_share__gte=0, reject_share__lte=1), name="account_reject_share"),
            models.CheckConstraint(condition=models.Q(broker="paper") | models.Q(latency_ms=0, reject_share=0), name="account_faults_are_of_paper"),
            models.CheckConstraint(
                condition=models.Q(account_type=AccountType.MARGIN.value) & ~models.Q(day_trading_regime="")
                | models.Q(
                    account_type=AccountType.CASH.value,
                    day_trading_regime="",
                    regime_confirmed_with_broker_on__isnull=True,
                    house_rule=False,
                    pattern_day_trader_since__isnull=True,
                    frozen_until__isnull=True,
                ),
                name="account_margin_has_a_regime",
            ),
            models.CheckConstraint(
                condition=models.Q(regime_confirmed_with_broker_on__isnull=True) | ~models.Q(regime_source=""), name="account_regime_has_a_source"
            ),
            models.CheckConstraint(
                condition=models.Q(house_rule=False) | models.Q(day_trading_regime=Regime.PDT_LEGACY.value), name="account_house_rule_is_legacy"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} ({self.broker}, {self.mode})"
