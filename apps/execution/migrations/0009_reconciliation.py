"""What the desk and a broker disagree in, and why a break may stand. Nothing of it is ever changed."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from apps.core.operations import AppendOnly, Journal
from apps.execution.domain.guards import break_guard_removal_sql, break_guard_sql


class Migration(migrations.Migration):

    dependencies = [
        ('execution', '0008_live_engines'),
        ('portfolios', '0004_ledger_kinds'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ReconciliationRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('trigger', models.CharField(choices=[('start', "Start of the broker's process"), ('reconnect', 'New line to the broker'), ('fill', 'Fills'), ('beat', 'Schedule'), ('request', 'Somebody asked')], max_length=10)),
                ('state', models.CharField(choices=[('clean', 'Clean'), ('breaks', 'Breaks'), ('failed', 'The broker could not be asked')], max_length=10)),
                ('detail', models.CharField(blank=True, help_text='Why it failed', max_length=500)),
                ('compared', models.JSONField(default=dict, help_text='How many orders, executions, positions and currencies the broker told of')),
                ('booked_fills', models.PositiveIntegerField(default=0, help_text='Executions that the desk had missed and that it booked')),
                ('open_breaks', models.PositiveIntegerField(default=0)),
                ('accepted', models.JSONField(default=list)),
                ('started_at', models.DateTimeField()),
                ('recorded_at', models.DateTimeField()),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='reconciliations', to='execution.brokerageaccount')),
            ],
            options={
                'indexes': [
                    models.Index(fields=['account', '-id'], name='reconciliation_account'),
                ],
                'constraints': [
                    models.CheckConstraint(condition=models.Q(models.Q(('open_breaks', 0), ('state', 'clean')), models.Q(('open_breaks__gt', 0), ('state', 'breaks')), models.Q(('state', 'failed'), models.Q(('detail', ''), _negated=True)), _connector='OR'), name='reconciliation_state'),
                ],
            },
        ),
        migrations.CreateModel(
            name='ReconciliationBreak',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('missing_at_broker', 'Missing at broker'), ('missing_locally', 'Missing locally'), ('qty', 'Quantity'), ('price', 'Price'), ('side', 'Side'), ('cash', 'Cash'), ('position', 'Position')], max_length=20)),
                ('subject', models.CharField(choices=[('order', 'Order'), ('execution', 'Execution'), ('position', 'Position'), ('cash', 'Cash'), ('settled_cash', 'Settled cash')], max_length=15)),
                ('key', models.CharField(help_text="The order's reference, the execution id, the symbol or the currency", max_length=150)),
                ('symbol', models.CharField(blank=True, max_length=20)),
                ('ours', models.CharField(blank=True, max_length=200)),
                ('theirs', models.CharField(blank=True, max_length=200)),
                ('difference', models.DecimalField(decimal_places=6, max_digits=26, null=True)),
                ('halts', models.BooleanField(default=False)),
                ('found_at', models.DateTimeField()),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='breaks', to='execution.brokerageaccount')),
                ('portfolio', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portfolios.portfolio')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='breaks', to='execution.reconciliationrun')),
            ],
            options={
                'indexes': [
                    models.Index(fields=['account', '-id'], name='break_account'),
                    models.Index(condition=models.Q(('halts', True)), fields=['portfolio'], name='break_halts'),
                ],
                'constraints': [
                    models.UniqueConstraint(fields=('run', 'kind', 'subject', 'key'), name='break_once_per_run'),
                    models.CheckConstraint(condition=models.Q(('kind__in', ['missing_at_broker', 'missing_locally', 'qty', 'price', 'side', 'cash', 'position'])), name='break_kind'),
                    models.CheckConstraint(condition=models.Q(('subject__in', ['order', 'execution', 'position', 'cash', 'settled_cash'])), name='break_subject'),
                ],
            },
        ),
        migrations.CreateModel(
            name='BreakResolution',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(max_length=500)),
                ('resolved_at', models.DateTimeField()),
                ('resolved_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('found', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='resolution', to='execution.reconciliationbreak', verbose_name='break')),
                ('run', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='execution.reconciliationrun')),
            ],
            options={
                'constraints': [
                    models.CheckConstraint(condition=models.Q(models.Q(('resolved_by__isnull', False), ('run__isnull', True)), models.Q(('resolved_by__isnull', True), ('run__isnull', False)), _connector='OR'), name='resolution_by_person_or_run'),
                    models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='resolution_has_reason'),
                ],
            },
        ),
        AppendOnly('ReconciliationRun'),
        *(operation(name) for name in ('ReconciliationBreak', 'BreakResolution') for operation in (Journal, AppendOnly)),
        migrations.RunSQL(break_guard_sql(), break_guard_removal_sql()),
    ]
