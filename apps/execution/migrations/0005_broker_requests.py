"""Requests of a broker's process, kept before they are made; accounts at Interactive Brokers trade in the mode that their number says."""

import django.db.models.deletion
from django.db import migrations, models

from apps.core.operations import AppendOnly


class Migration(migrations.Migration):

    dependencies = [
        ('execution', '0004_brokers'),
        ('portfolios', '0003_journal_and_append_only'),
    ]

    operations = [
        migrations.CreateModel(
            name='BrokerRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('sent', 'Sent'), ('pending_cancel', 'Pending Cancel'), ('pending_replace', 'Pending Replace')], max_length=20)),
                ('broker_order_id', models.BigIntegerField(help_text='The id under which the broker was told of the order')),
                ('client_id', models.IntegerField(help_text='Who we were at the gateway')),
                ('gateway', models.CharField(max_length=100)),
                ('attempted_at', models.DateTimeField()),
            ],
            options={
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('kind__in', ('sent', 'pending_cancel', 'pending_replace'))), name='request_kind'),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name='brokerageaccount',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('broker', 'ib'), _negated=True), models.Q(('mode', 'paper'), ('number__regex', '^D[UF]')), models.Q(models.Q(('number__regex', '^D[UF]'), _negated=True), ('mode', 'live')), _connector='OR'), name='account_ib_number_has_its_mode'),
        ),
        migrations.AddField(
            model_name='brokerrequest',
            name='event',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='requests', to='execution.orderevent'),
        ),
        migrations.AddIndex(
            model_name='brokerrequest',
            index=models.Index(fields=['event', '-id'], name='request_event'),
        ),
        migrations.AddConstraint(
            model_name='brokerrequest',
            constraint=models.UniqueConstraint(condition=models.Q(('kind', 'pending_cancel'), _negated=True), fields=('event',), name='request_sent_once'),
        ),
        AppendOnly('BrokerRequest'),
    ]
