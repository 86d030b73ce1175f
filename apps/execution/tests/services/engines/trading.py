"""An engine that has just bought, and what happens to it next."""

from datetime import timedelta
from decimal import Decimal

from apps.core import clock
from apps.core.roles import Role
from apps.core.trading import TradingMode
from apps.execution.domain.protection import StopLossConfig
from apps.execution.models import TradingEngine
from apps.execution.services.engines import engine_want
from apps.execution.services.live_building import live_engine_describe, live_engine_open
from apps.execution.services.live_config import LiveConfig
from apps.execution.tests.factories import make_user
from apps.execution.tests.services.test_live import complete, engine
from apps.marketdata.selectors.quotes import FeedMessage

STOPS = StopLossConfig(position_stop_pct=Decimal("0.05"))


def bought(desk, bars, **changes):
    """An engine which has just bought; returns it, the bar's number and the price that was paid."""
    live = engine(desk, **changes)
    for n in range(19, len(bars.ts)):
        complete(bars, n)
        step = live.step(at=clock.now())
        if step is not None and step.orders:
            return live, n, step.orders[0].average_price
    raise AssertionError("the strategy never bought")


def again(live):
    """The same engine in another process."""
    return live_engine_open(TradingEngine.objects.get(pk=live.engine.pk), holder="another", at=clock.now())


def price(bars, n, fraction):
    """The market shows this part of the bar's close."""
    complete(bars, n, price=f"{bars.close[n] * fraction:.2f}")


def controller(desk):
    """Somebody of risk who sees the portfolio."""
    return make_user("rita", Role.RISK)


class Market:
    """Lets a host hear of completed bars and of prices between them, each two seconds after the one before."""

    def __init__(self, series, host):
        self.series, self.host, self.n, self.at = series, host, 18, clock.now()

    def close(self):
        """The next session ends."""
        self.n += 1
        self._show(1, "bars")

    def price(self, fraction):
        """The market shows this part of the last close."""
        self._show(fraction, "quotes")

    def _show(self, fraction, kind):
        self.at += timedelta(seconds=2)
        close = complete(self.series, self.n, price=f"{self.series.close[self.n] * fraction:.2f}", at=self.at)
        words = {"session": close.date(), "market_time": close, "received_at": self.at, "symbols": ("AAPL",), "prices": {}}
        self.host.hear(FeedMessage(kind=kind, feed="test", **words), at=self.at)


def wanted(desk, **words):
    """An engine on AAPL that people want to run; hosts take it."""
    config = LiveConfig(**{"strategy": "sma_cross", "symbols": ("AAPL",), "portfolio_id": desk.portfolio.pk, **words})
    row = live_engine_describe(config=config, user=desk.trader, mode=TradingMode.PAPER, at=clock.now())
    engine_want(row, user=desk.trader, at=clock.now())
    return row
