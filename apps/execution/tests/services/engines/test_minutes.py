"""An engine that trades on bars of a minute: completed ones only, each once, and none that is old."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from apps.core import clock
from apps.core.errors import InvalidInput
from apps.core.jobs import NullProgress
from apps.execution.models import EngineDecision, EngineStep, Order, TradingEngine
from apps.execution.services.dry_runs import dry_run
from apps.execution.services.live_config import LiveConfig
from apps.execution.tests.factories import quote
from apps.execution.tests.services.engines.trading import again, wanted
from apps.execution.tests.services.test_live import CLOSES, engine
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import FeedState
from apps.marketdata.selectors.quotes import FeedMessage
from apps.marketdata.tests.factories import make_series, store_series
from apps.strategies.services.backtests import BacktestRequest, backtest_run

DAY = date(2012, 1, 4)
OPEN = datetime(2012, 1, 4, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def of_minutes(opens):
    series = make_series("AAPL", CLOSES)
    return replace(series, ts=np.datetime64(opens.replace(tzinfo=None), "us") + np.arange(len(CLOSES)) * np.timedelta64(60_000_000, "us"))


@pytest.fixture
def minutes(desk):
    """An hour of bars after the open of a day, and of the day before."""
    series = of_minutes(OPEN)
    store_series(of_minutes(OPEN - timedelta(days=1)), timeframe=Timeframe.MINUTE)
    store_series(series, timeframe=Timeframe.MINUTE)
    return series


def stand(series, n, late=timedelta(0)):
    """The market stands at the end of the n-th minute, or some time later."""
    moment = OPEN + (n + 1) * MINUTE + late
    FeedState.objects.update_or_create(name="test", defaults={"mode": "replay", "market_time": moment, "session": DAY, "updated_at": clock.now()})
    quote("AAPL", f"{series.close[n]:.2f}", market_time=moment)
    return moment


def first_buy(live, minutes):
    for n in range(10, len(CLOSES)):
        stand(minutes, n)
        step = live.step(at=clock.now())
        assert step.bar == OPEN + n * MINUTE
        if step.orders:
            return n, step
    raise AssertionError("it never bought")


class TestLive:
    def test_it_buys_within_the_minute_and_acts_once_upon_a_bar(self, desk, minutes):
        live = engine(desk, timeframe=Timeframe.MINUTE)
        n, step = first_buy(live, minutes)
        assert [(order.side, order.status) for order in step.orders] == [("buy", "filled")]
        assert EngineDecision.objects.get().reason == f"BUY after the bar of {OPEN + n * MINUTE:%Y-%m-%d %H:%M}"
        other = again(live)
        assert other.config.timeframe is Timeframe.MINUTE
        assert other.step(at=clock.now()) is None
        stand(minutes, n + 1)
        assert other.step(at=clock.now()).bar == OPEN + (n + 1) * MINUTE
        assert Order.objects.count() == 1

    def test_a_bar_that_still_runs_is_not_seen_and_one_that_is_old_is_no_news(self, desk, minutes):
        live = engine(desk, timeframe=Timeframe.MINUTE)
        stand(minutes, 30, late=-timedelta(seconds=1))
        assert live.step(at=clock.now()).bar == OPEN + 29 * MINUTE
        stand(minutes, len(CLOSES) - 1, late=MINUTE)  # the minute after it had no trade
        assert live.step(at=clock.now()) is None

    def test_what_a_crashed_one_decided_is_dropped_after_the_next_minute(self, desk, minutes, monkeypatch):
        def die(*_, **__):
            raise KeyboardInterrupt

        live = engine(desk, timeframe=Timeframe.MINUTE)
        with monkeypatch.context() as patch:
            patch.setattr("apps.execution.services.engine_orders.order_submit", die)
            with pytest.raises(KeyboardInterrupt):
                first_buy(live, minutes)
        n = round((EngineDecision.objects.get().bar_ts - OPEN) / MINUTE)
        stand(minutes, n + 1)
        live.finish(at=clock.now())
        assert not Order.objects.exists()
        assert "is no longer the last one" in EngineStep.objects.get(number=9, cycle__decisions__isnull=False).outcome

    def test_a_host_hears_of_it(self, desk, minutes, host):
        wanted(desk, parameters={"fast": "3", "slow": "8"}, timeframe=Timeframe.MINUTE)
        for n in range(10, 30):
            moment = stand(minutes, n)
            words = {"feed": "test", "session": DAY, "market_time": moment, "received_at": clock.now(), "symbols": ("AAPL",), "prices": {}}
            host.hear(FeedMessage(kind="bars", **words), at=clock.now())  # of a day: not what it trades on
            host.hear(FeedMessage(kind="intraday", timeframe=Timeframe.MINUTE, **words), at=clock.now())
        assert len([step for step in host.steps if step["bar"]]) == 20
        assert Order.objects.get().status == "filled"


class TestConfiguration:
    def test_days_are_the_default_and_leave_an_approved_configuration_as_it_is(self, desk, minutes):
        engine(desk)
        daily = TradingEngine.objects.get()
        assert "timeframe" not in daily.configuration
        engine(desk, timeframe=Timeframe.MINUTE)
        of_a_minute = TradingEngine.objects.get()
        assert of_a_minute.configuration["timeframe"] == "1m"
        assert of_a_minute.config_digest != daily.config_digest

    @pytest.mark.parametrize("timeframe", [Timeframe.HOUR, Timeframe.WEEK])
    def test_bars_that_no_feed_announces_are_refused(self, timeframe):
        with pytest.raises(InvalidInput, match="1m, 5m, 15m, 1d"):
            LiveConfig(strategy="sma_cross", symbols=("AAPL",), portfolio_id=1, timeframe=timeframe)


class TestDryRun:
    def run(self, desk, minutes, replay_days=None, **words):
        stand(minutes, len(CLOSES) - 1)
        names = {"strategy": "sma_cross", "symbols": ("AAPL",), "portfolio_id": desk.portfolio.pk, "parameters": {"fast": "3", "slow": "8"}}
        config = LiveConfig(**names, timeframe=Timeframe.MINUTE, size_fraction=0.5, **words)
        return dry_run(config=config, cash=100_000.0, replay_days=replay_days, at=clock.now(), progress=NullProgress())

    def test_it_equals_the_backtest_on_the_same_bars(self, desk, minutes):
        got = self.run(desk, minutes)
        request = BacktestRequest(
            strategy="sma_cross",
            symbols=["AAPL"],
            start=DAY - timedelta(days=1),
            end=DAY,
            timeframe=Timeframe.MINUTE,
            parameters={"fast": "3", "slow": "8"},
            commission=desk.account.commission,
            slippage_bps=desk.account.slippage_bps,
            size_fraction=0.5,
        )
        run = backtest_run(request=request, user=desk.trader, at=clock.now())
        assert (got["trades"], {name: got[name] for name in run.results}) == (run.trades, run.results)
        assert got["timeframe"] == "1m"

    def test_days_to_replay_are_sessions(self, desk, minutes):
        assert self.run(desk, minutes, replay_days=1)["bar_count"] == len(CLOSES)
        assert self.run(desk, minutes, replay_days=2)["bar_count"] == 2 * len(CLOSES)
