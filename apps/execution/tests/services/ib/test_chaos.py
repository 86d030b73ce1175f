"""Whatever happens on the line, in whatever order: the ledger is the gateway's book."""

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from random import Random
from uuid import uuid4

import pytest

from apps.alerts.models import Alert
from apps.core.errors import DeskError
from apps.execution.brokers.ib_line import IbLine
from apps.execution.brokers.protocol import BrokerTimeout, BrokerUnreachable
from apps.execution.domain.states import OrderStatus
from apps.execution.models import Order, ReconciliationTrigger
from apps.execution.selectors.reconciliation import breaks_open
from apps.execution.services import ib_orders
from apps.execution.services.ib_desk import PATIENCE, IbDesk
from apps.execution.services.orders import order_cancel
from apps.execution.services.reconciliation import account_reconcile
from apps.execution.services.replacements import order_replace
from apps.execution.tests.factories import Desk, quote
from apps.execution.tests.gateways.ib import IbGateway
from apps.execution.tests.services.ib.process import ACCOUNT, Crash, Process, assert_books_agree, crash, kinds, reference


class Chaos:
    """Random orders, changes and cancels while lines break, messages get lost and the process dies: all from one seed."""

    #: Where the process may die: on either side of each byte that leaves and of each booking.
    DEATHS = ((IbLine, "place"), (IbLine, "cancel"), (IbLine, "refresh"), (IbDesk, "_book"), (IbDesk, "_settle"), (ib_orders, "reports_book"))

    def __init__(self, seed: int, desk: Desk, gateway: IbGateway, process: Process) -> None:
        self.random = Random(seed)
        self.desk, self.gateway, self.process = desk, gateway, process
        gateway.largest_fill = Decimal(4)
        self.died = 0

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.random.choice([self.order, self.order, self.cancel, self.change, self.market, self.market, self.trouble, self.death])()
            self.go_on()
        self.calm_down()

    def order(self) -> None:
        quote("AAPL", "100", at=self.process.at)
        side, limit = self.random.choice([("buy", "99"), ("buy", "101"), ("sell", "101"), ("sell", "99")])
        tif = self.random.choice(["day", "gtc", "ioc", "fok"])
        self.desk.submit(at=self.process.at, side=side, order_type="limit", limit_price=limit, time_in_force=tif)

    def cancel(self) -> None:
        if (order := self.pick()) is not None:
            order_cancel(order_id=order.pk, user=self.desk.trader, at=self.process.at)

    def change(self) -> None:
        if (order := self.pick("new", "partially_filled")) is not None and order.time_in_force not in ("ioc", "fok"):
            quote("AAPL", "100", at=self.process.at)
            changes = {"quantity": str(self.random.randint(11, 14)), "limit_price": self.random.choice(["98", "100", "102"])}
            with suppress(DeskError):  # nothing that changes, or too much has traded
                order_replace(order_id=order.pk, user=self.desk.trader, replacement_id=uuid4(), changes=changes, at=self.process.at)

    def market(self) -> None:
        self.gateway.price("AAPL", self.random.choice(["98.5", "99.5", "100", "100.5", "101.5"]))

    def trouble(self) -> None:
        kind = self.random.choice(["before", "after", "drop", "restart", "shuffle", "hold", "lost"])
        if kind in ("before", "after"):
            self.gateway.lose_line = kind
        elif kind == "drop":
            self.gateway.drop()
        elif kind == "restart":
            self.process.restart()
        elif kind == "shuffle":
            self.gateway.shuffle, self.gateway.repeat = Random(self.random.random()), self.random.randint(1, 2)
        elif kind == "hold":
            self.gateway.hold = {self.random.choice([3, 5, 11, 59])}
        else:
            self.gateway.say_error(1100)
            self.market()
            self.gateway.say_error(1101)

    def death(self) -> None:
        owner, name = self.random.choice(self.DEATHS)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, crash)
            try:
                self.go_on()
            except Crash:
                self.died += 1
                self.process.restart()

    def go_on(self) -> None:
        self.process.step(later=self.random.choice([timedelta(0), timedelta(seconds=1), PATIENCE]))
        self.process.desk.wait(self.random.choice([0, 0.02]))

    def pick(self, *statuses: str) -> Order | None:
        working = Order.objects.working().order_by("id")
        return self.random.choice(list(working.filter(status__in=statuses) if statuses else working) or [None])

    def calm_down(self) -> None:
        """All troubles end, the gateway tells what it held back, and the process has time to find out."""
        self.gateway.lose_line, self.gateway.silent, self.gateway.shuffle, self.gateway.repeat = "", False, None, 1
        self.gateway.release()
        for _ in range(4):
            self.process.step(later=2 * PATIENCE)
            with suppress(BrokerTimeout, BrokerUnreachable):  # the last trouble may have been a line that breaks just now
                self.process.line.heartbeat()
        self.process.step()


@pytest.mark.parametrize("seed", [2, 100, 121])
def test_whatever_happens_the_ledger_is_the_gateways_book(desk, gateway, process, seed):
    chaos = Chaos(seed, desk, gateway, process)
    chaos.run(steps=40)
    assert_books_agree(desk, gateway)
    for order in Order.objects.filter(status__in=[status.value for status in OrderStatus if status.value not in ("denied", "expired")]):
        at_gateway = next((one for one in gateway.orders if one.reference == reference(order)), None)
        filled, works = (at_gateway.filled, at_gateway.works) if at_gateway else (Decimal(0), False)
        assert (order.cumulative_quantity, not OrderStatus(order.status).is_terminal) == (filled, works), (order, kinds(order), at_gateway)
        assert order.status in (
            (at_gateway and {True: ("new", "partially_filled"), False: ("filled", "canceled", "rejected")}[works]) or ("canceled", "rejected")
        )
    assert list(Alert.objects.exclude(code__in=["LATE_FILL", "RECONCILIATION_BREAK"]).values_list("code", "detail")) == []
    # A message that is late may make the books differ for a moment; in the end they agree, and nothing halts.
    run = account_reconcile(account=desk.account, broker=process.desk.brokers[ACCOUNT], trigger=ReconciliationTrigger.REQUEST, at=process.at)
    assert (run.state, [str(one) for one in breaks_open(desk.account.pk)]) == ("clean", [])
