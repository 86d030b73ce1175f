from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from apps.risk.domain.scenarios import ScenarioKind, ShockFactor

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

SIZE_DIGITS, SIZE_PLACES = 18, 8
_FACTORS = [(factor.value, factor.label) for factor in ShockFactor]
_KEYED = [factor.value for factor in ShockFactor if factor.keyed]
_UNKEYED = [factor.value for factor in ShockFactor if not factor.keyed]

KEY_RULE = "Currencies, sectors and instruments need a key, the other factors have none."


class StressScenario(models.Model):
    """A scenario that every portfolio is held against while it is `active`.

    Historic: the closes of `window_start` and `window_end`, and `index_return`, what the equity market did between them, for what the
    desk has no data of. Factor: its shocks. Reverse: `loss`, the fraction of equity that the likeliest joint move is asked for.
    """

    name = models.SlugField(max_length=40, unique=True, help_text="As commands and addresses name it")
    title = models.CharField(max_length=120)
    kind = models.CharField(max_length=8, choices=[(kind.value, kind.label) for kind in ScenarioKind])
    window_start = models.DateField(null=True, blank=True)
    window_end = models.DateField(null=True, blank=True)
    index_return = models.DecimalField(max_digits=SIZE_DIGITS, decimal_places=SIZE_PLACES, null=True, blank=True)
    loss = models.DecimalField(max_digits=SIZE_DIGITS, decimal_places=SIZE_PLACES, null=True, blank=True)
    source = models.CharField(max_length=300, blank=True, help_text="Where the dates or sizes come from, and what they leave out")
    active = models.BooleanField(default=True)
    reason = models.CharField(max_length=500)
    history = HistoricalRecords()

    # Type only: django-simple-history reads these from the instance when it saves a history row.
    _change_reason: str
    _history_user: "AbstractBaseUser"

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="stress_scenario_terms",
                violation_error_message="A historic scenario has a window, a reverse one a loss above zero, and one of factors neither.",
                # a comparison with null is not false, and a check refuses only what is false
                condition=Q(kind=ScenarioKind.HISTORIC.value, window_start__isnull=False, window_end__isnull=False, loss__isnull=True)
                & Q(window_end__gt=F("window_start"))
                | Q(kind=ScenarioKind.FACTOR.value, window_start__isnull=True, window_end__isnull=True, index_return__isnull=True, loss__isnull=True)
                | Q(
                    kind=ScenarioKind.REVERSE.value, window_start__isnull=True, window_end__isnull=True, index_return__isnull=True, loss__isnull=False
                )
                & Q(loss__gt=0),
            ),
            models.CheckConstraint(name="stress_scenario_index", condition=Q(index_return__isnull=True) | Q(index_return__gt=-1)),
            models.CheckConstraint(name="stress_scenario_reason", condition=~Q(reason="")),
        ]

    def __str__(self) -> str:
        return self.title


class StressShock(models.Model):
    """What one factor does in a scenario."""

    scenario = models.ForeignKey(StressScenario, on_delete=models.PROTECT, related_name="shocks")
    factor = models.CharField(max_length=10, choices=_FACTORS)
    key = models.CharField(max_length=40, blank=True, help_text="Which currency, sector or symbol; empty for the others")
    size = models.DecimalField(max_digits=SIZE_DIGITS, decimal_places=SIZE_PLACES)
    history = HistoricalRecords()

    _change_reason: str

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["scenario", "factor", "key"], name="stress_shock_once"),
            models.CheckConstraint(
                name="stress_shock_key",
                condition=Q(factor__in=_KEYED) & ~Q(key="") | Q(factor__in=_UNKEYED, key=""),
                violation_error_message=KEY_RULE,
            ),
            models.CheckConstraint(name="stress_shock_size", condition=~Q(size=0) & (~Q(factor=ShockFactor.VOL_LEVEL.value) | Q(size__gt=0))),
        ]

    def __str__(self) -> str:
        return f"{self.factor}{f' {self.key}' if self.key else ''} {self.size}"


class StressExposure(models.Model):
    """What a factor's move does to a symbol, as somebody has judged it: it stands in the place of an estimate.

    `beta` is the symbol's move for a move of 1 of the factor (a bond fund's of rates is minus its duration), `gamma` half of which counts for
    the square. With the factor "instrument" the key's symbol is the proxy over windows that the symbol has no prices of.
    """

    symbol = models.CharField(max_length=20)
    factor = models.CharField(max_length=10, choices=[choice for choice in _FACTORS if choice[0] != ShockFactor.VOL_LEVEL.value])
    key = models.CharField(max_length=40, blank=True, help_text="Which currency, sector or symbol; empty for the others")
    beta = models.DecimalField(max_digits=SIZE_DIGITS, decimal_places=SIZE_PLACES)
    gamma = models.DecimalField(max_digits=SIZE_DIGITS, decimal_places=SIZE_PLACES, default=0)
    reason = models.CharField(max_length=500)
    history = HistoricalRecords()

    _change_reason: str

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["symbol", "factor", "key"], name="stress_exposure_once"),
            models.UniqueConstraint(fields=["symbol"], condition=Q(factor=ShockFactor.INSTRUMENT.value), name="stress_exposure_one_proxy"),
            models.CheckConstraint(
                name="stress_exposure_key",
                violation_error_message=KEY_RULE,
                condition=Q(factor__in=_KEYED) & ~Q(key="")
                | Q(factor__in=[name for name in _UNKEYED if name != ShockFactor.VOL_LEVEL.value], key=""),
            ),
            models.CheckConstraint(name="stress_exposure_reason", condition=~Q(reason="")),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.factor}{f' {self.key}' if self.key else ''}"
