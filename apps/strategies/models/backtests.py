from django.conf import settings
from django.db import models

from apps.core.money import MONEY_DIGITS, MONEY_PLACES


class BacktestRun(models.Model):
    """One backtest: everything that is needed to run it again, and what came out. A fact: rows are written once.

    `configuration` holds costs and fills (cash, commission, slippage_bps, fill_at, max_volume_pct, seed; allow_quarantined and
    quarantined where the run was asked to use data in quarantine), `results` the metrics,
    `equity` [[ISO time, value], ...], `trades` the round trips. `dataset_fingerprint` is the SHA-256 of the bars it saw.
    """

    strategy = models.CharField(max_length=100)
    engine = models.CharField(max_length=20)
    symbols = models.JSONField()
    timeframe = models.CharField(max_length=5)
    start = models.DateField()
    end = models.DateField()
    parameters = models.JSONField(default=dict)
    configuration = models.JSONField()
    dataset_fingerprint = models.CharField(max_length=64)
    code_version = models.CharField(max_length=64, help_text="SHA-256 of the strategy's and the engine's source")
    initial_capital = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    final_value = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    results = models.JSONField()
    equity = models.JSONField()
    trades = models.JSONField()
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    seconds = models.FloatField(help_text="Wall time of the run")
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["-created_at"], name="backtest_created"), models.Index(fields=["strategy"], name="backtest_strategy")]

    def __str__(self) -> str:
        return f"{self.strategy} #{self.pk}"
