"""Trailing stops, market on close, good till date; orders that are changed, and orders nobody knows the broker has."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from apps.core.operations import AppendOnly, Journal
from apps.execution.domain.guards import order_guard_removal_sql, order_guard_sql


class Migration(migrations.Migration):

    dependencies = [
        ('execution', '0002_guards_journal_and_append_only'),
        ('marketdata', '0002_journal_and_hypertables'),
        ('portfolios', '0003_journal_and_append_only'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='OrderReplacement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('replacement_id', models.UUIDField(help_text="The client's own id of this change: asked twice, it is one change")),
                ('quantity', models.DecimalField(decimal_places=6, max_digits=18)),
                ('time_in_force', models.CharField(choices=[('day', 'DAY'), ('gtc', 'GTC'), ('ioc', 'IOC'), ('fok', 'FOK'), ('gtd', 'GTD')], max_length=3)),
                ('limit_price', models.DecimalField(decimal_places=6, max_digits=18, null=True)),
                ('stop_price', models.DecimalField(decimal_places=6, max_digits=18, null=True)),
                ('trail_offset', models.DecimalField(decimal_places=6, max_digits=18, null=True)),
                ('expire_at', models.DateTimeField(null=True)),
                ('intent_digest', models.CharField(max_length=64)),
                ('requested_at', models.DateTimeField()),
            ],
            options={
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('quantity__gt', 0)), name='replacement_quantity_positive'),
                ],
            },
        ),
        migrations.RemoveConstraint(
            model_name='order',
            name='order_status',
        ),
        migrations.RemoveConstraint(
            model_name='order',
            name='order_limit_price',
        ),
        migrations.RemoveConstraint(
            model_name='order',
            name='order_stop_price',
        ),
        migrations.AddField(
            model_name='historicalorder',
            name='expire_at',
            field=models.DateTimeField(blank=True, help_text='End of a good-till-date order, in market time', null=True),
        ),
        migrations.AddField(
            model_name='historicalorder',
            name='trail_offset',
            field=models.DecimalField(blank=True, decimal_places=6, help_text='How far the stop follows the best price', max_digits=18, null=True),
        ),
        migrations.AddField(
            model_name='historicalorder',
            name='working_stop',
            field=models.DecimalField(blank=True, decimal_places=6, help_text='Where a trailing stop stands now', max_digits=18, null=True),
        ),
        migrations.AddField(
            model_name='order',
            name='expire_at',
            field=models.DateTimeField(blank=True, help_text='End of a good-till-date order, in market time', null=True),
        ),
        migrations.AddField(
            model_name='order',
            name='trail_offset',
            field=models.DecimalField(blank=True, decimal_places=6, help_text='How far the stop follows the best price', max_digits=18, null=True),
        ),
        migrations.AddField(
            model_name='order',
            name='working_stop',
            field=models.DecimalField(blank=True, decimal_places=6, help_text='Where a trailing stop stands now', max_digits=18, null=True),
        ),
        migrations.AlterField(
            model_name='historicalorder',
            name='order_type',
            field=models.CharField(choices=[('market', 'MARKET'), ('limit', 'LIMIT'), ('stop', 'STOP'), ('stop_limit', 'STOP_LIMIT'), ('trailing_stop', 'TRAILING_STOP'), ('market_on_close', 'MARKET_ON_CLOSE')], max_length=15),
        ),
        migrations.AlterField(
            model_name='historicalorder',
            name='status',
            field=models.CharField(choices=[('pending_new', 'Pending New'), ('denied', 'Denied'), ('sent', 'Sent'), ('unknown_sent', 'Unknown Sent'), ('new', 'New'), ('partially_filled', 'Partially Filled'), ('filled', 'Filled'), ('pending_cancel', 'Pending Cancel'), ('pending_replace', 'Pending Replace'), ('canceled', 'Canceled'), ('rejected', 'Rejected'), ('expired', 'Expired')], default='pending_new', max_length=20),
        ),
        migrations.AlterField(
            model_name='historicalorder',
            name='time_in_force',
            field=models.CharField(choices=[('day', 'DAY'), ('gtc', 'GTC'), ('ioc', 'IOC'), ('fok', 'FOK'), ('gtd', 'GTD')], max_length=3),
        ),
        migrations.AlterField(
            model_name='order',
            name='order_type',
            field=models.CharField(choices=[('market', 'MARKET'), ('limit', 'LIMIT'), ('stop', 'STOP'), ('stop_limit', 'STOP_LIMIT'), ('trailing_stop', 'TRAILING_STOP'), ('market_on_close', 'MARKET_ON_CLOSE')], max_length=15),
        ),
        migrations.AlterField(
            model_name='order',
            name='status',
            field=models.CharField(choices=[('pending_new', 'Pending New'), ('denied', 'Denied'), ('sent', 'Sent'), ('unknown_sent', 'Unknown Sent'), ('new', 'New'), ('partially_filled', 'Partially Filled'), ('filled', 'Filled'), ('pending_cancel', 'Pending Cancel'), ('pending_replace', 'Pending Replace'), ('canceled', 'Canceled'), ('rejected', 'Rejected'), ('expired', 'Expired')], default='pending_new', max_length=20),
        ),
        migrations.AlterField(
            model_name='order',
            name='time_in_force',
            field=models.CharField(choices=[('day', 'DAY'), ('gtc', 'GTC'), ('ioc', 'IOC'), ('fok', 'FOK'), ('gtd', 'GTD')], max_length=3),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['pending_new', 'denied', 'sent', 'unknown_sent', 'new', 'partially_filled', 'filled', 'pending_cancel', 'pending_replace', 'canceled', 'rejected', 'expired'])), name='order_status'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('limit_price__gt', 0), ('order_type__in', ['limit', 'stop_limit'])), models.Q(('limit_price__isnull', True), ('order_type__in', ['market', 'stop', 'trailing_stop', 'market_on_close'])), _connector='OR'), name='order_limit_price'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('order_type__in', ['stop', 'stop_limit']), ('stop_price__gt', 0)), models.Q(('order_type__in', ['market', 'limit', 'trailing_stop', 'market_on_close']), ('stop_price__isnull', True)), _connector='OR'), name='order_stop_price'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('order_type', 'trailing_stop'), ('trail_offset__gt', 0)), models.Q(models.Q(('order_type', 'trailing_stop'), _negated=True), ('trail_offset__isnull', True), ('working_stop__isnull', True)), _connector='OR'), name='order_trail_offset'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('expire_at__isnull', False), ('time_in_force', 'gtd')), models.Q(models.Q(('time_in_force', 'gtd'), _negated=True), ('expire_at__isnull', True)), _connector='OR'), name='order_expire_at'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('order_type', 'market_on_close'), _negated=True), ('time_in_force', 'day'), _connector='OR'), name='order_on_close_is_for_the_day'),
        ),
        migrations.AddField(
            model_name='orderreplacement',
            name='order',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='replacements', to='execution.order'),
        ),
        migrations.AddField(
            model_name='orderreplacement',
            name='requested_by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddConstraint(
            model_name='orderreplacement',
            constraint=models.UniqueConstraint(fields=('order', 'replacement_id'), name='replacement_once'),
        ),
        # The same values may be judged again later: each judgement is kept.
        migrations.RemoveConstraint(model_name='orderdecision', name='decision_once'),
        migrations.AddConstraint(
            model_name='orderdecision',
            constraint=models.UniqueConstraint(fields=('order', 'authority', 'intent_digest', 'decided_at'), name='decision_once'),
        ),
        Journal('OrderReplacement'),
        AppendOnly('OrderReplacement'),
        # The guards again, with the new statuses, columns and the one way to change what was intended.
        migrations.RunSQL(order_guard_sql(), order_guard_removal_sql()),
    ]
