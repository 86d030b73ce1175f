"""Only what was sent, with all that sending takes, has fills; what only reduces a position is sent without a second person."""

from django.db import migrations, models

from apps.execution.domain.fact_guards import fill_guard_removal_sql, fill_guard_sql
from apps.execution.domain.guards import order_guard_removal_sql, order_guard_sql

HELP = "When it was given to its broker: the database writes it, with all that sending takes, and nobody else"
# Of orders that the earlier guard let through.
SENT_BEFORE = """
update execution_order o set sent_at = coalesce(
    (select min(e.recorded_at) from execution_orderevent e where e.order_id = o.id and e.kind = 'sent'), o.created_at)
where o.cumulative_quantity > 0 or o.status not in ('canceled', 'denied', 'expired', 'pending_new', 'rejected')
    or exists (select from execution_orderevent e where e.order_id = o.id and e.kind = 'sent');
"""


class Migration(migrations.Migration):
    dependencies = [("execution", "0021_order_lots")]

    operations = [
        migrations.AddField("historicalorder", "sent_at", models.DateTimeField(null=True, editable=False, help_text=HELP)),
        migrations.AddField("order", "sent_at", models.DateTimeField(null=True, editable=False, help_text=HELP)),
        migrations.RunSQL(SENT_BEFORE, migrations.RunSQL.noop),
        migrations.RunSQL(order_guard_sql(), order_guard_removal_sql()),
        migrations.RunSQL(fill_guard_sql(), fill_guard_removal_sql()),
    ]
