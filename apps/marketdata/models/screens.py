from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


class Screen(models.Model):
    """A saved query of the screener, as it was written. A shared one is seen by everybody, and changed by its owner only."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2_000)
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    history = HistoricalRecords()

    # Type only: django-simple-history reads this from the instance when it saves a history row.
    _history_user: "AbstractBaseUser"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="screen_one_name"),
            models.CheckConstraint(condition=~Q(name="") & ~Q(query=""), name="screen_filled"),
        ]

    def __str__(self) -> str:
        return self.name
