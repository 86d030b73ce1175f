from django.db import migrations, models
from django.db.models import F, Q

from apps.core.operations import AppendOnly, Hypertable, Journal, NoTruncate


class Migration(migrations.Migration):
    """Bars and ticks become hypertables where TimescaleDB is; facts are append-only, instruments are journalled."""

    dependencies = [
        ("core", "0002_journal"),
        ("marketdata", "0001_initial"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="bar", name="bar_values"),
        migrations.AddConstraint(
            model_name="bar",
            constraint=models.CheckConstraint(
                name="bar_values",
                condition=Q(
                    low__gt=0,
                    open__gte=F("low"),
                    close__gte=F("low"),
                    high__gte=F("open"),
                    high__lt=float("inf"),
                    close__lte=F("high"),
                    volume__gte=0,
                    volume__lt=float("inf"),
                    revision__gte=0,
                ),
            ),
        ),
        migrations.AlterField(
            model_name="feedstate",
            name="step",
            field=models.SmallIntegerField(
                default=0, help_text="Next step inside the session (0 open, 1 low, 2 high, 3 close), 4 when the session is complete"
            ),
        ),
        # Chunk lengths: see "Storage" in docs/ and the measurements of `make bench`.
        Hypertable("Bar", "ts", 365),
        Hypertable("Tick", "received_at", 1),
        AppendOnly("Bar"),
        AppendOnly("Tick"),
        Journal("Instrument"),
        NoTruncate("Instrument"),
        AppendOnly("HistoricalInstrument"),
    ]
