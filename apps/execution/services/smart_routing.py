"""Smart order routing: sweep what venues display at once, then let the rest rest or return it. Every quote that was seen is kept.

The decision is stored before the first child is sent, so that after a crash the same children are sent, once; each is an immediate order
at the price that its venue displayed.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from apps.core.trading import OrderIntent, OrderType, Side, TimeInForce
from apps.execution.domain.algos import AlgoStatus, child_order_id, in_lots
from apps.execution.domain.amounts import trimmed
from apps.execution.domain.routing import route
from apps.execution.domain.venues import posting_venue
from apps.execution.models import AlgoOrder, RoutingDecision
from apps.execution.selectors.algos import standing_of
from apps.execution.selectors.venues import order_protection, venue_terms, venues_display
from apps.execution.services.algo_children import algo_event, algo_lock, algo_move, child_submit, children_withdraw
from apps.execution.services.orders import OrderLink
from apps.marketdata.domain import calendars


def smart_step(parent: AlgoOrder, *, active: bool, market_time: datetime, at: datetime) -> bool:
    """The next thing that a smart parent needs, while trading is `active`; its end comes in any case.

    True when something was done and there may be more.
    """
    if market_time < parent.start_at or (market_time < parent.latest_end_at and not calendars.is_open(parent.instrument.calendar, market_time)):
        return False
    standing = standing_of(parent, market_time)
    if standing.filled >= parent.quantity:
        return _finish(parent, "all of it has traded", market_time, at)
    if standing.elapsed >= parent.end_at - parent.start_at:
        if standing.working:
            return children_withdraw(parent, reason="the end has come", at=at) > 0
        return _finish(parent, f"the end has come with {trimmed(parent.quantity - standing.filled)} left", market_time, at)
    if not active:
        return False
    decision = RoutingDecision.objects.filter(algo=parent).first() or _decide(parent, market_time, at)
    for number, part in enumerate(decision.routes):
        if number >= standing.next_slice:
            return _sweep(parent, number, part, market_time, at)
    if standing.working:
        return False
    left = in_lots(parent.quantity - standing.filled, parent.instrument.lot_size)
    if parent.parameters["remainder"] == "post" and standing.next_slice == len(decision.routes) and left > 0:
        return _post(parent, len(decision.routes), left, decision.remainder.get("venue", ""), market_time, at)
    return _finish(parent, f"{trimmed(parent.quantity - standing.filled)} returned: no venue displayed it", market_time, at)


def _decide(parent: AlgoOrder, market_time: datetime, at: datetime) -> RoutingDecision:
    """Route over what is displayed now, and keep all of it."""
    display = venues_display(parent.instrument.symbol, Side(parent.side))
    protected = order_protection(market_time.date())
    parts = route(
        side=Side(parent.side),
        quantity=parent.quantity,
        limit=parent.limit_price,
        quotes=[shown.quote for shown in display.quotes],
        order_protection=protected,
        lot=parent.instrument.lot_size,
    )
    left = parent.quantity - sum(part.quantity for part in parts)
    posting = posting_venue(venue_terms())
    with transaction.atomic():
        algo_lock(portfolio_id=parent.portfolio_id, algo_id=parent.pk)
        decision, made = RoutingDecision.objects.get_or_create(
            algo=parent,
            defaults={
                "quantity": parent.quantity,
                "best_bid": display.best_bid,
                "best_ask": display.best_ask,
                "order_protection": protected,
                "quotes": [
                    {
                        "venue": shown.quote.venue,
                        "price": trimmed(shown.quote.price),
                        "size": shown.quote.size,
                        "fee": trimmed(shown.quote.fee),
                        "source": shown.source,
                    }
                    for shown in display.quotes
                ],
                "routes": [{"venue": part.venue, "quantity": trimmed(part.quantity), "price": trimmed(part.price)} for part in parts],
                "remainder": {
                    "quantity": trimmed(left),
                    "rule": parent.parameters["remainder"],
                    "venue": posting.name if posting and parent.parameters["remainder"] == "post" else "",
                },
                "market_time": display.market_time or market_time,
                "recorded_at": at,
            },
        )
        if made:
            algo_event(parent, "routed", market_time=market_time, at=at, routes=decision.routes, order_protection=protected)
    return decision


def _sweep(parent: AlgoOrder, number: int, part: dict[str, Any], market_time: datetime, at: datetime) -> bool:
    quantity, price = Decimal(part["quantity"]), Decimal(part["price"])
    intent = _intent(parent, number, quantity, TimeInForce.IOC, price)
    link = OrderLink(algo_id=parent.pk, slice=number, venue=part["venue"])
    return child_submit(parent, intent, link, f"{part['venue']} displays it", market_time, at) is not None


def _post(parent: AlgoOrder, number: int, quantity: Decimal, venue: str, market_time: datetime, at: datetime) -> bool:
    intent = _intent(parent, number, quantity, TimeInForce.DAY, parent.limit_price)
    link = OrderLink(algo_id=parent.pk, slice=number, venue=venue)
    return child_submit(parent, intent, link, "the rest rests at the limit", market_time, at) is not None


def _intent(parent: AlgoOrder, number: int, quantity: Decimal, tif: TimeInForce, price: Decimal | None) -> OrderIntent:
    return OrderIntent(
        client_order_id=child_order_id(parent=parent.client_order_id, portfolio_id=parent.portfolio_id, number=number),
        portfolio_id=parent.portfolio_id,
        book_id=parent.book_id,
        instrument_id=parent.instrument_id,
        symbol=parent.instrument.symbol,
        side=Side(parent.side),
        quantity=quantity,
        order_type=OrderType.LIMIT,
        time_in_force=tif,
        limit_price=price,
        strategy=parent.strategy,
    )


def _finish(parent: AlgoOrder, reason: str, market_time: datetime, at: datetime) -> bool:
    with transaction.atomic():
        locked = algo_lock(portfolio_id=parent.portfolio_id, algo_id=parent.pk)
        if not AlgoStatus(locked.status).is_terminal:
            algo_move(locked, AlgoStatus.DONE, reason=reason, market_time=market_time, at=at)
    return False
