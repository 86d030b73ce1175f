"""manage.py fetch_fundamentals over the whole line, against a server that speaks Finnhub's format."""

import json
from collections.abc import Iterator

import pytest

from apps.marketdata.models import Fundamental, Vendor, VendorIncident
from apps.marketdata.providers.protocol import VendorSettings
from apps.marketdata.services.vendors import vendors_synchronise
from apps.marketdata.tests.factories import InstrumentFactory
from apps.marketdata.tests.test_commands import run
from apps.marketdata.tests.vendors import TRUNCATED, VendorServer, vendor_server

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def finnhub(settings) -> Iterator[VendorServer]:
    vendors_synchronise()
    InstrumentFactory(symbol="AAPL")
    with vendor_server("finnhub") as server:
        settings.VENDORS = server.settings
        yield server


def test_figures_are_stored_with_the_time_of_their_publication_and_only_once(capsys) -> None:
    code, out, _ = run(capsys, "fetch_fundamentals", "finnhub", "AAPL", "--json")
    stored = Fundamental.objects.count()
    assert (code, json.loads(out)["inserted"]) == (0, stored)
    assert stored > 0
    assert run(capsys, "fetch_fundamentals", "finnhub", "AAPL")[1].startswith(f"0 inserted, 0 revised, {stored} unchanged")


def test_half_an_answer_stores_nothing_and_is_recorded(capsys, finnhub, monkeypatch) -> None:
    monkeypatch.setattr(finnhub, "is_data", lambda _: True)  # faults hit candles only, unless told otherwise
    finnhub.script(TRUNCATED)
    code, _, err = run(capsys, "fetch_fundamentals", "finnhub", "AAPL")
    assert code == 5
    assert "AAPL: finnhub: VENDOR_NONSENSE" in err
    assert not Fundamental.objects.exists()
    assert VendorIncident.objects.get().symbol == "AAPL"


def test_who_does_not_offer_them_and_who_has_no_key_are_named(capsys, settings) -> None:
    Vendor.objects.exclude(name__in=["alpaca", "finnhub"]).update(enabled=False)
    settings.VENDORS = VendorSettings()
    code, _, err = run(capsys, "fetch_fundamentals", "auto", "AAPL")
    assert code == 5
    assert "AAPL: alpaca: NOT_OFFERED" in err
    assert "AAPL: finnhub: MISSING_KEY" in err
    assert run(capsys, "fetch_fundamentals", "alpaca", "AAPL")[0] == 2
