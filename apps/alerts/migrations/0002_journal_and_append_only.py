"""An alert is a fact. Who acknowledged it changes once, which the journal keeps."""

from django.db import migrations

from apps.core.operations import AppendOnly, Journal, NoTruncate


class Migration(migrations.Migration):

    dependencies = [
        ("core", "0002_journal"),
        ("alerts", "0001_initial"),
    ]

    operations = [
        AppendOnly("Alert"),
        Journal("AlertReceipt"),
        NoTruncate("AlertReceipt"),
    ]
