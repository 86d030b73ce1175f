"""Parents and children, brackets and OCO pairs, venues and routing decisions, with what the database guarantees of them."""

import django.db.models.deletion
import simple_history.models
from django.conf import settings
from django.db import migrations, models

from apps.core.operations import AppendOnly, Journal, NoTruncate
from apps.execution.domain.guards import algo_guard_removal_sql, algo_guard_sql, order_guard_removal_sql, order_guard_sql


COLUMNS = (
    'id', 'client_order_id', 'portfolio_id', 'book_id', 'instrument_id', 'side', 'quantity', 'limit_price', 'strategy', 'algo', 'parameters',
    'plan', 'participation_cap', 'start_at', 'end_at', 'latest_end_at', 'paused_at', 'paused_for', 'status', 'reason', 'intent_digest',
    'reference_price', 'note', 'created_by_id', 'market_time', 'created_at', 'updated_at',
)
#: Simulated venues: name, taker fee and maker fee per share (a rebate is negative), latency in milliseconds.
VENUES = (('SIM-A', '0.0030', '-0.0020', 1), ('SIM-B', '-0.0020', '0.0018', 2), ('SIM-C', '0.0010', '0.0005', 1))


def venues_make(apps, _schema_editor):
    for name, taker, maker, latency in VENUES:
        apps.get_model('execution', 'Venue').objects.create(name=name, taker_fee=taker, maker_fee=maker, latency_ms=latency)


class Migration(migrations.Migration):

    dependencies = [
        ('execution', '0005_broker_requests'),
        ('marketdata', '0015_listings_and_universes'),
        ('portfolios', '0003_journal_and_append_only'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='OrderProtection',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('effective_from', models.DateField(unique=True)),
                ('in_force', models.BooleanField()),
                ('source', models.CharField(max_length=200)),
                ('recorded_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='RoutingDecision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('quantity', models.DecimalField(decimal_places=6, max_digits=18)),
                ('best_bid', models.DecimalField(decimal_places=6, max_digits=18, null=True)),
                ('best_ask', models.DecimalField(decimal_places=6, max_digits=18, null=True)),
                ('order_protection', models.BooleanField()),
                ('quotes', models.JSONField(help_text='Every active venue: price, size, fee, source')),
                ('routes', models.JSONField(help_text='Venue, quantity and price in routing order')),
                ('remainder', models.JSONField(help_text='What no venue took, and what was done with it')),
                ('market_time', models.DateTimeField()),
                ('recorded_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Venue',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=20, unique=True)),
                ('taker_fee', models.DecimalField(decimal_places=4, default=0, help_text='Per share, a rebate is negative', max_digits=20)),
                ('maker_fee', models.DecimalField(decimal_places=4, default=0, help_text='Per share, a rebate is negative', max_digits=20)),
                ('latency_ms', models.PositiveIntegerField(default=0)),
                ('active', models.BooleanField(default=True)),
            ],
        ),
        migrations.AddField(
            model_name='historicalorder',
            name='group_role',
            field=models.CharField(blank=True, help_text='What it is in its bracket or OCO pair', max_length=15),
        ),
        migrations.AddField(
            model_name='historicalorder',
            name='slice',
            field=models.PositiveIntegerField(blank=True, help_text='Which child of its parent it is', null=True),
        ),
        migrations.AddField(
            model_name='historicalorder',
            name='venue',
            field=models.CharField(blank=True, help_text='Where it was routed to; empty: the broker decides', max_length=20),
        ),
        migrations.AddField(
            model_name='order',
            name='group_role',
            field=models.CharField(blank=True, help_text='What it is in its bracket or OCO pair', max_length=15),
        ),
        migrations.AddField(
            model_name='order',
            name='slice',
            field=models.PositiveIntegerField(blank=True, help_text='Which child of its parent it is', null=True),
        ),
        migrations.AddField(
            model_name='order',
            name='venue',
            field=models.CharField(blank=True, help_text='Where it was routed to; empty: the broker decides', max_length=20),
        ),
        migrations.CreateModel(
            name='AlgoOrder',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('client_order_id', models.UUIDField()),
                ('side', models.CharField(choices=[('buy', 'BUY'), ('sell', 'SELL')], max_length=4)),
                ('quantity', models.DecimalField(decimal_places=6, max_digits=18)),
                ('limit_price', models.DecimalField(blank=True, decimal_places=6, max_digits=18, null=True)),
                ('strategy', models.CharField(blank=True, max_length=100)),
                ('algo', models.CharField(choices=[('twap', 'Twap'), ('vwap', 'Vwap'), ('pov', 'Pov'), ('iceberg', 'Iceberg'), ('is', 'Shortfall'), ('smart', 'Smart')], max_length=10)),
                ('parameters', models.JSONField(default=dict)),
                ('plan', models.JSONField(default=dict, help_text='Slices in seconds and shares, and from what they were made')),
                ('participation_cap', models.DecimalField(blank=True, decimal_places=4, help_text='Share of the total volume', max_digits=5, null=True)),
                ('start_at', models.DateTimeField(help_text='In market time')),
                ('end_at', models.DateTimeField(help_text="In market time; pauses move it, at most to the session's close")),
                ('latest_end_at', models.DateTimeField(help_text='The close of its session, in market time')),
                ('paused_at', models.DateTimeField(blank=True, help_text='In market time, while it is paused', null=True)),
                ('paused_for', models.DurationField(help_text='Market time of all pauses that are over')),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('working', 'Working'), ('paused', 'Paused'), ('done', 'Done'), ('cancelled', 'Cancelled'), ('denied', 'Denied')], default='pending', max_length=10)),
                ('reason', models.CharField(blank=True, help_text='Why it stands where it stands', max_length=500)),
                ('intent_digest', models.CharField(max_length=64)),
                ('reference_price', models.DecimalField(decimal_places=6, help_text='At the gate: the arrival price', max_digits=18, null=True)),
                ('note', models.CharField(blank=True, max_length=200)),
                ('market_time', models.DateTimeField(help_text='Market time when it was made')),
                ('created_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
                ('book', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portfolios.book')),
                ('created_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('instrument', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketdata.instrument')),
                ('portfolio', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portfolios.portfolio')),
            ],
            options={
                'indexes': [
                    models.Index(fields=['portfolio', '-id'], name='algo_portfolio'),
                    models.Index(condition=models.Q(('status__in', ['working', 'paused'])), fields=['status'], name='algo_active'),
                ],
                'constraints': [
                    models.UniqueConstraint(fields=('portfolio', 'client_order_id'), name='algo_client_id_once'),
                    models.CheckConstraint(condition=models.Q(('quantity__gt', 0)), name='algo_quantity_positive'),
                    models.CheckConstraint(condition=models.Q(('limit_price__isnull', True), ('limit_price__gt', 0), _connector='OR'), name='algo_limit_price'),
                    models.CheckConstraint(condition=models.Q(('algo__in', ['twap', 'vwap', 'pov', 'iceberg', 'is', 'smart'])), name='algo_kind'),
                    models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'working', 'paused', 'done', 'cancelled', 'denied'])), name='algo_status'),
                    models.CheckConstraint(condition=models.Q(('participation_cap__isnull', True), models.Q(('participation_cap__gt', 0), ('participation_cap__lt', 1)), _connector='OR'), name='algo_participation_cap'),
                    models.CheckConstraint(condition=models.Q(('end_at__lte', models.F('latest_end_at')), ('start_at__lt', models.F('end_at'))), name='algo_times'),
                    models.CheckConstraint(condition=models.Q(models.Q(('paused_at__isnull', False), ('status', 'paused')), models.Q(models.Q(('status', 'paused'), _negated=True), ('paused_at__isnull', True)), _connector='OR'), name='algo_paused_at'),
                ],
            },
        ),
        migrations.CreateModel(
            name='AlgoEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=20)),
                ('data', models.JSONField(default=dict)),
                ('market_time', models.DateTimeField()),
                ('recorded_at', models.DateTimeField()),
                ('algo', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='events', to='execution.algoorder')),
            ],
            options={
                'indexes': [
                    models.Index(fields=['algo', 'id'], name='algo_event_algo'),
                ],
            },
        ),
        migrations.CreateModel(
            name='AlgoDecision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('authority', models.CharField(choices=[('risk', 'Risk'), ('compliance', 'Compliance')], max_length=10)),
                ('intent_digest', models.CharField(max_length=64)),
                ('allowed', models.BooleanField()),
                ('checks', models.JSONField()),
                ('decided_at', models.DateTimeField()),
                ('algo', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='decisions', to='execution.algoorder')),
            ],
            options={
                'constraints': [
                    models.UniqueConstraint(fields=('algo', 'authority'), name='algo_decision_once'),
                ],
            },
        ),
        migrations.AddField(
            model_name='historicalorder',
            name='algo',
            field=models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='execution.algoorder'),
        ),
        migrations.AddField(
            model_name='order',
            name='algo',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='children', to='execution.algoorder'),
        ),
        migrations.CreateModel(
            name='HistoricalAlgoOrder',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('client_order_id', models.UUIDField()),
                ('side', models.CharField(choices=[('buy', 'BUY'), ('sell', 'SELL')], max_length=4)),
                ('quantity', models.DecimalField(decimal_places=6, max_digits=18)),
                ('limit_price', models.DecimalField(blank=True, decimal_places=6, max_digits=18, null=True)),
                ('strategy', models.CharField(blank=True, max_length=100)),
                ('algo', models.CharField(choices=[('twap', 'Twap'), ('vwap', 'Vwap'), ('pov', 'Pov'), ('iceberg', 'Iceberg'), ('is', 'Shortfall'), ('smart', 'Smart')], max_length=10)),
                ('parameters', models.JSONField(default=dict)),
                ('plan', models.JSONField(default=dict, help_text='Slices in seconds and shares, and from what they were made')),
                ('participation_cap', models.DecimalField(blank=True, decimal_places=4, help_text='Share of the total volume', max_digits=5, null=True)),
                ('start_at', models.DateTimeField(help_text='In market time')),
                ('end_at', models.DateTimeField(help_text="In market time; pauses move it, at most to the session's close")),
                ('latest_end_at', models.DateTimeField(help_text='The close of its session, in market time')),
                ('paused_at', models.DateTimeField(blank=True, help_text='In market time, while it is paused', null=True)),
                ('paused_for', models.DurationField(help_text='Market time of all pauses that are over')),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('working', 'Working'), ('paused', 'Paused'), ('done', 'Done'), ('cancelled', 'Cancelled'), ('denied', 'Denied')], default='pending', max_length=10)),
                ('reason', models.CharField(blank=True, help_text='Why it stands where it stands', max_length=500)),
                ('intent_digest', models.CharField(max_length=64)),
                ('reference_price', models.DecimalField(decimal_places=6, help_text='At the gate: the arrival price', max_digits=18, null=True)),
                ('note', models.CharField(blank=True, max_length=200)),
                ('market_time', models.DateTimeField(help_text='Market time when it was made')),
                ('created_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('book', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='portfolios.book')),
                ('created_by', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('instrument', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='marketdata.instrument')),
                ('portfolio', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='portfolios.portfolio')),
            ],
            options={
                'verbose_name': 'historical algo order',
                'verbose_name_plural': 'historical algo orders',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='HistoricalVenue',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('name', models.CharField(db_index=True, max_length=20)),
                ('taker_fee', models.DecimalField(decimal_places=4, default=0, help_text='Per share, a rebate is negative', max_digits=20)),
                ('maker_fee', models.DecimalField(decimal_places=4, default=0, help_text='Per share, a rebate is negative', max_digits=20)),
                ('latency_ms', models.PositiveIntegerField(default=0)),
                ('active', models.BooleanField(default=True)),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'historical venue',
                'verbose_name_plural': 'historical venues',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='OrderGroup',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('bracket', 'Bracket'), ('oco', 'Oco')], max_length=10)),
                ('client_group_id', models.UUIDField()),
                ('side', models.CharField(choices=[('buy', 'BUY'), ('sell', 'SELL')], max_length=4)),
                ('quantity', models.DecimalField(decimal_places=6, max_digits=18)),
                ('take_profit', models.DecimalField(decimal_places=6, max_digits=18)),
                ('stop_loss', models.DecimalField(decimal_places=6, max_digits=18)),
                ('time_in_force', models.CharField(choices=[('day', 'DAY'), ('gtc', 'GTC')], max_length=3)),
                ('strategy', models.CharField(blank=True, max_length=100)),
                ('content_digest', models.CharField(help_text='Of all that was asked for: the same id with another content conflicts', max_length=64)),
                ('created_at', models.DateTimeField()),
                ('book', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portfolios.book')),
                ('created_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('instrument', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketdata.instrument')),
                ('portfolio', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portfolios.portfolio')),
            ],
            options={
                'constraints': [
                    models.UniqueConstraint(fields=('portfolio', 'client_group_id'), name='group_client_id_once'),
                    models.CheckConstraint(condition=models.Q(('quantity__gt', 0), ('stop_loss__gt', 0), ('take_profit__gt', 0)), name='group_values'),
                    models.CheckConstraint(condition=models.Q(models.Q(('side', 'sell'), ('take_profit__gt', models.F('stop_loss'))), models.Q(('side', 'buy'), ('take_profit__lt', models.F('stop_loss'))), _connector='OR'), name='group_prices_on_their_sides'),
                ],
            },
        ),
        migrations.AddField(
            model_name='historicalorder',
            name='group',
            field=models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='execution.ordergroup'),
        ),
        migrations.AddField(
            model_name='order',
            name='group',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='orders', to='execution.ordergroup'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.UniqueConstraint(condition=models.Q(('algo__isnull', False)), fields=('algo', 'slice'), name='order_slice_once'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('algo__isnull', True), ('slice__isnull', True)), models.Q(('algo__isnull', False), ('slice__isnull', False)), _connector='OR'), name='order_slice'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.UniqueConstraint(condition=models.Q(('group__isnull', False)), fields=('group', 'group_role'), name='order_group_role_once'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('group__isnull', True), ('group_role', '')), models.Q(('group__isnull', False), models.Q(('group_role', ''), _negated=True)), _connector='OR'), name='order_group_role'),
        ),
        migrations.AddField(
            model_name='routingdecision',
            name='algo',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='routing', to='execution.algoorder'),
        ),
        Journal('AlgoOrder'),
        NoTruncate('AlgoOrder'),
        AppendOnly('HistoricalAlgoOrder'),
        Journal('Venue'),
        NoTruncate('Venue'),
        AppendOnly('HistoricalVenue'),
        *(operation(name) for name in ('AlgoDecision', 'AlgoEvent', 'RoutingDecision', 'OrderProtection', 'OrderGroup') for operation in (Journal, AppendOnly)),
        # The guards of orders again, with the links which are written once.
        migrations.RunSQL(order_guard_sql(), order_guard_removal_sql()),
        migrations.RunSQL(algo_guard_sql(COLUMNS), algo_guard_removal_sql()),
        migrations.RunPython(venues_make, migrations.RunPython.noop),
    ]
