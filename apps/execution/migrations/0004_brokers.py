"""Accounts may be at Interactive Brokers or at Alpaca."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('execution', '0003_order_life'),
    ]

    operations = [
        migrations.AlterField(
            model_name='brokerageaccount',
            name='broker',
            field=models.CharField(choices=[('paper', 'Paper'), ('ib', 'Interactive Brokers'), ('alpaca', 'Alpaca')], max_length=20),
        ),
        migrations.AlterField(
            model_name='historicalbrokerageaccount',
            name='broker',
            field=models.CharField(choices=[('paper', 'Paper'), ('ib', 'Interactive Brokers'), ('alpaca', 'Alpaca')], max_length=20),
        ),
    ]
