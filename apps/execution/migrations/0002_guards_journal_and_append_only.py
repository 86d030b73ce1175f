"""What the database itself guarantees of orders, whichever way a change comes: ORM, bulk, admin, raw SQL."""

from django.db import migrations

from apps.core.operations import AppendOnly, Journal, NoTruncate
from apps.execution.domain.guards import order_guard_removal_sql, order_guard_sql


class Migration(migrations.Migration):
    dependencies = [("execution", "0001_initial"), ("core", "0002_journal"), ("marketdata", "0001_initial")]

    operations = [
        # An order reaches the broker's statuses only with allowing, unexpired decisions of risk and compliance for its exact intent;
        # its status moves only as the transition table says; what was intended is written once.
        migrations.RunSQL(order_guard_sql(), order_guard_removal_sql()),
        Journal("Order"),
        NoTruncate("Order"),
        Journal("OrderDecision"),
        AppendOnly("OrderDecision"),
        AppendOnly("OrderEvent"),
        Journal("Fill"),
        AppendOnly("Fill"),
        Journal("BrokerageAccount"),
        NoTruncate("BrokerageAccount"),
        AppendOnly("HistoricalOrder"),
        AppendOnly("HistoricalBrokerageAccount"),
    ]
