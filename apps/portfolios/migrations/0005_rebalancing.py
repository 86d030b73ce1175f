"""Targets, rebalances and their events: facts that nobody changes, and targets that never add up to more than everything."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from apps.core.operations import AppendOnly, Journal

FACTS = ("TargetPlan", "TargetWeight", "RebalanceProposal", "RebalanceTrade", "RebalanceEvent")

TARGETS_SUM = """
create function portfolios_targets_sum() returns trigger language plpgsql as $$
begin
    if (select sum(weight) from portfolios_targetweight where plan_id = new.plan_id) > 1 then
        raise exception 'the targets of plan % add up to more than 1', new.plan_id using errcode = 'check_violation', constraint = 'target_weights_sum';
    end if;
    return null;
end $$;
create trigger targets_sum after insert on portfolios_targetweight for each row execute function portfolios_targets_sum();
"""
NO_TARGETS_SUM = "drop trigger targets_sum on portfolios_targetweight; drop function portfolios_targets_sum();"


class Migration(migrations.Migration):

    dependencies = [
        ('marketdata', '0015_listings_and_universes'),
        ('portfolios', '0004_ledger_kinds'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='RebalanceEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('date', models.DateField(help_text='Session of the market')),
                ('reason', models.CharField(choices=[('drift_threshold', 'drift_threshold'), ('stop_loss', 'stop_loss'), ('scheduled', 'scheduled'), ('forced', 'forced')], max_length=15)),
                ('max_drift', models.DecimalField(decimal_places=8, max_digits=12)),
                ('num_trades', models.PositiveIntegerField()),
                ('total_cost', models.DecimalField(decimal_places=4, max_digits=20)),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('executing', 'Executing'), ('executed', 'Executed'), ('partial', 'Partial'), ('failed', 'Failed')], max_length=9)),
                ('detail', models.TextField(blank=True)),
                ('excluded', models.JSONField(default=list, help_text='Symbols that the person who executed left out')),
                ('recorded_at', models.DateTimeField()),
            ],
            options={
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'executing', 'executed', 'partial', 'failed'])), name='rebalance_event_status'),
                ],
            },
        ),
        migrations.CreateModel(
            name='RebalanceProposal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(choices=[('drift_threshold', 'drift_threshold'), ('stop_loss', 'stop_loss'), ('scheduled', 'scheduled'), ('forced', 'forced')], max_length=15)),
                ('session', models.DateField()),
                ('market_time', models.DateTimeField()),
                ('equity', models.DecimalField(decimal_places=4, max_digits=20)),
                ('cash_before', models.DecimalField(decimal_places=4, max_digits=20)),
                ('cash_after', models.DecimalField(decimal_places=4, max_digits=20)),
                ('max_drift', models.DecimalField(decimal_places=8, max_digits=12)),
                ('total_drift', models.DecimalField(decimal_places=8, max_digits=12)),
                ('turnover', models.DecimalField(decimal_places=8, help_text='Value of all trades over equity, half', max_digits=12)),
                ('estimated_cost', models.DecimalField(decimal_places=4, help_text='Commission and slippage', max_digits=20)),
                ('commission', models.DecimalField(decimal_places=4, help_text='Per order', max_digits=20)),
                ('slippage_bps', models.DecimalField(decimal_places=4, max_digits=8)),
                ('price_tolerance', models.DecimalField(decimal_places=8, max_digits=12)),
                ('vix', models.FloatField(null=True)),
                ('vix_regime', models.CharField(blank=True, max_length=30)),
                ('stop_threshold', models.DecimalField(decimal_places=8, max_digits=12, null=True)),
                ('skipped', models.JSONField(default=list)),
                ('expires_at', models.DateTimeField(help_text='Wall time after which it is not executed')),
                ('recorded_at', models.DateTimeField()),
            ],
            options={
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('reason__in', ['drift_threshold', 'stop_loss', 'scheduled', 'forced'])), name='rebalance_reason'),
                    models.CheckConstraint(condition=models.Q(('estimated_cost__gte', 0)), name='rebalance_cost'),
                ],
            },
        ),
        migrations.CreateModel(
            name='RebalanceTrade',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveSmallIntegerField()),
                ('side', models.CharField(choices=[('buy', 'BUY'), ('sell', 'SELL')], max_length=4)),
                ('quantity', models.DecimalField(decimal_places=6, max_digits=18)),
                ('held', models.DecimalField(decimal_places=6, help_text='In the book, when it was proposed', max_digits=18)),
                ('price', models.DecimalField(decimal_places=6, max_digits=18)),
                ('price_time', models.DateTimeField()),
                ('price_source', models.CharField(max_length=50)),
                ('value', models.DecimalField(decimal_places=4, max_digits=20)),
                ('commission', models.DecimalField(decimal_places=4, max_digits=20)),
                ('slippage', models.DecimalField(decimal_places=4, max_digits=20)),
                ('weight_before', models.DecimalField(decimal_places=8, max_digits=12)),
                ('target_weight', models.DecimalField(decimal_places=6, max_digits=7)),
                ('weight_after', models.DecimalField(decimal_places=8, max_digits=12)),
                ('reason', models.CharField(choices=[('drift', 'drift'), ('no_target', 'no_target'), ('stop_loss', 'stop_loss')], max_length=9)),
                ('drawdown', models.DecimalField(decimal_places=8, help_text='From the average cost, of what a stop ends', max_digits=12, null=True)),
                ('realised', models.DecimalField(decimal_places=4, max_digits=20, null=True)),
                ('realised_short_term', models.DecimalField(decimal_places=4, max_digits=20, null=True)),
                ('client_order_id', models.UUIDField(unique=True)),
            ],
            options={
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('commission__gte', 0), ('price__gt', 0), ('quantity__gt', 0), ('slippage__gte', 0)), name='rebalance_trade_positive'),
                    models.CheckConstraint(condition=models.Q(('side', 'buy'), models.Q(('quantity__lte', models.F('held')), ('side', 'sell')), _connector='OR'), name='rebalance_trade_not_oversold'),
                ],
            },
        ),
        migrations.CreateModel(
            name='TargetPlan',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('effective_on', models.DateField(help_text='Market date from which it holds')),
                ('reason', models.CharField(max_length=200)),
                ('drift_threshold', models.DecimalField(decimal_places=8, default='0.05', help_text='A larger drift asks for a rebalance', max_digits=12)),
                ('band', models.DecimalField(decimal_places=8, default='0.005', help_text='A drift up to this is not traded', max_digits=12)),
                ('price_tolerance', models.DecimalField(decimal_places=8, default='0.02', help_text='A proposal is stale once a price has moved by more', max_digits=12)),
                ('drift_check', models.CharField(choices=[('never', 'never'), ('daily', 'daily'), ('weekly', 'weekly'), ('monthly', 'monthly'), ('quarterly', 'quarterly')], default='weekly', max_length=9)),
                ('schedule', models.CharField(choices=[('never', 'never'), ('daily', 'daily'), ('weekly', 'weekly'), ('monthly', 'monthly'), ('quarterly', 'quarterly')], default='never', max_length=9)),
                ('stop_loss', models.CharField(choices=[('off', 'Off'), ('propose', 'Propose'), ('exit', 'Exit')], default='propose', max_length=7)),
                ('recorded_at', models.DateTimeField()),
            ],
            options={
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('band__gte', 0), ('band__lt', 1), ('drift_threshold__gt', 0), ('drift_threshold__lte', 1), ('price_tolerance__gt', 0), ('price_tolerance__lte', 1)), name='target_plan_fractions'),
                    models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='target_plan_has_reason'),
                    models.CheckConstraint(condition=models.Q(('drift_check__in', ['never', 'daily', 'weekly', 'monthly', 'quarterly']), ('schedule__in', ['never', 'daily', 'weekly', 'monthly', 'quarterly']), ('stop_loss__in', ['off', 'propose', 'exit'])), name='target_plan_choices'),
                ],
            },
        ),
        migrations.CreateModel(
            name='TargetWeight',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('weight', models.DecimalField(decimal_places=6, max_digits=7)),
            ],
            options={
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('weight__gte', 0), ('weight__lte', 1)), name='target_weight_fraction'),
                ],
            },
        ),
        migrations.AddField(
            model_name='historicalportfolio',
            name='num_positions',
            field=models.PositiveSmallIntegerField(default=20, help_text='How many instruments its targets shall have'),
        ),
        migrations.AddField(
            model_name='historicalportfolio',
            name='optimizer_type',
            field=models.CharField(blank=True, choices=[('rank_based', 'rank_based'), ('equal', 'equal'), ('inverse_volatility', 'inverse_volatility'), ('min_variance', 'min_variance'), ('mvo', 'mvo')], help_text='How its target weights are made; empty: by hand', max_length=20),
        ),
        migrations.AddField(
            model_name='portfolio',
            name='num_positions',
            field=models.PositiveSmallIntegerField(default=20, help_text='How many instruments its targets shall have'),
        ),
        migrations.AddField(
            model_name='portfolio',
            name='optimizer_type',
            field=models.CharField(blank=True, choices=[('rank_based', 'rank_based'), ('equal', 'equal'), ('inverse_volatility', 'inverse_volatility'), ('min_variance', 'min_variance'), ('mvo', 'mvo')], help_text='How its target weights are made; empty: by hand', max_length=20),
        ),
        migrations.AddConstraint(
            model_name='portfolio',
            constraint=models.CheckConstraint(condition=models.Q(('num_positions__gte', 1), ('optimizer_type__in', ['', 'rank_based', 'equal', 'inverse_volatility', 'min_variance', 'mvo'])), name='portfolio_optimizer'),
        ),
        migrations.AddField(
            model_name='rebalanceevent',
            name='portfolio',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='rebalance_events', to='portfolios.portfolio'),
        ),
        migrations.AddField(
            model_name='rebalanceevent',
            name='user',
            field=models.ForeignKey(help_text='None: the watch', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='rebalanceproposal',
            name='created_by',
            field=models.ForeignKey(help_text='None: the watch', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='rebalanceproposal',
            name='portfolio',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='rebalances', to='portfolios.portfolio'),
        ),
        migrations.AddField(
            model_name='rebalanceevent',
            name='proposal',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='events', to='portfolios.rebalanceproposal'),
        ),
        migrations.AddField(
            model_name='rebalancetrade',
            name='book',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portfolios.book'),
        ),
        migrations.AddField(
            model_name='rebalancetrade',
            name='instrument',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketdata.instrument'),
        ),
        migrations.AddField(
            model_name='rebalancetrade',
            name='proposal',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='trades', to='portfolios.rebalanceproposal'),
        ),
        migrations.AddField(
            model_name='targetplan',
            name='created_by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='targetplan',
            name='portfolio',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='target_plans', to='portfolios.portfolio'),
        ),
        migrations.AddField(
            model_name='rebalanceproposal',
            name='plan',
            field=models.ForeignKey(help_text='None: a stop without targets', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portfolios.targetplan'),
        ),
        migrations.AddField(
            model_name='targetweight',
            name='instrument',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketdata.instrument'),
        ),
        migrations.AddField(
            model_name='targetweight',
            name='plan',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='weights', to='portfolios.targetplan'),
        ),
        migrations.AddIndex(
            model_name='rebalanceevent',
            index=models.Index(fields=['portfolio', '-id'], name='rebalance_event_of_portfolio'),
        ),
        migrations.AddConstraint(
            model_name='rebalanceevent',
            constraint=models.UniqueConstraint(fields=('proposal', 'status'), name='rebalance_step_once'),
        ),
        migrations.AddConstraint(
            model_name='rebalanceevent',
            constraint=models.UniqueConstraint(condition=models.Q(('status__in', ['executed', 'partial', 'failed'])), fields=('proposal',), name='rebalance_ends_once'),
        ),
        migrations.AddConstraint(
            model_name='rebalancetrade',
            constraint=models.UniqueConstraint(fields=('proposal', 'number'), name='rebalance_trade_number'),
        ),
        migrations.AddConstraint(
            model_name='rebalancetrade',
            constraint=models.UniqueConstraint(fields=('proposal', 'instrument'), name='rebalance_trade_once'),
        ),
        migrations.AddIndex(
            model_name='targetplan',
            index=models.Index(fields=['portfolio', '-effective_on', '-id'], name='target_plan_in_force'),
        ),
        migrations.AddIndex(
            model_name='rebalanceproposal',
            index=models.Index(fields=['portfolio', '-id'], name='rebalance_of_portfolio'),
        ),
        migrations.AddConstraint(
            model_name='targetweight',
            constraint=models.UniqueConstraint(fields=('plan', 'instrument'), name='target_weight_once'),
        ),
        *(operation(name) for name in FACTS for operation in (Journal, AppendOnly)),
        migrations.RunSQL(TARGETS_SUM, NO_TARGETS_SUM),
    ]
