from django.db import models
from simple_history.models import HistoricalRecords


class AssetClass(models.TextChoices):
    STOCK = "stock"
    ETF = "etf"
    INDEX = "index"
    CRYPTO = "crypto"


class Instrument(models.Model):
    """Something with a price. Created by people or by the demo desk, never by an import that met an unknown symbol."""

    symbol = models.CharField(max_length=20, unique=True)
    name = models.CharField(max_length=200)
    asset_class = models.CharField(max_length=10, choices=AssetClass.choices)
    currency = models.CharField(max_length=3, default="USD")
    calendar = models.CharField(max_length=20, default="XNYS", help_text="Name of the exchange calendar (ISO 10383 MIC)")
    tick_size = models.DecimalField(max_digits=18, decimal_places=6, default="0.01")
    lot_size = models.DecimalField(max_digits=18, decimal_places=6, default="1")
    tradable = models.BooleanField(default=True)
    history = HistoricalRecords()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(asset_class__in=AssetClass.values), name="instrument_asset_class"),
            models.CheckConstraint(condition=models.Q(tick_size__gt=0, lot_size__gt=0), name="instrument_steps_positive"),
        ]

    def __str__(self) -> str:
        return self.symbol
