"""Risk's part of the gate. It reads what it needs afresh for each order, and whatever goes wrong here denies."""

import logging
from collections import defaultdict
from decimal import Decimal

from django.db import transaction

from apps.core.trading import Check, Outcome, PreTradeSnapshot, Verdict
from apps.marketdata.selectors.quarantine import quarantined
from apps.marketdata.selectors.quotes import last_prices
from apps.portfolios.selectors.holdings import holdings
from apps.risk.domain.pretrade import Case, order_checks
from apps.risk.selectors.limits import limits_in_force
from apps.risk.selectors.state import trading_state

logger = logging.getLogger(__name__)

AUTHORITY = "risk"


def order_check(*, snapshot: PreTradeSnapshot, savepoint: bool = True) -> Verdict:
    """Every check of risk for the order, with its numbers. Nothing raised inside becomes a pass: it becomes CHECK_FAILED, which blocks.

    Reads state, limits and quarantines (one query each), holdings (two) and prices (one call to Redis). The caller holds the portfolio's lock,
    so that two orders cannot both use the same room.
    """
    try:
        # A savepoint, unless the caller holds one: when a query fails, its transaction still lives, and the denied order can be stored.
        with transaction.atomic(savepoint=savepoint):
            case = _case(snapshot)
        checks = order_checks(case)
    except Exception as error:
        logger.exception("the risk check of order %s failed: it is denied", snapshot.intent.client_order_id)
        text = f"Risk could not be checked ({type(error).__name__}): the order is denied"
        checks = (Check(code="CHECK_FAILED", outcome=Outcome.BLOCK, message=text),)
    return Verdict(authority=AUTHORITY, checks=checks)


def _case(snapshot: PreTradeSnapshot) -> Case:
    intent = snapshot.intent
    state = trading_state(intent.portfolio_id)
    held = holdings(intent.portfolio_id)
    symbols = {p.instrument_id: p.symbol for p in held.positions if p.quantity}
    symbols |= {w.instrument_id: w.symbol for w in snapshot.working_orders}
    symbols.pop(intent.instrument_id, None)
    market_time = snapshot.reference.market_time if snapshot.reference else None
    held_back = quarantined([intent.symbol], None, (market_time or snapshot.as_of).date())
    wanted = [*symbols.values(), *held.pairs]
    found = held.in_base(last_prices(wanted, market_time=market_time)) if wanted else {}
    prices = {key: found[symbol] for key, symbol in symbols.items() if symbol in found}
    if snapshot.reference is not None:
        prices[intent.instrument_id] = snapshot.reference.price
    quantities: dict[int, Decimal] = defaultdict(Decimal)
    for position in held.positions:
        quantities[position.instrument_id] += position.quantity
    of_book = (p.quantity for p in held.positions if p.book_id == intent.book_id and p.instrument_id == intent.instrument_id)
    return Case(
        intent=intent,
        working_orders=snapshot.working_orders,
        reference=snapshot.reference,
        orders_last_minute=snapshot.orders_last_minute,
        symbol_orders_last_minute=snapshot.symbol_orders_last_minute,
        as_of=snapshot.as_of,
        state=state.state,
        state_reason=state.reason,
        limits=limits_in_force(intent.portfolio_id, snapshot.as_of),
        cash=held.cash,
        held=dict(quantities),
        book_held=sum(of_book, Decimal(0)),
        prices=prices,
        unpriced=tuple(sorted(symbol for symbol in symbols.values() if symbol not in found)),
        quarantines=tuple(str(item) for item in held_back.get(intent.symbol, ())),
        tier=snapshot.market.tier if snapshot.market else 2,
        average_volume=snapshot.market.average_volume if snapshot.market else None,
        strategy_orders_last_minute=snapshot.strategy_orders_last_minute,
        identical_age=snapshot.identical_age,
        located=snapshot.located,
    )
