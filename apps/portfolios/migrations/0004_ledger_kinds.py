"""More kinds of entries, what each must carry, lot methods, settlement dates and amounts in the base currency.

Entries from before get what was true of them: they were in the base currency, closed lots first in first out, and settled by the rules.
The ledger refuses updates, so its own triggers rest while the new columns are filled; nothing that was recorded changes.
"""

import django.db.models.expressions
import django.db.models.functions.math
from django.db import migrations, models

from apps.portfolios.domain.settlement import trade_settles_on

TRADES = """
select distinct i.calendar, i.asset_class, e.effective_at from portfolios_ledgerentry e join marketdata_instrument i on i.id = e.instrument_id
where e.kind = 'trade'
"""


def fill(apps, schema_editor):
    """Settlement dates by the rules of each trade's day."""
    schema_editor.execute("alter table portfolios_ledgerentry disable trigger user")
    schema_editor.execute(
        "update portfolios_ledgerentry set base_amount = amount, lot_method = case kind when 'trade' then 'fifo' else '' end, "
        "settles_on = (effective_at at time zone 'America/New_York')::date"
    )
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(TRADES)
        for calendar, asset_class, at in cursor.fetchall():
            settles_on = trade_settles_on(calendar=calendar, asset_class=asset_class, traded_at=at)
            cursor.execute(
                "update portfolios_ledgerentry e set settles_on = %s from marketdata_instrument i where i.id = e.instrument_id "
                "and e.kind = 'trade' and i.calendar = %s and i.asset_class = %s and e.effective_at = %s",
                [settles_on, calendar, asset_class, at],
            )
    schema_editor.execute("alter table portfolios_ledgerentry enable trigger user")


class Migration(migrations.Migration):

    dependencies = [
        ('marketdata', '0015_listings_and_universes'),
        ('portfolios', '0003_journal_and_append_only'),
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
            model_name='historicalportfolio',
            name='lot_method',
            field=models.CharField(choices=[('fifo', 'fifo'), ('lifo', 'lifo'), ('hifo', 'hifo'), ('average', 'average'), ('specific', 'specific')], default='fifo', help_text='Which lots a sale closes first, from now on: each entry keeps the method by which it was booked', max_length=8),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='acquired_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='base_amount',
            field=models.DecimalField(decimal_places=4, default=0, max_digits=20),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='cost',
            field=models.DecimalField(decimal_places=4, max_digits=20, null=True),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='fx_rate',
            field=models.DecimalField(decimal_places=10, default=1, max_digits=20),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='lot_method',
            field=models.CharField(blank=True, choices=[('fifo', 'fifo'), ('lifo', 'lifo'), ('hifo', 'hifo'), ('average', 'average'), ('specific', 'specific')], max_length=8),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='lot_picks',
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='ratio',
            field=models.DecimalField(decimal_places=10, max_digits=24, null=True),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='settles_on',
            field=models.DateField(default='2000-01-01', help_text='Exchange date on which cash and shares change hands'),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='portfolio',
            name='lot_method',
            field=models.CharField(choices=[('fifo', 'fifo'), ('lifo', 'lifo'), ('hifo', 'hifo'), ('average', 'average'), ('specific', 'specific')], default='fifo', help_text='Which lots a sale closes first, from now on: each entry keeps the method by which it was booked', max_length=8),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AlterField(
            model_name='ledgerentry',
            name='kind',
            field=models.CharField(choices=[('deposit', 'Deposit'), ('withdrawal', 'Withdrawal'), ('trade', 'Trade'), ('fee', 'Fee'), ('dividend', 'Dividend'), ('dividend_paid', 'Dividend paid on a short'), ('borrow_fee', 'Short borrow fee'), ('interest', 'Interest'), ('fx', 'Currency conversion'), ('split', 'Split'), ('cash_in_lieu', 'Cash in lieu of fractions'), ('transfer', 'Transfer of shares')], max_length=14),
        ),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(fields=['portfolio', 'settles_on'], name='ledger_portfolio_settles'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind__in', ('trade', 'cash_in_lieu')), _negated=True), models.Q(('amount', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.functions.math.Round(django.db.models.expressions.CombinedExpression(models.F('quantity'), '*', models.F('price')), output_field=models.DecimalField(), precision=4), '*', models.Value(-1)), '-', models.F('fee'))), ('instrument__isnull', False), ('price__gt', 0), ('price__isnull', False), models.Q(('quantity', 0), _negated=True), models.Q(('lot_method', ''), _negated=True)), _connector='OR'), name='ledger_trade_adds_up'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['trade', 'cash_in_lieu', 'split', 'transfer']), models.Q(('amount__gt', 0), ('fee', 0), ('kind__in', ('deposit', 'dividend')), ('price__isnull', True), ('quantity', 0)), models.Q(('amount__lt', 0), ('fee', 0), ('kind__in', ('withdrawal', 'fee', 'dividend_paid', 'borrow_fee')), ('price__isnull', True), ('quantity', 0)), models.Q(('fee', 0), ('kind__in', ('interest', 'fx')), ('price__isnull', True), ('quantity', 0), models.Q(('amount', 0), _negated=True)), _connector='OR'), name='ledger_cash_sign'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind__in', ('dividend_paid', 'borrow_fee')), _negated=True), ('instrument__isnull', False), _connector='OR'), name='ledger_names_instrument'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind__in', ('split', 'transfer')), _negated=True), models.Q(('amount', 0), ('fee', 0), ('instrument__isnull', False), ('price__isnull', True)), _connector='OR'), name='ledger_moves_no_money'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'split'), ('ratio__gt', 0), ('ratio__isnull', False)), models.Q(models.Q(('kind', 'split'), _negated=True), ('ratio__isnull', True)), _connector='OR'), name='ledger_split_ratio'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('acquired_at__isnull', False), ('cost__isnull', False), ('kind', 'transfer'), models.Q(models.Q(('cost__gte', 0), ('quantity__gt', 0)), models.Q(('cost__lte', 0), ('quantity__lt', 0)), _connector='OR')), models.Q(models.Q(('kind', 'transfer'), _negated=True), ('acquired_at__isnull', True), ('cost__isnull', True)), _connector='OR'), name='ledger_transfer_carries_lot'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(('base_amount', django.db.models.functions.math.Round(django.db.models.expressions.CombinedExpression(models.F('amount'), '*', models.F('fx_rate')), output_field=models.DecimalField(), precision=4)), ('fx_rate__gt', 0)), name='ledger_base_amount'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('lot_picks__isnull', True), models.Q(('lot_method', 'specific'), _negated=True)), models.Q(('kind__in', ['trade', 'cash_in_lieu', 'transfer']), ('lot_method', 'specific'), ('lot_picks__isnull', False)), _connector='OR'), name='ledger_lots_named'),
        ),
        migrations.AddConstraint(
            model_name='portfolio',
            constraint=models.CheckConstraint(condition=models.Q(('lot_method__in', ['fifo', 'lifo', 'hifo', 'average', 'specific'])), name='portfolio_lot_method'),
        ),
    ]
