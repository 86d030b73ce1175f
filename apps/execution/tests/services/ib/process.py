"""The process that holds the line to Interactive Brokers, and what must hold after all that goes wrong: nothing sent twice, books that agree."""

from collections.abc import Callable
from datetime import timedelta
from select import select
from time import monotonic

from apps.core import clock
from apps.execution.brokers.ib_line import GatewaySettings, IbLine
from apps.execution.models import BrokerageAccount, Order
from apps.execution.services.accounts import ib_account_create
from apps.execution.services.ib_desk import IbDesk
from apps.execution.services.outbox import heard
from apps.execution.tests.factories import Desk
from apps.execution.tests.gateways.ib import IbGateway
from apps.portfolios.selectors.holdings import holdings

ACCOUNT = "DU1234567"


def at_ib(portfolio_id: int, number: str = ACCOUNT) -> BrokerageAccount:
    return ib_account_create(portfolio_id=portfolio_id, number=number)


class Process:
    """The broker's process, which can die and be started again. Time is given to it, and goes on by itself only when it is told."""

    def __init__(self, gateway: IbGateway) -> None:
        self.gateway = gateway
        self.at = clock.now()
        self.start()

    def start(self) -> None:
        self.line = IbLine(GatewaySettings(host="127.0.0.1", port=self.gateway.port, client_id=17, timeout_seconds=60))
        self.desk = IbDesk(self.line)

    def die(self) -> None:
        self.line.close()

    def restart(self) -> None:
        self.die()
        self.start()

    def step(self, *, later: timedelta = timedelta(0)) -> None:
        self.at += later
        self.desk.step(now=lambda: self.at)

    def until(self, order: Order, *statuses: str) -> Order:
        """Go on until the order stands there."""
        for _ in range(1200):
            self.step()
            order = Order.objects.get(pk=order.pk)
            if order.status in statuses:
                return order
            self.desk.wait(0.05)
        raise AssertionError(f"order {order.pk} is {order.status} ({order.reason})")

    def sees(self, condition: Callable[[], object]) -> None:
        """Wait until this is so: the gateway has got what was sent, of which it may tell nothing, or the line is broken."""
        deadline = monotonic() + 60
        while not condition():
            assert monotonic() < deadline, "did not happen"
            self.line.wait(0.02, until=lambda _: bool(condition()))

    def settle(self) -> None:
        """Book everything that the gateway has said."""
        if self.line.connected:
            self.line.heartbeat()
        self.step()


def reference(order: Order) -> str:
    return str(order.client_order_id)


def assert_books_agree(desk: Desk, gateway: IbGateway) -> None:
    """Nothing was sent twice, and positions and cash are the gateway's."""
    assert gateway.duplicates == {}
    found = holdings(desk.portfolio.pk)
    assert {position.symbol: position.quantity for position in found.positions} == gateway.positions(ACCOUNT)
    assert found.cash == gateway.cash_of(ACCOUNT)


def kinds(order: Order) -> list[str]:
    return [event.kind for event in order.events.order_by("id")]


def hears(words):
    """What wakes the process: the database tells it in its own time, a moment after the commit."""
    deadline = monotonic() + 60
    while not (found := heard(words)):
        assert monotonic() < deadline, "nothing was said"
        select([words.fileno()], [], [], 0.1)
    return found


class Crash(BaseException):
    """The process dies here."""


def crash(*_args, **_kwargs):
    raise Crash
