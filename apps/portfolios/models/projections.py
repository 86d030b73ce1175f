from django.db import models
from django.db.models import Q

from apps.core.money import MONEY_DIGITS, MONEY_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES
from apps.portfolios.models.portfolios import Book, Portfolio


class Position(models.Model):
    """What a book holds of an instrument: a projection of the ledger, which can be rebuilt and compared.

    `quantity` and `cost` are signed (negative for a short); `realised` is the sum of its lot closures.
    """

    book = models.ForeignKey(Book, on_delete=models.PROTECT, related_name="positions", db_index=False)
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    quantity = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES, default=0)
    cost = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, default=0)
    realised = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, default=0)
    last_entry_id = models.BigIntegerField(help_text="Ledger entry up to which this is true")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["book", "instrument"], name="position_once"),
            models.CheckConstraint(name="position_flat_costs_nothing", condition=~Q(quantity=0) | Q(cost=0)),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.instrument} in {self.book}"


class CashBalance(models.Model):
    """Cash of a portfolio in one currency: a projection of the ledger."""

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="cash_balances", db_index=False)
    currency = models.CharField(max_length=3)
    amount = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, default=0)
    last_entry_id = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["portfolio", "currency"], name="cash_balance_once")]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} in {self.portfolio}"


class PortfolioValue(models.Model):
    """Value of a portfolio at its start and at each session's end: a time series. Flows are deposits less withdrawals since the row before."""

    pk = models.CompositePrimaryKey("portfolio_id", "ts")
    portfolio_id = models.BigIntegerField()
    ts = models.DateTimeField(help_text="Market time")
    cash = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    invested = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    total = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    flow = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, default=0)
    daily_return = models.FloatField(null=True, help_text="(total - flow) / previous total - 1; null for the first row")
    last_entry_id = models.BigIntegerField(help_text="Ledger entry up to which this was known: later ones belong to the next row's flow")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(name="portfolio_value_adds_up", condition=Q(total=models.F("cash") + models.F("invested")))]
