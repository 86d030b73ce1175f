"""Alerts for tests of this app and of those above it."""

from datetime import UTC, datetime

import factory
from django.contrib.auth import get_user_model

from apps.alerts.models import Alert, Severity
from apps.alerts.services import alert_raise

MOMENT = datetime(2024, 1, 2, 15, 0, tzinfo=UTC)


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = get_user_model()

    username = factory.Sequence(lambda n: f"alerted{n}")


class AlertFactory(factory.Factory):
    """Raised through the service. `recipients` are user ids."""

    class Meta:
        model = Alert

    code = "RISK_LIMIT_BREACH"
    severity = Severity.WARNING
    title = factory.Sequence(lambda n: f"Limit {n} breached")
    recipients = ()
    occurred_at = MOMENT
    recorded_at = MOMENT

    @classmethod
    def _create(cls, model_class, *args, **kwargs):  # noqa: ARG003 - the signature is factory_boy's
        return alert_raise(**kwargs)
