"""Each step of an order is stamped by the database's clock; fills of an order that was called refused are booked."""

from django.db import migrations, models

from apps.execution.domain.guards import order_guard_removal_sql, order_guard_sql


class Migration(migrations.Migration):

    dependencies = [
        ('execution', '0006_algos_groups_and_venues'),
    ]

    operations = [
        migrations.AddField(
            model_name='orderevent',
            name='stamped_at',
            field=models.DateTimeField(help_text="By the database's one clock: when it was written, and of a new order when its transaction began", null=True),
        ),
        migrations.RunSQL(order_guard_sql(), order_guard_removal_sql()),
    ]
