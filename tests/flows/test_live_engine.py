"""A live engine from a completed bar to a booked fill, to its stop, to the circuit breaker that a person resets; hosts come and go."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.core import clock
from apps.core.trading import TradingMode
from apps.execution.domain.protection import StopLossConfig
from apps.execution.models import EngineDecision, EngineEvent, EngineState, Order
from apps.execution.services.engine_health import health_path
from apps.execution.services.engine_host import EngineHost
from apps.execution.services.engines import engine_reset, engine_want
from apps.execution.services.live_building import live_engine_describe
from apps.execution.services.live_config import LiveConfig
from apps.execution.services.orders import order_submit
from apps.execution.tests.factories import quote
from apps.marketdata.domain import calendars
from apps.marketdata.models import FeedState
from apps.marketdata.selectors.quotes import FeedMessage
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.models import LedgerEntry
from apps.portfolios.selectors.holdings import holdings
from apps.strategies.models import Signal
from tests.flows.conftest import SmallDesk

STOPS = StopLossConfig(position_stop_pct=Decimal("0.05"), max_drawdown_pct=Decimal("0.02"))


class Market:
    """Shows one session after the other, and prices within it, to a host; each message two seconds after the one before."""

    def __init__(self, desk: SmallDesk) -> None:
        # Falls, rises, falls, rises: a 3/8 cross buys twice.
        closes = [*np.linspace(120, 100, 20), *np.linspace(101, 125, 20), *np.linspace(123, 90, 20), *np.linspace(92, 120, 20)]
        self.series = make_series(desk.instrument.symbol, closes)
        store_series(self.series)
        self.symbol, self.n, self.at = desk.instrument.symbol, 9, clock.now()

    def close(self, host: EngineHost) -> None:
        """The next session ends."""
        self.n += 1
        self._show(host, self.series.close[self.n], "bars")

    def price(self, host: EngineHost, fraction: float) -> None:
        """The market shows this part of the last close."""
        self._show(host, self.series.close[self.n] * fraction, "quotes")

    def _show(self, host: EngineHost, price: float, kind: str) -> None:
        session = self.series.ts[self.n].astype("datetime64[D]").item()
        _, market_time = calendars.session_hours("XNYS", session)
        self.at += timedelta(seconds=2)
        values: dict[str, Any] = {"mode": "replay", "market_time": market_time, "session": session, "updated_at": self.at}
        FeedState.objects.update_or_create(name="test", defaults=values)
        quote(self.symbol, f"{price:.2f}", at=self.at, market_time=market_time)
        host.hear(message(kind, self.symbol, market_time, self.at), at=self.at)


def message(kind: str, symbol: str, market_time: datetime, at: datetime) -> FeedMessage:
    return FeedMessage(kind=kind, feed="test", session=market_time.date(), market_time=market_time, received_at=at, symbols=(symbol,), prices={})


@pytest.fixture
def hosts(settings: Any, tmp_path: Path) -> Iterator[list[EngineHost]]:
    settings.VAR = tmp_path
    made: list[EngineHost] = []
    yield made
    for host in made:
        if host.leases is not None:
            host.leases.close()


def test_from_a_bar_to_a_booked_fill_to_a_stop_to_the_circuit_breaker(small_desk: SmallDesk, hosts: list[EngineHost]) -> None:
    desk, said = small_desk, []
    market = Market(desk)
    config = LiveConfig(
        strategy="sma_cross", symbols=(market.symbol,), portfolio_id=desk.portfolio.pk, parameters={"fast": "3", "slow": "8"}, stop_loss=STOPS
    )
    engine = live_engine_describe(config=config, user=desk.trader, mode=TradingMode.PAPER, at=market.at)
    engine_want(engine, user=desk.trader, at=market.at)
    hosts.append(EngineHost(tell=said.append))
    host = hosts[0]

    # A bar, a signal, a decision, an order, a fill, a booking.
    while not Order.objects.exists():
        market.close(host)
    order = Order.objects.get()
    assert (order.side, order.status, order.book.name) == ("buy", "filled", "sma_cross")
    assert LedgerEntry.objects.filter(kind="trade", book=order.book).count() == 1
    assert holdings(desk.portfolio.pk).positions[0].quantity == order.quantity
    assert Signal.objects.filter(action="buy").count() == 1

    # The price falls to the stop: the position is closed, once.
    market.price(host, 0.97)
    assert Order.objects.count() == 1
    market.price(host, 0.94)
    market.price(host, 0.94)
    stop = Order.objects.get(side="sell")
    assert (stop.status, stop.quantity) == ("filled", order.quantity)
    assert EngineDecision.objects.get(side="sell").purpose == "stop_loss"
    assert holdings(desk.portfolio.pk).positions == ()
    assert not EngineState.objects.get().tripped

    # Another host takes over, and the portfolio falls by what somebody else does in it.
    host.close(at=market.at, reason="it is switched off")
    hosts.append(EngineHost(tell=said.append))
    other = hosts[1]
    market.price(other, 1.0)
    intent = desk.intent(quantity="400")
    assert order_submit(intent=intent, user=desk.trader, at=market.at).status == "filled"
    market.price(other, 1.0)
    market.price(other, 0.93)
    state = EngineState.objects.get()
    assert state.tripped
    assert "from its peak" in state.trip_reason
    assert EngineEvent.objects.filter(kind="tripped").count() == 1
    assert holdings(desk.portfolio.pk).positions[0].quantity == 400  # not the engine's: it stays
    assert '"active": true' in health_path(engine.pk).read_text()

    # No signal while it is open, whoever runs the engine.
    signals = Signal.objects.count()
    other.close(at=market.at, reason="")
    hosts.append(EngineHost(tell=said.append))
    market.close(hosts[2])
    assert Signal.objects.count() == signals
    engine_reset(engine_id=engine.pk, user=desk.risk, reason="looked at", at=market.at)
    market.close(hosts[2])
    assert Signal.objects.count() == signals + 1
    assert len(EngineEvent.objects.filter(kind="taken")) == 3
    hosts[2].close(at=market.at, reason="")
