"""One run: an order from its intent to its end, while the process dies at a random point and the venue's answers get lost.

All of it follows from a seed. Whatever happens, after recovery the desk's books are the venue's, and nothing was sent twice.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import ClassVar
from unittest.mock import patch
from uuid import UUID

from django.db import transaction

from apps.core import clock
from apps.core.errors import DeskError
from apps.execution.brokers.paper import PAPER
from apps.execution.models import Order
from apps.execution.services import alpaca_desk, ib_desk, routing
from apps.execution.services.orders import order_cancel, order_submit
from apps.execution.services.recovery import PATIENCE, orders_recover
from apps.execution.services.replacements import order_replace
from apps.execution.services.report_filter import reports_fresh
from apps.execution.services.reports import order_lock, reports_book
from apps.execution.tests.factories import Desk, noon_at, quote
from apps.execution.tests.faults.alpaca_double import SETTINGS, AlpacaVenue, VenueLine, VenueUpdates
from apps.execution.tests.faults.checks import order_check
from apps.execution.tests.faults.ib_double import Gateway, GatewayLine
from apps.execution.tests.faults.injector import Crash, Faults
from apps.execution.tests.faults.venue import Venue
from apps.portfolios.selectors.holdings import holdings

Step = Callable[[], object]
KINDS = (("market", None), ("limit", "99"), ("limit", "101"))


class FaultyDesk(ABC):
    """`run(seed)` is one run; the books of all runs add up. `at` is the time, which goes on as the runs want it."""

    #: About as many points as each step passes. A process that is to die later than its step takes lives on.
    POINTS: ClassVar[dict[str, int]]

    def __init__(self, desk: Desk, venue: Venue | Gateway | AlpacaVenue, faults: Faults) -> None:
        self.desk, self.venue, self.faults = desk, venue, faults
        self.capital = holdings(desk.portfolio.pk).cash
        self.at = clock.now()
        self.random = Random(0)
        self.key = UUID(int=0)
        self.calm = True
        self.deaths: list[str] = []

    def runs(self, *, seed: int, number: int) -> None:
        """So many runs; a failure names the seed of its own."""
        for one in range(seed, seed + number):
            try:
                self.run(one)
            except BaseException as error:
                error.add_note(f"seed {one}; the last process died {self.deaths[-1:]}")
                raise

    def run(self, seed: int) -> None:
        """Random steps, one of which may be the process's last; then recovery, and the comparison of all books."""
        self.random, self.calm = Random(seed), False
        self.key = UUID(int=self.random.getrandbits(128))
        self.at += timedelta(minutes=1)
        self.venue.move(Decimal(100))
        self.venue.depth = Decimal(self.random.choice([1000, 4, 3]))
        quote("AAPL", "100", at=self.at)
        makers = [self._submit, *self.random.choices(self._later(), k=self.random.randint(0, 3)), self._recover]
        fatal = self.random.randrange(len(makers))
        for number, make in enumerate(makers):
            self._live(make(), self.random.randrange(self.POINTS[make.__name__]) if number == fatal else None)
        self.calm = True
        self._calm_down()
        self._check()
        self._expire()()
        self._calm_down()

    def _live(self, step: Step, dies_after: int | None) -> None:
        """Do a step. When the process dies in it, whoever asked for it may ask again, as people and clients do."""
        try:
            with self.faults.armed(dies_after), suppress(DeskError):
                step()
        except Crash:
            self.deaths.append(self.faults.died_at)
            self._died()
            if self.random.random() < 0.5:
                with suppress(DeskError):
                    step()

    def trouble(self) -> str:
        """What goes wrong at the venue's next call."""
        return "" if self.calm else self.random.choices(["", "away", "lost", "silent"], [7, 1, 1, 1])[0]

    # What people ask for, and what the market does. Each can be done again, and is then the same.

    @abstractmethod
    def _later(self) -> list[Callable[[], Step]]:
        """What may follow a submission."""

    @abstractmethod
    def _recover(self) -> Step: ...

    @abstractmethod
    def _calm_down(self) -> None:
        """Nothing goes wrong any more, and there is time to find out what has."""

    @abstractmethod
    def _reference(self, order: Order) -> str:
        """The order's name at the venue."""

    def _died(self) -> None:  # noqa: B027 - a process without a memory has nothing to lose
        """What is only in a process's memory is gone."""

    def _submit(self) -> Step:
        kind, limit = self.random.choice(KINDS)
        tif = self.random.choice(["day", "gtc", "ioc"])
        fields = {"side": self.random.choice(["buy", "buy", "sell"]), "order_type": kind, "limit_price": limit, "time_in_force": tif}
        intent = self.desk.intent(client_order_id=self.key, **fields)
        return lambda: order_submit(intent=intent, user=self.desk.trader, at=self.at)

    def _cancel(self) -> Step:
        return lambda: self._with_order(lambda order: order_cancel(order_id=order.pk, user=self.desk.trader, at=self.at))

    def _replace(self) -> Step:
        changes = {"quantity": str(self.random.choice([5, 8, 12])), **({"limit_price": "98"} if self.random.random() < 0.5 else {})}
        key = UUID(int=self.random.getrandbits(128))
        return lambda: self._with_order(
            lambda order: order_replace(order_id=order.pk, user=self.desk.trader, replacement_id=key, changes=changes, at=self.at)
        )

    def _market(self) -> Step:
        price = Decimal(self.random.choice(["97", "99", "101", "103"]))
        return lambda: self.venue.move(price)

    def _expire(self) -> Step:
        return lambda: self._with_order(lambda order: self.venue.expire(self._reference(order)))

    @property
    def order(self) -> Order | None:
        """The run's order, once it is stored."""
        return Order.objects.filter(client_order_id=self.key).select_related("account", "instrument").first()

    def _with_order(self, act: Callable[[Order], object]) -> None:
        if (order := self.order) is not None:
            act(order)

    def _check(self) -> None:
        assert self.venue.duplicates == {}
        if (order := self.order) is not None:
            order_check(order, self.venue.book.get(self._reference(order)))
        found = holdings(self.desk.portfolio.pk)
        assert sum(position.quantity for position in found.positions) == self.venue.position()
        assert self.capital - found.cash == self.venue.spent()


class DirectDesk(FaultyDesk):
    """A desk whose orders go straight to a venue."""

    POINTS: ClassVar = {"_submit": 54, "_cancel": 36, "_replace": 66, "_deliver": 16, "_recover": 18, "_market": 1, "_expire": 3}
    venue: Venue

    def __init__(self, desk: Desk) -> None:
        faults = Faults()
        super().__init__(desk, Venue(trouble=self.trouble, around=faults.around), faults)

    @contextmanager
    def at_the_venue(self) -> Iterator[None]:
        """Inside, the account's orders go to the venue."""
        with patch.dict(routing._ADAPTERS, {(PAPER, "paper"): lambda _: self.venue}):
            yield

    def _later(self) -> list[Callable[[], Step]]:
        return [self._cancel, self._replace, self._replace, self._market, self._market, self._deliver, self._expire]

    def _reference(self, order: Order) -> str:
        return str(order.pk)

    def _recover(self) -> Step:
        def later() -> None:
            self.at += 2 * PATIENCE
            orders_recover(at=self.at)

        return later

    def _calm_down(self) -> None:
        for _ in range(2):
            self._recover()()
            self._deliver()()

    def _deliver(self) -> Step:
        return lambda: self._with_order(self._told)

    def _told(self, order: Order) -> None:
        """The venue tells all that has happened to an order that it has: what is news is booked."""
        if str(order.pk) not in self.venue.book:
            return
        with transaction.atomic():
            locked = order_lock(portfolio_id=order.portfolio_id, order_id=order.pk)
            fresh = reports_fresh(locked, self.venue.story(routing.broker_order(locked)))
            reports_book(order=locked, reports=fresh, source=PAPER, at=self.at)


class OutboxDesk(FaultyDesk):
    """A desk whose orders wait in the database for the process that holds the line to a gateway. That process dies, too."""

    POINTS: ClassVar = {"_submit": 54, "_cancel": 36, "_replace": 66, "_step": 60, "_recover": 60, "_market": 1, "_expire": 3}
    venue: Gateway

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, Gateway(), Faults())
        self._died()

    def run(self, seed: int) -> None:
        """The gateway forgets at midnight, which is none of these runs' business."""
        with patch.object(ib_desk, "GATEWAY_ZONE", noon_at(self.at)):
            super().run(seed)

    def _died(self) -> None:
        self.line = GatewayLine(self.venue, around=self.faults.around, trouble=self.trouble, now=lambda: self.at.timestamp())
        self.process = ib_desk.IbDesk(self.line)

    def _later(self) -> list[Callable[[], Step]]:
        return [self._cancel, self._replace, self._market, self._step, self._step, self._step, self._expire]

    def _reference(self, order: Order) -> str:
        return str(order.client_order_id)

    def _step(self) -> Step:
        later = timedelta(seconds=self.random.choice([0, 1, 12]))

        def step() -> None:
            self.at += later
            self.process.step(now=lambda: self.at)

        return step

    def _recover(self) -> Step:
        def again() -> None:
            self._died()
            self.process.step(now=lambda: self.at)

        return again

    def _calm_down(self) -> None:
        for _ in range(4):
            self.at += 2 * ib_desk.PATIENCE
            self.process.step(now=lambda: self.at)


class AlpacaRuns(FaultyDesk):
    """A desk whose orders wait in the database for the process that talks to Alpaca. An order may arrive long after it was given up."""

    POINTS: ClassVar = {"_submit": 54, "_cancel": 36, "_replace": 66, "_step": 60, "_recover": 60, "_market": 1, "_expire": 3, "_arrive": 1}
    venue: AlpacaVenue

    def __init__(self, desk: Desk) -> None:
        venue = AlpacaVenue(account=desk.account.number)
        super().__init__(desk, venue, Faults())
        venue.cash = self.capital
        self._died()

    def trouble(self) -> str:
        """An order takes several requests: each goes wrong more seldom."""
        return "" if self.calm else self.random.choices(["", "away", "lost", "silent", "late"], [22, 1, 3, 1, 3])[0]

    def _died(self) -> None:
        self.updates = VenueUpdates(self.venue)
        self.process = alpaca_desk.AlpacaDesk(SETTINGS, self.updates)
        self.process.line = VenueLine(self.venue, around=self.faults.around, trouble=self.trouble)

    def _later(self) -> list[Callable[[], Step]]:
        return [self._cancel, self._replace, self._market, self._step, self._step, self._step, self._expire, self._arrive]

    def _reference(self, order: Order) -> str:
        return str(order.client_order_id)

    def _arrive(self) -> Step:
        return self.venue.arrive

    def _step(self) -> Step:
        later, cut = timedelta(seconds=self.random.choice([0, 1, 12])), self.random.random() < 0.2

        def step() -> None:
            self.at += later
            if cut:
                self.updates.cut()
            self.process.step(now=lambda: self.at)

        return step

    def _recover(self) -> Step:
        def again() -> None:
            self._died()
            self.process.step(now=lambda: self.at)

        return again

    def _calm_down(self) -> None:
        if self.random.random() < 0.5:  # what is under way arrives before it is called dead, or after
            self._wait()
        self.venue.arrive()
        self._wait()

    def _wait(self) -> None:
        """Longer than anybody waits for an order to arrive."""
        until = self.at + alpaca_desk.ARRIVAL_PATIENCE + 3 * alpaca_desk.PATIENCE
        while self.at < until:
            self.at += alpaca_desk.PATIENCE
            self.process.step(now=lambda: self.at)
