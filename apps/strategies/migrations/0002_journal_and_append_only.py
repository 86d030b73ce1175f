"""Runs and signals are facts: the database refuses to change them. Signals, which orders follow from, are journalled too.

A run's row holds its whole equity curve. It is not journalled: its fingerprints and the refusal of every change are its proof.
"""

from django.db import migrations

from apps.core.operations import AppendOnly, Journal


class Migration(migrations.Migration):
    dependencies = [("strategies", "0001_initial"), ("core", "0002_journal")]

    operations = [
        AppendOnly("BacktestRun"),
        Journal("Signal"),
        AppendOnly("Signal"),
    ]
