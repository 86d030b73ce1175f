from django.db import migrations, models

from apps.core.operations import AppendOnly, Hypertable


class Migration(migrations.Migration):
    """Quotes, trades, depth and order events of venues: append-only, hypertables where TimescaleDB is."""

    dependencies = [
        ('marketdata', '0002_journal_and_hypertables'),
    ]

    operations = [
        migrations.CreateModel(
            name='DepthUpdate',
            fields=[
                ('pk', models.CompositePrimaryKey('instrument_id', 'ts', 'source_id', 'sequence', 'snapshot', 'side', 'price', blank=True, editable=False, primary_key=True, serialize=False)),
                ('instrument_id', models.BigIntegerField()),
                ('source_id', models.SmallIntegerField()),
                ('ts', models.DateTimeField()),
                ('sequence', models.BigIntegerField()),
                ('first_sequence', models.BigIntegerField()),
                ('snapshot', models.BooleanField(default=False)),
                ('side', models.SmallIntegerField()),
                ('price', models.FloatField()),
                ('size', models.FloatField()),
                ('recorded_at', models.DateTimeField(help_text='When the desk learned it')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('first_sequence__gte', 0), ('price__gt', 0), ('price__lt', float("inf")), ('sequence__gte', models.F('first_sequence')), ('side__in', (-1, 1)), ('size__gte', 0), ('size__lt', float("inf"))), name='depth_values')],
            },
        ),
        migrations.CreateModel(
            name='OrderEvent',
            fields=[
                ('pk', models.CompositePrimaryKey('instrument_id', 'ts', 'source_id', 'sequence', blank=True, editable=False, primary_key=True, serialize=False)),
                ('instrument_id', models.BigIntegerField()),
                ('source_id', models.SmallIntegerField()),
                ('ts', models.DateTimeField()),
                ('sequence', models.BigIntegerField(help_text="Place of the message in the venue's day")),
                ('letter', models.SmallIntegerField(help_text='Code point of the message type')),
                ('ref', models.BigIntegerField()),
                ('new_ref', models.BigIntegerField(default=0)),
                ('side', models.SmallIntegerField(default=0)),
                ('price', models.FloatField(default=0)),
                ('shares', models.BigIntegerField(default=0)),
                ('printable', models.BooleanField(default=True)),
                ('recorded_at', models.DateTimeField(help_text='When the desk learned it')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('letter__in', (65, 70, 69, 67, 88, 68, 85, 80, 81, 66)), ('price__gte', 0), ('price__lt', float("inf")), ('sequence__gte', 0), ('shares__gte', 0), ('side__in', (-1, 0, 1))), name='order_event_values')],
            },
        ),
        migrations.CreateModel(
            name='Quote',
            fields=[
                ('pk', models.CompositePrimaryKey('instrument_id', 'ts', 'source_id', 'sequence', blank=True, editable=False, primary_key=True, serialize=False)),
                ('instrument_id', models.BigIntegerField()),
                ('source_id', models.SmallIntegerField()),
                ('ts', models.DateTimeField()),
                ('sequence', models.BigIntegerField()),
                ('bid', models.FloatField()),
                ('bid_size', models.FloatField()),
                ('ask', models.FloatField()),
                ('ask_size', models.FloatField()),
                ('recorded_at', models.DateTimeField(help_text='When the desk learned it')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('ask__gte', 0), ('ask__lt', float("inf")), ('ask_size__gte', 0), ('ask_size__lt', float("inf")), ('bid__gte', 0), ('bid__lt', float("inf")), ('bid_size__gte', 0), ('bid_size__lt', float("inf")), ('sequence__gte', 0)), name='quote_values')],
            },
        ),
        migrations.CreateModel(
            name='Trade',
            fields=[
                ('pk', models.CompositePrimaryKey('instrument_id', 'ts', 'source_id', 'sequence', blank=True, editable=False, primary_key=True, serialize=False)),
                ('instrument_id', models.BigIntegerField()),
                ('source_id', models.SmallIntegerField()),
                ('ts', models.DateTimeField()),
                ('sequence', models.BigIntegerField()),
                ('price', models.FloatField()),
                ('size', models.FloatField()),
                ('aggressor', models.SmallIntegerField(default=0)),
                ('recorded_at', models.DateTimeField(help_text='When the desk learned it')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('aggressor__in', (-1, 0, 1)), ('price__gt', 0), ('price__lt', float("inf")), ('sequence__gte', 0), ('size__gt', 0), ('size__lt', float("inf"))), name='trade_values')],
            },
        ),
        # A busy symbol has a million quotes and depth rows a day (100 bytes each, half of it the key): with a few hundred symbols a day is
        # as much as the memory for indexes holds, and it is what retention drops. The tape of trades has about a tenth of that.
        Hypertable("Quote", "ts", 1),
        Hypertable("Trade", "ts", 7),
        Hypertable("DepthUpdate", "ts", 1),
        Hypertable("OrderEvent", "ts", 1),
        AppendOnly("Quote"),
        AppendOnly("Trade"),
        AppendOnly("DepthUpdate"),
        AppendOnly("OrderEvent"),
    ]
