from django.db import models
from simple_history.models import HistoricalRecords

from apps.marketdata.domain.sectors import SECTOR_CHOICES, Sector


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
    sector = models.CharField(max_length=30, choices=SECTOR_CHOICES, default=Sector.UNKNOWN.value, db_default="unknown")
    currency = models.CharField(max_length=3, default="USD")
    calendar = models.CharField(max_length=20, default="XNYS", help_text="Name of the exchange calendar (ISO 10383 MIC)")
    tick_size = models.DecimalField(max_digits=18, decimal_places=6, default="0.01")
    lot_size = models.DecimalField(max_digits=18, decimal_places=6, default="1")
    tradable = models.BooleanField(default=True)
    listed_on = models.DateField(null=True, blank=True, help_text="First day of trading; empty: not known, before all data")
    delisted_on = models.DateField(null=True, blank=True, help_text="First day on which it no longer trades; empty: it still does")
    history = HistoricalRecords()

    # Type only: django-simple-history reads it from the instance when it saves a history row.
    _change_reason: str

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(asset_class__in=AssetClass.values), name="instrument_asset_class"),
            models.CheckConstraint(condition=models.Q(sector__in=[sector.value for sector in Sector]), name="instrument_sector"),
            models.CheckConstraint(condition=models.Q(tick_size__gt=0, lot_size__gt=0), name="instrument_steps_positive"),
            models.CheckConstraint(
                condition=models.Q(listed_on__isnull=True) | models.Q(delisted_on__isnull=True) | models.Q(delisted_on__gt=models.F("listed_on")),
                name="instrument_listed_before_delisted",
            ),
        ]

    def __str__(self) -> str:
        return self.symbol


class InstrumentSymbol(models.Model):
    """Which symbol an instrument had from when (inclusive) to when (exclusive); an empty end of the range is open.

    The database makes the first row with the instrument, and refuses a day on which two instruments would have the same symbol.
    `Instrument.symbol` is the one without an end.
    """

    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="symbols")
    symbol = models.CharField(max_length=20)
    valid_from = models.DateField(null=True, blank=True)
    valid_to = models.DateField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(valid_from__isnull=True) | models.Q(valid_to__isnull=True) | models.Q(valid_to__gt=models.F("valid_from")),
                name="instrument_symbol_range",
            ),
            models.UniqueConstraint(fields=["instrument"], condition=models.Q(valid_to__isnull=True), name="instrument_symbol_one_open"),
        ]
        indexes = [models.Index(fields=["symbol"], name="instrument_symbol_lookup")]

    def __str__(self) -> str:
        return f"{self.symbol} from {self.valid_from or 'the beginning'} to {self.valid_to or 'now'}"
