"""The database holds the ledger's arithmetic: a trade's amount, which kinds carry what, and that a book is the portfolio's own."""

import django.db.models.expressions
import django.db.models.functions.math
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('marketdata', '0001_initial'),
        ('portfolios', '0001_initial'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='ledgerentry',
            name='ledger_trade_adds_up',
        ),
        migrations.RemoveConstraint(
            model_name='ledgerentry',
            name='ledger_cash_sign',
        ),
        migrations.AddField(
            model_name='portfoliovalue',
            name='last_entry_id',
            field=models.BigIntegerField(default=0, help_text="Ledger entry up to which this was known: later ones belong to the next row's flow"),
            preserve_default=False,
        ),
        migrations.AddConstraint(
            model_name='book',
            constraint=models.UniqueConstraint(fields=('id', 'portfolio'), name='book_and_portfolio'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'trade'), _negated=True), models.Q(('amount', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.functions.math.Round(django.db.models.expressions.CombinedExpression(models.F('quantity'), '*', models.F('price')), output_field=models.DecimalField(), precision=4), '*', models.Value(-1)), '-', models.F('fee'))), ('instrument__isnull', False), ('price__gt', 0), ('price__isnull', False), models.Q(('quantity', 0), _negated=True)), _connector='OR'), name='ledger_trade_adds_up'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(('kind', 'trade'), models.Q(('amount__gt', 0), ('fee', 0), ('kind__in', ['deposit', 'dividend']), ('price__isnull', True), ('quantity', 0)), models.Q(('amount__lt', 0), ('fee', 0), ('kind__in', ['withdrawal', 'fee']), ('price__isnull', True), ('quantity', 0)), _connector='OR'), name='ledger_cash_sign'),
        ),
        migrations.AddConstraint(
            model_name='lot',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('remaining', 0), _negated=True), ('remaining_cost', 0), _connector='OR'), name='lot_closed_costs_nothing'),
        ),
        migrations.AddConstraint(
            model_name='portfoliovalue',
            constraint=models.CheckConstraint(condition=models.Q(('total', django.db.models.expressions.CombinedExpression(models.F('cash'), '+', models.F('invested')))), name='portfolio_value_adds_up'),
        ),
        migrations.AddConstraint(
            model_name='position',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('quantity', 0), _negated=True), ('cost', 0), _connector='OR'), name='position_flat_costs_nothing'),
        ),
        migrations.RunSQL(
            'alter table "portfolios_ledgerentry" add constraint "ledger_book_of_portfolio" '
            'foreign key ("book_id", "portfolio_id") references "portfolios_book" ("id", "portfolio_id")',
            'alter table "portfolios_ledgerentry" drop constraint "ledger_book_of_portfolio"',
        ),
    ]
