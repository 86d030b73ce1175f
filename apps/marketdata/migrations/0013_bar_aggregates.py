from django.db import migrations

from apps.core.operations import ContinuousAggregate


class Migration(migrations.Migration):
    """Weeks and months of daily bars are kept by the database where TimescaleDB's community edition is."""

    dependencies = [("marketdata", "0012_archives")]

    operations = [
        ContinuousAggregate("Bar", view, time_column="ts", key="instrument_id", bucket=bucket, where="timeframe = 1440")
        for view, bucket in (("marketdata_bar_week", "1 week"), ("marketdata_bar_month", "1 month"))
    ]
