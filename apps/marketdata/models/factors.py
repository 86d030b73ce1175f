from django.db import models
from django.db.models import F, Q


class Universe(models.IntegerChoices):
    """Which instruments are compared with each other."""

    ETF = 1, "ETFs"
    STOCK = 2, "Stocks"


class FactorRun(models.Model):
    """One computation of factor scores: with what settings, from which data, by which code."""

    universe = models.SmallIntegerField(choices=Universe.choices)
    first = models.DateField(help_text="First date that was scored")
    last = models.DateField(help_text="Last date that was scored")
    parameters = models.JSONField(help_text="Settings and symbols")
    sources = models.JSONField(help_text="Where each symbol's closes came from")
    dataset_fingerprint = models.CharField(max_length=64)
    code_version = models.CharField(max_length=64, help_text="SHA-256 of the source of the factors")
    inserted = models.IntegerField()
    revised = models.IntegerField()
    unchanged = models.IntegerField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(universe__in=Universe.values), name="factor_run_universe"),
            models.CheckConstraint(condition=Q(first__lte=F("last")), name="factor_run_range"),
        ]

    def __str__(self) -> str:
        return f"{Universe(self.universe).label} {self.first} to {self.last}"


class FactorScore(models.Model):
    """An instrument's factor scores on a date, as a run computed them. A recomputation that comes to other numbers is a new revision.

    A time series, written and read by COPY. NaN is no score: `missing` says why, `rank` is 0 where there is no composite. `proxies`
    (`domain.factors.Proxy`) says which scores come from prices for want of fundamentals.
    """

    pk = models.CompositePrimaryKey("universe", "ts", "instrument_id", "revision")  # written and shown a date at a time
    universe = models.SmallIntegerField(choices=Universe.choices)
    instrument_id = models.BigIntegerField()
    ts = models.DateTimeField(help_text="Midnight UTC of the session whose close is the last thing that the scores saw")
    revision = models.SmallIntegerField(default=0)
    momentum = models.FloatField()
    quality = models.FloatField()
    value = models.FloatField()
    volatility = models.FloatField()
    composite = models.FloatField()
    rank = models.SmallIntegerField()
    proxies = models.SmallIntegerField()
    missing = models.SmallIntegerField()
    run_id = models.BigIntegerField(help_text="Row of marketdata_factorrun")
    recorded_at = models.DateTimeField(help_text="When the desk computed it")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="factor_score_rank",  # PostgreSQL sorts NaN above infinity: no rank stands with NaN alone
                condition=Q(rank=0, composite__gt=float("inf")) | Q(rank__gt=0, composite__lt=float("inf")),
            ),
            models.CheckConstraint(condition=Q(universe__in=Universe.values, revision__gte=0, proxies__range=(0, 3)), name="factor_score_values"),
        ]
