"""What would happen to an order: every check with its numbers, and what it would cost. What was answered is kept."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from apps.core.documents import plain
from apps.core.money import PRICE_PLACES, money
from apps.core.trading import Check, OrderIntent, OrderType, ReferencePrice
from apps.execution.domain.amounts import slipped, trimmed
from apps.execution.domain.commissions import CommissionTerms, commission_estimate
from apps.execution.models import BrokerageAccount, OrderPreview
from apps.execution.selectors.previews import terms_digest
from apps.execution.services.accounts import account_of
from apps.execution.services.gate import Gate, gate_check
from apps.execution.services.routing import latest_price
from apps.portfolios.selectors.quantities import quantities_of
from apps.risk.domain.pretrade_risk import RiskChange, RiskImpact
from apps.risk.services.pretrade import order_impact

if TYPE_CHECKING:
    from apps.core.models import User

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """`estimated_price` is per share in the instrument's currency, slippage in it, and half the spread with it; amounts, and
    `estimated_value` = quantity x price, are in the portfolio's currency at the rate by which the gate judges.

    `cash_after` counts this order alone, filled in full; positions are of the order's own book, signed. Prices and what follows
    from them are None while the instrument has no price and the order names none, or its currency has no rate. `impact` is what the order
    does to value at risk, expected shortfall and stress losses; None where that could not be looked up.
    """

    allowed: bool
    checks: tuple[tuple[str, Check], ...]
    reference: ReferencePrice | None
    estimated_price: Decimal | None
    estimated_value: Decimal | None
    estimated_slippage: Decimal | None
    commission: Decimal
    cash_before: Decimal
    cash_after: Decimal | None
    position_before: Decimal
    position_after: Decimal
    currency: str
    mode: str
    client_order_id: UUID
    impact: RiskImpact | None = None
    preview_id: int | None = None


def order_preview(*, intent: OrderIntent, user: "User", at: datetime) -> Preview:
    """Judge the intent as `order_submit` would at this moment, and keep the answer. Raises Conflict when the portfolio has no account."""
    account = account_of(intent.portfolio_id)
    gate = gate_check(intent=intent, user_id=user.pk, at=at, account=account)
    held = quantities_of(intent.portfolio_id, book_id=intent.book_id, instrument_id=intent.instrument_id)
    reference = gate.snapshot.reference
    price = _estimated_price(intent, reference, account)
    rate = gate.fx_rate
    value = None if price is None or rate is None else money(price * intent.quantity * rate)
    terms = CommissionTerms(minimum=account.commission, per_share=account.commission_per_share, cap=account.commission_cap)
    commission = commission_estimate(terms, quantity=intent.quantity, value=value)
    preview = Preview(
        allowed=gate.allowed,
        checks=gate.checks,
        reference=reference,
        estimated_price=price,
        estimated_value=value,
        estimated_slippage=_slippage(intent, reference, price, rate),
        commission=commission,
        cash_before=held.cash,
        cash_after=None if value is None else held.cash - intent.side.sign * value - commission,
        position_before=held.book_held,
        position_after=held.book_held + intent.signed_quantity,
        currency=held.currency,
        mode=str(account.mode),
        client_order_id=intent.client_order_id,
        impact=_impact(gate),
    )
    return replace(preview, preview_id=_keep(preview, intent=intent, user=user, at=at))


def preview_row(preview: Preview) -> dict[str, Any]:
    """The preview as plain values, for REST, for the ticket and to be kept."""
    content: dict[str, Any] = plain(preview)
    content["impact"] = [] if preview.impact is None else [_change_row(change) for change in preview.impact.changes]
    content["checks"] = [{"authority": authority, **plain(check)} for authority, check in preview.checks]
    for name in ("estimated_price", "position_before", "position_after"):
        content[name] = trimmed(getattr(preview, name))
    return content


def _change_row(change: RiskChange) -> dict[str, Any]:
    amounts = {name: None if (value := getattr(change, name)) is None else f"{value:.2f}" for name in ("before", "after")}
    return plain(change) | amounts


def _impact(gate: Gate) -> RiskImpact | None:
    """To inform: where a limit needs these numbers the gate has made them, and has denied without them."""
    try:
        return order_impact(snapshot=gate.snapshot, judged=gate.judged)
    except Exception:
        logger.exception("what order %s does to the portfolio's risk could not be computed", gate.snapshot.intent.client_order_id)
        return None


def _keep(preview: Preview, *, intent: OrderIntent, user: "User", at: datetime) -> int:
    price = preview.estimated_price
    row = OrderPreview.objects.create(
        portfolio_id=intent.portfolio_id,
        requested_by=user,
        client_order_id=intent.client_order_id,
        intent_digest=intent.digest,
        terms_digest=terms_digest(intent),
        allowed=preview.allowed,
        estimated_price=None if price is None else round(price, PRICE_PLACES),
        commission=preview.commission,
        content=preview_row(preview),
        created_at=at,
    )
    return row.pk


def _estimated_price(intent: OrderIntent, reference: ReferencePrice | None, account: BrokerageAccount) -> Decimal | None:
    """A limit order costs its limit at worst; others the market, or their stop price, made worse by the account's slippage."""
    if intent.limit_price is not None:
        return intent.limit_price
    base = intent.stop_price if intent.order_type is OrderType.STOP else _market(intent, reference)
    return None if base is None else slipped(base, side=intent.side, bps=account.slippage_bps)


def _market(intent: OrderIntent, reference: ReferencePrice | None) -> Decimal | None:
    """The other side of the book where a feed says it, as the paper broker fills; else the price by which the gate judges."""
    quoted = latest_price(intent.symbol)
    if quoted is not None:
        return quoted.against(intent.side).price
    return reference.price if reference is not None else None


def _slippage(intent: OrderIntent, reference: ReferencePrice | None, price: Decimal | None, rate: Decimal | None) -> Decimal | None:
    if reference is None or price is None or rate is None or intent.order_type.has_limit:
        return None
    base = intent.stop_price or reference.price
    return money(abs(price - base) * intent.quantity * rate)
