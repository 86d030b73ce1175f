"""manage.py fetch_bars over the whole line: command, guard, the vendors' own client libraries, servers that speak the vendors' formats."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apps.core.models import JobRun
from apps.marketdata.models import Bar, CorporateAction, Vendor, VendorIncident
from apps.marketdata.providers.protocol import VendorSettings
from apps.marketdata.services.vendors import guard, vendors_synchronise
from apps.marketdata.tests.factories import InstrumentFactory
from apps.marketdata.tests.test_commands import run
from apps.marketdata.tests.vendors import TRUNCATED, VendorServer, failing, too_many, vendor_server

pytestmark = pytest.mark.django_db
RANGE = ("--start", "2020-08-03", "--end", "2020-09-15")


@pytest.fixture
def alpaca() -> Iterator[VendorServer]:
    with vendor_server("alpaca") as server:
        yield server


@pytest.fixture(autouse=True)
def desk(alpaca: VendorServer, settings, monkeypatch) -> None:
    """Alpaca is there and no other vendor; pauses cost no time."""
    vendors_synchronise()
    Vendor.objects.exclude(name="alpaca").update(enabled=False)
    InstrumentFactory(symbol="AAPL")
    settings.VENDORS = alpaca.settings
    monkeypatch.setattr(guard.VendorGuard.__init__, "__kwdefaults__", {**guard.VendorGuard.__init__.__kwdefaults__, "sleep": lambda _: None})


def asked(server: VendorServer) -> int:
    return sum(request.path == "/v2/stocks/bars" for request in server.requests)


def fetch(capsys, *words: str) -> tuple[int, dict[str, Any], str]:
    code, out, err = run(capsys, "fetch_bars", *words, "--json")
    return code, json.loads(out), err


def test_bars_and_actions_are_stored_and_not_fetched_twice(capsys, alpaca) -> None:
    code, report, _ = fetch(capsys, "alpaca", "AAPL", *RANGE)
    assert (code, report["inserted"], report["symbols"][0]["vendor"], report["symbols"][0]["actions"]) == (0, 31, "alpaca", 2)
    assert {action.kind: action.status for action in CorporateAction.objects.order_by("revision")} == {"split": "applied", "dividend": "applied"}
    requests = len(alpaca.requests)
    code, out, _ = run(capsys, "fetch_bars", "auto", "AAPL", *RANGE)
    assert (code, len(alpaca.requests)) == (0, requests)
    assert "0 inserted, 0 revised, 0 unchanged from nobody" in out
    assert [job.state for job in JobRun.objects.order_by("pk")] == ["succeeded", "succeeded"]


def test_faults_that_pass_are_sat_out(capsys, alpaca) -> None:
    alpaca.script(failing(503), too_many("0"), failing(500))
    code, report, _ = fetch(capsys, "alpaca", "AAPL", *RANGE)
    assert (code, report["inserted"], asked(alpaca)) == (0, 31, 4)


def test_intraday_bars_between_two_times_of_any_zone(capsys, alpaca) -> None:
    code, report, _ = fetch(capsys, "alpaca", "AAPL", "--timeframe", "1m", "--start", "2020-08-28T09:30-04:00", "--end", "2020-08-28T13:40Z")
    assert (code, report["inserted"], report["symbols"][0]["actions"]) == (0, 10, 0)
    requests = asked(alpaca)
    assert fetch(capsys, "alpaca", "AAPL", "--timeframe", "1m", "--start", "2020-08-28T13:30Z", "--end", "2020-08-28T15:40+02:00")[0] == 0
    assert asked(alpaca) == requests


def test_a_later_different_value_is_a_revision_when_refreshed(capsys, alpaca) -> None:
    fetch(capsys, "alpaca", "AAPL", *RANGE)
    alpaca.distort = lambda rows: [row._replace(volume=row.volume + 1) for row in rows]
    assert fetch(capsys, "alpaca", "AAPL", *RANGE)[1]["revised"] == 0
    assert fetch(capsys, "alpaca", "AAPL", *RANGE, "--refresh")[1]["revised"] == 31


def test_half_an_answer_stores_nothing_and_is_recorded(capsys, alpaca) -> None:
    alpaca.script(TRUNCATED)
    code, report, err = fetch(capsys, "alpaca", "AAPL", *RANGE)
    assert (code, report["inserted"], Bar.objects.count()) == (5, 0, 0)
    assert "AAPL: alpaca: VENDOR_NONSENSE" in err
    assert [(item.kind, item.symbol) for item in VendorIncident.objects.all()] == [("nonsense", "AAPL")]


def test_bars_that_cannot_be_store_nothing_and_are_recorded(capsys, alpaca) -> None:
    alpaca.distort = lambda rows: [row._replace(low=row.high + 1) for row in rows]
    assert fetch(capsys, "alpaca", "AAPL", *RANGE)[0] == 5
    assert not Bar.objects.exists()
    assert VendorIncident.objects.get().kind == "nonsense"


def test_a_vendor_that_stays_away_is_unavailable(capsys, alpaca) -> None:
    alpaca.script(*[failing(500)] * 4)
    code, report, err = fetch(capsys, "alpaca", "AAPL", *RANGE)
    assert (code, asked(alpaca), report["failed"]) == (5, 4, 1)
    assert "VENDOR_UNAVAILABLE" in err
    assert VendorIncident.objects.get().kind == "unavailable"


def test_a_missing_key_is_said(capsys, settings) -> None:
    settings.VENDORS = VendorSettings()
    code, _, err = fetch(capsys, "alpaca", "AAPL", *RANGE)
    assert code == 5
    assert "AAPL: alpaca: MISSING_KEY: the environment variable ALPACA_API_KEY is not set" in err


def test_auto_goes_on_to_the_next_vendor(capsys, alpaca) -> None:
    Vendor.objects.filter(name="polygon").update(enabled=True)
    code, report, err = fetch(capsys, "auto", "AAPL", *RANGE)
    assert (code, report["symbols"][0]["vendor"]) == (0, "alpaca")
    assert "AAPL: polygon: MISSING_KEY" in err


def test_some_symbols_is_three_and_no_known_one_is_two(capsys) -> None:
    InstrumentFactory(symbol="NEW")
    assert fetch(capsys, "alpaca", "AAPL", "NEW", *RANGE)[0] == 3
    assert fetch(capsys, "alpaca", "NEW", *RANGE)[0] == 2


@pytest.mark.parametrize(
    ("words", "code", "field"),
    [
        (["acme", "AAPL"], 2, "provider"),
        (["alpaca", "ZZZ"], 2, "symbols"),
        (["alpaca", "AAPL", "--timeframe", "2d"], 2, "timeframe"),
        (["alpaca", "AAPL", "--start", "soon"], 2, "start"),
        (["alpaca", "AAPL", "--start", "2020-08-03T14:30"], 2, "start"),
        (["alpaca", "AAPL", "--start", "2020-08-03", "--end", "2020-08-01"], 2, "start"),
        (["polygon", "AAPL"], 4, "provider"),
    ],
)
def test_what_is_refused_before_anybody_is_asked(capsys, alpaca, words: list[str], code: int, field: str) -> None:
    found, report, _ = fetch(capsys, *words)
    assert (found, report["error"]["field"]) == (code, field)
    assert alpaca.requests == []
