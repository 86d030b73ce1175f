import django.db.models.deletion
from django.db import migrations, models

from apps.core.operations import AppendOnly


class Migration(migrations.Migration):

    dependencies = [
        ('core', '0002_journal'),
        ('marketdata', '0015_listings_and_universes'),
    ]

    operations = [
        migrations.CreateModel(
            name='MarketStatus',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('status', models.CharField(choices=[('trading', 'Trading'), ('paused', 'Paused by a price band'), ('halted', 'Halted')], max_length=7)),
                ('low', models.DecimalField(blank=True, decimal_places=6, help_text='Lower price band; empty: none published', max_digits=20, null=True)),
                ('high', models.DecimalField(blank=True, decimal_places=6, help_text='Upper price band; empty: none published', max_digits=20, null=True)),
                ('reason', models.CharField(blank=True, help_text="The exchange's code or words, for example T1 or LUDP", max_length=200)),
                ('source', models.CharField(max_length=50)),
                ('effective_at', models.DateTimeField(help_text='Market time')),
                ('recorded_at', models.DateTimeField()),
                ('instrument', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketdata.instrument')),
            ],
            options={
                'verbose_name_plural': 'market statuses',
                'indexes': [models.Index(fields=['instrument', '-effective_at', '-id'], name='market_status_newest')],
                'constraints': [models.CheckConstraint(condition=models.Q(('status__in', ['trading', 'paused', 'halted'])), name='market_status_known'), models.CheckConstraint(condition=models.Q(models.Q(('high__isnull', True), ('low__isnull', True)), models.Q(('high__gt', models.F('low')), ('low__gte', 0)), _connector='OR'), name='market_status_band'), models.CheckConstraint(condition=models.Q(('status', 'trading'), models.Q(('reason', ''), _negated=True), _connector='OR'), name='market_status_reason')],
            },
        ),
        AppendOnly("MarketStatus"),
        migrations.AddField(
            model_name='nameduniverse',
            name='price_tier',
            field=models.PositiveSmallIntegerField(blank=True, help_text='Tier of the price bands that its members belong to (1: the large indices); empty: says nothing of it', null=True),
        ),
        migrations.AddConstraint(
            model_name='nameduniverse',
            constraint=models.CheckConstraint(condition=models.Q(('price_tier__isnull', True), ('price_tier__in', [1, 2]), _connector='OR'), name='universe_price_tier'),
        ),
    ]
