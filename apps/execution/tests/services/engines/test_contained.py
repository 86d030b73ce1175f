"""What goes wrong in one engine outside its strategy: the others go on, its own bar waits, and people are not told every second."""

from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from apps.alerts.models import Alert
from apps.core.postgres.session import open_session
from apps.core.roles import roles_synchronise
from apps.execution.models import EngineCycle, EngineState, TradingEngine
from apps.execution.services.engine_host import EngineHost
from apps.execution.tests.factories import make_desk, quote
from apps.execution.tests.services.engines.faulty import PATH
from apps.execution.tests.services.engines.trading import Market, wanted
from apps.execution.tests.services.test_live import CLOSES, START
from apps.marketdata.selectors.store import LATEST, redis_client
from apps.marketdata.tests.factories import make_series, store_series
from apps.strategies.domain.sizers import PercentSizer


@pytest.fixture
def engines(desk, bars):
    """The first also trades KO, whose price nobody can read; the other trades AAPL alone."""
    store_series(make_series("KO", bars.close.tolist(), start=bars.ts[0].astype("datetime64[D]").item()))
    redis_client().hset(LATEST, "KO", "{")
    return wanted(desk, strategy="momentum", symbols=("AAPL", "KO")), wanted(desk)


def repair():
    quote("KO", "50")


def bars_acted_upon(engine):
    return EngineCycle.objects.filter(engine=engine, bar_ts__isnull=False).count()


def test_a_view_that_fails_ends_no_other_engine(engines, bars, host):
    first, other = engines
    market = Market(bars, host)
    market.close()
    assert EngineState.objects.get(engine=other).heartbeat_at == market.at
    assert bars_acted_upon(other) == 1
    assert EngineState.objects.get(engine=first).holder == host.holder


@pytest.mark.parametrize("damage", [{"position_sizer": None}, {"timeframe": "9 years"}])
def test_an_engine_whose_last_word_fails_does_not_keep_the_others_from_being_let_go(engines, bars, damage):
    first, _ = engines
    repair()
    host = EngineHost(tell=lambda _: None)
    market = Market(bars, host)
    market.close()
    TradingEngine.objects.filter(pk=first.pk).update(configuration={**first.configuration, **damage})
    host.close(at=market.at, reason="test")
    assert list(EngineState.objects.values_list("holder", flat=True)) == ["", ""]
    assert host.leases is None


def test_a_bar_waits_until_its_engine_can_look_again(engines, bars, host):
    first, _ = engines
    market = Market(bars, host)
    market.close()
    assert bars_acted_upon(first) == 0
    repair()
    market.price(1)
    assert bars_acted_upon(first) == 1


def test_a_fault_that_lasts_is_told_once_a_minute(engines, bars, host):
    market = Market(bars, host)
    market.close()
    begun = market.at
    while market.at - begun < timedelta(seconds=70):
        market.price(1)
    alert = Alert.objects.get(code="STRATEGY_NOT_TRADING")
    assert alert.detail.startswith("JSONDecodeError")
    assert alert.repeats.count() == 1


def test_a_bar_that_is_lost_is_told_at_once_also_within_the_minute(desk, engines, bars, host, monkeypatch):
    faulty = wanted(desk, strategy=PATH, symbols=("AAPL", "KO"), parameters={"fails_above": "1000"})

    def fail(*_):
        raise ZeroDivisionError("float division by zero")

    market = Market(bars, host)
    market.close()
    repair()
    monkeypatch.setattr(PercentSizer, "calculate_qty", fail)
    market.price(1)
    market.price(1)
    told = Alert.objects.get(code="STRATEGY_NOT_TRADING", title__startswith="faulty").repeats
    assert list(told.values_list("detail", flat=True)) == ["ZeroDivisionError: float division by zero"]
    assert bars_acted_upon(faulty) == 0


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_gone_is_no_fault_of_one_engine():
    roles_synchronise()
    desk = make_desk()
    series = make_series("AAPL", CLOSES, start=START)
    store_series(series)
    wanted(desk)
    host = EngineHost(tell=lambda _: None)
    market = Market(series, host)
    market.close()
    with open_session() as other:
        other.execute("select pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])
    try:
        with pytest.raises(OperationalError):
            host.close(at=market.at, reason="test")
    finally:
        connection.close()
    host.close(at=market.at, reason="test")
    assert (EngineState.objects.get().holder, host.leases) == ("", None)
