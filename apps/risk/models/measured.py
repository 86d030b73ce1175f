from django.db import models
from django.db.models import F, Q

from apps.risk.domain.risk_numbers import RiskState
from apps.risk.domain.tail_risk import Method

METHODS = [(method.value, method.value.replace("_", " ")) for method in Method]
STATES = [(state.value, state.value.replace("_", " ")) for state in RiskState]
ZONES = [("green", "green"), ("yellow", "yellow"), ("red", "red")]


class RiskSnapshot(models.Model):
    """The risk of a portfolio at one time of the market: a time series, append-only. Null is a number that had no value then.

    Value at risk and expected shortfall are historical over one session in money, losses positive; volatility (annual, sample) and
    beta are of the equity. `numbers` holds all methods, confidences and horizons as they were.
    """

    pk = models.CompositePrimaryKey("portfolio_id", "ts")
    portfolio_id = models.BigIntegerField()
    ts = models.DateTimeField(help_text="Market time")
    state = models.CharField(max_length=17, choices=STATES)
    window = models.IntegerField(help_text="Sessions asked for")
    n = models.IntegerField(help_text="Sessions used")
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the returns")
    equity = models.FloatField(null=True)
    gross = models.FloatField()
    net = models.FloatField()
    var_95 = models.FloatField(null=True)
    es_95 = models.FloatField(null=True)
    var_99 = models.FloatField(null=True)
    es_99 = models.FloatField(null=True)
    diversification_99 = models.FloatField(null=True)
    volatility = models.FloatField(null=True)
    beta = models.FloatField(null=True)
    drawdown = models.FloatField(null=True)
    hhi = models.FloatField()
    days_to_exit = models.FloatField(null=True, help_text="Of the slowest position")
    numbers = models.JSONField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=[state.value for state in RiskState]), name="risk_snapshot_state"),
            models.CheckConstraint(
                condition=Q(state__in=["ok", "price_stale"]) | Q(var_99__isnull=True, es_99__isnull=True), name="risk_snapshot_no_number_without_data"
            ),
        ]


class VarForecast(models.Model):
    """A fact: what a method said, before a session opened, that the session would cost. Append-only, one per session and method.

    `market_time` is when it was made; the database refuses one that is not from before the opening.
    """

    portfolio = models.ForeignKey("portfolios.Portfolio", on_delete=models.PROTECT, related_name="+")
    session = models.DateField(help_text="The session that it is for")
    opens_at = models.DateTimeField(help_text="When that session opens")
    method = models.CharField(max_length=20, choices=METHODS)
    confidence = models.FloatField()
    var = models.FloatField(help_text="Money, a loss positive")
    es = models.FloatField(help_text="Money, a loss positive")
    n = models.IntegerField(help_text="Sessions that it is made of")
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the returns")
    market_time = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "method", "confidence", "session"], name="var_forecast_once"),
            models.CheckConstraint(condition=Q(market_time__lt=F("opens_at")), name="var_forecast_before_the_session"),
            models.CheckConstraint(condition=Q(confidence__gt=0, confidence__lt=1), name="var_forecast_confidence"),
            models.CheckConstraint(condition=Q(method__in=[method.value for method in Method]), name="var_forecast_method"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.confidence} of {self.portfolio} for {self.session}"


class VarZoneChange(models.Model):
    """A fact: the back-test of a portfolio's value at risk came into another zone. Append-only; the newest row is the zone it is in."""

    portfolio = models.ForeignKey("portfolios.Portfolio", on_delete=models.PROTECT, related_name="+")
    method = models.CharField(max_length=20, choices=METHODS)
    confidence = models.FloatField()
    before = models.CharField(max_length=6, choices=ZONES, blank=True)
    zone = models.CharField(max_length=6, choices=ZONES)
    exceptions = models.IntegerField()
    observations = models.IntegerField()
    session = models.DateField(help_text="The last session that was tested")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(zone__in=["green", "yellow", "red"], before__in=["", "green", "yellow", "red"]), name="var_zone_known"
            ),
            models.CheckConstraint(condition=~Q(zone=F("before")), name="var_zone_changes"),
        ]
        indexes = [models.Index(fields=["portfolio", "method", "confidence", "-id"], name="var_zone_newest")]

    def __str__(self) -> str:
        return f"{self.portfolio}: {self.before or 'untested'} to {self.zone}"
