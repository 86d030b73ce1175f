from django.conf import settings
from django.db import models
from django.db.models import Q

from apps.core.money import PRICE_DIGITS, PRICE_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES
from apps.core.trading import Side, TimeInForce
from apps.execution.domain.groups import GroupKind


class OrderGroup(models.Model):
    """Orders that belong together: a bracket, or two exits of which one cancels the other. Append-only: where it stands, its orders say.

    `side` is that of the exits, `quantity` that of an OCO's exits or of a bracket's entry.
    """

    kind = models.CharField(max_length=10, choices=[(x.value, x.name.title()) for x in GroupKind])
    client_group_id = models.UUIDField()
    portfolio = models.ForeignKey("portfolios.Portfolio", on_delete=models.PROTECT, related_name="+")
    book = models.ForeignKey("portfolios.Book", on_delete=models.PROTECT, related_name="+")
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    side = models.CharField(max_length=4, choices=[(x.value, x.name) for x in Side])
    quantity = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES)
    take_profit = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES)
    stop_loss = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES)
    time_in_force = models.CharField(max_length=3, choices=[(x.value, x.name) for x in (TimeInForce.DAY, TimeInForce.GTC)])
    strategy = models.CharField(max_length=100, blank=True)
    content_digest = models.CharField(max_length=64, help_text="Of all that was asked for: the same id with another content conflicts")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "client_group_id"], name="group_client_id_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0, take_profit__gt=0, stop_loss__gt=0), name="group_values"),
            models.CheckConstraint(
                condition=Q(side="sell", take_profit__gt=models.F("stop_loss")) | Q(side="buy", take_profit__lt=models.F("stop_loss")),
                name="group_prices_on_their_sides",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
