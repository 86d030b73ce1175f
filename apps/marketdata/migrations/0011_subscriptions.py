import django.contrib.postgres.fields
import django.db.models.deletion
import simple_history.models
from django.conf import settings
from django.db import migrations, models

from apps.core.operations import AppendOnly, Journal, NoTruncate


class Migration(migrations.Migration):
    """Standing orders for data, journalled, and their runs, append-only."""

    dependencies = [
        ('marketdata', '0010_live_feed'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='HistoricalSubscription',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('name', models.CharField(db_index=True, max_length=60)),
                ('provider', models.CharField(default='auto', help_text='A vendor, or "auto" for all enabled ones in their order', max_length=30)),
                ('symbols', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=20), blank=True, default=list, help_text='Separated by commas; empty: all tradable instruments', size=None)),
                ('timeframe', models.SmallIntegerField(choices=[(1, '1m'), (5, '5m'), (15, '15m'), (60, '1h'), (1440, '1d'), (10080, '1w'), (30000, '1mo')], default=1440)),
                ('lookback_days', models.PositiveSmallIntegerField(default=30, help_text='How far back bars are looked for that are missing')),
                ('schedule', models.CharField(choices=[('after_close', 'after each close'), ('in_session', 'while the market is open'), ('every', 'day and night')], default='after_close', max_length=11)),
                ('minutes', models.PositiveSmallIntegerField(default=45, help_text='After the close, or between two looks')),
                ('calendar', models.CharField(default='XNYS', help_text='Name of the exchange calendar (ISO 10383 MIC)', max_length=20)),
                ('enabled', models.BooleanField(default=True)),
                ('reason', models.CharField(help_text='What it is for, or why it was changed', max_length=500)),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'historical subscription',
                'verbose_name_plural': 'historical subscriptions',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='Subscription',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60, unique=True)),
                ('provider', models.CharField(default='auto', help_text='A vendor, or "auto" for all enabled ones in their order', max_length=30)),
                ('symbols', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=20), blank=True, default=list, help_text='Separated by commas; empty: all tradable instruments', size=None)),
                ('timeframe', models.SmallIntegerField(choices=[(1, '1m'), (5, '5m'), (15, '15m'), (60, '1h'), (1440, '1d'), (10080, '1w'), (30000, '1mo')], default=1440)),
                ('lookback_days', models.PositiveSmallIntegerField(default=30, help_text='How far back bars are looked for that are missing')),
                ('schedule', models.CharField(choices=[('after_close', 'after each close'), ('in_session', 'while the market is open'), ('every', 'day and night')], default='after_close', max_length=11)),
                ('minutes', models.PositiveSmallIntegerField(default=45, help_text='After the close, or between two looks')),
                ('calendar', models.CharField(default='XNYS', help_text='Name of the exchange calendar (ISO 10383 MIC)', max_length=20)),
                ('enabled', models.BooleanField(default=True)),
                ('reason', models.CharField(help_text='What it is for, or why it was changed', max_length=500)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('schedule__in', ['every', 'in_session', 'after_close'])), name='subscription_schedule'), models.CheckConstraint(condition=models.Q(('timeframe__in', [1, 5, 15, 60, 1440, 10080, 30000])), name='subscription_timeframe'), models.CheckConstraint(condition=models.Q(('lookback_days__gte', 1), ('minutes__gte', 1), models.Q(('reason', ''), _negated=True)), name='subscription_values')],
            },
        ),
        migrations.CreateModel(
            name='SubscriptionRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slot', models.DateTimeField(help_text='The moment for which it counts')),
                ('attempt', models.PositiveSmallIntegerField(default=1)),
                ('started_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField()),
                ('outcome', models.CharField(choices=[('succeeded', 'Succeeded'), ('partial', 'Partial'), ('failed', 'Failed')], max_length=9)),
                ('inserted', models.PositiveIntegerField()),
                ('revised', models.PositiveIntegerField()),
                ('failed', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=20), default=list, help_text='Symbols that nobody delivered', size=None)),
                ('detail', models.TextField(blank=True)),
                ('subscription', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='marketdata.subscription')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('subscription', 'slot', 'attempt'), name='subscription_run_once'), models.CheckConstraint(condition=models.Q(('outcome__in', ['succeeded', 'partial', 'failed'])), name='subscription_run_outcome')],
            },
        ),
        Journal("Subscription"),
        NoTruncate("Subscription"),
        AppendOnly("HistoricalSubscription"),
        AppendOnly("SubscriptionRun"),
    ]
