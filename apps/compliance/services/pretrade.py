"""Compliance's part of the gate. Whatever goes wrong here denies."""

import logging

from apps.compliance.domain.account_checks import AccountFacts
from apps.compliance.domain.pretrade import RestrictionFacts, ShortSaleFacts, order_checks
from apps.compliance.models import RestrictionLevel
from apps.compliance.selectors.gate import at_gate
from apps.compliance.selectors.short_sales import restricted_since
from apps.core.money import ZERO
from apps.core.postgres.rows import looking
from apps.core.trading import Check, Outcome, PreTradeSnapshot, Side, Verdict, closable_quantity
from apps.portfolios.selectors.holdings import quantities_held

logger = logging.getLogger(__name__)

AUTHORITY = "compliance"


def order_check(*, snapshot: PreTradeSnapshot, account: AccountFacts | None, savepoint: bool = True) -> Verdict:
    """Every check of compliance for the order; `account` is None where it could not be read, which denies. Nothing raised inside becomes a pass:
    it becomes CHECK_FAILED, which blocks."""
    try:
        # A savepoint, unless the caller holds one: when a query fails, its transaction still lives, and the denied order can be stored.
        with looking(savepoint=savepoint):
            checks = _checks(snapshot, account)
    except Exception as error:
        logger.exception("the compliance check of order %s failed: it is denied", snapshot.intent.client_order_id)
        text = f"Compliance could not be checked ({type(error).__name__}): the order is denied"
        checks = (Check(code="CHECK_FAILED", outcome=Outcome.BLOCK, message=text),)
    return Verdict(authority=AUTHORITY, checks=checks)


def _checks(snapshot: PreTradeSnapshot, account: AccountFacts | None) -> tuple[Check, ...]:
    """Reads what restricts the order and whether the user may trade (one query); a sale also what is held (one), a short sale whether Rule
    201 restricts it (one)."""
    intent = snapshot.intent
    gate = at_gate(intent, user_id=snapshot.user_id, at=snapshot.as_of)
    return order_checks(
        intent=intent,
        market=snapshot.market,
        portfolio_currency=gate.tradable_currency,
        restrictions=[RestrictionFacts(restricted=level != RestrictionLevel.WATCH, reason=reason) for level, reason in gate.restrictions],
        short_sale=_short_sale(snapshot),
        account=account,
        working_orders=snapshot.working_orders,
    )


def _short_sale(snapshot: PreTradeSnapshot) -> ShortSaleFacts | None:
    """What Rule 201 needs to know of a short sale; None where nothing is sold short."""
    intent, market, reference = snapshot.intent, snapshot.market, snapshot.reference
    if intent.side is Side.BUY:
        return None
    held = quantities_held(intent.portfolio_id, intent.instrument_id)
    own, total = held.get(intent.book_id, ZERO), sum(held.values(), ZERO)
    short = intent.quantity - closable_quantity(intent, held=total, book_held=own, working_orders=snapshot.working_orders)
    if short <= 0:
        return None
    since = None if market is None else restricted_since(instrument_id=intent.instrument_id, session=market.session)
    return ShortSaleFacts(
        quantity=short,
        restricted_since=since,
        previous_close=market.previous_close if market else None,
        last=reference.price if reference else None,
        best_bid=reference.bid if reference else None,
    )
