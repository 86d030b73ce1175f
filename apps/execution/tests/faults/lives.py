"""What the processes that are killed do: one order at a venue, a trader's day, the market, the line to a gateway."""

import pickle
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from threading import Event
from typing import Any
from unittest.mock import patch
from uuid import UUID

from django.db import DatabaseError

from apps.core import clock
from apps.core.errors import DeskError
from apps.core.models import User
from apps.core.trading import OrderType, Side, TimeInForce
from apps.execution.brokers.ib_line import GatewaySettings, IbLine
from apps.execution.brokers.paper import PaperBroker, PaperCosts
from apps.execution.brokers.protocol import BrokerOrder, MarketPrice
from apps.execution.models import Order
from apps.execution.services import ib_desk, routing
from apps.execution.services.algo_engine import AlgoEngine
from apps.execution.services.algos import algo_submit
from apps.execution.services.groups import bracket_submit, oco_submit
from apps.execution.services.intents import intent_build
from apps.execution.services.orders import order_cancel, order_submit
from apps.execution.services.paper_market import PaperMarket
from apps.execution.services.replacements import order_replace
from apps.execution.tests.factories import noon_at, quote
from apps.execution.tests.faults.injector import Faults, kill
from apps.execution.tests.faults.venue import Venue
from apps.marketdata.domain import calendars
from apps.marketdata.models import FeedState
from apps.marketdata.selectors.quotes import FeedMessage
from apps.portfolios.domain.settlement import trade_settles_on

SYMBOLS = ("AAPL", "MSFT")
DAY = date(2024, 7, 2)
OPEN = datetime(2024, 7, 2, 13, 30, tzinfo=UTC)
TYPES = ("market", "market", "limit", "limit", "limit", "stop", "stop_limit", "trailing_stop", "market_on_close")
#: More points than any request passes: a process that is to die later lives on.
POINTS = 120


def warm_up() -> None:
    """Load what is loaded at its first use, so that not every life begins with it. Opens no connection: they would be shared."""
    calendars.is_open("XNYS", OPEN)
    trade_settles_on(calendar="XNYS", asset_class="equity", traded_at=OPEN)
    price = MarketPrice(symbol="AAPL", price=Decimal(100), market_time=OPEN, source="test")
    order = BrokerOrder(
        reference="0",
        symbol="AAPL",
        side=Side.BUY,
        quantity=Decimal(1),
        cumulative=Decimal(0),
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
    )
    PaperBroker(market=lambda _: price, costs=PaperCosts(slippage_bps=Decimal(5), commission=Decimal(1))).submit(order)


class VenueOnDisk(Venue):
    """A venue whose book survives whoever calls it."""

    def __init__(self, path: Path, *, around: Callable[[str, Callable[[], object]], object]) -> None:
        super().__init__(trouble=lambda: "", around=around)
        self.path = path
        if path.exists():
            self.book, self.arrived = pickle.loads(path.read_bytes())  # noqa: S301 - our own file

    def _called(self, name: str, order: Any, act: Callable[[], Any]) -> Any:
        def kept() -> Any:
            reports = act()
            self.path.write_bytes(pickle.dumps((self.book, self.arrived)))
            return reports

        return super()._called(name, order, kept)


def one_order(*, path: str, portfolio_id: int, user_id: int, key: str, point: int) -> None:
    """Submit an order to the venue on disk, change it and cancel it; die at the point."""
    faults = Faults(kill)
    venue = VenueOnDisk(Path(path), around=faults.around)
    user = User.objects.get(pk=user_id)
    fields = {"side": "buy", "quantity": "10", "order_type": "limit", "limit_price": "100", "time_in_force": "gtc"}
    intent = intent_build(user=user, portfolio_id=portfolio_id, symbol="AAPL", client_order_id=UUID(key), **fields)
    venue.depth = Decimal(4)
    with patch.dict(routing._ADAPTERS, {("paper", "paper"): lambda _: venue}), faults.armed(point):
        order = order_submit(intent=intent, user=user, at=clock.now())
        with suppress(DeskError):
            order_replace(order_id=order.pk, user=user, replacement_id=UUID(int=1), changes={"quantity": "8"}, at=clock.now())
        with suppress(DeskError):
            order_cancel(order_id=order.pk, user=user, at=clock.now())


def trade(*, portfolio_id: int, user_id: int, seed: int, begin: int, end: int, spared: int, progress: str, plain: bool) -> None:
    """A trader's requests `begin` to `end`, each from its own seed; one in twenty is the process's last, but for the one that is `spared`.

    Which request is under way stands in the file `progress`, so that the next life makes it again, under the same ids.
    """
    user, note = User.objects.get(pk=user_id), Path(progress)
    for number in range(begin, end):
        note.write_text(str(number))
        chance = Random(f"{seed}/{number}")
        fatal = chance.random() < 0.05 and number != spared
        with Faults(kill).armed(chance.randrange(POINTS) if fatal else None), suppress(DeskError, DatabaseError):
            _request(portfolio_id, user, chance, plain=plain)
    note.write_text(str(end))


def _request(portfolio_id: int, user: User, chance: Random, *, plain: bool) -> None:
    at, key = clock.now(), UUID(int=chance.getrandbits(128))
    fields: dict[str, Any] = {"portfolio_id": portfolio_id, "symbol": "AAPL" if plain else chance.choice(SYMBOLS)}
    fields |= {"side": chance.choice(["buy", "buy", "sell"]), "quantity": str(chance.randint(1, 20))}
    kind = chance.choices(["order", "cancel", "replace", "bracket", "oco", "algo"], [60, 22, 10, 0, 0, 0] if plain else [58, 20, 9, 6, 3, 4])[0]
    if kind in ("cancel", "replace"):
        working = list(Order.objects.working().filter(portfolio_id=portfolio_id, algo=None).order_by("id").values_list("id", flat=True))
        if not working:
            return
        order_id = chance.choice(working)
        if kind == "cancel":
            order_cancel(order_id=order_id, user=user, at=at)
        else:
            order_replace(order_id=order_id, user=user, replacement_id=key, changes={"quantity": str(chance.randint(1, 30))}, at=at)
    elif kind == "bracket":
        entry = {"order_type": "limit", "limit_price": "101", "side": "buy"}
        bracket_submit(user=user, at=at, take_profit="102", stop_loss="98", client_group_id=key, **{**fields, **entry})
    elif kind == "oco":
        oco_submit(user=user, at=at, take_profit="102.5", stop_loss="97.5", client_group_id=key, **{**fields, "side": "sell"})
    elif kind == "algo":
        algo, parameters = chance.choice([("twap", {"slices": 3}), ("iceberg", {"display": "5"})])
        limit = "100.50" if algo == "iceberg" else None
        fields |= {"quantity": "15", "side": "buy", "client_order_id": key, "limit_price": limit}
        algo_submit(user=user, algo=algo, at=at, parameters=parameters, **fields)
    else:
        intent = intent_build(user=user, client_order_id=key, **{**fields, **_terms(chance, plain=plain)})
        order_submit(intent=intent, user=user, at=at)


def _terms(chance: Random, *, plain: bool) -> dict[str, Any]:
    """Prices near the market, so that most orders trade sooner or later."""
    kind = chance.choice(("market", "limit") if plain else TYPES)
    price, stop = f"{chance.choice([98.5, 99.5, 100, 100.5, 101.5]):.2f}", f"{chance.choice([98, 99, 101, 102]):.2f}"
    terms: dict[str, Any] = {"order_type": kind, "time_in_force": "day"}
    if kind in ("limit", "stop_limit"):
        terms["limit_price"] = price
    if kind in ("stop", "stop_limit"):
        terms["stop_price"] = stop
    if kind == "trailing_stop":
        terms["trail_offset"] = "1.00"
    if kind == "market":
        terms["time_in_force"] = chance.choice(["day", "ioc"])
    elif kind in ("limit", "stop", "stop_limit") and not plain:
        terms["time_in_force"] = chance.choice(["day", "gtc", "gtd"] + (["ioc", "fok"] if kind == "limit" else []))
    if terms["time_in_force"] == "gtd":
        terms["expire_at"] = OPEN + timedelta(hours=chance.randint(1, 6))
    return terms


def stand(second: int, prices: dict[str, str]) -> FeedMessage:
    """The market stands so many seconds after its open, at these prices."""
    moment, now = OPEN + timedelta(seconds=second), clock.now()
    FeedState.objects.update_or_create(name="test", defaults={"mode": "replay", "market_time": moment, "session": DAY, "updated_at": now})
    for symbol, price in prices.items():
        quote(symbol, price, market_time=moment)
    values = {symbol: Decimal(price) for symbol, price in prices.items()}
    return FeedMessage(kind="quotes", feed="test", session=DAY, market_time=moment, received_at=now, symbols=SYMBOLS, prices=values)


def market(*, seed: int, begin: int, stop: str, progress: str, life: int) -> None:
    """The market, the paper broker and the algos, a second of market time a step, until the file `stop` is there; it dies now and then."""
    paper, engine, note, pace = PaperMarket(), AlgoEngine(), Path(progress), Event()
    paper.recover(at=clock.now())
    second = begin
    while not Path(stop).exists():
        chance = Random(f"{seed}/{second}/{life}")
        price = 100 + 3 * (chance.random() - 0.5) + chance.choice([-1, 0, 1])
        fatal = chance.random() < 0.02
        with Faults(kill).armed(chance.randrange(400) if fatal else None):
            message = stand(second, dict.fromkeys(SYMBOLS, f"{price:.2f}"))
            paper.hear(message, at=clock.now())
            engine.hear(message, at=clock.now())
            if second % 50 == 0:
                engine.hear(None, at=clock.now())
        second += 1
        note.write_text(str(second))
        pace.wait(0.05)  # others want the machine, too


def line(*, port: int, seed: int, stop: str, life: int) -> None:
    """The process that holds the line to the gateway, until the file `stop` is there; it dies now and then."""
    ib_desk.GATEWAY_ZONE = noon_at(clock.now())  # type: ignore[assignment] # the gateway's midnight is no part of this
    held = IbLine(GatewaySettings(host="127.0.0.1", port=port, client_id=17, timeout_seconds=60))
    desk, chance = ib_desk.IbDesk(held), Random(f"{seed}/line/{life}")
    while not Path(stop).exists():
        fatal = chance.random() < 0.01
        with Faults(kill).armed(chance.randrange(POINTS) if fatal else None):
            desk.step(now=clock.now)
        desk.wait(0.2)
    held.close()
