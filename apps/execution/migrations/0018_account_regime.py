"""What day-trading rules an account is held to: every account that is there is a cash account, as its cash check has always taken it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('execution', '0017_costs_of_real_brokers'),
        ('portfolios', '0007_fewer_indexes'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='brokerageaccount',
            options={'permissions': [('change_account_terms', 'Can say which day-trading rules an account is held to')]},
        ),
        migrations.AddField(
            model_name='brokerageaccount',
            name='account_type',
            field=models.CharField(choices=[('cash', 'Cash'), ('margin', 'Margin')], default='cash', help_text='What the broker keeps', max_length=6),
        ),
        migrations.AddField(
            model_name='brokerageaccount',
            name='day_trading_regime',
            field=models.CharField(blank=True, choices=[('PDT_LEGACY', 'PDT_LEGACY'), ('INTRADAY_MARGIN', 'INTRADAY_MARGIN')], help_text='Of a margin account (FINRA Rule 4210)', max_length=15),
        ),
        migrations.AddField(
            model_name='brokerageaccount',
            name='frozen_until',
            field=models.DateField(blank=True, help_text='Last day of a freeze for unmet intraday deficits, as the broker told it', null=True),
        ),
        migrations.AddField(
            model_name='brokerageaccount',
            name='house_rule',
            field=models.BooleanField(default=False, help_text='It is held to PDT_LEGACY whatever the law says'),
        ),
        migrations.AddField(
            model_name='brokerageaccount',
            name='pattern_day_trader_since',
            field=models.DateField(blank=True, help_text='Stays until somebody takes it away: a firm may, once', null=True),
        ),
        migrations.AddField(
            model_name='brokerageaccount',
            name='regime_confirmed_with_broker_on',
            field=models.DateField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='brokerageaccount',
            name='regime_source',
            field=models.CharField(blank=True, help_text='Who at the broker said it, or the document that says it', max_length=200),
        ),
        migrations.AddField(
            model_name='historicalbrokerageaccount',
            name='account_type',
            field=models.CharField(choices=[('cash', 'Cash'), ('margin', 'Margin')], default='cash', help_text='What the broker keeps', max_length=6),
        ),
        migrations.AddField(
            model_name='historicalbrokerageaccount',
            name='day_trading_regime',
            field=models.CharField(blank=True, choices=[('PDT_LEGACY', 'PDT_LEGACY'), ('INTRADAY_MARGIN', 'INTRADAY_MARGIN')], help_text='Of a margin account (FINRA Rule 4210)', max_length=15),
        ),
        migrations.AddField(
            model_name='historicalbrokerageaccount',
            name='frozen_until',
            field=models.DateField(blank=True, help_text='Last day of a freeze for unmet intraday deficits, as the broker told it', null=True),
        ),
        migrations.AddField(
            model_name='historicalbrokerageaccount',
            name='house_rule',
            field=models.BooleanField(default=False, help_text='It is held to PDT_LEGACY whatever the law says'),
        ),
        migrations.AddField(
            model_name='historicalbrokerageaccount',
            name='pattern_day_trader_since',
            field=models.DateField(blank=True, help_text='Stays until somebody takes it away: a firm may, once', null=True),
        ),
        migrations.AddField(
            model_name='historicalbrokerageaccount',
            name='regime_confirmed_with_broker_on',
            field=models.DateField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='historicalbrokerageaccount',
            name='regime_source',
            field=models.CharField(blank=True, help_text='Who at the broker said it, or the document that says it', max_length=200),
        ),
        migrations.AddConstraint(
            model_name='brokerageaccount',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('account_type', 'margin'), models.Q(('day_trading_regime', ''), _negated=True)), models.Q(('account_type', 'cash'), ('day_trading_regime', ''), ('frozen_until__isnull', True), ('house_rule', False), ('pattern_day_trader_since__isnull', True), ('regime_confirmed_with_broker_on__isnull', True)), _connector='OR'), name='account_margin_has_a_regime'),
        ),
        migrations.AddConstraint(
            model_name='brokerageaccount',
            constraint=models.CheckConstraint(condition=models.Q(('regime_confirmed_with_broker_on__isnull', True), models.Q(('regime_source', ''), _negated=True), _connector='OR'), name='account_regime_has_a_source'),
        ),
        migrations.AddConstraint(
            model_name='brokerageaccount',
            constraint=models.CheckConstraint(condition=models.Q(('house_rule', False), ('day_trading_regime', 'PDT_LEGACY'), _connector='OR'), name='account_house_rule_is_legacy'),
        ),
    ]
