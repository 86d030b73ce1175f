"""The lab: starting runs, reading reports."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from apps.core.clock import now
from apps.core.models import JobRun, User
from apps.core.roles import Role
from apps.marketdata.models import Instrument
from apps.strategies.models import BacktestRun

FIELDS = {
    "strategy": "sma_cross",
    "symbols": "aapl, msft",
    "start": "2007-01-02",
    "end": "2007-06-29",
    "timeframe": "1d",
    "engine": "event",
    "parameters": "fast=5 slow=20",
    "cash": "100000",
    "commission": "1",
    "slippage_bps": "5",
    "fill_at": "close",
    "adjustment": "split",
    "max_volume_pct": "0.1",
}


@pytest.fixture
def quant(db: None) -> User:
    user = User.objects.create_user(username="quant")
    user.groups.add(Group.objects.get(name=Role.QUANT.value))
    for symbol in ("AAPL", "MSFT"):
        Instrument.objects.get_or_create(symbol=symbol, defaults={"name": symbol, "asset_class": "stock"})
    return user


@pytest.fixture
def client(quant: User) -> Client:
    client = Client()
    client.force_login(quant)
    return client


@pytest.fixture
def run(quant: User) -> BacktestRun:
    trade = {
        "symbol": "AAPL",
        "entry_time": "2007-01-03T00:00:00+00:00",
        "exit_time": "2007-01-04T00:00:00+00:00",
        "entry_price": 10.0,
        "exit_price": 11.0,
        "quantity": 10.0,
        "pnl": 10.0,
        "return": 0.1,
        "holding_period": 1.0,
        "exit_reason": "signal",
    }
    return BacktestRun.objects.create(
        strategy="sma_cross",
        engine="event",
        symbols=["AAPL", "MSFT"],
        timeframe="1d",
        start=date(2007, 1, 2),
        end=date(2007, 1, 4),
        parameters={"fast": "5"},
        configuration={"cash": "1000", "commission": "1", "slippage_bps": "5", "fill_at": "close", "max_volume_pct": 0.1, "size_fraction": None},
        dataset_fingerprint="a" * 64,
        code_version="b" * 64,
        initial_capital=Decimal(1000),
        final_value=Decimal(1010),
        results={"bar_count": 3, "total_trades": 1, "total_return_pct": 1.0, "sharpe": None, "max_drawdown": -0.01, "win_rate": 1.0},
        equity=[["2007-01-02T00:00:00Z", 1000.0], ["2007-01-03T00:00:00Z", 990.0], ["2007-01-04T00:00:00Z", 1010.0]],
        trades=[trade],
        requested_by=quant,
        seconds=0.01,
        created_at=now(),
    )


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the tasks that were queued, in place of the worker's queue."""
    names: list[str] = []
    monkeypatch.setattr("apps.strategies.services.backtests.enqueue_on_commit", lambda name, **_: names.append(name))
    return names


def test_a_run_becomes_a_job_and_the_page_shows_it(client: Client, quant: User, queued: list[str]) -> None:
    response = client.post("/lab", FIELDS)
    job = JobRun.objects.get()
    assert response["Location"] == f"/lab?job={job.pk}"
    assert queued == ["strategies.backtest"]
    assert (job.requested_by, job.parameters["symbols"], job.parameters["parameters"]) == (quant, ["AAPL", "MSFT"], {"fast": "5", "slow": "20"})
    assert f'data-job="{job.pk}"' in client.get(response["Location"]).content.decode()


def test_a_finished_job_leads_to_its_report(client: Client, quant: User, run: BacktestRun) -> None:
    job = JobRun.objects.create(
        job="strategies.backtest", state="succeeded", result={"backtest_id": run.pk}, requested_by=quant, created_at=now(), finished_at=now()
    )
    assert client.get(f"/lab?job={job.pk}")["Location"] == f"/lab/{run.pk}"


def test_a_failed_job_says_why(client: Client, quant: User) -> None:
    job = JobRun.objects.create(job="strategies.backtest", state="failed", error="Traceback\nno bars of AAPL", requested_by=quant, created_at=now())
    assert "no bars of AAPL" in client.get(f"/lab?job={job.pk}").content.decode()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"strategy": "os.system"}, "strategy"),
        ({"symbols": "AAPL NOPE"}, "symbols"),
        ({"symbols": " , "}, "symbols"),
        ({"start": "2008-01-01"}, "start"),
        ({"parameters": "fastt=5"}, "parameters"),
        ({"parameters": "fast"}, "parameters"),
        ({"cash": "1.23456"}, "cash"),
        ({"cash": "-1"}, "cash"),
        ({"max_volume_pct": "2"}, "max_volume_pct"),
    ],
)
def test_bad_input_is_shown_at_its_field_and_starts_nothing(client: Client, queued: list[str], changes: dict[str, Any], field: str) -> None:
    response = client.post("/lab", {**FIELDS, **changes})
    assert response.status_code == 400
    assert set(response.context["form"].errors) == {field}
    assert not JobRun.objects.exists()
    assert queued == []


def test_a_run_needs_the_right_to_run(db: None, queued: list[str]) -> None:
    user = User.objects.create_user(username="trader")
    user.groups.add(Group.objects.get(name=Role.TRADER.value))
    client = Client()
    client.force_login(user)
    assert "New run" not in client.get("/lab").content.decode()
    assert client.post("/lab", {**FIELDS, "symbols": "AAPL"}).status_code in (400, 403)
    assert not JobRun.objects.exists()


def test_run_again_fills_the_form_with_the_run(client: Client, run: BacktestRun) -> None:
    form = client.get(f"/lab?again={run.pk}").context["form"]
    assert (form["symbols"].value(), form["parameters"].value(), form["cash"].value()) == ("AAPL, MSFT", "fast=5", "1000")


def test_report_shows_fingerprint_version_and_what_is_not_defined(client: Client, run: BacktestRun) -> None:
    html = client.get(f"/lab/{run.pk}").content.decode()
    assert "a" * 64 in html
    assert "b" * 64 in html
    assert "Too few returns" in html
    assert "fewer than 30" in html


def test_charts_of_a_run(client: Client, run: BacktestRun) -> None:
    assert client.get(f"/charts/lab/{run.pk}/equity").json()["summary"].startswith("Value 2007-01-02 to 2007-01-04: +1.0 %")
    assert client.get(f"/charts/lab/{run.pk}/drawdown").json()["summary"].startswith("Largest fall −1.0 % at 2007-01-03")
    assert "No bars of MSFT" in client.get(f"/charts/lab/{run.pk}/price?symbol=MSFT").json()["summary"]
    assert client.get(f"/charts/lab/{run.pk}/price?symbol=IBM").status_code == 404


def test_reports_need_a_role(db: None, run: BacktestRun) -> None:
    client = Client()
    client.force_login(User.objects.create_user(username="nobody"))
    assert client.get(f"/lab/{run.pk}").status_code == 403
    assert client.get("/lab").status_code == 403
