"""A desk in several processes which are killed all the time, and the comparison of all books when it has calmed down."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from random import Random
from unittest.mock import patch

from django.core.management import call_command
from django.db.models import Q, Sum

from apps.core import clock
from apps.core.money import ZERO
from apps.core.roles import Role
from apps.execution.brokers.ib_line import GatewaySettings, IbLine
from apps.execution.models import AlgoOrder, Fill, Order, OrderGroup
from apps.execution.selectors.proofs import fill_proof
from apps.execution.services import ib_desk
from apps.execution.services.accounts import ib_account_create, paper_account_create
from apps.execution.services.algo_engine import AlgoEngine
from apps.execution.services.orders import working_orders_cancel
from apps.execution.services.paper_market import PaperMarket
from apps.execution.services.recovery import PATIENCE
from apps.execution.tests.factories import make_limits, make_user, noon_at
from apps.execution.tests.faults.lives import SYMBOLS, stand
from apps.execution.tests.faults.mortal import Mortal
from apps.execution.tests.gateways.ib import IbGateway
from apps.marketdata.tests.factories import InstrumentFactory
from apps.portfolios.models import LedgerEntry
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.tests.factories import PortfolioFactory

ACCOUNT = "DU1234567"
CAPITAL = Decimal("10000000")
CLOSE_SECOND = 6 * 3600 + 30 * 60
RELATED = [f"order__{name}" for name in ("portfolio", "book", "instrument", "account", "created_by")]


class BusyDesk:
    """Two portfolios on paper and one at a gateway, a trader for each, the market, the line: six processes, of which any may die."""

    def __init__(self, folder: Path, gateway: IbGateway, *, seed: int) -> None:
        self.folder, self.gateway, self.seed = folder, gateway, seed
        self.random = Random(seed)
        self.trader = make_user("trader-of-soak", Role.TRADER)
        for symbol in SYMBOLS:
            InstrumentFactory(symbol=symbol)
        self.portfolios = [PortfolioFactory(owner=self.trader, initial_capital=CAPITAL) for _ in range(3)]
        for portfolio in self.portfolios:
            make_limits(portfolio, at=clock.now())
        for portfolio in self.portfolios[:2]:
            paper_account_create(portfolio_id=portfolio.pk)
        ib_account_create(portfolio_id=self.portfolios[2].pk, number=ACCOUNT)
        stand(0, dict.fromkeys(SYMBOLS, "100"))
        self.stop = folder / "stop"
        self.killed = 0

    def trade(self, mortal: Mortal, *, orders: int, batch: int) -> None:
        """Let them trade, `batch` requests at a time, until there are so many orders; whoever is killed is started again."""
        lives = {self._market(mortal, 0): "market", self._line(mortal, 0): "line"}
        done = dict.fromkeys(range(3), 0)
        for number in done:
            lives[self._requests(mortal, number, 0, batch, spared=-1)] = str(number)
        while any(name.isdigit() for name in lives.values()):
            self.gateway.price("AAPL", f"{100 + 3 * (self.random.random() - 0.5):.2f}")
            ended = mortal.ended(0.1)
            if ended is None:
                continue
            name = lives.pop(ended[0])
            self.killed += ended[1] != 0
            if name == "market":
                lives[self._market(mortal, self.killed)] = name
            elif name == "line":
                lives[self._line(mortal, self.killed)] = name
            else:
                number, at = int(name), self._progress(name)
                done[number] += batch if ended[1] == 0 else 0
                if ended[1] != 0:
                    lives[self._requests(mortal, number, at, done[number] + batch, spared=at)] = name
                elif Order.objects.count() < orders:
                    lives[self._requests(mortal, number, at, at + batch, spared=-1)] = name
        self.stop.touch()
        while lives:
            ended = mortal.ended(120)
            assert ended is not None, lives
            lives.pop(ended[0])

    def calm_down(self) -> None:
        """The session closes, what works is cancelled, and everybody has time to find out what has happened."""
        paper, engine = PaperMarket(), AlgoEngine()
        at = clock.now()
        for _ in range(6):
            at += 2 * PATIENCE
            paper.recover(at=at)
            engine.recover(at=at)
            paper.hear(stand(CLOSE_SECOND, dict.fromkeys(SYMBOLS, "100")), at=at)
            working_orders_cancel(portfolio_id=None, reason="the end", at=at)
        with patch.object(ib_desk, "GATEWAY_ZONE", noon_at(at)):
            self._hear_all(at)

    def _hear_all(self, at: datetime) -> None:
        """The process that holds the line, until nothing is open any more."""
        line = IbLine(GatewaySettings(host="127.0.0.1", port=self.gateway.port, client_id=17, timeout_seconds=60))
        desk = ib_desk.IbDesk(line)
        for _ in range(30):
            at += 2 * ib_desk.PATIENCE
            desk.step(now=lambda at=at: at)
            if line.connected:
                line.heartbeat()
            if not Order.objects.working().exists():
                break
        desk.step(now=lambda: at + timedelta(seconds=1))
        line.close()

    def check(self) -> None:
        """Nothing is doubled, lost or unexplained."""
        assert list(Order.objects.working()) == []
        assert not Order.objects.exclude(group=None).filter(status="unknown_sent").exists()
        self._check_orders()
        self._check_gateway()
        self._check_parents()
        for fill in Fill.objects.select_related(*RELATED).order_by("id").iterator(chunk_size=500):
            assert fill_proof(fill).missing == (), fill
        call_command("rebuild_positions", "--check", "--json")
        call_command("audit_seal", "--json")
        call_command("audit_verify", "--json")

    def _check_orders(self) -> None:
        """Orders, fills, the ledger and the positions say the same, order by order and in all."""
        traded = {row["order"]: row["sum"] for row in Fill.objects.values("order").annotate(sum=Sum("quantity")).order_by()}
        for order_id, cumulative in Order.objects.order_by("id").values_list("id", "cumulative_quantity"):
            assert traded.get(order_id, ZERO) == cumulative, order_id
        fills = {f"{broker}:{key}" for broker, key in Fill.objects.values_list("broker", "execution_id")}
        booked = LedgerEntry.objects.filter(source="fill")
        assert booked.count() == Fill.objects.count() == len(fills)
        assert {entry.source_ref for entry in booked} == fills
        for portfolio in self.portfolios:
            cash, held = CAPITAL, dict.fromkeys(SYMBOLS, ZERO)
            for fill in Fill.objects.filter(order__portfolio=portfolio).select_related("order__instrument"):
                sign = 1 if fill.order.side == "buy" else -1
                cash -= sign * (fill.quantity * fill.price).quantize(Decimal("0.0001"), ROUND_HALF_UP) + fill.fee
                held[fill.order.instrument.symbol] += sign * fill.quantity
            cash += LedgerEntry.objects.filter(portfolio=portfolio, source="commission").aggregate(sum=Sum("amount"))["sum"] or ZERO
            found = holdings(portfolio.pk)
            assert {position.symbol: position.quantity for position in found.positions} == {s: n for s, n in held.items() if n}
            assert found.cash == cash, (portfolio.pk, found.cash, cash)

    def _check_gateway(self) -> None:
        """The gateway's own book: what arrived arrived once, and the desk has all that traded there."""
        found = holdings(self.portfolios[2].pk)
        assert self.gateway.duplicates == {}
        assert {position.symbol: position.quantity for position in found.positions} == self.gateway.positions(ACCOUNT)
        assert found.cash - CAPITAL == self.gateway.cash_of(ACCOUNT) - self.gateway.cash[ACCOUNT]
        at_gateway = {order.reference: order for order in self.gateway.orders}
        for order in Order.objects.filter(account__broker="ib").order_by("id"):
            known = at_gateway.get(str(order.client_order_id))
            assert order.cumulative_quantity == (known.filled if known else ZERO), order
            assert known is not None or order.status in ("denied", "canceled", "rejected", "expired"), order

    def _check_parents(self) -> None:
        """No parent's children and no bracket's exits have traded more than they should."""
        for parent in AlgoOrder.objects.annotate(traded=Sum("children__cumulative_quantity")).order_by("id"):
            assert (parent.traded or ZERO) <= parent.quantity, parent
            assert parent.children.values("slice").distinct().count() == parent.children.count()
        entry, exits = Q(orders__group_role="entry"), ~Q(orders__group_role="entry")
        sums = {"came": Sum("orders__cumulative_quantity", filter=entry), "went": Sum("orders__cumulative_quantity", filter=exits)}
        for group in OrderGroup.objects.annotate(**sums).order_by("id"):
            limit = group.came or ZERO if group.kind == "bracket" else group.quantity
            assert (group.went or ZERO) <= limit, group

    def _requests(self, mortal: Mortal, number: int, begin: int, end: int, *, spared: int) -> int:
        names = {"portfolio_id": self.portfolios[number].pk, "user_id": self.trader.pk, "progress": str(self.folder / str(number))}
        return mortal.start("trade", begin=begin, end=end, seed=self.seed * 10 + number, spared=spared, plain=number == 2, **names)

    def _market(self, mortal: Mortal, life: int) -> int:
        begin = self._progress("market") if (self.folder / "market").exists() else 1
        return mortal.start("market", seed=self.seed, begin=begin, stop=str(self.stop), progress=str(self.folder / "market"), life=life)

    def _line(self, mortal: Mortal, life: int) -> int:
        return mortal.start("line", port=self.gateway.port, seed=self.seed, stop=str(self.stop), life=life)

    def _progress(self, name: str) -> int:
        return int((self.folder / name).read_text())


@contextmanager
def busy_desk(folder: Path, *, seed: int) -> Iterator[BusyDesk]:
    """Such a desk, with its gateway."""
    with IbGateway(accounts=(ACCOUNT,), cash=str(CAPITAL)) as gateway:
        gateway.prices["AAPL"] = Decimal(100)
        gateway.largest_fill = Decimal(8)
        yield BusyDesk(folder, gateway, seed=seed)
