"""A date's scores are written and shown together: the key begins with the date, and needs no second index beside it."""

from django.db import migrations, models

KEY = 'alter table marketdata_factorscore drop constraint marketdata_factorscore_pkey, add primary key ({})'


class Migration(migrations.Migration):

    dependencies = [
        ('marketdata', '0016_market_status'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='factorscore',
            name='factor_score_date',
        ),
        migrations.RemoveIndex(
            model_name='factorscore',
            name='factor_score_revised',
        ),
        migrations.RunSQL(
            sql=KEY.format('universe, ts, instrument_id, revision'),
            reverse_sql=KEY.format('universe, instrument_id, ts, revision'),
            state_operations=[  # Django cannot alter a composite key itself
                migrations.RemoveField(model_name='factorscore', name='pk'),
                migrations.AddField(
                    model_name='factorscore',
                    name='pk',
                    field=models.CompositePrimaryKey('universe', 'ts', 'instrument_id', 'revision', blank=True, editable=False, primary_key=True, serialize=False),
                ),
            ],
        ),
    ]
