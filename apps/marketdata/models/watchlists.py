from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


class Watchlist(models.Model):
    """Instruments that somebody watches, in an order of their own. A shared list is seen by everybody, and changed by its owner only."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=60)
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    history = HistoricalRecords()

    # Type only: django-simple-history reads this from the instance when it saves a history row.
    _history_user: "AbstractBaseUser"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="watchlist_one_name"),
            models.CheckConstraint(condition=~Q(name=""), name="watchlist_name"),
        ]

    def __str__(self) -> str:
        return self.name


class WatchlistItem(models.Model):
    """One instrument of a list. Positions count from 0; they are unique when the transaction ends, so that a list can be put in another order."""

    watchlist = models.ForeignKey(Watchlist, on_delete=models.CASCADE, related_name="items")
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    position = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["watchlist", "instrument"], name="watchlist_item_once"),
            models.UniqueConstraint(fields=["watchlist", "position"], name="watchlist_item_position", deferrable=models.Deferrable.DEFERRED),
        ]

    def __str__(self) -> str:
        return f"{self.position} {self.instrument}"
