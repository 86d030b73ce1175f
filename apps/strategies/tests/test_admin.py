"""Backtests and signals in the admin: to look at, for those who may."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.core.roles import Role
from apps.strategies.models import BacktestRun
from apps.strategies.tests.factories import make_run, person, store_bars

pytestmark = pytest.mark.django_db


@pytest.fixture
def client():
    officer = person(Role.COMPLIANCE)
    officer.is_staff = True
    officer.save()
    client = Client()
    client.force_login(officer)
    return client


def test_runs_are_shown_without_their_series_and_cannot_be_changed(client):
    store_bars("AAPL", "IBM")
    run = make_run()
    assert run.dataset_fingerprint in client.get(reverse("admin:strategies_backtestrun_change", args=[run.pk])).content.decode()
    page = client.get(reverse("admin:strategies_backtestrun_changelist")).content.decode()
    assert "sma_cross" in page
    assert "2012-01-03T00:00:00Z" not in page
    assert client.post(reverse("admin:strategies_backtestrun_change", args=[run.pk]), {"strategy": "other"}).status_code == 403
    assert client.post(reverse("admin:strategies_backtestrun_delete", args=[run.pk]), {"post": "yes"}).status_code == 403
    assert client.get(reverse("admin:strategies_backtestrun_add")).status_code == 403
    assert BacktestRun.objects.get().strategy == "sma_cross"


def test_signals_are_shown(client):
    assert client.get(reverse("admin:strategies_signal_changelist")).status_code == 200


def test_the_app_brings_no_heavy_library_with_it():
    import subprocess
    import sys

    script = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'smarttrader.settings.test'; import django; django.setup(); "
        "import apps.strategies.api.urls, apps.strategies.tasks, apps.strategies.admin, apps.strategies.services.signals; "
        "print(sorted({'numba', 'backtrader', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
