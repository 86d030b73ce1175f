"""An engine that has just bought, and what happens to it next."""

from decimal import Decimal

from apps.core import clock
from apps.core.roles import Role
from apps.execution.domain.protection import StopLossConfig
from apps.execution.models import TradingEngine
from apps.execution.services.live_building import live_engine_open
from apps.execution.tests.factories import make_user
from apps.execution.tests.services.test_live import complete, engine

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
