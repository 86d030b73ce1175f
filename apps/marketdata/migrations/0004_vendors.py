import django.db.models.deletion
import simple_history.models
from django.conf import settings
from django.db import migrations, models

from apps.core.operations import AppendOnly, Journal, NoTruncate


class Migration(migrations.Migration):
    """Vendors with their pace, journalled; and what went wrong with them, append-only. The rows come after migrate, one for each adapter."""

    dependencies = [
        ('marketdata', '0003_quotes_trades_depth'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='HistoricalVendor',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('name', models.CharField(db_index=True, max_length=30)),
                ('rate', models.FloatField(help_text='Requests a second, by all processes of the desk together')),
                ('burst', models.PositiveSmallIntegerField(help_text='Requests that may follow each other at once')),
                ('priority', models.PositiveSmallIntegerField(default=100, help_text='Place in the order of "auto": the lowest is asked first')),
                ('enabled', models.BooleanField(default=True, help_text='A vendor that is not enabled is never asked')),
                ('forced', models.CharField(blank=True, choices=[('', 'automatic'), ('open', 'forced open: the vendor is not asked'), ('closed', 'forced closed: the vendor is asked whatever happens')], default='', max_length=6)),
                ('reason', models.CharField(blank=True, help_text='Why the breaker was forced or released, or the row changed', max_length=500)),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'historical vendor',
                'verbose_name_plural': 'historical vendors',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='Vendor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=30, unique=True)),
                ('rate', models.FloatField(help_text='Requests a second, by all processes of the desk together')),
                ('burst', models.PositiveSmallIntegerField(help_text='Requests that may follow each other at once')),
                ('priority', models.PositiveSmallIntegerField(default=100, help_text='Place in the order of "auto": the lowest is asked first')),
                ('enabled', models.BooleanField(default=True, help_text='A vendor that is not enabled is never asked')),
                ('forced', models.CharField(blank=True, choices=[('', 'automatic'), ('open', 'forced open: the vendor is not asked'), ('closed', 'forced closed: the vendor is asked whatever happens')], default='', max_length=6)),
                ('reason', models.CharField(blank=True, help_text='Why the breaker was forced or released, or the row changed', max_length=500)),
            ],
            options={
                'permissions': [('fetch_data', 'Can start the fetching of market data'), ('control_vendor', 'Can force and release the breaker of a vendor')],
                'constraints': [models.CheckConstraint(condition=models.Q(('burst__gte', 1), ('rate__gt', 0), ('rate__lte', 1000)), name='vendor_pace'), models.CheckConstraint(condition=models.Q(('forced__in', ['', 'open', 'closed'])), name='vendor_forced')],
            },
        ),
        migrations.CreateModel(
            name='VendorIncident',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('vendor', models.CharField(max_length=30)),
                ('kind', models.CharField(choices=[('nonsense', 'answered nonsense'), ('unavailable', 'not available'), ('rate_limited', 'said: too many requests'), ('refused', 'refused the account'), ('opened', 'breaker opened'), ('probed', 'breaker let a probe through'), ('closed', 'breaker closed'), ('forced_open', 'breaker forced open'), ('forced_closed', 'breaker forced closed'), ('released', 'breaker released')], max_length=14)),
                ('symbol', models.CharField(blank=True, max_length=20)),
                ('detail', models.TextField(blank=True)),
                ('occurred_at', models.DateTimeField()),
                ('recorded_at', models.DateTimeField()),
            ],
            options={
                'indexes': [models.Index(fields=['vendor', '-occurred_at'], name='vendor_incident_newest')],
                'constraints': [models.CheckConstraint(condition=models.Q(('kind__in', ['nonsense', 'unavailable', 'rate_limited', 'refused', 'opened', 'probed', 'closed', 'forced_open', 'forced_closed', 'released'])), name='vendor_incident_kind')],
            },
        ),
        Journal("Vendor"),
        NoTruncate("Vendor"),
        AppendOnly("HistoricalVendor"),
        AppendOnly("VendorIncident"),
    ]
