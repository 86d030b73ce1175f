"""Accounts at Alpaca trade in the mode that their number says."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('execution', '0009_reconciliation'),
        ('portfolios', '0005_rebalancing'),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='brokerageaccount',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('broker', 'alpaca'), _negated=True), models.Q(('mode', 'paper'), ('number__startswith', 'PA')), models.Q(models.Q(('number__startswith', 'PA'), _negated=True), ('mode', 'live')), _connector='OR'), name='account_alpaca_number_has_its_mode'),
        ),
    ]
