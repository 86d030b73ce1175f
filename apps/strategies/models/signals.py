from django.db import models


class Signal(models.Model):
    """What a strategy said about one instrument at one bar, and the bars it said it on. A fact."""

    strategy = models.CharField(max_length=100)
    parameters = models.JSONField(default=dict)
    book = models.ForeignKey("portfolios.Book", on_delete=models.PROTECT, related_name="+")
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=4, choices=[("buy", "Buy"), ("sell", "Sell"), ("hold", "Hold")])
    price = models.DecimalField(max_digits=18, decimal_places=6)
    bar_ts = models.DateTimeField(help_text="Start of the bar after which it was said")
    market_time = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["strategy", "book", "instrument", "bar_ts"], name="signal_once_per_bar")]

    def __str__(self) -> str:
        return f"{self.strategy}: {self.action} {self.instrument}"
