"""The paper market: working paper orders meet each new price, day orders end with their session.

Each portfolio is one transaction of its own, locked as everywhere, so that a price that moves many orders holds nobody up for long.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import Any

from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from apps.core.money import ZERO
from apps.core.trading import OrderType, Side, TimeInForce
from apps.execution.brokers.paper import PAPER
from apps.execution.brokers.protocol import ExecutionReport, MarketPrice
from apps.execution.domain.sessions import day_order_end
from apps.execution.domain.states import OrderEventKind, OrderStatus
from apps.execution.models import Order, OrderReplacement
from apps.execution.selectors.rows import RELATED
from apps.execution.services.groups import exit_waits, group_advance, groups_recover
from apps.execution.services.recovery import PATIENCE, orders_recover
from apps.execution.services.reports import reports_book
from apps.execution.services.routing import broker_order, latency_of, latest_price, market_price, paper_broker
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quotes import FeedMessage, latest_quotes
from apps.portfolios.services.portfolios import portfolio_lock

#: Statuses in which an order rests in the market. SENT belongs to the request that sent it, or to recovery.
RESTING = (OrderStatus.NEW.value, OrderStatus.PARTIALLY_FILLED.value)

#: How often a process that hears messages all the time looks at the latest prices as well.
KNOWN_EVERY = timedelta(seconds=1)

Reports = Callable[[Order], tuple[ExecutionReport, ...]]


def prices_match(*, prices: Mapping[str, MarketPrice], at: datetime) -> int:
    """Match all resting paper orders of these symbols against their new prices; returns how many orders changed."""

    def reports(order: Order) -> tuple[ExecutionReport, ...]:
        if _waits(order, at):
            return ()
        price = prices[order.instrument.symbol]
        return paper_broker(order.account).match(replace(broker_order(order), taken=_taken(order, price)), price)

    return _drive(_resting().filter(instrument__symbol__in=list(prices)), reports, at)


def _waits(order: Order, at: datetime) -> bool:
    """Whether the account's latency has not passed since the broker took the order, or its last change. Without latency nothing is asked."""
    latency = latency_of(order.account)
    if not latency or at - order.updated_at >= latency:  # its row was written then or later
        return False
    accepted = order.events.filter(kind__in=[OrderEventKind.NEW.value, OrderEventKind.REPLACED.value]).latest("id")
    return at - accepted.recorded_at < latency


def _taken(order: Order, price: MarketPrice) -> Decimal:
    """Shares that the order has had of the very quote that is displayed, by its fills."""
    book = price.against(Side(order.side))
    if book.volume is None or not order.cumulative_quantity:
        return ZERO
    return order.fills.filter(quote__contains=book.identity).aggregate(shares=Coalesce(Sum("quantity"), ZERO))["shares"]


def day_orders_expire(*, market_time: datetime, at: datetime) -> int:
    """End the resting paper orders whose time is over by `market_time`; returns how many.

    Day orders end with their session, good-till-date orders at their date, market-on-close orders trade at the session's last price. An immediate
    order that waits for its account's latency ends when no price has come for so long after it.
    """
    closing = cache(latest_price)  # of each symbol one price, however often it is asked for

    def reports(order: Order) -> tuple[ExecutionReport, ...]:
        if TimeInForce(order.time_in_force).is_immediate:
            waited = at - order.created_at >= latency_of(order.account) + PATIENCE
            return (ExecutionReport(kind=OrderEventKind.CANCELED, reason="no price came to trade at"),) if waited else ()
        if _order_end(order) > market_time:
            return ()
        if order.order_type == OrderType.MARKET_ON_CLOSE and (price := closing(order.instrument.symbol)):
            return paper_broker(order.account).close(broker_order(order), price)
        reason = "its date has come" if order.expire_at else "its session has closed"
        return (ExecutionReport(kind=OrderEventKind.EXPIRED, reason=reason),)

    became = OrderReplacement.objects.filter(order=OuterRef("pk"), day_since__isnull=False).order_by("-id").values("day_since")[:1]
    ending = _resting().exclude(time_in_force=TimeInForce.GTC.value)
    return _drive(ending.annotate(day_since=Coalesce(Subquery(became), "market_time", "created_at")), reports, at)


def _order_end(order: Any) -> datetime:
    """Of an order with its `day_since`."""
    return order.expire_at or day_order_end(calendar=order.instrument.calendar, market_time=order.day_since)


def resting_symbols() -> tuple[str, ...]:
    """Symbols of which paper orders rest."""
    return tuple(_resting().order_by("instrument__symbol").values_list("instrument__symbol", flat=True).distinct())


def _resting() -> QuerySet[Order]:
    return Order.objects.filter(account__broker=PAPER, status__in=RESTING).order_by("portfolio_id", "id")


def _drive(orders: QuerySet[Order], reports: Reports, at: datetime) -> int:
    """Book what happens to each order. A first look without locks leaves the portfolios alone in which nothing happens."""
    moved = [order for order in orders.select_related(*RELATED) if reports(order)]
    return sum(
        _drive_portfolio(portfolio_id, orders.filter(pk__in=[order.pk for order in group]), reports, at)
        for portfolio_id, group in groupby(moved, key=attrgetter("portfolio_id"))
    )


def _drive_portfolio(portfolio_id: int, orders: QuerySet[Order], reports: Reports, at: datetime) -> int:
    changed, behind = 0, set[int]()
    with transaction.atomic():
        portfolio_lock(portfolio_id)
        # Looked at again under the lock: a cancel may have been faster. Rows that somebody holds without the portfolio are left for later.
        for order in orders.select_for_update(of=("self",), skip_locked=True).select_related(*RELATED):
            if order.group_id is not None and exit_waits(order):
                behind.add(order.group_id)
            elif answers := reports(order):
                reports_book(order=order, reports=answers, source=PAPER, at=at)
                changed += 1
    for group_id in sorted(behind):
        group_advance(group_id=group_id, at=at)
    return changed


@dataclass(slots=True)
class PaperMarket:
    """What the broker's process does with each message of the feed, and how much it has done."""

    matched: int = 0
    expired: int = 0
    recovered: int = 0
    looked_at: datetime | None = None
    known_at: datetime | None = None

    def recover(self, *, at: datetime) -> None:
        """Finish what was left between two states, and match what the market did meanwhile."""
        self.recovered += orders_recover(at=at) + groups_recover(at=at)
        self.matched += prices_match(prices=_known_prices(resting_symbols()), at=at)
        self.looked_at = at

    def hear(self, message: FeedMessage | None, *, at: datetime) -> None:
        """Match the prices of a message; in silence, and once a second beside a live feed, look at the latest ones: messages may have been lost,
        and an order may have waited for its time. Where nothing rests, one query."""
        if symbols := resting_symbols():
            self.matched += prices_match(prices=self._prices(message, symbols, at), at=at)
            self.expired += day_orders_expire(market_time=market_clock(at).market_time, at=at)
        if self.looked_at is None or at - self.looked_at > PATIENCE:
            self.recovered += orders_recover(at=at) + groups_recover(at=at)
            self.looked_at = at

    def _prices(self, message: FeedMessage | None, symbols: Iterable[str], at: datetime) -> dict[str, MarketPrice]:
        heard = _heard_prices(message, symbols) if message else {}
        due = self.known_at is None or at - self.known_at >= KNOWN_EVERY
        if message and not (message.is_live and due):
            return heard
        self.known_at = at
        return _known_prices(symbols) | heard


def _heard_prices(message: FeedMessage, symbols: Iterable[str]) -> dict[str, MarketPrice]:
    """The last prices of a message. Beside a live one stands what its feed has stored of the book; a replay has none."""
    heard = {
        symbol: MarketPrice(symbol=symbol, price=message.prices[symbol], market_time=message.market_time, source=message.feed)
        for symbol in symbols
        if symbol in message.prices
    }
    if not message.is_live:
        return heard
    stored = {symbol: quote for symbol, quote in latest_quotes(heard).items() if quote.feed == message.feed}
    return heard | {
        symbol: replace(market_price(quote), price=heard[symbol].price, market_time=message.market_time) for symbol, quote in stored.items()
    }


def _known_prices(symbols: Iterable[str]) -> dict[str, MarketPrice]:
    return {symbol: market_price(quote) for symbol, quote in latest_quotes(symbols).items()}
