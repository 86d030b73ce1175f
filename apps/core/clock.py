"""The only place that reads the wall clock. Entrances call `now()` and pass the time in; a backtest never calls it."""

from datetime import UTC, datetime

from django.utils import timezone


def now() -> datetime:
    """Wall time in UTC, aware."""
    return timezone.now().astimezone(UTC)
