"""`trade` and `run_broker` as processes: what they print, how they end, and that they work until they are told to stop."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from apps.core import clock
from apps.core.locks import LeaseSet, lease
from apps.core.postgres.session import open_session
from apps.core.roles import roles_synchronise
from apps.core.trading import TradingMode
from apps.execution.models import BrokerageAccount, EngineCycle, EngineDecision, EngineEvent, EngineState, EngineStep, Order
from apps.execution.services.accounts import alpaca_account_create, ib_account_create
from apps.execution.services.engines import engine_start, engine_stop
from apps.execution.services.live_building import live_engine_describe
from apps.execution.services.live_config import LiveConfig
from apps.execution.tests.factories import make_desk, quote
from apps.execution.tests.gateways.alpaca import KEY, SECRET, AlpacaGateway
from apps.execution.tests.gateways.ib import IbGateway
from apps.execution.tests.services.test_live import CLOSES, START, complete
from apps.marketdata.services.quotes import bars_announce
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.tests.factories import PortfolioFactory
from apps.strategies.models import Signal

ROOT = Path(__file__).parents[3]


def trade(desk, capsys, *options):
    base = ("--strategy", "sma_cross", "--symbols", "AAPL", "--portfolio", str(desk.portfolio.pk), "--param", "fast=3", "--param", "slow=8")
    call_command("trade", *base, "--json", "--no-progress", *options)
    return json.loads(capsys.readouterr().out)


class TestTrade:
    @pytest.fixture
    def bars(self, desk):
        series = make_series("AAPL", CLOSES, start=START)
        store_series(series)
        complete(series, len(CLOSES) - 1)
        return series

    def test_a_dry_run_prints_the_keys_of_a_backtest(self, desk, bars, capsys):
        data = trade(desk, capsys, "--mode", "dry-run", "--size-percent", "50")
        assert {"bar_count", "initial_capital", "final_value", "total_return_pct", "total_trades", "sharpe", "max_drawdown"} <= set(data)
        assert (data["bar_count"], data["total_trades"], len(data["equity_curve"])) == (60, 1, 60)
        assert [order["side"] for order in data["orders"]] == ["buy", "sell"]

    @pytest.mark.parametrize(
        ("options", "code", "field"),
        [
            (("--mode", "dry-run", "--replay-days", "0"), 2, "replay_days"),
            (("--mode", "dry-run", "--size-percent", "0"), 2, "size_percent"),
            (("--mode", "dry-run", "--size-percent", "ten"), 2, "size_percent"),
            (("--mode", "dry-run", "--cash", "-1"), 2, "cash"),
            (("--mode", "dry-run", "--param", "slow"), 2, "param"),
            (("--mode", "dry-run", "--param", "slwo=8"), 2, "parameters.slwo"),
            (("--mode", "dry-run", "--symbols", "AAPL,NONE"), 2, "symbols"),
            (("--mode", "dry-run", "--portfolio", "none"), 2, "portfolio"),
            (("--mode", "paper", "--replay-days", "5"), 2, "replay_days"),
            (("--mode", "paper", "--user", "nobody"), 2, "user"),
            (("--mode", "live"), 4, ""),
            (("--config", "/none.yaml"), 2, "config"),
        ],
    )
    def test_bad_input_is_named(self, desk, bars, capsys, options, code, field):
        with pytest.raises(CommandError) as caught:
            trade(desk, capsys, *options)
        assert caught.value.returncode == code
        assert json.loads(capsys.readouterr().out)["error"]["field"] == field

    def test_one_engine_per_strategy_and_portfolio(self, desk, bars, capsys):
        with lease(f"trade:sma_cross:{desk.portfolio.pk}"), pytest.raises(CommandError) as caught:
            trade(desk, capsys, "--mode", "paper")
        assert caught.value.returncode == 4


def wait_for(condition, *, process, seconds=300):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the process ended with {process.returncode}")
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("nothing happened")


@pytest.fixture
def run(transactional_db):
    """Starts manage.py on the test's own database, and stops it afterwards."""
    started = []

    def start(*words):
        name = connection.settings_dict["NAME"]
        base = os.environ["DATABASE_URL"]
        head, _, query = base.partition("?")
        url = f"{head.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
        process = subprocess.Popen(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "smarttrader.settings.test"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        return process

    roles_synchronise()
    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(120)


@pytest.mark.slow
def test_run_broker_fills_resting_orders_until_it_is_stopped(run):
    desk = make_desk()
    order = desk.submit(order_type="limit", limit_price="99")
    process = run("run_broker", "--json")

    def filled():
        quote("AAPL", "98.5")  # again and again: it may not listen yet
        return Order.objects.get(pk=order.pk).status == "filled"

    wait_for(filled, process=process)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert json.loads(out)["matched"] == 1


def spoken(series, n, *, process):
    """Complete the n-th bar and announce it until the strategy, which began with the 20th, has spoken of it. When it closed."""
    close = complete(series, n)

    def recorded():
        bars_announce(feed="test", session=close.date(), symbols=["AAPL"], market_time=close, received_at=clock.now())
        return Signal.objects.count() == n - 19

    wait_for(recorded, process=process)
    return close


@pytest.mark.slow
def test_trade_acts_on_completed_bars_until_it_is_stopped(run):
    desk = make_desk()
    series = make_series("AAPL", CLOSES, start=START)
    store_series(series)
    complete(series, 20)
    words = ["--strategy", "sma_cross", "--symbols", "AAPL", "--portfolio", str(desk.portfolio.pk), "--mode", "paper", "--param", "fast=3"]
    process = run("trade", *words, "--param", "slow=8", "--json")
    wait_for(lambda: Signal.objects.count() == 1, process=process)  # the start is a step of its own
    for n in range(21, 30):
        spoken(series, n, process=process)
        if Order.objects.exists():
            break
    wait_for(lambda: Order.objects.filter(status="filled", strategy="sma_cross").count() == 1, process=process)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert sum(len(step["orders"]) for step in json.loads(out)["steps"]) == 1


@pytest.mark.slow
def test_a_killed_engine_is_taken_over_and_what_it_had_decided_is_ordered_once(run):
    """Two processes, one stands by. The first is killed after it has decided and before it has ordered."""
    desk = make_desk()
    series = make_series("AAPL", CLOSES, start=START)
    store_series(series)
    complete(series, 20)
    words = ["trade", "--strategy", "sma_cross", "--symbols", "AAPL", "--portfolio", str(desk.portfolio.pk), "--mode", "paper", "--param", "fast=3"]
    first = run(*words, "--param", "slow=8", "--json")
    wait_for(lambda: Signal.objects.count() == 1, process=first)
    second = run(*words, "--param", "slow=8", "--json", "--standby")
    with open_session() as gate:  # whoever would order waits here
        gate.execute("begin")
        gate.execute("select 1 from portfolios_portfolio where id = %s for update", [desk.portfolio.pk])
        for n in range(21, 30):
            close = spoken(series, n, process=first)
            if EngineDecision.objects.exists():
                break
        assert second.poll() is None
        quote("AAPL", f"{series.close[n]:.2f}", market_time=close)  # the gate wants a fresh one, whenever the second comes to it
        first.kill()
        first.wait(120)
        assert not Order.objects.exists()

    def ordered():
        quote("AAPL", f"{series.close[n]:.2f}", market_time=close)
        return Order.objects.filter(status="filled").exists()

    wait_for(ordered, process=second)
    wait_for(lambda: EngineStep.objects.filter(number=11, cycle__decisions__isnull=False).exists(), process=second)
    second.send_signal(signal.SIGTERM)
    second.communicate(timeout=120)
    assert second.returncode == 0
    assert Order.objects.get().client_order_id == EngineDecision.objects.get().client_order_id
    assert list(EngineEvent.objects.filter(kind__in=["taken", "released"]).order_by("id").values_list("kind", flat=True)) == [
        "taken",
        "taken",
        "released",
    ]
    assert EngineCycle.objects.filter(bar_ts__isnull=False).count() == Signal.objects.count()


@pytest.mark.slow
def test_a_standby_neither_revives_what_a_person_stopped_nor_brings_its_own_configuration(run):
    desk = make_desk()
    series = make_series("AAPL", CLOSES, start=START)
    store_series(series)
    complete(series, 20)
    words = ["trade", "--strategy", "sma_cross", "--symbols", "AAPL", "--portfolio", str(desk.portfolio.pk), "--mode", "paper", "--param", "fast=3"]
    first = run(*words, "--param", "slow=8")
    wait_for(lambda: Signal.objects.count() == 1, process=first)
    second = run(*words, "--param", "slow=8", "--standby")
    newer = LiveConfig(strategy="sma_cross", symbols=("AAPL",), portfolio_id=desk.portfolio.pk, parameters={"fast": "4", "slow": "9"})
    engine = live_engine_describe(config=newer, user=desk.trader, mode=TradingMode.PAPER, at=clock.now())
    engine_stop(engine_id=engine.pk, user=desk.trader, reason="enough", at=clock.now())
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=120)
    with closing(LeaseSet(application="test")) as leases:
        wait_for(lambda: leases.taken([f"trade:sma_cross:{desk.portfolio.pk}"]), process=second)
    engine_start(engine_id=engine.pk, user=desk.trader, at=clock.now())
    wait_for(lambda: EngineState.objects.get().health.get("status") == "running", process=second)
    second.send_signal(signal.SIGTERM)
    second.communicate(timeout=120)
    engine.refresh_from_db()
    assert engine.parameters == {"fast": "4", "slow": "9"}
    by_people = EngineEvent.objects.filter(kind__in=["configured", "started", "stopped"]).order_by("id")
    assert list(by_people.values_list("kind", flat=True)) == ["configured", "started", "configured", "stopped", "started"]


@pytest.mark.soak
def test_run_engines_runs_what_people_start_until_they_stop_it(run):
    desk = make_desk()
    series = make_series("AAPL", CLOSES, start=START)
    store_series(series)
    complete(series, 20)
    config = LiveConfig(strategy="sma_cross", symbols=("AAPL",), portfolio_id=desk.portfolio.pk, parameters={"fast": "3", "slow": "8"})
    engine = live_engine_describe(config=config, user=desk.trader, mode=TradingMode.PAPER, at=clock.now())
    process = run("run_engines", "--json")
    engine_start(engine_id=engine.pk, user=desk.trader, at=clock.now())
    wait_for(lambda: Signal.objects.count() == 1, process=process)
    wait_for(lambda: EngineState.objects.get().health.get("status") == "running", process=process)
    engine_stop(engine_id=engine.pk, user=desk.trader, reason="", at=clock.now())
    with closing(LeaseSet(application="test")) as leases:
        wait_for(lambda: not leases.taken([f"trade:sma_cross:{desk.portfolio.pk}"]), process=process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert EngineState.objects.get().holder == ""


@pytest.fixture(params=["ib", "alpaca"])
def venue(request, run, monkeypatch):
    """A desk whose orders go to a broker on loopback, what `run_broker` is told, and how many orders reached that broker."""
    desk = make_desk(commission="0")
    desk.account.delete()
    if request.param == "ib":
        ib_account_create(portfolio_id=desk.portfolio.pk, number="DU1234567")
        with IbGateway() as gateway:
            monkeypatch.setenv("IB_HOST", "127.0.0.1")
            monkeypatch.setenv("IB_PORT", str(gateway.port))
            yield desk, gateway, lambda: (len(gateway.placed), gateway.duplicates)
        return
    alpaca_account_create(portfolio_id=desk.portfolio.pk, number="PA3TESTS")
    with AlpacaGateway(account="PA3TESTS") as gateway:
        names = {"ALPACA_API_KEY": KEY, "ALPACA_SECRET_KEY": SECRET, "ALPACA_TRADING_URL": gateway.url, "ALPACA_UPDATES_URL": gateway.stream_url}
        for name, value in names.items():
            monkeypatch.setenv(name, value)
        yield desk, gateway, lambda: (len(gateway.orders), {})


@pytest.mark.slow
def test_run_broker_takes_up_what_a_killed_one_left(venue, run, request):
    desk, gateway, reached = venue
    words = ("run_broker", "--broker", request.node.callspec.params["venue"], "--json")
    order = desk.submit(order_type="limit", limit_price="99", time_in_force="gtc")
    first = run(*words)
    wait_for(lambda: Order.objects.get(pk=order.pk).status == "new", process=first)
    second = run(*words)
    out, _ = second.communicate(timeout=120)
    assert (second.returncode, json.loads(out)["error"]["code"]) == (4, "CONFLICT")  # one process holds the line
    first.kill()
    first.wait(120)
    gateway.price("AAPL", "98.5")  # it trades while nobody listens
    third = run(*words)
    wait_for(lambda: Order.objects.get(pk=order.pk).status == "filled", process=third)
    third.send_signal(signal.SIGTERM)
    out, _ = third.communicate(timeout=120)
    assert third.returncode == 0
    assert (json.loads(out)["sent"], json.loads(out)["booked"] > 0) == (0, True)
    assert reached() == (1, {})


def test_a_portfolio_is_connected_once(db, capsys):
    portfolio = PortfolioFactory(name="Fund")
    words = ("connect_account", "--portfolio", "Fund", "--broker", "ib", "--json")
    for _ in range(2):
        call_command(*words, "--number", "DU1234567")
        assert json.loads(capsys.readouterr().out) == {"portfolio_id": portfolio.pk, "broker": "ib", "mode": "paper", "number": "DU1234567"}
    for number, code, field in (("U7654321", 4, "portfolio_id"), ("du7", 2, "number")):
        with pytest.raises(CommandError) as caught:
            call_command(*words, "--number", number)
        assert caught.value.returncode == code
        assert json.loads(capsys.readouterr().out)["error"]["field"] == field


def test_a_margin_account_begins_in_the_regime_of_its_day(db, capsys):
    portfolio = PortfolioFactory(name="Fund")
    words = ("connect_account", "--portfolio", "Fund", "--broker", "paper", "--json")
    call_command(*words)
    assert BrokerageAccount.objects.get(portfolio=portfolio).account_type == "cash"
    capsys.readouterr()
    for _ in range(2):
        call_command(*words, "--type", "margin")
        said = json.loads(capsys.readouterr().out)
        assert (said["account_type"], said["day_trading_regime"]) == ("margin", "INTRADAY_MARGIN")
    assert BrokerageAccount.objects.get(portfolio=portfolio).history.count() == 2


def test_a_line_needs_a_gateway(db, capsys, settings):
    settings.IB_HOST = ""
    with pytest.raises(CommandError) as caught:
        call_command("run_broker", "--broker", "ib", "--json")
    assert caught.value.returncode == 2
    assert json.loads(capsys.readouterr().out)["error"]["field"] == "IB_HOST"
