from django.db import models


class FeedMode(models.TextChoices):
    REPLAY = "replay"
    LIVE = "live"


class FeedState(models.Model):
    """Where a feed stands: what it shows as the market's time, and the bar from which it goes on after a restart."""

    name = models.CharField(max_length=50, primary_key=True)
    mode = models.CharField(max_length=6, choices=FeedMode.choices)
    market_time = models.DateTimeField()
    session = models.DateField(help_text="Session that is being shown")
    step = models.SmallIntegerField(
        default=0, help_text="Next step inside the session (0 open, 1 low, 2 high, 3 close), 4 when the session is complete"
    )
    ended = models.BooleanField(default=False)
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.market_time:%Y-%m-%d %H:%M}"


class Tick(models.Model):
    """A last price that a feed showed: what the desk knew, and when. A time series, written in batches by COPY."""

    pk = models.CompositePrimaryKey("instrument_id", "received_at")
    instrument_id = models.BigIntegerField()
    received_at = models.DateTimeField(help_text="Wall time")
    market_time = models.DateTimeField()
    price = models.FloatField()
    feed = models.CharField(max_length=50)
