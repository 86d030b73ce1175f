from django.conf import settings
from django.db import models
from django.db.models import F, Q

from apps.core.money import PRICE_DIGITS, PRICE_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES


class Locate(models.Model):
    """Shares that somebody has agreed to lend, or is reasonably expected to, for one session (Regulation SHO, Rule 203). Append-only."""

    class Ground(models.TextChoices):
        BORROWED = "borrowed", "Borrowed"
        ARRANGED = "arranged", "Bona fide arrangement to borrow"
        EASY = "easy", "Easy-to-borrow list, not older than 24 hours"

    portfolio = models.ForeignKey("portfolios.Portfolio", on_delete=models.PROTECT, related_name="+")
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    quantity = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES)
    ground = models.CharField(max_length=8, choices=Ground.choices)
    source = models.CharField(max_length=100, help_text="Who lends, or whose list it is, with the reference")
    session = models.DateField(help_text="The session in which it may be used; it ends with it")
    obtained_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gt=0), name="locate_quantity"),
            models.CheckConstraint(condition=Q(ground__in=["borrowed", "arranged", "easy"]), name="locate_ground"),
            models.CheckConstraint(condition=~Q(source=""), name="locate_source"),
        ]
        indexes = [models.Index(fields=["portfolio", "instrument", "session"], name="locate_lookup")]

    def __str__(self) -> str:
        return f"{self.quantity} {self.instrument} located at {self.source}"


class LocateUse(models.Model):
    """What an order sold short of the session's locates. Append-only: what was used is not given back when the order is cancelled."""

    portfolio = models.ForeignKey("portfolios.Portfolio", on_delete=models.PROTECT, related_name="+")
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    session = models.DateField()
    client_order_id = models.UUIDField(help_text="The order that used it")
    quantity = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES)
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(quantity__gt=0), name="locate_use_quantity")]
        indexes = [models.Index(fields=["portfolio", "instrument", "session"], name="locate_use_lookup")]

    def __str__(self) -> str:
        return f"{self.quantity} of {self.instrument} sold short by {self.client_order_id}"


class ShortSaleRestriction(models.Model):
    """Rule 201: a fall of a tenth in `session` restricts short sales for the rest of it and for the next one. Append-only."""

    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    session = models.DateField()
    last_session = models.DateField(help_text="The last session in which it holds")
    prior_close = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES)
    price = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, help_text="The price that triggered it")
    market_time = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["instrument", "session"], name="short_restriction_once"),
            models.CheckConstraint(condition=Q(last_session__gt=F("session"), prior_close__gt=0, price__gt=0), name="short_restriction_values"),
        ]

    def __str__(self) -> str:
        return f"short sales of {self.instrument} restricted from {self.session} to {self.last_session}"
