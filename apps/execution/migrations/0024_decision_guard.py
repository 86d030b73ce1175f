"""A decision is whole, of now, and of an order that may be judged: or the database does not take it."""

from django.db import migrations

from apps.execution.domain.fact_guards import decision_guard_removal_sql, decision_guard_sql


class Migration(migrations.Migration):
    dependencies = [("execution", "0023_group_roles_work_once")]

    operations = [migrations.RunSQL(decision_guard_sql(), decision_guard_removal_sql())]
