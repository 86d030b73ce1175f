"""Entries of the restricted list."""

from datetime import UTC, datetime, timedelta

import factory

from apps.compliance.models import Restriction
from apps.portfolios.tests.factories import InstrumentFactory

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


class RestrictionFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Restriction

    instrument = factory.SubFactory(InstrumentFactory)
    level = "restricted"
    reason = "Inside information"
    active_from = NOW - timedelta(days=1)
