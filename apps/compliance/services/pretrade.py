"""Compliance's part of the gate. Whatever goes wrong here denies."""

import logging

from django.db import transaction

from apps.compliance.domain.pretrade import InstrumentFacts, RestrictionFacts, order_checks
from apps.compliance.models import RestrictionLevel
from apps.compliance.selectors.restrictions import restrictions_for
from apps.core.trading import Check, Outcome, PreTradeSnapshot, Verdict
from apps.marketdata.selectors.instruments import instruments_known
from apps.marketdata.selectors.market import is_delisted
from apps.portfolios.selectors.membership import tradable_currency

logger = logging.getLogger(__name__)

AUTHORITY = "compliance"


def order_check(*, snapshot: PreTradeSnapshot, savepoint: bool = True) -> Verdict:
    """Every check of compliance for the order. Nothing raised inside becomes a pass: it becomes CHECK_FAILED, which blocks."""
    try:
        # A savepoint, unless the caller holds one: when a query fails, its transaction still lives, and the denied order can be stored.
        with transaction.atomic(savepoint=savepoint):
            checks = _checks(snapshot)
    except Exception as error:
        logger.exception("the compliance check of order %s failed: it is denied", snapshot.intent.client_order_id)
        text = f"Compliance could not be checked ({type(error).__name__}): the order is denied"
        checks = (Check(code="CHECK_FAILED", outcome=Outcome.BLOCK, message=text),)
    return Verdict(authority=AUTHORITY, checks=checks)


def _checks(snapshot: PreTradeSnapshot) -> tuple[Check, ...]:
    intent = snapshot.intent
    instrument = instruments_known([intent.symbol]).get(intent.symbol)
    facts = None
    if instrument is not None:
        delisted_on = instrument.delisted_on if is_delisted(instrument, snapshot.as_of) else None
        facts = InstrumentFacts(instrument_id=instrument.pk, tradable=instrument.tradable, currency=instrument.currency, delisted_on=delisted_on)
    restrictions = restrictions_for(instrument_id=intent.instrument_id, portfolio_id=intent.portfolio_id, at=snapshot.as_of)
    return order_checks(
        intent=intent,
        instrument=facts,
        portfolio_currency=None if snapshot.user_id is None else tradable_currency(user_id=snapshot.user_id, portfolio_id=intent.portfolio_id),
        restrictions=[RestrictionFacts(restricted=level != RestrictionLevel.WATCH, reason=reason) for level, reason in restrictions],
    )
