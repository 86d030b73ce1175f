from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


class FeatureSetDefinition(models.Model):
    """A named list of features (`domain.features.FeatureSpec`). A model names the version that it was trained on, so versions stay."""

    name = models.CharField(max_length=60)
    version = models.PositiveSmallIntegerField(default=1)
    specs = models.JSONField(help_text='[{"name": "rsi_14", "indicator": "rsi", "parameters": {"period": 14}, "lag": 0, "normalisation": "none"}]')
    description = models.CharField(max_length=500, blank=True)
    history = HistoricalRecords()

    # Type only: django-simple-history reads this from the instance when it saves a history row.
    _history_user: "AbstractBaseUser"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="feature_set_one_version"),
            models.CheckConstraint(condition=~Q(name="") & Q(version__gt=0), name="feature_set_filled"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"
