"""The live engine on completed bars, its restart, and the dry run beside the backtest."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from apps.alerts.models import Alert
from apps.core import clock
from apps.core.errors import InvalidInput, NotPermitted, Unavailable
from apps.core.jobs import NullProgress
from apps.core.roles import Role
from apps.core.trading import TradingMode
from apps.execution.domain.engine_config import RiskConfig
from apps.execution.domain.protection import StopLossConfig
from apps.execution.models import Order
from apps.execution.services.dry_runs import dry_run
from apps.execution.services.live_building import engine_user, live_engine_build
from apps.execution.services.live_config import LiveConfig
from apps.execution.services.routing import ModeMismatch
from apps.execution.tests.factories import make_limits, make_user, quote
from apps.marketdata.domain import calendars
from apps.marketdata.models import FeedState
from apps.marketdata.services.quotes import quotes_clear
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.models import Book
from apps.portfolios.selectors.holdings import holdings
from apps.strategies.domain.sizers import FixedSizer, VolatilitySizer
from apps.strategies.models import Signal
from apps.strategies.services.backtests import BacktestRequest, backtest_run

#: Falls for twenty sessions, rises for twenty, falls again: one buy and one sell of a 3/8 cross.
CLOSES = [*np.linspace(120, 100, 20), *np.linspace(101, 125, 20), *np.linspace(123, 90, 20)]
START = date(2012, 1, 3)


@pytest.fixture
def bars(desk):
    series = make_series("AAPL", CLOSES, start=START)
    store_series(series)
    return series


def complete(series, n, *, price=None, at=None):
    """Let the market stand at the close of session `n`; the price came at `at`, else now."""
    day = series.ts[n].astype("datetime64[D]").item()
    _, close = calendars.session_hours("XNYS", day)
    FeedState.objects.update_or_create(name="test", defaults={"mode": "replay", "market_time": close, "session": day, "updated_at": clock.now()})
    quote("AAPL", price or f"{series.close[n]:.2f}", at=at, market_time=close)
    return close


def bars_until(series, moment):
    """The number of the bar that begins at a moment."""
    return [str(ts)[:10] for ts in series.ts].index(moment[:10])


def engine(desk, **changes):
    config = LiveConfig(
        **{"strategy": "sma_cross", "symbols": ("AAPL",), "portfolio_id": desk.portfolio.pk, "parameters": {"fast": "3", "slow": "8"}, **changes}
    )
    return live_engine_build(config=config, user=desk.trader, mode=TradingMode.PAPER, at=clock.now())


def run_all(desk, series, **changes):
    live, steps = engine(desk, **changes), []
    for n in range(10, len(series.ts)):
        complete(series, n)
        steps.append(live.step(at=clock.now()))
    return steps


class TestLiveEngine:
    def test_it_trades_the_crossings_in_its_own_book(self, desk, bars):
        steps = run_all(desk, bars)
        orders = [order for step in steps if step for order in step.orders]
        assert [(order.side, order.status, order.strategy, order.book.name) for order in orders] == [
            ("buy", "filled", "sma_cross", "sma_cross"),
            ("sell", "filled", "sma_cross", "sma_cross"),
        ]
        buy, sell = orders
        assert buy.quantity == int(Decimal(10_000) / buy.reference_price)
        assert sell.quantity == buy.quantity
        assert holdings(desk.portfolio.pk).positions == ()
        assert Signal.objects.filter(strategy="sma_cross").count() == len(steps)

    def test_a_recorded_bar_is_never_acted_upon_again(self, desk, bars):
        live = engine(desk)
        n = self.first_buy(desk, bars, live)
        assert Order.objects.count() == 1
        assert live.step(at=clock.now()) is None
        assert engine(desk).step(at=clock.now()) is None  # another process, after a crash
        complete(bars, n)
        assert engine(desk).step(at=clock.now()) is None
        assert Order.objects.count() == 1

    def first_buy(self, desk, bars, live):
        for n in range(10, len(bars.ts)):
            complete(bars, n)
            step = live.step(at=clock.now())
            if step.orders:
                return n
        raise AssertionError("the strategy never bought")

    def test_the_same_word_twice_is_no_news(self, desk, bars):
        """Momentum says BUY on each bar of a rise: one order follows, even when the position was closed by hand meanwhile."""
        live = engine(desk, strategy="momentum", parameters={"lookback": "5", "threshold": "0.01"})
        n = self.first_buy(desk, bars, live)
        book = Book.objects.get(name="momentum")
        position = next(p for p in holdings(desk.portfolio.pk).positions if p.book_id == book.pk)
        assert desk.submit(side="sell", quantity=position.quantity, book="momentum").status == "filled"
        complete(bars, n + 1)
        step = live.step(at=clock.now())
        assert [signal.action for signal in step.signals] == ["BUY"]
        assert step.orders == ()

    def test_a_bar_that_still_runs_is_not_seen(self, desk, bars):
        close = complete(bars, 30)
        FeedState.objects.update(market_time=close - timedelta(minutes=1))
        step = engine(desk).step(at=clock.now())
        assert step.bar.date() == bars.ts[29].astype("datetime64[D]").item()

    def test_an_old_bar_is_no_news(self, desk, bars):
        FeedState.objects.all().delete()  # no feed: the market's time is now, and the bars are of 2012
        assert engine(desk).step(at=clock.now()) is None
        assert not Signal.objects.exists()

    def test_without_a_price_to_size_by_nothing_is_recorded_and_the_bar_is_tried_again(self, desk, bars):
        complete(bars, 10)
        store_series(make_series("KO", [50.0], start=date(2013, 1, 3)))  # no price of it in 2012
        quote("KO", "50")
        assert desk.submit(symbol="KO").status == "filled"
        quotes_clear(symbols=["KO"])
        with pytest.raises(Unavailable, match="no price of KO"):
            engine(desk).step(at=clock.now())
        assert not Signal.objects.exists()
        quote("KO", "50")
        assert engine(desk).step(at=clock.now()) is not None

    def test_a_denied_order_is_told_to_people(self, desk, bars):
        make_limits(desk.portfolio, at=clock.now() + timedelta(seconds=60), position_size="1")
        n = self.first_buy(desk, bars, engine(desk))
        assert n
        assert Order.objects.get().status == "denied"
        assert Alert.objects.get(code="STRATEGY_NOT_TRADING").detail == "POSITION_SIZE_LIMIT"

    def test_what_cannot_run_is_refused_before_anything_is_made(self, desk, bars):
        with pytest.raises(InvalidInput, match="did you mean sma_cross"):
            engine(desk, strategy="sma_cros")
        with pytest.raises(InvalidInput, match="is no int"):
            engine(desk, parameters={"slow": "x"})
        config = LiveConfig(strategy="sma_cross", symbols=("AAPL",), portfolio_id=desk.portfolio.pk)
        with pytest.raises(ModeMismatch):
            live_engine_build(config=config, user=desk.trader, mode=TradingMode.LIVE, at=clock.now())
        with pytest.raises(InvalidInput):
            LiveConfig(strategy="sma_cross", symbols=("AAPL", "AAPL"), portfolio_id=1)
        assert not Book.objects.filter(name="sma_cross").exists()


class TestEngineUser:
    def test_it_is_a_member_who_may_trade(self, desk):
        assert engine_user(portfolio_id=desk.portfolio.pk, username=None) == desk.trader

    def test_a_user_without_the_permission_is_refused(self, desk, bars):
        watcher = make_user("watcher", Role.AUDITOR)
        config = LiveConfig(strategy="sma_cross", symbols=("AAPL",), portfolio_id=desk.portfolio.pk)
        with pytest.raises(NotPermitted):
            live_engine_build(config=config, user=watcher, mode=TradingMode.PAPER, at=clock.now())


class TestDryRun:
    def config(self, desk, **changes):
        names = {"strategy": "sma_cross", "symbols": ("AAPL",), "portfolio_id": desk.portfolio.pk, "parameters": {"fast": "3", "slow": "8"}}
        return LiveConfig(**{**names, "size_fraction": 0.5, **changes})

    def test_it_equals_the_backtest_on_the_same_bars(self, desk, bars):
        complete(bars, len(bars.ts) - 1)
        got = dry_run(config=self.config(desk), cash=100_000.0, replay_days=None, at=clock.now(), progress=NullProgress())
        run = backtest_run(
            request=BacktestRequest(
                strategy="sma_cross",
                symbols=["AAPL"],
                start=START,
                end=date(2012, 12, 31),
                parameters={"fast": "3", "slow": "8"},
                commission=desk.account.commission,
                slippage_bps=desk.account.slippage_bps,
                size_fraction=0.5,
            ),
            user=desk.trader,
            at=clock.now(),
        )
        assert got["dataset_fingerprint"] == run.dataset_fingerprint
        assert {name: got[name] for name in run.results} == run.results
        assert got["trades"] == run.trades
        assert got["equity_curve"] == run.equity
        assert got["total_trades"] == 1

    def test_its_stops_close_at_the_close_that_reaches_them(self, desk, bars):
        complete(bars, len(bars.ts) - 1)
        stops = StopLossConfig(trailing_stop_pct=Decimal("0.02"))
        got = dry_run(config=self.config(desk, stop_loss=stops), cash=100_000.0, replay_days=None, at=clock.now(), progress=NullProgress())
        (stop,) = got["stops"]
        assert (stop["kind"], stop["symbol"]) == ("trailing_stop", "AAPL")
        assert [order["side"] for order in got["orders"]] == ["buy", "sell"]
        assert got["orders"][1]["time"] == stop["time"]
        assert float(got["orders"][1]["price"]) == pytest.approx(CLOSES[bars_until(bars, stop["time"])] * (1 - 5e-4))

    def test_its_breaker_stops_it_for_good(self, desk, bars):
        complete(bars, len(bars.ts) - 1)
        stops = StopLossConfig(max_drawdown_pct=Decimal("0.005"))
        got = dry_run(config=self.config(desk, stop_loss=stops), cash=100_000.0, replay_days=None, at=clock.now(), progress=NullProgress())
        assert got["circuit_breaker"]["active"]
        assert [stop["kind"] for stop in got["stops"]] == ["max_drawdown"]

    def test_its_sizer_is_the_live_one(self, desk, bars):
        complete(bars, len(bars.ts) - 1)
        for sizer, quantity in ((FixedSizer(7), 7), (VolatilitySizer(risk_pct=1e-9), None)):
            got = dry_run(config=self.config(desk, sizer=sizer), cash=100_000.0, replay_days=None, at=clock.now(), progress=NullProgress())
            assert [order["quantity"] for order in got["orders"][:1]] == ([quantity] if quantity else [])

    @pytest.mark.parametrize(
        ("limit", "code"),
        [
            ({"max_position_size": Decimal(5)}, "POSITION_SIZE_LIMIT"),
            ({"max_position_value": Decimal(500)}, "POSITION_VALUE_LIMIT"),
            ({"max_total_exposure": Decimal(500)}, "TOTAL_EXPOSURE_LIMIT"),
        ],
    )
    def test_its_own_limits_refuse_what_they_refuse_live(self, desk, bars, limit, code):
        risk = RiskConfig(**limit)
        live = [order for step in run_all(desk, bars, risk=risk, size_fraction=0.5) if step for order in step.orders]
        complete(bars, len(bars.ts) - 1)
        got = dry_run(config=self.config(desk, risk=risk), cash=100_000.0, replay_days=None, at=clock.now(), progress=NullProgress())
        assert (live, got["orders"], got["total_trades"]) == ([], [], 0)
        assert [(one["symbol"], one["codes"]) for one in got["refused"]] == [("AAPL", [code])]

    def test_a_limit_that_is_not_reached_changes_nothing_and_a_rate_only_delays(self, desk, bars):
        complete(bars, len(bars.ts) - 1)
        free = dry_run(config=self.config(desk), cash=100_000.0, replay_days=None, at=clock.now(), progress=NullProgress())
        for risk in (RiskConfig(max_position_size=Decimal(10**6)), RiskConfig(max_orders_per_minute=1, max_orders_per_symbol_per_minute=1)):
            got = dry_run(config=self.config(desk, risk=risk), cash=100_000.0, replay_days=None, at=clock.now(), progress=NullProgress())
            assert (got["orders"], got["refused"]) == (free["orders"], [])

    def test_trading_that_is_not_enabled_orders_nothing(self, desk, bars):
        complete(bars, len(bars.ts) - 1)
        got = dry_run(config=self.config(desk, enable_trading=False), cash=100_000.0, replay_days=None, at=clock.now(), progress=NullProgress())
        assert (got["orders"], got["final_value"], got["enable_trading"]) == ([], 100_000.0, False)

    def test_replay_days_trades_the_last_sessions_only(self, desk, bars):
        complete(bars, len(bars.ts) - 1)
        got = dry_run(config=self.config(desk), cash=1000.0, replay_days=7, at=clock.now(), progress=NullProgress())
        assert got["bar_count"] == 7
        assert got["equity_curve"][0][0] == f"{bars.ts[-7].astype('datetime64[D]')}T00:00:00Z"

    def test_it_writes_nothing(self, desk, bars):
        complete(bars, len(bars.ts) - 1)
        dry_run(config=self.config(desk), cash=1000.0, replay_days=None, at=clock.now(), progress=NullProgress())
        assert not Order.objects.exists()
        assert not Signal.objects.exists()

    @pytest.mark.parametrize(("n", "replay_days", "field"), [(3, None, "symbols"), (59, 0, "replay_days")])
    def test_what_cannot_be_replayed_is_refused(self, desk, bars, n, replay_days, field):
        complete(bars, n)
        with pytest.raises(InvalidInput) as caught:
            dry_run(config=self.config(desk), cash=1000.0, replay_days=replay_days, at=clock.now(), progress=NullProgress())
        assert caught.value.field == field
