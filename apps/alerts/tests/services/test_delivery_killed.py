"""A worker that is killed in the middle of a delivery, for real."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlsplit

import pytest
from django.db import connection

from apps.alerts.models import AlertDeliveryAttempt, AlertDeliveryItem, DeliveryState
from apps.alerts.services.delivery import CLAIMED_FOR, delivery_attempt
from apps.alerts.services.routes import route_create
from apps.alerts.tests.factories import MOMENT, AlertFactory, UserFactory
from apps.alerts.tests.receivers import Hook
from apps.core.clock import now

ROOT = Path(__file__).resolve().parents[4]
ONE_ATTEMPT = """
import sys, django
django.setup()
from apps.alerts.services.delivery import delivery_attempt
from apps.core.clock import now
delivery_attempt(delivery_id=int(sys.argv[1]), clock=now)
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_killed_while_it_sends_leaves_what_the_next_one_sends_under_the_same_key(web: Hook) -> None:
    user = UserFactory()
    route_create(user=user, channel="webhook", target=web.url, at=MOMENT)
    delivery = AlertDeliveryItem.objects.get(alert=AlertFactory(recipients=[user.pk])).delivery
    web.hang = threading.Event()
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    worker = subprocess.Popen([sys.executable, "-c", ONE_ATTEMPT, str(delivery.pk)], cwd=ROOT, env=os.environ | {"DATABASE_URL": url})
    try:
        deadline = monotonic() + 60
        while not web.requests:
            assert worker.poll() is None
            assert monotonic() < deadline
            sleep(0.02)
    finally:
        worker.kill()
        worker.wait()
    web.hang.set()
    web.hang = None
    assert AlertDeliveryAttempt.objects.count() == 0  # it was sent, and nobody has booked that
    assert delivery_attempt(delivery_id=delivery.pk, clock=now) is None  # the claim of the dead still holds
    assert delivery_attempt(delivery_id=delivery.pk, clock=lambda: now() + CLAIMED_FOR) == DeliveryState.SENT
    assert [headers["Idempotency-Key"] for _, headers, _ in web.requests] == [str(delivery.key)] * 2
    assert [one.number for one in delivery.tries.all()] == [2]
