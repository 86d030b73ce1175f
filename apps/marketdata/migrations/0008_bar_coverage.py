import django.db.models.deletion
from django.db import migrations, models

from apps.core.operations import AppendOnly


class Migration(migrations.Migration):
    """What vendors have given already, so that nothing is fetched twice."""

    dependencies = [
        ('marketdata', '0007_data_quality'),
    ]

    operations = [
        migrations.CreateModel(
            name='BarCoverage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('timeframe', models.SmallIntegerField(help_text='See domain.timeframes.Timeframe')),
                ('vendor', models.CharField(max_length=30)),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('fetched_at', models.DateTimeField()),
                ('instrument', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketdata.instrument')),
            ],
            options={
                'indexes': [models.Index(fields=['instrument', 'timeframe', 'vendor'], name='bar_coverage_key')],
                'constraints': [models.CheckConstraint(condition=models.Q(('starts_at__lt', models.F('ends_at'))), name='bar_coverage_span')],
            },
        ),
        AppendOnly("BarCoverage"),
    ]
