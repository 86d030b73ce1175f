"""A person, real receivers on loopback, and a route to each."""

from collections.abc import Iterator

import pytest
from django.core.mail.backends.smtp import EmailBackend

from apps.alerts.models import AlertRoute
from apps.alerts.services.routes import route_create
from apps.alerts.tests.factories import MOMENT, UserFactory
from apps.alerts.tests.receivers import Hook, MailServer, hook, mail_server
from apps.core.models import User


@pytest.fixture
def user() -> User:
    return UserFactory()


@pytest.fixture
def web() -> Iterator[Hook]:
    with hook() as server:
        yield server


@pytest.fixture
def mail(settings) -> Iterator[MailServer]:
    with mail_server() as server:
        settings.EMAIL_BACKEND = f"{EmailBackend.__module__}.{EmailBackend.__qualname__}"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_CONFIGURED = "127.0.0.1", server.port, True
        yield server


@pytest.fixture
def webhook(user, web) -> AlertRoute:
    return route_create(user=user, channel="webhook", target=web.url, at=MOMENT)


@pytest.fixture
def email(user) -> AlertRoute:
    return route_create(user=user, channel="email", target="risk@desk.example", at=MOMENT)
