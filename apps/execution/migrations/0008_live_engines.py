"""Live engines: what they are, where they stand, what they did step by step, and who let them trade live."""

import django.db.models.deletion
import simple_history.models
from django.conf import settings
from django.db import migrations, models

from apps.core.operations import AppendOnly, Journal, NoTruncate
from apps.execution.domain.engine_guards import engine_guard_removal_sql, engine_guard_sql


class Migration(migrations.Migration):

    dependencies = [
        ('execution', '0007_hops_and_refused_fills'),
        ('marketdata', '0015_listings_and_universes'),
        ('portfolios', '0004_ledger_kinds'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='EngineCycle',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.BigIntegerField(help_text='From 1, without gaps')),
                ('token', models.BigIntegerField()),
                ('trigger', models.CharField(choices=[('bar', 'Bar'), ('price', 'Price')], max_length=5)),
                ('bar_ts', models.DateTimeField(help_text='Start of the bar that it acted upon', null=True)),
                ('market_time', models.DateTimeField()),
                ('recorded_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='TradingEngine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('strategy', models.CharField(max_length=100)),
                ('symbols', models.JSONField(help_text='What it trades')),
                ('parameters', models.JSONField(default=dict, help_text="The strategy's")),
                ('configuration', models.JSONField(default=dict, help_text='Stops, limits and sizer; no secrets')),
                ('config_digest', models.CharField(help_text='Of all that it may do: an approval for live trading holds for this alone', max_length=64)),
                ('mode', models.CharField(choices=[('paper', 'Paper'), ('live', 'Live')], max_length=5)),
                ('wanted', models.BooleanField(default=False, help_text='People want it to run: whichever host is free runs it')),
                ('created_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
                ('book', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portfolios.book')),
                ('portfolio', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portfolios.portfolio')),
                ('runs_as', models.ForeignKey(help_text='Whose orders they are', on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'permissions': [('control_engine', 'Can start and stop live engines'), ('reset_breaker', 'Can reset the circuit breaker of a live engine'), ('approve_live', 'Can approve an engine for live trading, as the second person')],
                'constraints': [
                    models.UniqueConstraint(fields=('portfolio', 'strategy'), name='engine_once'),
                    models.CheckConstraint(condition=models.Q(('mode__in', ['paper', 'live'])), name='engine_mode'),
                ],
            },
        ),
        migrations.CreateModel(
            name='EngineEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('configured', 'Configured'), ('started', 'Started'), ('stopped', 'Stopped'), ('taken', 'Taken'), ('released', 'Released'), ('tripped', 'Tripped'), ('reset', 'Reset'), ('live_requested', 'Live Requested'), ('live_approved', 'Live Approved'), ('live_revoked', 'Live Revoked')], max_length=14)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('token', models.BigIntegerField()),
                ('data', models.JSONField(default=dict)),
                ('recorded_at', models.DateTimeField()),
                ('user', models.ForeignKey(help_text='Empty: the engine itself', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('engine', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='events', to='execution.tradingengine')),
            ],
            options={
                'indexes': [
                    models.Index(fields=['engine', '-id'], name='engine_event_engine'),
                ],
            },
        ),
        migrations.CreateModel(
            name='EngineDecision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('purpose', models.CharField(choices=[('signal', 'Signal'), ('stop_loss', 'Stop Loss'), ('trailing_stop', 'Trailing Stop'), ('portfolio_stop', 'Portfolio Stop'), ('max_drawdown', 'Max Drawdown')], max_length=14)),
                ('side', models.CharField(choices=[('buy', 'BUY'), ('sell', 'SELL')], max_length=4)),
                ('quantity', models.DecimalField(decimal_places=6, max_digits=18)),
                ('client_order_id', models.UUIDField(unique=True)),
                ('bar_ts', models.DateTimeField(null=True)),
                ('reason', models.CharField(max_length=500)),
                ('recorded_at', models.DateTimeField()),
                ('cycle', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='decisions', to='execution.enginecycle')),
                ('instrument', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketdata.instrument')),
                ('engine', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='decisions', to='execution.tradingengine')),
            ],
            options={
                'indexes': [
                    models.Index(fields=['engine', 'instrument', '-id'], name='engine_decision_newest'),
                ],
                'constraints': [
                    models.UniqueConstraint(fields=('engine', 'instrument', 'bar_ts'), name='engine_decision_once_per_bar'),
                    models.UniqueConstraint(fields=('cycle', 'instrument'), name='engine_decision_once_per_cycle'),
                    models.CheckConstraint(condition=models.Q(('quantity__gt', 0)), name='engine_decision_quantity'),
                    models.CheckConstraint(condition=models.Q(models.Q(('bar_ts__isnull', False), ('purpose', 'signal')), models.Q(models.Q(('purpose', 'signal'), _negated=True), ('bar_ts__isnull', True), ('side', 'sell')), _connector='OR'), name='engine_decision_purpose'),
                ],
            },
        ),
        migrations.AddField(
            model_name='enginecycle',
            name='engine',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='kept_cycles', to='execution.tradingengine'),
        ),
        migrations.CreateModel(
            name='EngineStep',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveSmallIntegerField(choices=[(1, 'Receive market data'), (2, 'Update prices and P&L'), (3, 'Check stops'), (4, 'Circuit breaker'), (5, 'Build the snapshot'), (6, 'Generate signals'), (7, 'Drop what was said before'), (8, 'Validate'), (9, 'Execute'), (10, 'Log'), (11, 'Write the health file')])),
                ('token', models.BigIntegerField()),
                ('outcome', models.CharField(max_length=500)),
                ('data', models.JSONField(default=dict)),
                ('recorded_at', models.DateTimeField()),
                ('cycle', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='steps', to='execution.enginecycle')),
            ],
            options={
                'constraints': [
                    models.UniqueConstraint(fields=('cycle', 'number'), name='engine_step_once'),
                    models.CheckConstraint(condition=models.Q(('number__gte', 1), ('number__lte', 11)), name='engine_step_number'),
                ],
            },
        ),
        migrations.CreateModel(
            name='HistoricalTradingEngine',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('strategy', models.CharField(max_length=100)),
                ('symbols', models.JSONField(help_text='What it trades')),
                ('parameters', models.JSONField(default=dict, help_text="The strategy's")),
                ('configuration', models.JSONField(default=dict, help_text='Stops, limits and sizer; no secrets')),
                ('config_digest', models.CharField(help_text='Of all that it may do: an approval for live trading holds for this alone', max_length=64)),
                ('mode', models.CharField(choices=[('paper', 'Paper'), ('live', 'Live')], max_length=5)),
                ('wanted', models.BooleanField(default=False, help_text='People want it to run: whichever host is free runs it')),
                ('created_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('book', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='portfolios.book')),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('portfolio', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='portfolios.portfolio')),
                ('runs_as', models.ForeignKey(blank=True, db_constraint=False, help_text='Whose orders they are', null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'historical trading engine',
                'verbose_name_plural': 'historical trading engines',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='LiveApproval',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('config_digest', models.CharField(max_length=64)),
                ('reason', models.CharField(max_length=500)),
                ('requested_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField(help_text='Until then it may be approved')),
                ('approved_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('approved_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('engine', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='approvals', to='execution.tradingengine')),
                ('requested_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('revoked_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('approved_by__isnull', True), models.Q(('approved_by', models.F('requested_by')), _negated=True), _connector='OR'), name='live_approval_by_two'),
                    models.CheckConstraint(condition=models.Q(models.Q(('approved_at__isnull', True), ('approved_by__isnull', True)), models.Q(('approved_at__isnull', False), ('approved_at__lt', models.F('expires_at')), ('approved_by__isnull', False)), _connector='OR'), name='live_approval_in_time'),
                    models.CheckConstraint(condition=models.Q(models.Q(('revoked_at__isnull', True), ('revoked_by__isnull', True)), models.Q(('revoked_at__isnull', False), ('revoked_by__isnull', False)), _connector='OR'), name='live_approval_revoked'),
                    models.UniqueConstraint(condition=models.Q(('revoked_at__isnull', True)), fields=('engine',), name='live_approval_one_open'),
                ],
            },
        ),
        migrations.CreateModel(
            name='EngineState',
            fields=[
                ('engine', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='state', serialize=False, to='execution.tradingengine')),
                ('token', models.BigIntegerField(default=0)),
                ('holder', models.CharField(blank=True, help_text='Host and process that runs it; empty when nobody does', max_length=200)),
                ('heartbeat_at', models.DateTimeField(null=True)),
                ('cycles', models.BigIntegerField(default=0, help_text='Looks so far, of which those that did something are kept')),
                ('last_cycle_at', models.DateTimeField(null=True)),
                ('last_bar', models.DateTimeField(null=True)),
                ('marks', models.JSONField(default=dict, help_text='Highest price of each position as a multiple of its average cost')),
                ('peak', models.DecimalField(decimal_places=4, help_text='Highest value of the portfolio', max_digits=20, null=True)),
                ('flows', models.DecimalField(decimal_places=4, default=0, help_text='Net deposits that the peak counts in', max_digits=20)),
                ('tripped', models.BooleanField(default=False, help_text='The circuit breaker is open: no signals until a person resets it')),
                ('trip_reason', models.CharField(blank=True, max_length=500)),
                ('tripped_at', models.DateTimeField(null=True)),
                ('health', models.JSONField(default=dict)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('tripped', True), ('tripped_at__isnull', False)), models.Q(('tripped', False), ('tripped_at__isnull', True)), _connector='OR'), name='engine_tripped_at')],
            },
        ),
        migrations.AddConstraint(
            model_name='enginecycle',
            constraint=models.UniqueConstraint(fields=('engine', 'number'), name='engine_cycle_once'),
        ),
        migrations.AddConstraint(
            model_name='enginecycle',
            constraint=models.UniqueConstraint(fields=('engine', 'bar_ts'), name='engine_cycle_once_per_bar'),
        ),
        migrations.AddConstraint(
            model_name='enginecycle',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('bar_ts__isnull', False), ('trigger', 'bar')), models.Q(('bar_ts__isnull', True), ('trigger', 'price')), _connector='OR'), name='engine_cycle_bar'),
        ),
        Journal('TradingEngine'),
        NoTruncate('TradingEngine'),
        AppendOnly('HistoricalTradingEngine'),
        Journal('LiveApproval'),
        NoTruncate('LiveApproval'),
        *(operation(name) for name in ('EngineEvent', 'EngineCycle', 'EngineDecision') for operation in (Journal, AppendOnly)),
        AppendOnly('EngineStep'),
        migrations.RunSQL(engine_guard_sql(), engine_guard_removal_sql()),
    ]
