from django.db import models


class FeedMode(models.TextChoices):
    REPLAY = "replay"
    LIVE = "live"


class FeedState(models.Model):
    """Where a feed stands: what it shows as the market's time, and the bar from which a replay goes on after a restart."""

    name = models.CharField(max_length=50, primary_key=True)
    mode = models.CharField(max_length=6, choices=FeedMode.choices)
    market_time = models.DateTimeField()
    session = models.DateField(help_text="Session that is being shown")
    step = models.SmallIntegerField(
        default=0, help_text="Next step inside the session (0 open, 1 low, 2 high, 3 close), 4 when the session is complete"
    )
    ended = models.BooleanField(default=False)
    updated_at = models.DateTimeField(help_text="When the last step was shown, or the last tick received")
    calendars = models.JSONField(default=list, help_text="Exchange calendars of a live feed's symbols: ticks are due while any of them is open")

    def __str__(self) -> str:
        return f"{self.name} at {self.market_time:%Y-%m-%d %H:%M}"


class Tick(models.Model):
    """A last price that a replay showed: what the desk knew, and when. A time series, written in batches by COPY."""

    pk = models.CompositePrimaryKey("instrument_id", "received_at")
    instrument_id = models.BigIntegerField()
    received_at = models.DateTimeField(help_text="Wall time")
    market_time = models.DateTimeField()
    price = models.FloatField()
    feed = models.CharField(max_length=50)


class FeedHealth(models.Model):
    """How one process of a live feed is doing; written every second, overwritten each time, kept after its end."""

    instance = models.CharField(max_length=32, primary_key=True, help_text="Name of the process's spool")
    feed = models.CharField(max_length=50)
    provider = models.CharField(max_length=30)
    host = models.CharField(max_length=100)
    process = models.IntegerField()
    started_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    last_tick_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    shards = models.JSONField(default=list)
    symbols = models.IntegerField(default=0)
    counters = models.JSONField(default=dict, help_text="See services.feeds.health.FeedCounters")

    class Meta:
        verbose_name_plural = "feed health"
        indexes = [models.Index(fields=["feed", "-updated_at"], name="feedhealth_recent")]

    def __str__(self) -> str:
        return f"{self.feed} on {self.host}, process {self.process}"


class FeedSpool(models.Model):
    """How much of a spool the database has: moved in the transaction that stores its ticks, so that each is stored once."""

    name = models.CharField(max_length=32, primary_key=True)
    feed = models.CharField(max_length=50)
    host = models.CharField(max_length=100)
    segment = models.IntegerField()
    offset = models.BigIntegerField()
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} up to {self.segment}:{self.offset}"


class FaultKind(models.TextChoices):
    DISCONNECTED = "disconnected", "The vendor's line was down: ticks between the two times are missing"
    MALFORMED = "malformed", "The vendor sent what is not its own format"
    REFUSED = "refused", "Ticks that cannot be true were not accepted"
    OVERFLOW = "overflow", "The spool was full: ticks were not accepted"
    REDIS = "redis", "Redis was away: screens saw no prices"
    DATABASE = "database", "The database was away: ticks waited in the spool"
    UNSTORABLE = "unstorable", "The database refused a tick"
    SILENT = "silent", "Nothing came while the market was open: the line was opened again"


class FeedFault(models.Model):
    """Something that went wrong with a live feed, from when to when. A fact."""

    feed = models.CharField(max_length=50)
    instance = models.CharField(max_length=32)
    kind = models.CharField(max_length=12, choices=FaultKind.choices)
    from_at = models.DateTimeField()
    to_at = models.DateTimeField()
    count = models.BigIntegerField(default=1, help_text="Frames, ticks or symbols, by kind")
    detail = models.TextField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=FaultKind.values), name="feedfault_kind"),
            models.CheckConstraint(condition=models.Q(to_at__gte=models.F("from_at"), count__gte=1), name="feedfault_range"),
        ]
        indexes = [models.Index(fields=["feed", "-to_at"], name="feedfault_recent")]

    def __str__(self) -> str:
        return f"{self.feed}: {self.kind} from {self.from_at:%Y-%m-%d %H:%M:%S}"
