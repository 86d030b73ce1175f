from decimal import Decimal

from django.db import migrations

#: As they are published: see `services.accounts.ESTIMATES`.
ESTIMATES = {
    'ib': {'slippage_bps': 5, 'commission': 1, 'commission_per_share': Decimal('0.005'), 'commission_cap': Decimal('0.01')},
    'alpaca': {'slippage_bps': 5},
}


def estimate(apps, schema_editor):
    """Accounts at real brokers were made with costs of zero, which no preview should promise. What somebody has set otherwise stays."""
    accounts = apps.get_model('execution', 'BrokerageAccount').objects.filter(slippage_bps=0, commission=0)
    for broker, costs in ESTIMATES.items():
        accounts.filter(broker=broker).update(**costs)


class Migration(migrations.Migration):

    dependencies = [
        ('execution', '0016_cost_estimates'),
    ]

    operations = [
        migrations.RunPython(estimate, migrations.RunPython.noop),
    ]
